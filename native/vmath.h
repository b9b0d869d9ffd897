/* exp, expm1, tanh and sigmoid of a vector, without branches, within 1.5 ULP over the whole range, with or
 * without FMA. Infinities, NaN, denormal arguments and results and the sign of zero are as in C's own
 * functions.
 *
 * Included for each type and level, after vector.h. Everything rests on expm1_reduced;
 * derive_coefficients.py derives its constants. Where a rounding would show in the result, it is
 * measured and added back: with s = fl(a + b) and |a| >= |b|, the difference (a - s) + b is exactly
 * what the rounding lost. */

#undef uvec
#undef LOG2_E
#undef LN2_HI
#undef LN2_LO
#undef ROUND
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef EXP_MAX
#undef EXP_MIN
#undef TANH_ONE
#undef EXP_Q
#define uvec FN(uvec)
#if REAL_BITS == 64
typedef uint64_t uvec __attribute__((vector_size(VECTOR_BYTES)));
#define LOG2_E 1.4426950408889634
#define LN2_HI 0.6931471805601177 /* 41 bits: its product with n is exact */
#define LN2_LO -1.7239444525614835e-13
#define ROUND 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to a whole number in the low bits */
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_MAX 710  /* e^x is infinite from here on */
#define EXP_MIN -746 /* and zero from here on */
#define TANH_ONE 20  /* tanh x is 1 from here on */
#define EXP_Q                                                                                  \
    {0.5, 0.16666666666666677, 0.04166666666666651, 0.0083333333333217, 0.0013888888888962325, \
     0.0001984126988593895, 2.4801587172590286e-05, 2.755724440431622e-06,                     \
     2.755740263358712e-07, 2.5108967434151286e-08, 2.087532219085865e-09}
#else
typedef uint32_t uvec __attribute__((vector_size(VECTOR_BYTES)));
#define LOG2_E 1.442695f
#define LN2_HI 0.69314575f /* 15 bits */
#define LN2_LO 1.4286068e-06f
#define ROUND 12582912.0f /* 1.5 * 2^23 */
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_MAX 89
#define EXP_MIN -104
#define TANH_ONE 10
#define EXP_Q {0.49999997f, 0.16666543f, 0.0416672f, 0.008366514f, 0.0013882522f}
#endif

/* x 2^n, rounded once where the result is denormal. n is a whole number of any size that exp meets.
 * AVX-512 has an instruction for it. Elsewhere 2^n comes in two factors that are both normal numbers. */
TA_INLINE vec FN(times_power)(vec x, vec n)
{
#if TA_X86 && LEVEL_NUMBER == 2 && REAL_BITS == 64
    return (vec)_mm512_scalef_pd((__m512d)x, (__m512d)n);
#elif TA_X86 && LEVEL_NUMBER == 2
    return (vec)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    uvec both = (uvec)(n + splat(ROUND)) - (uvec)splat(ROUND) + 2 * EXPONENT_BIAS;
    uvec half = both >> 1;
    return x * (vec)(half << MANTISSA_BITS) * (vec)((both - half) << MANTISSA_BITS);
#endif
}

TA_INLINE vec FN(square_root)(vec v)
{
#if TA_X86 && LEVEL_NUMBER == 2 && REAL_BITS == 64
    return (vec)_mm512_sqrt_pd((__m512d)v);
#elif TA_X86 && LEVEL_NUMBER == 2
    return (vec)_mm512_sqrt_ps((__m512)v);
#elif TA_X86 && LEVEL_NUMBER == 1 && REAL_BITS == 64
    return (vec)_mm256_sqrt_pd((__m256d)v);
#elif TA_X86 && LEVEL_NUMBER == 1
    return (vec)_mm256_sqrt_ps((__m256)v);
#elif REAL_BITS == 64
    for (int i = 0; i < LANES; i++) v[i] = sqrt(v[i]);
    return v;
#else
    for (int i = 0; i < LANES; i++) v[i] = sqrtf(v[i]);
    return v;
#endif
}

