/* Products of x (A, n, C) over its middle axis, running products along it, and their gradients. Nothing is
 * divided by x_i, which may be 0. Products of floats run in double. Look first at walk.
 *
 *   prod      y = prod_j x_j                dx_i = dy prod_{j<i} x_j prod_{j>i} x_j
 *   cumprod   y_i = x_0 x_1 ... x_i         dx_i = s_i prod_{j<i} x_j,  s_i = dy_i + x_{i+1} s_{i+1} */

#ifndef TA_PROD
#define TA_PROD
enum { LINES = 16 }; /* that a walk goes along side by side */
enum { TA_OTHERS, TA_RUNNING }; /* the gradient of prod, of cumprod */
#endif

struct FN(prod_job) {
    const real *x, *grad;
    real *out;
    long A, n, C;
    int what;
    _Atomic int failed;
};

/* The product of n numbers that stand side by side. */
static double FN(row_product)(const real *x, long n)
{
    wide part[4] = {{0}, {0}, {0}, {0}};
    double all = 1;
    long i = 0;
    for (long k = 0; k < 4; k++) part[k] = 1 - part[k];
    for (; i + 4 * WIDE <= n; i += 4 * WIDE)
        for (long k = 0; k < 4; k++) part[k] *= load_wide(x + i + k * WIDE);
    part[0] *= part[1];
    part[0] *= part[2] * part[3];
    for (long k = 0; k < WIDE; k++) all *= part[0][k];
    for (; i < n; i++) all *= (double)x[i];
    return all;
}

static void FN(prod_part)(void *arg, long part, long parts)
{
    const struct FN(prod_job) *job = arg;
    const long n = job->n, C = job->C, blocks = (C + COLUMNS - 1) / COLUMNS;
    const long end = job->A * blocks * (part + 1) / parts;
    for (long unit = job->A * blocks * part / parts; unit < end; unit++) {
        const long a = unit / blocks, column = unit % blocks * COLUMNS, width = ta_smaller(COLUMNS, C - column);
        const real *x = job->x + a * n * C + column;
        real *out = job->out + a * C + column;
        if (C == 1) {
            *out = (real)FN(row_product)(x, n);
            continue;
        }
        double product[COLUMNS];
        for (long j = 0; j < width; j++) product[j] = 1;
        for (long row = 0; row < n; row++, x += C)
            for (long j = 0; j < width; j++) product[j] *= (double)x[j];
        for (long j = 0; j < width; j++) out[j] = (real)product[j];
    }
}

KERNEL(prod)(const real *x, real *out, int64_t A, int64_t n, int64_t C)
{
    struct FN(prod_job) job = {.x = x, .out = out, .A = A, .n = n, .C = C};
    const long width = ta_smaller(C, COLUMNS), blocks = (C + COLUMNS - 1) / COLUMNS;
    if (A && C) ta_parallel(FN(prod_part), &job, ta_row_parts(A * blocks, n * width));
    return 0;
}

/* Along `lines` lines of n numbers: those of a line are `step` apart, the lines `apart`. The first way
 * makes the products of what stands before each number; the gradients come on the way back. grad of
 * TA_OTHERS has a number for each line. */
TA_INLINE void FN(walk)(const real *x, const real *grad, real *out, double *before, long n, long step,
                        long lines, long apart, int what)
{
    double product[LINES], after[LINES];
    for (long j = 0; j < lines; j++) product[j] = 1;
    for (long i = 0; i < n; i++)
        for (long j = 0; j < lines; j++) {
            before[i * LINES + j] = product[j];
            product[j] *= (double)x[i * step + j * apart];
        }
    for (long j = 0; j < lines; j++) after[j] = what == TA_OTHERS ? (double)grad[j] : 0;
    for (long i = n - 1; i >= 0; i--)
        for (long j = 0; j < lines; j++) {
            const long at = i * step + j * apart;
            if (what == TA_RUNNING) after[j] += (double)grad[at];
            out[at] = (real)(before[i * LINES + j] * after[j]);
            after[j] *= (double)x[at];
        }
}

