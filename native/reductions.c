/* Reductions of x (A, n, C) over its middle axis, and the running sums along it; sums.h says why they
 * do not drift. Look first at `reduce_unit`.
 *
 *   sum          out = sum_i x_i / divisor
 *   moments      mean + rest = sum_i x_i / n,   squares = sum_i (x_i - mean - rest)^2
 *   norm         out = sqrt(sum_i x_i^2)
 *   magnitudes   out = sum_i |x_i|
 *   products     out = sum_i x_i y_i
 *   cumsum    out_i = sum_{j<=i} x_j,   or from the other end, j>=i
 *
 * A unit of work is a block of at most COLUMNS columns of one of the A matrices, over all n rows. A large
 * unit is cut into pieces of rows whose totals are added in order. Where C is small, several rows
 * are taken as one long row, whose totals are then folded. All cuts depend on the shape only. */

#ifndef TA_REDUCTIONS
#define TA_REDUCTIONS
/* What is added up: x, x^2, |x|, (x - mean)^2, x y. */
enum { TA_VALUES, TA_SQUARES, TA_MAGNITUDES, TA_DEVIATIONS, TA_PRODUCTS };
enum {
    COLUMNS = 512,
    PIECE_ELEMENTS = 32768,
    MOST_PARTS = 64, /* of a large unit */
};

struct ta_shape {
    long A, n, C;
    long width, blocks, pieces; /* columns of a block, blocks of C, pieces of a unit's n rows */
};

static struct ta_shape ta_reduction_shape(long A, long n, long C)
{
    struct ta_shape s = {A, n, C, C < COLUMNS ? C : COLUMNS, (C + COLUMNS - 1) / COLUMNS, 1};
    if (!s.blocks || !A) return s;
    long units = A * s.blocks, pieces = n / (PIECE_ELEMENTS / s.width);
    long most = units < MOST_PARTS ? MOST_PARTS / units : 1;
    s.pieces = pieces < 1 ? 1 : pieces > most ? most : pieces;
    return s;
}

/* One number's total. */
struct ta_sum {
    double sum, error;
};
#endif

struct FN(reduction) {
    struct ta_shape shape;
    const real *x, *y; /* y: of TA_PRODUCTS */
    double divisor;
    void *out;
    int out_is_double, what;
    double *mean, *rest, *squares; /* (A, C); rest: what rounding has lost of the mean */
    struct ta_sum *totals; /* (units, pieces, width), where there are several pieces */
};

TA_INLINE wide FN(term)(wide v, int what, wide mean, wide lost)
{
    if (what == TA_DEVIATIONS) v = (v - mean) - lost;
    if (what == TA_MAGNITUDES) return FN(magnitude_of_wide)(v);
    return what == TA_SQUARES || what == TA_DEVIATIONS ? v * v : v;
}

/* The numbers at one place of x, of products times those of y. */
TA_INLINE wide FN(load_terms)(const real *x, const real *y, int what)
{
    return what == TA_PRODUCTS ? load_wide(x) * load_wide(y) : load_wide(x);
}

TA_INLINE wide FN(load_first_terms)(const real *x, const real *y, long n, int what)
{
    return what == TA_PRODUCTS ? load_first_wide(x, n) * load_first_wide(y, n) : load_first_wide(x, n);
}

/* Whether totals keep what rounding has lost. The square of a float is exact in double, so it is worth an
 * exact sum. */
TA_INLINE int FN(is_exact)(int what) { return REAL_BITS == 64 || what == TA_SQUARES; }

/* One more vector on the totals. */
TA_INLINE void FN(add_term)(struct FN(total) *total, wide v, int what)
{
    if (FN(is_exact)(what))
        FN(add_exactly)(total, v);
    else
        add_wide(total, v);
}

/* Totals, means and what rounding has lost of them, for the columns that are added up at a time; 0
 * beyond their number. */
struct FN(running) {
    wide sum[COLUMNS / WIDE], error[COLUMNS / WIDE], mean[COLUMNS / WIDE], lost[COLUMNS / WIDE];
};

