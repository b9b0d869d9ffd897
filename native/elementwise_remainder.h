/* What is left of x after a division by y, exactly: x - n y with a whole number n.
 *
 *   fmod        n = x / y rounded towards 0, so that the rest has the sign of x
 *   remainder   n = x / y rounded down, so that it has the sign of y
 *
 * With n found by a division in double, n y and the difference lose nothing as long as n has few digits:
 * float32 leaves 53 - 24 for n, and for float64 fma computes the difference. n may be too large by 1 where
 * the division was rounded up; the rest then has the wrong sign. All other numbers are left to C's fmod. */
enum { FN(REST_BLOCK) = 64 };

TA_INLINE void FN(rests)(long n, const real *x, const real *y, int down, real *out)
{
    double rest[FN(REST_BLOCK)];
    long hard = 0;
    for (long i = 0; i < n; i++) {
        const double a = (double)x[i], b = (double)y[i], times = trunc(a / b);
#if REAL_BITS == 32
        const double left = a - times * b;
#else
        const double left = fma(-times, b, a);
#endif
        const double size = fabs(b), more = a < 0 ? -size : size;
        hard += !(fabs(times) < (sizeof(real) == 4 ? 0x1p28 : 0x1p52)) | !(size < INFINITY);
        rest[i] = left != 0 && (left < 0) != (a < 0) ? left + more : left;
    }
    if (hard)
        for (long i = 0; i < n; i++) rest[i] = fmod((double)x[i], (double)y[i]);
    for (long i = 0; i < n; i++) {
        const double left = rest[i], b = (double)y[i];
        const double turned = copysign(left, b), lower = turned == left ? turned : left + b;
        out[i] = (real)(down ? lower : copysign(left, (double)x[i]));
    }
}

#undef REST
#define REST(name, down)                                                                        \
    static void FN(loop_##name)(long n, real *out, const real *const *in, const real *numbers)  \
    {                                                                                           \
        (void)numbers;                                                                          \
        for (long i = 0; i < n; i += FN(REST_BLOCK))                                            \
            FN(rests)(ta_smaller(n - i, FN(REST_BLOCK)), in[0] + i, in[1] + i, down, out + i);  \
    }
REST(remainder, 1)
REST(fmod, 0)
#undef REST
