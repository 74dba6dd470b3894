/* Full blocks through block(); the lanes that are left through a padded one. Denormals are
 * flushed meanwhile: lanes that converge would otherwise slow the whole block down. */

void lanes(long count, long steps, const double *f0, const double *lam0, const double *eta,
           const double *n, double *f_end, double *lam_end, double *peak, int64_t *peak_step)
{
    const unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040);
    long i = 0;
    for (; i + BLOCK <= count; i += BLOCK)
        block(steps, f0 + i, lam0 + i, eta + i, n + i, f_end + i, lam_end + i, peak + i,
              peak_step + i);
    const long left = count - i;
    if (left > 0) {
        double in[4][BLOCK], out[3][BLOCK];
        int64_t when[BLOCK];
        for (long j = 0; j < BLOCK; j++) {
            const long lane = i + (j < left ? j : 0);
            in[0][j] = f0[lane];
            in[1][j] = lam0[lane];
            in[2][j] = eta[lane];
            in[3][j] = n[lane];
        }
        block(steps, in[0], in[1], in[2], in[3], out[0], out[1], out[2], when);
        for (long j = 0; j < left; j++) {
            f_end[i + j] = out[0][j];
            lam_end[i + j] = out[1][j];
            peak[i + j] = out[2][j];
            peak_step[i + j] = when[j];
        }
    }
    _mm_setcsr(control);
}