/* `rows` rows of `width` columns, `step` apart, on to the totals. */
TA_INLINE void FN(add_rows)(struct FN(running) *c, const real *x, const real *y, long rows, long step,
                            long width, int what)
{
    wide m = {0}, l = {0};
    for (long row = 0; row < rows;) {
        long count = rows - row < 4 ? 1 : 4, k = 0, j = 0;
        const real *at = x + row * step, *of = y + row * step;
        for (; j + WIDE <= width; j += WIDE, k++) {
            struct FN(total) t = {c->sum[k], c->error[k]};
            if (what == TA_DEVIATIONS) m = c->mean[k], l = c->lost[k];
            FN(add_term)(&t, FN(term)(FN(load_terms)(at + j, of + j, what), what, m, l), what);
            if (count == 4) {
                FN(add_term)(&t, FN(term)(FN(load_terms)(at + j + step, of + j + step, what), what, m, l), what);
                FN(add_term)(&t, FN(term)(FN(load_terms)(at + j + 2 * step, of + j + 2 * step, what), what, m, l), what);
                FN(add_term)(&t, FN(term)(FN(load_terms)(at + j + 3 * step, of + j + 3 * step, what), what, m, l), what);
            }
            c->sum[k] = t.sum, c->error[k] = t.error;
        }
        for (long r = 0; j < width && r < count; r++) {
            struct FN(total) t = {c->sum[k], c->error[k]};
            if (what == TA_DEVIATIONS) m = c->mean[k], l = c->lost[k];
            wide v = FN(term)(FN(load_first_terms)(at + r * step + j, of + r * step + j, width - j, what), what, m, l);
            if (what == TA_DEVIATIONS)
                for (long lane = 0; lane < WIDE; lane++) v[lane] = lane < width - j ? v[lane] : 0;
            FN(add_term)(&t, v, what);
            c->sum[k] = t.sum, c->error[k] = t.error;
        }
        row += count;
    }
}

/* The total of n numbers that stand side by side. */
TA_INLINE struct ta_sum FN(row_total_of)(const real *x, const real *y, long n, int what, double mean,
                                            double lost)
{
    struct ta_sum all = {0, 0};
    if (n < 2 * WIDE && what == TA_VALUES) { /* other short rows are narrow_rows' */
        for (long i = 0; i < n; i++) FN(add_one)(&all.sum, &all.error, (double)x[i]);
        return all;
    }
    struct FN(total) t[4] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
    wide m = mean - (wide){0}, l = lost - (wide){0};
    long i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE)
        for (long k = 0; k < 4; k++)
            FN(add_term)(&t[k], FN(term)(FN(load_terms)(x + i + k * WIDE, y + i + k * WIDE, what), what, m, l), what);
    for (; i + WIDE <= n; i += WIDE) FN(add_term)(&t[0], FN(term)(FN(load_terms)(x + i, y + i, what), what, m, l), what);
    if (i < n) {
        wide v = FN(term)(FN(load_first_terms)(x + i, y + i, n - i, what), what, m, l);
        if (what == TA_DEVIATIONS)
            for (long lane = 0; lane < WIDE; lane++) v[lane] = lane < n - i ? v[lane] : 0;
        FN(add_term)(&t[1], v, what);
    }
    for (long k = 1; k < 4; k++) {
        FN(add_term)(&t[0], t[k].sum, what);
        t[0].error += t[k].error;
    }
    if (!FN(is_exact)(what)) return (struct ta_sum){FN(sum_of_lanes)(t[0].sum), 0};
    for (long k = 0; k < WIDE; k++) {
        FN(add_one)(&all.sum, &all.error, t[0].sum[k]);
        all.error += t[0].error[k];
    }
    return all;
}

TA_INLINE struct ta_sum FN(row_total)(const real *x, long n, int what, double mean, double lost)
{
    return FN(row_total_of)(x, x, n, what, mean, lost);
}

/* The sum of n numbers that stand side by side, for other kernel files. */
static double FN(sum_of)(const real *x, long n)
{
    const struct ta_sum all = FN(row_total)(x, n, TA_VALUES, 0, 0);
    return total_of(all.sum, all.error);
}

