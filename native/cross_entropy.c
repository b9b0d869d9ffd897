/* Cross-entropy of logits x (N, V) with target classes t, and its gradient, one row at a time while it is
 * in the cache. With m = max(x), S = sum e^(x - m), weights w (1 by default), W = sum w, smoothing e:
 *
 *   loss = (1 - e) w_t (log S - (x_t - m)) + e/V (W log S - sum_c w_c (x_c - m))
 *   dx_j = ((1 - e) w_t + e/V W) e^(x_j - m) / S - e/V w_j - [j = t] (1 - e) w_t
 *
 * Rows whose target is ignore_index give 0. A mean divides by the sum of the w_t. A target that is no class
 * is not followed; the call then returns OUTSIDE (indexing.c). */

struct FN(cross_entropy_job) {
    const real *x;
    const int64_t *target;
    const real *weight;
    int64_t ignore_index;
    double hard, smooth, weight_sum, scale; /* 1 - e, e/V, W */
    real *losses, *grad;
    long N, V;
};

/* sum_c w_c (x_c - m) */
static double FN(row_weighted_sum)(const real *x, const real *weight, long V, real m)
{
    vec a = splat(0), b = a, top = splat(m);
    long j = 0;
    if (!weight) {
        for (; j + LANES <= V; j += LANES) a += load(x + j) - top;
        if (j < V) b = vselect(FN(lanes_below)(V - j), load_first(x + j, V - j) - top, b);
    } else {
        for (; j + LANES <= V; j += LANES) a += load(weight + j) * (load(x + j) - top);
        if (j < V) b = load_first(weight + j, V - j) * (load_first(x + j, V - j) - top);
    }
    return (double)hsum(a + b);
}

/* grad = grad * factor - w * smooth */
static void FN(row_scale_smooth)(real *grad, const real *weight, long V, real factor, real smooth)
{
    vec f = splat(factor), s = splat(smooth), w = splat(1);
    long j = 0;
    for (; j + LANES <= V; j += LANES) {
        if (weight) w = load(weight + j);
        store(grad + j, load(grad + j) * f - w * s);
    }
    if (j < V) {
        if (weight) w = load_first(weight + j, V - j);
        store_first(grad + j, load_first(grad + j, V - j) * f - w * s, V - j);
    }
}

static void FN(cross_entropy_row)(const struct FN(cross_entropy_job) *job, long row)
{
    long V = job->V, t = job->target[row];
    const real *x = job->x + row * V;
    real *grad = job->grad ? job->grad + row * V : NULL;
    double hard = job->hard * (job->weight ? (double)job->weight[t] : 1);
    real m, sum;
    if (V <= ROW_IN_CACHE) {
        m = FN(row_max)(x, V);
        sum = grad ? FN(row_exp)(x, grad, V, m) : FN(row_sum_exp)(x, V, m);
    } else {
        sum = FN(long_row_sum_exp)(x, V, &m);
        if (grad) FN(row_exp)(x, grad, V, m);
    }
    double log_sum = log((double)sum), loss = hard * (log_sum - ((double)x[t] - (double)m));
    if (job->smooth)
        loss += job->smooth * (job->weight_sum * log_sum - FN(row_weighted_sum)(x, job->weight, V, m));
    job->losses[row] = (real)loss;
    if (!grad) return;
    real factor = (real)((hard + job->smooth * job->weight_sum) * job->scale / (double)sum);
    if (job->smooth)
        FN(row_scale_smooth)(grad, job->weight, V, factor, (real)(job->smooth * job->scale));
    else
        FN(row_scale)(grad, grad, V, factor);
    grad[t] -= (real)(hard * job->scale);
}

static void FN(cross_entropy_part)(void *arg, long part, long parts)
{
    const struct FN(cross_entropy_job) *job = arg;
    long end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        if (job->target[row] != job->ignore_index) {
            FN(cross_entropy_row)(job, row);
            continue;
        }
        job->losses[row] = 0;
        if (job->grad) memset(job->grad + row * job->V, 0, job->V * sizeof(real));
    }
}

/* x, grad (N, V), target, losses (N), weight (V), loss, one number: the sum of the losses, or their mean.
 * weight and grad may be NULL. */
KERNEL(cross_entropy)(const real *x, const int64_t *target, const real *weight, int64_t ignore_index,
                      double label_smoothing, int mean, real *losses, real *loss, real *grad, int64_t N,
                      int64_t V)
{
    struct FN(cross_entropy_job) job = {
        x, target, weight, ignore_index, 1 - label_smoothing, V ? label_smoothing / (double)V : 0,
        (double)V, 1, losses, grad, (long)N, (long)V};
    double total = 0, lost = 0;
    for (int64_t n = 0; n < N; n++) {
        if (target[n] == ignore_index) continue;
        if (ta_is_outside(target[n], V)) return OUTSIDE;
        FN(add_one)(&total, &lost, weight ? (double)weight[target[n]] : 1);
    }
    total = total_of(total, lost);
    if (mean) job.scale = total ? 1 / total : (double)NAN;
    if (weight && label_smoothing) {
        job.weight_sum = 0;
        for (long j = 0; j < job.V; j++) job.weight_sum += (double)weight[j];
    }
    ta_parallel(FN(cross_entropy_part), &job, ta_row_parts(job.N, job.V));
    *loss = (real)(FN(sum_of)(losses, job.N) * job.scale);
    return 0;
}
