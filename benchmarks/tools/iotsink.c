/* iotsink - the target of the benchmarks: counts what a gateway delivers, each (device, sequence) once.
 *
 *   iotsink --mqtt 1884          an MQTT 3.1.1 broker that acknowledges QoS 0 to 2 and routes nothing
 *   iotsink --http 8099          an HTTP/1.1 server: keep-alive, pipelining, Content-Length or chunked
 *   iotsink --subscribe 1883     an MQTT subscriber (QoS 0) of a real broker on 127.0.0.1, --topic '#'
 *
 *   --devices N (65536), --sequences N (65536)   what can be counted; what lies outside is "strange"
 *   --http-status N (200)    --secs N (3600)     lifetime at most
 *
 * Port 0 is any port; the first line on stdout is {"http":PORT,"mqtt":PORT}. Then it obeys lines on stdin:
 *   stats        print the counts as one JSON line
 *   away, back   close all connections and refuse new ones; listen again
 *   ledger FILE  write which (device, sequence) have arrived, and print an empty object
 *   status N     answer HTTP with this status from now on (what is refused is not counted)
 * and ends, with a last line of counts, when stdin does. Loopback only.
 *
 * Bodies are scanned for  dev-<n>  and then  "seq": <m>; a body may carry many readings.  "t0": <n>
 * (CLOCK_MONOTONIC microseconds, written by coapload and passed on by the converter) gives the delay.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "ledger.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 8192
#define ROOM (4 << 20)                /* the largest request or packet */

enum kind { COMMANDS, LISTEN_HTTP, LISTEN_MQTT, HTTP, BROKER, SUBSCRIBER };
struct connection { enum kind kind; uint8_t *buffer; size_t length; };

static struct connection *connection[MAX_FD];
static struct ledger ledger;
static struct histogram delay;        /* microseconds */
static struct { uint64_t deliveries, readings, unique, duplicates, strange, octets, connections, first, last; } counts;
static int epoll, http_port = -1, mqtt_port = -1, http_status = 200;
static bool finished;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void print_counts(void)
{
    double span = (double)(counts.last - counts.first) / 1e9;
#define U(x) (unsigned long long)(x)
    printf("{\"deliveries\":%llu,\"readings\":%llu,\"unique\":%llu,\"duplicates\":%llu,\"strange\":%llu,\"octets\":%llu,"
           "\"connections\":%llu,\"span\":%.3f,\"rate\":%.1f,\"first_us\":%llu,\"last_us\":%llu,"
           "\"delay_ms\":{\"p50\":%.2f,\"p99\":%.2f,\"p99.9\":%.2f,\"max\":%.2f}}\n",
           U(counts.deliveries), U(counts.readings), U(counts.unique), U(counts.duplicates), U(counts.strange), U(counts.octets),
           U(counts.connections), span, span > 0 ? (double)counts.unique / span : 0, U(counts.first / 1000), U(counts.last / 1000),
           histogram_percentile(&delay, 50) / 1e3, histogram_percentile(&delay, 99) / 1e3,
           histogram_percentile(&delay, 99.9) / 1e3, histogram_percentile(&delay, 100) / 1e3);
    fflush(stdout);
}

/* ---- bodies ------------------------------------------------------------------------------- */
static uint64_t number(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    uint64_t value = 0;
    while (p < end && !isdigit(*p)) p++;
    for (; p < end && isdigit(*p); p++) value = value * 10 + *p - '0';
    *at = p;
    return value;
}

static bool here(const uint8_t *p, const uint8_t *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) > n && !memcmp(p, word, n);
}

static void count_body(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    uint64_t device = UINT64_MAX;
    counts.deliveries++;
    counts.octets += n;
    counts.last = now_ns();
    if (!counts.first) counts.first = counts.last;
    while (p < end) {
        if (*p == 'd' && here(p, end, "dev-")) device = number(&p, end);
        else if (*p == '"' && here(p, end, "\"seq\"")) {
            p += 5;
            counts.readings++;
            switch (ledger_mark(&ledger, device, number(&p, end))) {
            case 1: counts.unique++; break;
            case 0: counts.duplicates++; break;
            default: counts.strange++;
            }
        } else if (*p == '"' && here(p, end, "\"t0\"")) {
            p += 4;
            uint64_t sent = number(&p, end);
            if (sent && counts.last / 1000 > sent) histogram_add(&delay, counts.last / 1000 - sent);
        } else p++;
    }
}

