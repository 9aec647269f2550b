/* SPDX-License-Identifier: Apache-2.0
 *
 * Open-loop load: sends each request when its time has come, whether earlier ones are answered or not, and
 * measures from that time, so that a server that makes its clients wait cannot slow down its own load.
 *
 *   openloop PORT <plan >result
 *
 * Each line of the plan is one request: when (µs from the start) and what for ("1500 /?ms=10"). Each line of
 * the result is the same one's outcome: status (0: no whole answer), latency (µs from the planned time to the
 * last byte of the answer), and how late it was sent (µs). Every request has a connection of its own.
 *
 * C, because the ideal it is compared with differs from a good server by fractions of a millisecond: a
 * timerfd and epoll keep the lateness at some ten µs, which the result proves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS_MAX 1000000
#define TARGET_MAX 200
#define ANSWER_MAX 4096
#define PATIENCE_US 60000000 /* after the last planned request */
#define EVENTS 64

typedef struct request_t {
    int64_t due; /* µs from the start */
    int64_t sent;
    int64_t done;
    int status;
    int fd; /* -1: not under way */
    char target[TARGET_MAX];
    char *answer; /* while it is under way */
    size_t length;
} request_t;

typedef struct load_t {
    struct sockaddr_in to;
    int64_t start; /* µs of CLOCK_MONOTONIC */
    int epoll, timer;
    request_t *requests;
    size_t n, next, over;
} load_t;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void read_plan(load_t *load)
{
    load->requests = calloc(REQUESTS_MAX, sizeof(request_t)); /* pages that stay untouched cost nothing */
    if (!load->requests)
        die("calloc");
    while (load->n < REQUESTS_MAX) {
        request_t *r = &load->requests[load->n];
        long long due;

        if (scanf("%lld %199s", &due, r->target) != 2)
            break;
        r->due = due;
        r->fd = -1;
        load->n++;
    }
    if (!feof(stdin) || !load->n) {
        fprintf(stderr, "openloop: line %zu of the plan is wrong\n", load->n + 1);
        exit(1);
    }
}

static void set_timer(load_t *load, int64_t at)
{
    struct itimerspec t = {.it_value = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000}};

    if (timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &t, NULL))
        die("timerfd_settime");
}

static void end(load_t *load, request_t *r, int status)
{
    r->status = status;
    r->done = clock_us() - load->start;
    close(r->fd);
    free(r->answer);
    r->fd = -1;
    load->over++;
}

static void begin(load_t *load, request_t *r)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = r};

    r->sent = clock_us() - load->start;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    r->answer = malloc(ANSWER_MAX);
    if (r->fd < 0 || !r->answer)
        die("socket");
    if (connect(r->fd, (struct sockaddr *)&load->to, sizeof load->to) && errno != EINPROGRESS)
        end(load, r, 0);
    else if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, r->fd, &event))
        die("epoll_ctl");
}

static void send_request(load_t *load, request_t *r)
{
    char text[TARGET_MAX + 100];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", r->target);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};

    if (send(r->fd, text, (size_t)length, MSG_NOSIGNAL) != length)
        end(load, r, 0);
    else if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, r->fd, &event))
        die("epoll_ctl");
}

/* Its status, once it is whole; 0 before. An answer without Content-Length is whole when the connection ends.
 */
static int whole(request_t *r, bool ended)
{
    char *body, *field;
    int status;

    r->answer[r->length] = '\0';
    body = strstr(r->answer, "\r\n\r\n");
    if (!body || sscanf(r->answer, "HTTP/1.%*1d %3d", &status) != 1)
        return 0;
    field = strcasestr(r->answer, "\r\nContent-Length:");
    if (!field || field > body)
        return ended ? status : 0;
    return r->length - (size_t)(body + 4 - r->answer) >= strtoul(field + 17, NULL, 10) ? status : 0;
}

static void receive(load_t *load, request_t *r)
{
    ssize_t n = recv(r->fd, r->answer + r->length, ANSWER_MAX - 1 - r->length, 0);
    int status;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->length += n > 0 ? (size_t)n : 0;
    status = whole(r, n == 0);
    if (status || n <= 0 || r->length == ANSWER_MAX - 1)
        end(load, r, status);
}

static void begin_those_due(load_t *load)
{
    uint64_t expirations;

    if (read(load->timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        die("timerfd");
    while (load->next < load->n && load->requests[load->next].due <= clock_us() - load->start)
        begin(load, &load->requests[load->next++]);
    if (load->next < load->n)
        set_timer(load, load->start + load->requests[load->next].due);
}

static void run(load_t *load)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event events[EVENTS];
    int64_t give_up;

    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->epoll < 0 || load->timer < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event))
        die("epoll");
    load->start = clock_us() + 10000;
    give_up = load->start + load->requests[load->n - 1].due + PATIENCE_US;
    set_timer(load, load->start + load->requests[0].due);
    while (load->over < load->n && clock_us() < give_up) {
        int n = epoll_wait(load->epoll, events, EVENTS, 1000);

        for (int i = 0; i < n; i++) {
            request_t *r = events[i].data.ptr;

            if (!r)
                begin_those_due(load);
            else if (events[i].events & EPOLLOUT)
                send_request(load, r);
            else
                receive(load, r);
        }
    }
}

int main(int argc, char **argv)
{
    static load_t load;
    struct rlimit files;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT <plan >result\n", argv[0]);
        return 1;
    }
    load.to.sin_family = AF_INET;
    load.to.sin_port = htons((uint16_t)atoi(argv[1]));
    load.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_TIMERSLACK, 1000UL);      /* ns */
    if (setpriority(PRIO_PROCESS, 0, -10)) /* where it may: the clock should not wait for the servers */
        errno = 0;
    read_plan(&load);
    run(&load);
    for (size_t i = 0; i < load.n; i++) {
        request_t *r = &load.requests[i];

        printf("%d %lld %lld\n", r->status, (long long)(r->done - r->due), (long long)(r->sent - r->due));
    }
    return 0;
}
