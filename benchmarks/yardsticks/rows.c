/* uv-model, trajectories kept: f and lambda of every lane at steps 0 .. steps, rows of `count`
 * lanes. Blocks of lanes whose state stays in the first-level cache, time inside; each state is
 * stored to its row from the register in which the next one is worked out: past the cache with
 * STREAM. The state is laid out so that its vectors begin where those of a row do. */
#include "stream.h"

#ifndef BLOCK
#define BLOCK 1024
#endif

struct block {
    double f[BLOCK + VECTOR], lam[BLOCK + VECTOR], eta[BLOCK + VECTOR], slope[BLOCK + VECTOR];
};

static inline void one(double *f, double *lam, double eta, double slope)
{
    const double a = eta * *lam, s = slope * *f * *f;
    *f = *f * (1 - a + eta * s);
    *lam = *lam + s * (a - 4);
}

/* Stores a state and replaces it by the next one. */
static void step(struct block *b, long shift, long size, double *f_row, double *lam_row)
{
    double *f = b->f + shift, *lam = b->lam + shift, *eta = b->eta + shift;
    double *slope = b->slope + shift;
    long j = 0, first = lead(f_row);
    if (lead(lam_row) != first)
        first = size; /* rows that do not fit each other: number by number */
    for (; j < first && j < size; j++) {
        f_row[j] = f[j];
        lam_row[j] = lam[j];
        one(f + j, lam + j, eta[j], slope[j]);
    }
    for (; j + VECTOR <= size; j += VECTOR) {
        const numbers x = get(f + j), y = get(lam + j), e = get(eta + j);
#ifdef STREAM
        stream(f_row + j, x);
        stream(lam_row + j, y);
#else
        put(f_row + j, x);
        put(lam_row + j, y);
#endif
        const numbers a = e * y, s = get(slope + j) * x * x;
        put(f + j, x * (1 - a + e * s));
        put(lam + j, y + s * (a - 4));
    }
    for (; j < size; j++) {
        f_row[j] = f[j];
        lam_row[j] = lam[j];
        one(f + j, lam + j, eta[j], slope[j]);
    }
}

void rows(long count, long steps, const double *f0, const double *lam0, const double *eta,
          const double *n, double *f_rows, double *lam_rows)
{
    for (long low = 0; low < count; low += BLOCK) {
        const long size = count - low < BLOCK ? count - low : BLOCK;
        const long shift = (VECTOR - lead(f_rows + low)) % VECTOR;
        struct block b __attribute__((aligned(64)));
        for (long j = 0; j < size; j++) {
            b.f[shift + j] = f0[low + j];
            b.lam[shift + j] = lam0[low + j];
            b.eta[shift + j] = eta[low + j];
            b.slope[shift + j] = eta[low + j] / n[low + j];
        }
        for (long t = 0; t <= steps; t++)
            step(&b, shift, size, f_rows + t * count + low, lam_rows + t * count + low);
    }
    stream_end();
}
