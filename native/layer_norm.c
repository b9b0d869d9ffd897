/* Layer normalisation over rows of D elements, and its gradient. Without a mean it is rms_norm.
 *
 *   mean = sum x / D,  rstd = 1 / sqrt(sum (x - mean)^2 / D + eps),  xhat = (x - mean) rstd
 *   y = xhat w + b;   with g' = g w:   dx = rstd (g' - sum g' / D - xhat sum(g' xhat) / D)
 *   dw = sum over rows of g xhat,  db = sum over rows of g
 *
 * If `mean` is NULL (rms_norm), 0 stands in the place of the mean. The formulas above then lose the two
 * terms that come from it, and there is no b.
 *
 * The sums over rows are taken in chunks of rows. The number of chunks depends on the shape only, and
 * their sums are added in order, so that the bits are the same for any number of threads. */

struct FN(layer_norm_job) {
    const real *x, *weight, *bias;
    double eps;
    real *y, *mean, *rstd;
    long N, D;
};

/* The sum of x - m, or of its square if `squared`, in double for blocks of ROW_BLOCK numbers. */
TA_INLINE double FN(row_deviation)(const real *x, long n, real mean, int squared)
{
    double sum = 0;
    vec m = splat(mean), e;
    for (long i = 0; i < n;) {
        long end = n - i < ROW_BLOCK ? n : i + ROW_BLOCK;
        vec a = splat(0), b = a, c = a, d = a;
        for (; i + 4 * LANES <= end; i += 4 * LANES) {
            e = load(x + i) - m, a += squared ? e * e : e;
            e = load(x + i + LANES) - m, b += squared ? e * e : e;
            e = load(x + i + 2 * LANES) - m, c += squared ? e * e : e;
            e = load(x + i + 3 * LANES) - m, d += squared ? e * e : e;
        }
        for (; i + LANES <= end; i += LANES) e = load(x + i) - m, a += squared ? e * e : e;
        if (i < end) {
            e = vselect(FN(lanes_below)(end - i), load_first(x + i, end - i) - m, splat(0));
            b += squared ? e * e : e;
            i = end;
        }
        sum += (double)hsum((a + b) + (c + d));
    }
    return sum;
}

static void FN(layer_norm_row)(const struct FN(layer_norm_job) *job, long row)
{
    long D = job->D, i;
    const real *x = job->x + row * D;
    real *y = job->y + row * D;

    real mean = 0;
    if (job->mean) job->mean[row] = mean = (real)(FN(row_deviation)(x, D, 0, 0) / (double)D);
    double variance = FN(row_deviation)(x, D, mean, 1) / (double)D;
    vec m = splat(mean);
    real rstd = (real)(1 / sqrt(variance + job->eps));

    vec r = splat(rstd), w = splat(1), shift = splat(0);
    for (i = 0; i + LANES <= D; i += LANES) {
        if (job->weight) w = load(job->weight + i);
        if (job->bias) shift = load(job->bias + i);
        store(y + i, (load(x + i) - m) * r * w + shift);
    }
    if (i < D) {
        if (job->weight) w = load_first(job->weight + i, D - i);
        if (job->bias) shift = load_first(job->bias + i, D - i);
        store_first(y + i, (load_first(x + i, D - i) - m) * r * w + shift, D - i);
    }
    job->rstd[row] = rstd;
}

static void FN(layer_norm_part)(void *arg, long part, long parts)
{
    const struct FN(layer_norm_job) *job = arg;
    long end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) FN(layer_norm_row)(job, row);
}

/* x, y (N, D), weight, bias (D) or NULL, mean, rstd (N). mean NULL: rms_norm, no bias. */
KERNEL(layer_norm)(const real *x, const real *weight, const real *bias, double eps, real *y, real *mean,
                   real *rstd, int64_t N, int64_t D)
{
    struct FN(layer_norm_job) job = {x, weight, bias, eps, y, mean, rstd, (long)N, (long)D};
    ta_parallel(FN(layer_norm_part), &job, ta_row_parts(N, D));
    return 0;
}

struct FN(layer_norm_grad_job) {
    const real *g, *x, *mean, *rstd, *weight;
    real *dx;
    struct FN(norm_sums) {
        real *dw, *db;              /* (chunks, D) each, of a few rows; db is NULL without a mean */
        double *of_dw, *lost_of_dw; /* (chunks, D) each: the totals, and what rounding has lost */
        double *of_db, *lost_of_db;
    } sums;
    long N, D;
};

