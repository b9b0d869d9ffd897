/* Elementwise operations on arrays of any strides, with broadcasting. Look first at
 * elementwise_operations.inc, the list of the operations, then at elementwise_part.
 *
 * The result is C-contiguous, and work is cut into parts of its elements. A part goes block by block: an
 * input whose elements lie side by side in the block is used in place; of any other they are
 * first copied side by side, into a buffer that stays in the first-level cache. Every operation is thus
 * one loop over contiguous numbers. Where no input needs the buffer, a part is a single block. out may be one of the inputs if it has the same layout. */

TA_INLINE vec FN(sign)(vec x)
{
    return vselect(x > splat(0), splat(1), vselect(x < splat(0), splat(-1), splat(0)));
}

/* The larger and the smaller of two numbers; NaN if one of them is NaN. */
TA_INLINE vec FN(larger_of)(vec x, vec y) { return vselect(x != x, x, vmax(x, y)); }
TA_INLINE vec FN(smaller_of)(vec x, vec y) { return vselect(x != x, x, vmin(x, y)); }

/* f'(x) of f(x) = x s with s = 1 / (1 + e^-x). */
TA_INLINE vec FN(silu_slope)(vec x)
{
    const vec s = FN(sigmoid)(x);
    return s * (splat(1) + x * (splat(1) - s));
}

/* The normal distribution function P(x) = erfc(-x / sqrt 2) / 2. In double the tail keeps its digits, at
 * the cost of C's own erfc; in float, where 1 + erf loses them, P is right to the last bit of 1. */
TA_INLINE vec FN(normal)(vec x)
{
    const vec scaled = x * splat((real)0.70710678118654752);
#if REAL_BITS == 64
    vec y = scaled;
    for (int i = 0; i < LANES; i++) y[i] = 0.5 * erfc(-scaled[i]);
    return y;
#else
    return splat((real)0.5) + splat((real)0.5) * FN(erf)(scaled);
#endif
}

/* f'(x) = P + x P' of f(x) = x P(x). */
TA_INLINE vec FN(gelu_slope)(vec x)
{
    const vec density = splat((real)0.3989422804014327) * FN(exp)(splat((real)-0.5) * x * x);
    return FN(normal)(x) + x * density;
}

/* t = tanh u with u = k (x + c x^3), k = sqrt(2 / pi), c = 0.044715. */
#undef GELU_K
#undef GELU_C
#define GELU_K splat((real)0.7978845608028654)
#define GELU_C splat((real)0.044715)
TA_INLINE vec FN(gelu_tanh_of)(vec x) { return FN(tanh)(GELU_K * (x + GELU_C * x * x * x)); }

