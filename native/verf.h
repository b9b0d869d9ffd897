/* erf of a vector, within 1.5 ULP over the whole range. Included after vlog.h.
 *
 *   |x| < 1: erf x = x + x P(x^2);   else erf |x| = 1 - e^Q(|x| - 1), and 1 from ERF_ONE on
 *
 * derive_coefficients.py finds P and Q. The error of Q counts less where 1 - erf |x| is small. */
#undef ERF_ONE
#undef ERF_P
#undef ERFC_Q
#if REAL_BITS == 64
#define ERF_ONE 6
#define ERF_P                                                                                          \
    {0.1283791670955126, -0.3761263890318375, 0.11283791670954885, -0.026866170645077868,              \
     0.005223977624828378, -0.000854832698142307, 0.00012055331132883472, -1.4925595770806241e-05,     \
     1.6461008460775678e-06, -1.6350396088599566e-07, 1.4660328091417453e-08, -1.1374954218016094e-09, \
     5.960684145557032e-11}
#define ERFC_Q                                                                                         \
    {-1.8496055099332482, -2.638967514234788, -0.8431072563586768, -0.041561098041808416,              \
     0.010033825374408866, -0.001977902567918718, 0.00023732248149661763, 2.6277875015101062e-05,      \
     -2.7159112303420936e-05, 9.608900952090219e-06, -2.0597732329303277e-06,                          \
     1.428766631818954e-07, 9.754648890955028e-08, -5.20374553859174e-08, 1.4911311457328944e-08,      \
     -2.8640090420473347e-09, 3.6824366170675395e-10, -2.8815212223656838e-11,                         \
     1.0390882216365137e-12}
#else
#define ERF_ONE 4
#define ERF_P                                                                                          \
    {0.12837917f, -0.37612626f, 0.112836f, -0.026854444f, 0.005189535f, -0.0008020841f, 7.8891186e-05f}
#define ERFC_Q                                                                                         \
    {-1.8496056f, -2.6389668f, -0.8431183f, -0.041500688f, 0.009890892f, -0.0018261629f, 0.00018557392f}
#endif

TA_INLINE vec FN(erf)(vec x)
{
    static const real p[] = ERF_P, q[] = ERFC_Q;
    const vec a = FN(magnitude)(x), t = vmin(splat(ERF_ONE), a) - splat(1);
    const vec near = a + a * POLYNOMIAL(a * a, p), far = splat(1) - FN(exp)(POLYNOMIAL(t, q));
    return FN(with_sign)(vselect(a < splat(1), near, far), x);
}
