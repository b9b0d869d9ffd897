/* The gradient of an embedding: out[v] = sum of grad[i] over all i with index[i] = v, in their order.
 *
 * A stable counting sort gathers the positions of every row of `out`. A part then owns a range of rows,
 * so that no two parts add to the same row and the order of additions is fixed. */

struct FN(embedding_job) {
    const real *grad;
    const long *start, *order; /* the positions of row v are order[start[v]] to order[start[v + 1] - 1] */
    real *out;
    double *totals; /* (parts, 2, D): of one row of out at a time, and what rounding has lost */
    long D, V;
};

static void FN(embedding_part)(void *arg, long part, long parts)
{
    const struct FN(embedding_job) *job = arg;
    long D = job->D, end = job->V * (part + 1) / parts;
    for (long v = job->V * part / parts; v < end; v++) {
        real *out = job->out + v * D;
        long from = job->start[v], count = job->start[v + 1] - from;
        if (count < 2) {
            const real *grad = job->grad + (count ? job->order[from] * D : 0);
            for (long d = 0; d < D; d++) out[d] = count ? grad[d] + 0 : 0; /* a sum of -0 is 0 */
            continue;
        }
        double *sum = job->totals + 2 * part * D, *lost = sum + D;
        memset(sum, 0, (size_t)(2 * D) * sizeof *sum);
        for (long k = 0; k < count; k++) {
            const real *grad = job->grad + job->order[from + k] * D;
            for (long d = 0; d < D; d++) FN(add_one)(&sum[d], &lost[d], (double)grad[d]);
        }
        for (long d = 0; d < D; d++) out[d] = (real)total_of(sum[d], lost[d]);
    }
}

/* grad (N, D), index (N), out (V, D). */
KERNEL(embedding_backward)(const real *grad, const int64_t *index, int64_t padding_idx, real *out,
                           int64_t N, int64_t D, int64_t V)
{
    long parts = 1 + N * D / 16384;
    if (parts > V) parts = V;
    if (parts > 64) parts = 64;
    size_t indices = (size_t)(V + 2 + N) * sizeof(long), totals = (size_t)(2 * parts * D) * sizeof(double);
    double *room = ta_scratch(TA_SHARED, totals + indices);
    if (!room) return 1;
    long *start = (long *)(room + 2 * parts * D), *order = start + V + 2;
    /* Counts are kept two places to the right and summed up. Filling moves each one place to the right,
     * so in the end row v begins at start[v]. */
    memset(start, 0, (size_t)(V + 2) * sizeof *start);
    for (long i = 0; i < N; i++)
        if (index[i] != padding_idx) start[index[i] + 2]++;
    for (long v = 2; v < V + 2; v++) start[v] += start[v - 1];
    for (long i = 0; i < N; i++)
        if (index[i] != padding_idx) order[start[index[i] + 1]++] = i;
    struct FN(embedding_job) job = {grad, start, order, out, room, (long)D, (long)V};
    ta_parallel(FN(embedding_part), &job, parts);
    ta_scratch_done(TA_SHARED);
    return 0;
}
