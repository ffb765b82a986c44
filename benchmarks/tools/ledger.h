/* ledger.h - which (device, sequence) were sent, answered or delivered: a row of bits per device.
 *
 * The loader writes what was answered, the sink what arrived; run.py compares the two files bit by bit.
 */
#ifndef LEDGER_H
#define LEDGER_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

struct ledger {
    uint64_t devices, sequences;
    uint8_t *bits;
};

static inline uint64_t ledger_octets(const struct ledger *l) { return l->devices * l->sequences / 8; }

static inline bool ledger_open(struct ledger *l, uint64_t devices, uint64_t sequences)
{
    l->devices = devices;
    l->sequences = (sequences + 7) / 8 * 8;
    l->bits = mmap(NULL, ledger_octets(l), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return l->bits != MAP_FAILED;
}

/* Marks a message: 1 when it is new, 0 when it was marked before, -1 when it is outside the ledger. */
static inline int ledger_mark(struct ledger *l, uint64_t device, uint64_t sequence)
{
    if (device >= l->devices || sequence >= l->sequences) return -1;
    uint64_t bit = device * l->sequences + sequence;
    if (l->bits[bit >> 3] >> (bit & 7) & 1) return 0;
    l->bits[bit >> 3] |= 1 << (bit & 7);
    return 1;
}

static inline bool ledger_write(const struct ledger *l, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) return false;
    bool ok = fwrite(l->bits, 1, ledger_octets(l), f) == ledger_octets(l);
    return fclose(f) == 0 && ok;
}
#endif
