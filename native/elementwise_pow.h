/* Powers. An exponent that is one number, whole or a half, is products and a square root, in twice the
 * precision: float32 in double, float64 in sums of two doubles. Every other exponent is C's own pow. */
#undef pow_of
#if REAL_BITS == 64
#define pow_of pow
#else
#define pow_of powf
#endif

static void FN(loop_pow)(long n, real *out, const real *const *in, const real *numbers)
{
    (void)numbers;
    for (long i = 0; i < n; i++) out[i] = pow_of(in[0][i], in[1][i]);
}

/* d/dx x^y = y x^(y - 1), 0 where y = 0. */
static void FN(loop_pow_backward)(long n, real *out, const real *const *in, const real *numbers)
{
    const real *dy = in[0], *x = in[1], *y = in[2];
    (void)numbers;
    for (long i = 0; i < n; i++) out[i] = y[i] == 0 ? 0 : dy[i] * (y[i] * pow_of(x[i], y[i] - 1));
}

/* d/dy x^y = x^y log x, 0 where x = 0 <= y. */
static void FN(loop_pow_backward_exponent)(long n, real *out, const real *const *in, const real *numbers)
{
    const real *dy = in[0], *x = in[1], *y = in[2];
    (void)numbers;
    for (long i = 0; i < n; i++)
        out[i] = x[i] == 0 && y[i] >= 0 ? 0 : dy[i] * pow_of(x[i], y[i]) * FN(log_of)(x[i]);
}

/* x^p for at most POW_BLOCK numbers and 2 p whole; |p| is at most 64. */
enum { FN(POW_BLOCK) = 64 };
static void FN(whole_powers)(long n, const real *x, double p, real *out)
{
    const double size = fabs(p);
#if REAL_BITS == 32
    double base[FN(POW_BLOCK)], power[FN(POW_BLOCK)];
    for (long i = 0; i < n; i++) {
        base[i] = (double)x[i];
        power[i] = size == floor(size) ? 1 : sqrt(base[i] + 0);
    }
    for (long left = (long)size; left; left >>= 1) {
        if (left & 1)
            for (long i = 0; i < n; i++) power[i] *= base[i];
        for (long i = 0; i < n; i++) base[i] *= base[i];
    }
    for (long i = 0; i < n; i++) out[i] = (real)(p < 0 ? 1 / power[i] : power[i]);
#else
    /* base + low and power + rest, each a sum of two numbers */
    double base[FN(POW_BLOCK)], low[FN(POW_BLOCK)], power[FN(POW_BLOCK)], rest[FN(POW_BLOCK)];
    for (long i = 0; i < n; i++) {
        base[i] = x[i];
        low[i] = rest[i] = 0;
        power[i] = 1;
        if (size != floor(size)) {
            power[i] = sqrt(x[i] + 0);
            rest[i] = fma(-power[i], power[i], x[i]) / (2 * power[i]);
        }
    }
    for (long left = (long)size; left; left >>= 1) {
        if (left & 1)
            for (long i = 0; i < n; i++) {
                const double high = power[i] * base[i], product = high;
                const double more = fma(power[i], base[i], -product) + (power[i] * low[i] + rest[i] * base[i]);
                power[i] = high + more;
                rest[i] = (high - power[i]) + more;
            }
        for (long i = 0; i < n; i++) {
            const double high = base[i] * base[i];
            const double more = fma(base[i], base[i], -high) + 2 * base[i] * low[i];
            base[i] = high + more;
            low[i] = (high - base[i]) + more;
        }
    }
    for (long i = 0; i < n; i++) {
        double y = power[i];
        if (p < 0) {
            y = 1 / power[i];
            y += y * (fma(-y, power[i], 1) - y * rest[i]);
        }
        /* Where a product has left the range, or is NaN, the correction is worth nothing. */
        out[i] = fabs(y) > 1e-280 && fabs(y) < 1e280 ? y : pow(x[i], p);
    }
#endif
}

static void FN(loop_pow_number)(long n, real *out, const real *const *in, const real *numbers)
{
    for (long i = 0; i < n; i += FN(POW_BLOCK))
        FN(whole_powers)(ta_smaller(n - i, FN(POW_BLOCK)), in[0] + i, (double)numbers[0], out + i);
}

static void FN(loop_pow_number_backward)(long n, real *out, const real *const *in, const real *numbers)
{
    real power[FN(POW_BLOCK)];
    for (long i = 0; i < n; i += FN(POW_BLOCK)) {
        const long count = ta_smaller(n - i, FN(POW_BLOCK));
        FN(whole_powers)(count, in[1] + i, (double)numbers[0] - 1, power);
        for (long j = 0; j < count; j++)
            out[i + j] = numbers[0] == 0 ? 0 : in[0][i + j] * (numbers[0] * power[j]);
    }
}

/* Whether x^p with this p needs no logarithm. */
TA_INLINE int FN(is_whole_or_half)(double p) { return fabs(p) <= 63 && 2 * p == floor(2 * p); }
