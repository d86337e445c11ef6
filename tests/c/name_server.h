/*
 * A name server for tests, over UDP and TCP on port 53 of an address of its own. What it says of
 * a name is a row of a table; what has no row does not exist.
 */
#ifndef NAME_SERVER_H
#define NAME_SERVER_H

typedef struct name_server name_server;

enum {
    NAME_SERVFAIL = 1,
    NAME_REFUSED = 2,
    NAME_SILENT = 4,
    NAME_SILENT_A = 8,     /* about addresses of IPv4 */
    NAME_SILENT_AAAA = 16, /* about addresses of IPv6 */
    NAME_TRUNCATED = 32,   /* over UDP, without an address */
    NAME_NO_EDNS = 64,     /* does not understand a query with EDNS */
    NAME_LOSES_FIRST = 128 /* does not see the first query of each kind */
};

typedef struct {
    const char *name; /* without the last dot; NULL ends the table */
    const char *v4;   /* addresses, separated by commas; NULL: none of this kind */
    const char *v6;
    const char *alias; /* an alias of this name, whose addresses these are */
    int ttl;           /* seconds, also of the absence of an address */
    int flags;
    int delay_a_ms, delay_aaaa_ms;
} name_row;

enum { TYPE_ANY = 0, TYPE_A = 1, TYPE_AAAA = 28 };

/* The rows are the caller's, and can be replaced. */
name_server *name_server_start(const char *address, const name_row *rows);
void name_server_says(name_server *server, const name_row *rows);
/* Queries for a name, of this type. */
int name_server_queries(name_server *server, const char *name, int type);
int name_server_tcp_queries(name_server *server);
void name_server_stop(name_server *server);

#endif
