/* load.h - the engine that the load generators share: N virtual devices, one request at a time each.
 *
 * Closed loop (default): at most W requests are outstanding over all devices.  Open loop (--rate R): a
 * request is due every 1/R s whatever the server does, and its latency counts from the moment it was DUE,
 * so that a stalled server cannot hide its stalls (no coordinated omission).
 *
 * A transport (coapload.c, tcpload.c, dtlsload.c) builds messages, sends them, and tells of answers.
 * Only loopback addresses are accepted; every run is bounded by time and count.
 */
#ifndef LOAD_H
#define LOAD_H
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOAD_NO_CHANNEL (-1)

enum device_state { IDLE, CONNECTING, WAITING, ACKNOWLEDGED };
enum result { ANSWERED, CLIENT_ERROR, SERVER_ERROR, RESET, TIMED_OUT };

struct device {
    uint32_t id;                      /* as it stands in the record */
    uint32_t index;                   /* 0 … devices - 1 */
    uint32_t sequence;                /* of the message under way */
    uint32_t token;
    uint16_t message_id;
    uint8_t state, tries;
    int channel;                      /* index of its socket */
    int slot;                         /* place in the table of requests under way */
    int length;
    uint64_t due, deadline, interval; /* nanoseconds, CLOCK_MONOTONIC */
    uint8_t *message;                 /* kept for retransmission */
};

struct transport {
    void (*build)(struct device *d);
    void (*send)(struct device *d);
    void (*readable)(int channel, uint32_t events, uint64_t now);
    void (*tick)(struct device *d, uint64_t now);   /* each 10 ms while a request is under way; may be NULL */
    void (*gave_up)(struct device *d);              /* may be NULL */
    bool retransmits;
};

struct load {
    /* options */
    const char *host, *text, *acked;
    int port, devices, window, channels, size, max_retransmit, message_room;
    bool poisson;
    uint32_t base, first, sequences;
    double rate, seconds, ack_timeout;
    uint64_t count;
    /* what the transports need */
    struct sockaddr_storage address;
    socklen_t address_length;
    int epoll;
    struct device *device;
    int *channel;                     /* descriptors, LOAD_NO_CHANNEL when closed */
    /* counts */
    uint64_t sent, answered, client_errors, server_errors, resets, timeouts, retransmits, strange, send_errors, connections;
};
extern struct load load;

#define LOAD_SHORT_OPTIONS "H:p:n:w:s:t:c:"
#define LOAD_OPTIONS \
    {"rate", 1, 0, 256}, {"poisson", 0, 0, 257}, {"text", 1, 0, 258}, {"size", 1, 0, 259}, {"base", 1, 0, 260}, \
    {"ack-timeout", 1, 0, 261}, {"max-retransmit", 1, 0, 262}, {"acked", 1, 0, 263}, {"sequences", 1, 0, 264}, \
    {"first", 1, 0, 265}
#define LOAD_OWN_OPTION 300           /* transports number their own long options from here */
#define LOAD_USAGE \
    "  -H ADDR  server, loopback only (127.0.0.1)   -p PORT  server port\n" \
    "  -n N  devices (100)   -w W  requests under way over all devices (= devices)   -s N  sockets\n" \
    "  -t SECONDS (5)   -c COUNT  messages at most   --rate R [--poisson]  open loop\n" \
    "  --text TEMPLATE  body instead of the binary record; {id} {id%N} {seq} are replaced\n" \
    "  --size N  pad the body   --base N  number of the first device (0)   --first N  first sequence (1)\n" \
    "  --ack-timeout SECONDS (2)   --max-retransmit N (4)\n" \
    "  --acked FILE  write which (device, sequence) were answered   --sequences N  width of that file (65536)\n"

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);
bool load_option(int option, const char *value);           /* false: not one of the engine's */
void load_open(void);                                      /* after the options: resolve, allocate */
void load_watch(int channel, int fd, uint32_t events);     /* descriptor of a channel */
void load_run(const struct transport *t);                  /* until time or count is up, then drained */
void load_done(struct device *d, enum result r, uint64_t now);
void load_report(void);                                    /* one JSON line */
int load_expand(char *out, int room, const char *pattern, const struct device *d);
int load_body(uint8_t *out, const struct device *d);       /* the record or the text; returns its length */
struct device *load_under_way(int i);                      /* NULL past the last */
#endif
