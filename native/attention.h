/* What forward and backward of attention share: where a block of queries meets a block of keys, and the
 * products between the two. Formulas: tinyattn/kernels/reference/attention.py. Look first at the struct
 * meeting, then at scores.
 *
 * A block of at most QB queries meets the keys KB at a time. The scores are kept transposed: one row for
 * a key, one lane for a query. Maxima and sums over the keys then need no shuffles. Of all operands only
 * the queries (and in the backward their gradients) must be transposed, once for a block. The others are
 * read where they are. Under a causal mask each product leaves out what lies above the diagonal. */
#undef QB
#undef KB
#define QB 64L
#define KB 64L

/* In the backward a panel of PANEL_KEYS keys meets all queries, while the keys and their gradients stay in
 * the second-level cache. */
#undef PANEL_KEYS
#define PANEL_KEYS 256L

/* One block of queries and one block of keys, and the memory that a part works in. */
struct FN(meeting) {
    const struct ta_attention *all;
    long batch, head;                  /* of the queries */
    long q0, nq, k0, nk;               /* rows [q0, q0 + nq) of q, [k0, k0 + nk) of k */
    long lanes;                        /* nq rounded up to whole vectors */
    real *queries, *grads;             /* transposed: (D, QB), scaled, and (Dv, QB) */
    real *s, *ds, *factors;            /* (KB, QB), one row for a key; factors are dropout's */
    real *mask, *raw;                  /* (KB, QB), and (QB, KB) as it was read */
    real *out;                         /* (QB, Dv); not used by the backward */
    real *panel;                       /* (PANEL_KEYS, 2 D + 2 Dv); the backward's */
    real *few;                         /* (Tq, Tk) where Tq is small */
    real *top, *sum, *change;          /* (QB) each; in the backward: lse, sum g o, not used */
};

TA_INLINE real *FN(row_of)(const struct ta_heads *x, long batch, long head, long row)
{
    return (real *)((char *)x->at + batch * x->batch + head * x->head + row * x->row);
}

TA_INLINE long FN(row_step)(const struct ta_heads *x) { return x->row / (long)sizeof(real); }

/* The first query, counted from q0, that may attend to key `j` of the block. */
TA_INLINE long FN(opens_at)(const struct FN(meeting) *m, long j)
{
    return m->all->causal && m->k0 + j > m->q0 ? m->k0 + j - m->q0 : 0;
}

/* C = A B, or C += A B unless `first`, over K terms; at most MR rows. */
TA_INLINE void FN(strip_of)(const real *a, long lda, int a_by_rows, const real *b, long ldb, long K,
                            real *c, long ldc, long rows, long count, int first)
{
    const struct FN(columns) columns = {b, NR, ldb, 0, count};
    struct FN(tile_job) job = {.a = a, .lda = lda, .K = K, .c = c, .ldc = ldc, .first = first};
    FN(strip)(&job, rows, a_by_rows, &columns, count, NULL, NULL);
}

/* s = x y, over K terms: the rows of x are keys, the columns of y are the block's queries. These are
 * scores, or, in the backward, gradients at the weights. Queries before a key's first one are skipped;
 * nothing reads their places. */
static void FN(against_queries)(const struct FN(meeting) *m, const real *x, long ldx, long K,
                                const real *y, real *s)
{
    for (long j = 0; j < m->nk; j += MR) {
        const long rows = ta_smaller(MR, m->nk - j);
        const long skipped = ta_smaller(FN(opens_at)(m, j) / LANES * LANES, m->lanes);
        if (skipped < m->lanes)
            FN(strip_of)(x + j * ldx, ldx, 1, y + skipped, QB, K, s + j * QB + skipped, QB, rows,
                         m->lanes - skipped, 1);
    }
}

