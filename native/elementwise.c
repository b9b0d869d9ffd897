/* exp, tanh and sigmoid of an array, from vmath.h. */

struct FN(elementwise_job) {
    const real *x;
    real *out;
    long count;
};

#define ELEMENTWISE(name)                                                                       \
    static void FN(name##_part)(void *arg, long part, long parts)                               \
    {                                                                                           \
        const struct FN(elementwise_job) *job = arg;                                            \
        long i = part * PART_ELEMENTS;                                                  \
        long end = part == parts - 1 ? job->count : i + PART_ELEMENTS;                  \
        for (; i + LANES <= end; i += LANES) store(job->out + i, FN(name)(load(job->x + i)));   \
        if (i < end)                                                                            \
            store_part(job->out + i, FN(name)(load_part(job->x + i, end - i)), end - i);        \
    }                                                                                           \
    static int FN(array_##name)(const real *x, real *out, int64_t count)                        \
    {                                                                                           \
        struct FN(elementwise_job) job = {x, out, (long)count};                                 \
        if (count > 0) ta_parallel(FN(name##_part), &job, 1 + (count - 1) / PART_ELEMENTS); \
        return 0;                                                                               \
    }

ELEMENTWISE(exp)
ELEMENTWISE(tanh)
ELEMENTWISE(sigmoid)
#undef ELEMENTWISE
