/* Scaled dot-product attention and its gradient; formulas: tinyattn/kernels/reference/attention.py.
 * Look first at attend_queries, then at attend_queries_backward.
 *
 * A block of at most QB queries meets the keys KB at a time. Scores stand transposed, one row a key and
 * one lane a query: maxima and sums over keys need no shuffles, and of all operands only the queries
 * (backwards the gradient too) have to be transposed, once a block; the rest is read where it lies.
 * Under a causal mask each product runs over the rows, columns and terms below the diagonal only.
 *
 * Forwards the parts are blocks of queries. Backwards a part owns the keys of one head, or a piece of
 * them where there are few heads; pieces then leave their dq side by side, to be added in order. */
#undef QB
#undef KB
#define QB 64L
#define KB 64L

/* Backwards, fewer heads than PIECES are cut into pieces of at least PIECE_KEYS keys. PANEL_KEYS of them
 * meet all queries while they and their gradients stay in the second-level cache. */
#undef PIECES
#undef PIECE_KEYS
#undef PANEL_KEYS
#define PIECES 8
#define PIECE_KEYS 512
#define PANEL_KEYS 256L

/* A thread's room, and where one block of queries and one of keys meet. */
struct FN(meeting) {
    const struct ta_attention *all;
    long batch, head;                  /* of the query */
    long q0, nq, k0, nk;               /* rows [q0, q0 + nq) of q, [k0, k0 + nk) of k */
    long lanes;                        /* nq in whole vectors */
    real *queries, *grads;             /* transposed: (D, QB), scaled, and (Dv, QB) */
    real *s, *ds, *factors;            /* (KB, QB): a key a row; factors: dropout's */
    real *mask, *raw;                  /* (KB, QB), and (QB, KB) as it was read */
    real *out;                         /* (QB, Dv); backwards unused */
    real *panel;                       /* (PANEL_KEYS, 2 D + 2 Dv), backwards */
    real *few;                         /* (Tq, Tk) where Tq is small */
    real *top, *sum, *change;          /* (QB) each; backwards l, g . o and unused */
};

TA_INLINE real *FN(row_of)(const struct ta_heads *x, long batch, long head, long row)
{
    return (real *)((char *)x->at + batch * x->batch + head * x->head + row * x->row);
}

TA_INLINE long FN(row_step)(const struct ta_heads *x) { return x->row / (long)sizeof(real); }

/* Row `j` of the block's keys is open to the queries from this one on, counted from q0. */
TA_INLINE long FN(opens_at)(const struct FN(meeting) *m, long j)
{
    return m->all->causal && m->k0 + j > m->q0 ? m->k0 + j - m->q0 : 0;
}

/* C = A B or C += A B over K terms, a strip of MR rows at a time. */
TA_INLINE void FN(strip_of)(const real *a, long lda, int a_by_rows, const real *b, long ldb, long K,
                            real *c, long ldc, long rows, long count, int first)
{
    const struct FN(columns) columns = {b, NR, ldb, 0, count};
    struct FN(tile_job) job = {.a = a, .lda = lda, .K = K, .c = c, .ldc = ldc, .first = first};
    FN(strip)(&job, rows, a_by_rows, &columns, count, NULL);
}

/* s = rows of x times the transposed block y, K deep: scores, or what the gradient makes of them. What
 * comes before a key's first query is left as it was: nobody reads it. */
static void FN(against_queries)(const struct FN(meeting) *m, const real *x, long ldx, long K,
                                const real *y, real *s)
{
    for (long j = 0; j < m->nk; j += MR) {
        const long rows = FN(smaller)(MR, m->nk - j);
        const long skipped = FN(smaller)(FN(opens_at)(m, j) / LANES * LANES, m->lanes);
        if (skipped < m->lanes)
            FN(strip_of)(x + j * ldx, ldx, 1, y + skipped, QB, K, s + j * QB + skipped, QB, rows,
                         m->lanes - skipped, 1);
    }
}

