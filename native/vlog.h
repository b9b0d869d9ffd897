/* log, log1p and log2 of a vector, within 1.5 ULP over the whole range. Included after vmath.h.
 *
 * x = 2^k u with u in [sqrt(1/2), sqrt(2)). With f = u - 1 and s = f / (2 + f),
 *
 *   log u = log((1 + s) / (1 - s)) = 2 s + s^3 R(s^2) = f - (f^2 / 2 - s (f^2 / 2 + s^2 R(s^2)))
 *
 * The last form is exact near u = 1, because f is. derive_coefficients.py finds R. */
#undef SMALLEST_NORMAL
#undef LOG_R
#undef INVERSE_LN2_HI
#undef INVERSE_LN2_LO
#if REAL_BITS == 64
#define INVERSE_LN2_HI 1.4426950216293335
#define INVERSE_LN2_LO 1.9259629911266175e-08
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define LOG_R                                                                             \
    {0.6666666666666734, 0.39999999999414676, 0.2857142874238792, 0.2222219857316955,     \
     0.18183564326344676, 0.15314050556688552, 0.14795949576332657}
#else
#define INVERSE_LN2_HI 1.4428711f
#define INVERSE_LN2_LO -1.7605285e-4f
#define SMALLEST_NORMAL 1.1754944e-38f
#define LOG_R {0.66666776f, 0.39977542f, 0.2987173f}
#endif

/* c[0] + c[1] x + ... + c[count - 1] x^(count - 1) */
TA_INLINE vec FN(polynomial)(vec x, const real *c, int count)
{
    vec sum = splat(c[count - 1]);
#pragma GCC unroll 32
    for (int i = count - 2; i >= 0; i--) sum = sum * x + splat(c[i]);
    return sum;
}
#undef POLYNOMIAL
#define POLYNOMIAL(x, c) FN(polynomial)(x, c, (int)(sizeof(c) / sizeof *(c)))

/* k and f = u - 1 of a positive normal x. */
TA_INLINE vec FN(split)(vec x, vec *f)
{
    const uvec root = (uvec)splat((real)0.70710678118654752), one = (uvec)splat(1);
    const uvec bits = (uvec)x + (one - root);
    const uvec mantissa = bits & ((((uvec){0} + 1) << MANTISSA_BITS) - 1);
    /* Added to the bits of ROUND, a whole number is the low part of a float near ROUND. */
    const uvec exponent = (bits >> MANTISSA_BITS) - EXPONENT_BIAS;
    *f = (vec)(mantissa + root) - splat(1);
    return (vec)((uvec)splat(ROUND) + exponent) - splat(ROUND);
}

/* log x + lost for a positive normal x. */
TA_INLINE vec FN(log_normal)(vec x, vec lost)
{
    static const real c[] = LOG_R;
    vec f;
    const vec k = FN(split)(x, &f), half_square = splat(0.5) * f * f;
    const vec s = f / (splat(2) + f), z = s * s, r = z * POLYNOMIAL(z, c);
    return k * splat(LN2_HI) - ((half_square - (s * (half_square + r) + (k * splat(LN2_LO) + lost))) - f);
}

/* y = log of a number x >= 0; else NaN, and -inf at 0, and x itself for inf and NaN. */
TA_INLINE vec FN(log_of_special)(vec x, vec y)
{
    y = vselect(x < splat(INFINITY), y, x);
    return vselect(x > splat(0), y, vselect(x == splat(0), splat(-INFINITY), splat(NAN)));
}

TA_INLINE vec FN(log)(vec x)
{
    const vec scale = splat((real)((int64_t)1 << MANTISSA_BITS)), tiny = splat(SMALLEST_NORMAL);
    const vec normal = vselect(x < tiny, x * scale, x);
    const vec y = FN(log_normal)(normal, splat(0));
    const vec shift = vselect(x < tiny, splat(MANTISSA_BITS * (real)0.69314718055994531), splat(0));
    return FN(log_of_special)(x, y - shift);
}

/* log2 x = k + log u / log 2. Both log u and 1 / log 2 are written as a sum of two numbers, high + low, where
 * the high ones have half of the digits, so that their product is exact. A power of 2 has f = 0: it is exact. */
TA_INLINE vec FN(log2)(vec x)
{
    static const real c[] = LOG_R;
    const vec tiny = splat(SMALLEST_NORMAL), scale = splat((real)((int64_t)1 << MANTISSA_BITS));
    const uvec upper = ~((((uvec){0} + 1) << (MANTISSA_BITS / 2 + 1)) - 1);
    vec f;
    const vec k = FN(split)(vselect(x < tiny, x * scale, x), &f);
    const vec exponent = k - vselect(x < tiny, splat(MANTISSA_BITS), splat(0));
    const vec half_square = splat(0.5) * f * f, s = f / (splat(2) + f), z = s * s;
    const vec high = (vec)((uvec)(f - half_square) & upper);
    const vec low = ((f - high) - half_square) + s * (half_square + z * POLYNOMIAL(z, c));
    const vec whole = high * splat(INVERSE_LN2_HI);
    const vec rest = (low + high) * splat(INVERSE_LN2_LO) + low * splat(INVERSE_LN2_HI);
    /* The larger of the two summands is k, or k is 0. */
    const vec sum = exponent + whole;
    return FN(log_of_special)(x, sum + ((exponent - sum) + whole + rest));
}

/* With u = fl(1 + x) and what the rounding lost, d = 1 + x - u: log(1 + x) = log u + d / u. */
TA_INLINE vec FN(log1p)(vec x)
{
    const vec u = splat(1) + x;
    const vec lost = vselect(x < splat(1), x - (u - splat(1)), splat(1) - (u - x));
    return FN(with_sign)(FN(log_of_special)(u, FN(log_normal)(u, lost / u)), x);
}
