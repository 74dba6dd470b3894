/* uv-model, many lanes one after another: plain scalar C, as the formulas stand.
 * Final state, peak of the loss and its step, the initial and the final state included. */
#include <stdint.h>

void lanes(long count, long steps, const double *f0, const double *lam0, const double *eta,
           const double *n, double *f_end, double *lam_end, double *peak, int64_t *peak_step)
{
    for (long i = 0; i < count; i++) {
        double f = f0[i], lam = lam0[i];
        const double e = eta[i], en = eta[i] / n[i];
        double best = f * f;
        long when = 0;
        for (long t = 1; t <= steps; t++) {
            const double a = e * lam, s = en * f * f;
            f = f * (1 - a + e * s);
            lam = lam + s * (a - 4);
            const double now = f * f;
            if (now > best) {
                best = now;
                when = t;
            }
        }
        f_end[i] = f;
        lam_end[i] = lam;
        peak[i] = 0.5 * best;
        peak_step[i] = when;
    }
}
