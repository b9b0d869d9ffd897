/* sin and cos of a vector, within 1.5 ULP over the whole range. Included after vlog.h.
 *
 * With n = round(x / (pi / 2)), r = x - n pi / 2 is in [-pi/4, pi/4]; the quadrant n mod 4 says which of
 * sin r, cos r, -sin r, -cos r is meant. Near a multiple of pi / 2 the difference loses many bits. So
 * pi / 2 is given in five parts, the first four of them so short that their products with n are exact,
 * and r is kept as a sum of two numbers. Where n is larger, C's own function does the work.
 * derive_coefficients.py finds the parts, S in sin r = r + r^3 S(r^2) and C in
 * cos r = 1 - r^2 / 2 + r^4 C(r^2). */
#undef PIO2
#undef TRIG_LIMIT
#undef SIN_S
#undef COS_C
#if REAL_BITS == 64
#define PIO2                                                                                           \
    {1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.478427660348229e-32,         \
     2.0670321148798775e-43}
#define TRIG_LIMIT 1.6e6 /* n has at most 20 bits below it */
#define SIN_S                                                                                          \
    {-0.16666666666666632, 0.008333333333322425, -0.0001984126982981695, 2.7557313695226485e-06,       \
     -2.5050758653268697e-08, 1.589682792923549e-10}
#define COS_C                                                                                          \
    {0.0416666666666666, -0.0013888888888874138, 2.4801587289491837e-05, -2.7557314355245516e-07,      \
     2.0875723684991987e-09, -1.1359669899165866e-11}
#else
#define PIO2 {1.5708008f, -4.4535846e-06f, -8.706138e-10f, 6.2228e-14f, 5.721189e-18f}
#define TRIG_LIMIT 6000 /* 12 bits */
#define SIN_S {-0.16666655f, 0.008332178f, -0.000195173f}
#define COS_C {0.041666646f, -0.0013887368f, 2.4438452e-05f}
#endif

/* sin(x + quarters pi / 2) for |x| up to TRIG_LIMIT. */
TA_INLINE vec FN(sin_near)(vec x, int quarters)
{
    static const real part[] = PIO2, s[] = SIN_S, c[] = COS_C;
    const vec shifted = x * splat((real)0.63661977236758134) + splat(ROUND), n = shifted - splat(ROUND);
    vec r = x - n * splat(part[0]), lost = splat(0);
#pragma GCC unroll 3
    for (int i = 1; i < 4; i++) {
        const vec less = n * splat(part[i]), next = r - less;
        lost += (r - next) - less;
        r = next;
    }
    lost -= n * splat(part[4]);
    const vec sum = r + lost;
    lost = (r - sum) + lost;
    r = sum;

    const vec z = r * r, half = splat(0.5) * z, rest = splat(1) - half;
    const vec sine = r + (r * z * POLYNOMIAL(z, s) + lost * rest);
    const vec cosine = rest + (((splat(1) - rest) - half) + (z * z * POLYNOMIAL(z, c) - r * lost));
    const uvec quadrant = (uvec)shifted + quarters;
    const vec y = vselect((ivec)(((quadrant & 1) == 0)), sine, cosine);
    return (vec)((uvec)y ^ ((quadrant & 2) << (REAL_BITS - 2)));
}

TA_INLINE vec FN(sin)(vec x)
{
    vec y = FN(sin_near)(x, 0);
    y = vselect(x == splat(0), x, y); /* -0 */
    if (FN(any)(FN(magnitude)(x) > splat(TRIG_LIMIT)))
        for (int i = 0; i < LANES; i++)
            if (x[i] > TRIG_LIMIT || x[i] < -TRIG_LIMIT) y[i] = (real)sin((double)x[i]);
    return y;
}

TA_INLINE vec FN(cos)(vec x)
{
    vec y = FN(sin_near)(x, 1);
    if (FN(any)(FN(magnitude)(x) > splat(TRIG_LIMIT)))
        for (int i = 0; i < LANES; i++)
            if (x[i] > TRIG_LIMIT || x[i] < -TRIG_LIMIT) y[i] = (real)cos((double)x[i]);
    return y;
}