/* c (nq, count) = or += s^T x: the keys' rows of x, weighted. */
static void FN(sum_over_keys)(const struct FN(meeting) *m, const real *s, const real *x, long ldx,
                              real *c, long ldc, long count, int first)
{
    for (long i = 0; i < m->nq; i += MR) {
        const long rows = FN(smaller)(MR, m->nq - i);
        long terms = m->nk;
        if (m->all->causal) terms = FN(smaller)(terms, m->q0 + i + rows - m->k0);
        FN(strip_of)(s + i, QB, 0, x, ldx, terms > 0 ? terms : 0, c + i * ldc, ldc, rows, count, first);
    }
}

/* c (nk, count) += s x: the queries' rows of x, weighted. */
static void FN(sum_over_queries)(const struct FN(meeting) *m, const real *s, const real *x, long ldx,
                                 real *c, long ldc, long count)
{
    for (long j = 0; j < m->nk; j += MR) {
        const long skipped = FN(opens_at)(m, j);
        if (skipped < m->nq)
            FN(strip_of)(s + j * QB + skipped, QB, 1, x + skipped * ldx, ldx, m->nq - skipped,
                         c + j * ldc, ldc, FN(smaller)(MR, m->nk - j), count, 0);
    }
}

/* nq rows of K numbers to K rows of QB, times `factor`; the lanes that are no queries are 0. */
static void FN(transpose_queries)(const struct FN(meeting) *m, const real *x, long ldx, long K,
                                  real factor, real *out)
{
    for (long i = 0; i < m->nq; i += LANES)
        FN(pack_columns)(x + i * ldx, ldx, K, FN(smaller)(LANES, m->nq - i), out + i, QB);
    if (factor == 1) return;
    for (long k = 0; k < K; k++)
        for (long i = 0; i < m->lanes; i += LANES)
            store(out + k * QB + i, load(out + k * QB + i) * splat(factor));
}

enum FN(open) { FN(NOTHING), FN(SOME), FN(EVERYTHING) };

/* The part of the mask where the blocks meet, transposed, as numbers to add. */
static enum FN(open) FN(read_mask)(const struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const char *at = all->mask;
    const int64_t *step = all->mask_steps;
    if (!at) return FN(EVERYTHING);
    at += m->batch * step[0] + m->head * step[1] + m->q0 * step[2] + m->k0 * step[3];
    const long rows = step[2] ? m->nq : 1;
    const real *raw = (const real *)at;
    long ldr = step[2] / (long)sizeof(real);
    if (all->mask_is_bool || !step[3]) {
        raw = m->raw;
        ldr = KB;
        for (long i = 0; i < rows; i++, at += step[2])
            for (long j = 0; j < m->nk; j++) {
                const char *one = at + j * step[3];
                m->raw[i * KB + j] = !all->mask_is_bool ? *(const real *)one : *one ? 0 : -INFINITY;
            }
    }
    int some = 0, every = 1;
    if (!step[2]) {
        for (long j = 0; j < m->nk; j++) {
            some |= raw[j] != -INFINITY;
            every &= raw[j] == 0;
            for (long i = 0; i < m->lanes; i += LANES) store(m->mask + j * QB + i, splat(raw[j]));
        }
        return every ? FN(EVERYTHING) : some ? FN(SOME) : FN(NOTHING);
    }
    for (long i = 0; i < m->nq; i += LANES)
        FN(pack_columns)(raw + i * ldr, ldr, m->nk, FN(smaller)(LANES, m->nq - i), m->mask + i, QB);
    ivec open = {0}, changed = {0};
    for (long j = 0; j < m->nk; j++)
        for (long i = 0; i < m->lanes; i += LANES) {
            vec x = load(m->mask + j * QB + i);
            open |= x != splat(-INFINITY);
            changed |= x != splat(0);
        }
    for (long i = 0; i < LANES; i++) {
        some |= open[i] != 0;
        every &= changed[i] == 0;
    }
    return every ? FN(EVERYTHING) : some ? FN(SOME) : FN(NOTHING);
}

/* Scores with the mask added, and -inf where a key isn't open to a query. */
static void FN(mask_scores)(const struct FN(meeting) *m, enum FN(open) open)
{
    const vec closed = splat(-INFINITY);
    ivec lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    for (long j = 0; j < m->nk; j++) {
        const long first = FN(opens_at)(m, j);
        for (long i = 0; i < m->lanes; i += LANES) {
            real *at = m->s + j * QB + i;
            vec x = load(at);
            if (open == FN(SOME)) {
                vec mask = load(m->mask + j * QB + i);
                x = vselect(mask == closed, closed, x + mask);
            }
            if (first > i) x = vselect(lane >= (ivec){0} + (integer)(first - i), x, closed);
            store(at, x);
        }
    }
}