/* ---- connections -------------------------------------------------------------------------- */
static void add(int fd, enum kind kind)
{
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    struct connection *c = connection[fd] = calloc(1, sizeof *c);
    c->kind = kind;
    if (kind == COMMANDS || kind >= HTTP) c->buffer = malloc(ROOM);
    if (kind >= HTTP) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void drop(int fd)
{
    free(connection[fd]->buffer);
    free(connection[fd]);
    connection[fd] = NULL;
    close(fd);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int listen_on(int port, enum kind kind)         /* returns the port */
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = loopback(port);
    socklen_t size = sizeof a;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&a, sizeof a) || listen(fd, 1024) || getsockname(fd, (void *)&a, &size)) {
        perror("listen");
        exit(1);
    }
    add(fd, kind);
    return ntohs(a.sin_port);
}

static void reply(int fd, const void *p, size_t n)     /* replies are tiny; a full socket blocks briefly */
{
    while (n) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
            usleep(100);
            continue;
        }
        if (r < 0) return;
        p = (const char *)p + r;
        n -= (size_t)r;
    }
}

static void subscribe(int port, const char *topic)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), length = (int)strlen(topic), n = 0;
    struct sockaddr_in a = loopback(port);
    uint8_t b[300];
    if (connect(fd, (void *)&a, sizeof a)) {
        perror("connect");
        exit(1);
    }
    reply(fd, "\x10\x13\0\4MQTT\4\2\x0e\x10\0\7iotsink", 21);
    b[n++] = 0x82;
    b[n++] = (uint8_t)(length + 5);
    b[n++] = 0; b[n++] = 1; b[n++] = 0;
    b[n++] = (uint8_t)length;
    memcpy(b + n, topic, (size_t)length);
    n += length;
    b[n++] = 0;
    reply(fd, b, (size_t)n);
    add(fd, SUBSCRIBER);
}

/* ---- HTTP: octets used by the first request, 0 when it is incomplete, -1 when it is wrong --- */
static long gather_chunks(uint8_t *b, size_t n, size_t head, size_t *body)
{
    size_t at = head, used;
    *body = 0;
    for (;;) {                        /* is all of it there? */
        uint8_t *line = memmem(b + at, n - at, "\r\n", 2);
        if (!line) return 0;
        size_t size = strtoul((char *)b + at, NULL, 16);
        at = (size_t)(line + 2 - b);
        if (at + size + 2 > n) return 0;
        at += size + 2;
        if (!size) break;
    }
    used = at;
    for (at = head;;) {
        uint8_t *line = memmem(b + at, n - at, "\r\n", 2);
        size_t size = strtoul((char *)b + at, NULL, 16);
        if (!size) return (long)used;
        at = (size_t)(line + 2 - b);
        memmove(b + head + *body, b + at, size);
        *body += size;
        at += size + 2;
    }
}

