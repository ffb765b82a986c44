/* coap.h - just enough CoAP (RFC 7252) for the loaders: build a request, read a reply's head. */
#ifndef COAP_H
#define COAP_H
#include "load.h"
#include <string.h>

enum { CON, NON, ACK, RST };

struct coap_request {
    const char *path, *method;
    bool confirmable;
    int content_format;
};
struct coap_head {
    int type, code, message_id;
    bool has_token;
    uint32_t token;
};

static inline uint8_t *coap_option(uint8_t *p, int *last, int number, const void *value, size_t length)
{
    int delta = number - *last;       /* below 13 for the options that are used here */
    *last = number;
    *p++ = (uint8_t)(delta << 4 | (length < 13 ? (int)length : 13));
    if (length >= 13) *p++ = (uint8_t)(length - 13);
    memcpy(p, value, length);
    return p + length;
}

/* Builds the request of a device into its message; the token names the device and the turn. */
static inline void coap_build(struct device *d, const struct coap_request *r, uint16_t message_id)
{
    char path[256];
    uint8_t *p = d->message;
    int last = 0;
    bool body = strcmp(r->method, "get") != 0;
    d->message_id = message_id;
    d->token = d->index << 8 | (d->sequence & 0xff);
    *p++ = (uint8_t)(0x44 | (r->confirmable ? CON : NON) << 4);
    *p++ = !strcmp(r->method, "put") ? 3 : body ? 2 : 1;
    *p++ = (uint8_t)(message_id >> 8);
    *p++ = (uint8_t)message_id;
    for (int i = 3; i >= 0; i--) *p++ = (uint8_t)(d->token >> 8 * i);
    load_expand(path, sizeof path, r->path, d);
    char *query = strchr(path, '?'), *rest;
    if (query) *query++ = 0;
    for (char *s = strtok_r(path, "/", &rest); s; s = strtok_r(NULL, "/", &rest)) p = coap_option(p, &last, 11, s, strlen(s));
    uint8_t format = (uint8_t)r->content_format;
    if (body) p = coap_option(p, &last, 12, &format, format ? 1 : 0);
    for (char *s = query ? strtok_r(query, "&", &rest) : NULL; s; s = strtok_r(NULL, "&", &rest))
        p = coap_option(p, &last, 15, s, strlen(s));
    if (body) {
        *p++ = 0xff;
        p += load_body(p, d);
    }
    d->length = (int)(p - d->message);
}

static inline bool coap_read(const uint8_t *b, ssize_t n, struct coap_head *h)
{
    if (n < 4 || b[0] >> 6 != 1) return false;
    *h = (struct coap_head){ .type = b[0] >> 4 & 3, .code = b[1], .message_id = b[2] << 8 | b[3] };
    if ((b[0] & 15) == 4 && n >= 8) {
        h->has_token = true;
        h->token = (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7];
    }
    return true;
}

/* What a response means for the device that waits for it. */
static inline enum result coap_result(int code)
{
    return code >> 5 == 2 ? ANSWERED : code >> 5 == 4 ? CLIENT_ERROR : SERVER_ERROR;
}

/* Handles a datagram of a channel. `acknowledge` sends four octets to whom the device (NULL: unknown) talks. */
static inline void coap_receive(const uint8_t *b, ssize_t n, int channel, uint64_t now,
                                void (*acknowledge)(int channel, const struct device *d, const uint8_t *ack))
{
    struct coap_head h;
    if (!coap_read(b, n, &h)) {
        load.strange++;
        return;
    }
    if (h.code == 0) {                /* an empty ACK, a separate response follows (§5.2.2); or a Reset */
        struct device *d;
        for (int i = 0; (d = load_under_way(i)); i++) {
            if (d->channel != channel || d->message_id != h.message_id) continue;
            if (h.type == RST) load_done(d, RESET, now);
            else if (h.type == ACK) {
                d->state = ACKNOWLEDGED;
                d->deadline = now + 30000000000ull;
            }
            return;
        }
        load.strange++;
        return;
    }
    struct device *d = h.has_token && h.token >> 8 < (uint32_t)load.devices ? &load.device[h.token >> 8] : NULL;
    if (h.type == CON) {
        uint8_t ack[4] = { 0x60, 0, b[2], b[3] };
        acknowledge(channel, d, ack);
    }
    if (!d || d->token != h.token || d->state == IDLE || (h.type == ACK && d->message_id != h.message_id)) load.strange++;
    else load_done(d, coap_result(h.code), now);
}
#endif
