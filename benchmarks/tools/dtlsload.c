/* dtlsload - plays N CoAP devices over DTLS 1.2 with a PSK (RFC 7252 §9.1.3.1) and prints JSON lines.
 *
 *   dtlsload -p 5684 -u i/key -n 500 -w 64 -t 5 --identity 'dev-{id}' --key 73656372657431
 *
 * First every device makes a full handshake, at most W at a time (one line: how many, how long); the sessions
 * then idle for --hold seconds, so that somebody can weigh the server; then the load runs over them.
 */
#define _GNU_SOURCE
#include "coap.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HANDSHAKE_SECONDS 30

static struct coap_request request = { .path = "up", .method = "post", .confirmable = true, .content_format = 42 };
static const char *identity = "dev-{id}", *ciphers = "PSK-AES128-CCM8";
static uint8_t key[64];
static unsigned key_octets;
static double hold;
static SSL_CTX *context;
static SSL **session;

static unsigned give_key(SSL *ssl, const char *hint, char *name, unsigned name_room, unsigned char *psk, unsigned psk_room)
{
    const struct device *d = SSL_get_app_data(ssl);
    (void)hint;
    if (psk_room < key_octets) return 0;
    load_expand(name, (int)name_room, identity, d);
    memcpy(psk, key, key_octets);
    return key_octets;
}

static void open_session(int i)
{
    int fd = socket(load.address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s (raise ulimit -n, or use fewer -n)", strerror(errno));
    if (connect(fd, (void *)&load.address, load.address_length)) die("connect: %s", strerror(errno));
    BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
    BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &load.address);
    session[i] = SSL_new(context);
    SSL_set_bio(session[i], bio, bio);
    SSL_set_app_data(session[i], (char *)&load.device[i]);
    SSL_set_connect_state(session[i]);
    load_watch(i, fd, EPOLLIN);
}

/* One step of a handshake: true when it is done. */
static bool step(int i)
{
    ERR_clear_error();
    int r = SSL_do_handshake(session[i]);
    if (r == 1) return true;
    int e = SSL_get_error(session[i], r);
    if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
        die("handshake of device %u: %s", load.device[i].id, ERR_reason_error_string(ERR_peek_last_error()));
    return false;
}

static int handshakes(void)
{
    int begun = 0, done = 0;
    uint64_t end = now_ns() + HANDSHAKE_SECONDS * 1000000000ull, looked = now_ns();
    struct epoll_event event[256];
    while (done < load.devices && now_ns() < end) {
        for (; begun < load.devices && begun - done < load.window; begun++) {
            open_session(begun);
            if (step(begun)) done++;                  /* all answers were there: the loader had been kept waiting */
        }
        int n = epoll_wait(load.epoll, event, 256, 10);
        for (int k = 0; k < n; k++) {
            int i = (int)event[k].data.u32;
            if (SSL_is_init_finished(session[i])) continue;
            if (step(i)) done++;
        }
        if (now_ns() - looked > 100000000ull) {       /* RFC 6347 §4.2.4: lost flights are sent again */
            looked = now_ns();
            for (int i = 0; i < begun; i++) if (!SSL_is_init_finished(session[i])) DTLSv1_handle_timeout(session[i]);
        }
    }
    for (int i = 0; i < begun; i++)
        if (!SSL_is_init_finished(session[i])) fprintf(stderr, "device %u: %s\n", load.device[i].id, SSL_state_string_long(session[i]));
    return done;
}

static void build(struct device *d) { coap_build(d, &request, ++d->message_id); }

static void send_record(struct device *d)
{
    if (SSL_write(session[d->channel], d->message, d->length) != d->length) load.send_errors++;
}

static void acknowledge(int channel, const struct device *d, const uint8_t *ack)
{
    (void)d;
    if (SSL_write(session[channel], ack, 4) != 4) load.send_errors++;
}

static void readable(int channel, uint32_t events, uint64_t now)
{
    uint8_t b[2048];
    int n;
    (void)events;
    while ((n = SSL_read(session[channel], b, sizeof b)) > 0) coap_receive(b, n, channel, now, acknowledge);
}

static void usage(void)
{
    fputs("dtlsload [options]\n" LOAD_USAGE
          "  -u PATH[?QUERY] (up)   -m post|put|get   --cf N (42)\n"
          "  --identity TEMPLATE (dev-{id})   --key HEX   --ciphers LIST (PSK-AES128-CCM8)\n"
          "  --hold SECONDS  between the handshakes and the load\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    enum { FORMAT = LOAD_OWN_OPTION, IDENTITY, KEY, CIPHERS, HOLD };
    static const struct option options[] = {
        LOAD_OPTIONS, {"cf", 1, 0, FORMAT}, {"identity", 1, 0, IDENTITY}, {"key", 1, 0, KEY}, {"ciphers", 1, 0, CIPHERS},
        {"hold", 1, 0, HOLD}, {0},
    };
    int c;
    load.port = 5684;
    while ((c = getopt_long(argc, argv, LOAD_SHORT_OPTIONS "u:m:", options, NULL)) != -1) switch (c) {
        case 'u': request.path = optarg; break;
        case 'm': request.method = optarg; break;
        case FORMAT: request.content_format = atoi(optarg); break;
        case IDENTITY: identity = optarg; break;
        case KEY:
            for (const char *p = optarg; key_octets < sizeof key && sscanf(p, "%2hhx", &key[key_octets]) == 1; p += 2) key_octets++;
            break;
        case CIPHERS: ciphers = optarg; break;
        case HOLD: hold = atof(optarg); break;
        default: if (!load_option(c, optarg)) usage();
    }
    load.channels = load.devices;
    load_open();
    context = SSL_CTX_new(DTLS_client_method());
    SSL_CTX_set_security_level(context, 0);           /* CCM_8 is below level 1 in OpenSSL 3 */
    if (!SSL_CTX_set_cipher_list(context, ciphers)) die("--ciphers: OpenSSL knows none of %s", ciphers);
    SSL_CTX_set_psk_client_callback(context, give_key);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    session = calloc((size_t)load.devices, sizeof(SSL *));

    uint64_t begin = now_ns();
    int done = handshakes();
    printf("{\"sessions\":%d,\"seconds\":%.3f}\n", done, (double)(now_ns() - begin) / 1e9);
    fflush(stdout);
    if (done < load.devices) die("%d of %d handshakes were not done within %d s", load.devices - done, load.devices, HANDSHAKE_SECONDS);
    usleep((useconds_t)(hold * 1e6));
    if (load.count) load_run(&(struct transport){ .build = build, .send = send_record, .readable = readable, .retransmits = true });
    load_report();
    return 0;
}