/* e^x = 2^n (1 + p) with n = round(x / ln 2), r = x - n ln 2 and p = e^r - 1 = r + r^2 Q(r). Returns p.
 * `lost` is what was lost when r and p were rounded. */
TA_INLINE vec FN(expm1_reduced)(vec x, vec *n, vec *lost)
{
    static const real q[] = EXP_Q;
    *n = (x * splat(LOG2_E) + splat(ROUND)) - splat(ROUND);
    vec near = x - *n * splat(LN2_HI);
    vec r = near - *n * splat(LN2_LO);
    vec poly = splat(q[sizeof q / sizeof *q - 1]);
    for (int i = (int)(sizeof q / sizeof *q) - 2; i >= 0; i--) poly = poly * r + splat(q[i]);
    vec p = r + r * r * poly;
    *lost = ((near - r) - *n * splat(LN2_LO)) + ((r - p) + r * r * poly);
    return p;
}

TA_INLINE vec FN(exp)(vec x)
{
    vec n, lost, p = FN(expm1_reduced)(vmax(splat(EXP_MIN), vmin(splat(EXP_MAX), x)), &n, &lost);
    return FN(times_power)(splat(1) + p, n);
}

/* The magnitude of x with the sign of `sign`. */
TA_INLINE vec FN(with_sign)(vec x, vec sign)
{
    const uvec bit = (uvec)splat((real)-0.0);
    return (vec)(((uvec)x & ~bit) | ((uvec)sign & bit));
}

TA_INLINE vec FN(magnitude)(vec x) { return (vec)((uvec)x & ~(uvec)splat((real)-0.0)); }

/* e^x - 1 = 2^n (p + (1 - 2^-n)). Where x is near 0, n is 0 and p is as exact as x. Below -60 it is -1. */
TA_INLINE vec FN(expm1)(vec x)
{
    vec n, lost, p = FN(expm1_reduced)(vmax(splat(-60), vmin(splat(EXP_MAX), x)), &n, &lost);
    vec more = splat(1) - FN(times_power)(splat(1), -n), sum = more + p;
    lost += (more - sum) + p;
    return FN(with_sign)(FN(times_power)(sum + lost, n), x);
}

/* tanh |x| = (1 - e) / (1 + e) with e = e^(-2|x|) = s (1 + p), s = 2^n. Near 0, s is 1 and p is as
 * exact as x. The factor of the correction, 1 / (1 + e), is (1 + tanh |x|) / 2. */
TA_INLINE vec FN(tanh)(vec x)
{
    uvec sign = (uvec)x & (uvec)splat(-0.0);
    vec magnitude = (vec)((uvec)x ^ sign), n, lost;
    vec p = FN(expm1_reduced)(splat(-2) * vmin(splat(TANH_ONE), magnitude), &n, &lost);
    vec s = FN(times_power)(splat(1), n), sp = s * p;
    vec less = splat(1) - s, more = splat(1) + s;
    vec above = less - sp, below = more + sp;
    vec above_lost = (less - above) - sp - s * lost;
    vec below_lost = ((splat(1) - more) + s) + ((more - below) + sp) + s * lost;
    vec ratio = above / below;
    ratio += (above_lost - ratio * below_lost) * (splat(0.5) + splat(0.5) * ratio);
    return (vec)((uvec)ratio | sign);
}

/* 1 / (1 + e^-x) = s / (s + 1 + p) with e^-x = (1 + p) / s, s = 2^-n. It is 1 beyond 2 TANH_ONE. */
TA_INLINE vec FN(sigmoid)(vec x)
{
    vec n, lost, y = vmax(splat(-2 * TANH_ONE), vmin(splat(-(EXP_MIN)), -x));
    vec p = FN(expm1_reduced)(y, &n, &lost);
    vec s = FN(times_power)(splat(1), -n), more = splat(1) + s, below = more + p;
    lost += ((splat(1) - more) + s) + ((more - below) + p);
    vec ratio = splat(1) / below;
    return FN(times_power)(ratio - ratio * ratio * lost, -n);
}
