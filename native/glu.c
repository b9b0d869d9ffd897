/* GLU of x (A, 2, C), two halves a and b:  y = a s  with  s = 1 / (1 + e^-b);   da = dy s,
 * db = dy a s (1 - s). Look at glu_part. */
struct FN(glu_job) {
    const real *grad, *x;
    real *out;
    long A, C;
};

static void FN(glu_part)(void *arg, long part, long parts)
{
    const struct FN(glu_job) *job = arg;
    const long C = job->C, end = job->A * (part + 1) / parts;
    for (long row = job->A * part / parts; row < end; row++) {
        const real *a = job->x + row * 2 * C, *b = a + C;
        real *y = job->out + row * C;
        for (long i = 0; i < C; i += LANES) {
            const long some = ta_smaller(LANES, C - i);
            store_some(y + i, load_some(a + i, some) * FN(sigmoid)(load_some(b + i, some)), some);
        }
    }
}

static void FN(glu_backward_part)(void *arg, long part, long parts)
{
    const struct FN(glu_job) *job = arg;
    const long C = job->C, end = job->A * (part + 1) / parts;
    for (long row = job->A * part / parts; row < end; row++) {
        const real *a = job->x + row * 2 * C, *b = a + C, *grad = job->grad + row * C;
        real *da = job->out + row * 2 * C, *db = da + C;
        for (long i = 0; i < C; i += LANES) {
            const long some = ta_smaller(LANES, C - i);
            const vec s = FN(sigmoid)(load_some(b + i, some)), first = load_some(grad + i, some) * s;
            store_some(da + i, first, some);
            store_some(db + i, first * load_some(a + i, some) * (splat(1) - s), some);
        }
    }
}

KERNEL(glu)(const real *x, real *out, int64_t A, int64_t C)
{
    struct FN(glu_job) job = {NULL, x, out, A, C};
    ta_parallel(FN(glu_part), &job, ta_row_parts(A, 2 * C));
    return 0;
}

KERNEL(glu_backward)(const real *grad, const real *x, real *out, int64_t A, int64_t C)
{
    struct FN(glu_job) job = {grad, x, out, A, C};
    ta_parallel(FN(glu_backward_part), &job, ta_row_parts(A, 2 * C));
    return 0;
}
