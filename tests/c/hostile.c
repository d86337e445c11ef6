#include "hostile.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096 /* at once */

struct hostile {
    hostile_connection connection;
    const void *data;
    int listener, port;
    char host[64];
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int open[MAX_CONNECTIONS]; /* descriptors; 0 where the connection has ended */
    int connections, running, requests, stopping;
};

typedef struct {
    hostile *server;
    int fd, number, slot;
} visit;

static void *serve_one(void *argument) {
    visit it = *(visit *)argument;
    free(argument);
    it.server->connection(it.server, it.fd, it.number);
    pthread_mutex_lock(&it.server->lock);
    it.server->open[it.slot] = 0;
    close(it.fd);
    it.server->running--;
    pthread_cond_broadcast(&it.server->ended);
    pthread_mutex_unlock(&it.server->lock);
    return NULL;
}

static void *accept_all(void *argument) {
    hostile *server = argument;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&server->lock);
        int slot = 0;
        while (slot < MAX_CONNECTIONS && server->open[slot] != 0) slot++;
        int refused = server->stopping || slot == MAX_CONNECTIONS;
        visit *it = malloc(sizeof *it);
        if (!refused) {
            server->open[slot] = fd;
            *it = (visit){server, fd, ++server->connections, slot};
            pthread_t thread;
            server->running++;
            pthread_create(&thread, NULL, serve_one, it);
            pthread_detach(thread);
        } else {
            free(it);
            close(fd);
        }
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

hostile *hostile_start(hostile_connection connection, const void *data) {
    return hostile_start_at("127.0.0.1", 0, connection, data);
}

hostile *hostile_start_at(const char *address, int port, hostile_connection connection, const void *data) {
    hostile *server = calloc(1, sizeof *server);
    server->connection = connection;
    server->data = data;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->ended, NULL);
    struct sockaddr_storage at = {.ss_family = strchr(address, ':') == NULL ? AF_INET : AF_INET6};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
    int is_v4 = at.ss_family == AF_INET, on = 1;
    socklen_t size = is_v4 ? sizeof *v4 : sizeof *v6;
    inet_pton(at.ss_family, address, is_v4 ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr);
    *(is_v4 ? &v4->sin_port : &v6->sin6_port) = htons((unsigned short)port);
    server->listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server->listener, (struct sockaddr *)&at, size) != 0 || listen(server->listener, 64) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&at, &size) != 0) {
        perror("the hostile server");
        exit(2);
    }
    server->port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
    snprintf(server->host, sizeof server->host, is_v4 ? "http://%s:%d" : "http://[%s]:%d", address,
             server->port);
    pthread_create(&server->acceptor, NULL, accept_all, server);
    return server;
}

const void *hostile_data(hostile *server) { return server->data; }
const char *hostile_host(hostile *server) { return server->host; }
int hostile_port(hostile *server) { return server->port; }

int hostile_connections(hostile *server) {
    pthread_mutex_lock(&server->lock);
    int connections = server->connections;
    pthread_mutex_unlock(&server->lock);
    return connections;
}

int hostile_requests(hostile *server) {
    pthread_mutex_lock(&server->lock);
    int requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

void hostile_stop(hostile *server) {
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    pthread_mutex_lock(&server->lock);
    server->stopping = 1;
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        if (server->open[i] != 0) shutdown(server->open[i], SHUT_RDWR);
    }
    while (server->running > 0) pthread_cond_wait(&server->ended, &server->lock);
    pthread_mutex_unlock(&server->lock);
    close(server->listener);
    free(server);
}

int hostile_read(hostile *server, int fd, char *head, size_t size) {
    char text[8192];
    size_t got = 0;
    char *end = NULL;
    while (end == NULL && got < sizeof text - 1) {
        ssize_t more = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (more <= 0) return 0;
        got += (size_t)more;
        text[got] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    if (end == NULL) return 0;
    size_t head_size = (size_t)(end - text) + 4;
    if (head != NULL) snprintf(head, size, "%.*s", (int)head_size, text);
    const char *length = strcasestr(text, "\r\ncontent-length:");
    size_t left = length == NULL ? 0 : (size_t)atoll(length + strlen("\r\ncontent-length:"));
    size_t here = got - head_size;
    left -= here < left ? here : left;
    while (left > 0) {
        char rest[65536];
        ssize_t more = recv(fd, rest, left < sizeof rest ? left : sizeof rest, 0);
        if (more <= 0) return 0;
        left -= (size_t)more;
    }
    pthread_mutex_lock(&server->lock);
    server->requests++;
    pthread_mutex_unlock(&server->lock);
    return 1;
}

int hostile_send(int fd, const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        at += sent;
        len -= (size_t)sent;
    }
    return 1;
}

int hostile_say(int fd, const char *text) { return hostile_send(fd, text, strlen(text)); }

void hostile_await_end(int fd) {
    char rest[4096];
    while (recv(fd, rest, sizeof rest, 0) > 0) continue;
}

void hostile_is_silent(hostile *server, int fd, int number) {
    (void)server, (void)number;
    hostile_await_end(fd);
}

void hostile_never_responds(hostile *server, int fd, int number) {
    (void)number;
    if (hostile_read(server, fd, NULL, 0)) hostile_await_end(fd);
}

void hostile_closes_after_each(hostile *server, int fd, int number) {
    (void)number;
    if (!hostile_read(server, fd, NULL, 0)) return;
    hostile_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                    "Content-Length: 14\r\n\r\n{\"results\":{}}");
    shutdown(fd, SHUT_WR);
    hostile_await_end(fd);
}

void hostile_responds_once(hostile *server, int fd, int number) {
    if (number == 1) {
        if (!hostile_read(server, fd, NULL, 0)) return;
        hostile_say(fd, server->data);
        /* What still comes is read, or the connection would be reset. */
        shutdown(fd, SHUT_WR);
        hostile_await_end(fd);
        return;
    }
    while (hostile_read(server, fd, NULL, 0) && hostile_say(fd, ACCEPTED)) continue;
}

static long status_line(const char *key) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
    }
    if (file != NULL) fclose(file);
    return value;
}

long resident_now(void) { return status_line("VmRSS:"); }
long resident_peak(void) { return status_line("VmHWM:"); }

void resident_reset(void) {
#ifdef __GLIBC__
    malloc_trim(0); /* other allocators give back by themselves */
#endif
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) return;
    fputs("5", file); /* resets the peak */
    fclose(file);
}
