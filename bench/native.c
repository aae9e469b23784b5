/* Load generator and receiver of the benchmarks, cheap enough not to count (compiled by native.py).

   native load PORT CONNECTIONS SECONDS MAX RATE FIRST TEMPLATE RESULT [OFFSET:WIDTH:MODULUS ...]
   native receive PORT

   What they do is described in load_generator.py and receiver.py, which do the same without a
   compiler. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define MOST_FIELDS 16
#define MOST_NUMBERS (64 * 1000 * 1000)

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* The bytes that have arrived on a connection. */
struct buffer {
    char *bytes;
    size_t length, size;
};

static ssize_t receive(int fd, struct buffer *b) {
    if (b->size - b->length < 65536) {
        b->size = b->size ? b->size * 2 : 131072;
        b->bytes = realloc(b->bytes, b->size);
        if (!b->bytes) fail("realloc");
    }
    ssize_t got = recv(fd, b->bytes + b->length, b->size - b->length - 1, 0);
    if (got > 0) b->length += got;
    b->bytes[b->length] = 0;
    return got;
}

/* The length of the first whole message in the buffer, or 0. */
static size_t whole(struct buffer *b) {
    char *end = memmem(b->bytes, b->length, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0; /* the search ends here */
    char *field = strcasestr(b->bytes, "content-length:");
    *end = '\r';
    size_t length = end + 4 - b->bytes + (field ? strtoul(field + 15, NULL, 10) : 0);
    return b->length >= length ? length : 0;
}

static void send_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EPIPE || errno == ECONNRESET) return;
            fail("send");
        }
        bytes += sent;
        length -= sent;
    }
}

/* Load */

struct connection {
    int fd;
    int64_t number;
    double since;
    struct buffer in;
};

struct record {
    int64_t number;
    double began, wait;
    int64_t accepted;
};

struct field {
    size_t offset;
    int width;
    int64_t modulus;
};

