/* Softmax and its logarithm over rows, and their gradients. With m = max(x):
 *
 *   y = e^(x - m) / sum e^(x - m)         dx = y (g - sum g y)
 *   l = (x - m) - log sum e^(x - m)       dl: dx = g - e^l sum g
 *
 * and logsumexp: log sum e^x = m + log sum e^(x - m), where 0 stands for an infinite m.
 *
 * A row is read three times while it is in the cache: maximum, exponentials with their sum, scaling. A
 * longer row is read twice from memory. Look first at row_softmax; the loops over a row are in rows.h.
 * Along another axis than the last, x (A, n, C) goes by blocks of columns: see softmax_columns. */
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
    long N, n, C;
    void (*columns)(const real *x, const real *g, real *y, long n, long C, long width);
    int whole; /* whether out has the shape of x, not (A, C) */
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

static void FN(logsumexp_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    long n = job->n, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * n;
        real m, sum;
        if (n <= ROW_IN_CACHE) {
            m = FN(row_max)(x, n);
            m = isinf(m) ? 0 : m;
            sum = FN(row_sum_exp)(x, n, m);
        } else {
            sum = FN(long_row_sum_exp)(x, n, &m);
            if (isinf(m)) sum = FN(row_sum_exp)(x, n, m = 0);
        }
        job->out[row] = (real)(log((double)sum) + (double)m);
    }
}

/* Along the middle axis of (A, n, C). A unit of work is a block of columns of one of the A matrices, so
 * narrow that it stays in the second-level cache where n allows it. */
#ifndef TA_COLUMNS
#define TA_COLUMNS
enum { COLUMN_BLOCK = 128, COLUMN_ELEMENTS = 65536, COLUMN_ROWS = 4 };
enum { TA_EXP, TA_PRODUCT, TA_GRADIENT }; /* what is added up: e^(x - m), x g, g */
#endif

TA_INLINE long FN(column_width)(long n, long C)
{
    const long fit = COLUMN_ELEMENTS / (n + 1) / LANES * LANES;
    return ta_smaller(C, fit < LANES ? LANES : ta_smaller(fit, COLUMN_BLOCK));
}

/* The maximum m of each column. It ignores NaN; the sum of exponentials, which is taken next, does not. */
static void FN(column_max)(const real *x, long n, long C, long width, real *top)
{
    for (long j = 0; j < COLUMN_BLOCK; j++) top[j] = -INFINITY;
    for (long row = 0; row < n; row++, x += C)
        for (long j = 0; j < width; j += LANES)
            store(top + j, vmax(load_some(x + j, ta_smaller(LANES, width - j)), load(top + j)));
}

/* The sum of each column, a few rows at a time in their own type, and those in double, where what rounding
 * loses is kept, too. The exponentials are written to y if it is not NULL. */
TA_INLINE void FN(column_sums)(const real *x, const real *g, real *y, const real *top, long n, long C,
                               long width, int what, double *sum)
{
    double lost[COLUMN_BLOCK] = {0};
    memset(sum, 0, COLUMN_BLOCK * sizeof *sum);
    for (long first = 0; first < n; first += COLUMN_ROWS) {
        const long end = ta_smaller(n, first + COLUMN_ROWS) * C;
        real few[COLUMN_BLOCK];
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            vec part = splat(0);
            for (long at = first * C; at < end; at += C) {
                vec v = what == TA_GRADIENT ? load_some(g + at + j, some) : load_some(x + at + j, some);
                if (what == TA_EXP) v = FN(exp)(v - load(top + j));
                if (what == TA_PRODUCT) v *= load_some(g + at + j, some);
                if (y) store_some(y + at + j, v, some);
                part += v;
            }
            store(few + j, part);
        }
        FN(add_to_totals)(few, sum, lost, width);
    }
    for (long j = 0; j < width; j++) sum[j] = total_of(sum[j], lost[j]);
}

static void FN(softmax_columns)(const real *x, const real *g, real *y, long n, long C, long width)
{
    real top[COLUMN_BLOCK], divisor[COLUMN_BLOCK];
    double sum[COLUMN_BLOCK];
    (void)g;
    FN(column_max)(x, n, C, width, top);
    FN(column_sums)(x, NULL, y, top, n, C, width, TA_EXP, sum);
    for (long j = 0; j < COLUMN_BLOCK; j++) divisor[j] = (real)sum[j];
    for (long row = 0; row < n; row++, y += C)
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            store_some(y + j, load_some(y + j, some) / load(divisor + j), some);
        }
}

static void FN(softmax_backward_columns)(const real *y, const real *g, real *dx, long n, long C, long width)
{
    double sum[COLUMN_BLOCK];
    real dot[COLUMN_BLOCK];
    FN(column_sums)(y, g, NULL, NULL, n, C, width, TA_PRODUCT, sum);
    for (long j = 0; j < COLUMN_BLOCK; j++) dot[j] = (real)sum[j];
    for (long row = 0; row < n; row++, y += C, g += C, dx += C)
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            store_some(dx + j, load_some(y + j, some) * (load_some(g + j, some) - load(dot + j)), some);
        }
}

