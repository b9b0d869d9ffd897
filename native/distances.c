/* Directions and distances of rows of D numbers, and their gradients:
 *
 *   normalize   y = x / a  with  a = max(|x|, eps)
 *               dx = (g - (g . y) x / |x|) / a,  without the second term where |x| < eps
 *   cosine      c = (x / a) . (y / b)  with  a = max(|x|, eps), b = max(|y|, eps)
 *               dx = (y / b - c x / |x|) g / a,  and dy likewise
 *   pairwise    d = |w|  with  w = x - y + eps;   dx = g w / d, 0 where w or d is 0,  dy = -dx
 *
 * x / |x| is 0 where x is 0. All but w is computed in double. |x|^2 of doubles may over- or underflow: the
 * row is then scaled by a power of 2. Look first at row_size. */

struct FN(distances_job) {
    const real *x, *y, *grad;
    double eps, *size; /* (N): |x|, or d */
    real *out, *other;
    long N, D;
};

/* sum_i x_i y_i */
static double FN(dot_of_rows)(const real *x, const real *y, long n)
{
    struct FN(total) t[4] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
    double sum = 0, error = 0;
    long i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE)
        for (long k = 0; k < 4; k++) add_wide(&t[k], load_wide(x + i + k * WIDE) * load_wide(y + i + k * WIDE));
    for (; i + WIDE <= n; i += WIDE) add_wide(&t[0], load_wide(x + i) * load_wide(y + i));
    if (i < n) add_wide(&t[1], load_first_wide(x + i, n - i) * load_first_wide(y + i, n - i));
    for (long k = 1; k < 4; k++) {
        add_wide(&t[0], t[k].sum);
        t[0].error += t[k].error;
    }
    for (long k = 0; k < WIDE; k++) {
        FN(add_one)(&sum, &error, t[0].sum[k]);
        error += t[0].error[k];
    }
    return total_of(sum, error);
}

/* A number of the row: of x, or, where there is y, of w. */
TA_INLINE real FN(of_row)(const real *x, const real *y, real eps, long i)
{
    return y ? (x[i] - y[i]) + eps : x[i];
}

/* The sum of the squares of a row, times scale^2. */
static double FN(squares_of_row)(const real *x, const real *y, real eps, long n, real scale)
{
    real room[FN(BLOCK)];
    double sum = 0, error = 0;
    for (long i = 0; i < n; i += FN(BLOCK)) {
        const long count = ta_smaller(n - i, FN(BLOCK));
        const real *at = x + i;
        if (y || scale != 1) {
            for (long j = 0; j < count; j++) room[j] = FN(of_row)(x, y, eps, i + j) * scale;
            at = room;
        }
        FN(add_one)(&sum, &error, FN(dot_of_rows)(at, at, count));
    }
    return total_of(sum, error);
}

/* |x|, or |w| where there is y. */
static double FN(row_size)(const real *x, const real *y, real eps, long n)
{
    const double squares = FN(squares_of_row)(x, y, eps, n, 1);
#if REAL_BITS == 64
    if (squares == squares && !(squares > 0x1p-960 && squares < (double)INFINITY)) {
        double top = 0;
        int e;
        for (long i = 0; i < n; i++) top = fmax(top, fabs(FN(of_row)(x, y, eps, i)));
        if (!top || top == (double)INFINITY) return top;
        frexp(top, &e);
        if (e < -1000) e = -1000;
        return ldexp(sqrt(FN(squares_of_row)(x, y, eps, n, ldexp(1, -e))), e);
    }
#endif
    return sqrt(squares);
}

/* v / a; of floats by the inverse of a, which is exact enough in double. */
TA_INLINE double FN(over)(double v, double a, double inverse) { return sizeof(real) == 4 ? v * inverse : v / a; }

static void FN(normalize_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * D;
        real *y = job->out + row * D;
        const double size = job->size[row] = FN(row_size)(x, NULL, 0, D), a = size < job->eps ? job->eps : size;
        const double inverse = 1 / a;
        for (long i = 0; i < D; i++) y[i] = (real)FN(over)((double)x[i], a, inverse);
    }
}

/* x, y (N, D), size (N) */
KERNEL(normalize)(const real *x, double eps, real *y, double *size, int64_t N, int64_t D)
{
    struct FN(distances_job) job = {.x = x, .eps = eps, .size = size, .out = y, .N = N, .D = D};
    ta_parallel(FN(normalize_part), &job, ta_row_parts(job.N, job.D));
    return 0;
}

static void FN(normalize_backward_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * D, *g = job->grad + row * D;
        real *dx = job->out + row * D;
        const double size = job->size[row], a = size < job->eps ? job->eps : size, inverse = 1 / a;
        if (size < job->eps || !size) {
            for (long i = 0; i < D; i++) dx[i] = (real)FN(over)((double)g[i], a, inverse);
            continue;
        }
        const double along = FN(dot_of_rows)(g, x, D) / a / size;
        for (long i = 0; i < D; i++) dx[i] = (real)FN(over)((double)g[i] - along * (double)x[i], a, inverse);
    }
}

