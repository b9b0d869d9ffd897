/* What Python can call or must lay out, besides the kernels; read by the C compiler (from core.c) and by
 * CFFI. The kernels' own declarations follow from their definitions (build.py): KERNEL(softmax)(...) in
 * softmax.c becomes ta_softmax_f32 and ta_softmax_f64. Every kernel returns a status: 0 is success, 1 is
 * "out of memory". Arrays are C-contiguous unless a kernel takes strides. */

/* dispatch.c: the instruction set in use ("avx512", "avx2" or "baseline"). ta_set_isa returns 1 and
 * changes nothing where the name is unknown or the processor lacks the set. ta_isa_supported(i) is the
 * i-th name, the best first, or NULL after the last. */
const char *ta_isa(void);
int ta_set_isa(const char *name);
const char *ta_isa_supported(int index);

/* pool.c */
void ta_set_num_threads(int threads);
int ta_get_num_threads(void);
int ta_num_cpus(void);

/* elementwise.h: the name of the operation with this code, or NULL after the last. */
const char *ta_operation(int code);

/* random.c: where in the sequence of a Philox generator a call begins. `counter` is that of the block of
 * four 64-bit words that was made last, `used` is how many halves of them are used up. If has_first, the
 * number `first` comes before all others. */
struct ta_stream {
    uint64_t key[2], counter[4];
    int64_t used;
    int has_first;
    uint32_t first;
};

/* attention.c: an array of heads, by steps in bytes; along the last axis the numbers are contiguous. */
struct ta_heads {
    void *at;
    int64_t batch, head, row;
};

/* What attention and its backward take. q, out, grad, dq are (B, h, Tq, .) and k, v, dk, dv are
 * (B, h_kv, Tk, .). The last axis is Dv for v, out, grad and dv, and D for the others. lse (B, h, Tq) is
 * contiguous. mask (B, h, Tq, Tk) has steps in bytes, the last of them a number's size or 0; or it is
 * NULL. grad, dq, dk and dv are for the backward only. */
struct ta_attention {
    int64_t B, h, h_kv, Tq, Tk, D, Dv;
    double scale, dropout_p;
    uint64_t key;           /* dropout's */
    const int64_t *numbers; /* of the B h heads in dropout; NULL: 0, 1, 2, ... */
    int causal, mask_is_bool;
    const void *mask;
    int64_t mask_steps[4];
    void *lse;
    struct ta_heads q, k, v, out, grad, dq, dk, dv;
};

/* replay.c. An argument of a kernel as a word, and a call of a kernel whose arguments are words. */
union ta_word {
    int64_t i;
    double d;
    void *p;
};
struct ta_call {
    int (*kernel)(const union ta_word *words);
    const union ta_word *words;
};

/* A kernel that takes words. `kinds` has a letter for each argument: i an integer, d a double, r an array
 * that is read, w an array that is written, s a structure, l a list of arrays. */
struct ta_entry {
    const char *name, *kinds;
    int (*kernel)(const union ta_word *words);
};
const struct ta_entry *ta_entry(int64_t index); /* NULL after the last */
int64_t ta_replay(const struct ta_call *calls, int64_t count, int *status);