static void FN(log_softmax_columns)(const real *x, const real *g, real *y, long n, long C, long width)
{
    real top[COLUMN_BLOCK], log_sum[COLUMN_BLOCK];
    double sum[COLUMN_BLOCK];
    (void)g;
    FN(column_max)(x, n, C, width, top);
    FN(column_sums)(x, NULL, NULL, top, n, C, width, TA_EXP, sum);
    for (long j = 0; j < COLUMN_BLOCK; j++) log_sum[j] = j < width ? (real)log(sum[j]) : 0;
    for (long row = 0; row < n; row++, x += C, y += C)
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            store_some(y + j, (load_some(x + j, some) - load(top + j)) - load(log_sum + j), some);
        }
}

static void FN(log_softmax_backward_columns)(const real *l, const real *g, real *dx, long n, long C,
                                             long width)
{
    double sum[COLUMN_BLOCK];
    real total[COLUMN_BLOCK];
    FN(column_sums)(l, g, NULL, NULL, n, C, width, TA_GRADIENT, sum);
    for (long j = 0; j < COLUMN_BLOCK; j++) total[j] = (real)sum[j];
    for (long row = 0; row < n; row++, l += C, g += C, dx += C)
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            const vec p = FN(exp)(load_some(l + j, some));
            store_some(dx + j, load_some(g + j, some) - p * load(total + j), some);
        }
}

static void FN(logsumexp_columns)(const real *x, const real *g, real *y, long n, long C, long width)
{
    real top[COLUMN_BLOCK];
    double sum[COLUMN_BLOCK];
    (void)g;
    FN(column_max)(x, n, C, width, top);
    for (long j = 0; j < width; j++) top[j] = isinf(top[j]) ? 0 : top[j];
    FN(column_sums)(x, NULL, NULL, top, n, C, width, TA_EXP, sum);
    for (long j = 0; j < width; j++) y[j] = (real)(log(sum[j]) + (double)top[j]);
}

static void FN(columns_part)(void *arg, long part, long parts)
{
    const struct FN(rows_job) *job = arg;
    const long n = job->n, C = job->C, block = FN(column_width)(n, C), blocks = (C + block - 1) / block;
    const long end = job->N * blocks * (part + 1) / parts;
    for (long unit = job->N * blocks * part / parts; unit < end; unit++) {
        const long a = unit / blocks, column = unit % blocks * block, at = a * n * C + column;
        real *out = job->out + (job->whole ? at : a * C + column);
        job->columns(job->x + at, job->grad ? job->grad + at : NULL, out, n, C, ta_smaller(block, C - column));
    }
}

static int FN(along_axis)(const struct FN(rows_job) *job, void (*rows)(void *, long, long))
{
    if (job->C == 1) {
        ta_parallel(rows, (void *)job, ta_row_parts(job->N, job->n));
    } else if (job->N && job->C) {
        const long block = FN(column_width)(job->n, job->C);
        ta_parallel(FN(columns_part), (void *)job,
                    ta_row_parts(job->N * ((job->C + block - 1) / block), job->n * block));
    }
    return 0;
}

/* All of these work along the middle axis of (A, n, C). mask (A, n), 1 = attend, is for C = 1, or NULL. */
KERNEL(softmax)(const real *x, const uint8_t *mask, real *y, int64_t A, int64_t n, int64_t C)
{
    struct FN(rows_job) job = {x, mask, NULL, y, A, n, C, FN(softmax_columns), 1};
    return FN(along_axis)(&job, FN(softmax_part));
}

KERNEL(softmax_backward)(const real *y, const real *grad, real *dx, int64_t A, int64_t n, int64_t C)
{
    struct FN(rows_job) job = {y, NULL, grad, dx, A, n, C, FN(softmax_backward_columns), 1};
    return FN(along_axis)(&job, FN(softmax_backward_part));
}

KERNEL(log_softmax)(const real *x, real *y, int64_t A, int64_t n, int64_t C)
{
    struct FN(rows_job) job = {x, NULL, NULL, y, A, n, C, FN(log_softmax_columns), 1};
    return FN(along_axis)(&job, FN(log_softmax_part));
}

KERNEL(log_softmax_backward)(const real *y, const real *grad, real *dx, int64_t A, int64_t n, int64_t C)
{
    struct FN(rows_job) job = {y, NULL, grad, dx, A, n, C, FN(log_softmax_backward_columns), 1};
    return FN(along_axis)(&job, FN(log_softmax_backward_part));
}

/* x (A, n, C), y (A, C) */
KERNEL(logsumexp)(const real *x, real *y, int64_t A, int64_t n, int64_t C)
{
    struct FN(rows_job) job = {x, NULL, NULL, y, A, n, C, FN(logsumexp_columns), 0};
    return FN(along_axis)(&job, FN(logsumexp_part));
}
