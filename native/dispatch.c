/* From the exported names to the versions of a level. To add a kernel, add a line to KERNELS (name,
 * parameters, the same as arguments) and its declarations to tinyattn.h. */

#define KERNELS(X) \
    X(matmul, \
      (int64_t batch, int64_t M, int64_t K, int64_t P, const real *a, int64_t a_batch, int64_t a_row, \
       int64_t a_col, const real *b, int64_t b_batch, int64_t b_row, int64_t b_col, const real *packed, \
       const real *bias, real *c), \
      (batch, M, K, P, a, a_batch, a_row, a_col, b, b_batch, b_row, b_col, packed, bias, c)) \
    X(pack_weights, (int64_t K, int64_t P, const real *b, int64_t b_row, int64_t b_col, real *out), \
      (K, P, b, b_row, b_col, out)) \
    X(pack_gates, (int64_t gates, int64_t H, const real *w_hh, real *out), (gates, H, w_hh, out)) \
    X(gru, \
      (const real *gx, const real *h0, const real *w_hh, const real *packed, const real *b_hh, \
       const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N, int reverse, real *y, \
       real *h_n, real *saved), \
      (gx, h0, w_hh, packed, b_hh, batch_sizes, T, B, H, N, reverse, y, h_n, saved)) \
    X(gru_backward, \
      (const real *dy, const real *dh_n, const real *saved, const real *y, const real *h0, \
       const real *w_hh, const real *packed, const int64_t *batch_sizes, int64_t T, int64_t B, \
       int64_t H, int64_t N, int reverse, real *dgx, real *dgh, real *dh0), \
      (dy, dh_n, saved, y, h0, w_hh, packed, batch_sizes, T, B, H, N, reverse, dgx, dgh, dh0)) \
    X(lstm, \
      (const real *gx, const real *h0, const real *c0, const real *w_hh, const real *packed, \
       const real *b_hh, const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N, \
       int reverse, real *y, real *h_n, real *c_n, real *saved), \
      (gx, h0, c0, w_hh, packed, b_hh, batch_sizes, T, B, H, N, reverse, y, h_n, c_n, saved)) \
    X(lstm_backward, \
      (const real *dy, const real *dh_n, const real *dc_n, const real *saved, const real *c0, \
       const real *w_hh, const real *packed, const int64_t *batch_sizes, int64_t T, int64_t B, \
       int64_t H, int64_t N, int reverse, real *dgates, real *dh0, real *dc0), \
      (dy, dh_n, dc_n, saved, c0, w_hh, packed, batch_sizes, T, B, H, N, reverse, dgates, dh0, dc0)) \
    X(attention, (const struct ta_attention *all), (all)) \
    X(attention_backward, (const struct ta_attention *all), (all)) \
    X(array_exp, (const real *x, real *out, int64_t count), (x, out, count)) \
    X(array_tanh, (const real *x, real *out, int64_t count), (x, out, count)) \
    X(array_sigmoid, (const real *x, real *out, int64_t count), (x, out, count)) \
    X(softmax, (const real *x, const uint8_t *mask, real *y, int64_t N, int64_t n), \
      (x, mask, y, N, n)) \
    X(softmax_backward, (const real *y, const real *grad, real *dx, int64_t N, int64_t n), \
      (y, grad, dx, N, n)) \
    X(log_softmax, (const real *x, real *y, int64_t N, int64_t n), (x, y, N, n)) \
    X(log_softmax_backward, (const real *y, const real *grad, real *dx, int64_t N, int64_t n), \
      (y, grad, dx, N, n)) \
    X(cross_entropy, \
      (const real *x, const int64_t *target, const real *weight, int64_t ignore_index, \
       double label_smoothing, double scale, real *losses, real *grad, int64_t N, int64_t V), \
      (x, target, weight, ignore_index, label_smoothing, scale, losses, grad, N, V)) \
    X(embedding_backward, \
      (const real *grad, const int64_t *index, int64_t padding_idx, real *out, int64_t N, \
       int64_t D, int64_t V), \
      (grad, index, padding_idx, out, N, D, V)) \
    X(layer_norm, \
      (const real *x, const real *weight, const real *bias, double eps, real *y, real *mean, \
       real *rstd, int64_t N, int64_t D), \
      (x, weight, bias, eps, y, mean, rstd, N, D)) \
    X(layer_norm_backward, \
      (const real *grad, const real *x, const real *mean, const real *rstd, const real *weight, \
       real *dx, real *dweight, real *dbias, int64_t N, int64_t D), \
      (grad, x, mean, rstd, weight, dx, dweight, dbias, N, D)) \
    X(additive, \
      (const real *q, const real *k, const real *v, real *s, int64_t B, int64_t Tq, int64_t Tk, \
       int64_t H), \
      (q, k, v, s, B, Tq, Tk, H)) \
    X(additive_backward, \
      (const real *grad, const real *q, const real *k, const real *v, real *dq, real *dk, real *dv, \
       int64_t B, int64_t Tq, int64_t Tk, int64_t H), \
      (grad, q, k, v, dq, dk, dv, B, Tq, Tk, H)) \
    X(global_norm, \
      (const real *const *arrays, const int64_t *lengths, int64_t count, double *norm), \
      (arrays, lengths, count, norm)) \
    X(scale, (real *const *arrays, const int64_t *lengths, int64_t count, double factor), \
      (arrays, lengths, count, factor)) \
    X(adam, \
      (real *const *params, const real *const *grads, real *const *exp_avgs, \
       real *const *exp_avg_sqs, const int64_t *lengths, const int64_t *steps, int64_t count, \
       double lr, double beta1, double beta2, double eps, double weight_decay, int decoupled, \
       int maximize), \
      (params, grads, exp_avgs, exp_avg_sqs, lengths, steps, count, lr, beta1, beta2, eps, \
       weight_decay, decoupled, maximize)) \
    X(sgd, \
      (real *const *params, const real *const *grads, real *const *buffers, \
       const int64_t *lengths, const uint8_t *first, int64_t count, double lr, double momentum, \
       double dampening, double weight_decay, int nesterov, int maximize), \
      (params, grads, buffers, lengths, first, count, lr, momentum, dampening, weight_decay, \
       nesterov, maximize))

