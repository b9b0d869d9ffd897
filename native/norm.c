/* What the clipping of gradients needs: the 2-norm over all elements of several arrays, and their
 * scaling. Squares are summed in double, in parts of a fixed number of elements (parts.h); the parts'
 * sums are added in order. */

/* The sum of x^2, with 32 sums in double side by side. */
static double FN(sum_of_squares)(const real *x, long n)
{
    enum { WIDTH = 32 };
    double sums[WIDTH] = {0}, sum = 0;
    long i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        for (long j = 0; j < WIDTH; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    for (long width = WIDTH / 2; width > 0; width /= 2)
        for (long j = 0; j < width; j++) sums[j] += sums[j + width];
    return sum + sums[0];
}

struct FN(norm_job) {
    const real *const *arrays;
    const int64_t *lengths;
    long count;
    double *sums; /* one for each part */
};

static void FN(norm_part)(void *arg, long part, long parts)
{
    const struct FN(norm_job) *job = arg;
    struct ta_span span = ta_before_spans(part);
    double sum = 0;
    (void)parts;
    while (ta_next_span(&span, job->lengths, job->count))
        sum += FN(sum_of_squares)(job->arrays[span.array] + span.begin, span.end - span.begin);
    job->sums[part] = sum;
}

/* `count` arrays of `lengths` elements each. */
KERNEL(global_norm)(const real *const *arrays, const int64_t *lengths, int64_t count, double *norm)
{
    long parts = ta_array_parts(lengths, (long)count);
    double *sums = ta_scratch(TA_SHARED, (size_t)(parts + 1) * sizeof *sums), sum = 0;
    if (!sums) return 1;
    struct FN(norm_job) job = {arrays, lengths, (long)count, sums};
    ta_parallel(FN(norm_part), &job, parts);
    for (long part = 0; part < parts; part++) sum += sums[part];
    ta_scratch_done(TA_SHARED);
    *norm = sqrt(sum);
    return 0;
}

struct FN(scale_job) {
    real *const *arrays;
    const int64_t *lengths;
    long count;
    real factor;
};

static void FN(scale_part)(void *arg, long part, long parts)
{
    const struct FN(scale_job) *job = arg;
    struct ta_span span = ta_before_spans(part);
    (void)parts;
    while (ta_next_span(&span, job->lengths, job->count)) {
        real *x = job->arrays[span.array] + span.begin;
        FN(row_scale)(x, x, span.end - span.begin, job->factor);
    }
}

/* The same arrays, multiplied by `factor` in place. */
KERNEL(scale)(real *const *arrays, const int64_t *lengths, int64_t count, double factor)
{
    struct FN(scale_job) job = {arrays, lengths, (long)count, (real)factor};
    ta_parallel(FN(scale_part), &job, ta_array_parts(lengths, job.count));
    return 0;
}
