/* The steps of Adam and SGD, in place, over all parameters in one call and one pass.
 *
 *   m += (1 - b1) (g - m),  v = b2 v + (1 - b2) g^2
 *   p -= lr / (1 - b1^t) m / (sqrt v / sqrt(1 - b2^t) + eps)
 *   decay: g += decay p, or decoupled p *= 1 - lr decay;  maximize: g = -g
 *
 * Parameters are cut into parts as if they stood end to end: see parts.h. */

struct FN(adam_job) {
    real *const *params, *const *exp_avgs, *const *exp_avg_sqs;
    const real *const *grads;
    const int64_t *lengths, *steps;
    long count;
    double lr, beta1, beta2, eps, weight_decay;
    int decoupled, maximize;
};

/* The factors that are the same for all elements of a parameter. */
struct FN(adam_factors) {
    vec sign, keep, decay, one_minus_b1, b2, one_minus_b2, step, root, eps;
};

static struct FN(adam_factors) FN(adam_factors_of)(const struct FN(adam_job) *job, long array)
{
    double t = (double)job->steps[array];
    return (struct FN(adam_factors)){
        .sign = splat(job->maximize ? -1 : 1),
        .keep = splat((real)(job->decoupled ? 1 - job->lr * job->weight_decay : 1)),
        .decay = splat((real)(job->decoupled ? 0 : job->weight_decay)),
        .one_minus_b1 = splat((real)(1 - job->beta1)),
        .b2 = splat((real)job->beta2),
        .one_minus_b2 = splat((real)(1 - job->beta2)),
        .step = splat((real)(job->lr / (1 - pow(job->beta1, t)))),
        .root = splat((real)(1 / sqrt(1 - pow(job->beta2, t)))),
        .eps = splat((real)job->eps),
    };
}

TA_INLINE void FN(adam_vector)(const struct FN(adam_factors) *f, vec *p, vec g, vec *m, vec *v)
{
    g = g * f->sign + *p * f->decay;
    *m += f->one_minus_b1 * (g - *m);
    *v = f->b2 * *v + f->one_minus_b2 * g * g;
    *p = *p * f->keep - f->step * *m / (FN(square_root)(*v) * f->root + f->eps);
}

static void FN(adam_span)(const struct FN(adam_job) *job, struct ta_span span)
{
    struct FN(adam_factors) factors = FN(adam_factors_of)(job, span.array);
    real *p = job->params[span.array], *m = job->exp_avgs[span.array];
    real *v = job->exp_avg_sqs[span.array];
    const real *g = job->grads[span.array];
    long i = span.begin;
    for (; i + LANES <= span.end; i += LANES) {
        vec pi = load(p + i), mi = load(m + i), vi = load(v + i);
        FN(adam_vector)(&factors, &pi, load(g + i), &mi, &vi);
        store(p + i, pi);
        store(m + i, mi);
        store(v + i, vi);
    }
    long rest = span.end - i;
    if (rest) {
        vec pi = load_first(p + i, rest), mi = load_first(m + i, rest), vi = load_first(v + i, rest);
        FN(adam_vector)(&factors, &pi, load_first(g + i, rest), &mi, &vi);
        store_first(p + i, pi, rest);
        store_first(m + i, mi, rest);
        store_first(v + i, vi, rest);
    }
}

static void FN(adam_part)(void *arg, long part, long parts)
{
    const struct FN(adam_job) *job = arg;
    struct ta_span span = ta_before_spans(part);
    (void)parts;
    while (ta_next_span(&span, job->lengths, job->count)) FN(adam_span)(job, span);
}

/* `count` parameters of `lengths` elements each, with their gradients, states and numbers of steps. */
KERNEL(adam)(real *const *params, const real *const *grads, real *const *exp_avgs,
             real *const *exp_avg_sqs, const int64_t *lengths, const int64_t *steps, int64_t count,
             double lr, double beta1, double beta2, double eps, double weight_decay, int decoupled,
             int maximize)
{
    struct FN(adam_job) job = {params, exp_avgs, exp_avg_sqs, grads, lengths, steps, (long)count,
                               lr, beta1, beta2, eps, weight_decay, decoupled, maximize};
    ta_parallel(FN(adam_part), &job, ta_array_parts(lengths, job.count));
    return 0;
}

struct FN(sgd_job) {
    real *const *params, *const *buffers; /* buffers NULL: no momentum */
    const real *const *grads;
    const int64_t *lengths;
    const uint8_t *first;
    long count;
    double lr, momentum, dampening, weight_decay;
    int nesterov, maximize;
};

/* buf = momentum buf + (1 - dampening) g; in the first step buf = g
 * p -= lr buf; with Nesterov p -= lr (g + momentum buf); without momentum p -= lr g */
static void FN(sgd_span)(const struct FN(sgd_job) *job, struct ta_span span)
{
    real *p = job->params[span.array];
    real *buffer = job->buffers ? job->buffers[span.array] : NULL;
    const real *g = job->grads[span.array];
    int first = buffer && job->first[span.array];
    vec sign = splat(job->maximize ? -1 : 1), decay = splat((real)job->weight_decay);
    vec momentum = splat((real)job->momentum), fresh = splat((real)(1 - job->dampening));
    vec lr = splat((real)job->lr);
    for (long i = span.begin; i < span.end; i += LANES) {
        long rest = span.end - i;
        int whole = rest >= LANES;
        vec pi = whole ? load(p + i) : load_first(p + i, rest);
        vec step = (whole ? load(g + i) : load_first(g + i, rest)) * sign + pi * decay;
        if (buffer) {
            vec b = whole ? load(buffer + i) : load_first(buffer + i, rest);
            b = first ? step : b * momentum + step * fresh;
            whole ? store(buffer + i, b) : store_first(buffer + i, b, rest);
            step = job->nesterov ? step + momentum * b : b;
        }
        pi -= lr * step;
        whole ? store(p + i, pi) : store_first(p + i, pi, rest);
    }
}

static void FN(sgd_part)(void *arg, long part, long parts)
{
    const struct FN(sgd_job) *job = arg;
    struct ta_span span = ta_before_spans(part);
    (void)parts;
    while (ta_next_span(&span, job->lengths, job->count)) FN(sgd_span)(job, span);
}

/* The same with one buffer each; buffers NULL: no momentum. first[i]: the buffer has no value yet. */
KERNEL(sgd)(real *const *params, const real *const *grads, real *const *buffers, const int64_t *lengths,
            const uint8_t *first, int64_t count, double lr, double momentum, double dampening,
            double weight_decay, int nesterov, int maximize)
{
    struct FN(sgd_job) job = {params, buffers, grads, lengths, first, (long)count,
                              lr, momentum, dampening, weight_decay, nesterov, maximize};
    ta_parallel(FN(sgd_part), &job, ta_array_parts(lengths, job.count));
    return 0;
}