/* The totals of a piece of a unit, one a column. */
TA_INLINE void FN(reduce_piece)(const struct FN(reduction) *job, long unit, long piece, int what,
                                struct ta_sum *out)
{
    const struct ta_shape *s = &job->shape;
    long a = unit / s->blocks, column = unit % s->blocks * COLUMNS;
    long width = s->C - column < COLUMNS ? s->C - column : COLUMNS;
    long begin = s->n * piece / s->pieces, rows = s->n * (piece + 1) / s->pieces - begin;
    const long at = (a * s->n + begin) * s->C + column;
    const real *x = job->x + at, *y = what == TA_PRODUCTS ? job->y + at : x;
    const double *mean = job->mean + a * s->C + column, *rest = job->rest + a * s->C + column;
    if (s->C == 1) {
        int centred = what == TA_DEVIATIONS;
        *out = FN(row_total_of)(x, y, rows, what, centred ? *mean : 0, centred ? *rest : 0);
        return;
    }
    /* `joined` rows are read as one. */
    long joined = s->blocks > 1 ? 1 : COLUMNS / width;
    if (joined > rows / 8) joined = rows < 8 ? 1 : rows / 8;
    struct FN(running) c;
    memset(c.sum, 0, sizeof c.sum);
    memset(c.error, 0, sizeof c.error);
    if (what == TA_DEVIATIONS)
        for (long r = 0; r < joined; r++)
            for (long j = 0; j < width; j++) {
                ((double *)c.mean)[r * width + j] = mean[j];
                ((double *)c.lost)[r * width + j] = rest[j];
            }
    long left = rows % joined;
    FN(add_rows)(&c, x, y, rows / joined, joined * s->C, joined * width, what);
    const long last = (rows - left) * s->C;
    if (left) FN(add_rows)(&c, x + last, y + last, 1, 0, left * width, what);
    const double *sum = (const double *)c.sum, *error = (const double *)c.error;
    for (long j = 0; j < width; j++) out[j] = (struct ta_sum){sum[j], error[j]};
    for (long r = 1; r < joined; r++)
        for (long j = 0; j < width; j++) {
            FN(add_one)(&out[j].sum, &out[j].error, sum[r * width + j]);
            out[j].error += error[r * width + j];
        }
}

/* The totals of `count` <= WIDE rows from `unit` on, side by side: rows too short to fill a vector. */
TA_INLINE void FN(narrow_rows)(const struct FN(reduction) *job, long unit, long count, int what,
                              struct ta_sum *out)
{
    const long n = job->shape.n;
    const real *x = job->x + unit * n, *y = what == TA_PRODUCTS ? job->y + unit * n : x;
    struct FN(total) t = {{0}, {0}};
    wide m = {0}, l = {0};
    if (what == TA_DEVIATIONS)
        for (long k = 0; k < count; k++) m[k] = job->mean[unit + k], l[k] = job->rest[unit + k];
    for (long i = 0; i < n; i++) {
        wide v = {0};
        for (long k = 0; k < count; k++)
            v[k] = what == TA_PRODUCTS ? (double)x[k * n + i] * (double)y[k * n + i] : (double)x[k * n + i];
        FN(add_term)(&t, FN(term)(v, what, m, l), what);
    }
    for (long k = 0; k < count; k++) out[k] = (struct ta_sum){t.sum[k], t.error[k]};
}

/* The sums of a unit whose rows are so few that they stay in registers. */
static void FN(sum_few_rows)(const struct FN(reduction) *job, long unit)
{
    const struct ta_shape *s = &job->shape;
    const long a = unit / s->blocks, column = unit % s->blocks * COLUMNS, width = ta_smaller(COLUMNS, s->C - column);
    const real *x = job->x + a * s->n * s->C + column;
    real *out = (real *)job->out + a * s->C + column;
    for (long j = 0; j < width; j += WIDE) {
        const long count = ta_smaller(WIDE, width - j);
        struct FN(total) t = {{0}, {0}};
        for (long row = 0; row < s->n; row++) {
            const real *at = x + row * s->C + j;
            add_wide(&t, count == WIDE ? load_wide(at) : load_first_wide(at, count));
        }
#if REAL_BITS == 32
        if (count == WIDE && job->divisor == 1) {
            *(FN(loose_half) *)(out + j) = __builtin_convertvector(t.sum, FN(half));
            continue;
        }
#endif
        for (long k = 0; k < count; k++) out[j + k] = (real)(total_of(t.sum[k], t.error[k]) / job->divisor);
    }
}

/* Totals become results, `width` of them from `at` on. */
TA_INLINE void FN(finish)(const struct FN(reduction) *job, long at, long width, int what,
                          const struct ta_sum *totals)
{
    const struct ta_shape *s = &job->shape;
    if (what == TA_DEVIATIONS) {
        for (long j = 0; j < width; j++) job->squares[at + j] = total_of(totals[j].sum, totals[j].error);
    } else if (job->mean) {
        double n = (double)s->n;
        for (long j = 0; j < width; j++) {
            double mean = total_of(totals[j].sum, totals[j].error) / n;
            double lost = (fma(-mean, n, totals[j].sum) + totals[j].error) / n;
            job->mean[at + j] = mean;
            job->rest[at + j] = lost == lost ? lost : 0;
        }
    } else if (job->out_is_double) {
        double *out = (double *)job->out + at;
        for (long j = 0; j < width; j++) out[j] = total_of(totals[j].sum, totals[j].error) / job->divisor;
    } else {
        real *out = (real *)job->out + at;
        for (long j = 0; j < width; j++) {
            const double total = total_of(totals[j].sum, totals[j].error);
            out[j] = (real)(what == TA_SQUARES ? sqrt(total) : total / job->divisor);
        }
    }
}

