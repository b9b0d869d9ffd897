/* The steps of Adam and SGD, in place, over all parameters in one call and one pass.
 *
 *   m += (1 - b1) (g - m),  v = b2 v + (1 - b2) g^2
 *   p -= lr / (1 - b1^t) m / (sqrt v / sqrt(1 - b2^t) + eps)
 *   decay: g += decay p, or decoupled p *= 1 - lr decay;  maximize: g = -g
 *
 * Parameters are cut into parts as if they stood end to end: see parts.h. */

TA_INLINE vec FN(square_root)(vec v)
{
#if TA_X86 && LEVEL_NUMBER == 2 && REAL_BITS == 64
    return (vec)_mm512_sqrt_pd((__m512d)v);
#elif TA_X86 && LEVEL_NUMBER == 2
    return (vec)_mm512_sqrt_ps((__m512)v);
#elif TA_X86 && LEVEL_NUMBER == 1 && REAL_BITS == 64
    return (vec)_mm256_sqrt_pd((__m256d)v);
#elif TA_X86 && LEVEL_NUMBER == 1
    return (vec)_mm256_sqrt_ps((__m256)v);
#elif REAL_BITS == 64
    for (int i = 0; i < LANES; i++) v[i] = sqrt(v[i]);
    return v;
#else
    for (int i = 0; i < LANES; i++) v[i] = sqrtf(v[i]);
    return v;
#endif
}

struct FN(adam_job) {
    real *const *params, *const *exp_avgs, *const *exp_avg_sqs;
    const real *const *grads;
    const int64_t *lengths, *steps;
    long count;
    double lr, beta1, beta2, eps, weight_decay;
    int decoupled, maximize;
};

/* What is the same for all elements of a parameter. */
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

static void FN(adam_piece)(const struct FN(adam_job) *job, struct ta_piece piece)
{
    struct FN(adam_factors) factors = FN(adam_factors_of)(job, piece.array);
    real *p = job->params[piece.array], *m = job->exp_avgs[piece.array];
    real *v = job->exp_avg_sqs[piece.array];
    const real *g = job->grads[piece.array];
    long i = piece.begin;
    for (; i + LANES <= piece.end; i += LANES) {
        vec pi = load(p + i), mi = load(m + i), vi = load(v + i);
        FN(adam_vector)(&factors, &pi, load(g + i), &mi, &vi);
        store(p + i, pi);
        store(m + i, mi);
        store(v + i, vi);
    }
    long rest = piece.end - i;
    if (rest) {
        vec pi = load_part(p + i, rest), mi = load_part(m + i, rest), vi = load_part(v + i, rest);
        FN(adam_vector)(&factors, &pi, load_part(g + i, rest), &mi, &vi);
        store_part(p + i, pi, rest);
        store_part(m + i, mi, rest);
        store_part(v + i, vi, rest);
    }
}

static void FN(adam_part)(void *arg, long part, long parts)
{
    const struct FN(adam_job) *job = arg;
    struct ta_piece piece = ta_before_pieces(part);
    (void)parts;
    while (ta_next_piece(&piece, job->lengths, job->count)) FN(adam_piece)(job, piece);
}

static int FN(adam)(real *const *params, const real *const *grads, real *const *exp_avgs,
                    real *const *exp_avg_sqs, const int64_t *lengths, const int64_t *steps,
                    int64_t count, double lr, double beta1, double beta2, double eps,
                    double weight_decay, int decoupled, int maximize)
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

/* buf = momentum buf + (1 - dampening) g, at first buf = g
 * p -= lr buf, with Nesterov p -= lr (g + momentum buf), without momentum p -= lr g */
static void FN(sgd_piece)(const struct FN(sgd_job) *job, struct ta_piece piece)
{
    real *p = job->params[piece.array];
    real *buffer = job->buffers ? job->buffers[piece.array] : NULL;
    const real *g = job->grads[piece.array];
    int first = buffer && job->first[piece.array];
    vec sign = splat(job->maximize ? -1 : 1), decay = splat((real)job->weight_decay);
    vec momentum = splat((real)job->momentum), fresh = splat((real)(1 - job->dampening));
    vec lr = splat((real)job->lr);
    for (long i = piece.begin; i < piece.end; i += LANES) {
        long rest = piece.end - i;
        int whole = rest >= LANES;
        vec pi = whole ? load(p + i) : load_part(p + i, rest);
        vec step = (whole ? load(g + i) : load_part(g + i, rest)) * sign + pi * decay;
        if (buffer) {
            vec b = whole ? load(buffer + i) : load_part(buffer + i, rest);
            b = first ? step : b * momentum + step * fresh;
            whole ? store(buffer + i, b) : store_part(buffer + i, b, rest);
            step = job->nesterov ? step + momentum * b : b;
        }
        pi -= lr * step;
        whole ? store(p + i, pi) : store_part(p + i, pi, rest);
    }
}

static void FN(sgd_part)(void *arg, long part, long parts)
{
    const struct FN(sgd_job) *job = arg;
    struct ta_piece piece = ta_before_pieces(part);
    (void)parts;
    while (ta_next_piece(&piece, job->lengths, job->count)) FN(sgd_piece)(job, piece);
}

static int FN(sgd)(real *const *params, const real *const *grads, real *const *buffers,
                   const int64_t *lengths, const uint8_t *first, int64_t count, double lr,
                   double momentum, double dampening, double weight_decay, int nesterov,
                   int maximize)
{
    struct FN(sgd_job) job = {params, buffers, grads, lengths, first, (long)count,
                              lr, momentum, dampening, weight_decay, nesterov, maximize};
    ta_parallel(FN(sgd_part), &job, ta_array_parts(lengths, job.count));
    return 0;
}
