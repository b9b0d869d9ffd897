/* Softmax and its logarithm over rows, and their gradients. With m = max(x):
 *
 *   y = e^(x - m) / sum e^(x - m)         dx = y (g - sum g y)
 *   l = (x - m) - log sum e^(x - m)       dl: dx = g - e^l sum g
 *
 * A row is read three times while it is in the cache: maximum, exponentials with their sum, scaling. A
 * longer row is read twice from memory. Look first at row_softmax; the loops over a row are in rows.h. */
static void FN(row_softmax)(const real *x, real *y, long n)
{
    if (n <= ROW_IN_CACHE) {
        real sum = FN(row_exp)(x, y, n, FN(row_max)(x, n));
        FN(row_scale)(y, y, n, 1 / sum);
        return;
    }
    real m, sum = FN(long_row_sum_exp)(x, n, &m);
    for (long i = 0; i < n; i += ROW_BLOCK) {
        long length = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
        FN(row_exp)(x + i, y + i, length, m);
        FN(row_scale)(y + i, y + i, length, 1 / sum);
    }
}

struct FN(rows_job) {
    const real *x;
    const uint8_t *mask;
    const real *grad;
    real *out;
    long N, n;
};

/* A row of at most SHORT_ROW vectors stays in registers. `vectors` is a constant. */
enum { FN(SHORT_ROW) = 4 };
TA_INLINE void FN(short_rows)(const real *x, real *y, long rows, long n, int vectors)
{
    long whole = (vectors - 1) * LANES, rest = n - whole;
    ivec live = FN(lanes_below)(rest);
    for (; rows > 0; rows--, x += n, y += n) {
        vec v[FN(SHORT_ROW)], top, sum;
        for (int k = 0; k < vectors - 1; k++) v[k] = load(x + k * LANES);
        v[vectors - 1] = vselect(live, load_first(x + whole, rest), splat(-INFINITY));
        top = v[0];
        for (int k = 1; k < vectors; k++) top = vmax(v[k], top);
        top = splat(hmax(top));
        for (int k = 0; k < vectors; k++) v[k] = FN(exp)(v[k] - top);
        sum = v[vectors - 1] = vselect(live, v[vectors - 1], splat(0));
        for (int k = 0; k < vectors - 1; k++) sum += v[k];
        vec scale = splat(1 / hsum(sum));
        for (int k = 0; k < vectors - 1; k++) store(y + k * LANES, v[k] * scale);
        store_first(y + whole, v[vectors - 1] * scale, rest);
    }
}

static void FN(softmax_rows)(const real *x, real *y, long rows, long n)
{
    if (n <= LANES)
        FN(short_rows)(x, y, rows, n, 1);
    else if (n <= 2 * LANES)
        FN(short_rows)(x, y, rows, n, 2);
    else if (n <= 3 * LANES)
        FN(short_rows)(x, y, rows, n, 3);
    else if (n <= 4 * LANES)
        FN(short_rows)(x, y, rows, n, 4);
    else
        for (; rows > 0; rows--, x += n, y += n) FN(row_softmax)(x, y, n);
}

static void FN(softmax_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    long n = job->n, row = job->N * part / parts, rows = job->N * (part + 1) / parts - row;
    const real *x = job->x + row * n;
    real *y = job->out + row * n;
    if (!job->mask) {
        FN(softmax_rows)(x, y, rows, n);
        return;
    }
    const uint8_t *mask = job->mask + row * n;
    for (long i = 0; i < rows * n; i++) y[i] = mask[i] ? x[i] : (real)-INFINITY;
    FN(softmax_rows)(y, y, rows, n);
    for (; rows > 0 && n > 0; rows--, mask += n, y += n)
        if (isnan(y[0]) && !memchr(mask, 1, n)) memset(y, 0, n * sizeof *y);
}

static void FN(softmax_backward_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    long n = job->n, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *y = job->x + row * n, *g = job->grad + row * n;
        real *dx = job->out + row * n;
        vec dot = splat(FN(row_dot)(y, g, n));
        long i;
        for (i = 0; i + LANES <= n; i += LANES) store(dx + i, load(y + i) * (load(g + i) - dot));
        if (i < n)
            store_first(dx + i, load_first(y + i, n - i) * (load_first(g + i, n - i) - dot), n - i);
    }
}

static void FN(log_softmax_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    long n = job->n, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * n;
        real *y = job->out + row * n, m, sum;
        if (n <= ROW_IN_CACHE)
            sum = FN(row_sum_exp)(x, n, m = FN(row_max)(x, n));
        else
            sum = FN(long_row_sum_exp)(x, n, &m);
        vec top = splat(m), log_sum = splat((real)log((double)sum));
        long i = 0;
        for (; i + LANES <= n; i += LANES) store(y + i, (load(x + i) - top) - log_sum);
        if (i < n) store_first(y + i, (load_first(x + i, n - i) - top) - log_sum, n - i);
    }
}

static void FN(log_softmax_backward_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    long n = job->n, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *l = job->x + row * n, *g = job->grad + row * n;
        real *dx = job->out + row * n;
        vec sum = splat(FN(row_dot)(g, NULL, n));
        long i;
        for (i = 0; i + LANES <= n; i += LANES)
            store(dx + i, load(g + i) - FN(exp)(load(l + i)) * sum);
        if (i < n)
            store_first(dx + i, load_first(g + i, n - i) - FN(exp)(load_first(l + i, n - i)) * sum,
                       n - i);
    }
}

/* x, y (N, n); mask (N, n), 1 = attend, or NULL. */
KERNEL(softmax)(const real *x, const uint8_t *mask, real *y, int64_t N, int64_t n)
{
    struct FN(rows_job) job = {x, mask, NULL, y, (long)N, (long)n};
    ta_parallel(FN(softmax_part), &job, ta_row_parts(N, n));
    return 0;
}

/* y, grad, dx (N, n). */
KERNEL(softmax_backward)(const real *y, const real *grad, real *dx, int64_t N, int64_t n)
{
    struct FN(rows_job) job = {y, NULL, grad, dx, (long)N, (long)n};
    ta_parallel(FN(softmax_backward_part), &job, ta_row_parts(N, n));
    return 0;
}

/* x, y (N, n). */
KERNEL(log_softmax)(const real *x, real *y, int64_t N, int64_t n)
{
    struct FN(rows_job) job = {x, NULL, NULL, y, (long)N, (long)n};
    ta_parallel(FN(log_softmax_part), &job, ta_row_parts(N, n));
    return 0;
}

/* y, grad, dx (N, n). */
KERNEL(log_softmax_backward)(const real *y, const real *grad, real *dx, int64_t N, int64_t n)
{
    struct FN(rows_job) job = {y, NULL, grad, dx, (long)N, (long)n};
    ta_parallel(FN(log_softmax_backward_part), &job, ta_row_parts(N, n));
    return 0;
}
