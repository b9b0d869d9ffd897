/* Layer normalisation over rows of D elements, and its gradient.
 *
 *   mean = sum x / D,  rstd = 1 / sqrt(sum (x - mean)^2 / D + eps),  xhat = (x - mean) rstd
 *   y = xhat w + b;   with g' = g w:   dx = rstd (g' - sum g' / D - xhat sum(g' xhat) / D)
 *   dw = sum over rows of g xhat,  db = sum over rows of g
 *
 * The sums over rows are taken in chunks of rows whose number depends on the shape only, and the
 * chunks' sums are added in order: the same bits for any number of threads. */

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
    for (i = 0; i + 4 * LANES <= D; i += 4 * LANES) {
        a += load(x + i);
        b += load(x + i + LANES);
        c += load(x + i + 2 * LANES);
        d += load(x + i + 3 * LANES);
    }
    for (; i + LANES <= D; i += LANES) a += load(x + i);
    if (i < D) b += load_part(x + i, D - i);
    real mean = hsum((a + b) + (c + d)) / (real)D;

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
        e = vselect(FN(lanes_below)(D - i), load_part(x + i, D - i) - m, splat(0));
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
        if (job->weight) w = load_part(job->weight + i, D - i);
        if (job->bias) shift = load_part(job->bias + i, D - i);
        store_part(y + i, (load_part(x + i, D - i) - m) * r * w + shift, D - i);
    }
    job->mean[row] = mean;
    job->rstd[row] = rstd;
}

static void FN(layer_norm_part)(void *arg, long part, long parts)
{
    const struct FN(layer_norm_job) *job = arg;
    long end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) FN(layer_norm_row)(job, row);
}

static int FN(layer_norm)(const real *x, const real *weight, const real *bias, double eps, real *y,
                          real *mean, real *rstd, int64_t N, int64_t D)
{
    struct FN(layer_norm_job) job = {x, weight, bias, eps, y, mean, rstd, (long)N, (long)D};
    ta_parallel(FN(layer_norm_part), &job, ta_row_parts(N, D));
    return 0;
}

struct FN(layer_norm_grad_job) {
    const real *g, *x, *mean, *rstd, *weight;
    real *dx;
    real *dw, *db; /* (chunks, D) each */
    long N, D;
};

enum { FN(GRAD_ROWS) = 8, FN(GRAD_VECTORS) = LANES * sizeof(real) == 64 ? 4 : 2 };

/* What a row's dx needs of the whole row: means of g' and g' xhat. */
static void FN(layer_norm_grad_means)(const struct FN(layer_norm_grad_job) *job, long row,
                                      real *mean_g, real *mean_gx)
{
    long D = job->D, i = 0;
    const real *g = job->g + row * D, *x = job->x + row * D, *weight = job->weight;
    vec m = splat(job->mean[row]), w = splat(1);
    vec a = splat(0), b = a, ax = a, bx = a, gi;
    for (; i + 2 * LANES <= D; i += 2 * LANES) {
        gi = weight ? load(g + i) * load(weight + i) : load(g + i);
        a += gi, ax += gi * (load(x + i) - m);
        gi = weight ? load(g + i + LANES) * load(weight + i + LANES) : load(g + i + LANES);
        b += gi, bx += gi * (load(x + i + LANES) - m);
    }
    for (; i < D; i += LANES) {
        long rest = D - i < LANES ? D - i : LANES;
        gi = load_part(g + i, rest) * (weight ? load_part(weight + i, rest) : w);
        a += gi, ax += gi * vselect(FN(lanes_below)(rest), load_part(x + i, rest) - m, splat(0));
    }
    *mean_g = hsum(a + b) / (real)D;
    *mean_gx = hsum(ax + bx) * job->rstd[row] / (real)D;
}

/* dx of a strip of columns, `vectors` wide, and the rows' shares of dw and db, which stay in registers.
 * The last vector is `last` lanes wide; `vectors` is a constant. */
