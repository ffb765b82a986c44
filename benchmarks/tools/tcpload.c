/* tcpload - plays N devices that send frames over TCP and prints rate, latency and losses as one JSON line.
 *
 *   tcpload -p 5500 --frame line --reply line -n 500 -t 5
 *   tcpload -p 55345 --frame tekelek --reply close --reconnect -n 500 -t 5
 *
 * A connection per device; with --reconnect a connection per message, as battery devices do it.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TEKELEK_OCTETS 140

static enum { RAW, LINE, LENGTH16, TEKELEK } frame;
static enum { ANY, UNTIL_LINE, NONE, UNTIL_CLOSE } reply;
static bool reconnect;
static double hold;

/* A scheduled upload of a TEK 822: product, revisions, contact reason, …; IMEI, counter and CRC are filled in. */
static const uint8_t tekelek_head[17] = {
    0x18, 0x02, 0x03, 0x01, 0x80, 0x19, 0x36, 0x08, 0x64, 0x43, 0x10, 0, 0, 0, 0, 0x04, 0x7b,
};
static const uint8_t tekelek_sample[4] = { 0x0a, 0x68, 0x2b, 0xfe };

static uint16_t crc16_xmodem(const uint8_t *p, int n)
{
    uint16_t crc = 0;
    while (n--) {
        crc ^= (uint16_t)(*p++ << 8);
        for (int i = 0; i < 8; i++) crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static int tekelek_frame(uint8_t *p, const struct device *d)
{
    memset(p, 0, TEKELEK_OCTETS);
    memcpy(p, tekelek_head, sizeof tekelek_head);
    uint32_t digits = d->id;
    for (int i = 14; i > 10; i--, digits /= 100) p[i] = (uint8_t)(digits / 10 % 10 << 4 | digits % 10);   /* packed BCD */
    p[17] = (uint8_t)(d->sequence >> 8);
    p[18] = (uint8_t)d->sequence;
    p[19] = 0x48;                     /* two tries left, 08 h */
    p[23] = 0x81;                     /* a sample each 15 min */
    for (int i = 0; i < 12; i++) memcpy(p + 26 + 4 * i, tekelek_sample, sizeof tekelek_sample);
    uint16_t crc = crc16_xmodem(p, TEKELEK_OCTETS - 2);
    p[TEKELEK_OCTETS - 2] = (uint8_t)(crc >> 8);
    p[TEKELEK_OCTETS - 1] = (uint8_t)crc;
    return TEKELEK_OCTETS;
}

static void build(struct device *d)
{
    int offset = frame == LENGTH16 ? 2 : 0;
    int n = frame == TEKELEK ? tekelek_frame(d->message, d) : load_body(d->message + offset, d);
    if (frame == LENGTH16) {
        d->message[0] = (uint8_t)(n >> 8);
        d->message[1] = (uint8_t)n;
    }
    if (frame == LINE) d->message[n++] = '\n';
    d->length = n + offset;
}

static void connect_device(int channel)
{
    int one = 1, fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s (raise ulimit -n, or use fewer -n)", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (void *)&load.address, load.address_length) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    load_watch(channel, fd, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void hang_up(struct device *d)
{
    if (load.channel[d->channel] == LOAD_NO_CHANNEL) return;
    close(load.channel[d->channel]);
    load.channel[d->channel] = LOAD_NO_CHANNEL;
}

static void write_frame(struct device *d)
{
    if (send(load.channel[d->channel], d->message, (size_t)d->length, MSG_NOSIGNAL) != d->length) load.send_errors++;
    else if (reply == NONE) {
        load_done(d, ANSWERED, now_ns());
        if (reconnect) hang_up(d);
    }
}

static void send_frame(struct device *d)
{
    if (load.channel[d->channel] != LOAD_NO_CHANNEL) {
        write_frame(d);
        return;
    }
    d->state = CONNECTING;
    connect_device(d->channel);
}

static bool complete(const uint8_t *b, ssize_t n) { return reply == ANY || (reply == UNTIL_LINE && memchr(b, '\n', (size_t)n)); }

static void readable(int channel, uint32_t events, uint64_t now)
{
    uint8_t b[4096];
    struct device *d = &load.device[channel];
    if (load.channel[channel] == LOAD_NO_CHANNEL) return;
    if (d->state == CONNECTING && events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) {
        d->state = WAITING;
        write_frame(d);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    while (load.channel[channel] != LOAD_NO_CHANNEL) {
        ssize_t n = recv(load.channel[channel], b, sizeof b, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            hang_up(d);
            load_done(d, n == 0 && reply == UNTIL_CLOSE ? ANSWERED : RESET, now);
            return;
        }
        if (d->state == WAITING && complete(b, n)) {
            load_done(d, ANSWERED, now);
            if (reconnect) hang_up(d);
        }
    }
}

static int choice(const char *option, const char *value, const char *const *names)
{
    for (int i = 0; names[i]; i++) if (!strcmp(value, names[i])) return i;
    die("%s: %s is not known", option, value);
}

static void usage(void)
{
    fputs("tcpload [options]\n" LOAD_USAGE
          "  --frame raw|line|u16|tekelek   --reply any|line|none|close\n"
          "  --reconnect  a connection per message   --hold SECONDS  wait with all connections open before the load\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    enum { FRAME = LOAD_OWN_OPTION, REPLY, RECONNECT, HOLD };
    static const struct option options[] = {
        LOAD_OPTIONS, {"frame", 1, 0, FRAME}, {"reply", 1, 0, REPLY}, {"reconnect", 0, 0, RECONNECT}, {"hold", 1, 0, HOLD}, {0},
    };
    static const char *const frames[] = { "raw", "line", "u16", "tekelek", NULL }, *const replies[] = { "any", "line", "none", "close", NULL };
    int c;
    while ((c = getopt_long(argc, argv, LOAD_SHORT_OPTIONS, options, NULL)) != -1) switch (c) {
        case FRAME: frame = choice("--frame", optarg, frames); break;
        case REPLY: reply = choice("--reply", optarg, replies); break;
        case RECONNECT: reconnect = true; break;
        case HOLD: hold = atof(optarg); break;
        default: if (!load_option(c, optarg)) usage();
    }
    load.channels = load.devices;
    load_open();
    for (int i = 0; i < load.channels && (!reconnect || hold > 0); i++) connect_device(i);
    if (hold > 0) {
        printf("{\"connected\":%d}\n", load.channels);
        fflush(stdout);
        usleep((useconds_t)(hold * 1e6));
    }
    load_run(&(struct transport){ .build = build, .send = send_frame, .readable = readable, .gave_up = hang_up });
    load_report();
    return 0;
}
