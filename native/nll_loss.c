/* Negative log-likelihood of log-probabilities x (N, V) with target classes t, and its gradient:
 *
 *   loss_n = -w_n x_nt;   w_n is the weight of the class t, 1 without weights
 *   loss = sum_n loss_n / total;   total = 1, or for a mean sum_n w_n
 *   dx_nt = -w_n dloss_n / total, 0 elsewhere
 *
 * Rows whose target is ignore_index give 0, and w_n is 0 there. A target that is no class is not followed;
 * the call then returns OUTSIDE (indexing.c). */

KERNEL(nll_loss)(const real *x, const int64_t *target, const real *weight, int64_t ignore_index, int mean,
                 real *losses, real *weights, real *loss, real *total, int64_t N, int64_t V)
{
    for (int64_t n = 0; n < N; n++) {
        const int64_t t = target[n];
        losses[n] = weights[n] = 0;
        if (t == ignore_index) continue;
        if (ta_is_outside(t, V)) return OUTSIDE;
        weights[n] = weight ? weight[t] : 1;
        losses[n] = -weights[n] * x[n * V + t];
    }
    *total = mean ? (real)FN(sum_of)(weights, (long)N) : 1;
    *loss = (real)FN(sum_of)(losses, (long)N) / *total;
    return 0;
}

struct FN(nll_loss_job) {
    const real *grad, *weights, *total;
    const int64_t *target;
    int64_t ignore_index, N, V;
    int one; /* grad is one number for all rows */
    real *dx;
    atomic_int status;
};

static void FN(nll_loss_part)(void *arg, long part, long parts)
{
    struct FN(nll_loss_job) *job = arg;
    const int64_t begin = job->N * part / parts, end = job->N * (part + 1) / parts;
    memset(job->dx + begin * job->V, 0, (size_t)((end - begin) * job->V) * sizeof(real));
    for (int64_t n = begin; n < end; n++) {
        const int64_t t = job->target[n];
        if (t == job->ignore_index) continue;
        if (ta_is_outside(t, job->V))
            job->status = OUTSIDE;
        else
            job->dx[n * job->V + t] = -job->weights[n] * (job->grad[job->one ? 0 : n] / *job->total);
    }
}

/* grad: one number, or one for each of the N rows; weights (N) and total are nll_loss's. dx (N, V). */
KERNEL(nll_loss_backward)(const real *grad, const int64_t *target, const real *weights, const real *total,
                          int64_t ignore_index, real *dx, int64_t grads, int64_t N, int64_t V)
{
    struct FN(nll_loss_job) job = {grad, weights, total, target, ignore_index, N, V, grads == 1, dx, 0};
    ta_parallel(FN(nll_loss_part), &job, ta_row_parts(N, V));
    return job.status;
}
