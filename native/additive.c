/* Additive attention scores (Bahdanau et al. 2014) and their gradient, for every batch:
 *
 *   s_ij = sum_h v_h tanh(q_ih + k_jh)
 *   dq_i = sum_j d_ij,  dk_j = sum_i d_ij  with  d_ijh = g_ij v_h (1 - tanh^2(q_ih + k_jh))
 *   dv_h = sum_ij g_ij tanh(q_ih + k_jh)
 *
 * The backward computes tanh again, so that nothing of size Tq Tk H is ever stored. No column h needs
 * another one there: a part owns some columns of some batches, and only dv is a sum over parts. Sums over
 * many keys and queries do not drift (sums.h). */

struct FN(additive_job) {
    const real *g, *q, *k, *v;
    real *s, *dq, *dk;
    double *dv, *lost_of_dv; /* (chunks, H) */
    long B, Tq, Tk, H;
    atomic_int failed;
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
#undef ADDITIVE_KEYS
#define ADDITIVE_KEYS 64L /* keys whose terms are added in their own type */

/* The totals of one vector of columns, and what rounding has lost of them. */
struct FN(column_totals) {
    wide sum[LANES / WIDE], lost[LANES / WIDE];
};

TA_INLINE void FN(add_columns_to)(struct FN(column_totals) *totals, vec v)
{
    real few[LANES];
    store(few, v);
    for (long k = 0; k < LANES / WIDE; k++) {
        struct FN(total) t = {totals->sum[k], totals->lost[k]};
        add_wide(&t, load_wide(few + k * WIDE));
        totals->sum[k] = t.sum, totals->lost[k] = t.error;
    }
}

/* The first n totals, rounded. */
TA_INLINE vec FN(columns_of_totals)(const struct FN(column_totals) *totals, long n)
{
    const double *sum = (const double *)totals->sum, *lost = (const double *)totals->lost;
    vec v = splat(0);
    for (long lane = 0; lane < n; lane++) v[lane] = (real)total_of(sum[lane], lost[lane]);
    return v;
}

/* The columns h to h + n of batch b, and their terms of dv on to `of_v`. `of_k` holds totals for Tk keys;
 * it is NULL where there are few queries. */
TA_INLINE void FN(additive_columns)(const struct FN(additive_job) *job, long b, long h, long n,
                                    struct FN(column_totals) *of_v, struct FN(column_totals) *of_k)
{
    long Tq = job->Tq, Tk = job->Tk, H = job->H;
    const real *k = job->k + b * Tk * H + h;
    real *dk = job->dk + b * Tk * H + h;
    vec v = load_some(job->v + h, n);
    for (long j = 0; j < Tk; j++) store_some(dk + j * H, splat(0), n);
    if (of_k) memset(of_k, 0, (size_t)Tk * sizeof *of_k);
    vec dv = splat(0);
    long terms = 0; /* of dv */
    for (long i = 0; i < Tq; i++) {
        long row = b * Tq + i;
        const real *g = job->g + row * Tk;
        vec q = load_some(job->q + row * H + h, n);
        vec dq = splat(0);
        struct FN(column_totals) of_q;
        if (Tk > ADDITIVE_KEYS) memset(&of_q, 0, sizeof of_q);
        for (long j = 0; j < Tk;) {
            long begin = j, end = Tk - j < ADDITIVE_KEYS ? Tk : j + ADDITIVE_KEYS;
            dq = splat(0);
            for (; j < end; j++) {
                vec t = FN(tanh)(q + load_some(k + j * H, n)), gt = splat(g[j]) * t;
                vec d = splat(g[j]) - gt * t;
                dv += gt;
                dq += d;
                store_some(dk + j * H, load_some(dk + j * H, n) + d * v, n);
            }
            if (Tk > ADDITIVE_KEYS) FN(add_columns_to)(&of_q, dq);
            if ((terms += end - begin) >= ADDITIVE_KEYS) {
                FN(add_columns_to)(of_v, dv);
                dv = splat(0);
                terms = 0;
            }
        }
        if (Tk > ADDITIVE_KEYS) dq = FN(columns_of_totals)(&of_q, n);
        store_some(job->dq + row * H + h, dq * v, n);
        if (of_k && ((i + 1) % ROWS_AT_ONCE == 0 || i + 1 == Tq))
            for (long j = 0; j < Tk; j++) {
                FN(add_columns_to)(&of_k[j], load_some(dk + j * H, n));
                store_some(dk + j * H, splat(0), n);
            }
    }
    FN(add_columns_to)(of_v, dv);
    if (of_k)
        for (long j = 0; j < Tk; j++) store_some(dk + j * H, FN(columns_of_totals)(&of_k[j], n), n);
}

static void FN(additive_grad_part)(void *arg, long part, long parts)
{
    struct FN(additive_job) *job = arg;
    long blocks = (job->H + ADDITIVE_COLUMNS - 1) / ADDITIVE_COLUMNS, chunks = parts / blocks;
    long chunk = part / blocks, h = part % blocks * ADDITIVE_COLUMNS, n = LANES;
    long end = h + ADDITIVE_COLUMNS < job->H ? h + ADDITIVE_COLUMNS : job->H;
    long first = job->B * chunk / chunks, last = job->B * (chunk + 1) / chunks;
    struct FN(column_totals) *of_k = NULL;
    if (job->Tq > ROWS_AT_ONCE && !(of_k = ta_scratch(TA_PART, (size_t)job->Tk * sizeof *of_k))) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (; h < end; h += LANES) {
        struct FN(column_totals) of_v;
        memset(&of_v, 0, sizeof of_v);
        if (h + LANES <= end) {
            for (long b = first; b < last; b++) FN(additive_columns)(job, b, h, LANES, &of_v, of_k);
        } else {
            n = end - h;
            for (long b = first; b < last; b++) FN(additive_columns)(job, b, h, n, &of_v, of_k);
        }
        memcpy(job->dv + chunk * job->H + h, &of_v.sum, (size_t)n * sizeof(double));
        memcpy(job->lost_of_dv + chunk * job->H + h, &of_v.lost, (size_t)n * sizeof(double));
    }
    if (of_k) ta_scratch_done(TA_PART);
}

/* grad (B, Tq, Tk); dq, dk, dv like q, k, v. */
KERNEL(additive_backward)(const real *grad, const real *q, const real *k, const real *v, real *dq,
                          real *dk, real *dv, int64_t B, int64_t Tq, int64_t Tk, int64_t H)
{
    long blocks = ((long)H + ADDITIVE_COLUMNS - 1) / ADDITIVE_COLUMNS;
    long chunks = ta_row_parts((long)B, (long)(Tq * Tk * H));
    chunks = chunks > 32 ? 32 : chunks;
    double *sums = ta_scratch(TA_SHARED, (size_t)(2 * chunks * H + 1) * sizeof *sums);
    if (!sums) return 1;
    struct FN(additive_job) job = {grad, q, k, v, NULL, dq, dk, sums, sums + chunks * H,
                                   (long)B, (long)Tq, (long)Tk, (long)H, 0};
    ta_parallel(FN(additive_grad_part), &job, chunks * blocks);
    for (long h = 0; h < H; h++) {
        double sum = 0, lost = 0;
        for (long chunk = 0; chunk < chunks; chunk++) {
            FN(add_one)(&sum, &lost, job.dv[chunk * H + h]);
            lost += job.lost_of_dv[chunk * H + h];
        }
        dv[h] = (real)total_of(sum, lost);
    }
    ta_scratch_done(TA_SHARED);
    return atomic_load(&job.failed);
}

#undef ADDITIVE_COLUMNS
#undef ADDITIVE_KEYS
