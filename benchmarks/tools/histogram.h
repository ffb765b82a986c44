/* histogram.h - a log-linear histogram: 1.6 % resolution over the whole range of a uint64_t. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H
#include <stdint.h>

#define HISTOGRAM_SUB 64              /* sub-buckets per power of two */
#define HISTOGRAM_LEN (64 * HISTOGRAM_SUB)

struct histogram {
    uint64_t count, sum, bucket[HISTOGRAM_LEN];
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    int exponent = 0;
    h->count++;
    h->sum += value;
    while (value >= 2 * HISTOGRAM_SUB) {
        value >>= 1;
        exponent++;
    }
    h->bucket[exponent * HISTOGRAM_SUB + (int)value]++;
}

/* The value below which `percent` of the samples lie; 0 without samples. */
static inline double histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t want = (uint64_t)(percent / 100 * (double)h->count), seen = 0;
    if (want >= h->count) want = h->count - 1;
    for (int i = 0; h->count && i < HISTOGRAM_LEN; i++) {
        seen += h->bucket[i];
        if (seen > want) {
            int exponent = i < 2 * HISTOGRAM_SUB ? 0 : i / HISTOGRAM_SUB - 1;
            return (double)((uint64_t)(i - exponent * HISTOGRAM_SUB) << exponent);
        }
    }
    return 0;
}
#endif
