/* What the recurrent kernels share: the walk through a packed batch, the products of its states with
 * the recurrent weights, and how both are shared out among threads. A cell (gru.c, lstm.c) adds what
 * its gates do, forward and backward. Look first at forward_step and forward_rows.
 *
 * Row b of a step needs row b of the step before and no other. So the threads share out the rows (row r
 * goes to thread r mod parts, which balances sequences of any lengths), and each walks through all of
 * time without waiting. Each then reads all weights in every step. If there are very few rows, or if
 * the weights do not fit in a core's cache and a thread has too few rows to hide that they come from
 * farther away, every step is cut into columns instead, or into both, and the threads meet after it.
 * A tile of the product h W^T holds the same LANES columns of all gates. They become the new state as
 * soon as the tile is done. */

/* So many rows, and so many gates at a time, are what a forward tile of 3 or 4 gates has in registers. */
#undef MOST_ROWS
#undef TOGETHER
#undef FEW_ROWS
#undef HIDING_ROWS
#if LEVEL_NUMBER == 2 || defined(__aarch64__)
#define MOST_ROWS(gates) ((gates) == 3 ? 8 : 6)
#define TOGETHER(gates) (gates)
#elif LEVEL_NUMBER == 1
#define MOST_ROWS(gates) ((gates) == 3 ? 4 : 6)
#define TOGETHER(gates) ((gates) == 3 ? 3 : 2)
#else
#define MOST_ROWS(gates) ((gates) == 3 ? 3 : 5)
#define TOGETHER(gates) ((gates) == 3 ? 3 : 2)
#endif
#define FEW_ROWS 4
#define HIDING_ROWS 16

/* Gates and states of more bytes than this leave the second-level cache. */
#undef FAR
#define FAR (1L << 20)

struct FN(cell);

/* A step has `count` rows from `start` on. The first `common` of them continue the rows that begin at
 * `before`; the others begin with h0. */
struct FN(step) {
    long start, count, before, common;
};

struct FN(recurrence) {
    const struct FN(cell) *cell;
    const real *gx, *h0, *c0, *b_hh;
    const real *packed;                    /* w_hh in panels: by pack_gates; in the backward by pack_b */
    const real *w_hh;                      /* needed where packed is NULL */
    const real *dy;
    const int64_t *batch_sizes;
    long T, B, H, N;
    int reverse;
    real *y, *saved, *dgx, *dgh;
    real *dh, *dc;                         /* the gradients at the state of every row; in the end dh0 and dc0 */
    long row_parts, col_parts;
    struct FN(step) step, done;            /* where steps are cut: this one, and the one before */
};

/* `count` rows of one step, `stride` apart. They begin at `row` of the packed layout and at `b` of the
 * batch. They continue the rows that begin at `before`, or h0 where `before` is negative. */
struct FN(some_rows) {
    long row, count, stride, b, before;
};

struct FN(cell) {
    long gates, saved, rows; /* saved: so many times H numbers in a row */
    int keeps_dh; /* some of dh does not go through the gates: `gradients` leaves it in dh */
    /* forward_step with the cell's own tile and states */
    void (*forward)(const struct FN(recurrence) *g, const struct FN(step) *step, long first, long stride,
                    long p0, long p1);
    /* from the gradient at one row's state to those at its gates' sums, in the columns [col, end) */
    void (*gradients)(const struct FN(recurrence) *g, const struct FN(some_rows) *one, long col, long end);
};

static struct FN(step) FN(step_at)(const struct FN(recurrence) *g, long t, long start)
{
    struct FN(step) step = {start, g->batch_sizes[t], 0, 0};
    const long other = g->reverse ? t + 1 : t - 1;
    if (other < 0 || other >= g->T) return step;
    step.before = g->reverse ? start + step.count : start - g->batch_sizes[other];
    step.common = ta_smaller(step.count, g->batch_sizes[other]);
    return step;
}

/* How many of the rows first, first + stride, ... lie below `end`. */
TA_INLINE long FN(rows_below)(long first, long stride, long end)
{
    return end > first ? (end - first + stride - 1) / stride : 0;
}

TA_INLINE const real *FN(state_before)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows)
{
    return rows->before < 0 ? g->h0 + rows->b * g->H : g->y + rows->before * g->H;
}

