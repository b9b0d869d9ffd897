/* The C interface of the core: plain declarations, read by the C compiler (once, from core.c) and by
 * CFFI's cdef. One section a kernel file, float and double side by side. Every kernel returns a
 * status: 0 done, 1 out of memory. Arrays are C-contiguous unless strides are given. */

/* dispatch.c: the instruction set in use ("avx512", "avx2", "baseline"); setting an unknown or an
 * unsupported one changes nothing and returns 1. ta_isa_supported(i) walks the names, NULL at the end. */
const char *ta_isa(void);
int ta_set_isa(const char *name);
const char *ta_isa_supported(int index);

/* pool.c */
void ta_set_num_threads(int threads);
int ta_get_num_threads(void);
int ta_num_cpus(void);

/* matmul.c, blocking.h: c[n] = a[n] b[n] + bias for n < batch; a (batch, M, K) and b (batch, K, P) by
 * strides in bytes, one of row and column stride a number's size; bias (P) or NULL; c (batch, M, P). packed is b
 * as pack_weights left it (at the same instruction set), or NULL; it takes K * P elements, P rounded up
 * to a multiple of 16. */
int ta_matmul_f32(int64_t batch, int64_t M, int64_t K, int64_t P, const float *a, int64_t a_batch,
                  int64_t a_row, int64_t a_col, const float *b, int64_t b_batch, int64_t b_row,
                  int64_t b_col, const float *packed, const float *bias, float *c);
int ta_pack_weights_f32(int64_t K, int64_t P, const float *b, int64_t b_row, int64_t b_col, float *out);
int ta_matmul_f64(int64_t batch, int64_t M, int64_t K, int64_t P, const double *a, int64_t a_batch,
                  int64_t a_row, int64_t a_col, const double *b, int64_t b_batch, int64_t b_row,
                  int64_t b_col, const double *packed, const double *bias, double *c);
int ta_pack_weights_f64(int64_t K, int64_t P, const double *b, int64_t b_row, int64_t b_col, double *out);

/* recurrent.h: w_hh (gates H, H), which takes gates H times H rounded up to a multiple of 16 */
int ta_pack_gates_f32(int64_t gates, int64_t H, const float *w_hh, float *out);
int ta_pack_gates_f64(int64_t gates, int64_t H, const double *w_hh, double *out);

/* gru.c: packed layout; gx (N, 3H), h0, h_n (B, H), w_hh (3H, H), b_hh (3H) or NULL, batch_sizes (T),
 * y (N, H), saved (N, 4H), dgx, dgh (N, 3H), dh0 (B, H); dy, dh_n may be NULL. packed may be NULL;
 * forwards it is w_hh as pack_gates left it, backwards as pack_weights did (K = 3H, P = H). */
int ta_gru_f32(const float *gx, const float *h0, const float *w_hh, const float *packed, const float *b_hh,
               const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N, int reverse,
               float *y, float *h_n, float *saved);
int ta_gru_backward_f32(const float *dy, const float *dh_n, const float *saved, const float *y,
                        const float *h0, const float *w_hh, const float *packed,
                        const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
                        int reverse, float *dgx, float *dgh, float *dh0);
int ta_gru_f64(const double *gx, const double *h0, const double *w_hh, const double *packed, const double *b_hh,
               const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N, int reverse,
               double *y, double *h_n, double *saved);
int ta_gru_backward_f64(const double *dy, const double *dh_n, const double *saved, const double *y,
                        const double *h0, const double *w_hh, const double *packed,
                        const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
                        int reverse, double *dgx, double *dgh, double *dh0);

/* lstm.c: the same with gx, dgates (N, 4H), c0, c_n, dc0 (B, H), saved (N, 5H); dc_n may be NULL */
int ta_lstm_f32(const float *gx, const float *h0, const float *c0, const float *w_hh, const float *packed,
                const float *b_hh, const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H,
                int64_t N, int reverse, float *y, float *h_n, float *c_n, float *saved);
int ta_lstm_backward_f32(const float *dy, const float *dh_n, const float *dc_n, const float *saved,
                         const float *c0, const float *w_hh, const float *packed,
                         const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
                         int reverse, float *dgates, float *dh0, float *dc0);
int ta_lstm_f64(const double *gx, const double *h0, const double *c0, const double *w_hh, const double *packed,
                const double *b_hh, const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H,
                int64_t N, int reverse, double *y, double *h_n, double *c_n, double *saved);
int ta_lstm_backward_f64(const double *dy, const double *dh_n, const double *dc_n, const double *saved,
                         const double *c0, const double *w_hh, const double *packed,
                         const int64_t *batch_sizes, int64_t T, int64_t B, int64_t H, int64_t N,
                         int reverse, double *dgates, double *dh0, double *dc0);

/* elementwise.c */
int ta_array_exp_f32(const float *x, float *out, int64_t count);
int ta_array_exp_f64(const double *x, double *out, int64_t count);
int ta_array_tanh_f32(const float *x, float *out, int64_t count);
int ta_array_tanh_f64(const double *x, double *out, int64_t count);
int ta_array_sigmoid_f32(const float *x, float *out, int64_t count);
int ta_array_sigmoid_f64(const double *x, double *out, int64_t count);

/* softmax.c: x, y (N, n); mask (N, n), 1 = attend, or NULL */
int ta_softmax_f32(const float *x, const uint8_t *mask, float *y, int64_t N, int64_t n);
int ta_softmax_f64(const double *x, const uint8_t *mask, double *y, int64_t N, int64_t n);
int ta_softmax_backward_f32(const float *y, const float *grad, float *dx, int64_t N, int64_t n);
int ta_softmax_backward_f64(const double *y, const double *grad, double *dx, int64_t N, int64_t n);
int ta_log_softmax_f32(const float *x, float *y, int64_t N, int64_t n);
int ta_log_softmax_f64(const double *x, double *y, int64_t N, int64_t n);
int ta_log_softmax_backward_f32(const float *y, const float *grad, float *dx, int64_t N, int64_t n);
int ta_log_softmax_backward_f64(const double *y, const double *grad, double *dx, int64_t N,
                                int64_t n);