/* c (nq, count) = s^T x, or += unless `first`: for each query the weighted sum of the keys' rows of x. */
static void FN(sum_over_keys)(const struct FN(meeting) *m, const real *s, const real *x, long ldx,
                              real *c, long ldc, long count, int first)
{
    for (long i = 0; i < m->nq; i += MR) {
        const long rows = ta_smaller(MR, m->nq - i);
        long terms = m->nk;
        if (m->all->causal) terms = ta_smaller(terms, m->q0 + i + rows - m->k0);
        FN(strip_of)(s + i, QB, 0, x, ldx, terms > 0 ? terms : 0, c + i * ldc, ldc, rows, count, first);
    }
}

/* c (nk, count) += s x: for each key the weighted sum of the queries' rows of x. */
static void FN(sum_over_queries)(const struct FN(meeting) *m, const real *s, const real *x, long ldx,
                                 real *c, long ldc, long count)
{
    for (long j = 0; j < m->nk; j += MR) {
        const long skipped = FN(opens_at)(m, j);
        if (skipped < m->nq)
            FN(strip_of)(s + j * QB + skipped, QB, 1, x + skipped * ldx, ldx, m->nq - skipped,
                         c + j * ldc, ldc, ta_smaller(MR, m->nk - j), count, 0);
    }
}

/* Transposes nq rows of K numbers to K rows of QB numbers and multiplies them by `factor`. Lanes
 * without a query become 0. */
static void FN(transpose_queries)(const struct FN(meeting) *m, const real *x, long ldx, long K,
                                  real factor, real *out)
{
    for (long i = 0; i < m->nq; i += LANES)
        FN(pack_columns)(x + i * ldx, ldx, K, ta_smaller(LANES, m->nq - i), out + i, QB);
    if (factor == 1) return;
    for (long k = 0; k < K; k++)
        for (long i = 0; i < m->lanes; i += LANES)
            store(out + k * QB + i, load(out + k * QB + i) * splat(factor));
}

#include "attention_mask.h"
#include "attention_dropout.h"

/* Computes the scores of this meeting. Returns NOTHING where no key is open to any query. */
static enum FN(open) FN(scores)(const struct FN(meeting) *m, const real *k, long ldk)
{
    const enum FN(open) open = FN(read_mask)(m);
    if (open == FN(NOTHING)) return open;
    FN(against_queries)(m, k, ldk, m->all->D, m->queries, m->s);
    if (open == FN(SOME) || FN(opens_at)(m, m->nk - 1)) FN(mask_scores)(m, open);
    return open;
}

/* Allocates the memory of a part. Returns 1 if there is none. */
static int FN(make_room)(struct FN(meeting) *m, const struct ta_attention *all, int backward)
{
    const long tiles = 1 + backward + (all->dropout_p > 0) + 2 * (all->mask != NULL);
    const long panel = backward ? 2 * PANEL_KEYS : 0;
    const int few = !backward && all->Tq <= DOT_ROWS && all->dropout_p == 0;
    const long count = 3 * QB + tiles * KB * QB + (QB + panel) * (all->D + all->Dv) + few * all->Tq * all->Tk;
    real *at = ta_scratch(TA_PART, count * sizeof(real));
    if (!at) return 1;
    *m = (struct FN(meeting)){.all = all, .top = at, .sum = at + QB, .change = at + 2 * QB};
    m->s = at += 3 * QB;
    at += KB * QB;
    if (backward) m->ds = at, at += KB * QB;
    if (all->dropout_p > 0) m->factors = at, at += KB * QB;
    if (all->mask) m->mask = at, m->raw = at + KB * QB, at += 2 * KB * QB;
    m->queries = at;
    m->out = m->grads = at += QB * all->D;
    m->panel = at += QB * all->Dv;
    if (few) m->few = at;
    return 0;
}

/* The number of parts for `units` that take `work` multiplications each. */
static long FN(parts_of)(long units, double work)
{
    const long threads = ta_threads_for(units * work);
    return threads < ta_get_num_threads() ? ta_smaller(threads, units) : units;
}

struct FN(attention_job) {
    const struct ta_attention *all;
    long units;
    atomic_long next;         /* of the panels that no thread has begun; the backward's */
    void *progress;           /* of each panel */
    atomic_int failed;
};