/* f'(x) = (1 + t) / 2 + x (1 - t^2) u' / 2 of f(x) = x (1 + t) / 2. */
TA_INLINE vec FN(gelu_tanh_slope)(vec x)
{
    const vec t = FN(gelu_tanh_of)(x), half = splat((real)0.5);
    return half + half * t + half * x * (splat(1) - t * t) * GELU_K * (splat(1) + splat(3) * GELU_C * x * x);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows. */
TA_INLINE vec FN(softplus)(vec x)
{
    return FN(larger_of)(x, splat(0)) + FN(log1p)(FN(exp)(-FN(magnitude)(x)));
}

TA_INLINE vec FN(softsign_slope)(vec x)
{
    const vec scale = splat(1) / (splat(1) + FN(magnitude)(x));
    return scale * scale;
}

/* x brought into [-p, p]. */
TA_INLINE vec FN(bounded)(vec x, vec p) { return FN(smaller_of)(FN(larger_of)(x, -p), p); }

/* -t log p - (1 - t) log(1 - p), with logarithms below -100 counted as -100. */
TA_INLINE vec FN(cross_entropy_of)(vec p, vec t)
{
    const vec least = splat(-100);
    return (t - splat(1)) * FN(larger_of)(FN(log1p)(-p), least) - t * FN(larger_of)(FN(log)(p), least);
}

/* x with other numbers in place of NaN, infinity and -infinity. */
TA_INLINE vec FN(finite_of)(vec x, vec nan, vec high, vec low)
{
    const vec bounded = vselect(x == splat(INFINITY), high, vselect(x == splat(-INFINITY), low, x));
    return vselect(x != x, nan, bounded);
}

/* One loop for every operation, over n contiguous numbers of each input. */
#undef MASKED
#define MASKED(inputs) inputs
#define OPERATION(inputs, name, value)                                                          \
    TA_INLINE vec FN(value_of_##name)(vec a, vec b, vec c, vec p, vec q)                        \
    {                                                                                           \
        (void)a, (void)b, (void)c, (void)p, (void)q;                                            \
        return value;                                                                           \
    }                                                                                           \
    static void FN(loop_##name)(long n, real *out, const real *const *in, const real *numbers)  \
    {                                                                                           \
        const real *x = in[0], *y = in[1], *z = in[2];                                          \
        const vec p = splat(numbers[0]), q = splat(numbers[1]), none = {0};                     \
        long i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                      \
            store(out + i, FN(value_of_##name)(load(x + i), inputs > 1 ? load(y + i) : none,    \
                                               inputs > 2 ? load(z + i) : none, p, q));         \
        if (i < n)                                                                              \
            store_first(out + i,                                                                \
                        FN(value_of_##name)(load_first(x + i, n - i),                           \
                                            inputs > 1 ? load_first(y + i, n - i) : none,       \
                                            inputs > 2 ? load_first(z + i, n - i) : none, p, q),\
                        n - i);                                                                 \
    }
#define LOOP(inputs, name)
#include "elementwise_operations.inc"
#undef OPERATION
#undef LOOP

/* The compiler has instructions for these. */
#undef ROUNDING
#define ROUNDING(name, of_float, of_double)                                                     \
    static void FN(loop_##name)(long n, real *out, const real *const *in, const real *numbers)  \
    {                                                                                           \
        (void)numbers;                                                                          \
        for (long i = 0; i < n; i++)                                                            \
            out[i] = sizeof(real) == 4 ? (real)of_float((float)in[0][i]) : (real)of_double((double)in[0][i]); \
    }
ROUNDING(floor, floorf, floor)
ROUNDING(ceil, ceilf, ceil)
ROUNDING(trunc, truncf, trunc)
ROUNDING(round, rintf, rint)

#include "elementwise_pow.h"
#include "elementwise_remainder.h"

#undef MASKED
#define MASKED(inputs) (inputs) | 8
#define OPERATION(inputs, name, value) {FN(loop_##name), inputs},
#define LOOP(inputs, name) {FN(loop_##name), inputs},
static const struct {
    void (*loop)(long n, real *out, const real *const *in, const real *numbers);
    int inputs; /* how many; with bit 3 the first is bytes */
} FN(operations)[] = {
#include "elementwise_operations.inc"
};
#undef OPERATION
#undef LOOP
#undef MASKED

enum { FN(BLOCK) = 4096 / sizeof(real) };

/* An input: `axes` steps in bytes. A `constant` has the same number everywhere; one that `repeats` is a
 * row that is the same for all other indices. */
struct FN(input) {
    const char *at;
    const int64_t *steps;
    int constant, dense, repeats, bytes;
    real number;
};

struct FN(elementwise_job) {
    int64_t op, total, axes;
    int64_t shape[MOST_AXES], steps[3][MOST_AXES];
    struct FN(input) in[3];
    real numbers[2], *out;
    struct ta_sum *totals; /* where only the sum of the results is wanted, that of each part; else NULL */
};

/* Where an input has the element `first`, which is given by its index. */
static const char *FN(place_of)(const struct FN(elementwise_job) *job, const struct FN(input) *in,
                                int64_t first, int64_t *index)
{
    const char *at = in->at;
    for (long axis = job->axes - 1; axis >= 0; axis--) {
        index[axis] = first % job->shape[axis];
        first /= job->shape[axis];
        at += index[axis] * in->steps[axis];
    }
    return at;
}

/* The elements first, first + 1, ... of an input that is not dense, copied side by side. */
static void FN(side_by_side)(const struct FN(elementwise_job) *job, const struct FN(input) *in,
                             int64_t first, long count, real *to)
{
    const long last = job->axes - 1, size = in->bytes ? 1 : sizeof(real);
    int64_t index[MOST_AXES];
    const char *at = FN(place_of)(job, in, first, index);
    for (long done = 0; done < count;) {
        const long run = ta_smaller(count - done, job->shape[last] - index[last]), step = in->steps[last];
        const real number = in->bytes ? *at != 0 : *(const real *)at;
        if (!step)
            for (long i = 0; i < run; i++) to[done + i] = number;
        else if (in->bytes)
            for (long i = 0; i < run; i++) to[done + i] = at[i * step] ? 1 : 0;
        else if (step == size)
            memcpy(to + done, at, run * sizeof(real));
        else
            for (long i = 0; i < run; i++) to[done + i] = *(const real *)(at + i * step);
        done += run;
        /* On to the next row, from its beginning: a block that begins inside a row ends with it. */
        for (long axis = last - 1; axis >= 0; axis--) {
            at += in->steps[axis];
            if (++index[axis] < job->shape[axis]) break;
            at -= index[axis] * in->steps[axis];
            index[axis] = 0;
        }
    }
}

/* How many elements make the next block: at most BLOCK. Long rows are cut where they end, so that an
 * input can be used in place; short ones are taken whole, as many as fit. */
TA_INLINE long FN(next_block)(const struct FN(elementwise_job) *job, int64_t first, int64_t end)
{
    const int64_t row = job->shape[job->axes - 1], left = job->axes > 1 ? row - first % row : FN(BLOCK);
    const int64_t most = left == row && row < FN(BLOCK) ? FN(BLOCK) / row * row : ta_smaller(left, FN(BLOCK));
    return ta_smaller(most, end - first);
}

static void FN(elementwise_part)(void *arg, long part, long parts)
{
    const struct FN(elementwise_job) *job = arg;
    const int64_t begin = (int64_t)part * PART_ELEMENTS;
    const int64_t end = part == parts - 1 ? job->total : begin + PART_ELEMENTS;
    const int inputs = FN(operations)[job->op].inputs & 7;
    const long last = job->axes - 1, row = job->shape[last];
    int64_t index[MOST_AXES];
    real room[3][FN(BLOCK)] __attribute__((aligned(64))), results[FN(BLOCK)] __attribute__((aligned(64)));
    const real *in[3] = {room[0], room[1], room[2]};
    struct ta_sum total = {0, 0};
    int filled[3] = {0}, in_place = !job->totals;
    for (int k = 0; k < inputs; k++) {
        in_place &= job->in[k].dense && !job->in[k].constant;
        if (job->in[k].constant)
            for (long i = 0; i < ta_smaller(FN(BLOCK), end - begin); i++) room[k][i] = job->in[k].number;
    }
    long count;
    for (int64_t first = begin; first < end; first += count) {
        count = in_place ? (long)(end - begin) : FN(next_block)(job, first, end);
        for (int k = 0; k < inputs; k++) {
            const struct FN(input) *input = &job->in[k];
            if (input->constant) continue;
            if (input->dense)
                in[k] = (const real *)input->at + first;
            else if (!input->bytes && input->steps[last] == sizeof(real) && count <= row) /* all in one row */
                in[k] = (const real *)FN(place_of)(job, input, first, index);
            else if (filled[k] < count || first % row) {
                FN(side_by_side)(job, input, first, count, room[k]);
                in[k] = room[k];
                filled[k] = input->repeats && first % row == 0 ? (int)count : 0;
            }
        }
        if (!job->totals) {
            FN(operations)[job->op].loop(count, job->out + first, in, job->numbers);
            continue;
        }
        FN(operations)[job->op].loop(count, results, in, job->numbers);
        const struct ta_sum more = FN(row_total)(results, count, TA_VALUES, 0, 0);
        FN(add_one)(&total.sum, &total.error, more.sum);
        total.error += more.error;
    }
    if (job->totals) job->totals[part] = total;
}

/* Axes of size 1 are left out. Neighbours become one axis where every input walks evenly over both. */
static void FN(join_axes)(struct FN(elementwise_job) *job, int inputs, int64_t axes, const int64_t *layout)
{
    for (int64_t axis = 0; axis < axes; axis++) {
        const int64_t size = layout[axis], *step = layout + axes + axis;
        if (size == 1) continue;
        int even = job->axes > 0;
        for (int k = 0; even && k < inputs; k++)
            even = job->steps[k][job->axes - 1] == step[k * axes] * size;
        if (!even) job->shape[job->axes++] = 1;
        job->shape[job->axes - 1] *= size;
        for (int k = 0; k < inputs; k++) job->steps[k][job->axes - 1] = step[k * axes];
    }
    if (!job->axes) job->shape[job->axes++] = 1;
}

/* The operation of a, b, c for `count` results. With axes = 0 every input is like the result. Otherwise
 * `layout` is the shape of the result, then for each input `axes` steps in bytes, 0 where it broadcasts.
 * The first input that is NULL is the number p everywhere, the second one is q. */
static void FN(set_up)(struct FN(elementwise_job) *job, int64_t op, int64_t count, const void *const *at,
                       int64_t axes, const int64_t *layout, double p, double q)
{
    if (op == TA_mul && at[0] && !at[1]) op = TA_mul_number;
    if (op == TA_pow && !at[1] && FN(is_whole_or_half)(p)) op = TA_pow_number;
    if (op == TA_pow_backward && !at[2] && FN(is_whole_or_half)(p)) op = TA_pow_number_backward;
    if (op == TA_pow_number || op == TA_pow_number_backward) op = FN(plain_power)(op, p);
    const int inputs = FN(operations)[op].inputs & 7, masked = FN(operations)[op].inputs >> 3;
    *job = (struct FN(elementwise_job)){.op = op, .total = count, .numbers = {(real)p, (real)q}};
    int missing = 0;
    if (axes) FN(join_axes)(job, inputs, axes, layout);
    for (int k = 0; k < inputs; k++) {
        struct FN(input) *in = &job->in[k];
        const long size = masked && k == 0 ? 1 : sizeof(real);
        *in = (struct FN(input)){.at = at[k], .steps = job->steps[k], .bytes = masked && k == 0};
        if (!axes) {
            job->axes = 1;
            job->shape[0] = count;
            job->steps[k][0] = size;
        }
        in->dense = !in->bytes && job->axes == 1 && job->steps[k][0] == size;
        in->repeats = job->axes > 1;
        for (long axis = 0; axis < job->axes - 1; axis++) in->repeats &= !job->steps[k][axis];
        in->constant = !at[k] || (job->axes == 1 && !job->steps[k][0]);
        if (!at[k])
            in->number = job->numbers[missing++];
        else if (in->constant)
            in->number = in->bytes ? *in->at != 0 : *(const real *)in->at;
    }
}

/* out (C-contiguous, `count` numbers) = the operation of a, b, c: see set_up. */
KERNEL(elementwise)(int64_t op, real *out, int64_t count, const void *a, const void *b, const void *c,
                    int64_t axes, const int64_t *layout, double p, double q)
{
    if (!count) return 0;
    const void *const at[] = {a, b, c};
    struct FN(elementwise_job) job;
    FN(set_up)(&job, op, count, at, axes, layout, p, q);
    job.out = out;
    ta_parallel(FN(elementwise_part), &job, (count - 1) / PART_ELEMENTS + 1);
    return 0;
}

/* out, one number = the sum of the results, divided by a number. They are never kept: a part adds up its
 * own, and the totals of the parts are added in order. The other arguments are those of elementwise. */
KERNEL(elementwise_sum)(int64_t op, double divisor, real *out, int64_t count, const void *a, const void *b,
                        const void *c, int64_t axes, const int64_t *layout, double p, double q)
{
    const void *const at[] = {a, b, c};
    const long parts = count ? (long)((count - 1) / PART_ELEMENTS + 1) : 0;
    struct ta_sum total = {0, 0};
    struct FN(elementwise_job) job;
    if (parts) {
        FN(set_up)(&job, op, count, at, axes, layout, p, q);
        job.totals = ta_scratch(TA_SHARED, (size_t)parts * sizeof *job.totals);
        if (!job.totals) return 1;
        ta_parallel(FN(elementwise_part), &job, parts);
        for (long part = 0; part < parts; part++) {
            FN(add_one)(&total.sum, &total.error, job.totals[part].sum);
            total.error += job.totals[part].error;
        }
        ta_scratch_done(TA_SHARED);
    }
    *out = (real)(total_of(total.sum, total.error) / divisor);
    return 0;
}
