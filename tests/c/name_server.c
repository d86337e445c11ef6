#include "name_server.h"

#include "harness.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_SEEN 16384
#define MAX_DELAYED 256

typedef struct {
    char name[256];
    int type;
} query;

typedef struct {
    double due;
    struct sockaddr_in to;
    size_t size;
    unsigned char bytes[1024];
} delayed;

struct name_server {
    pthread_t thread;
    pthread_mutex_t lock;
    const name_row *rows;
    query seen[MAX_SEEN];
    int seen_count, tcp_count;
    delayed later[MAX_DELAYED];
    int later_count;
    int udp, tcp, stop[2];
};

/* A message that is being written. */
typedef struct {
    unsigned char *bytes;
    size_t size;
} writer;

static void put(writer *to, const void *bytes, size_t size) {
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void put_number(writer *to, unsigned long value, int size) {
    while (size-- > 0) to->bytes[to->size++] = (unsigned char)(value >> (8 * size));
}

static void put_name(writer *to, const char *name) {
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        put_number(to, label, 1);
        put(to, name, label);
        name += label;
        if (*name == '.') name++;
    }
    put_number(to, 0, 1);
}

/* The owner, the type, the class and the TTL; returns where the length is. */
static size_t begin_record(writer *to, const char *owner, int type, int ttl) {
    put_name(to, owner);
    put_number(to, (unsigned)type, 2);
    put_number(to, 1, 2);
    put_number(to, (unsigned)ttl, 4);
    put_number(to, 0, 2);
    return to->size;
}

static void end_record(writer *to, size_t start) {
    size_t size = to->size - start;
    to->bytes[start - 2] = (unsigned char)(size >> 8);
    to->bytes[start - 1] = (unsigned char)size;
}

static int put_addresses(writer *to, const char *owner, int type, int ttl, const char *list) {
    int n = 0;
    char copy[1024], *rest = copy;
    snprintf(copy, sizeof copy, "%s", list == NULL ? "" : list);
    for (char *text; (text = strtok_r(rest, ",", &rest)) != NULL; n++) {
        unsigned char address[16];
        if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, text, address) != 1) abort();
        size_t start = begin_record(to, owner, type, ttl);
        put(to, address, type == TYPE_A ? 4 : 16);
        end_record(to, start);
    }
    return n;
}

static void put_soa(writer *to, int ttl) {
    size_t start = begin_record(to, "test", 6, ttl);
    put_name(to, "ns.test");
    put_name(to, "admin.test");
    for (int i = 0; i < 4; i++) put_number(to, 1, 4);
    put_number(to, (unsigned)ttl, 4);
    end_record(to, start);
}

static int seen(const name_server *server, const char *name, int type) {
    int n = 0;
    for (int i = 0; i < server->seen_count; i++) {
        const query *it = &server->seen[i];
        n += strcasecmp(it->name, name) == 0 && (type == TYPE_ANY || it->type == type);
    }
    return n;
}

/* Writes the response and the time that it waits; returns its size, 0 for none. */
static size_t respond(name_server *server, const unsigned char *in, size_t size, unsigned char *out,
                      int over_tcp, int *wait_ms) {
    query it = {"", 0};
    size_t at = 12, length = 0;
    while (at < size && in[at] != 0 && at + 1 + in[at] < size && length + in[at] + 2 < sizeof it.name) {
        if (length > 0) it.name[length++] = '.';
        memcpy(it.name + length, in + at + 1, in[at]);
        length += in[at];
        at += 1 + in[at];
    }
    it.name[length] = '\0';
    if (size < at + 5) return 0;
    it.type = in[at + 2];
    size_t question = at + 5 - 12;
    int edns = in[11] != 0;

    pthread_mutex_lock(&server->lock);
    int first = seen(server, it.name, it.type) == 0;
    if (server->seen_count < MAX_SEEN) server->seen[server->seen_count++] = it;
    server->tcp_count += over_tcp;
    const name_row *row = server->rows;
    while (row->name != NULL && strcasecmp(row->name, it.name) != 0) row++;
    name_row found = *row;
    pthread_mutex_unlock(&server->lock);

    int is_a = it.type == TYPE_A, is_aaaa = it.type == TYPE_AAAA;
    if (found.flags & NAME_SILENT || (found.flags & NAME_SILENT_A && is_a) ||
        (found.flags & NAME_SILENT_AAAA && is_aaaa) || (found.flags & NAME_LOSES_FIRST && first))
        return 0;
    *wait_ms = is_a ? found.delay_a_ms : is_aaaa ? found.delay_aaaa_ms : 0;
    int truncated = found.flags & NAME_TRUNCATED && !over_tcp, rcode = 0;
    if (found.name == NULL) rcode = 3;
    if (found.flags & NAME_SERVFAIL) rcode = 2;
    if (found.flags & NAME_REFUSED) rcode = 5;
    if (found.flags & NAME_NO_EDNS && edns) rcode = 1;

    writer to = {out, 0};
    put(&to, in, 2);
    put_number(&to, 0x8180u | (truncated ? 0x200u : 0) | (unsigned)rcode, 2);
    put_number(&to, 1, 2);
    put_number(&to, 0, 6);
    put(&to, in + 12, question);
    if (rcode == 1 || rcode == 2 || rcode == 5 || truncated) return to.size;
    unsigned records = 0;
    const char *owner = it.name;
    const char *list = is_a ? found.v4 : is_aaaa ? found.v6 : NULL;
    if (found.alias != NULL && list != NULL) {
        size_t start = begin_record(&to, owner, 5, found.ttl);
        put_name(&to, owner = found.alias);
        end_record(&to, start);
        records++;
    }
    records += (unsigned)put_addresses(&to, owner, it.type, found.ttl, list);
    out[7] = (unsigned char)records;
    if (records == 0) {
        out[9] = 1;
        put_soa(&to, found.ttl);
    }
    return to.size;
}

