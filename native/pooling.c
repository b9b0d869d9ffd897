/* Pooling over time, x (N, T): of every window of steps the largest number, or the mean; and the gradients.
 *
 *   max_pool    y_t = max_u x_u          dx_u = the sum of dy_t over all t whose first largest is x_u
 *   mean_pool   y_t = sum_u x_u / n_t    dx_u = the sum of dy_t / n_t over all t that have step u
 *
 * Window t has the steps begin[t], begin[t] + step, ... below end[t], all of them in [0, T); for a mean, step
 * is 1, and neither number is smaller than that of the window before. A NaN is the largest. A window without
 * a step gives -inf.
 * Look first at first_largest, then at mean_pool_backward_part. */

struct FN(pooling) {
    const real *grad, *x;
    const int64_t *begin, *end;
    real *out;
    int64_t N, T, count, step;
    int64_t divisor; /* of a mean; 0: the number of steps of the window */
};

/* The place of the first largest number of a window that has one. */
TA_INLINE int64_t FN(first_largest)(const real *x, int64_t begin, int64_t end, int64_t step)
{
    if (step == 1 && end - begin >= 2 * LANES) {
        struct ta_best best;
        FN(best_of_row)(x + begin, end - begin, 1, &best);
        return begin + best.at;
    }
    int64_t at = begin;
    real best = x[begin];
    for (int64_t u = begin + step; u < end; u += step) {
        const int ahead = !(x[u] <= best) & (best == best);
        at = ahead ? u : at;
        best = ahead ? x[u] : best;
    }
    return at;
}

static void FN(max_pool_part)(void *arg, long part, long parts)
{
    const struct FN(pooling) *job = arg;
    const int64_t last = job->N * (part + 1) / parts;
    for (int64_t row = job->N * part / parts; row < last; row++) {
        const real *x = job->x + row * job->T;
        real *y = job->out + row * job->count;
        for (int64_t t = 0; t < job->count; t++) {
            const int64_t begin = job->begin[t], end = job->end[t];
            y[t] = begin < end ? x[FN(first_largest)(x, begin, end, job->step)] : (real)-INFINITY;
        }
    }
}

static void FN(max_pool_backward_part)(void *arg, long part, long parts)
{
    const struct FN(pooling) *job = arg;
    const int64_t last = job->N * (part + 1) / parts;
    for (int64_t row = job->N * part / parts; row < last; row++) {
        const real *x = job->x + row * job->T, *grad = job->grad + row * job->count;
        real *dx = job->out + row * job->T;
        memset(dx, 0, (size_t)job->T * sizeof *dx);
        for (int64_t t = 0; t < job->count; t++) {
            const int64_t begin = job->begin[t], end = job->end[t];
            if (begin < end) dx[FN(first_largest)(x, begin, end, job->step)] += grad[t];
        }
    }
}

/* n_t of a window that begins and ends there. */
TA_INLINE double FN(window_size)(const struct FN(pooling) *job, int64_t begin, int64_t end)
{
    return job->divisor ? (double)job->divisor : end > begin ? (double)(end - begin) : 0;
}

static void FN(mean_pool_part)(void *arg, long part, long parts)
{
    const struct FN(pooling) *job = arg;
    const int64_t last = job->N * (part + 1) / parts;
    for (int64_t row = job->N * part / parts; row < last; row++) {
        const real *x = job->x + row * job->T;
        real *y = job->out + row * job->count;
        for (int64_t t = 0; t < job->count; t++) {
            const int64_t begin = job->begin[t], end = job->end[t];
            double sum[2] = {0, 0}; /* and what rounding has lost of it */
            if (end - begin >= 2 * WIDE) {
                const struct ta_sum all = FN(row_total)(x + begin, (long)(end - begin), TA_VALUES, 0, 0);
                sum[0] = all.sum, sum[1] = all.error;
            } else
                for (int64_t u = begin; u < end; u++) FN(add_to)(sum, 1, x[u]);
            y[t] = (real)(total_of(sum[0], sum[1]) / FN(window_size)(job, begin, end));
        }
    }
}

/* Between two borders of windows all steps have the same windows, first to t - 1, and the same sum. */
static void FN(mean_pool_backward_part)(void *arg, long part, long parts)
{
    const struct FN(pooling) *job = arg;
    const int64_t last = job->N * (part + 1) / parts;
    for (int64_t row = job->N * part / parts; row < last; row++) {
        const real *grad = job->grad + row * job->count;
        real *dx = job->out + row * job->T;
        for (int64_t u = 0, first = 0; u < job->T;) {
            while (first < job->count && job->end[first] <= u) first++;
            int64_t next = job->T, t = first;
            double sum = 0, lost = 0;
            for (; t < job->count && job->begin[t] <= u; t++)
                FN(add_one)(&sum, &lost, (double)grad[t] / FN(window_size)(job, job->begin[t], job->end[t]));
            if (t > first) next = ta_smaller(next, job->end[first]);
            if (t < job->count) next = ta_smaller(next, job->begin[t]);
            const real value = (real)total_of(sum, lost);
            for (; u < next; u++) dx[u] = value;
        }
    }
}

/* x (N, T), out (N, count). */
KERNEL(max_pool)(const real *x, const int64_t *begin, const int64_t *end, real *out, int64_t N, int64_t T,
                 int64_t count, int64_t step)
{
    struct FN(pooling) job = {NULL, x, begin, end, out, N, T, count, step, 0};
    ta_parallel(FN(max_pool_part), &job, ta_row_parts(N, T + count));
    return 0;
}

/* grad (N, count), x and out (N, T). */
KERNEL(max_pool_backward)(const real *grad, const real *x, const int64_t *begin, const int64_t *end,
                          real *out, int64_t N, int64_t T, int64_t count, int64_t step)
{
    struct FN(pooling) job = {grad, x, begin, end, out, N, T, count, step, 0};
    ta_parallel(FN(max_pool_backward_part), &job, ta_row_parts(N, T + count));
    return 0;
}

/* x (N, T), out (N, count). */
KERNEL(mean_pool)(const real *x, const int64_t *begin, const int64_t *end, real *out, int64_t N, int64_t T,
                  int64_t count, int64_t divisor)
{
    struct FN(pooling) job = {NULL, x, begin, end, out, N, T, count, 1, divisor};
    ta_parallel(FN(mean_pool_part), &job, ta_row_parts(N, T + count));
    return 0;
}

/* grad (N, count), out (N, T). */
KERNEL(mean_pool_backward)(const real *grad, const int64_t *begin, const int64_t *end, real *out, int64_t N,
                           int64_t T, int64_t count, int64_t divisor)
{
    struct FN(pooling) job = {grad, NULL, begin, end, out, N, T, count, 1, divisor};
    ta_parallel(FN(mean_pool_backward_part), &job, ta_row_parts(N, T + count));
    return 0;
}
