/* The gated recurrent unit over a packed batch, and its gradient with respect to everything but the
 * weights. Here is what the gates do; the rest is in recurrent.h. Formulas and derivation:
 * tinyattn/kernels/reference/gru.py. */

static void FN(gru_tile)(long rows, const real *h, long ldh, const real *w, long H, vec *sums)
{
    FN(gate_tile)(3, rows, h, ldh, w, H, sums);
}

/* One loop for each sigmoid and tanh, so that the processor works on several rows' long chains at once. */
static void FN(gru_states)(const struct FN(recurrence) *g, const struct FN(some_rows) *rows, vec *sums,
                           long col, long count)
{
    const long H = g->H, stride = rows->stride;
    const real *gx = g->gx + rows->row * 3 * H + col, *h = FN(state_before)(g, rows) + col;
    real *saved = g->saved + rows->row * 4 * H + col, *y = g->y + rows->row * H + col;
    vec b[3] = {splat(0), splat(0), splat(0)};
    for (long gate = 0; g->b_hh && gate < 3; gate++)
        b[gate] = load_some(g->b_hh + gate * H + col, count);
    for (long i = 0; i < rows->count; i++) {
        const real *x = gx + i * stride * 3 * H;
        vec r = FN(sigmoid)(load_some(x, count) + (sums[3 * i] + b[0]));
        vec hn = sums[3 * i + 2] + b[2];
        store_some(saved + i * stride * 4 * H, r, count);
        store_some(saved + i * stride * 4 * H + 3 * H, hn, count);
        sums[3 * i + 2] = load_some(x + 2 * H, count) + r * hn;
    }
    for (long i = 0; i < rows->count; i++) {
        vec x = load_some(gx + i * stride * 3 * H + H, count);
        sums[3 * i + 1] = FN(sigmoid)(x + (sums[3 * i + 1] + b[1]));
        store_some(saved + i * stride * 4 * H + H, sums[3 * i + 1], count);
    }
    for (long i = 0; i < rows->count; i++) {
        vec n = FN(tanh)(sums[3 * i + 2]), z = sums[3 * i + 1];
        vec before = load_some(h + i * stride * H, count);
        store_some(saved + i * stride * 4 * H + 2 * H, n, count);
        store_some(y + i * stride * H, (splat(1) - z) * n + z * before, count);
    }
}

static void FN(gru_forward)(const struct FN(recurrence) *g, const struct FN(step) *step, long first,
                            long stride, long p0, long p1)
{
    FN(forward_step)(g, step, first, stride, p0, p1, FN(gru_tile), FN(gru_states));
}

/* The columns [col, col + count) of one row. What does not pass through the gates stays in dh. */
TA_INLINE void FN(gru_gradients_at)(const struct FN(recurrence) *g, const struct FN(some_rows) *row,
                                    const real *h, long col, long count)
{
    const long H = g->H;
    const real *saved = g->saved + row->row * 4 * H + col;
    real *dgx = g->dgx + row->row * 3 * H + col, *dgh = g->dgh + row->row * 3 * H + col;
    real *dh = g->dh + row->b * H + col;
    vec r = load_some(saved, count), z = load_some(saved + H, count);
    vec n = load_some(saved + 2 * H, count), hn = load_some(saved + 3 * H, count);
    vec d = load_some(dh, count), one = splat(1);
    if (g->dy) d += load_some(g->dy + row->row * H + col, count);
    vec dn = d * (one - z) * (one - n * n);
    vec dz = d * (load_some(h + col, count) - n) * z * (one - z);
    vec dr = dn * hn * r * (one - r);
    store_some(dgx, dr, count);
    store_some(dgx + H, dz, count);
    store_some(dgx + 2 * H, dn, count);
    store_some(dgh, dr, count);
    store_some(dgh + H, dz, count);
    store_some(dgh + 2 * H, dn * r, count);
    store_some(dh, d * z, count);
}

static void FN(gru_gradients)(const struct FN(recurrence) *g, const struct FN(some_rows) *row, long col,
                              long end)
{
    const real *h = FN(state_before)(g, row);
    for (; col + LANES <= end; col += LANES) FN(gru_gradients_at)(g, row, h, col, LANES);
    if (col < end) FN(gru_gradients_at)(g, row, h, col, end - col);
}

static const struct FN(cell) FN(gru_cell) = {.gates = 3, .saved = 4, .rows = MOST_ROWS(3), .keeps_dh = 1,
                                            .forward = FN(gru_forward), .gradients = FN(gru_gradients)};

/* Packed layout: gx (N, 3H), h0, h_n (B, H), w_hh (3H, H), b_hh (3H) or NULL, batch_sizes (T), y (N, H), saved
 * (N, 4H). packed is w_hh as pack_gates left it, or NULL. */
KERNEL(gru)(const real *gx, const real *h0, const real *w_hh, const real *packed, const real *b_hh,
            const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N, int reverse,
            real *y, real *h_n, real *saved)
{
    struct FN(recurrence) g = {.cell = &FN(gru_cell), .gx = gx, .h0 = h0, .w_hh = w_hh,
                               .packed = packed, .b_hh = b_hh, .batch_sizes = batch_sizes, .T = T,
                               .B = B, .H = H, .N = N, .reverse = reverse, .y = y, .saved = saved};
    const int status = FN(forwards)(&g);
    if (!status) FN(last_states)(&g, y, H, h_n);
    return status;
}

/* dy (N, H) and dh_n (B, H) may be NULL; dgx, dgh (N, 3H), dh0 (B, H). packed is w_hh as pack_weights left it
 * (K = 3H, P = H), or NULL. */
KERNEL(gru_backward)(const real *dy, const real *dh_n, const real *saved, const real *y, const real *h0,
                     const real *w_hh, const real *packed, const int64_t *batch_sizes, int64_t T,
                     int64_t B, int64_t H, int64_t N, int reverse, real *dgx, real *dgh, real *dh0)
{
    struct FN(recurrence) g = {.cell = &FN(gru_cell), .dy = dy, .saved = (real *)saved, .y = (real *)y,
                               .h0 = h0, .w_hh = w_hh, .packed = packed, .batch_sizes = batch_sizes,
                               .T = T, .B = B, .H = H, .N = N, .reverse = reverse, .dgx = dgx,
                               .dgh = dgh, .dh = dh0};
    FN(begin_with)(dh0, dh_n, B * H);
    return FN(backwards)(&g);
}
