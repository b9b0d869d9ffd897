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

static void FN(layer_norm_row)(const struct FN(layer_norm_job) *job, long row)
{
    long D = job->D, i;
    const real *x = job->x + row * D;
    real *y = job->y + row * D;

    vec a = splat(0), b = a, c = a, d = a;
    real mean = 0;
    if (job->mean) {
        for (i = 0; i + 4 * LANES <= D; i += 4 * LANES) {
            a += load(x + i);
            b += load(x + i + LANES);
            c += load(x + i + 2 * LANES);
            d += load(x + i + 3 * LANES);
        }
        for (; i + LANES <= D; i += LANES) a += load(x + i);
        if (i < D) b += load_first(x + i, D - i);
        job->mean[row] = mean = hsum((a + b) + (c + d)) / (real)D;
    }

    vec m = splat(mean), e;
    a = b = c = d = splat(0);
    for (i = 0; i + 4 * LANES <= D; i += 4 * LANES) {
        e = load(x + i) - m, a += e * e;
        e = load(x + i + LANES) - m, b += e * e;
        e = load(x + i + 2 * LANES) - m, c += e * e;
        e = load(x + i + 3 * LANES) - m, d += e * e;
    }
    for (; i + LANES <= D; i += LANES) e = load(x + i) - m, a += e * e;
    if (i < D) {
        e = vselect(FN(lanes_below)(D - i), load_first(x + i, D - i) - m, splat(0));
        b += e * e;
    }
    double variance = (double)hsum((a + b) + (c + d)) / (double)D;
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
    real *dw, *db; /* (chunks, D) each; db is NULL without a mean */
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
    real *dw = job->dw + part * job->D, *db = job->db ? job->db + part * job->D : NULL;
    long end = job->N * (part + 1) / parts;
    memset(dw, 0, job->D * sizeof *dw);
    if (db) memset(db, 0, job->D * sizeof *db);
    for (long row = job->N * part / parts; row < end; row++)
        FN(layer_norm_grad_row)(job, row, dw, db);
}

/* grad, x, dx (N, D), mean, rstd (N), weight (D) or NULL, dweight, dbias (D). */
KERNEL(layer_norm_backward)(const real *grad, const real *x, const real *mean, const real *rstd,
                            const real *weight, real *dx, real *dweight, real *dbias, int64_t N,
                            int64_t D)
{
    long chunks = ta_row_parts(N, D);
    chunks = chunks > 32 ? 32 : chunks;
    real *sums = ta_scratch(TA_SHARED, (size_t)(2 * chunks * D + 1) * sizeof *sums);
    if (!sums) return 1;
    struct FN(layer_norm_grad_job) job = {grad, x,    mean, rstd, weight, dx, sums,
                                          mean ? sums + chunks * D : NULL, (long)N, (long)D};
    ta_parallel(FN(layer_norm_grad_part), &job, chunks);
    memset(dweight, 0, D * sizeof *dweight);
    if (mean) memset(dbias, 0, D * sizeof *dbias);
    for (long chunk = 0; chunk < chunks; chunk++)
        for (long i = 0; i < D; i++) {
            dweight[i] += job.dw[chunk * D + i];
            if (mean) dbias[i] += job.db[chunk * D + i];
        }
    ta_scratch_done(TA_SHARED);
    return 0;
}
