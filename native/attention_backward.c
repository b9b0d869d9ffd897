/* The gradient of scaled dot-product attention. Formulas: tinyattn/kernels/reference/attention.py. Look
 * first at attend_queries_backward, then at meet_panel.
 *
 * A part of the work is one head, or, where there are few heads, one panel of a head's keys. */

/* Turns scores into weights, in s, and gradients at the weights into gradients at the scores, in ds. */
TA_INLINE void FN(score_gradients)(const struct FN(meeting) *m, long i, const int count, const int drop)
{
    real *s = m->s + i, *ds = m->ds + i, *factors = m->factors + i;
    const vec scale = splat((real)m->all->scale);
    vec lse[4], dot[4];
    for (int c = 0; c < count; c++) {
        lse[c] = load(m->top + i + c * LANES);
        dot[c] = load(m->sum + i + c * LANES);
    }
    for (long j = 0; j < m->nk; j++)
#pragma GCC unroll 4
        for (int c = 0; c < count; c++) {
            const long at = j * QB + c * LANES;
            vec p = FN(exp)(load(s + at) - lse[c]), dp = load(ds + at);
            if (drop) dp *= load(factors + at);
            store(ds + at, p * (dp - dot[c]) * scale);
            store(s + at, drop ? p * load(factors + at) : p);
        }
}

static void FN(weigh_backward)(const struct FN(meeting) *m)
{
    const int drop = m->all->dropout_p > 0;
    long i = 0;
    for (; i + 4 * LANES <= m->lanes; i += 4 * LANES)
        drop ? FN(score_gradients)(m, i, 4, 1) : FN(score_gradients)(m, i, 4, 0);
    for (; i < m->lanes; i += LANES)
        drop ? FN(score_gradients)(m, i, 1, 1) : FN(score_gradients)(m, i, 1, 0);
}

/* Prepares what a block of queries needs for all its meetings. */
static void FN(prepare_backward)(struct FN(meeting) *m, const real *q, const real *g)
{
    const struct ta_attention *all = m->all;
    const real *lse = (const real *)all->lse + (m->batch * all->h + m->head) * all->Tq + m->q0;
    FN(transpose_queries)(m, q, FN(row_step)(&all->q), all->D, (real)all->scale, m->queries);
    FN(transpose_queries)(m, g, FN(row_step)(&all->grad), all->Dv, 1, m->grads);
    for (long i = 0; i < m->lanes; i++) m->top[i] = i < m->nq && lse[i] != -INFINITY ? lse[i] : INFINITY;
    for (long i = m->nq; i < m->lanes; i++) m->sum[i] = 0;
    for (long i = 0; i < m->nq; i++) {
        const real *grad = g + i * FN(row_step)(&all->grad);
        const real *out = FN(row_of)(&all->out, m->batch, m->head, m->q0 + i);
        vec dot = splat(0);
        long d = 0;
        for (; d + LANES <= all->Dv; d += LANES) dot += load(grad + d) * load(out + d);
        if (d < all->Dv) dot += load_first(grad + d, all->Dv - d) * load_first(out + d, all->Dv - d);
        m->sum[i] = hsum(dot);
    }
}

/* The keys and values [begin, end), or copies of them, and their gradients. */
struct FN(panel) {
    long begin, end;
    real *k, *v, *dk, *dv;
    long ldk, ldv, lddk, lddv;
};

/* One block of queries meets a panel: adds to the panel's gradients, and to dq; if `first`, dq is set
 * instead. */
static void FN(attend_queries_backward)(struct FN(meeting) *m, const struct FN(panel) *panel, int first,
                                        real *dq, long lddq)
{
    const struct ta_attention *all = m->all;
    const long D = all->D, Dv = all->Dv;
    const long end = all->causal ? ta_smaller(panel->end, m->q0 + m->nq) : panel->end;
    const real *q = FN(row_of)(&all->q, m->batch, m->head, m->q0);
    const real *g = FN(row_of)(&all->grad, m->batch, m->head, m->q0);
    const long ldq = FN(row_step)(&all->q), ldg = FN(row_step)(&all->grad);
    FN(prepare_backward)(m, q, g);
    for (m->k0 = panel->begin; m->k0 < end; m->k0 += KB) {
        const long j = m->k0 - panel->begin;
        const real *k = panel->k + j * panel->ldk, *v = panel->v + j * panel->ldv;
        m->nk = ta_smaller(KB, end - m->k0);
        if (FN(scores)(m, k, panel->ldk) == FN(NOTHING)) continue;
        FN(against_queries)(m, v, panel->ldv, Dv, m->grads, m->ds);
        if (all->dropout_p > 0) FN(drop)(m);
        FN(weigh_backward)(m);
        FN(sum_over_queries)(m, m->s, g, ldg, panel->dv + j * panel->lddv, panel->lddv, Dv);
        FN(sum_over_queries)(m, m->ds, q, ldq, panel->dk + j * panel->lddk, panel->lddk, D);
        FN(sum_over_keys)(m, m->ds, k, panel->ldk, dq, lddq, D, first);
        first = 0;
    }
    for (long i = 0; first && i < m->nq; i++) memset(dq + i * lddq, 0, D * sizeof(real));
}

/* How far a panel has come: so many blocks of queries have met it. */
struct FN(progress) {
    _Alignas(64) atomic_long blocks;
};

/* All queries that use a panel's keys meet it. A block of queries meets the panels of its keys in order,
 * because each adds to its dq. So where the panel before is another thread's, the block waits for it. */
