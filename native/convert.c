/* Floats as numbers of other types, and other numbers as floats. Look first at CONVERT, then at the list of
 * the loops behind it.
 *
 * A number that the other type can't hold becomes what the processor makes of it, as in NumPy: infinity as
 * a float, the smallest number as an integer. */
#ifndef TA_CONVERT
#define TA_CONVERT
struct ta_converting {
    void (*loop)(const char *x, char *y, int64_t begin, long n);
    const void *x;
    void *y;
    int64_t n;
};

static void ta_convert_part(void *arg, long part, long parts)
{
    (void)parts;
    const struct ta_converting *job = arg;
    const int64_t begin = (int64_t)part * PART_ELEMENTS;
    job->loop(job->x, job->y, begin, ta_smaller(PART_ELEMENTS, job->n - begin));
}
#endif

/* A loop that makes y of x, elements [begin, begin + n). */
#undef CONVERT
#define CONVERT(name, from, to, value)                                                     \
    static void FN(convert_##name)(const char *source, char *target, int64_t begin, long n) \
    {                                                                                      \
        const from *restrict x = (const from *)source + begin;                             \
        to *restrict y = (to *)target + begin;                                             \
        for (long i = 0; i < n; i++) y[i] = (to)(value);                                   \
    }
#if REAL_BITS == 32
CONVERT(to_float, real, double, x[i])
#else
CONVERT(to_float, real, float, x[i])
#endif
CONVERT(to_int64, real, int64_t, x[i])
CONVERT(to_int32, real, int32_t, x[i])
CONVERT(to_bool, real, uint8_t, x[i] != 0)
CONVERT(from_int64, int64_t, real, x[i])
CONVERT(from_int32, int32_t, real, x[i])
CONVERT(from_byte, uint8_t, real, x[i])

/* x (n) in another type -> y (n), by the loop of this number; kernels/native/convert.py has the numbers. */
KERNEL(convert)(const void *x, void *y, int64_t loop, int64_t n)
{
    static void (*const loops[])(const char *, char *, int64_t, long) = {
        FN(convert_to_float),   FN(convert_to_int64),   FN(convert_to_int32),  FN(convert_to_bool),
        FN(convert_from_int64), FN(convert_from_int32), FN(convert_from_byte),
    };
    struct ta_converting job = {.loop = loops[loop], .x = x, .y = y, .n = n};
    ta_parallel(ta_convert_part, &job, (long)((n + PART_ELEMENTS - 1) / PART_ELEMENTS));
    return 0;
}