/* attention.c: q, out, grad, dq (B, h, Tq, .), k, v, dk, dv (B, h_kv, Tk, .) with steps in bytes and
 * unit steps along the last axis, which is Dv for v, out, grad and dv, and D for the others; lse
 * (B, h, Tq) contiguous; mask (B, h, Tq, Tk) by steps in bytes, the last a number's size or 0, or NULL.
 * grad, dq, dk and dv are the backward's. */
struct ta_heads {
    void *at;
    int64_t batch, head, row;
};
struct ta_attention {
    int64_t B, h, h_kv, Tq, Tk, D, Dv;
    double scale, dropout_p;
    uint64_t key; /* dropout's */
    int causal, mask_is_bool;
    const void *mask;
    int64_t mask_steps[4];
    void *lse;
    struct ta_heads q, k, v, out, grad, dq, dk, dv;
};
int ta_attention_f32(const struct ta_attention *all);
int ta_attention_backward_f32(const struct ta_attention *all);
int ta_attention_f64(const struct ta_attention *all);
int ta_attention_backward_f64(const struct ta_attention *all);

/* cross_entropy.c: x, grad (N, V), target, losses (N,), weight (V,); weight, grad may be NULL */
int ta_cross_entropy_f32(const float *x, const int64_t *target, const float *weight,
                         int64_t ignore_index, double label_smoothing, double scale, float *losses,
                         float *grad, int64_t N, int64_t V);
int ta_cross_entropy_f64(const double *x, const int64_t *target, const double *weight,
                         int64_t ignore_index, double label_smoothing, double scale, double *losses,
                         double *grad, int64_t N, int64_t V);

/* embedding.c: grad (N, D), index (N,), out (V, D) zeroed */
int ta_embedding_backward_f32(const float *grad, const int64_t *index, int64_t padding_idx,
                              float *out, int64_t N, int64_t D, int64_t V);
int ta_embedding_backward_f64(const double *grad, const int64_t *index, int64_t padding_idx,
                              double *out, int64_t N, int64_t D, int64_t V);

/* layer_norm.c: x (N, D), weight, bias (D,) or NULL, mean, rstd (N,); mean NULL: rms_norm, no bias */
int ta_layer_norm_f32(const float *x, const float *weight, const float *bias, double eps, float *y,
                      float *mean, float *rstd, int64_t N, int64_t D);
int ta_layer_norm_f64(const double *x, const double *weight, const double *bias, double eps,
                      double *y, double *mean, double *rstd, int64_t N, int64_t D);
int ta_layer_norm_backward_f32(const float *grad, const float *x, const float *mean,
                               const float *rstd, const float *weight, float *dx, float *dweight,
                               float *dbias, int64_t N, int64_t D);
int ta_layer_norm_backward_f64(const double *grad, const double *x, const double *mean,
                               const double *rstd, const double *weight, double *dx,
                               double *dweight, double *dbias, int64_t N, int64_t D);

/* additive.c: q (B, Tq, H), k (B, Tk, H), v (H), s, grad (B, Tq, Tk) */
int ta_additive_f32(const float *q, const float *k, const float *v, float *s, int64_t B, int64_t Tq,
                    int64_t Tk, int64_t H);
int ta_additive_backward_f32(const float *grad, const float *q, const float *k, const float *v,
                             float *dq, float *dk, float *dv, int64_t B, int64_t Tq, int64_t Tk, int64_t H);
int ta_additive_f64(const double *q, const double *k, const double *v, double *s, int64_t B, int64_t Tq,
                    int64_t Tk, int64_t H);
int ta_additive_backward_f64(const double *grad, const double *q, const double *k, const double *v,
                             double *dq, double *dk, double *dv, int64_t B, int64_t Tq, int64_t Tk, int64_t H);

/* norm.c: `count` arrays of `lengths` elements each */
int ta_global_norm_f32(const float *const *arrays, const int64_t *lengths, int64_t count,
                       double *norm);
int ta_global_norm_f64(const double *const *arrays, const int64_t *lengths, int64_t count,
                       double *norm);
int ta_scale_f32(float *const *arrays, const int64_t *lengths, int64_t count, double factor);
int ta_scale_f64(double *const *arrays, const int64_t *lengths, int64_t count, double factor);

/* optim.c: the same for parameters, their gradients and states; buffers NULL: no momentum */
int ta_adam_f32(float *const *params, const float *const *grads, float *const *exp_avgs,
                float *const *exp_avg_sqs, const int64_t *lengths, const int64_t *steps,
                int64_t count, double lr, double beta1, double beta2, double eps,
                double weight_decay, int decoupled, int maximize);
int ta_adam_f64(double *const *params, const double *const *grads, double *const *exp_avgs,
                double *const *exp_avg_sqs, const int64_t *lengths, const int64_t *steps,
                int64_t count, double lr, double beta1, double beta2, double eps,
                double weight_decay, int decoupled, int maximize);
int ta_sgd_f32(float *const *params, const float *const *grads, float *const *buffers,
               const int64_t *lengths, const uint8_t *first, int64_t count, double lr,
               double momentum, double dampening, double weight_decay, int nesterov, int maximize);
int ta_sgd_f64(double *const *params, const double *const *grads, double *const *buffers,
               const int64_t *lengths, const uint8_t *first, int64_t count, double lr,
               double momentum, double dampening, double weight_decay, int nesterov, int maximize);