static void serve_udp(name_server *server) {
    unsigned char in[2048];
    delayed it = {0};
    socklen_t to_size = sizeof it.to;
    ssize_t got = recvfrom(server->udp, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&it.to, &to_size);
    int wait_ms = 0;
    if (got < 12 || (it.size = respond(server, in, (size_t)got, it.bytes, 0, &wait_ms)) == 0) return;
    it.due = now_ms() + wait_ms;
    if (server->later_count < MAX_DELAYED) server->later[server->later_count++] = it;
}

static void serve_tcp(name_server *server) {
    int fd = accept4(server->tcp, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    unsigned char in[2048], out[1024];
    size_t got = 0;
    ssize_t more;
    int wait_ms;
    while ((more = recv(fd, in + got, sizeof in - got, 0)) > 0) {
        got += (size_t)more;
        size_t wanted = got < 2 ? 2 : 2 + (size_t)in[0] * 256 + in[1];
        if (got < wanted || got < 14) continue;
        size_t size = respond(server, in + 2, got - 2, out + 2, 1, &wait_ms);
        out[0] = (unsigned char)(size >> 8), out[1] = (unsigned char)size;
        /* In two parts, as a network may deliver it. */
        if (size > 0) (void)!send(fd, out, 1, MSG_NOSIGNAL), usleep(2000);
        if (size > 0) (void)!send(fd, out + 1, size + 1, MSG_NOSIGNAL);
        break;
    }
    close(fd);
}

static void send_what_is_due(name_server *server) {
    int kept = 0;
    for (int i = 0; i < server->later_count; i++) {
        delayed *it = &server->later[i];
        if (it->due <= now_ms()) {
            (void)!sendto(server->udp, it->bytes, it->size, 0, (struct sockaddr *)&it->to, sizeof it->to);
        } else {
            server->later[kept++] = *it;
        }
    }
    server->later_count = kept;
}

static void *serve(void *argument) {
    name_server *server = argument;
    for (;;) {
        struct pollfd ready[] = {
            {server->udp, POLLIN, 0}, {server->tcp, POLLIN, 0}, {server->stop[0], POLLIN, 0}};
        poll(ready, 3, server->later_count > 0 ? 2 : -1);
        if (ready[2].revents != 0) return NULL;
        if (ready[0].revents != 0) serve_udp(server);
        if (ready[1].revents != 0) serve_tcp(server);
        send_what_is_due(server);
    }
}

static int listening(int type, const char *address) {
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    inet_pton(AF_INET, address, &at.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || (type == SOCK_STREAM && listen(fd, 64) != 0)) {
        perror("the name server");
        exit(2);
    }
    return fd;
}

name_server *name_server_start(const char *address, const name_row *rows) {
    name_server *server = calloc(1, sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    server->rows = rows;
    server->udp = listening(SOCK_DGRAM, address);
    server->tcp = listening(SOCK_STREAM, address);
    if (pipe(server->stop) != 0 || pthread_create(&server->thread, NULL, serve, server) != 0) abort();
    return server;
}

void name_server_says(name_server *server, const name_row *rows) {
    pthread_mutex_lock(&server->lock);
    server->rows = rows;
    pthread_mutex_unlock(&server->lock);
}

int name_server_queries(name_server *server, const char *name, int type) {
    pthread_mutex_lock(&server->lock);
    int n = seen(server, name, type);
    pthread_mutex_unlock(&server->lock);
    return n;
}

int name_server_tcp_queries(name_server *server) {
    pthread_mutex_lock(&server->lock);
    int n = server->tcp_count;
    pthread_mutex_unlock(&server->lock);
    return n;
}

void name_server_stop(name_server *server) {
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->udp);
    close(server->tcp);
    free(server);
}
