/* The C interface of the core: plain declarations, read by the C compiler (once, from core.c) and by
 * CFFI's cdef. One section a kernel file, float and double side by side. Every kernel returns a
 * status: 0 done, 1 out of memory. Arrays are C-contiguous unless strides (in elements) are given. */

/* dispatch.c: the instruction set in use ("avx512", "avx2", "baseline"); setting an unknown or an
 * unsupported one changes nothing and returns 1. ta_isa_supported(i) walks the names, NULL at the end. */
const char *ta_isa(void);
int ta_set_isa(const char *name);
const char *ta_isa_supported(int index);

/* pool.c */
void ta_set_num_threads(int threads);
int ta_get_num_threads(void);
int ta_num_cpus(void);

/* norm.c */
int ta_scale_f32(float *x, int64_t count, double factor);
int ta_scale_f64(double *x, int64_t count, double factor);
