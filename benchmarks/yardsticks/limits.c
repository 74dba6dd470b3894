/* What the hardware can do at most, for the figures to be measured by.
 *
 * fused: multiply-adds on vectors of WIDTH bytes, as many chains as hide their latency.
 * stores: writes a value to memory, past the cache where the machine has such stores.
 * chain: the uv-map of one lane and nothing else: the latency of one step. */
#include "stream.h"

#ifndef WIDTH
#define WIDTH 64
#endif
#define CHAINS 12
#define NUMBERS (WIDTH / 8)
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

typedef double vector __attribute__((vector_size(WIDTH)));

#ifdef __aarch64__
#define REGISTER "+w"
#else
#define REGISTER "+v"
#endif

/* Does rounds * CHAINS * NUMBERS multiply-adds; returns a number that depends on all of them.
 * The empty assembly keeps each chain in a register of its own. */
double fused(long rounds, double x, double y)
{
    vector m, c, sum = {0};
    for (int j = 0; j < NUMBERS; j++) {
        m[j] = x;
        c[j] = y;
    }
#define START(k) vector a##k = m + k;
#define STEP(k)                                                                                  \
    a##k = a##k * m + c;                                                                         \
    __asm__ volatile("" : REGISTER(a##k));
#define COLLECT(k) sum += a##k;
    EACH(START)
    for (long t = 0; t < rounds; t++) {
        EACH(STEP)
    }
    EACH(COLLECT)
    double total = 0;
    for (int j = 0; j < NUMBERS; j++)
        total += sum[j];
    return total;
}

/* Writes rows of `width` numbers to two arrays in turn, as a trajectory of two variables is. */
void stores(long rows, long width, double *first, double *second, double value)
{
    numbers values;
    for (int j = 0; j < VECTOR; j++)
        values[j] = value;
    for (long t = 0; t < rows; t++) {
        double *to[2] = {first + t * width, second + t * width};
        for (int s = 0; s < 2; s++) {
            double *row = to[s];
            const long before = lead(row);
            long j = 0;
            for (; j < before && j < width; j++)
                row[j] = value;
            for (; j + VECTOR <= width; j += VECTOR)
                stream(row + j, values);
            for (; j < width; j++)
                row[j] = value;
        }
    }
    stream_end();
}

/* Iterates q' = q (u + q^2), u' = u + q^2 (u + 3). */
double chain(long steps, double q, double u)
{
    for (long t = 0; t < steps; t++) {
        const double b = q * q;
        q = q * (u + b);
        u = u + b * (u + 3);
    }
    return q + u;
}
