/* uv-model, AVX2 and FMA intrinsics: K vectors of 4 lanes at once.
 * As lanes_avx512.c. K was measured: what does not fit into the sixteen registers waits in the
 * first-level cache, and that is hidden where enough chains run side by side. */
#include <immintrin.h>
#include <stdint.h>

#ifndef K
#define K 8
#endif
#define BLOCK (4 * K)

static void block(long steps, const double *f0, const double *lam0, const double *eta,
                  const double *n, double *f_end, double *lam_end, double *peak,
                  int64_t *peak_step)
{
    const __m256d one = _mm256_set1_pd(1), three = _mm256_set1_pd(3);
    __m256d q[K], u[K], best[K], when[K], now = _mm256_setzero_pd();
#pragma GCC unroll 16
    for (int k = 0; k < K; k++) {
        const __m256d e = _mm256_loadu_pd(eta + 4 * k);
        const __m256d root = _mm256_sqrt_pd(_mm256_loadu_pd(n + 4 * k));
        q[k] = _mm256_div_pd(_mm256_mul_pd(e, _mm256_loadu_pd(f0 + 4 * k)), root);
        u[k] = _mm256_fnmadd_pd(e, _mm256_loadu_pd(lam0 + 4 * k), one);
        best[k] = _mm256_set1_pd(-1);
        when[k] = _mm256_setzero_pd();
    }
    for (long t = 0; t < steps; t++) {
#pragma GCC unroll 16
        for (int k = 0; k < K; k++) {
            const __m256d b = _mm256_mul_pd(q[k], q[k]);
            const __m256d more = _mm256_cmp_pd(b, best[k], _CMP_GT_OQ);
            best[k] = _mm256_max_pd(b, best[k]);
            when[k] = _mm256_blendv_pd(when[k], now, more);
            q[k] = _mm256_mul_pd(q[k], _mm256_add_pd(u[k], b));
            u[k] = _mm256_fmadd_pd(b, _mm256_add_pd(u[k], three), u[k]);
        }
        now = _mm256_add_pd(now, one);
    }
    for (int k = 0; k < K; k++) {
        const __m256d e = _mm256_loadu_pd(eta + 4 * k);
        const __m256d scale = _mm256_div_pd(_mm256_sqrt_pd(_mm256_loadu_pd(n + 4 * k)), e);
        const __m256d b = _mm256_mul_pd(q[k], q[k]);
        const __m256d more = _mm256_cmp_pd(b, best[k], _CMP_GT_OQ);
        const __m256d half = _mm256_mul_pd(_mm256_set1_pd(0.5), _mm256_mul_pd(scale, scale));
        double steps_of[4];
        _mm256_storeu_pd(steps_of, _mm256_blendv_pd(when[k], now, more));
        for (int j = 0; j < 4; j++)
            peak_step[4 * k + j] = (int64_t)steps_of[j];
        _mm256_storeu_pd(f_end + 4 * k, _mm256_mul_pd(q[k], scale));
        _mm256_storeu_pd(lam_end + 4 * k, _mm256_div_pd(_mm256_sub_pd(one, u[k]), e));
        _mm256_storeu_pd(peak + 4 * k, _mm256_mul_pd(_mm256_max_pd(b, best[k]), half));
    }
}

#include "lanes_tail.h"