struct ta_level {
    const char *name;
    int number; /* its place in the tables below */
};

/* Best first; filled once by the first caller (all callers would write the same). */
static struct ta_level ta_levels[4];
static _Atomic(const struct ta_level *) ta_current_level;

static const struct ta_level *ta_level(void)
{
    const struct ta_level *level = atomic_load_explicit(&ta_current_level, memory_order_acquire);
    if (level) return level;
    int count = 0;
#if TA_X86
    __builtin_cpu_init();
    int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        ta_levels[count++] = (struct ta_level){"avx512", 2};
    if (fma) ta_levels[count++] = (struct ta_level){"avx2", 1};
#endif
    ta_levels[count] = (struct ta_level){"baseline", 0};
    atomic_store_explicit(&ta_current_level, &ta_levels[0], memory_order_release);
    return &ta_levels[0];
}

const char *ta_isa(void) { return ta_level()->name; }

const char *ta_isa_supported(int index)
{
    ta_level();
    return index >= 0 && index < 3 ? ta_levels[index].name : NULL;
}

int ta_set_isa(const char *name)
{
    ta_level();
    for (int i = 0; i < 3 && ta_levels[i].name; i++)
        if (!strcmp(ta_levels[i].name, name)) {
            atomic_store(&ta_current_level, &ta_levels[i]);
            return 0;
        }
    return 1;
}

#if TA_X86
#define VERSIONS(name, type) {name##_##type##_baseline, name##_##type##_avx2, name##_##type##_avx512}
#else
#define VERSIONS(name, type) {name##_##type##_baseline}
#endif
#define EXPORT(name, type, parameters, arguments)                      \
    int ta_##name##_##type parameters                                  \
    {                                                                  \
        static int (*const versions[]) parameters = VERSIONS(name, type); \
        return versions[ta_level()->number] arguments;                 \
    }
#define EXPORT_F32(name, parameters, arguments) EXPORT(name, f32, parameters, arguments)
#define EXPORT_F64(name, parameters, arguments) EXPORT(name, f64, parameters, arguments)

#undef real
#define real float
KERNELS(EXPORT_F32)
#undef real
#define real double
KERNELS(EXPORT_F64)
#undef real