/* The scores of this meeting; NOTHING where no key is open to any query. */
static enum FN(open) FN(scores)(const struct FN(meeting) *m, const real *k, long ldk)
{
    const enum FN(open) open = FN(read_mask)(m);
    if (open == FN(NOTHING)) return open;
    FN(against_queries)(m, k, ldk, m->all->D, m->queries, m->s);
    if (open == FN(SOME) || FN(opens_at)(m, m->nk - 1)) FN(mask_scores)(m, open);
    return open;
}

/* The largest score so far, the weights e^(s - it) in the scores' place, and their sum; `change` is what
 * the weights before have to be multiplied by. `count` vectors of queries, a constant. */
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
        /* Nothing open yet: e^(-inf - 0) is 0, e^(-inf - -inf) would be NaN. */
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

/* Philox4x32-10 with a counter a lane: four words of 32 bits each. */
#if REAL_BITS == 64
TA_INLINE uvec FN(high_product)(uvec x, uint32_t factor) { return x * factor >> 32; }
TA_INLINE uvec FN(low_product)(uvec x, uint32_t factor) { return x * factor & 0xFFFFFFFF; }
#else
TA_INLINE uvec FN(high_product)(uvec x, uint32_t factor)
{
    typedef uint64_t wide __attribute__((vector_size(VECTOR_BYTES)));
    const wide low = (wide){0} + 0xFFFFFFFF, odd = (wide)x >> 32, even = (wide)x & low;
    return (uvec)(((even * factor) >> 32) | ((odd * factor) & ~low));
}
TA_INLINE uvec FN(low_product)(uvec x, uint32_t factor) { return x * factor; }
#endif

static void FN(philox)(uvec *c, uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
        uvec high0 = FN(high_product)(c[0], 0xD2511F53), low0 = FN(low_product)(c[0], 0xD2511F53);
        uvec high1 = FN(high_product)(c[2], 0xCD9E8D57), low1 = FN(low_product)(c[2], 0xCD9E8D57);
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
    }
}

/* Dropout's factors where the blocks meet: word j mod 4 at the counter (j div 4, i, head, 0). */
static void FN(drop)(const struct FN(meeting) *m)
{
    const double p = m->all->dropout_p;
    const uint32_t threshold = (uint32_t)(p < 1 ? p * 4294967296.0 : 0);
    const vec factor = splat((real)(p < 1 ? 1 / (1 - p) : 0));
    const uvec none = {0};
    for (long j = 0; j < m->nk; j += 4)
        for (long i = 0; i < m->lanes; i += LANES) {
            uvec c[4] = {none + (uint32_t)((m->k0 + j) / 4), none + (uint32_t)(m->q0 + i),
                         none + (uint32_t)(m->batch * m->all->h + m->head), none};
            for (int lane = 0; lane < LANES; lane++) c[1][lane] += lane;
            FN(philox)(c, m->all->key);
            for (long word = 0; word < 4; word++)
                store(m->factors + (j + word) * QB + i,
                      vselect((ivec)(c[word] >= none + threshold), factor, splat(0)));
        }
}

static void FN(multiply_weights)(const struct FN(meeting) *m)
{
    for (long j = 0; j < m->nk; j++)
        for (long i = 0; i < m->lanes; i += LANES)
            store(m->s + j * QB + i, load(m->s + j * QB + i) * load(m->factors + j * QB + i));
}

TA_INLINE real FN(log_of)(real x) { return sizeof(real) == 4 ? logf((float)x) : log((double)x); }

TA_INLINE void FN(scale_row)(real *x, const real *from, long n, real factor)
{
    long i = 0;
    for (; i + LANES <= n; i += LANES) store(x + i, load(from + i) * splat(factor));
    if (i < n) store_part(x + i, load_part(from + i, n - i) * splat(factor), n - i);
}

