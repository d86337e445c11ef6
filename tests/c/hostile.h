/*
 * A server that misbehaves below HTTP, where the sink does not go: each
 * connection is given to a function of the test, on a thread of its own.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stddef.h>

typedef struct hostile hostile;
/* number counts connections from 1. The descriptor is closed when it returns. */
typedef void (*hostile_connection)(hostile *server, int fd, int number);

hostile *hostile_start(hostile_connection connection, const void *data);
/* At another address, which may be one of IPv6; port 0 is any that is free. */
hostile *hostile_start_at(const char *address, int port, hostile_connection connection, const void *data);
const void *hostile_data(hostile *server);
const char *hostile_host(hostile *server); /* http://127.0.0.1:PORT */
int hostile_port(hostile *server);
int hostile_connections(hostile *server);
/* Requests that were read whole. */
int hostile_requests(hostile *server);
/* Cuts every connection and waits for their threads. */
void hostile_stop(hostile *server);

/* Reads one request, head and body; 0 when the client is gone. head (size
 * bytes) gets its head. */
int hostile_read(hostile *server, int fd, char *head, size_t size);
/* Sends all of it; 0 when the client is gone. */
int hostile_send(int fd, const void *bytes, size_t len);
int hostile_say(int fd, const char *text);
/* Waits until the client has hung up. */
void hostile_await_end(int fd);

/* Connections that are needed in several tests: nothing is read until the client hangs up; a
 * request is read and nothing is sent; each request is accepted on a connection that is then
 * closed; the first connection gets the text in data and is then
 * closed, all later ones get ACCEPTED for each request. */
void hostile_is_silent(hostile *server, int fd, int number);
void hostile_never_responds(hostile *server, int fd, int number);
void hostile_closes_after_each(hostile *server, int fd, int number);
void hostile_responds_once(hostile *server, int fd, int number);

/* A response according to which everything is delivered, on a connection that stays open. */
#define ACCEPTED                                                                                             \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"results\":{}}"

/* Resident memory of this process, in KiB: now, and at its peak since the last
 * reset. */
long resident_now(void);
long resident_peak(void);
void resident_reset(void);

#endif
