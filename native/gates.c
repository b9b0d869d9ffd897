/* One step of a GRU and of an LSTM from both of its sums, x W_ih^T + b_ih in gx and h W_hh^T + b_hh in gh,
 * for layers whose products are those of int8.c. Formulas: tinyattn/kernels/reference/gates.py. */
struct FN(gates_job) {
    const real *gx, *gh, *before; /* before: h of a GRU, c of an LSTM */
    real *y, *c;
    long N, H;
};

static void FN(gru_gates_part)(void *arg, long part, long parts)
{
    const struct FN(gates_job) *job = arg;
    const long H = job->H, end = job->N * (part + 1) / parts;
    for (long i = job->N * part / parts; i < end; i++)
        for (long j = 0; j < H; j += LANES) {
            const long some = ta_smaller(LANES, H - j);
            const real *x = job->gx + i * 3 * H + j, *h = job->gh + i * 3 * H + j;
            const vec r = FN(sigmoid)(load_some(x, some) + load_some(h, some));
            const vec z = FN(sigmoid)(load_some(x + H, some) + load_some(h + H, some));
            const vec n = FN(tanh)(load_some(x + 2 * H, some) + r * load_some(h + 2 * H, some));
            store_some(job->y + i * H + j, (splat(1) - z) * n + z * load_some(job->before + i * H + j, some),
                       some);
        }
}

static void FN(lstm_gates_part)(void *arg, long part, long parts)
{
    const struct FN(gates_job) *job = arg;
    const long H = job->H, end = job->N * (part + 1) / parts;
    for (long k = job->N * part / parts; k < end; k++)
        for (long j = 0; j < H; j += LANES) {
            const long some = ta_smaller(LANES, H - j);
            const real *x = job->gx + k * 4 * H + j, *h = job->gh + k * 4 * H + j;
            const vec i = FN(sigmoid)(load_some(x, some) + load_some(h, some));
            const vec f = FN(sigmoid)(load_some(x + H, some) + load_some(h + H, some));
            const vec g = FN(tanh)(load_some(x + 2 * H, some) + load_some(h + 2 * H, some));
            const vec o = FN(sigmoid)(load_some(x + 3 * H, some) + load_some(h + 3 * H, some));
            const vec c = f * load_some(job->before + k * H + j, some) + i * g;
            store_some(job->c + k * H + j, c, some);
            store_some(job->y + k * H + j, o * FN(tanh)(c), some);
        }
}

/* gx, gh (N, 3H), h (N, H), y (N, H) */
KERNEL(gru_gates)(const real *gx, const real *gh, const real *h, real *y, int64_t N, int64_t H)
{
    struct FN(gates_job) job = {gx, gh, h, y, NULL, (long)N, (long)H};
    ta_parallel(FN(gru_gates_part), &job, ta_row_parts(N, 3 * H));
    return 0;
}

/* gx, gh (N, 4H), c (N, H), y and c_n (N, H) */
KERNEL(lstm_gates)(const real *gx, const real *gh, const real *c, real *y, real *c_n, int64_t N, int64_t H)
{
    struct FN(gates_job) job = {gx, gh, c, y, c_n, (long)N, (long)H};
    ta_parallel(FN(lstm_gates_part), &job, ta_row_parts(N, 4 * H));
    return 0;
}
