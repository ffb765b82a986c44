/* coapload - plays N CoAP devices over UDP and prints rate, latency and losses as one JSON line.
 *
 *   coapload -p 5683 -u i/key -n 500 -w 64 -t 5
 *
 * Each device has its own token; Message IDs count per endpoint, as RFC 7252 §4.4 wants. Piggybacked and
 * separate responses are understood; retransmission backs off exponentially with an unchanged datagram.
 * A device has its own source port, or (--spread) its own source address 127.1.x.y over few sockets, which
 * makes 10^5 endpoints possible.
 */
#define _GNU_SOURCE
#include "coap.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_SOCKETS 4000

static struct coap_request request = { .path = "up", .method = "post", .confirmable = true, .content_format = 42 };
static bool spread;
static uint16_t *message_id;          /* per socket */

static void transmit(int channel, const void *datagram, size_t length, const struct device *d)
{
    union { struct cmsghdr head; uint8_t room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control = { 0 };
    struct iovec part = { (void *)datagram, length };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (spread) {                     /* the source address goes with each datagram */
        struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(0x7f010001u + d->id) };
        m.msg_name = &load.address;
        m.msg_namelen = load.address_length;
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){ .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof info) };
        memcpy(CMSG_DATA(&control.head), &info, sizeof info);
    }
    if (sendmsg(load.channel[channel], &m, MSG_NOSIGNAL) != (ssize_t)length) load.send_errors++;
}

static void build(struct device *d) { coap_build(d, &request, ++message_id[d->channel]); }
static void send_request(struct device *d) { transmit(d->channel, d->message, (size_t)d->length, d); }

static void acknowledge(int channel, const struct device *d, const uint8_t *ack)
{
    if (d || !spread) transmit(channel, ack, 4, d);
}

static void readable(int channel, uint32_t events, uint64_t now)
{
    uint8_t b[2048];
    (void)events;
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(load.channel[channel], b, sizeof b, 0);
        if (n < 0) return;            /* nothing there; or ECONNREFUSED, which retransmission covers */
        coap_receive(b, n, channel, now, acknowledge);
        if (load.channels == load.devices) return;  /* own port: at most one answer is due */
    }
}

static void open_sockets(void)
{
    for (int i = 0; i < load.channels; i++) {
        int fd = socket(load.address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), octets = 1 << 20;
        if (fd < 0) die("socket: %s (raise ulimit -n, or use fewer -s)", strerror(errno));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
        if (!spread && connect(fd, (void *)&load.address, load.address_length)) die("connect: %s", strerror(errno));
        load_watch(i, fd, EPOLLIN);
    }
}

static void usage(void)
{
    fputs("coapload [options]\n" LOAD_USAGE
          "  -u PATH[?QUERY]  {id} {id%N} {seq} are replaced (up)   -m post|put|get   -N  non-confirmable\n"
          "  --cf N  Content-Format (42)   --spread  a source address per device, 127.1.x.y\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    enum { FORMAT = LOAD_OWN_OPTION, SPREAD };
    static const struct option options[] = { LOAD_OPTIONS, {"cf", 1, 0, FORMAT}, {"spread", 0, 0, SPREAD}, {0} };
    int c;
    load.port = 5683;
    while ((c = getopt_long(argc, argv, LOAD_SHORT_OPTIONS "u:m:N", options, NULL)) != -1) switch (c) {
        case 'u': request.path = optarg; break;
        case 'm': request.method = optarg; break;
        case 'N': request.confirmable = false; break;
        case FORMAT: request.content_format = atoi(optarg); break;
        case SPREAD: spread = true; break;
        default: if (!load_option(c, optarg)) usage();
    }
    if (load.channels < 1) load.channels = spread ? 64 : MAX_SOCKETS;
    load_open();
    if (spread && load.address.ss_family != AF_INET) die("--spread: expected an IPv4 server");
    message_id = calloc((size_t)load.channels, sizeof *message_id);
    for (int i = 0; i < load.channels; i++) message_id[i] = load.device[i].message_id;
    open_sockets();
    load_run(&(struct transport){ .build = build, .send = send_request, .readable = readable, .retransmits = request.confirmable });
    load_report();
    return 0;
}