KERNEL(normalize_backward)(const real *grad, const real *x, const double *size, double eps, real *dx, int64_t N,
                           int64_t D)
{
    struct FN(distances_job) job = {.x = x, .grad = grad, .eps = eps, .size = (double *)size, .out = dx, .N = N, .D = D};
    ta_parallel(FN(normalize_backward_part), &job, ta_row_parts(job.N, job.D));
    return 0;
}

#ifndef TA_DISTANCES
#define TA_DISTANCES
/* Of two rows: |x|, |y|, a, b and c. */
struct ta_cosine {
    double x, y, a, b, c;
};
#endif

static struct ta_cosine FN(row_cosine)(const real *x, const real *y, double eps, long n)
{
    struct ta_cosine r = {FN(row_size)(x, NULL, 0, n), FN(row_size)(y, NULL, 0, n), 0, 0, 0};
    r.a = r.x < eps ? eps : r.x;
    r.b = r.y < eps ? eps : r.y;
#if REAL_BITS == 64
    if (!(r.a > 0x1p-480 && r.a < 0x1p480 && r.b > 0x1p-480 && r.b < 0x1p480)) {
        for (long i = 0; i < n; i++) r.c += (x[i] / r.a) * (y[i] / r.b);
        return r;
    }
#endif
    if (n) r.c = FN(dot_of_rows)(x, y, n) / (r.a * r.b);
    return r;
}

static void FN(cosine_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++)
        job->out[row] = (real)FN(row_cosine)(job->x + row * D, job->y + row * D, job->eps, D).c;
}

/* x, y (N, D), c (N) */
KERNEL(cosine)(const real *x, const real *y, double eps, real *c, int64_t N, int64_t D)
{
    struct FN(distances_job) job = {.x = x, .y = y, .eps = eps, .out = c, .N = N, .D = D};
    ta_parallel(FN(cosine_part), &job, ta_row_parts(job.N, 2 * job.D));
    return 0;
}

static void FN(cosine_backward_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * D, *y = job->y + row * D;
        real *dx = job->out + row * D, *dy = job->other + row * D;
        const struct ta_cosine r = FN(row_cosine)(x, y, job->eps, D);
        const double g = (double)job->grad[row], of_x = g / r.a, of_y = g / r.b;
        const double a = 1 / r.a, b = 1 / r.b, x_again = r.x ? r.c / r.x : r.c * 0, y_again = r.y ? r.c / r.y : r.c * 0;
        for (long i = 0; i < D; i++) {
            dx[i] = (real)(((double)y[i] * b - (double)x[i] * x_again) * of_x);
            dy[i] = (real)(((double)x[i] * a - (double)y[i] * y_again) * of_y);
        }
    }
}

KERNEL(cosine_backward)(const real *grad, const real *x, const real *y, double eps, real *dx, real *dy, int64_t N,
                        int64_t D)
{
    struct FN(distances_job) job = {
        .x = x, .y = y, .grad = grad, .eps = eps, .out = dx, .other = dy, .N = N, .D = D};
    ta_parallel(FN(cosine_backward_part), &job, ta_row_parts(job.N, 2 * job.D));
    return 0;
}

static void FN(pairwise_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long row = job->N * part / parts; row < end; row++) {
        job->size[row] = FN(row_size)(job->x + row * D, job->y + row * D, (real)job->eps, D);
        job->out[row] = (real)job->size[row];
    }
}

/* x, y (N, D), d (N); size is d in double. */
KERNEL(pairwise)(const real *x, const real *y, double eps, real *d, double *size, int64_t N, int64_t D)
{
    struct FN(distances_job) job = {.x = x, .y = y, .eps = eps, .size = size, .out = d, .N = N, .D = D};
    ta_parallel(FN(pairwise_part), &job, ta_row_parts(job.N, 2 * job.D));
    return 0;
}

static void FN(pairwise_backward_part)(void *arg, long part, long parts)
{
    const struct FN(distances_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    const real eps = (real)job->eps;
    for (long row = job->N * part / parts; row < end; row++) {
        const real *x = job->x + row * D, *y = job->y + row * D;
        real *dx = job->out + row * D;
        const double size = job->size[row], g = (double)job->grad[row], inverse = 1 / size;
        for (long i = 0; i < D; i++) {
            const double w = (double)FN(of_row)(x, y, eps, i);
            dx[i] = w == 0 || size == 0 ? 0 : (real)(g * FN(over)(w, size, inverse));
        }
    }
}

KERNEL(pairwise_backward)(const real *grad, const real *x, const real *y, const double *size, double eps, real *dx,
                          int64_t N, int64_t D)
{
    struct FN(distances_job) job = {
        .x = x, .y = y, .grad = grad, .eps = eps, .size = (double *)size, .out = dx, .N = N, .D = D};
    ta_parallel(FN(pairwise_backward_part), &job, ta_row_parts(job.N, 2 * job.D));
    return 0;
}