TA_INLINE void FN(finish_unit)(const struct FN(reduction) *job, long unit, int what,
                               const struct ta_sum *totals)
{
    const struct ta_shape *s = &job->shape;
    long column = unit % s->blocks * COLUMNS, at = unit / s->blocks * s->C + column;
    FN(finish)(job, at, s->C - column < COLUMNS ? s->C - column : COLUMNS, what, totals);
}

TA_INLINE void FN(reduce_unit)(const struct FN(reduction) *job, long unit, int what)
{
    struct ta_sum totals[COLUMNS];
    if (job->shape.C == 1) { /* a row, which is short at times: no divisions for its place */
        const long n = job->shape.n;
        const real *x = job->x + unit * n, *y = what == TA_PRODUCTS ? job->y + unit * n : x;
        const int centred = what == TA_DEVIATIONS;
        *totals = FN(row_total_of)(x, y, n, what, centred ? job->mean[unit] : 0, centred ? job->rest[unit] : 0);
        FN(finish)(job, unit, 1, what, totals);
        return;
    }
    FN(reduce_piece)(job, unit, 0, what, totals);
    FN(finish_unit)(job, unit, what, totals);
}

TA_INLINE void FN(reduce_short)(const struct FN(reduction) *job, long unit, long count, int what)
{
    struct ta_sum totals[WIDE];
    if (count == WIDE)
        FN(narrow_rows)(job, unit, WIDE, what, totals);
    else
        FN(narrow_rows)(job, unit, count, what, totals);
    FN(finish)(job, unit, count, what, totals);
}

/* Many small units: those of a part one after another, all of a unit's work while it is in cache. */
static void FN(units_part)(void *arg, long part, long parts)
{
    const struct FN(reduction) *job = arg;
    long units = job->shape.A * job->shape.blocks, end = units * (part + 1) / parts;
    if (job->shape.C == 1 && job->shape.n < 2 * WIDE) {
        for (long unit = units * part / parts; unit < end; unit += WIDE) {
            long count = end - unit < WIDE ? end - unit : WIDE;
            if (job->what == TA_SQUARES)
                FN(reduce_short)(job, unit, count, TA_SQUARES);
            else if (job->what == TA_MAGNITUDES)
                FN(reduce_short)(job, unit, count, TA_MAGNITUDES);
            else if (job->what == TA_PRODUCTS)
                FN(reduce_short)(job, unit, count, TA_PRODUCTS);
            else
                FN(reduce_short)(job, unit, count, TA_VALUES);
            if (job->what == TA_DEVIATIONS) FN(reduce_short)(job, unit, count, TA_DEVIATIONS);
        }
        return;
    }
    const int few = job->what == TA_VALUES && job->shape.n < 8 && !job->mean && !job->out_is_double;
    for (long unit = units * part / parts; unit < end; unit++) {
        if (few)
            FN(sum_few_rows)(job, unit);
        else if (job->what == TA_SQUARES)
            FN(reduce_unit)(job, unit, TA_SQUARES);
        else if (job->what == TA_MAGNITUDES)
            FN(reduce_unit)(job, unit, TA_MAGNITUDES);
        else if (job->what == TA_PRODUCTS)
            FN(reduce_unit)(job, unit, TA_PRODUCTS);
        else
            FN(reduce_unit)(job, unit, TA_VALUES);
        if (job->what == TA_DEVIATIONS) FN(reduce_unit)(job, unit, TA_DEVIATIONS);
    }
}

/* Few large units: a part is a piece. */
static void FN(pieces_part)(void *arg, long part, long parts)
{
    const struct FN(reduction) *job = arg;
    long unit = part / job->shape.pieces, piece = part % job->shape.pieces;
    struct ta_sum *out = job->totals + part * job->shape.width;
    (void)parts;
    if (job->what == TA_VALUES)
        FN(reduce_piece)(job, unit, piece, TA_VALUES, out);
    else if (job->what == TA_SQUARES)
        FN(reduce_piece)(job, unit, piece, TA_SQUARES, out);
    else if (job->what == TA_MAGNITUDES)
        FN(reduce_piece)(job, unit, piece, TA_MAGNITUDES, out);
    else if (job->what == TA_PRODUCTS)
        FN(reduce_piece)(job, unit, piece, TA_PRODUCTS, out);
    else
        FN(reduce_piece)(job, unit, piece, TA_DEVIATIONS, out);
}

