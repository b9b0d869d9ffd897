/* Additive attention scores (Bahdanau et al. 2014) and their gradient, for every batch:
 *
 *   s_ij = sum_h v_h tanh(q_ih + k_jh)
 *   dq_i = sum_j d_ij,  dk_j = sum_i d_ij  with  d_ijh = g_ij v_h (1 - tanh^2(q_ih + k_jh))
 *   dv_h = sum_ij g_ij tanh(q_ih + k_jh)
 *
 * The backward computes tanh again, so that nothing of size Tq Tk H is ever stored. No column h needs
 * another one there: a part owns some columns of some batches, and only dv is a sum over parts. */

struct FN(additive_job) {
    const real *g, *q, *k, *v;
    real *s, *dq, *dk;
    double *dv; /* (chunks, H) */
    long B, Tq, Tk, H;
};

static void FN(additive_part)(void *arg, long part, long parts)
{
    const struct FN(additive_job) *job = arg;
    long Tq = job->Tq, Tk = job->Tk, H = job->H, count = job->B * Tq * Tk;
    long end = count * (part + 1) / parts;
    for (long at = count * part / parts; at < end; at++) {
        long row = at / Tk, h = 0;
        const real *q = job->q + row * H, *k = job->k + (row / Tq * Tk + at % Tk) * H, *v = job->v;
        vec a = splat(0), b = a;
        for (; h + 2 * LANES <= H; h += 2 * LANES) {
            a += load(v + h) * FN(tanh)(load(q + h) + load(k + h));
            b += load(v + h + LANES) * FN(tanh)(load(q + h + LANES) + load(k + h + LANES));
        }
        if (h + LANES <= H) a += load(v + h) * FN(tanh)(load(q + h) + load(k + h)), h += LANES;
        if (h < H) {
            vec x = load_first(q + h, H - h) + load_first(k + h, H - h);
            b += load_first(v + h, H - h) * FN(tanh)(x);
        }
        job->s[at] = hsum(a + b);
    }
}

/* q (B, Tq, H), k (B, Tk, H), v (H), s (B, Tq, Tk). */
KERNEL(additive)(const real *q, const real *k, const real *v, real *s, int64_t B, int64_t Tq,
                 int64_t Tk, int64_t H)
{
    struct FN(additive_job) job = {.q = q, .k = k, .v = v, .s = s, .B = (long)B, .Tq = (long)Tq,
                                   .Tk = (long)Tk, .H = (long)H};
    ta_parallel(FN(additive_part), &job, ta_row_parts(job.B * job.Tq * job.Tk, job.H));
    return 0;
}

#define ADDITIVE_COLUMNS ((long)(128 / sizeof(real)))

/* The columns h to h + n of batch b, and their terms of dv on to `of_v`. */
TA_INLINE void FN(additive_columns)(const struct FN(additive_job) *job, long b, long h, long n,
                                    double *of_v)
{
    long Tq = job->Tq, Tk = job->Tk, H = job->H;
    const real *k = job->k + b * Tk * H + h;
    real *dk = job->dk + b * Tk * H + h;
    vec v = load_some(job->v + h, n);
    for (long j = 0; j < Tk; j++) store_some(dk + j * H, splat(0), n);
    for (long i = 0; i < Tq; i++) {
        long row = b * Tq + i;
        const real *g = job->g + row * Tk;
        vec q = load_some(job->q + row * H + h, n), dq = splat(0), dv = splat(0);
        for (long j = 0; j < Tk; j++) {
            vec t = FN(tanh)(q + load_some(k + j * H, n)), gt = splat(g[j]) * t;
            vec d = splat(g[j]) - gt * t;
            dv += gt;
            dq += d;
            store_some(dk + j * H, load_some(dk + j * H, n) + d * v, n);
        }
        store_some(job->dq + row * H + h, dq * v, n);
        for (long lane = 0; lane < LANES; lane++) of_v[lane] += (double)dv[lane];
    }
}

static void FN(additive_grad_part)(void *arg, long part, long parts)
{
    const struct FN(additive_job) *job = arg;
    long blocks = (job->H + ADDITIVE_COLUMNS - 1) / ADDITIVE_COLUMNS, chunks = parts / blocks;
    long chunk = part / blocks, h = part % blocks * ADDITIVE_COLUMNS, n = LANES;
    long end = h + ADDITIVE_COLUMNS < job->H ? h + ADDITIVE_COLUMNS : job->H;
    long first = job->B * chunk / chunks, last = job->B * (chunk + 1) / chunks;
    for (; h < end; h += LANES) {
        double of_v[LANES];
        memset(of_v, 0, sizeof of_v);
        if (h + LANES <= end) {
            for (long b = first; b < last; b++) FN(additive_columns)(job, b, h, LANES, of_v);
        } else {
            n = end - h;
            for (long b = first; b < last; b++) FN(additive_columns)(job, b, h, n, of_v);
        }
        for (long lane = 0; lane < n; lane++) job->dv[chunk * job->H + h + lane] = of_v[lane];
    }
}

/* grad (B, Tq, Tk); dq, dk, dv like q, k, v. */
KERNEL(additive_backward)(const real *grad, const real *q, const real *k, const real *v, real *dq,
                          real *dk, real *dv, int64_t B, int64_t Tq, int64_t Tk, int64_t H)
{
    long blocks = ((long)H + ADDITIVE_COLUMNS - 1) / ADDITIVE_COLUMNS;
    long chunks = ta_row_parts((long)B, (long)(Tq * Tk * H));
    chunks = chunks > 32 ? 32 : chunks;
    double *sums = ta_scratch(TA_SHARED, (size_t)(chunks * H + 1) * sizeof *sums);
    if (!sums) return 1;
    struct FN(additive_job) job = {grad, q, k, v, NULL, dq, dk, sums,
                                   (long)B, (long)Tq, (long)Tk, (long)H};
    ta_parallel(FN(additive_grad_part), &job, chunks * blocks);
    for (long h = 0; h < H; h++) {
        double sum = 0;
        for (long chunk = 0; chunk < chunks; chunk++) sum += sums[chunk * H + h];
        dv[h] = (real)sum;
    }
    ta_scratch_done(TA_SHARED);
    return 0;
}

#undef ADDITIVE_COLUMNS
