/* The gated recurrent unit over a packed batch, and its gradient with respect to everything but the
 * weights. Formulas and derivation: tinyattn/kernels/reference/gru.py. Look first at gru_forward_rows.
 *
 * Row b of a step needs row b of the step before and no other, so threads share the rows out among
 * themselves (row r to thread r mod parts, which balances sequences of any lengths) and each walks
 * through all of time without waiting. Only a batch of very few rows is cut into columns, step by step.
 * A tile of the product h W^T holds the same LANES columns of all three gates; they turn into the new
 * state as soon as it is done. */

/* Rows of a forward tile, three vectors each. */
#undef GATE_ROWS
#undef FEW_ROWS
#if LEVEL_NUMBER == 2 || defined(__aarch64__)
#define GATE_ROWS 8
#elif LEVEL_NUMBER == 1
#define GATE_ROWS 4
#else
#define GATE_ROWS 3
#endif
#define FEW_ROWS 4

struct FN(gru) {
    const real *gx, *h0, *b_hh;
    const real *packed;                    /* w_hh in panels: gru_pack forwards, pack_b backwards */
    const real *w_hh;                      /* backwards where packed is NULL */
    const real *dy, *dh_n, *states;        /* backwards; states is y */
    const int64_t *batch_sizes;
    long T, B, H, N;
    int reverse;
    real *y, *h_n, *saved, *dgx, *dgh, *dh0;
    long start, t;                         /* the step that is cut into columns */
};

/* A step's rows begin at `start` and are `count`; the first `common` of them continue the rows that
 * begin at `before`, the others begin with h0. */
struct FN(gru_step) {
    long start, count, before, common;
};

static struct FN(gru_step) FN(gru_step_at)(const struct FN(gru) *g, long t, long start)
{
    struct FN(gru_step) step = {start, g->batch_sizes[t], 0, 0};
    const long other = g->reverse ? t + 1 : t - 1;
    if (other < 0 || other >= g->T) return step;
    step.before = g->reverse ? start + step.count : start - g->batch_sizes[other];
    step.common = FN(smaller)(step.count, g->batch_sizes[other]);
    return step;
}

/* How many of the rows first, first + stride, ... lie below `end`. */
TA_INLINE long FN(rows_below)(long first, long stride, long end)
{
    return end > first ? (end - first + stride - 1) / stride : 0;
}

TA_INLINE vec FN(load_some)(const real *p, long count)
{
    return count == LANES ? load(p) : load_part(p, count);
}

TA_INLINE void FN(store_some)(real *p, vec v, long count)
{
    if (count == LANES)
        store(p, v);
    else
        store_part(p, v, count);
}

/* sums[i][gate] = h[i] . W_gate for `rows` rows and one panel. */
TA_INLINE void FN(gate_tile)(const long rows, const real *h, long ldh, const real *w, long H, vec *sums)
{
    vec acc[GATE_ROWS][3];
#pragma GCC unroll 8
    for (long i = 0; i < rows; i++) acc[i][0] = acc[i][1] = acc[i][2] = splat(0);
    for (long k = 0; k < H; k++, h++, w += 3 * LANES) {
        vec wr = load(w), wz = load(w + LANES), wn = load(w + 2 * LANES);
#pragma GCC unroll 8
        for (long i = 0; i < rows; i++) {
            vec x = splat(h[i * ldh]);
            acc[i][0] += x * wr;
            acc[i][1] += x * wz;
            acc[i][2] += x * wn;
        }
    }
#pragma GCC unroll 8
    for (long i = 0; i < rows; i++)
        for (long gate = 0; gate < 3; gate++) sums[3 * i + gate] = acc[i][gate];
}

