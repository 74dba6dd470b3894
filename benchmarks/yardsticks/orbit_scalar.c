/* uv-model, scalar C in the dimensionless variables q = eta f / sqrt(n), u = 1 - eta lambda:
 *     b = q^2,  q' = q (u + b),  u' = u + b (u + 3).
 * Three multiplications fewer in the chain from step to step than in lanes_scalar.c. */
#include <math.h>
#include <stdint.h>

void lanes(long count, long steps, const double *f0, const double *lam0, const double *eta,
           const double *n, double *f_end, double *lam_end, double *peak, int64_t *peak_step)
{
    for (long i = 0; i < count; i++) {
        const double scale = sqrt(n[i]) / eta[i];
        double q = f0[i] / scale, u = 1 - eta[i] * lam0[i], b = q * q, best = b;
        long when = 0;
        for (long t = 1; t <= steps; t++) {
            q = q * (u + b);
            u = u + b * (u + 3);
            b = q * q;
            if (b > best) {
                best = b;
                when = t;
            }
        }
        f_end[i] = q * scale;
        lam_end[i] = (1 - u) / eta[i];
        peak[i] = 0.5 * best * scale * scale;
        peak_step[i] = when;
    }
}