TA_INLINE void FN(layer_norm_grad_strip)(const struct FN(layer_norm_grad_job) *job, long row,
                                         long rows, long column, const real *mean_g,
                                         const real *mean_gx, real *dw, real *db, int vectors,
                                         long last)
{
    vec w[FN(GRAD_VECTORS)], sum_w[FN(GRAD_VECTORS)], sum_b[FN(GRAD_VECTORS)];
    for (int k = 0; k < vectors; k++) {
        long i = column + k * LANES, width = k == vectors - 1 ? last : LANES;
        w[k] = job->weight ? load_part(job->weight + i, width) : splat(1);
        sum_w[k] = load_part(dw + i, width);
        sum_b[k] = load_part(db + i, width);
    }
    for (long r = 0; r < rows; r++) {
        long at = (row + r) * job->D + column;
        vec m = splat(job->mean[row + r]), rstd = splat(job->rstd[row + r]);
        vec mg = splat(mean_g[r]), mgx = splat(mean_gx[r]);
        for (int k = 0; k < vectors; k++) {
            long i = at + k * LANES, width = k == vectors - 1 ? last : LANES;
            vec g = width == LANES ? load(job->g + i) : load_part(job->g + i, width);
            vec x = width == LANES ? load(job->x + i) : load_part(job->x + i, width);
            vec xhat = (x - m) * rstd, dx = rstd * (g * w[k] - mg - xhat * mgx);
            sum_w[k] += g * xhat;
            sum_b[k] += g;
            width == LANES ? store(job->dx + i, dx) : store_part(job->dx + i, dx, width);
        }
    }
    for (int k = 0; k < vectors; k++) {
        long i = column + k * LANES, width = k == vectors - 1 ? last : LANES;
        store_part(dw + i, sum_w[k], width);
        store_part(db + i, sum_b[k], width);
    }
}

static void FN(layer_norm_grad_part)(void *arg, long part, long parts)
{
    const struct FN(layer_norm_grad_job) *job = arg;
    long D = job->D, strip = FN(GRAD_VECTORS) * LANES;
    real *dw = job->dw + part * D, *db = job->db + part * D;
    real mean_g[FN(GRAD_ROWS)], mean_gx[FN(GRAD_ROWS)];
    memset(dw, 0, D * sizeof *dw);
    memset(db, 0, D * sizeof *db);
    long row = job->N * part / parts, end = job->N * (part + 1) / parts, rows, i;
    for (; row < end; row += rows) {
        rows = end - row < FN(GRAD_ROWS) ? end - row : FN(GRAD_ROWS);
        for (long r = 0; r < rows; r++)
            FN(layer_norm_grad_means)(job, row + r, &mean_g[r], &mean_gx[r]);
        for (i = 0; i + strip <= D; i += strip)
            FN(layer_norm_grad_strip)(job, row, rows, i, mean_g, mean_gx, dw, db,
                                      FN(GRAD_VECTORS), LANES);
        for (; i + LANES <= D; i += LANES)
            FN(layer_norm_grad_strip)(job, row, rows, i, mean_g, mean_gx, dw, db, 1, LANES);
        if (i < D)
            FN(layer_norm_grad_strip)(job, row, rows, i, mean_g, mean_gx, dw, db, 1, D - i);
    }
}

static int FN(layer_norm_backward)(const real *grad, const real *x, const real *mean,
                                   const real *rstd, const real *weight, real *dx, real *dweight,
                                   real *dbias, int64_t N, int64_t D)
{
    long chunks = ta_row_parts(N, D);
    chunks = chunks > 32 ? 32 : chunks;
    real *sums = ta_scratch(TA_SHARED, (size_t)(2 * chunks * D + 1) * sizeof *sums);
    if (!sums) return 1;
    struct FN(layer_norm_grad_job) job = {grad, x,    mean, rstd, weight, dx, sums,
                                          sums + chunks * D, (long)N, (long)D};
    ta_parallel(FN(layer_norm_grad_part), &job, chunks);
    memset(dweight, 0, D * sizeof *dweight);
    memset(dbias, 0, D * sizeof *dbias);
    for (long chunk = 0; chunk < chunks; chunk++)
        for (long i = 0; i < D; i++) {
            dweight[i] += job.dw[chunk * D + i];
            dbias[i] += job.db[chunk * D + i];
        }
    ta_scratch_done(TA_SHARED);
    return 0;
}
