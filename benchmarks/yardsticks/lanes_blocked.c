/* uv-model, blocks of lanes, the time loop inside the block; the compiler vectorises the inner
 * loop. Dimensionless variables q, u as in orbit_scalar.c. */
#include <math.h>
#include <stdint.h>

#ifndef BLOCK
#define BLOCK 64
#endif

void lanes(long count, long steps, const double *f0, const double *lam0, const double *eta,
           const double *n, double *f_end, double *lam_end, double *peak, int64_t *peak_step)
{
    for (long low = 0; low < count; low += BLOCK) {
        const long size = count - low < BLOCK ? count - low : BLOCK;
        double q[BLOCK], u[BLOCK], best[BLOCK], when[BLOCK], scale[BLOCK];
        for (long j = 0; j < BLOCK; j++) {
            const long i = low + (j < size ? j : 0);
            scale[j] = sqrt(n[i]) / eta[i];
            q[j] = f0[i] / scale[j];
            u[j] = 1 - eta[i] * lam0[i];
            best[j] = q[j] * q[j];
            when[j] = 0;
        }
        for (long t = 1; t <= steps; t++) {
            const double now = t;
            for (long j = 0; j < BLOCK; j++) {
                const double b = q[j] * q[j];
                q[j] = q[j] * (u[j] + b);
                u[j] = u[j] + b * (u[j] + 3);
                const double c = q[j] * q[j];
                when[j] = c > best[j] ? now : when[j];
                best[j] = c > best[j] ? c : best[j];
            }
        }
        for (long j = 0; j < size; j++) {
            const long i = low + j;
            f_end[i] = q[j] * scale[j];
            lam_end[i] = (1 - u[j]) / eta[i];
            peak[i] = 0.5 * best[j] * scale[j] * scale[j];
            peak_step[i] = (int64_t)when[j];
        }
    }
}
