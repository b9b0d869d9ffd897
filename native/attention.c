/* Scaled dot-product attention. Formulas: tinyattn/kernels/reference/attention.py. Look first at
 * attend_queries. A part is some blocks of queries, each with all of its keys. */
#include "attention.h"

/* Updates the largest score, writes the weights e^(s - largest) in the place of the scores, and updates
 * their sum. The earlier sums must be multiplied by `change`. `count` vectors of queries, a constant. */
TA_INLINE void FN(weigh_columns)(const struct FN(meeting) *m, long i, const int count)
{
    vec top[4], shift[4], sum[4];
    real *const s = m->s + i;
    for (int c = 0; c < count; c++) top[c] = load(m->top + i + c * LANES);
    for (long j = 0; j < m->nk; j++)
#pragma GCC unroll 4
        for (int c = 0; c < count; c++) top[c] = vmax(load(s + j * QB + c * LANES), top[c]);
#pragma GCC unroll 4
    for (int c = 0; c < count; c++) {
        /* While no key is open, the shift is 0: e^(-inf - 0) is 0, but e^(-inf - -inf) is NaN. */
        shift[c] = vselect(top[c] == splat(-INFINITY), splat(0), top[c]);
        store(m->change + i + c * LANES, FN(exp)(load(m->top + i + c * LANES) - shift[c]));
        store(m->top + i + c * LANES, top[c]);
        sum[c] = splat(0);
    }
    for (long j = 0; j < m->nk; j++)
#pragma GCC unroll 4
        for (int c = 0; c < count; c++) {
            vec p = FN(exp)(load(s + j * QB + c * LANES) - shift[c]);
            store(s + j * QB + c * LANES, p);
            sum[c] += p;
        }
#pragma GCC unroll 4
    for (int c = 0; c < count; c++) {
        real *at = m->sum + i + c * LANES;
        store(at, load(at) * load(m->change + i + c * LANES) + sum[c]);
    }
}

static void FN(weigh)(const struct FN(meeting) *m)
{
    long i = 0;
    for (; i + 4 * LANES <= m->lanes; i += 4 * LANES) FN(weigh_columns)(m, i, 4);
    for (; i < m->lanes; i += LANES) FN(weigh_columns)(m, i, 1);
}

/* One block of queries meets all keys. After each block of keys, `out` is sum_j e^(s_ij - top_i) v_j
 * over the keys so far. */
static void FN(attend_queries)(struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const long group = all->h / all->h_kv, Dv = all->Dv;
    const long end = all->causal ? ta_smaller(all->Tk, m->q0 + m->nq) : all->Tk;
    const long ldk = FN(row_step)(&all->k), ldv = FN(row_step)(&all->v);
    int first = 1;
    FN(transpose_queries)(m, FN(row_of)(&all->q, m->batch, m->head, m->q0), FN(row_step)(&all->q),
                          all->D, (real)all->scale, m->queries);
    for (long i = 0; i < m->lanes; i += LANES) {
        store(m->top + i, splat(-INFINITY));
        store(m->sum + i, splat(0));
    }
    for (m->k0 = 0; m->k0 < end; m->k0 += KB) {
        const real *k = FN(row_of)(&all->k, m->batch, m->head / group, m->k0);
        const real *v = FN(row_of)(&all->v, m->batch, m->head / group, m->k0);
        m->nk = ta_smaller(KB, end - m->k0);
        if (FN(scores)(m, k, ldk) == FN(NOTHING)) continue;
        FN(weigh)(m);
        if (all->dropout_p > 0) {
            FN(drop)(m);
            FN(multiply_weights)(m);
        }
        for (long i = 0; !first && i < m->nq; i++)
            if (m->change[i] != 1) FN(row_scale)(m->out + i * Dv, m->out + i * Dv, Dv, m->change[i]);
        FN(sum_over_keys)(m, m->s, v, ldv, m->out, Dv, Dv, first);
        first = 0;
    }
    real *lse = (real *)all->lse + (m->batch * all->h + m->head) * all->Tq + m->q0;
    for (long i = 0; i < m->nq; i++) {
        real *out = FN(row_of)(&all->out, m->batch, m->head, m->q0 + i);
        const real sum = m->sum[i];
        lse[i] = m->top[i] + FN(log_of)(sum);
        if (first || sum == 0)
            memset(out, 0, Dv * sizeof(real));
        else
            FN(row_scale)(m->out + i * Dv, out, Dv, 1 / sum);
    }
}

#include "attention_few.h"

static void FN(attention_part)(void *arg, long part, long parts)
{
    struct FN(attention_job) *job = arg;
    const struct ta_attention *all = job->all;
    const long blocks = (all->Tq + QB - 1) / QB;
    struct FN(meeting) m;
    if (FN(make_room)(&m, all, 0)) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (long unit = job->units * part / parts; unit < job->units * (part + 1) / parts; unit++) {
        const long head = unit / blocks;
        m.batch = head / all->h;
        m.head = head % all->h;
        m.q0 = unit % blocks * QB;
        m.nq = ta_smaller(QB, all->Tq - m.q0);
        m.lanes = ta_round_up(m.nq, LANES);
        m.few ? FN(attend_few)(&m) : FN(attend_queries)(&m);
    }
    ta_scratch_done(TA_PART);
}

KERNEL(attention)(const struct ta_attention *all)
{
    struct FN(attention_job) job = {.all = all};
    job.units = all->B * all->h * ((all->Tq + QB - 1) / QB);
    const double work = (double)ta_smaller(QB, all->Tq) * all->Tk * (all->D + all->Dv + 16);
    ta_parallel(FN(attention_part), &job, FN(parts_of)(job.units, work));
    return atomic_load(&job.failed);
}