TA_INLINE void FN(tile_of)(const long gates, const long rows, const real *h, long ldh, const real *w,
                           long H, vec *sums)
{
    const long together = TOGETHER(gates);
    for (long first = 0; first < gates; first += together) {
        const real *x = h, *panel = w + first * LANES;
        vec acc[8][4], wk[4];
#pragma GCC unroll 8
        for (long i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (long gate = 0; gate < together; gate++) acc[i][gate] = splat(0);
        for (long k = 0; k < H; k++, x++, panel += gates * LANES) {
#pragma GCC unroll 4
            for (long gate = 0; gate < together; gate++) wk[gate] = load(panel + gate * LANES);
#pragma GCC unroll 8
            for (long i = 0; i < rows; i++) {
                vec xk = splat(x[i * ldh]);
#pragma GCC unroll 4
                for (long gate = 0; gate < together; gate++) acc[i][gate] += xk * wk[gate];
            }
        }
#pragma GCC unroll 8
        for (long i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (long gate = 0; gate < together; gate++) sums[gates * i + first + gate] = acc[i][gate];
    }
}

/* The number of gates and rows are constants in each branch, so that the sums stay in registers. */
TA_INLINE void FN(gate_tile)(const long gates, long rows, const real *h, long ldh, const real *w, long H,
                             vec *sums)
{
#define ROWS(count)                                                                                     \
    case count:                                                                                         \
        if (count <= MOST_ROWS(gates)) FN(tile_of)(gates, count, h, ldh, w, H, sums);                   \
        break;
    switch (rows) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8)
    }
#undef ROWS
}

/* Prefetches what `states` will touch, while the tile is computed. These are single cache lines, in an
 * order that no processor predicts. */
TA_INLINE void FN(fetch)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows, long col)
{
    const long H = g->H, gates = g->cell->gates, kept = g->cell->saved;
    for (long i = 0, row = rows->row; i < rows->count; i++, row += rows->stride) {
        for (long k = 0; k < gates; k++) __builtin_prefetch(g->gx + (row * gates + k) * H + col, 0);
        for (long k = 0; k < kept; k++) __builtin_prefetch(g->saved + (row * kept + k) * H + col, 1);
    }
}

/* sums[i][gate] = h[i] . W_gate for one panel */
typedef void FN(tile_of_gates)(long rows, const real *h, long ldh, const real *w, long H, vec *sums);
/* Makes gates and states of the sums, in the columns [col, col + count). */
typedef void FN(states_of_sums)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows,
                                vec *sums, long col, long count);

/* One step of the rows first, first + stride, ... and the panels [p0, p1). Each cell's `forward`
 * inlines it, so that the calls are direct. */
TA_INLINE void FN(forward_step)(const struct FN(recurrence) *g, const struct FN(step) *step, long first,
                                long stride, long p0, long p1, FN(tile_of_gates) *tile,
                                FN(states_of_sums) *states)
{
    const struct FN(cell) *cell = g->cell;
    const long H = g->H, gates = cell->gates;
    const long continued = FN(rows_below)(first, stride, step->common);
    const long all = FN(rows_below)(first, stride, step->count);
    const int far = g->N * H * (gates + cell->saved) * (long)sizeof(real) > FAR;
    vec sums[24];
    for (long panel = p0; panel < p1; panel++) {
        const long col = panel * LANES, count = ta_smaller(LANES, H - col);
        const real *w = g->packed + panel * gates * LANES * H;
        for (long i = 0; i < all;) {
            const long end = i < continued ? continued : all, b = first + i * stride;
            const struct FN(some_rows) rows = {step->start + b, ta_smaller(cell->rows, end - i), stride, b,
                                               i < continued ? step->before + b : -1};
            if (far) FN(fetch)(g, &rows, col);
            tile(rows.count, FN(state_before)(g, &rows), stride * H, w, H, sums);
            states(g, &rows, sums, col, count);
            i += rows.count;
        }
    }
}

/* The rows part, part + parts, ... through all of time. */
static void FN(forward_rows)(void *arg, long part, long parts)
{
    const struct FN(recurrence) *g = arg;
    const long panels = (g->H + LANES - 1) / LANES;
    long start = g->reverse ? g->N : 0;
    for (long i = 0; i < g->T; i++) {
        const long t = g->reverse ? g->T - 1 - i : i;
        if (g->reverse) start -= g->batch_sizes[t];
        const struct FN(step) step = FN(step_at)(g, t, start);
        g->cell->forward(g, &step, part, parts, 0, panels);
        if (!g->reverse) start += g->batch_sizes[t];
    }
}

