/* Powers. An exponent that is one number, whole or a half, is products and a square root, in twice the
 * precision: float32 in double, float64 in sums of two doubles. Any other power of float32 is
 * e^(y log x) in double, of float64 C's own pow. */
enum { FN(POW_BLOCK) = 64 };

#if REAL_BITS == 32
/* Defined below, when this file is included for double. */
static void FN2(float_powers, f64, LEVEL)(long n, const float *x, const float *y, float *out);
static void FN(powers)(long n, const real *x, const real *y, real *out)
{
    FN2(float_powers, f64, LEVEL)(n, x, y, out);
}
#else
static void FN(powers)(long n, const real *x, const real *y, real *out)
{
    for (long i = 0; i < n; i++) out[i] = pow(x[i], y[i]);
}

/* Rounded to a whole number. */
TA_INLINE vec FN(rounded)(vec x)
{
    const vec nearest = (x + splat(ROUND)) - splat(ROUND);
    return vselect(FN(magnitude)(x) < splat(2251799813685248.0), nearest, x);
}

/* x^y for numbers that were float32, with the special values of C's pow. */
TA_INLINE vec FN(power_of)(vec x, vec y)
{
    const vec size = FN(magnitude)(x), logarithm = FN(log)(size);
    const vec exponent = vselect(logarithm == splat(0), splat(0), y * logarithm);
    const vec power = vselect(y == splat(0), splat(1), FN(exp)(exponent));
    const ivec negative = as_ivec(x) < 0, whole = FN(rounded)(y) == y;
    const ivec odd = whole & (FN(rounded)(y * splat(0.5)) != y * splat(0.5));
    const ivec undefined = (x < splat(0)) & (size < splat(INFINITY)) & ~whole;
    return vselect(undefined, splat(NAN), vselect(negative & odd, -power, power));
}

static void FN(float_powers)(long n, const float *x, const float *y, float *out)
{
    typedef float floats __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4), may_alias));
    long i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec base = __builtin_convertvector(*(const floats *)(x + i), vec);
        const vec exponent = __builtin_convertvector(*(const floats *)(y + i), vec);
        *(floats *)(out + i) = __builtin_convertvector(FN(power_of)(base, exponent), floats);
    }
    for (; i < n; i++) out[i] = (float)FN(power_of)(splat((double)x[i]), splat((double)y[i]))[0];
}
#endif

static void FN(loop_pow)(long n, real *out, const real *const *in, const real *numbers)
{
    (void)numbers;
    FN(powers)(n, in[0], in[1], out);
}

/* d/dx x^y = y x^(y - 1), 0 where y = 0. */
static void FN(loop_pow_backward)(long n, real *out, const real *const *in, const real *numbers)
{
    real less[FN(POW_BLOCK)], power[FN(POW_BLOCK)];
    (void)numbers;
    for (long first = 0; first < n; first += FN(POW_BLOCK)) {
        const long count = ta_smaller(n - first, FN(POW_BLOCK));
        const real *dy = in[0] + first, *y = in[2] + first;
        for (long i = 0; i < count; i++) less[i] = y[i] - 1;
        FN(powers)(count, in[1] + first, less, power);
        for (long i = 0; i < count; i++) out[first + i] = y[i] == 0 ? 0 : dy[i] * (y[i] * power[i]);
    }
}

/* x^p for at most POW_BLOCK numbers and 2 p whole; |p| is at most 64. */
#if REAL_BITS == 32
static void FN(powers_of_floats)(long n, const real *x, double p, real *out)
{
    const double size = fabs(p);
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
}
#endif

static void FN(whole_powers)(long n, const real *x, double p, real *out)
{
#if REAL_BITS == 32
    FN(powers_of_floats)(n, x, p, out);
#else
    const double size = fabs(p);
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

/* x^3 with an error of half a unit in the last place and little more. */
static void FN(loop_cube)(long n, real *out, const real *const *in, const real *numbers)
{
    (void)numbers;
    for (long i = 0; i < n; i++) {
        const double x = (double)in[0][i], square = x * x;
#if REAL_BITS == 32
        out[i] = (real)(square * x);
#else
        const double lost = fma(x, x, -square), cube = square * x;
        out[i] = square < INFINITY ? fma(square, x, lost * x) : cube;
#endif
    }
}

static void FN(loop_cube_backward)(long n, real *out, const real *const *in, const real *numbers)
{
    (void)numbers;
    for (long i = 0; i < n; i++) out[i] = in[0][i] * (3 * (in[1][i] * in[1][i]));
}

/* 1 / sqrt x. In float, y is corrected by what x y^2 lacks of 1: 1 / sqrt(x) = y (1 - e)^(-1/2) with e = 1 - x y^2.
 * Of all float32, 127 differ from what double gives, by one unit in the last place. */
static void FN(loop_inverse_root)(long n, real *out, const real *const *in, const real *numbers)
{
#if REAL_BITS == 32 && LEVEL_NUMBER > 0
    (void)numbers;
    for (long i = 0; i < n; i++) {
        const float x = in[0][i] + 0, y = 1 / sqrtf(x), root = x * y, lost = fmaf(x, y, -root);
        const float e = fmaf(-root, y, 1) - lost * y;
        const float better = fmaf(y, e * fmaf(0.375f, e, 0.5f), y);
        out[i] = e == e ? better : y; /* where x or y is infinite, e is NaN */
    }
#else
    FN(loop_pow_number)(n, out, in, numbers);
#endif
}

/* The operation that computes x^p, or its gradient, in one plain loop, where there is one. */
TA_INLINE int64_t FN(plain_power)(int64_t op, double p)
{
    const int backward = op == TA_pow_number_backward;
    if (p == 2) return backward ? TA_square_backward : TA_square;
    if (p == 3) return backward ? TA_cube_backward : TA_cube;
    if (p == -0.5 && !backward) return TA_inverse_root;
    return op;
}
