/* Vectors of VECTOR numbers, and stores of them past the cache where the machine has such. */
#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR 8
#elif defined(__AVX__)
#define VECTOR 4
#else
#define VECTOR 2
#endif
#define VECTOR_BYTES (8 * VECTOR)

typedef double numbers __attribute__((vector_size(VECTOR_BYTES)));

static inline numbers get(const double *from)
{
    numbers x;
    memcpy(&x, from, sizeof x);
    return x;
}

static inline void put(double *to, numbers x)
{
    memcpy(to, &x, sizeof x);
}

/* The address must fit the vector. */
static inline void stream(double *to, numbers x)
{
#if defined(__AVX512F__)
    _mm512_stream_pd(to, x);
#elif defined(__AVX__)
    _mm256_stream_pd(to, x);
#elif defined(__SSE2__)
    _mm_stream_pd(to, x);
#else
    put(to, x);
#endif
}

static inline void stream_end(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

/* How many numbers come before the first address that fits a vector. */
static inline long lead(const double *row)
{
    return (long)(-(size_t)row % VECTOR_BYTES / 8);
}
