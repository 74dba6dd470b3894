/* uv-model, AVX-512 intrinsics: K vectors of 8 lanes at once, everything in registers.
 * Dimensionless variables q, u as in orbit_scalar.c. b = q^2 serves the peak test and the step,
 * so that the test inside the loop sees the steps 0 to steps - 1, and one after it the last. */
#include <immintrin.h>
#include <stdint.h>

#ifndef K
#define K 8
#endif
#define BLOCK (8 * K)

static void block(long steps, const double *f0, const double *lam0, const double *eta,
                  const double *n, double *f_end, double *lam_end, double *peak,
                  int64_t *peak_step)
{
    const __m512d one = _mm512_set1_pd(1), three = _mm512_set1_pd(3);
    __m512d q[K], u[K], best[K], when[K], now = _mm512_setzero_pd();
#pragma GCC unroll 16
    for (int k = 0; k < K; k++) {
        const __m512d e = _mm512_loadu_pd(eta + 8 * k);
        const __m512d root = _mm512_sqrt_pd(_mm512_loadu_pd(n + 8 * k));
        q[k] = _mm512_div_pd(_mm512_mul_pd(e, _mm512_loadu_pd(f0 + 8 * k)), root);
        u[k] = _mm512_fnmadd_pd(e, _mm512_loadu_pd(lam0 + 8 * k), one);
        best[k] = _mm512_set1_pd(-1);
        when[k] = _mm512_setzero_pd();
    }
    for (long t = 0; t < steps; t++) {
#pragma GCC unroll 16
        for (int k = 0; k < K; k++) {
            const __m512d b = _mm512_mul_pd(q[k], q[k]);
            const __mmask8 more = _mm512_cmp_pd_mask(b, best[k], _CMP_GT_OQ);
            best[k] = _mm512_max_pd(b, best[k]);
            when[k] = _mm512_mask_mov_pd(when[k], more, now);
            q[k] = _mm512_mul_pd(q[k], _mm512_add_pd(u[k], b));
            u[k] = _mm512_fmadd_pd(b, _mm512_add_pd(u[k], three), u[k]);
        }
        now = _mm512_add_pd(now, one);
    }
#pragma GCC unroll 16
    for (int k = 0; k < K; k++) {
        const __m512d e = _mm512_loadu_pd(eta + 8 * k);
        const __m512d scale = _mm512_div_pd(_mm512_sqrt_pd(_mm512_loadu_pd(n + 8 * k)), e);
        const __m512d b = _mm512_mul_pd(q[k], q[k]);
        const __mmask8 more = _mm512_cmp_pd_mask(b, best[k], _CMP_GT_OQ);
        best[k] = _mm512_max_pd(b, best[k]);
        when[k] = _mm512_mask_mov_pd(when[k], more, now);
        const __m512d half = _mm512_mul_pd(_mm512_set1_pd(0.5), _mm512_mul_pd(scale, scale));
        _mm512_storeu_pd(f_end + 8 * k, _mm512_mul_pd(q[k], scale));
        _mm512_storeu_pd(lam_end + 8 * k, _mm512_div_pd(_mm512_sub_pd(one, u[k]), e));
        _mm512_storeu_pd(peak + 8 * k, _mm512_mul_pd(best[k], half));
        _mm512_storeu_si512(peak_step + 8 * k, _mm512_cvtpd_epi64(when[k]));
    }
}

#include "lanes_tail.h"