/* One block of queries meets all keys. While blocks of keys come, `out` holds sum_j e^(s_ij - top_i) v_j. */
static void FN(attend_queries)(struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const long group = all->h / all->h_kv, Dv = all->Dv;
    const long end = all->causal ? FN(smaller)(all->Tk, m->q0 + m->nq) : all->Tk;
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
        m->nk = FN(smaller)(KB, end - m->k0);
        if (FN(scores)(m, k, ldk) == FN(NOTHING)) continue;
        FN(weigh)(m);
        if (all->dropout_p > 0) {
            FN(drop)(m);
            FN(multiply_weights)(m);
        }
        for (long i = 0; !first && i < m->nq; i++)
            if (m->change[i] != 1) FN(scale_row)(m->out + i * Dv, m->out + i * Dv, Dv, m->change[i]);
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
            FN(scale_row)(out, m->out + i * Dv, Dv, 1 / sum);
    }
}

/* Up to DOT_ROWS queries, as when decoding step by step: most lanes of a transposed block would be idle.
 * Scores stand in rows here, (nq, Tk) of them in `few`, and keys are transposed as they are read. */
static void FN(attend_few)(struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const long head = m->head / (all->h / all->h_kv), Tk = all->Tk, Dv = all->Dv;
    const long ldk = FN(row_step)(&all->k);
    const real *k = FN(row_of)(&all->k, m->batch, head, 0), *v = FN(row_of)(&all->v, m->batch, head, 0);
    const char *mask = all->mask;
    const int64_t *step = all->mask_steps;
    real *lse = (real *)all->lse + (m->batch * all->h + m->head) * all->Tq;
    for (long j = 0; j < Tk; j += LANES) {
        struct FN(tile_job) job = {.a = FN(row_of)(&all->q, m->batch, m->head, 0), .b = k + j * ldk,
                                   .lda = FN(row_step)(&all->q), .ldb = ldk, .K = all->D,
                                   .c = m->few + j, .ldc = Tk, .last = FN(smaller)(LANES, Tk - j)};
        FN(dots_of)[m->nq - 1](&job);
    }
    for (long i = 0; i < m->nq; i++) {
        real *s = m->few + i * Tk;
        const long end = all->causal ? FN(smaller)(Tk, i + 1) : Tk;
        FN(scale_row)(s, s, end, (real)all->scale);
        for (long j = 0; mask && j < end; j++) {
            const char *at = mask + m->batch * step[0] + m->head * step[1] + i * step[2] + j * step[3];
            const real added = !all->mask_is_bool ? *(const real *)at : *at ? 0 : -INFINITY;
            s[j] = added == -INFINITY ? added : s[j] + added;
        }
        const real top = FN(row_max)(s, end), shift = top == -INFINITY ? 0 : top;
        const real sum = FN(row_exp)(s, s, end, shift);
        memset(s + end, 0, (Tk - end) * sizeof(real));
        FN(scale_row)(s, s, end, sum == 0 ? 0 : 1 / sum);
        lse[i] = shift + FN(log_of)(sum);
    }
    FN(strip_of)(m->few, Tk, 1, v, FN(row_step)(&all->v), Tk, FN(row_of)(&all->out, m->batch, m->head, 0),
                 FN(row_step)(&all->out), m->nq, Dv, 1);
}

/* Room for a thread's meetings; not 0 if there is none. */
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

/* Parts, each some of `units` that take `work` multiplications each. */
static long FN(parts_of)(long units, double work)
{
    const double most = units * work / SERIAL_WORK;
    return most < 1 ? 1 : most < units ? (long)most : units;
}

struct FN(attention_job) {
    const struct ta_attention *all;
    long units, pieces;       /* pieces of the keys of a head, backwards */
    real *dq;                 /* (pieces - 1, B, h, Tq, D): of the pieces after the first */
    atomic_int failed;
};

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
        m.nq = FN(smaller)(QB, all->Tq - m.q0);
        m.lanes = FN(whole)(m.nq, LANES);
        m.few ? FN(attend_few)(&m) : FN(attend_queries)(&m);
    }
    ta_scratch_done(TA_PART);
}

static int FN(attention)(const struct ta_attention *all)
{
    struct FN(attention_job) job = {.all = all};
    job.units = all->B * all->h * ((all->Tq + QB - 1) / QB);
    const double work = (double)FN(smaller)(QB, all->Tq) * all->Tk * (all->D + all->Dv + 16);
    ta_parallel(FN(attention_part), &job, FN(parts_of)(job.units, work));
    return atomic_load(&job.failed);
}

