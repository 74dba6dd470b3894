/* The two-layer linear network with one output, AVX-512 intrinsics, in the basis in which the
 * inputs are diagonal: z = h * w - c. One pass a step over G does the update of rank two and the
 * product of the new G with the new z. No loss, no verdicts: the step alone. */
#include <immintrin.h>
#include <string.h>

#define FM _mm512_fmadd_pd
#define ALL _mm512_set1_pd
#define FLUSH 0x8040

typedef __m512d V;

static inline double dot64(const V *a, const V *b)
{
    V s = _mm512_mul_pd(a[0], b[0]);
    for (int i = 1; i < 8; i++)
        s = FM(a[i], b[i], s);
    return _mm512_reduce_add_pd(s);
}

/* d = 64, lane after lane; w [lanes][64], G [lanes][64][64], s [lanes], all replaced. */
void long_rows(long lanes, long steps, double n, const double *h, const double *c,
               const double *eta, double *w0, double *G0, double *s0)
{
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | FLUSH);
    for (long lane = 0; lane < lanes; lane++) {
        double *G = G0 + lane * 4096, *wl = w0 + lane * 64, s = s0[lane];
        const double e = eta[lane], en = e / n, e2n = e * e / n;
        double Z[64] __attribute__((aligned(64))), A[64] __attribute__((aligned(64)));
        double Y[64] __attribute__((aligned(64)));
        V w[8], z[8], v[8], y[8], a[8];
        for (int i = 0; i < 8; i++) {
            w[i] = _mm512_loadu_pd(wl + 8 * i);
            z[i] = _mm512_fmsub_pd(_mm512_loadu_pd(h + 8 * i), w[i], _mm512_loadu_pd(c + 8 * i));
            v[i] = _mm512_setzero_pd();
            _mm512_store_pd(Z + 8 * i, z[i]);
        }
        for (int i = 0; i < 64; i++)
            for (int k = 0; k < 8; k++)
                v[k] = FM(_mm512_loadu_pd(G + i * 64 + 8 * k), ALL(Z[i]), v[k]);
        for (long t = 0; t < steps; t++) {
            const double wz = dot64(w, z), zGz = dot64(z, v), x = -e * s + e2n * wz;
            const V X = ALL(x), E = ALL(-e), a1 = ALL(-en), a2 = ALL(.5 * e2n * s);
            for (int i = 0; i < 8; i++) {
                a[i] = FM(a2, z[i], _mm512_mul_pd(a1, w[i]));
                w[i] = FM(E, v[i], FM(X, z[i], w[i]));
                y[i] = _mm512_fmsub_pd(_mm512_loadu_pd(h + 8 * i), w[i],
                                       _mm512_loadu_pd(c + 8 * i));
                _mm512_store_pd(A + 8 * i, a[i]);
                _mm512_store_pd(Y + 8 * i, y[i]);
            }
            s = s - 2 * en * wz + e2n * zGz;
            for (int k = 0; k < 8; k++)
                v[k] = _mm512_setzero_pd();
            for (int i = 0; i < 64; i++) {
                const V ai = ALL(A[i]), zi = ALL(Z[i]), yi = ALL(Y[i]);
#pragma GCC unroll 8
                for (int k = 0; k < 8; k++) {
                    double *g = G + i * 64 + 8 * k;
                    const V q = FM(zi, a[k], FM(ai, z[k], _mm512_loadu_pd(g)));
                    _mm512_storeu_pd(g, q);
                    v[k] = FM(q, yi, v[k]);
                }
            }
            for (int i = 0; i < 8; i++) {
                z[i] = y[i];
                _mm512_store_pd(Z + 8 * i, y[i]);
            }
        }
        for (int i = 0; i < 8; i++)
            _mm512_storeu_pd(wl + 8 * i, w[i]);
        s0[lane] = s;
    }
    _mm_setcsr(mode);
}

#define R 10
#define HALF (R * (R + 1) / 2)

/* d = 10, eight lanes side by side; w [groups][10][8], half of G [groups][55][8], s [lanes]. */
void short_rows(long groups, long steps, double n, const double *h, const double *c,
                const double *eta, double *w0, double *G0, double *s0)
{
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | FLUSH);
    for (long l = 0; l < groups; l++) {
        V G[HALF], w[R], z[R], v[R], y[R], a[R];
        memcpy(G, G0 + l * HALF * 8, sizeof G);
        memcpy(w, w0 + l * R * 8, sizeof w);
        V s = _mm512_loadu_pd(s0 + 8 * l);
        const V e = _mm512_loadu_pd(eta + 8 * l), en = _mm512_div_pd(e, ALL(n));
        const V e2n = _mm512_mul_pd(e, en);
        for (int i = 0; i < R; i++) {
            z[i] = _mm512_fmsub_pd(ALL(h[i]), w[i], ALL(c[i]));
            v[i] = _mm512_setzero_pd();
        }
        for (int i = 0, k = 0; i < R; i++)
            for (int j = 0; j <= i; j++, k++) {
                v[i] = FM(G[k], z[j], v[i]);
                if (j < i)
                    v[j] = FM(G[k], z[i], v[j]);
            }
        for (long t = 0; t < steps; t++) {
            V wz = _mm512_mul_pd(w[0], z[0]), zGz = _mm512_mul_pd(z[0], v[0]);
#pragma GCC unroll 16
            for (int i = 1; i < R; i++) {
                wz = FM(w[i], z[i], wz);
                zGz = FM(z[i], v[i], zGz);
            }
            const V x = _mm512_fmsub_pd(e2n, wz, _mm512_mul_pd(e, s));
            const V a2 = _mm512_mul_pd(_mm512_mul_pd(e2n, s), ALL(.5));
#pragma GCC unroll 16
            for (int i = 0; i < R; i++) {
                a[i] = _mm512_fnmadd_pd(en, w[i], _mm512_mul_pd(a2, z[i]));
                w[i] = _mm512_fnmadd_pd(e, v[i], FM(x, z[i], w[i]));
                y[i] = _mm512_fmsub_pd(ALL(h[i]), w[i], ALL(c[i]));
                v[i] = _mm512_setzero_pd();
            }
            s = FM(e2n, zGz, _mm512_fnmadd_pd(_mm512_add_pd(en, en), wz, s));
#pragma GCC unroll 16
            for (int i = 0; i < R; i++)
#pragma GCC unroll 16
                for (int j = 0; j <= i; j++) {
                    const int k = i * (i + 1) / 2 + j;
                    const V q = FM(z[i], a[j], FM(a[i], z[j], G[k]));
                    G[k] = q;
                    v[i] = FM(q, y[j], v[i]);
                    if (j < i)
                        v[j] = FM(q, y[i], v[j]);
                }
            for (int i = 0; i < R; i++)
                z[i] = y[i];
        }
        memcpy(w0 + l * R * 8, w, sizeof w);
        memcpy(G0 + l * HALF * 8, G, sizeof G);
        _mm512_storeu_pd(s0 + 8 * l, s);
    }
    _mm_setcsr(mode);
}
