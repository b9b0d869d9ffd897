/* Long short-term memory over a packed batch, and its gradient with respect to everything but the
 * weights. Here is what the gates do; the rest is in recurrent.h. Formulas and derivation:
 * tinyattn/kernels/reference/lstm.py. */

static void FN(lstm_tile)(long rows, const real *h, long ldh, const real *w, long H, vec *sums)
{
    FN(gate_tile)(4, rows, h, ldh, w, H, sums);
}

/* The cell states before some rows: the last H numbers of what was saved for them, or c0. */
TA_INLINE const real *FN(cell_before)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows,
                                      long *width)
{
    *width = rows->before < 0 ? g->H : 5 * g->H;
    return rows->before < 0 ? g->c0 + rows->b * g->H : g->saved + rows->before * 5 * g->H + 4 * g->H;
}

/* One loop for each sigmoid and tanh, so that the processor works on several rows' long chains at once. */
static void FN(lstm_states)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows, vec *sums,
                            long col, long count)
{
    const long H = g->H, stride = rows->stride;
    const real *gx = g->gx + rows->row * 4 * H + col;
    real *saved = g->saved + rows->row * 5 * H + col, *y = g->y + rows->row * H + col;
    long width;
    const real *before = FN(cell_before)(g, rows, &width) + col;
    for (long gate = 0; gate < 4; gate++) {
        const vec b = g->b_hh ? load_some(g->b_hh + gate * H + col, count) : splat(0);
        for (long i = 0; i < rows->count; i++) {
            vec x = load_some(gx + i * stride * 4 * H + gate * H, count) + (sums[4 * i + gate] + b);
            sums[4 * i + gate] = gate == 2 ? FN(tanh)(x) : FN(sigmoid)(x);
            store_some(saved + i * stride * 5 * H + gate * H, sums[4 * i + gate], count);
        }
    }
    for (long i = 0; i < rows->count; i++) {
        vec past = load_some(before + i * stride * width, count);
        vec c = sums[4 * i + 1] * past + sums[4 * i] * sums[4 * i + 2];
        store_some(saved + i * stride * 5 * H + 4 * H, c, count);
        store_some(y + i * stride * H, sums[4 * i + 3] * FN(tanh)(c), count);
    }
}

static void FN(lstm_forward)(const struct FN(recurrence) *g, const struct FN(step) *step, long first,
                            long stride, long p0, long p1)
{
    FN(forward_step)(g, step, first, stride, p0, p1, FN(lstm_tile), FN(lstm_states));
}

/* The columns [col, col + count) of one row. */
TA_INLINE void FN(lstm_gradients_at)(const struct FN(recurrence) *g, const struct FN(some_rows) *row,
                                     const real *before, long col, long count)
{
    const long H = g->H;
    const real *saved = g->saved + row->row * 5 * H + col;
    real *d = g->dgh + row->row * 4 * H + col;
    vec i = load_some(saved, count), f = load_some(saved + H, count);
    vec n = load_some(saved + 2 * H, count), o = load_some(saved + 3 * H, count);
    vec t = FN(tanh)(load_some(saved + 4 * H, count)), one = splat(1);
    vec dh = load_some(g->dh + row->b * H + col, count);
    if (g->dy) dh += load_some(g->dy + row->row * H + col, count);
    vec dc = load_some(g->dc + row->b * H + col, count) + dh * o * (one - t * t);
    store_some(d, dc * n * i * (one - i), count);
    store_some(d + H, dc * load_some(before + col, count) * f * (one - f), count);
    store_some(d + 2 * H, dc * i * (one - n * n), count);
    store_some(d + 3 * H, dh * t * o * (one - o), count);
    store_some(g->dc + row->b * H + col, dc * f, count);
}

static void FN(lstm_gradients)(const struct FN(recurrence) *g, const struct FN(some_rows) *row, long col,
                               long end)
{
    long width;
    const real *before = FN(cell_before)(g, row, &width);
    for (; col + LANES <= end; col += LANES) FN(lstm_gradients_at)(g, row, before, col, LANES);
    if (col < end) FN(lstm_gradients_at)(g, row, before, col, end - col);
}

static const struct FN(cell) FN(lstm_cell) = {.gates = 4, .saved = 5, .rows = MOST_ROWS(4),
                                             .forward = FN(lstm_forward), .gradients = FN(lstm_gradients)};

/* As gru, with gx (N, 4H), c0, c_n (B, H), saved (N, 5H). */
KERNEL(lstm)(const real *gx, const real *h0, const real *c0, const real *w_hh, const real *packed,
             const real *b_hh, const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
             int reverse, real *y, real *h_n, real *c_n, real *saved)
{
    struct FN(recurrence) g = {.cell = &FN(lstm_cell), .gx = gx, .h0 = h0, .c0 = c0, .w_hh = w_hh,
                               .packed = packed, .b_hh = b_hh, .batch_sizes = batch_sizes, .T = T,
                               .B = B, .H = H, .N = N, .reverse = reverse, .y = y, .saved = saved};
    const int status = FN(forwards)(&g);
    if (status) return status;
    FN(last_states)(&g, y, H, h_n);
    FN(last_states)(&g, saved + 4 * H, 5 * H, c_n);
    return 0;
}

/* As gru_backward, with dgates (N, 4H), dc0 (B, H); dc_n may be NULL. */
KERNEL(lstm_backward)(const real *dy, const real *dh_n, const real *dc_n, const real *saved,
                      const real *c0, const real *w_hh, const real *packed, const int64_t *batch_sizes,
                      int64_t T, int64_t B, int64_t H, int64_t N, int reverse, real *dgates, real *dh0,
                      real *dc0)
{
    struct FN(recurrence) g = {.cell = &FN(lstm_cell), .dy = dy, .saved = (real *)saved, .c0 = c0,
                               .w_hh = w_hh, .packed = packed, .batch_sizes = batch_sizes, .T = T,
                               .B = B, .H = H, .N = N, .reverse = reverse, .dgh = dgates, .dh = dh0,
                               .dc = dc0};
    FN(begin_with)(dh0, dh_n, B * H);
    FN(begin_with)(dc0, dc_n, B * H);
    return FN(backwards)(&g);
}
