/* load.c - see load.h. */
#define _GNU_SOURCE
#include "load.h"
#include "histogram.h"
#include "ledger.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TICK 10000000ull              /* ns between looks at the deadlines */
#define RECORD_OCTETS 24
#define HEADROOM 512                  /* of a message over its body: header, options, frame */

struct load load = {
    .host = "127.0.0.1", .devices = 100, .seconds = 5, .ack_timeout = 2.0, .max_retransmit = 4,
    .count = UINT64_MAX, .first = 1, .sequences = 65536,
};

static struct histogram latency;
static struct ledger acked;
static int *idle, *under_way, idle_head, idle_count, under_way_count;
static uint64_t random_state = 88172645463325252ull;
static volatile sig_atomic_t interrupted;
static struct { uint64_t started, answered; double seconds, own_cpu; } result;

void die(const char *format, ...)
{
    va_list a;
    va_start(a, format);
    vfprintf(stderr, format, a);
    va_end(a);
    fputc('\n', stderr);
    exit(2);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static double uniform(void)           /* xorshift64; 0 … 1 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static void on_signal(int number) { (void)number; interrupted = 1; }

/* ---- options ------------------------------------------------------------------------------ */
bool load_option(int option, const char *value)
{
    switch (option) {
    case 'H': load.host = value; break;
    case 'p': load.port = atoi(value); break;
    case 'n': load.devices = atoi(value); break;
    case 'w': load.window = atoi(value); break;
    case 's': load.channels = atoi(value); break;
    case 't': load.seconds = atof(value); break;
    case 'c': load.count = strtoull(value, NULL, 10); break;
    case 256: load.rate = atof(value); break;
    case 257: load.poisson = true; break;
    case 258: load.text = value; break;
    case 259: load.size = atoi(value); break;
    case 260: load.base = (uint32_t)strtoul(value, NULL, 10); break;
    case 261: load.ack_timeout = atof(value); break;
    case 262: load.max_retransmit = atoi(value); break;
    case 263: load.acked = value; break;
    case 264: load.sequences = (uint32_t)strtoul(value, NULL, 10); break;
    case 265: load.first = (uint32_t)strtoul(value, NULL, 10); break;
    default: return false;
    }
    return true;
}

static void resolve(void)
{
    struct sockaddr_in *v4 = (void *)&load.address;
    struct sockaddr_in6 *v6 = (void *)&load.address;
    if (inet_pton(AF_INET, load.host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)load.port);
        load.address_length = sizeof *v4;
    } else if (inet_pton(AF_INET6, load.host, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)load.port);
        load.address_length = sizeof *v6;
    } else die("expected a loopback address, got %s", load.host);
}

void load_open(void)
{
    if (load.devices < 1 || load.devices > 1 << 20) die("-n: expected 1 to %d devices, got %d", 1 << 20, load.devices);
    if (load.seconds <= 0 || load.seconds > 3600) die("-t: expected up to 3600 seconds, got %g", load.seconds);
    if (load.port < 1 || load.port > 65535) die("-p: expected a port, got %d", load.port);
    if (load.size > 1400) die("--size: expected at most 1400 octets, got %d", load.size);
    if (load.window < 1 || load.window > load.devices) load.window = load.devices;
    if (load.channels < 1 || load.channels > load.devices) load.channels = load.devices;
    resolve();

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);

    size_t n = (size_t)load.devices;
    load.message_room = HEADROOM + (load.text ? 1400 : load.size > RECORD_OCTETS ? load.size : RECORD_OCTETS);
    load.device = calloc(n, sizeof *load.device);
    load.channel = calloc((size_t)load.channels, sizeof *load.channel);
    idle = calloc(n, sizeof *idle);
    under_way = calloc(n, sizeof *under_way);
    uint8_t *messages = calloc(n, (size_t)load.message_room);
    if (!load.device || !load.channel || !idle || !under_way || !messages) die("no memory");
    if (load.acked && !ledger_open(&acked, load.base + n, load.sequences)) die("no memory for the ledger");
    random_state ^= now_ns();
    /* A run may get the port of the one before: its Message IDs must not be those of the last 247 s
     * (RFC 7252 §4.4), or the server rightly takes its requests for copies. */
    double ids = (double)(now_ns() / 1000000000 % 16 * 2048);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < load.channels; i++) load.channel[i] = LOAD_NO_CHANNEL;
    for (int i = 0; i < load.devices; i++) {
        load.device[i] = (struct device){
            .id = load.base + (uint32_t)i, .index = (uint32_t)i, .channel = i % load.channels, .slot = -1,
            .sequence = load.first - 1,
            .message_id = (uint16_t)(ids + uniform() * 1024), .message = messages + (size_t)i * (size_t)load.message_room,
        };
        idle[i] = i;
    }
    idle_count = load.devices;
}

