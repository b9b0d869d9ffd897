/* Scaling in place, the smallest kernel there is: an example of how a kernel file looks. */
struct FN(scale_job) {
    real *x;
    long count;
    real factor;
};

static void FN(scale_part)(void *arg, long part, long parts)
{
    const struct FN(scale_job) *job = arg;
    long begin = job->count * part / parts, end = job->count * (part + 1) / parts, i = begin;
    vec factor = splat(job->factor);
    for (; i + LANES <= end; i += LANES) store(job->x + i, load(job->x + i) * factor);
    if (i < end) store_part(job->x + i, load_part(job->x + i, end - i) * factor, end - i);
}

static int FN(scale)(real *x, int64_t count, double factor)
{
    struct FN(scale_job) job = {x, (long)count, (real)factor};
    ta_parallel(FN(scale_part), &job, 1 + (long)count / 65536);
    return 0;
}