static void FN(join_pieces)(const struct FN(reduction) *job)
{
    const struct ta_shape *s = &job->shape;
    for (long unit = 0; unit < s->A * s->blocks; unit++) {
        struct ta_sum *first = job->totals + unit * s->pieces * s->width;
        for (long piece = 1; piece < s->pieces; piece++)
            for (long j = 0; j < s->width; j++) {
                struct ta_sum *more = first + piece * s->width + j;
                FN(add_one)(&first[j].sum, &first[j].error, more->sum);
                first[j].error += more->error;
            }
        FN(finish_unit)(job, unit, job->what, first);
    }
}

static int FN(reduce)(struct FN(reduction) job)
{
    const struct ta_shape *s = &job.shape;
    long units = s->A * s->blocks, totals = s->pieces > 1 ? units * s->pieces * s->width : 0;
    if (!units) return 0;
    if (totals) {
        job.totals = ta_scratch(TA_SHARED, (size_t)totals * sizeof *job.totals);
        if (!job.totals) return 1;
        memset(job.totals, 0, (size_t)totals * sizeof *job.totals);
    }
    if (s->pieces == 1) {
        ta_parallel(FN(units_part), &job, ta_row_parts(units, s->n * s->width));
    } else {
        int what = job.what;
        if (what == TA_DEVIATIONS) {
            job.what = TA_VALUES;
            ta_parallel(FN(pieces_part), &job, units * s->pieces);
            FN(join_pieces)(&job);
            job.what = what;
        }
        ta_parallel(FN(pieces_part), &job, units * s->pieces);
        FN(join_pieces)(&job);
    }
    if (totals) ta_scratch_done(TA_SHARED);
    return 0;
}

KERNEL(sum)(const real *x, double divisor, void *out, int out_is_double, int64_t A, int64_t n,
            int64_t C)
{
    return FN(reduce)((struct FN(reduction)){.shape = ta_reduction_shape(A, n, C), .x = x,
                                             .divisor = divisor, .out = out,
                                             .out_is_double = out_is_double, .what = TA_VALUES});
}

KERNEL(norm)(const real *x, real *out, int64_t A, int64_t n, int64_t C)
{
    return FN(reduce)((struct FN(reduction)){.shape = ta_reduction_shape(A, n, C), .x = x, .out = out,
                                             .what = TA_SQUARES});
}

KERNEL(magnitudes)(const real *x, double *out, int64_t A, int64_t n, int64_t C)
{
    return FN(reduce)((struct FN(reduction)){.shape = ta_reduction_shape(A, n, C), .x = x, .divisor = 1,
                                             .out = out, .out_is_double = 1, .what = TA_MAGNITUDES});
}

KERNEL(products)(const real *x, const real *y, real *out, int64_t A, int64_t n, int64_t C)
{
    return FN(reduce)((struct FN(reduction)){.shape = ta_reduction_shape(A, n, C), .x = x, .y = y, .divisor = 1,
                                             .out = out, .what = TA_PRODUCTS});
}

KERNEL(moments)(const real *x, double *mean, double *rest, double *squares, int64_t A, int64_t n, int64_t C)
{
    return FN(reduce)((struct FN(reduction)){.shape = ta_reduction_shape(A, n, C), .x = x, .mean = mean,
                                             .rest = rest, .squares = squares, .what = TA_DEVIATIONS});
}

/* dx = slope (x - mean - rest), in double; the arguments of moments and slope (A, C). */
struct FN(centring) {
    const real *x, *slope;
    const double *mean, *rest;
    real *out;
    long A, n, C;
};

TA_INLINE real FN(centred)(real x, real slope, double mean, double rest)
{
    return (real)((double)slope * (((double)x - mean) - rest));
}

static void FN(centring_part)(void *arg, long part, long parts)
{
    const struct FN(centring) *job = arg;
    const long n = job->n, C = job->C, end = job->A * n * (part + 1) / parts;
    for (long row = job->A * n * part / parts; row < end;) {
        const long a = row / n, last = ta_smaller(end, (a + 1) * n);
        const real *x = job->x + row * C, *slope = job->slope + a * C;
        const double *mean = job->mean + a * C, *rest = job->rest + a * C;
        real *out = job->out + row * C;
        if (C == 1)
            for (long i = 0; i < last - row; i++) out[i] = FN(centred)(x[i], *slope, *mean, *rest);
        else
            for (long i = 0; i < last - row; i++, x += C, out += C)
                for (long j = 0; j < C; j++) out[j] = FN(centred)(x[j], slope[j], mean[j], rest[j]);
        row = last;
    }
}