void load_watch(int channel, int fd, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.u32 = (uint32_t)channel };
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl: %s", strerror(errno));
    load.channel[channel] = fd;
    load.connections++;
}

/* ---- bodies ------------------------------------------------------------------------------- */
int load_expand(char *out, int room, const char *pattern, const struct device *d)
{
    int n = 0;
    while (*pattern && n < room - 24) {
        unsigned modulus, width;
        if (!strncmp(pattern, "{id}", 4)) {
            n += sprintf(out + n, "%u", d->id);
            pattern += 4;
        } else if (!strncmp(pattern, "{seq}", 5)) {
            n += sprintf(out + n, "%u", d->sequence);
            pattern += 5;
        } else if (sscanf(pattern, "{id%%%u}%n", &modulus, (int *)&width) == 1 && modulus) {
            n += sprintf(out + n, "%u", d->id % modulus);
            pattern += width;
        } else out[n++] = *pattern++;
    }
    out[n] = 0;
    return n;
}

static uint8_t *put(uint8_t *p, uint64_t value, int octets)     /* big-endian */
{
    for (int i = octets - 1; i >= 0; i--) *p++ = (uint8_t)(value >> (8 * i));
    return p;
}

/* The record: u32 device, u32 sequence, i16 temperature * 100, u8 humidity, u8 flags, u16 battery mV,
 * u16 zero, u64 CLOCK_MONOTONIC microseconds when the message was due. */
int load_body(uint8_t *out, const struct device *d)
{
    int n;
    if (load.text) n = load_expand((char *)out, 1400, load.text, d);
    else {
        uint8_t *p = out;
        p = put(p, d->id, 4);
        p = put(p, d->sequence, 4);
        p = put(p, 1800 + d->sequence % 700, 2);
        p = put(p, 30 + d->id % 50, 1);
        p = put(p, 1, 1);
        p = put(p, 3600 - d->sequence % 400, 2);
        p = put(p, 0, 2);
        p = put(p, d->due / 1000, 8);
        n = (int)(p - out);
    }
    while (n < load.size) out[n++] = 0;
    return n;
}

/* ---- a request's life --------------------------------------------------------------------- */
static void start(const struct transport *t, uint64_t due, uint64_t now)
{
    struct device *d = &load.device[idle[idle_head]];
    idle_head = (idle_head + 1) % load.devices;
    idle_count--;
    d->slot = under_way_count;
    under_way[under_way_count++] = (int)d->index;
    d->sequence++;
    d->tries = 0;
    d->due = due;
    d->state = WAITING;
    /* RFC 7252 §4.8: ACK_RANDOM_FACTOR 1.5 */
    d->interval = (uint64_t)(load.ack_timeout * 1e9 * (t->retransmits ? 1 + 0.5 * uniform() : 1));
    d->deadline = now + d->interval;
    load.sent++;
    t->build(d);
    t->send(d);
}

void load_done(struct device *d, enum result r, uint64_t now)
{
    if (d->state == IDLE) return;
    switch (r) {
    case ANSWERED:
        load.answered++;
        histogram_add(&latency, now - d->due);
        if (load.acked && ledger_mark(&acked, d->id, d->sequence) < 0) die("--sequences is too small for this run");
        break;
    case CLIENT_ERROR: load.client_errors++; break;
    case SERVER_ERROR: load.server_errors++; break;
    case RESET: load.resets++; break;
    case TIMED_OUT: load.timeouts++; break;
    }
    int last = under_way[--under_way_count];
    under_way[d->slot] = last;
    load.device[last].slot = d->slot;
    d->slot = -1;
    d->state = IDLE;
    idle[(idle_head + idle_count++) % load.devices] = (int)d->index;
}

struct device *load_under_way(int i) { return i < under_way_count ? &load.device[under_way[i]] : NULL; }

