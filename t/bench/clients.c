/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that never rest: each asks, waits for the whole answer, rests a moment, and asks again.
 *
 *   clients PORT CLIENTS SECONDS REST_MS [METHOD] >result
 *
 * Each line of the result is one request: when it began (Unix time, s), its status (0: no whole answer) and
 * how long it took (µs). Connections are kept. The target of each request is another one: /1, /2, …
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define ANSWER_MAX 8192
#define PATIENCE_US 70000000

typedef struct client_t {
    int fd; /* -1: none */
    int fresh;
    double began;
    int64_t began_us, rests_until; /* 0: it does not rest */
    size_t length;
    char answer[ANSWER_MAX];
} client_t;

static struct sockaddr_in to;
static const char *method = "GET";
static int epoll;
static long serial;

static int64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void finish(client_t *c, int status, int keep, int64_t rest)
{
    int64_t now = clock_us();

    printf("%.6f %d %lld\n", c->began, status, (long long)(now - c->began_us));
    if (!keep && c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    c->rests_until = now + rest;
}

static void ask(client_t *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    struct timespec t;
    char text[200];
    int length;

    clock_gettime(CLOCK_REALTIME, &t);
    c->began = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    c->began_us = clock_us();
    c->rests_until = 0;
    c->length = 0;
    c->fresh = c->fd < 0;
    if (c->fd < 0) {
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) {
            finish(c, 0, 0, 1000);
            return;
        }
    }
    length = snprintf(text, sizeof text, "%s /%ld HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, ++serial,
                      strcmp(method, "POST") ? "" : "Content-Length: 0\r\n");
    if (send(c->fd, text, (size_t)length, MSG_NOSIGNAL) != length)
        finish(c, 0, 0, 1000);
}

/* Its status, once it is whole; 0 before. Every answer has a Content-Length. */
static int whole(client_t *c)
{
    char *body, *field;
    int status;

    c->answer[c->length] = '\0';
    body = strstr(c->answer, "\r\n\r\n");
    if (!body || sscanf(c->answer, "HTTP/1.%*1d %3d", &status) != 1)
        return 0;
    field = strcasestr(c->answer, "\r\nContent-Length:");
    if (!field || field > body)
        return 0;
    return c->length - (size_t)(body + 4 - c->answer) >= strtoul(field + 17, NULL, 10) ? status : 0;
}

static void receive(client_t *c, int64_t rest)
{
    ssize_t n = recv(c->fd, c->answer + c->length, ANSWER_MAX - 1 - c->length, MSG_DONTWAIT);
    int status;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (c->rests_until) { /* the server closes a kept connection, or says what nobody has asked for */
        close(c->fd);
        c->fd = -1;
        return;
    }
    c->length += n > 0 ? (size_t)n : 0;
    status = whole(c);
    if (!status && n <= 0 && !c->fresh && c->length == 0) { /* it was closing: asked again, as browsers do */
        int64_t began_us = c->began_us;
        double began = c->began;
        close(c->fd);
        c->fd = -1;
        ask(c);
        c->began_us = began_us;
        c->began = began;
    } else if (status || n <= 0 || c->length == ANSWER_MAX - 1)
        finish(c, status, status && !strcasestr(c->answer, "\r\nConnection: close"), rest);
}

int main(int argc, char **argv)
{
    static client_t clients[CLIENTS_MAX];
    struct epoll_event events[64];
    int n, busy = 1;
    int64_t until, rest;

    if (argc < 5 || atoi(argv[2]) > CLIENTS_MAX) {
        fprintf(stderr, "usage: %s PORT CLIENTS SECONDS REST_MS [METHOD] >result\n", argv[0]);
        return 1;
    }
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(argv[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    n = atoi(argv[2]);
    until = clock_us() + (int64_t)(atof(argv[3]) * 1e6);
    rest = atoi(argv[4]) * 1000;
    if (argc > 5)
        method = argv[5];
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < n; i++) {
        clients[i].fd = -1;
        clients[i].rests_until = 1;
    }
    while (busy && clock_us() < until + PATIENCE_US) {
        int64_t now = clock_us();
        int got;
        busy = now < until;
        for (int i = 0; i < n; i++) {
            if (clients[i].rests_until && clients[i].rests_until <= now && now < until)
                ask(&clients[i]);
            busy |= !clients[i].rests_until;
        }
        got = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < got; i++)
            receive(events[i].data.ptr, rest);
    }
    for (int i = 0; i < n; i++)
        if (!clients[i].rests_until)
            finish(&clients[i], 0, 0, 0);
    return 0;
}