KERNEL(moments_backward)(const real *slope, const real *x, const double *mean, const double *rest, real *out,
                         int64_t A, int64_t n, int64_t C)
{
    struct FN(centring) job = {x, slope, mean, rest, out, A, n, C};
    if (A && n && C) ta_parallel(FN(centring_part), &job, ta_row_parts(A * n, C));
    return 0;
}

TA_INLINE real FN(next_sum)(struct ta_sum *before, real x)
{
#if REAL_BITS == 64
    FN(add_one)(&before->sum, &before->error, x);
    return total_of(before->sum, before->error);
#else
    return (real)(before->sum += (double)x);
#endif
}

/* Running sums. A piece starts from the total of those before it, which a first pass has added up. */
static void FN(cumsum_piece)(const struct FN(reduction) *job, long unit, long piece, int reverse,
                             struct ta_sum *before)
{
    const struct ta_shape *s = &job->shape;
    long a = unit / s->blocks, column = unit % s->blocks * COLUMNS;
    long width = s->C - column < COLUMNS ? s->C - column : COLUMNS;
    long begin = s->n * piece / s->pieces, rows = s->n * (piece + 1) / s->pieces - begin;
    long at = (a * s->n + (reverse ? begin + rows - 1 : begin)) * s->C + column;
    long step = reverse ? -s->C : s->C;
    const real *x = job->x + at;
    real *out = (real *)job->out + at;
    if (width == 1) {
        struct ta_sum one = *before; /* in registers: out might be where `before` is */
        for (long row = 0; row < rows; row++, x += step, out += step) *out = FN(next_sum)(&one, *x);
        return;
    }
    for (long row = 0; row < rows; row++, x += step, out += step)
        for (long j = 0; j < width; j++) out[j] = FN(next_sum)(&before[j], x[j]);
}

static void FN(cumsum_part)(void *arg, long part, long parts)
{
    const struct FN(reduction) *job = arg;
    const struct ta_shape *s = &job->shape;
    int reverse = job->what;
    if (s->pieces > 1) {
        FN(cumsum_piece)(job, part / s->pieces, part % s->pieces, reverse, job->totals + part * s->width);
        return;
    }
    long units = s->A * s->blocks, end = units * (part + 1) / parts;
    for (long unit = units * part / parts; unit < end; unit++) {
        struct ta_sum before[COLUMNS];
        memset(before, 0, (size_t)s->width * sizeof *before);
        FN(cumsum_piece)(job, unit, 0, reverse, before);
    }
}

KERNEL(cumsum)(const real *x, int reverse, real *out, int64_t A, int64_t n, int64_t C)
{
    struct FN(reduction) job = {.shape = ta_reduction_shape(A, n, C), .x = x, .out = out};
    const struct ta_shape *s = &job.shape;
    long units = s->A * s->blocks;
    if (!units || !s->n) return 0;
    if (s->pieces == 1) {
        job.what = reverse;
        ta_parallel(FN(cumsum_part), &job, ta_row_parts(units, s->n * s->width));
        return 0;
    }
    job.totals = ta_scratch(TA_SHARED, (size_t)(units * s->pieces * s->width) * sizeof *job.totals);
    if (!job.totals) return 1;
    memset(job.totals, 0, (size_t)(units * s->pieces * s->width) * sizeof *job.totals);
    job.what = TA_VALUES;
    ta_parallel(FN(pieces_part), &job, units * s->pieces);
    for (long unit = 0; unit < units; unit++)
        for (long j = 0; j < s->width; j++) {
            struct ta_sum before = {0, 0};
            for (long k = 0; k < s->pieces; k++) {
                long piece = reverse ? s->pieces - 1 - k : k;
                struct ta_sum *at = job.totals + (unit * s->pieces + piece) * s->width + j, own = *at;
                *at = before;
                FN(add_one)(&before.sum, &before.error, own.sum);
                before.error += own.error;
            }
        }
    job.what = reverse;
    ta_parallel(FN(cumsum_part), &job, units * s->pieces);
    ta_scratch_done(TA_SHARED);
    return 0;
}
