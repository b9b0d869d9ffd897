/* The gradient of scaled dot-product attention. Formulas: tinyattn/kernels/reference/attention.py. Look
 * first at attend_queries_backward, then at attention_backward_unit.
 *
 * A unit of work is one head's keys, or, where there are few heads, a piece of them. Pieces of the same
 * head add to the same dq. Each piece after the first therefore writes a dq of its own, and these are
 * added in order at the end. */

/* Fewer than PIECES heads are cut into pieces of at least PIECE_KEYS keys. */
#undef PIECES
#undef PIECE_KEYS
#define PIECES 8
#define PIECE_KEYS 512

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

/* The first key of a piece. Pieces are whole blocks. */
TA_INLINE long FN(piece_begin)(const struct FN(attention_job) *job, long piece)
{
    const long blocks = (job->all->Tk + KB - 1) / KB;
    return ta_smaller(blocks * piece / job->pieces * KB, job->all->Tk);
}

/* All queries that use a panel's keys meet it. If `fresh`, their dq holds nothing yet. */
static void FN(meet_panel)(const struct FN(attention_job) *job, struct FN(meeting) *m, long head, long piece,
                           const struct FN(panel) *panel, int fresh)
{
    const struct ta_attention *all = job->all;
    const long group = all->h / all->h_kv, heads = all->B * all->h;
    for (m->head = head * group; m->head < (head + 1) * group; m->head++)
        for (m->q0 = all->causal ? panel->begin / QB * QB : 0; m->q0 < all->Tq; m->q0 += QB) {
            const long row = (m->batch * all->h + m->head) * all->Tq + m->q0;
            m->nq = ta_smaller(QB, all->Tq - m->q0);
            m->lanes = ta_round_up(m->nq, LANES);
            if (piece)
                FN(attend_queries_backward)(m, panel, fresh,
                                            job->dq + ((piece - 1) * heads * all->Tq + row) * all->D,
                                            all->D);
            else
                FN(attend_queries_backward)(m, panel, fresh,
                                            FN(row_of)(&all->dq, m->batch, m->head, m->q0),
                                            FN(row_step)(&all->dq));
        }
}

/* In rows of heads inside longer rows, the same few lines of the caches are used over and over. Where
 * many queries meet a panel, the work is therefore done in a copy. */
static void FN(attention_backward_unit)(const struct FN(attention_job) *job, struct FN(meeting) *m,
                                        long unit)
{
    const struct ta_attention *all = job->all;
    const long piece = unit % job->pieces, head = unit / job->pieces % all->h_kv;
    const long begin = FN(piece_begin)(job, piece), end = FN(piece_begin)(job, piece + 1);
    const long D = all->D, Dv = all->Dv, h = all->h / all->h_kv;
    const int gaps = FN(row_step)(&all->k) > 2 * D || FN(row_step)(&all->v) > 2 * Dv;
    const int copied = gaps && h * all->Tq >= 4 * QB;
    m->batch = unit / job->pieces / all->h_kv;
    for (long j = begin; j < end; j += PANEL_KEYS) {
        const struct FN(panel) lying = {
            j, ta_smaller(end, j + PANEL_KEYS),
            FN(row_of)(&all->k, m->batch, head, j), FN(row_of)(&all->v, m->batch, head, j),
            FN(row_of)(&all->dk, m->batch, head, j), FN(row_of)(&all->dv, m->batch, head, j),
            FN(row_step)(&all->k), FN(row_step)(&all->v), FN(row_step)(&all->dk), FN(row_step)(&all->dv),
        };
        const long rows = lying.end - j;
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
        FN(meet_panel)(job, m, head, piece, &panel, j == begin);
        if (copied) {
            FN(copy_rows)(lying.dk, lying.lddk, panel.dk, D, rows, D);
            FN(copy_rows)(lying.dv, lying.lddv, panel.dv, Dv, rows, Dv);
        }
    }
}

static void FN(attention_backward_part)(void *arg, long part, long parts)
{
    struct FN(attention_job) *job = arg;
    struct FN(meeting) m;
    if (FN(make_room)(&m, job->all, 1)) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (long unit = job->units * part / parts; unit < job->units * (part + 1) / parts; unit++)
        FN(attention_backward_unit)(job, &m, unit);
    ta_scratch_done(TA_PART);
}

/* Adds up the dq of all pieces, for some rows. */
static void FN(add_pieces_part)(void *arg, long part, long parts)
{
    const struct FN(attention_job) *job = arg;
    const struct ta_attention *all = job->all;
    const long D = all->D, rows = all->B * all->h * all->Tq;
    for (long row = rows * part / parts; row < rows * (part + 1) / parts; row++) {
        const long i = row % all->Tq, head = row / all->Tq;
        real *dq = FN(row_of)(&all->dq, head / all->h, head % all->h, i);
        for (long piece = 1; piece < job->pieces; piece++) {
            const real *more = job->dq + ((piece - 1) * rows + row) * D;
            if (all->causal && i / QB * QB < FN(piece_begin)(job, piece) / QB * QB) break;
            FN(row_add)(dq, more, D);
        }
    }
}

KERNEL(attention_backward)(const struct ta_attention *all)
{
    const long heads = all->B * all->h_kv, rows = all->B * all->h * all->Tq;
    const double work = (double)all->h / all->h_kv * all->Tq * all->Tk * (all->D + all->Dv + 8) * 2.5;
    struct FN(attention_job) job = {.all = all, .pieces = 1};
    if (heads < PIECES)
        job.pieces = ta_smaller((PIECES + heads - 1) / heads, (all->Tk + PIECE_KEYS - 1) / PIECE_KEYS);
    job.units = heads * job.pieces;
    if (job.pieces > 1) {
        job.dq = ta_scratch(TA_SHARED, (job.pieces - 1) * rows * all->D * sizeof(real));
        if (!job.dq) return 1;
    }
    ta_parallel(FN(attention_backward_part), &job, FN(parts_of)(job.units, work / job.pieces));
    if (job.pieces > 1) {
        ta_parallel(FN(add_pieces_part), &job, ta_row_parts(rows, all->D * job.pieces));
        ta_scratch_done(TA_SHARED);
    }
    return atomic_load(&job.failed);
}