/* How many units there are: LINES rows, or LINES columns of one matrix. */
static long FN(walks)(long A, long C)
{
    return C == 1 ? (A + LINES - 1) / LINES : A * ((C + LINES - 1) / LINES);
}

TA_INLINE void FN(walk_units)(struct FN(prod_job) *job, long part, long parts, int what)
{
    const long n = job->n, C = job->C, side = C == 1 ? job->A : C, blocks = (side + LINES - 1) / LINES;
    const long units = FN(walks)(job->A, C), end = units * (part + 1) / parts;
    double *before = ta_scratch(TA_PART, (size_t)(n * LINES) * sizeof *before);
    if (!before) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (long unit = units * part / parts; unit < end; unit++) {
        const long a = unit / blocks, line = unit % blocks * LINES, lines = ta_smaller(LINES, side - line);
        const long at = C == 1 ? line * n : a * n * C + line;
        const real *x = job->x + at, *grad = job->grad + (what == TA_OTHERS ? a * C + line : at);
        if (C == 1)
            FN(walk)(x, grad, job->out + at, before, n, 1, lines, n, what);
        else if (lines == LINES)
            FN(walk)(x, grad, job->out + at, before, n, C, LINES, 1, what);
        else
            FN(walk)(x, grad, job->out + at, before, n, C, lines, 1, what);
    }
    ta_scratch_done(TA_PART);
}

static void FN(walk_part)(void *arg, long part, long parts)
{
    struct FN(prod_job) *job = arg;
    if (job->what == TA_OTHERS)
        FN(walk_units)(job, part, parts, TA_OTHERS);
    else
        FN(walk_units)(job, part, parts, TA_RUNNING);
}

/* grad (A, C), x and out (A, n, C). */
KERNEL(prod_backward)(const real *grad, const real *x, real *out, int64_t A, int64_t n, int64_t C)
{
    struct FN(prod_job) job = {x, grad, out, A, n, C, TA_OTHERS, 0};
    if (A && n && C) ta_parallel(FN(walk_part), &job, ta_row_parts(FN(walks)(A, C), n * LINES));
    return atomic_load(&job.failed);
}

KERNEL(cumprod_backward)(const real *grad, const real *x, real *out, int64_t A, int64_t n, int64_t C)
{
    struct FN(prod_job) job = {x, grad, out, A, n, C, TA_RUNNING, 0};
    if (A && n && C) ta_parallel(FN(walk_part), &job, ta_row_parts(FN(walks)(A, C), n * LINES));
    return atomic_load(&job.failed);
}

/* The running products along `lines` lines, as in walk. */
TA_INLINE void FN(running)(const real *x, real *out, long n, long step, long lines, long apart)
{
    double product[LINES];
    for (long j = 0; j < lines; j++) product[j] = 1;
    for (long i = 0; i < n; i++)
        for (long j = 0; j < lines; j++) {
            product[j] *= (double)x[i * step + j * apart];
            out[i * step + j * apart] = (real)product[j];
        }
}

static void FN(running_part)(void *arg, long part, long parts)
{
    const struct FN(prod_job) *job = arg;
    const long n = job->n, C = job->C, side = C == 1 ? job->A : C, blocks = (side + LINES - 1) / LINES;
    const long units = FN(walks)(job->A, C), end = units * (part + 1) / parts;
    for (long unit = units * part / parts; unit < end; unit++) {
        const long a = unit / blocks, line = unit % blocks * LINES, lines = ta_smaller(LINES, side - line);
        const long at = C == 1 ? line * n : a * n * C + line;
        if (C == 1)
            FN(running)(job->x + at, job->out + at, n, 1, lines, n);
        else if (lines == LINES)
            FN(running)(job->x + at, job->out + at, n, C, LINES, 1);
        else
            FN(running)(job->x + at, job->out + at, n, C, lines, 1);
    }
}

KERNEL(cumprod)(const real *x, real *out, int64_t A, int64_t n, int64_t C)
{
    struct FN(prod_job) job = {.x = x, .out = out, .A = A, .n = n, .C = C};
    if (A && n && C) ta_parallel(FN(running_part), &job, ta_row_parts(FN(walks)(A, C), n * LINES));
    return 0;
}