static void FN(meet_panel)(struct FN(meeting) *m, long head, const struct FN(panel) *panel,
                           const struct FN(progress) *before, struct FN(progress) *own)
{
    const struct ta_attention *all = m->all;
    const long group = all->h / all->h_kv, blocks = (all->Tq + QB - 1) / QB;
    for (long i = 0; i < group; i++)
        for (long block = all->causal ? panel->begin / QB : 0; block < blocks; block++) {
            const long number = i * blocks + block;
            m->head = head * group + i;
            m->q0 = block * QB;
            m->nq = ta_smaller(QB, all->Tq - m->q0);
            m->lanes = ta_round_up(m->nq, LANES);
            if (before) ta_wait_until_more(&before->blocks, number);
            FN(attend_queries_backward)(m, panel, panel->begin == 0,
                                        FN(row_of)(&all->dq, m->batch, m->head, m->q0),
                                        FN(row_step)(&all->dq));
            if (own) atomic_store_explicit(&own->blocks, number + 1, memory_order_release);
        }
}

/* One panel of one head of k and v. In rows of heads inside longer rows, the same few lines of the caches
 * are used over and over. Where many queries meet a panel, the work is therefore done in a copy. */
static void FN(attention_backward_panel)(struct FN(meeting) *m, long head, long begin,
                                         const struct FN(progress) *before, struct FN(progress) *own)
{
    const struct ta_attention *all = m->all;
    const long D = all->D, Dv = all->Dv, h = all->h / all->h_kv;
    const int gaps = FN(row_step)(&all->k) > 2 * D || FN(row_step)(&all->v) > 2 * Dv;
    const int copied = gaps && h * all->Tq >= 4 * QB;
    m->batch = head / all->h_kv;
    head %= all->h_kv;
    const struct FN(panel) lying = {
        begin, ta_smaller(all->Tk, begin + PANEL_KEYS),
        FN(row_of)(&all->k, m->batch, head, begin), FN(row_of)(&all->v, m->batch, head, begin),
        FN(row_of)(&all->dk, m->batch, head, begin), FN(row_of)(&all->dv, m->batch, head, begin),
        FN(row_step)(&all->k), FN(row_step)(&all->v), FN(row_step)(&all->dk), FN(row_step)(&all->dv),
    };
    const long rows = lying.end - begin;
    struct FN(panel) panel = lying;
    if (copied) {
        panel.ldk = panel.lddk = D;
        panel.ldv = panel.lddv = Dv;
        panel.k = m->panel;
        panel.v = panel.k + PANEL_KEYS * D;
        panel.dk = panel.v + PANEL_KEYS * Dv;
        panel.dv = panel.dk + PANEL_KEYS * D;
        FN(copy_rows)(panel.k, D, lying.k, lying.ldk, rows, D);
        FN(copy_rows)(panel.v, Dv, lying.v, lying.ldv, rows, Dv);
    }
    FN(clear_rows)(panel.dk, panel.lddk, rows, D);
    FN(clear_rows)(panel.dv, panel.lddv, rows, Dv);
    FN(meet_panel)(m, head, &panel, before, own);
    if (copied) {
        FN(copy_rows)(lying.dk, lying.lddk, panel.dk, D, rows, D);
        FN(copy_rows)(lying.dv, lying.lddv, panel.dv, Dv, rows, Dv);
    }
}

static void FN(attention_backward_heads)(void *arg, long part, long parts)
{
    struct FN(attention_job) *job = arg;
    struct FN(meeting) m;
    if (FN(make_room)(&m, job->all, 1)) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (long head = job->units * part / parts; head < job->units * (part + 1) / parts; head++)
        for (long begin = 0; begin < job->all->Tk; begin += PANEL_KEYS)
            FN(attention_backward_panel)(&m, head, begin, NULL, NULL);
    ta_scratch_done(TA_PART);
}

/* The next panel that no thread has begun. They are begun in order: the first of every head, then the
 * second, and so on. So a panel that another one waits for was always begun before. */
static void FN(attention_backward_panels)(void *arg, long part, long parts)
{
    struct FN(attention_job) *job = arg;
    struct FN(progress) *progress = job->progress;
    struct FN(meeting) m;
    const long heads = job->all->B * job->all->h_kv;
    (void)part, (void)parts;
    if (FN(make_room)(&m, job->all, 1)) {
        atomic_store(&job->failed, 1);
        return;
    }
    const long unit = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
    FN(attention_backward_panel)(&m, unit % heads, unit / heads * PANEL_KEYS,
                                 unit < heads ? NULL : progress + unit - heads, progress + unit);
    ta_scratch_done(TA_PART);
}

/* A part has whole heads where there are enough of them for the threads, else single panels. */
KERNEL(attention_backward)(const struct ta_attention *all)
{
    const long heads = all->B * all->h_kv, panels = (all->Tk + PANEL_KEYS - 1) / PANEL_KEYS;
    const double work = (double)all->h / all->h_kv * all->Tq * all->Tk * (all->D + all->Dv + 8) * 2.5;
    const long threads = ta_threads_for(heads * work);
    struct FN(attention_job) job = {.all = all, .units = heads};
    if (panels == 1 || heads % threads == 0 || heads >= 4 * threads) {
        ta_parallel(FN(attention_backward_heads), &job, FN(parts_of)(heads, work));
        return atomic_load(&job.failed);
    }
    job.units = heads * panels;
    job.progress = ta_scratch(TA_SHARED, job.units * sizeof(struct FN(progress)));
    if (!job.progress) return 1;
    memset(job.progress, 0, job.units * sizeof(struct FN(progress)));
    ta_parallel(FN(attention_backward_panels), &job, job.units);
    ta_scratch_done(TA_SHARED);
    return atomic_load(&job.failed);
}