#undef GATE_TILE
#define GATE_TILE(rows)                                                                           \
    static void FN(gate_tile_##rows)(const real *h, long ldh, const real *w, long H, vec *sums)   \
    {                                                                                             \
        FN(gate_tile)(rows, h, ldh, w, H, sums);                                                  \
    }
GATE_TILE(1)
GATE_TILE(2)
GATE_TILE(3)
#if GATE_ROWS > 3
GATE_TILE(4)
#endif
#if GATE_ROWS > 4
GATE_TILE(5)
GATE_TILE(6)
GATE_TILE(7)
GATE_TILE(8)
#endif
static void (*const FN(gate_tiles)[])(const real *, long, const real *, long, vec *) = {
    FN(gate_tile_1), FN(gate_tile_2), FN(gate_tile_3),
#if GATE_ROWS > 3
    FN(gate_tile_4),
#endif
#if GATE_ROWS > 4
    FN(gate_tile_5), FN(gate_tile_6), FN(gate_tile_7), FN(gate_tile_8),
#endif
};

/* From the sums of up to GATE_ROWS rows (`row`, row + stride, ... of the packed layout) to gates and
 * states, columns [col, col + count). One loop a function, so that the rows' long chains of dependent
 * operations overlap. */
static void FN(gates)(const struct FN(gru) *g, vec *sums, long rows, long row, long stride,
                      const real *h, long col, long count)
{
    const long H = g->H;
    const real *gx = g->gx + row * 3 * H + col;
    real *saved = g->saved + row * 4 * H + col, *y = g->y + row * H + col;
    vec b[3] = {splat(0), splat(0), splat(0)};
    for (long gate = 0; g->b_hh && gate < 3; gate++)
        b[gate] = FN(load_some)(g->b_hh + gate * H + col, count);
    for (long i = 0; i < rows; i++) {
        const real *x = gx + i * stride * 3 * H;
        vec r = FN(sigmoid)(FN(load_some)(x, count) + (sums[3 * i] + b[0]));
        vec hn = sums[3 * i + 2] + b[2];
        FN(store_some)(saved + i * stride * 4 * H, r, count);
        FN(store_some)(saved + i * stride * 4 * H + 3 * H, hn, count);
        sums[3 * i + 2] = FN(load_some)(x + 2 * H, count) + r * hn;
    }
    for (long i = 0; i < rows; i++) {
        vec x = FN(load_some)(gx + i * stride * 3 * H + H, count);
        sums[3 * i + 1] = FN(sigmoid)(x + (sums[3 * i + 1] + b[1]));
        FN(store_some)(saved + i * stride * 4 * H + H, sums[3 * i + 1], count);
    }
    for (long i = 0; i < rows; i++) {
        vec n = FN(tanh)(sums[3 * i + 2]), z = sums[3 * i + 1];
        vec before = FN(load_some)(h + i * stride * H + col, count);
        FN(store_some)(saved + i * stride * 4 * H + 2 * H, n, count);
        FN(store_some)(y + i * stride * H, (splat(1) - z) * n + z * before, count);
    }
}

/* One step of the rows first, first + stride, ... and the panels [p0, p1). */
static void FN(gru_forward_step)(const struct FN(gru) *g, struct FN(gru_step) step, long first,
                                 long stride, long p0, long p1)
{
    const long H = g->H;
    const long continued = FN(rows_below)(first, stride, step.common);
    const long all = FN(rows_below)(first, stride, step.count);
    vec sums[3 * GATE_ROWS];
    for (long panel = p0; panel < p1; panel++) {
        const long col = panel * LANES, count = FN(smaller)(LANES, H - col);
        const real *w = g->packed + panel * 3 * LANES * H;
        for (long i = 0; i < all;) {
            const long end = i < continued ? continued : all;
            const long rows = FN(smaller)(GATE_ROWS, end - i), b = first + i * stride;
            const real *h = i < continued ? g->y + (step.before + b) * H : g->h0 + b * H;
            FN(gate_tiles)[rows - 1](h, stride * H, w, H, sums);
            FN(gates)(g, sums, rows, step.start + b, stride, h, col, count);
            i += rows;
        }
    }
}

/* The rows part, part + parts, ... through all of time. */
static void FN(gru_forward_rows)(void *arg, long part, long parts)
{
    const struct FN(gru) *g = arg;
    const long panels = (g->H + LANES - 1) / LANES;
    long start = g->reverse ? g->N : 0;
    for (long i = 0; i < g->T; i++) {
        const long t = g->reverse ? g->T - 1 - i : i;
        if (g->reverse) start -= g->batch_sizes[t];
        FN(gru_forward_step)(g, FN(gru_step_at)(g, t, start), part, parts, 0, panels);
        if (!g->reverse) start += g->batch_sizes[t];
    }
}

static void FN(gru_forward_columns)(void *arg, long part, long parts)
{
    const struct FN(gru) *g = arg;
    const long panels = (g->H + LANES - 1) / LANES;
    FN(gru_forward_step)(g, FN(gru_step_at)(g, g->t, g->start), 0, 1, panels * part / parts,
                         panels * (part + 1) / parts);
}

/* The last state of every row: that of its own last step, or of step 0 where time runs backwards. */
static void FN(gru_last_states)(const struct FN(gru) *g)
{
    long start = 0;
    for (long t = 0; t < g->T; t++) {
        const long count = g->batch_sizes[t];
        const long ended = g->reverse ? 0 : t + 1 < g->T ? g->batch_sizes[t + 1] : 0;
        memcpy(g->h_n + ended * g->H, g->y + (start + ended) * g->H,
               (count - ended) * g->H * sizeof(real));
        if (g->reverse) return;
        start += count;
    }
}

static void FN(gru_packing_part)(void *arg, long part, long parts)
{
    const struct FN(packing) *job = arg;
    const long H = job->K, col = part * LANES, count = FN(smaller)(LANES, H - col);
    (void)parts;
    for (long gate = 0; gate < 3; gate++)
        FN(pack_columns)(job->b + (gate * H + col) * H, H, H, count,
                         job->out + part * 3 * LANES * H + gate * LANES, 3 * LANES);
}

/* Panel after panel, each H rows of LANES columns of W_r^T, of W_z^T and of W_n^T. */
static int FN(gru_pack)(int64_t H, const real *w_hh, real *out)
{
    struct FN(packing) job = {.b = w_hh, .K = H, .P = H, .out = out};
    ta_parallel(FN(gru_packing_part), &job, (H + LANES - 1) / LANES);
    return 0;
}

/* The way a job is cut: rows for whole sequences, columns step by step, or not at all. */
enum FN(gru_cut) { FN(CUT_NOTHING), FN(CUT_ROWS), FN(CUT_COLUMNS) };

static enum FN(gru_cut) FN(gru_cut_of)(const struct FN(gru) *g)
{
    const long a_row = 3 * g->H * (g->H + 16);
    if (g->B > FEW_ROWS) return g->N * a_row < SERIAL_WORK ? FN(CUT_NOTHING) : FN(CUT_ROWS);
    return g->B * a_row < SERIAL_WORK ? FN(CUT_NOTHING) : FN(CUT_COLUMNS);
}

static int FN(gru)(const real *gx, const real *h0, const real *w_hh, const real *packed,
                   const real *b_hh, const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H,
                   int64_t N, int reverse, real *y, real *h_n, real *saved)
{
    struct FN(gru) g = {.gx = gx, .h0 = h0, .packed = packed, .b_hh = b_hh, .T = T, .B = B, .H = H,
                        .batch_sizes = batch_sizes, .N = N, .reverse = reverse, .y = y, .h_n = h_n,
                        .saved = saved};
    if (!N || !H) return 0;
    if (!packed) {
        real *space = ta_scratch(TA_SHARED, 3 * H * FN(whole)(H, LANES) * sizeof(real));
        if (!space) return 1;
        FN(gru_pack)(H, w_hh, space);
        g.packed = space;
    }
    const long threads = ta_get_num_threads(), panels = (H + LANES - 1) / LANES;
    switch (FN(gru_cut_of)(&g)) {
    case FN(CUT_NOTHING):
        FN(gru_forward_rows)(&g, 0, 1);
        break;
    case FN(CUT_ROWS):
        ta_parallel(FN(gru_forward_rows), &g, FN(smaller)(threads, B));
        break;
    case FN(CUT_COLUMNS):
        g.start = reverse ? N : 0;
        for (long i = 0; i < T; i++) {
            g.t = reverse ? T - 1 - i : i;
            if (reverse) g.start -= batch_sizes[g.t];
            ta_parallel(FN(gru_forward_columns), &g, FN(smaller)(threads, panels));
            if (!reverse) g.start += batch_sizes[g.t];
        }
    }
    FN(gru_last_states)(&g);
    if (!packed) ta_scratch_done(TA_SHARED);
    return 0;
}

/* One row's gate gradients, columns [col, col + count); dh becomes the part of the gradient at the
 * state before that doesn't pass through the gates. */
TA_INLINE void FN(gate_gradients)(const struct FN(gru) *g, long row, const real *h, real *dh, long col,
                                  long count)
{
    const long H = g->H;
    const real *saved = g->saved + row * 4 * H + col;
    real *dgx = g->dgx + row * 3 * H + col, *dgh = g->dgh + row * 3 * H + col;
    vec r = FN(load_some)(saved, count), z = FN(load_some)(saved + H, count);
    vec n = FN(load_some)(saved + 2 * H, count), hn = FN(load_some)(saved + 3 * H, count);
    vec d = FN(load_some)(dh + col, count), one = splat(1);
    if (g->dy) d += FN(load_some)(g->dy + row * H + col, count);
    vec dn = d * (one - z) * (one - n * n);
    vec dz = d * (FN(load_some)(h + col, count) - n) * z * (one - z);
    vec dr = dn * hn * r * (one - r);
    FN(store_some)(dgx, dr, count);
    FN(store_some)(dgx + H, dz, count);
    FN(store_some)(dgx + 2 * H, dn, count);
    FN(store_some)(dgh, dr, count);
    FN(store_some)(dgh + H, dz, count);
    FN(store_some)(dgh + 2 * H, dn * r, count);
    FN(store_some)(dh + col, d * z, count);
}

static void FN(gru_backward_gates)(const struct FN(gru) *g, struct FN(gru_step) step, long first,
                                   long stride)
{
    const long H = g->H;
    for (long b = first; b < step.count; b += stride) {
        const real *h = b < step.common ? g->states + (step.before + b) * H : g->h0 + b * H;
        real *dh = g->dh0 + b * H;
        long col = 0;
        for (; col + LANES <= H; col += LANES)
            FN(gate_gradients)(g, step.start + b, h, dh, col, LANES);
        if (col < H) FN(gate_gradients)(g, step.start + b, h, dh, col, H - col);
    }
}

/* dh0 += dgh W_hh for the rows first, first + stride, ... and the columns [j0, j1), whole panels. */
static void FN(gru_backward_product)(const struct FN(gru) *g, struct FN(gru_step) step, long first,
                                     long stride, long j0, long j1)
{
    const long H = g->H, all = FN(rows_below)(first, stride, step.count);
    for (long j = j0; j < j1; j += NR) {
        struct FN(columns) columns = {g->w_hh + j, 0, H, 0, H - j};
        if (g->packed) columns = (struct FN(columns)){g->packed + j * 3 * H, 0, 0, 0, H - j};
        for (long i = 0; i < all; i += MR) {
            const long b = first + i * stride;
            struct FN(tile_job) job = {.K = 3 * H, .a = g->dgh + (step.start + b) * 3 * H,
                                       .lda = stride * 3 * H, .c = g->dh0 + b * H + j,
                                       .ldc = stride * H};
            FN(strip)(&job, FN(smaller)(MR, all - i), 1, &columns, FN(smaller)(NR, j1 - j), NULL);
        }
    }
}

/* From the last step that was run to the first. */
static void FN(gru_backward_rows)(void *arg, long part, long parts)
{
    const struct FN(gru) *g = arg;
    long start = g->reverse ? 0 : g->N;
    for (long i = 0; i < g->T; i++) {
        const long t = g->reverse ? i : g->T - 1 - i;
        if (!g->reverse) start -= g->batch_sizes[t];
        const struct FN(gru_step) step = FN(gru_step_at)(g, t, start);
        FN(gru_backward_gates)(g, step, part, parts);
        FN(gru_backward_product)(g, step, part, parts, 0, g->H);
        if (g->reverse) start += g->batch_sizes[t];
    }
}

static void FN(gru_backward_columns)(void *arg, long part, long parts)
{
    const struct FN(gru) *g = arg;
    const long panels = (g->H + NR - 1) / NR;
    FN(gru_backward_product)(g, FN(gru_step_at)(g, g->t, g->start), 0, 1, panels * part / parts * NR,
                             FN(smaller)(g->H, panels * (part + 1) / parts * NR));
}

static int FN(gru_backward)(const real *dy, const real *dh_n, const real *saved, const real *y,
                            const real *h0, const real *w_hh, const real *packed,
                            const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
                            int reverse, real *dgx, real *dgh, real *dh0)
{
    struct FN(gru) g = {.dy = dy, .dh_n = dh_n, .saved = (real *)saved, .states = y, .h0 = h0,
                        .w_hh = w_hh, .packed = packed, .batch_sizes = batch_sizes, .T = T, .B = B,
                        .H = H, .N = N, .reverse = reverse, .dgx = dgx, .dgh = dgh, .dh0 = dh0};
    if (dh_n)
        memcpy(dh0, dh_n, B * H * sizeof(real));
    else
        memset(dh0, 0, B * H * sizeof(real));
    if (!N || !H) return 0;
    const int ragged = !MASKED_LOADS && H % LANES;
    if (!packed && (ragged || (T > 1 && N >= 128))) { /* so many rows make up for the packing */
        real *space = ta_scratch(TA_SHARED, 3 * H * FN(whole)(H, LANES) * sizeof(real));
        if (!space) return 1;
        FN(pack_weights)(3 * H, H, w_hh, H * sizeof(real), sizeof(real), space);
        g.packed = space;
    }
    const long threads = ta_get_num_threads(), panels = (H + NR - 1) / NR;
    switch (FN(gru_cut_of)(&g)) {
    case FN(CUT_NOTHING):
        FN(gru_backward_rows)(&g, 0, 1);
        break;
    case FN(CUT_ROWS):
        ta_parallel(FN(gru_backward_rows), &g, FN(smaller)(threads, B));
        break;
    case FN(CUT_COLUMNS):
        g.start = reverse ? 0 : N;
        for (long i = 0; i < T; i++) {
            g.t = reverse ? i : T - 1 - i;
            if (!reverse) g.start -= batch_sizes[g.t];
            FN(gru_backward_gates)(&g, FN(gru_step_at)(&g, g.t, g.start), 0, 1);
            ta_parallel(FN(gru_backward_columns), &g, FN(smaller)(threads, panels));
            if (reverse) g.start += batch_sizes[g.t];
        }
    }
    if (g.packed != packed) ta_scratch_done(TA_SHARED);
    return 0;
}