/* A part of one step: some rows, and some panels of columns. */
static void FN(forward_step_part)(void *arg, long part, long parts)
{
    const struct FN(recurrence) *g = arg;
    const long panels = (g->H + LANES - 1) / LANES;
    const long col = part % g->col_parts, row = part / g->col_parts;
    (void)parts;
    g->cell->forward(g, &g->step, row, g->row_parts, panels * col / g->col_parts,
                     panels * (col + 1) / g->col_parts);
}

/* The last state of every row: that of the row's own last step, or of step 0 where time runs backward.
 * A state is H numbers of a row of `width`. */
static void FN(last_states)(const struct FN(recurrence) *g, const real *states, long width, real *last)
{
    long start = 0;
    for (long t = 0; t < g->T; t++) {
        const long count = g->batch_sizes[t];
        const long ended = g->reverse ? 0 : t + 1 < g->T ? g->batch_sizes[t + 1] : 0;
        for (long b = ended; b < count; b++)
            memcpy(last + b * g->H, states + (start + b) * width, g->H * sizeof(real));
        if (g->reverse) return;
        start += count;
    }
}

static void FN(packing_gates_part)(void *arg, long part, long parts)
{
    const struct FN(packing) *job = arg;
    const long H = job->K, gates = job->P / H, col = part * LANES, count = ta_smaller(LANES, H - col);
    (void)parts;
    for (long gate = 0; gate < gates; gate++)
        FN(pack_columns)(job->b + (gate * H + col) * H, H, H, count,
                         job->out + part * gates * LANES * H + gate * LANES, gates * LANES);
}

/* Packs w_hh (gates H, H) panel after panel. A panel is H rows; each has LANES columns of every gate's
 * transpose. out holds gates H times H numbers, H rounded up to a multiple of 16. */
KERNEL(pack_gates)(int64_t gates, int64_t H, const real *w_hh, real *out)
{
    struct FN(packing) job = {.b = w_hh, .K = H, .P = gates * H, .out = out};
    ta_parallel(FN(packing_gates_part), &job, (H + LANES - 1) / LANES);
    return 0;
}

/* Cuts the work into row_parts and col_parts. There are at most `panels` columns of work. With one
 * column, a part walks through all of time; with more, every step is work for all threads. */
static void FN(cut_rows_and_columns)(struct FN(recurrence) *g, long panels)
{
    const double a_row = (double)g->cell->gates * g->H * (g->H + 16);
    const long weights = g->cell->gates * g->H * g->H * (long)sizeof(real);
    const long by_rows = ta_smaller(ta_threads_for(g->N * a_row), g->B);
    const long by_step = ta_threads_for(g->B * a_row);
    g->row_parts = g->B > FEW_ROWS ? by_rows : 1;
    g->col_parts = 1;
    const int near = weights <= ta_second_level_cache() * 3 / 4 || g->B >= HIDING_ROWS * by_rows;
    if (g->B > FEW_ROWS && (near || by_step < by_rows)) return;
    g->col_parts = ta_smaller(by_step, panels);
    g->row_parts = ta_smaller(by_step / g->col_parts, (g->B + FEW_ROWS - 1) / FEW_ROWS);
}

static int FN(forwards)(struct FN(recurrence) *g)
{
    const long H = g->H, gates = g->cell->gates;
    if (!g->N || !H) return 0;
    real *space = NULL;
    if (!g->packed) {
        space = ta_scratch(TA_SHARED, gates * H * ta_round_up(H, LANES) * sizeof(real));
        if (!space) return 1;
        FN(pack_gates)(gates, H, g->w_hh, space);
        g->packed = space;
    }
    FN(cut_rows_and_columns)(g, (H + LANES - 1) / LANES);
    if (g->col_parts == 1) {
        ta_parallel(FN(forward_rows), g, g->row_parts);
    } else {
        long start = g->reverse ? g->N : 0;
        for (long i = 0; i < g->T; i++) {
            const long t = g->reverse ? g->T - 1 - i : i;
            if (g->reverse) start -= g->batch_sizes[t];
            g->step = FN(step_at)(g, t, start);
            ta_parallel(FN(forward_step_part), g, g->row_parts * g->col_parts);
            if (!g->reverse) start += g->batch_sizes[t];
        }
    }
    if (space) ta_scratch_done(TA_SHARED);
    return 0;
}