static void expire(const struct transport *t, uint64_t now)
{
    for (int i = 0; i < under_way_count; i++) {
        struct device *d = &load.device[under_way[i]];
        if (t->tick) t->tick(d, now);
        if (d->deadline > now || d->state == IDLE) continue;
        if (t->retransmits && d->state == WAITING && d->tries < load.max_retransmit) {
            d->tries++;
            d->interval *= 2;
            d->deadline = now + d->interval;
            load.retransmits++;
            t->send(d);
        } else {
            if (t->gave_up) t->gave_up(d);
            load_done(d, TIMED_OUT, now);
            i--;
        }
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */
static double own_cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Starts what is due; returns when the next request is due (open loop). */
static uint64_t start_due(const struct transport *t, uint64_t next, int timer)
{
    uint64_t now = now_ns();
    if (load.rate <= 0) {
        while (under_way_count < load.window && idle_count && load.sent < load.count) {
            now = now_ns();
            start(t, now, now);
        }
        return next;
    }
    while (next <= now && idle_count && under_way_count < load.window && load.sent < load.count) {
        start(t, next, now);
        next += (uint64_t)(1e9 / load.rate * (load.poisson ? -log(1 - uniform()) : 1));
    }
    if (next > now) {
        struct itimerspec s = { .it_value = { (time_t)(next / 1000000000ull), (long)(next % 1000000000ull) } };
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &s, NULL);
    }
    return next;
}

void load_run(const struct transport *t)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event[256], e = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
    epoll_ctl(load.epoll, EPOLL_CTL_ADD, timer, &e);
    uint64_t begin = now_ns(), end = begin + (uint64_t)(load.seconds * 1e9), next = begin, scanned = begin;
    double cpu = own_cpu();
    bool draining = false;
    result.started = begin;
    for (;;) {
        uint64_t now = now_ns();
        if (!draining && (now >= end || interrupted || load.sent >= load.count)) {
            draining = true;          /* stragglers count, but not into the rate */
            result.seconds = (double)(now - begin) / 1e9;
            result.answered = load.answered;
            result.own_cpu = own_cpu() - cpu;
            double patience = load.ack_timeout * (t->retransmits ? 1.5 * (double)(2 << load.max_retransmit) : 2);
            end = now + (uint64_t)((patience < 20 ? patience : 20) * 1e9);
        }
        if (draining && (under_way_count == 0 || now >= end)) break;
        if (!draining) next = start_due(t, next, timer);
        int n = epoll_wait(load.epoll, event, 256, 10);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            uint64_t expirations;
            if (event[i].data.u32 != UINT32_MAX) t->readable((int)event[i].data.u32, event[i].events, now);
            else if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
        }
        if (now - scanned > TICK) {
            expire(t, now);
            scanned = now;
        }
    }
    if (load.sent >= load.count) {    /* a run of a fixed count lasts until its last answer */
        result.seconds = (double)(now_ns() - begin) / 1e9;
        result.answered = load.answered;
        result.own_cpu = own_cpu() - cpu;
    }
    close(timer);
}

void load_report(void)
{
    if (load.acked && !ledger_write(&acked, load.acked)) die("%s: %s", load.acked, strerror(errno));
#define U(x) (unsigned long long)(x)
#define MS(p) histogram_percentile(&latency, p) / 1e6
    printf("{\"started_us\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"sent\":%llu,\"answered\":%llu,\"client_errors\":%llu,"
           "\"server_errors\":%llu,\"resets\":%llu,\"timeouts\":%llu,\"unanswered\":%d,\"retransmits\":%llu,\"strange\":%llu,"
           "\"send_errors\":%llu,\"connections\":%llu,\"ms\":{\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,"
           "\"p99.9\":%.3f,\"max\":%.3f},\"own_cpu\":%.3f}\n",
           U(result.started / 1000), result.seconds, result.seconds > 0 ? (double)result.answered / result.seconds : 0, U(load.sent),
           U(load.answered), U(load.client_errors), U(load.server_errors), U(load.resets), U(load.timeouts), under_way_count,
           U(load.retransmits), U(load.strange), U(load.send_errors), U(load.connections),
           latency.count ? (double)latency.sum / (double)latency.count / 1e6 : 0,
           MS(50), MS(90), MS(99), MS(99.9), MS(100), result.own_cpu);
    fflush(stdout);
}
