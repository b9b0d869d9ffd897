/* The gradient of an embedding: out[v] = sum of grad[i] over all i with index[i] = v, in their order.
 *
 * A stable counting sort gathers the positions of every row of `out`. A part then owns a range of rows,
 * so that no two parts add to the same row and the order of additions is fixed. Rows that are not in
 * index are not changed. */

struct FN(embedding_job) {
    const real *grad;
    const long *start, *order; /* the positions of row v are order[start[v]] to order[start[v + 1] - 1] */
    real *out;
    long D, V;
};

static void FN(embedding_part)(void *arg, long part, long parts)
{
    const struct FN(embedding_job) *job = arg;
    long D = job->D, end = job->V * (part + 1) / parts;
    for (long v = job->V * part / parts; v < end; v++) {
        real *out = job->out + v * D;
        for (long k = job->start[v]; k < job->start[v + 1]; k++) {
            const real *grad = job->grad + job->order[k] * D;
            FN(row_add)(out, grad, D);
        }
    }
}

/* grad (N, D), index (N), out (V, D), which comes zeroed. */
KERNEL(embedding_backward)(const real *grad, const int64_t *index, int64_t padding_idx, real *out,
                           int64_t N, int64_t D, int64_t V)
{
    long *start = ta_scratch(TA_SHARED, (size_t)(V + 2 + N) * sizeof *start), *order = start + V + 2;
    if (!start) return 1;
    /* Counts are kept two places to the right and summed up. Filling moves each one place to the right,
     * so in the end row v begins at start[v]. */
    memset(start, 0, (size_t)(V + 2) * sizeof *start);
    for (long i = 0; i < N; i++)
        if (index[i] != padding_idx) start[index[i] + 2]++;
    for (long v = 2; v < V + 2; v++) start[v] += start[v - 1];
    for (long i = 0; i < N; i++)
        if (index[i] != padding_idx) order[start[index[i] + 1]++] = i;
    struct FN(embedding_job) job = {grad, start, order, out, (long)D, (long)V};
    long parts = 1 + N * D / 16384;
    ta_parallel(FN(embedding_part), &job, parts < V ? parts : V);
    ta_scratch_done(TA_SHARED);
    return 0;
}