static void FN(backward_gates)(const struct FN(recurrence) *g, struct FN(step) step, long first,
                               long stride, long j0, long j1)
{
    for (long b = first; b < step.count; b += stride) {
        const struct FN(some_rows) one = {step.start + b, 1, stride, b,
                                          b < step.common ? step.before + b : -1};
        g->cell->gradients(g, &one, j0, j1);
    }
}

/* dh = dgh W_hh, or += where dh is kept, for the rows first, first + stride, ... and the columns [j0,
 * j1), which are whole panels. */
static void FN(backward_product)(const struct FN(recurrence) *g, struct FN(step) step, long first,
                                 long stride, long j0, long j1)
{
    const long H = g->H, K = g->cell->gates * H, all = FN(rows_below)(first, stride, step.count);
    for (long j = j0; j < j1; j += NR) {
        struct FN(columns) columns = {g->w_hh + j, 0, H, 0, H - j};
        if (g->packed) columns = (struct FN(columns)){g->packed + j * K, 0, 0, 0, H - j};
        for (long i = 0; i < all; i += MR) {
            const long b = first + i * stride;
            struct FN(tile_job) job = {.K = K, .a = g->dgh + (step.start + b) * K, .lda = stride * K,
                                       .c = g->dh + b * H + j, .ldc = stride * H,
                                       .first = !g->cell->keeps_dh};
            FN(strip)(&job, ta_smaller(MR, all - i), 1, &columns, ta_smaller(NR, j1 - j), NULL,
                      NULL);
        }
    }
}

/* From the last step that was run to the first. */
static void FN(backward_rows)(void *arg, long part, long parts)
{
    const struct FN(recurrence) *g = arg;
    long start = g->reverse ? 0 : g->N;
    for (long i = 0; i < g->T; i++) {
        const long t = g->reverse ? i : g->T - 1 - i;
        if (!g->reverse) start -= g->batch_sizes[t];
        const struct FN(step) step = FN(step_at)(g, t, start);
        FN(backward_gates)(g, step, part, parts, 0, g->H);
        FN(backward_product)(g, step, part, parts, 0, g->H);
        if (g->reverse) start += g->batch_sizes[t];
    }
}

/* A part of one step: some rows, and some panels of columns. The product of the step before comes first;
 * it needs the gates of all columns. */
static void FN(backward_step_part)(void *arg, long part, long parts)
{
    const struct FN(recurrence) *g = arg;
    const long panels = (g->H + NR - 1) / NR;
    const long col = part % g->col_parts, row = part / g->col_parts;
    const long j0 = panels * col / g->col_parts * NR;
    const long j1 = ta_smaller(g->H, panels * (col + 1) / g->col_parts * NR);
    (void)parts;
    FN(backward_product)(g, g->done, row, g->row_parts, j0, j1);
    FN(backward_gates)(g, g->step, row, g->row_parts, j0, j1);
}

/* The gradient at the states begins with the gradient at the last states; NULL stands for zeros. */
static void FN(begin_with)(real *d, const real *last, long count)
{
    if (last)
        memcpy(d, last, count * sizeof(real));
    else
        memset(d, 0, count * sizeof(real));
}

static int FN(backwards)(struct FN(recurrence) *g)
{
    const long H = g->H, K = g->cell->gates * H;
    if (!g->N || !H) return 0;
    real *space = NULL;
    const int ragged = !MASKED_LOADS && H % LANES;
    if (!g->packed && (ragged || (g->T > 1 && g->N >= 128))) { /* so many rows outweigh the cost of packing */
        space = ta_scratch(TA_SHARED, K * ta_round_up(H, LANES) * sizeof(real));
        if (!space) return 1;
        FN(pack_weights)(K, H, g->w_hh, H * sizeof(real), sizeof(real), space);
        g->packed = space;
    }
    FN(cut_rows_and_columns)(g, (H + NR - 1) / NR);
    if (g->col_parts == 1) {
        ta_parallel(FN(backward_rows), g, g->row_parts);
    } else {
        long start = g->reverse ? 0 : g->N;
        for (long i = 0; i <= g->T; i++) { /* once more for the product of the last step */
            const long t = g->reverse ? i : g->T - 1 - i;
            if (!g->reverse && i < g->T) start -= g->batch_sizes[t];
            g->done = g->step;
            g->step = i < g->T ? FN(step_at)(g, t, start) : (struct FN(step)){0};
            ta_parallel(FN(backward_step_part), g, g->row_parts * g->col_parts);
            if (g->reverse && i < g->T) start += g->batch_sizes[t];
        }
    }
    if (space) ta_scratch_done(TA_SHARED);
    return 0;
}