static long http_request(int fd, uint8_t *b, size_t n)
{
    uint8_t *blank = memmem(b, n, "\r\n\r\n", 4);
    if (!blank) return n > 65536 ? -1 : 0;
    size_t head = (size_t)(blank + 4 - b), length = 0;
    bool chunked = false, expects = false;
    *blank = 0;
    for (char *p = strstr((char *)b, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (!strncasecmp(p, "content-length:", 15)) length = strtoul(p + 15, NULL, 10);
        else if (!strncasecmp(p, "transfer-encoding:", 18) && strcasestr(p, "chunked")) chunked = true;
        else if (!strncasecmp(p, "expect:", 7)) expects = true;
    }
    *blank = '\r';
    if (expects && n == head) reply(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    long used = (long)(head + length);
    if (chunked) {
        used = gather_chunks(b, n, head, &length);
        if (!used) return 0;
    } else if ((size_t)used > n) return used > ROOM - 1 ? -1 : 0;
    if (http_status < 300) count_body(b + head, length);
    char answer[160];
    int k = snprintf(answer, sizeof answer, "HTTP/1.1 %d Counted\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok", http_status);
    reply(fd, answer, (size_t)k);
    return used;
}

/* ---- MQTT 3.1.1: as above ----------------------------------------------------------------- */
static long mqtt_packet(int fd, uint8_t *b, size_t n)
{
    size_t length = 0, i = 1;
    for (int shift = 0;; shift += 7) {
        if (i >= n) return 0;
        if (i > 4) return -1;
        length |= (size_t)(b[i] & 127) << shift;
        if (!(b[i++] & 128)) break;
    }
    if (n < i + length) return length > ROOM - 16 ? -1 : 0;
    uint8_t *p = b + i;
    int qos = b[0] >> 1 & 3;
    switch (b[0] >> 4) {
    case 1: reply(fd, "\x20\x02\0\0", 4); break;
    case 3: {                         /* PUBLISH */
        size_t topic = (size_t)(p[0] << 8 | p[1]), payload = 2 + topic + (qos ? 2 : 0);
        if (payload > length) return -1;
        count_body(p + payload, length - payload);
        uint8_t ack[4] = { qos == 1 ? 0x40 : 0x50, 2, p[2 + topic], p[3 + topic] };
        if (qos) reply(fd, ack, 4);
        break; }
    case 6: reply(fd, (uint8_t[]){ 0x70, 2, p[0], p[1] }, 4); break;       /* PUBREL */
    case 8: reply(fd, (uint8_t[]){ 0x90, 3, p[0], p[1], 1 }, 5); break;    /* SUBSCRIBE */
    case 12: reply(fd, "\xd0\0", 2); break;                                /* PINGREQ */
    case 14: return -1;
    }
    return (long)(i + length);
}

/* ---- commands ----------------------------------------------------------------------------- */
static void go_away(void)
{
    for (int fd = 0; fd < MAX_FD; fd++) if (connection[fd] && connection[fd]->kind != COMMANDS) drop(fd);
}

static void come_back(void)
{
    if (http_port >= 0) http_port = listen_on(http_port, LISTEN_HTTP);
    if (mqtt_port >= 0) mqtt_port = listen_on(mqtt_port, LISTEN_MQTT);
}

static long command(uint8_t *b, size_t n)
{
    uint8_t *end = memchr(b, '\n', n);
    if (!end) return 0;
    *end = 0;
    char *line = (char *)b;
    if (!strcmp(line, "stats")) print_counts();
    else {
        bool ok = true;
        if (!strcmp(line, "away")) go_away();
        else if (!strcmp(line, "back")) come_back();
        else if (!strncmp(line, "ledger ", 7)) ok = ledger_write(&ledger, line + 7);
        else if (!strncmp(line, "status ", 7)) http_status = atoi(line + 7);
        else ok = false;
        printf(ok ? "{}\n" : "{\"error\":\"%s\"}\n", line);
        fflush(stdout);
    }
    return end + 1 - b;
}

static void readable(int fd)
{
    struct connection *c = connection[fd];
    if (c->kind == LISTEN_HTTP || c->kind == LISTEN_MQTT) {
        int s;
        while ((s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            counts.connections++;
            add(s, c->kind == LISTEN_HTTP ? HTTP : BROKER);
        }
        return;
    }
    ssize_t r = read(fd, c->buffer + c->length, ROOM - c->length - 1);
    if (r < 0 && (errno == EAGAIN || errno == EINTR)) return;
    long used = 0;
    if (r > 0) {
        size_t offset = 0;
        c->length += (size_t)r;
        c->buffer[c->length] = 0;
        while (offset < c->length) {
            uint8_t *b = c->buffer + offset;
            size_t n = c->length - offset;
            used = c->kind == COMMANDS ? command(b, n) : c->kind == HTTP ? http_request(fd, b, n) : mqtt_packet(fd, b, n);
            if (used <= 0) break;
            offset += (size_t)used;
        }
        memmove(c->buffer, c->buffer + offset, c->length - offset);
        c->length -= offset;
    }
    if (r > 0 && used >= 0) return;
    if (c->kind == COMMANDS) finished = true;
    else drop(fd);
}

static void usage(void)
{
    fputs("see the head of iotsink.c\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    const char *topic = "#";
    int broker = 0;
    uint64_t devices = 65536, sequences = 65536;
    double seconds = 3600;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) usage();
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--http")) http_port = atoi(value);
        else if (!strcmp(name, "--mqtt")) mqtt_port = atoi(value);
        else if (!strcmp(name, "--subscribe")) broker = atoi(value);
        else if (!strcmp(name, "--topic")) topic = value;
        else if (!strcmp(name, "--http-status")) http_status = atoi(value);
        else if (!strcmp(name, "--devices")) devices = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--sequences")) sequences = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--secs")) seconds = atof(value);
        else usage();
    }
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!ledger_open(&ledger, devices, sequences)) {
        perror("ledger");
        return 1;
    }
    come_back();
    if (broker) subscribe(broker, topic);
    add(STDIN_FILENO, COMMANDS);
    printf("{\"http\":%d,\"mqtt\":%d}\n", http_port, mqtt_port);
    fflush(stdout);

    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event event[128];
    while (!finished && now_ns() < end) {
        int n = epoll_wait(epoll, event, 128, 1000);
        for (int i = 0; i < n; i++) if (connection[event[i].data.fd]) readable(event[i].data.fd);
    }
    print_counts();
    return 0;
}
