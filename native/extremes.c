/* The extremes along the middle axis of x (A, n, C): the first largest element, and the k largest in order.
 * The way back is scatter_add of indexing.c. NaN counts as the largest; among the
 * smallest it comes last, but for `largest`, where it is the smallest, too, as in NumPy.
 *
 * Look first at `best_of_row`, then at `meet`, which compares a vector with the best of each column so far.
 * Work is cut as in reductions.c. */

#ifndef TA_EXTREMES
#define TA_EXTREMES
enum { MOST_K = 64, TOPK_COLUMNS = 64 };

struct ta_best {
    double value, ties;
    int64_t at;
};
#endif

struct FN(extreme_job) {
    struct ta_shape shape;
    const real *x;
    real sign, *value, *ties; /* sign -1: the smallest */
    int64_t *at;
    struct ta_best *pieces;
};

/* x, numbers of row `row`, against the best of each column. */
TA_INLINE void FN(meet)(vec x, integer row, vec *value, ivec *at, vec *ties)
{
    const ivec ahead = (x > *value) | ((x != x) & (*value == *value));
    const ivec equal = (x == *value) | ((x != x) & (*value != *value));
    *ties = vselect(ahead, splat(1), vselect(equal, *ties + splat(1), *ties));
    *at = (ahead & ((ivec){0} + row)) | (~ahead & *at);
    *value = vselect(ahead, x, *value);
}

/* The same for the best of a part that comes after those seen so far. */
TA_INLINE void FN(meet_one)(struct ta_best *best, double value, double ties, int64_t at)
{
    if (value > best->value || (value != value && best->value == best->value)) {
        *best = (struct ta_best){value, ties, at};
    } else if (value == best->value || (value != value && best->value != best->value)) {
        best->ties += ties;
    }
}

/* The largest of n numbers times sign, or NaN if one is NaN. */
static real FN(largest_of)(const real *x, long n, real sign)
{
    const vec least = splat(-INFINITY), factor = splat(sign);
    vec a = least, b = least;
    ivec unordered = {0};
    long i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        const vec p = load(x + i) * factor, q = load(x + i + LANES) * factor;
        unordered |= (p != p) | (q != q);
        a = vmax(p, a), b = vmax(q, b);
    }
    for (; i < n; i += LANES) {
        const long count = ta_smaller(LANES, n - i);
        const vec p = vselect(FN(lanes_below)(count), load_some(x + i, count) * factor, least);
        unordered |= p != p;
        a = vmax(p, a);
    }
    return FN(any)(unordered) ? (real)NAN : hmax(vmax(a, b));
}

/* The first of n numbers that equals `wanted`, and how many do; NaN equals NaN. One of them does. */
static struct ta_best FN(places_of)(const real *x, long n, real wanted)
{
    const vec w = splat(wanted);
    const ivec is_nan = w != w;
    ivec ties = {0};
    int64_t first = n, more = 0;
    long i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec v = load(x + i);
        const ivec equal = (v == w) | ((v != v) & is_nan);
        if (first == n && FN(any)(equal))
            for (first = i; !equal[first - i];) first++;
        ties -= equal;
    }
    for (; i < n; i++) {
        if (!(x[i] == wanted || (x[i] != x[i] && wanted != wanted))) continue;
        if (first == n) first = i;
        more++;
    }
    for (long k = 0; k < LANES; k++) more += ties[k];
    return (struct ta_best){(double)x[first], (double)more, first};
}

/* Block by block: where a block has its largest number is looked up only if that is not below the best so
 * far. */
static void FN(best_of_row)(const real *x, long n, real sign, struct ta_best *best)
{
    *best = (struct ta_best){-INFINITY, 0, 0};
    for (long begin = 0; begin < n; begin += ROW_BLOCK) {
        const long count = ta_smaller(ROW_BLOCK, n - begin);
        const real largest = FN(largest_of)(x + begin, count, sign);
        if (largest < best->value || (largest == largest && best->value != best->value)) continue;
        const struct ta_best found = FN(places_of)(x + begin, count, largest * sign);
        FN(meet_one)(best, found.value * (double)sign, found.ties, begin + found.at);
    }
}

static void FN(best_of_columns)(const real *x, long rows, long C, long width, real sign, struct ta_best *best)
{
    real value[COLUMNS], ties[COLUMNS];
    integer at[COLUMNS];
    for (long j = 0; j < COLUMNS; j++) value[j] = -INFINITY, ties[j] = 0, at[j] = 0;
    for (long row = 0; row < rows; row++, x += C)
        for (long j = 0; j < width; j += LANES) {
            vec v = load(value + j), t = load(ties + j);
            ivec p = as_ivec(load((real *)at + j));
            const vec more = load_some(x + j, ta_smaller(LANES, width - j));
            FN(meet)(more * splat(sign), (integer)row, &v, &p, &t);
            store(value + j, v);
            store(ties + j, t);
            store((real *)at + j, as_vec(p));
        }
    for (long j = 0; j < width; j++)
        best[j] = (struct ta_best){(double)value[j], (double)ties[j], (int64_t)at[j]};
}

