/* exp, tanh and sigmoid of a vector: branch-free, at most 1.5 ULP over the whole range, with or without FMA.
 *
 * Included once for each type and instruction set, after vector.h. Everything rests on expm1_reduced, which says what
 * the constants are; derive_coefficients.py derives them. Infinities, NaN, denormal arguments and results, and
 * the sign of zero come out as C's own functions give them. */

#if REAL_BITS == 32
#define LOG2_E 1.442695f
#define LN2_HI 0.69314575f /* 15 bits: its product with n is exact */
#define LN2_LO 1.4286068e-06f
#define ROUND 12582912.0f /* 1.5 * 2^23: adding it leaves an integer in the low bits */
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_MAX 89 /* e^x is infinite from here on */
#define EXP_MIN -104 /* e^x is zero from here on */
#define TANH_ONE 10 /* tanh x is 1 from here on */
#define EXP_Q {0.49999997f, 0.16666543f, 0.0416672f, 0.008366514f, 0.0013882522f}
typedef uint32_t FN(uvec) __attribute__((vector_size(sizeof(vec))));
#else
#define LOG2_E 1.4426950408889634
#define LN2_HI 0.6931471805601177 /* 41 bits */
#define LN2_LO -1.7239444525614835e-13
#define ROUND 6755399441055744.0 /* 1.5 * 2^52 */
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_MAX 710
#define EXP_MIN -746
#define TANH_ONE 20
#define EXP_Q                                                                                                         \
    {0.5000000000000006,     0.16666666666666588,    0.041666666666576826,   0.0083333333333895,                      \
     0.001388888893153914,   0.00019841269719095758, 2.4801505306787012e-05, 2.7557407491841696e-06,                  \
     2.762602406685272e-07,  2.505378001311497e-08}
typedef uint64_t FN(uvec) __attribute__((vector_size(sizeof(vec))));
#endif

/* e^x = 2^n (1 + p), where n = round(x / ln 2), r = x - n ln 2, p = e^r - 1 = r + r^2 Q(r). Returns p;
 * `lost` is what its last rounding took. */
static inline vec FN(expm1_reduced)(vec x, FN(uvec) *n, vec *lost)
{
    static const real q[] = EXP_Q;
    vec shifted = x * splat(LOG2_E) + splat(ROUND);
    vec whole = shifted - splat(ROUND);
    vec r = x - whole * splat(LN2_HI) - whole * splat(LN2_LO);
    vec poly = splat(q[sizeof q / sizeof *q - 1]);
    for (int i = sizeof q / sizeof *q - 2; i >= 0; i--)
        poly = poly * r + splat(q[i]);
    *n = (FN(uvec))shifted - (FN(uvec))splat(ROUND);
    vec p = r + r * r * poly;
    *lost = (r - p) + r * r * poly;
    return p;
}

/* NaN stays NaN in both: a comparison with it is false. */
static inline vec FN(at_most)(vec x, real limit) { return vselect(x > splat(limit), splat(limit), x); }
static inline vec FN(at_least)(vec x, real limit) { return vselect(x < splat(limit), splat(limit), x); }

/* 2^n is applied in two halves, so that neither overflows nor falls below the normal numbers; the result may. */
static inline vec FN(exp)(vec x)
{
    FN(uvec) n;
    vec lost;
    vec p = FN(expm1_reduced)(FN(at_least)(FN(at_most)(x, EXP_MAX), EXP_MIN), &n, &lost);
    FN(uvec) biased = n + 2 * EXPONENT_BIAS;
    FN(uvec) half = biased >> 1;
    return (splat(1) + p) * (vec)(half << MANTISSA_BITS) * (vec)((biased - half) << MANTISSA_BITS);
}

/* tanh|x| = (1 - e) / (1 + e) with e = e^(-2|x|) = s (1 + p), s = 2^n: 1 - s is exact, and p is small where x is.
 * What rounding takes from numerator and denominator is known exactly and given back, with 1 / (1 + e) = (1 + tanh) / 2. */
static inline vec FN(tanh)(vec x)
{
    FN(uvec) n;
    vec lost;
    FN(uvec) sign = (FN(uvec))x & (FN(uvec))splat(-0.0);
    vec magnitude = (vec)((FN(uvec))x ^ sign);
    vec p = FN(expm1_reduced)(splat(-2) * FN(at_most)(magnitude, TANH_ONE), &n, &lost);
    vec s = (vec)((n + EXPONENT_BIAS) << MANTISSA_BITS);
    vec sp = s * p, less = splat(1) - s, more = splat(1) + s;
    vec above = less - sp, below = more + sp;
    vec above_lost = (less - above) - sp - s * lost, below_lost = (more - below) + sp + s * lost;
    vec ratio = above / below;
    ratio += (above_lost - ratio * below_lost) * (splat(0.5) + splat(0.5) * ratio);
    return (vec)((FN(uvec))ratio | sign);
}

/* 1 / (1 + e^-x) = s / (s + 1 + p) with e^-x = (1 + p) / s, s = 2^-n. What rounding takes from the denominator is given
 * back; s is applied last and in two halves, as in exp. */
static inline vec FN(sigmoid)(vec x)
{
    FN(uvec) n;
    vec lost;
    vec p = FN(expm1_reduced)(FN(at_least)(FN(at_most)(-x, -(EXP_MIN)), -2 * TANH_ONE), &n, &lost);
    FN(uvec) biased = 2 * EXPONENT_BIAS - n;
    FN(uvec) half = biased >> 1;
    vec s1 = (vec)(half << MANTISSA_BITS), s2 = (vec)((biased - half) << MANTISSA_BITS);
    vec s = s1 * s2, more = splat(1) + s;
    vec below = more + p;
    lost = ((splat(1) - more) + s) + ((more - below) + p) + lost;
    vec ratio = splat(1) / below;
    ratio -= ratio * ratio * lost;
    return ratio * s1 * s2;
}

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