static int connected(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void arm(int timer, double at) {
    struct itimerspec when = {.it_value = {(time_t)at, (long)((at - (time_t)at) * 1e9) + 1}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void load(int count, char **arguments) {
    if (count < 8) exit(2);
    int port = atoi(arguments[0]), connections = atoi(arguments[1]);
    double seconds = atof(arguments[2]), rate = atof(arguments[4]);
    int64_t most = atoll(arguments[3]), number = atoll(arguments[5]);
    struct field fields[MOST_FIELDS];
    int field_count = 0;
    for (int i = 8; i < count && field_count < MOST_FIELDS; i++, field_count++) {
        struct field *f = &fields[field_count];
        sscanf(arguments[i], "%zu:%d:%ld", &f->offset, &f->width, &f->modulus);
    }
    static char template[65536];
    FILE *file = fopen(arguments[6], "rb");
    if (!file) fail(arguments[6]);
    size_t length = fread(template, 1, sizeof template, file);
    fclose(file);

    int poll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
    struct connection *all = calloc(connections, sizeof *all), **idle = calloc(connections, sizeof *idle);
    for (int i = 0; i < connections; i++) {
        all[i].fd = connected(port);
        event.data.ptr = idle[i] = &all[i];
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    size_t kept = 0, capacity = 1 << 16;
    struct record *records = malloc(capacity * sizeof *records);
    int free_count = connections;
    int64_t sent = 0, busy = 0;
    double start = now(), due = start, ends = seconds > 0 ? start + seconds : 1e18;
    for (;;) {
        double at = now();
        int going = at < ends && (!most || sent < most);
        while (going && free_count && (rate <= 0 || at >= due)) {
            struct connection *c = idle[--free_count];
            c->number = number++;
            c->since = rate > 0 ? due : at;
            for (int i = 0; i < field_count; i++) {
                int64_t value = fields[i].modulus ? c->number % fields[i].modulus : c->number;
                for (int place = fields[i].width - 1; place >= 0; place--, value /= 10)
                    template[fields[i].offset + place] = '0' + value % 10;
            }
            send_all(c->fd, template, length);
            sent++, busy++;
            if (rate > 0) due += 1 / rate;
            going = at < ends && (!most || sent < most);
        }
        if (!busy && !going) break;
        if (rate > 0 && going && free_count) arm(timer, due);
        int found = epoll_wait(poll, events, EVENTS, 1000);
        for (int i = 0; i < found; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                uint64_t ignored;
                if (read(timer, &ignored, sizeof ignored) < 0) continue;
                continue;
            }
            if (receive(c->fd, &c->in) <= 0) fail("the server closed a connection");
            if (!whole(&c->in)) continue;
            if (kept == capacity) records = realloc(records, (capacity *= 2) * sizeof *records);
            records[kept++] = (struct record){c->number, c->since, now() - c->since,
                                              c->in.bytes[9] == '2'};
            c->in.length = 0;
            idle[free_count++] = c;
            busy--;
        }
    }
    double taken = now() - start;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    file = fopen(arguments[7], "wb");
    if (!file || fwrite(records, sizeof *records, kept, file) != kept || fclose(file)) fail("result");
    printf("{\"first\": %.9f, \"seconds\": %.9f, \"cpu_seconds\": %.6f}\n", start, taken,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec +
               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

/* Receiver */

static double *seen;
static int64_t highest = -1, seen_count, repeated, answers;
static double last;

static void answer(int fd, const char *status, const char *body, size_t length) {
    char head[160];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                        status, length);
    if (length < 4096) { /* one packet */
        char both[4096 + 160];
        memcpy(both, head, size);
        memcpy(both + size, body, length);
        send_all(fd, both, size + length);
        return;
    }
    send_all(fd, head, size);
    send_all(fd, body, length);
}

static void tell_seen(int fd) {
    size_t size = 64 + seen_count * 40, at = 0;
    char *text = malloc(size);
    at += snprintf(text, size, "{\"seen\": {");
    int first = 1;
    for (int64_t number = 0; number <= highest; number++) {
        if (seen[number] == 0) continue;
        at += snprintf(text + at, size - at, "%s\"%ld\": %.6f", first ? "" : ",", number, seen[number]);
        first = 0;
    }
    at += snprintf(text + at, size - at, "}}");
    answer(fd, "200 OK", text, at);
    free(text);
}

static void handle(int fd, char *request, size_t length) {
    char body[200];
    if (!strncmp(request, "GET /seen", 9)) return tell_seen(fd);
    if (!strncmp(request, "GET ", 4)) {
        int size = snprintf(body, sizeof body, "{\"count\": %ld, \"repeated\": %ld, \"last\": %.6f}",
                            seen_count, repeated, last);
        return answer(fd, "200 OK", body, size);
    }
    if (!strncmp(request, "DELETE", 6)) {
        memset(seen, 0, (highest + 1) * sizeof *seen);
        highest = -1, seen_count = repeated = 0, last = 0;
        return answer(fd, "200 OK", "{}", 2);
    }
    char *text = memmem(request, length, "\"bench ", 7);
    int64_t number = text ? strtoll(text + 7, NULL, 10) : -1;
    if (number >= 0 && number < MOST_NUMBERS) {
        if (seen[number] != 0) {
            repeated++;
        } else {
            seen[number] = last = now();
            seen_count++;
            if (number > highest) highest = number;
        }
    }
    int size = snprintf(body, sizeof body,
                        "{\"id\": \"sent-%ld\", \"owner\": \"+12025550143\", \"segmentCount\": 1,"
                        " \"access_token\": \"bench\", \"expires_in\": 3600}",
                        ++answers);
    answer(fd, "202 Accepted", body, size);
}

static void serve(int port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&here, sizeof here) || listen(server, 512)) fail("listen");
    seen = calloc(MOST_NUMBERS, sizeof *seen); /* pages that are not used take no memory */
    if (!seen) fail("calloc");
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, server, &event);
    for (;;) {
        int found = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                c = calloc(1, sizeof *c);
                c->fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event.data.ptr = c;
                epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
                continue;
            }
            if (receive(c->fd, &c->in) <= 0) {
                close(c->fd);
                free(c->in.bytes);
                free(c);
                continue;
            }
            size_t length;
            while ((length = whole(&c->in))) {
                handle(c->fd, c->in.bytes, length);
                c->in.length -= length;
                memmove(c->in.bytes, c->in.bytes + length, c->in.length + 1);
            }
        }
    }
}

int main(int count, char **arguments) {
    if (count > 2 && !strcmp(arguments[1], "load"))
        load(count - 2, arguments + 2);
    else if (count == 3 && !strcmp(arguments[1], "receive"))
        serve(atoi(arguments[2]));
    else
        return 2;
    return 0;
}