static void FN(best_piece)(const struct FN(extreme_job) *job, long unit, long piece, struct ta_best *best)
{
    const struct ta_shape *s = &job->shape;
    const long a = unit / s->blocks, column = unit % s->blocks * COLUMNS;
    const long width = ta_smaller(COLUMNS, s->C - column), begin = s->n * piece / s->pieces;
    const long rows = s->n * (piece + 1) / s->pieces - begin;
    const real *x = job->x + (a * s->n + begin) * s->C + column;
    if (s->C == 1)
        FN(best_of_row)(x, rows, job->sign, best);
    else
        FN(best_of_columns)(x, rows, s->C, width, job->sign, best);
    for (long j = 0; j < width; j++) best[j].at += begin;
}

static void FN(best_unit)(const struct FN(extreme_job) *job, long unit, const struct ta_best *best)
{
    const struct ta_shape *s = &job->shape;
    const long column = unit % s->blocks * COLUMNS, at = unit / s->blocks * s->C + column;
    for (long j = 0; j < ta_smaller(COLUMNS, s->C - column); j++) {
        job->value[at + j] = (real)best[j].value * job->sign;
        job->ties[at + j] = (real)best[j].ties;
        job->at[at + j] = best[j].at;
    }
}

static void FN(extreme_part)(void *arg, long part, long parts)
{
    const struct FN(extreme_job) *job = arg;
    const struct ta_shape *s = &job->shape;
    struct ta_best best[COLUMNS];
    if (s->pieces > 1) {
        FN(best_piece)(job, part / s->pieces, part % s->pieces, job->pieces + part * s->width);
        return;
    }
    const long units = s->A * s->blocks, end = units * (part + 1) / parts;
    for (long unit = units * part / parts; unit < end; unit++) {
        FN(best_piece)(job, unit, 0, best);
        FN(best_unit)(job, unit, best);
    }
}

/* value, at, ties (A, C): the first largest element (the smallest where sign is -1), its place on the axis,
 * and how many are equal to it. n is at least 1. */
KERNEL(extreme)(const real *x, double sign, real *value, int64_t *at, real *ties, int64_t A, int64_t n,
                int64_t C)
{
    struct FN(extreme_job) job = {ta_reduction_shape(A, n, C), x, (real)sign, value, ties, at, NULL};
    const struct ta_shape *s = &job.shape;
    const long units = s->A * s->blocks;
    if (!units) return 0;
    if (s->pieces == 1) {
        ta_parallel(FN(extreme_part), &job, ta_row_parts(units, s->n * s->width));
        return 0;
    }
    job.pieces = ta_scratch(TA_SHARED, (size_t)(units * s->pieces * s->width) * sizeof *job.pieces);
    if (!job.pieces) return 1;
    ta_parallel(FN(extreme_part), &job, units * s->pieces);
    for (long unit = 0; unit < units; unit++) {
        const long width = ta_smaller(s->width, s->C - unit % s->blocks * COLUMNS);
        struct ta_best *first = job.pieces + unit * s->pieces * s->width;
        for (long piece = 1; piece < s->pieces; piece++)
            for (long j = 0; j < width; j++) {
                const struct ta_best *more = first + piece * s->width + j;
                FN(meet_one)(&first[j], more->value, more->ties, more->at);
            }
        FN(best_unit)(&job, unit, first);
    }
    ta_scratch_done(TA_SHARED);
    return 0;
}

/* Whether x stands before y among the k best. */
TA_INLINE int FN(precedes)(real x, real y, int largest)
{
    return largest ? x > y || (x != x && y == y) : x < y || (y != y && x == x);
}

/* Puts x, the number of row `row`, into a list of `length` numbers, `step` apart and in order, behind its
 * equals. The list grows by one; at k numbers its last one is lost. */
TA_INLINE void FN(insert)(real *value, int64_t *at, long step, long length, long k, real x, int64_t row,
                          int largest)
{
    long i = length < k ? length : k - 1;
    for (; i > 0 && FN(precedes)(x, value[(i - 1) * step], largest); i--) {
        value[i * step] = value[(i - 1) * step];
        at[i * step] = at[(i - 1) * step];
    }
    value[i * step] = x;
    at[i * step] = row;
}

/* The lanes whose numbers may stand before the last of the list. */
TA_INLINE ivec FN(may_enter)(vec x, vec last, int largest)
{
    return largest ? (x > last) | (x != x) : (x < last) | (last != last);
}

/* A whole number that is larger where x comes later: a float's bits are in order but for the sign. */
TA_INLINE integer FN(rank)(real x, int largest)
{
    const real number = x + 0; /* -0 becomes 0 */
    const integer most = (integer)(~(uint64_t)0 >> (65 - REAL_BITS));
    integer bits;
    memcpy(&bits, &number, sizeof bits);
    const integer rank = x != x ? most : bits < 0 ? bits ^ most : bits;
    return largest ? ~rank : rank;
}

/* The k best of few numbers, `step` apart. The place of a number is how many come before it: those of less
 * rank, and of the same rank the earlier ones. */
