/* Sums that do not drift, for every kernel file that adds up many numbers.
 *
 *   wide, WIDE               vector of doubles, and how many it holds
 *   load_wide(p)             WIDE reals from p on, as doubles; load_first_wide(p, n): the first n < WIDE
 *   struct total             a vector of running sums, and what rounding has lost of each
 *   add_wide(total, v), total_of(total)
 *
 * Sums of floats run in double, whose rounding is too small to see. Sums of doubles keep the rounding
 * error of each addition beside the sum (Knuth 1969, TwoSum; Neumaier 1974) and add it at the end. */
#ifndef TA_SUMS
#define TA_SUMS
enum { ROWS_AT_ONCE = 16 }; /* rows that are added in their own type, before add_to_totals */
#endif
#undef wide
#undef WIDE
#undef load_wide
#undef load_first_wide
#undef add_wide
#undef total_of

#define wide FN(wide)
#define WIDE ((long)(VECTOR_BYTES / sizeof(double)))
#define load_wide FN(load_wide)
#define load_first_wide FN(load_first_wide)
#define add_wide FN(add_wide)
#define total_of FN(total_of)

typedef double wide __attribute__((vector_size(VECTOR_BYTES)));

#if REAL_BITS == 64
TA_INLINE wide load_wide(const real *p) { return (wide)load(p); }
TA_INLINE wide load_first_wide(const real *p, long n) { return (wide)load_first(p, n); }
#else
typedef float FN(half) __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef float FN(loose_half)
    __attribute__((vector_size(VECTOR_BYTES / 2), aligned(sizeof(float)), may_alias));
#if TA_X86 && LEVEL_NUMBER == 2 /* gcc 12 makes four instructions of the general conversion */
TA_INLINE wide load_wide(const real *p) { return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
#elif TA_X86 && LEVEL_NUMBER == 1
TA_INLINE wide load_wide(const real *p) { return (wide)_mm256_cvtps_pd(_mm_loadu_ps(p)); }
#else
TA_INLINE wide load_wide(const real *p)
{
    return __builtin_convertvector((FN(half))(*(const FN(loose_half) *)p), wide);
}
#endif
#if TA_X86 && LEVEL_NUMBER == 2
TA_INLINE wide load_first_wide(const real *p, long n)
{
    return (wide)_mm512_cvtps_pd(_mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p));
}
#else
TA_INLINE wide load_first_wide(const real *p, long n)
{
    wide v = {0};
    for (long i = 0; i < n; i++) v[i] = p[i];
    return v;
}
#endif
#endif

typedef int64_t FN(wide_bits) __attribute__((vector_size(VECTOR_BYTES)));
TA_INLINE wide FN(magnitude_of_wide)(wide v) { return (wide)((FN(wide_bits))v & INT64_MAX); }

/* An array of totals; error stays 0 where the numbers are floats. */
struct FN(total) {
    wide sum, error;
};

TA_INLINE void FN(add_exactly)(struct FN(total) *total, wide v)
{
    wide sum = total->sum + v, of_v = sum - total->sum;
    total->error += (total->sum - (sum - of_v)) + (v - of_v);
    total->sum = sum;
}

/* The sum of all lanes, by halves. */
TA_INLINE double FN(sum_of_lanes)(wide v)
{
    for (long half = WIDE / 2; half; half /= 2)
        for (long k = 0; k < half; k++) v[k] += v[k + half];
    return v[0];
}

TA_INLINE void add_wide(struct FN(total) *total, wide v)
{
#if REAL_BITS == 64
    FN(add_exactly)(total, v);
#else
    total->sum += v;
#endif
}

/* The error is a NaN where the sum is infinite. */
TA_INLINE double total_of(double sum, double error) { return error == error ? sum + error : sum; }

/* One more number on a sum that stands alone. */
TA_INLINE void FN(add_one)(double *sum, double *error, double v)
{
    double more = *sum + v, of_v = more - *sum;
    *error += (*sum - (more - of_v)) + (v - of_v);
    *sum = more;
}

/* Adds the n numbers of `from` to totals, and sets them to 0. A kernel adds a few rows in `from`, where it
 * is fast, and then calls this, so that its sums over many rows do not drift. */
TA_INLINE void FN(add_to_totals)(real *from, double *sum, double *error, long n)
{
    for (long i = 0; i < n; i++) {
        FN(add_one)(&sum[i], &error[i], (double)from[i]);
        from[i] = 0;
    }
}
