/* uv-model, trajectories kept: f and lambda of every lane at steps 0 .. steps, rows of `count`
 * lanes. Blocks of lanes as wide as a few cache lines, time inside; whole lines are written past
 * the cache where the rows allow (STREAM). */
#include <math.h>
#ifdef STREAM
#include <immintrin.h>
#endif

#define BLOCK 64

static void put(double *row, const double *values, long size)
{
    long j = 0;
#ifdef STREAM
    if ((size_t)row % 32 == 0)
        for (; j + 4 <= size; j += 4)
            _mm256_stream_pd(row + j, _mm256_loadu_pd(values + j));
#endif
    for (; j < size; j++)
        row[j] = values[j];
}

void rows(long count, long steps, const double *f0, const double *lam0, const double *eta,
          const double *n, double *f_rows, double *lam_rows)
{
    for (long low = 0; low < count; low += BLOCK) {
        const long size = count - low < BLOCK ? count - low : BLOCK;
        double f[BLOCK], lam[BLOCK], e[BLOCK], en[BLOCK];
        for (long j = 0; j < BLOCK; j++) {
            const long i = low + (j < size ? j : 0);
            f[j] = f0[i];
            lam[j] = lam0[i];
            e[j] = eta[i];
            en[j] = eta[i] / n[i];
        }
        put(f_rows + low, f, size);
        put(lam_rows + low, lam, size);
        for (long t = 1; t <= steps; t++) {
            for (long j = 0; j < BLOCK; j++) {
                const double a = e[j] * lam[j], s = en[j] * f[j] * f[j];
                f[j] = f[j] * (1 - a + e[j] * s);
                lam[j] = lam[j] + s * (a - 4);
            }
            put(f_rows + t * count + low, f, size);
            put(lam_rows + t * count + low, lam, size);
        }
    }
#ifdef STREAM
    _mm_sfence();
#endif
}