static void FN(topk_of_few)(const real *x, long n, long step, long k, int largest, real *value, int64_t *at)
{
    integer rank[MOST_K] = {0}, place[MOST_K], lanes[LANES];
    if (step == 1)
        for (long i = 0; i < n; i++) rank[i] = FN(rank)(x[i], largest);
    else
        for (long i = 0; i < n; i++) rank[i] = FN(rank)(x[i * step], largest);
    for (long i = 0; i < LANES; i++) lanes[i] = (integer)i;
    for (long i = 0; i < n; i += LANES) {
        const ivec own = as_ivec(load((real *)rank + i)), lane = as_ivec(load((real *)lanes));
        ivec before = {0};
        long j = 0;
        for (; j < i; j++) before -= own >= rank[j];
        for (; j < ta_smaller(n, i + LANES); j++)
            before -= (own > rank[j]) | ((own == rank[j]) & (lane > (integer)(j - i)));
        for (; j < n; j++) before -= own > rank[j];
        store((real *)place + i, as_vec(before));
    }
    for (long i = 0; i < n; i++)
        if (place[i] < k) {
            value[place[i] * step] = x[i * step];
            at[place[i] * step] = i;
        }
}

struct FN(topk_job) {
    const real *x;
    real *value;
    int64_t *at;
    long A, n, C, k;
    int largest;
};

TA_INLINE void FN(topk_row)(const real *x, long n, long k, int largest, real *value, int64_t *at)
{
    long i = 0;
    for (; i < k; i++) FN(insert)(value, at, 1, i, k, x[i], i, largest);
    for (; i < n; i += LANES) {
        const long some = ta_smaller(LANES, n - i);
        if (!FN(any)(FN(may_enter)(load_some(x + i, some), splat(value[k - 1]), largest))) continue;
        for (long j = i; j < i + some; j++)
            if (FN(precedes)(x[j], value[k - 1], largest)) FN(insert)(value, at, 1, k, k, x[j], j, largest);
    }
}

TA_INLINE void FN(topk_columns)(const struct FN(topk_job) *job, long a, long column, long width, int largest)
{
    const long n = job->n, C = job->C, k = job->k;
    real value[MOST_K * TOPK_COLUMNS];
    int64_t at[MOST_K * TOPK_COLUMNS];
    real *const last = value + (k - 1) * TOPK_COLUMNS;
    memset(last, 0, TOPK_COLUMNS * sizeof *last);
    const real *x = job->x + a * n * C + column;
    for (long row = 0; row < n; row++, x += C) {
        for (long j = 0; j < width; j += LANES) {
            const long some = ta_smaller(LANES, width - j);
            if (row >= k && !FN(any)(FN(may_enter)(load_some(x + j, some), load(last + j), largest))) continue;
            for (long c = j; c < j + some; c++)
                if (row < k || FN(precedes)(x[c], last[c], largest))
                    FN(insert)(value + c, at + c, TOPK_COLUMNS, row, k, x[c], row, largest);
        }
    }
    for (long i = 0; i < k; i++)
        for (long j = 0; j < width; j++) {
            job->value[(a * k + i) * C + column + j] = value[i * TOPK_COLUMNS + j];
            job->at[(a * k + i) * C + column + j] = at[i * TOPK_COLUMNS + j];
        }
}

static void FN(topk_part)(void *arg, long part, long parts)
{
    const struct FN(topk_job) *job = arg;
    const long blocks = (job->C + TOPK_COLUMNS - 1) / TOPK_COLUMNS, end = job->A * blocks * (part + 1) / parts;
    for (long unit = job->A * blocks * part / parts; unit < end; unit++) {
        const long a = unit / blocks, column = unit % blocks * TOPK_COLUMNS, n = job->n, k = job->k;
        const long width = ta_smaller(TOPK_COLUMNS, job->C - column);
        if (n <= MOST_K && n <= 2 * k)
            for (long j = column; j < column + width; j++)
                FN(topk_of_few)(job->x + a * n * job->C + j, n, job->C, k, job->largest,
                                job->value + a * k * job->C + j, job->at + a * k * job->C + j);
        else if (job->C == 1 && job->largest)
            FN(topk_row)(job->x + a * n, n, k, 1, job->value + a * k, job->at + a * k);
        else if (job->C == 1)
            FN(topk_row)(job->x + a * n, n, k, 0, job->value + a * k, job->at + a * k);
        else if (job->largest)
            FN(topk_columns)(job, a, column, width, 1);
        else
            FN(topk_columns)(job, a, column, width, 0);
    }
}

/* value, at (A, k, C): the k largest elements in order, or the smallest, and their places; of equals the
 * first. 1 <= k <= n and k <= MOST_K. */
KERNEL(topk)(const real *x, int largest, real *value, int64_t *at, int64_t A, int64_t n, int64_t C, int64_t k)
{
    struct FN(topk_job) job = {x, value, at, A, n, C, k, largest};
    const long width = ta_smaller(C, TOPK_COLUMNS), blocks = (C + TOPK_COLUMNS - 1) / TOPK_COLUMNS;
    if (A && C) ta_parallel(FN(topk_part), &job, ta_row_parts(A * blocks, n * width));
    return 0;
}
