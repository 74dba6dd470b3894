/* uv-model, AVX-512 with refill: every CHECK steps a finished lane (converged: b <= 1e-24 of its
 * peak; diverged; out of steps) is stored and the next one takes its place.
 * A converged lane may run up to CHECK steps further than it had to. steps must be a multiple of
 * CHECK. The lanes are scaled before and after, so that the exchange only copies. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#ifndef K
#define K 6
#endif
#ifndef CHECK
#define CHECK 20
#endif
enum { Q, U, BEST, WHEN, START, FIELDS };

static void run(long count, long steps, double *q_of, double *u_of, double *peak,
                int64_t *peak_step)
{
    const __m512d three = _mm512_set1_pd(3), one = _mm512_set1_pd(1);
    const __m512d small = _mm512_set1_pd(1e-24), big = _mm512_set1_pd(1e200);
    __m512d q[K], u[K], best[K], when[K], start[K], now = _mm512_setzero_pd();
    long lane_of[K][8], next = 0, live = 0;
    double time = 0;
    for (int k = 0; k < K; k++) {
        double in[2][8];
        for (int j = 0; j < 8; j++) {
            const long i = next < count ? next++ : -1;
            lane_of[k][j] = i;
            live += i >= 0;
            in[Q][j] = i < 0 ? 0 : q_of[i];
            in[U][j] = i < 0 ? 0 : u_of[i];
        }
        q[k] = _mm512_loadu_pd(in[Q]);
        u[k] = _mm512_loadu_pd(in[U]);
        best[k] = _mm512_mul_pd(q[k], q[k]);
        when[k] = start[k] = _mm512_setzero_pd();
    }
    while (live > 0) {
        for (int s = 0; s < CHECK; s++) {
            now = _mm512_add_pd(now, one);
#pragma GCC unroll 16
            for (int k = 0; k < K; k++) {
                __m512d b = _mm512_mul_pd(q[k], q[k]);
                q[k] = _mm512_mul_pd(q[k], _mm512_add_pd(u[k], b));
                u[k] = _mm512_fmadd_pd(b, _mm512_add_pd(u[k], three), u[k]);
                b = _mm512_mul_pd(q[k], q[k]);
                const __mmask8 more = _mm512_cmp_pd_mask(b, best[k], _CMP_GT_OQ);
                best[k] = _mm512_mask_mov_pd(best[k], more, b);
                when[k] = _mm512_mask_mov_pd(when[k], more, now);
            }
        }
        time += CHECK;
        const __m512d oldest = _mm512_set1_pd(time - steps);
#pragma GCC unroll 16
        for (int k = 0; k < K; k++) {
            const __m512d b = _mm512_mul_pd(q[k], q[k]);
            const __mmask8 running =
                _mm512_cmp_pd_mask(b, _mm512_mul_pd(small, best[k]), _CMP_GT_OQ) &
                _mm512_cmp_pd_mask(b, big, _CMP_LT_OQ) &
                _mm512_cmp_pd_mask(start[k], oldest, _CMP_GT_OQ);
            unsigned done = (unsigned char)~running;
            if (!done)
                continue;
            double all[FIELDS][8];
            _mm512_storeu_pd(all[Q], q[k]);
            _mm512_storeu_pd(all[U], u[k]);
            _mm512_storeu_pd(all[BEST], best[k]);
            _mm512_storeu_pd(all[WHEN], when[k]);
            _mm512_storeu_pd(all[START], start[k]);
            for (; done; done &= done - 1) {
                const int j = __builtin_ctz(done);
                long i = lane_of[k][j];
                if (i >= 0) {
                    q_of[i] = all[Q][j];
                    u_of[i] = all[U][j];
                    peak[i] = all[BEST][j];
                    peak_step[i] = (int64_t)(all[WHEN][j] - all[START][j]);
                    live--;
                }
                i = next < count ? next++ : -1;
                lane_of[k][j] = i;
                live += i >= 0;
                all[Q][j] = i < 0 ? 0 : q_of[i];
                all[U][j] = i < 0 ? 0 : u_of[i];
                all[BEST][j] = all[Q][j] * all[Q][j];
                all[WHEN][j] = all[START][j] = time;
            }
            q[k] = _mm512_loadu_pd(all[Q]);
            u[k] = _mm512_loadu_pd(all[U]);
            best[k] = _mm512_loadu_pd(all[BEST]);
            when[k] = _mm512_loadu_pd(all[WHEN]);
            start[k] = _mm512_loadu_pd(all[START]);
        }
    }
}

void lanes(long count, long steps, const double *f0, const double *lam0, const double *eta,
           const double *n, double *f_end, double *lam_end, double *peak, int64_t *peak_step)
{
    const unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040);
    for (long i = 0; i < count; i++) {
        f_end[i] = eta[i] * f0[i] / sqrt(n[i]);
        lam_end[i] = 1 - eta[i] * lam0[i];
    }
    run(count, steps, f_end, lam_end, peak, peak_step);
    for (long i = 0; i < count; i++) {
        const double scale = sqrt(n[i]) / eta[i];
        f_end[i] = f_end[i] * scale;
        lam_end[i] = (1 - lam_end[i]) / eta[i];
        peak[i] = 0.5 * peak[i] * scale * scale;
    }
    _mm_setcsr(control);
}