/* From scores to weights, in s, and from the gradients at the weights to those at the scores, in ds. */
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

/* Everything a block of queries brings to all its meetings. */
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
        if (d < all->Dv) dot += load_part(grad + d, all->Dv - d) * load_part(out + d, all->Dv - d);
        m->sum[i] = hsum(dot);
    }
}

/* The keys [begin, end), or copies of them, and their gradients. */
struct FN(panel) {
    long begin, end;
    real *k, *v, *dk, *dv;
    long ldk, ldv, lddk, lddv;
};

/* One block of queries meets a panel: adds to the panel's gradients, and makes its own dq if `first`, or
 * adds to it. */
static void FN(attend_queries_backward)(struct FN(meeting) *m, const struct FN(panel) *panel, int first,
                                        real *dq, long lddq)
{
    const struct ta_attention *all = m->all;
    const long D = all->D, Dv = all->Dv;
    const long end = all->causal ? FN(smaller)(panel->end, m->q0 + m->nq) : panel->end;
    const real *q = FN(row_of)(&all->q, m->batch, m->head, m->q0);
    const real *g = FN(row_of)(&all->grad, m->batch, m->head, m->q0);
    const long ldq = FN(row_step)(&all->q), ldg = FN(row_step)(&all->grad);
    FN(prepare_backward)(m, q, g);
    for (m->k0 = panel->begin; m->k0 < end; m->k0 += KB) {
        const long j = m->k0 - panel->begin;
        const real *k = panel->k + j * panel->ldk, *v = panel->v + j * panel->ldv;
        m->nk = FN(smaller)(KB, end - m->k0);
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

/* The first key of a piece: whole blocks. */
TA_INLINE long FN(piece_begin)(const struct FN(attention_job) *job, long piece)
{
    const long blocks = (job->all->Tk + KB - 1) / KB;
    return FN(smaller)(blocks * piece / job->pieces * KB, job->all->Tk);
}

/* All queries that share a panel's keys meet it. `fresh`: their dq has nothing in it yet. */
static void FN(meet_panel)(const struct FN(attention_job) *job, struct FN(meeting) *m, long head, long piece,
                           const struct FN(panel) *panel, int fresh)
{
    const struct ta_attention *all = job->all;
    const long group = all->h / all->h_kv, heads = all->B * all->h;
    for (m->head = head * group; m->head < (head + 1) * group; m->head++)
        for (m->q0 = all->causal ? panel->begin / QB * QB : 0; m->q0 < all->Tq; m->q0 += QB) {
            const long row = (m->batch * all->h + m->head) * all->Tq + m->q0;
            m->nq = FN(smaller)(QB, all->Tq - m->q0);
            m->lanes = FN(whole)(m->nq, LANES);
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

TA_INLINE void FN(copy_rows)(real *to, long ldt, const real *from, long ldf, long rows, long n)
{
    for (long i = 0; i < rows; i++) memcpy(to + i * ldt, from + i * ldf, n * sizeof(real));
}

TA_INLINE void FN(clear_rows)(real *x, long ldx, long rows, long n)
{
    for (long i = 0; i < rows; i++) memset(x + i * ldx, 0, n * sizeof(real));
}

/* Rows of heads inside longer rows would share few lines of the caches: where many queries meet a panel,
 * it is worked on in a copy. */
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
            j, FN(smaller)(end, j + PANEL_KEYS),
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

/* dq of all pieces together, for some blocks of rows. */
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
            long d = 0;
            for (; d + LANES <= D; d += LANES) store(dq + d, load(dq + d) + load(more + d));
            if (d < D) store_part(dq + d, load_part(dq + d, D - d) + load_part(more + d, D - d), D - d);
        }
    }
}

static int FN(attention_backward)(const struct ta_attention *all)
{
    const long heads = all->B * all->h_kv, rows = all->B * all->h * all->Tq;
    const double work = (double)all->h / all->h_kv * all->Tq * all->Tk * (all->D + all->Dv + 8) * 2.5;
    struct FN(attention_job) job = {.all = all, .pieces = 1};
    if (heads < PIECES)
        job.pieces = FN(smaller)((PIECES + heads - 1) / heads, (all->Tk + PIECE_KEYS - 1) / PIECE_KEYS);
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