/* Adds this row's terms to `dw` and, if it is not NULL, to `db`. */
static void FN(layer_norm_grad_row)(const struct FN(layer_norm_grad_job) *job, long row, real *dw,
                                    real *db)
{
    long D = job->D, i;
    const real *g = job->g + row * D, *x = job->x + row * D, *weight = job->weight;
    real *dx = job->dx + row * D;
    vec m = splat(job->mean ? job->mean[row] : 0), r = splat(job->rstd[row]);
    vec w = splat(1), sum_g = splat(0), sum_gx = splat(0);
    for (i = 0; i + LANES <= D; i += LANES) {
        vec gi = load(g + i), xhat = (load(x + i) - m) * r;
        if (weight) w = load(weight + i);
        if (db) store(db + i, load(db + i) + gi);
        store(dw + i, load(dw + i) + gi * xhat);
        sum_g += gi * w;
        sum_gx += gi * w * xhat;
    }
    if (i < D) {
        long rest = D - i;
        vec gi = load_first(g + i, rest), xhat = (load_first(x + i, rest) - m) * r;
        if (weight) w = load_first(weight + i, rest);
        if (db) store_first(db + i, load_first(db + i, rest) + gi, rest);
        store_first(dw + i, load_first(dw + i, rest) + gi * xhat, rest);
        sum_g += gi * w;
        sum_gx += gi * w * xhat;
    }
    vec mean_g = splat(job->mean ? hsum(sum_g) / (real)D : 0), mean_gx = splat(hsum(sum_gx) / (real)D);
    for (i = 0; i + LANES <= D; i += LANES) {
        vec xhat = (load(x + i) - m) * r;
        if (weight) w = load(weight + i);
        store(dx + i, r * (load(g + i) * w - mean_g - xhat * mean_gx));
    }
    if (i < D) {
        long rest = D - i;
        vec xhat = (load_first(x + i, rest) - m) * r;
        if (weight) w = load_first(weight + i, rest);
        store_first(dx + i, r * (load_first(g + i, rest) * w - mean_g - xhat * mean_gx), rest);
    }
}

static void FN(layer_norm_grad_part)(void *arg, long part, long parts)
{
    const struct FN(layer_norm_grad_job) *job = arg;
    const struct FN(norm_sums) *s = &job->sums;
    long D = job->D, at = part * D, row = job->N * part / parts, end = job->N * (part + 1) / parts;
    real *dw = s->dw + at, *db = s->db ? s->db + at : NULL;
    while (row < end) {
        long stop = row + ROWS_AT_ONCE < end ? row + ROWS_AT_ONCE : end;
        for (; row < stop; row++) FN(layer_norm_grad_row)(job, row, dw, db);
        FN(add_to_totals)(dw, s->of_dw + at, s->lost_of_dw + at, D);
        if (db) FN(add_to_totals)(db, s->of_db + at, s->lost_of_db + at, D);
    }
}

/* out (D): the chunks' totals, added in order. */
static void FN(join_chunks)(const double *sums, const double *lost, long chunks, real *out, long D)
{
    for (long i = 0; i < D; i++) {
        double sum = 0, error = 0;
        for (long chunk = 0; chunk < chunks; chunk++) {
            FN(add_one)(&sum, &error, sums[chunk * D + i]);
            error += lost[chunk * D + i];
        }
        out[i] = (real)total_of(sum, error);
    }
}

/* grad, x, dx (N, D), mean, rstd (N), weight (D) or NULL, dweight, dbias (D). */
KERNEL(layer_norm_backward)(const real *grad, const real *x, const real *mean, const real *rstd,
                            const real *weight, real *dx, real *dweight, real *dbias, int64_t N,
                            int64_t D)
{
    long chunks = ta_row_parts(N, D);
    chunks = chunks > 32 ? 32 : chunks;
    long each = chunks * D;
    size_t bytes = (size_t)each * (4 * sizeof(double) + 2 * sizeof(real));
    double *room = ta_scratch(TA_SHARED, bytes + 1);
    if (!room) return 1;
    memset(room, 0, bytes);
    real *few = (real *)(room + 4 * each);
    struct FN(layer_norm_grad_job) job = {grad, x, mean, rstd, weight, dx, {0}, (long)N, (long)D};
    job.sums = (struct FN(norm_sums)){few, mean ? few + each : NULL, room, room + each,
                                      room + 2 * each, room + 3 * each};
    ta_parallel(FN(layer_norm_grad_part), &job, chunks);
    FN(join_chunks)(job.sums.of_dw, job.sums.lost_of_dw, chunks, dweight, (long)D);
    if (mean) FN(join_chunks)(job.sums.of_db, job.sums.lost_of_db, chunks, dbias, (long)D);
    ta_scratch_done(TA_SHARED);
    return 0;
}
