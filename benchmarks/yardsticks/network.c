/* The raw network f = u.v/sqrt(n), y = 0, trained by gradient descent: f at every step.
 * One pass over u and v a step: the new vectors and their product together. */
#include <math.h>

#define LANES 32
typedef double vector __attribute__((vector_size(64), aligned(8), may_alias));

void network(long n, long steps, double eta, double *u, double *v, double *f)
{
    const double root = 1 / sqrt((double)n);
    double product = 0;
    for (long i = 0; i < n; i++)
        product += u[i] * v[i];
    f[0] = product * root;
    for (long t = 1; t <= steps; t++) {
        const double k = -eta * f[t - 1] * root;
        vector s[4] = {0};
        long i = 0;
        for (; i + LANES <= n; i += LANES)
            for (int j = 0; j < 4; j++) {
                vector *pu = (vector *)(u + i + 8 * j), *pv = (vector *)(v + i + 8 * j);
                const vector a = *pu, b = *pv, x = a + k * b, y = b + k * a;
                *pu = x;
                *pv = y;
                s[j] += x * y;
            }
        product = 0;
        for (; i < n; i++) {
            const double a = u[i], b = v[i];
            u[i] = a + k * b;
            v[i] = b + k * a;
            product += u[i] * v[i];
        }
        const vector all = (s[0] + s[1]) + (s[2] + s[3]);
        for (int j = 0; j < 8; j++)
            product += all[j];
        f[t] = product * root;
    }
}
