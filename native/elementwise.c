/* exp, tanh and sigmoid of an array, from vmath.h. */

struct FN(elementwise_job) {
    const real *x;
    real *out;
    long count;
};

#define ELEMENTWISE(name)                                                                          \
    static void FN(name##_part)(void *arg, long part, long parts)                                  \
    {                                                                                              \
        const struct FN(elementwise_job) *job = arg;                                               \
        long i = part * PART_ELEMENTS, end = part == parts - 1 ? job->count : i + PART_ELEMENTS;   \
        for (; i + LANES <= end; i += LANES) store(job->out + i, FN(name)(load(job->x + i)));      \
        if (i < end) store_first(job->out + i, FN(name)(load_first(job->x + i, end - i)), end - i); \
    }
ELEMENTWISE(exp)
ELEMENTWISE(tanh)
ELEMENTWISE(sigmoid)
#undef ELEMENTWISE

static int FN(over_array)(void (*task)(void *, long, long), const real *x, real *out, int64_t count)
{
    struct FN(elementwise_job) job = {x, out, (long)count};
    if (count > 0) ta_parallel(task, &job, 1 + (count - 1) / PART_ELEMENTS);
    return 0;
}

KERNEL(array_exp)(const real *x, real *out, int64_t count)
{
    return FN(over_array)(FN(exp_part), x, out, count);
}

KERNEL(array_tanh)(const real *x, real *out, int64_t count)
{
    return FN(over_array)(FN(tanh_part), x, out, count);
}

KERNEL(array_sigmoid)(const real *x, real *out, int64_t count)
{
    return FN(over_array)(FN(sigmoid_part), x, out, count);
}
