/* Copies between arrays of any strides, one number in every element, and triangles of matrices. Look first
 * at copy_rows_part and copy_tiles_part.
 *
 * Elements are moved, never computed with, so `real` stands for anything of its size; elements of one
 * byte are moved in the float version. The axes come as kernels/layouts.py orders them: as they stand in
 * the memory of `to`, whose last axis is walked from element to element. Where `from` has the shorter
 * step on the axis before it, as in a transposed matrix, work goes in tiles. A tile is as wide as a cache
 * line of `from`, so that every line of both arrays is used whole while it is in the first-level cache. */
#ifndef TA_COPY
#define TA_COPY
enum {
    CACHE_LINE = 64,
    TILE_LENGTH = 1024,
    SHORT_ROW = 4096,      /* bytes */
    OUT_OF_CACHE = 4 << 20 /* bytes */
};
#endif

struct FN(copy_job) {
    const char *from;
    char *to;
    const int64_t *shape, *source, *target; /* of every axis: the size, and the steps in bytes */
    long axes, size;                        /* size: of an element, in bytes */
    int64_t units;                          /* elements, or tiles */
    long each;                              /* units of a part */
    long strips, lengths;                   /* tiles beside and behind each other, of the last two axes */
};

/* Elements from y to where the next whole vector begins; at least one. */
TA_INLINE long FN(to_a_line)(const real *y) { return LANES - (long)((uintptr_t)y / sizeof *y % LANES); }

#undef COPY_RUN
#define COPY_RUN(type)                                                                          \
    if (to_step == sizeof(type)) {                                                              \
        type *y = (type *)to;                                                                   \
        if (!from_step) {                                                                       \
            const type x = *(const type *)from;                                                 \
            for (long i = 0; i < n; i++) y[i] = x;                                              \
        } else if (from_step == -(long)sizeof(type)) {                                          \
            const type *x = (const type *)from;                                                 \
            for (long i = 0; i < n; i++) y[i] = x[-i];                                          \
        } else                                                                                  \
            for (long i = 0; i < n; i++) y[i] = *(const type *)(from + i * from_step);          \
    } else                                                                                      \
        for (long i = 0; i < n; i++) *(type *)(to + i * to_step) = *(const type *)(from + i * from_step);

/* y = x, one row. The vectors of a short one begin at the cache lines of y; memcpy's begin anywhere. */
TA_INLINE void FN(copy_row)(real *y, const real *x, long n)
{
    if (n < 2 * LANES || n > SHORT_ROW / (long)sizeof *y) {
        memcpy(y, x, n * sizeof *y);
        return;
    }
    store(y, load(x));
    for (long i = FN(to_a_line)(y); i < n - LANES; i += LANES) store(y + i, load(x + i));
    store(y + n - LANES, load(x + n - LANES));
}

/* n elements along one axis. */
TA_INLINE void FN(copy_run)(char *to, long to_step, const char *from, long from_step, long n, long size)
{
    if (to_step == size && from_step == size) {
        if (size == sizeof(real))
            FN(copy_row)((real *)to, (const real *)from, n);
        else
            memcpy(to, from, n * size);
        return;
    }
#if REAL_BITS == 32
    if (size == 1) {
        COPY_RUN(uint8_t)
        return;
    }
#endif
    COPY_RUN(real)
}

/* Elements `part * each` and so on, run by run along the last axis. */
static void FN(copy_rows_part)(void *arg, long part, long parts)
{
    (void)parts;
    const struct FN(copy_job) *job = arg;
    const long last = job->axes - 1, size = job->size;
    const int64_t first = (int64_t)part * job->each, rest = job->units - first;
    const long count = rest < job->each ? (long)rest : job->each;
    const long n = job->shape[last], from_step = job->source[last], to_step = job->target[last];
    int64_t index[MOST_AXES], place = first;
    const char *from = job->from;
    char *to = job->to;
    for (long axis = last; axis >= 0; axis--) {
        index[axis] = place % job->shape[axis];
        place /= job->shape[axis];
        from += index[axis] * job->source[axis];
        to += index[axis] * job->target[axis];
    }
    for (long done = 0; done < count;) {
        const long run = ta_smaller(count - done, n - index[last]);
        FN(copy_run)(to, to_step, from, from_step, run, size);
        done += run;
        /* On to the next run: the last axis is at its end, the axes before it count on. */
        from -= index[last] * from_step;
        to -= index[last] * to_step;
        index[last] = 0;
        for (long axis = last - 1; axis >= 0; axis--) {
            from += job->source[axis];
            to += job->target[axis];
            if (++index[axis] < job->shape[axis]) break;
            from -= index[axis] * job->source[axis];
            to -= index[axis] * job->target[axis];
            index[axis] = 0;
        }
    }
}

/* to[j][i] = from[i][j] for `rows` rows of `from` with `columns` columns, at most LANES of both; steps are in
 * bytes. In each round the halves, quarters, ... of two rows change places, until row j has become column
 * j. */
TA_INLINE void FN(turn_square)(char *to, long to_step, const char *from, long from_step, long rows, long columns)
{
#if LEVEL_NUMBER && defined(__GNUC__) && !defined(__clang__)
    vec row[LANES];
#pragma GCC unroll 16
    for (long i = 0; i < LANES; i++)
        row[i] = i < rows ? load_some((const real *)(from + i * from_step), columns) : splat(0);
#pragma GCC unroll 4
    for (long half = LANES / 2; half; half /= 2) {
        ivec low, high;
        for (long i = 0; i < LANES; i++) {
            low[i] = i & half ? LANES + i - half : i;
            high[i] = i & half ? LANES + i : i + half;
        }
#pragma GCC unroll 16
        for (long i = 0; i < LANES; i++)
            if (!(i & half)) {
                const vec a = row[i], b = row[i + half];
                row[i] = __builtin_shuffle(a, b, low);
                row[i + half] = __builtin_shuffle(a, b, high);
            }
    }
#pragma GCC unroll 16
    for (long j = 0; j < LANES; j++)
        if (j < columns) store_some((real *)(to + j * to_step), row[j], rows);
#else
    for (long j = 0; j < columns; j++)
        for (long i = 0; i < rows; i++)
            ((real *)(to + j * to_step))[i] = ((const real *)(from + i * from_step))[j];
#endif
}

/* A tile: `rows` rows of `to`, each of n elements. Going from row to row takes a step on the axis before
 * the last, and going along a row a step on the last axis. */
static void FN(copy_tile)(const struct FN(copy_job) *job, char *to, const char *from, long rows, long n)
{
    const long before = job->axes - 2, last = job->axes - 1, size = job->size;
    const long to_row = job->target[before], to_step = job->target[last];
    const long from_row = job->source[before], from_step = job->source[last];
    const int even = size == sizeof(real) && to_step == size && from_row == size;
    for (long i = 0; i < n; i += LANES)
        for (long j = 0; j < rows; j += LANES) {
            char *y = to + j * to_row + i * to_step;
            const char *x = from + j * from_row + i * from_step;
            const long high = ta_smaller(LANES, n - i), wide = ta_smaller(LANES, rows - j);
            /* Where the compiler knows that vectors are whole, it takes instructions without masks. */
            if (even && high == LANES && wide == LANES)
                FN(turn_square)(y, to_row, x, from_step, LANES, LANES);
            else if (even && high == LANES)
                FN(turn_square)(y, to_row, x, from_step, LANES, wide);
            else if (even && wide == LANES)
                FN(turn_square)(y, to_row, x, from_step, high, LANES);
            else if (even)
                FN(turn_square)(y, to_row, x, from_step, high, wide);
            else
                for (long k = 0; k < wide; k++)
                    FN(copy_run)(y + k * to_row, to_step, x + k * from_row, from_step, high, size);
        }
}

static void FN(copy_tiles_part)(void *arg, long part, long parts)
{
    (void)parts;
    const struct FN(copy_job) *job = arg;
    const long before = job->axes - 2, last = job->axes - 1, width = CACHE_LINE / job->size;
    const int64_t end = (int64_t)(part + 1) * job->each;
    for (int64_t unit = (int64_t)part * job->each; unit < end && unit < job->units; unit++) {
        const long i = unit % job->lengths * TILE_LENGTH, j = unit / job->lengths % job->strips * width;
        int64_t place = unit / job->lengths / job->strips;
        const char *from = job->from + j * job->source[before] + i * job->source[last];
        char *to = job->to + j * job->target[before] + i * job->target[last];
        for (long axis = before - 1; axis >= 0; axis--) {
            const int64_t index = place % job->shape[axis];
            place /= job->shape[axis];
            from += index * job->source[axis];
            to += index * job->target[axis];
        }
        FN(copy_tile)(job, to, from, ta_smaller(width, job->shape[before] - j),
                      ta_smaller(TILE_LENGTH, job->shape[last] - i));
    }
}

static inline int64_t FN(distance)(int64_t step) { return step < 0 ? -step : step; }

/* The elements of `from` into `to`, both of `size` bytes an element (a number's, or 1). `layout` has for
 * all axes, at least one, their sizes, then the steps in bytes of `from` and those of `to`. */
KERNEL(copy)(const void *from, void *to, int64_t size, int64_t axes, const int64_t *layout)
{
    struct FN(copy_job) job = {.from = from, .to = to, .size = (long)size, .axes = (long)axes};
    job.shape = layout;
    job.source = layout + axes;
    job.target = layout + 2 * axes;
    int64_t count = 1;
    for (long axis = 0; axis < axes; axis++) count *= job.shape[axis];
    if (!count) return 0;
    const long last = job.axes - 1, width = CACHE_LINE / job.size;
    const int64_t before = axes > 1 ? FN(distance)(job.source[last - 1]) : 0;
    if (before && before < FN(distance)(job.source[last])) {
        job.strips = (job.shape[last - 1] + width - 1) / width;
        job.lengths = (job.shape[last] + TILE_LENGTH - 1) / TILE_LENGTH;
        job.units = count / job.shape[last] / job.shape[last - 1] * job.strips * job.lengths;
        job.each = PART_ELEMENTS / (width * ta_smaller(TILE_LENGTH, job.shape[last]));
        if (job.each < 1) job.each = 1;
        ta_parallel(FN(copy_tiles_part), &job, (long)((job.units - 1) / job.each + 1));
    } else {
        job.units = count;
        job.each = PART_ELEMENTS;
        ta_parallel(FN(copy_rows_part), &job, (long)((job.units - 1) / job.each + 1));
    }
    return 0;
}

struct FN(filling) {
    real *y, x;
    int64_t n;
    int is_zero; /* and y is larger than the second-level caches */
};

static void FN(fill_part)(void *arg, long part, long parts)
{
    (void)parts;
    const struct FN(filling) *job = arg;
    const int64_t begin = (int64_t)part * PART_ELEMENTS;
    const long n = ta_smaller(PART_ELEMENTS, job->n - begin);
    const vec x = splat(job->x);
    real *y = job->y + begin;
    if (job->is_zero) { /* memset need not read what it overwrites */
        memset(y, 0, n * sizeof *y);
        return;
    }
    if (n < LANES) {
        store_first(y, x, n);
        return;
    }
    store(y, x);
    for (long i = FN(to_a_line)(y); i < n - LANES; i += LANES) store(y + i, x);
    store(y + n - LANES, x);
}

/* y (n) = x, one number. */
KERNEL(fill)(const real *x, real *y, int64_t n)
{
    static const real zero;
    struct FN(filling) job = {.y = y, .x = *x, .n = n};
    job.is_zero = n > OUT_OF_CACHE / (int64_t)sizeof *y && !memcmp(x, &zero, sizeof zero);
    ta_parallel(FN(fill_part), &job, (long)((n + PART_ELEMENTS - 1) / PART_ELEMENTS));
    return 0;
}

struct FN(placing) {
    const real *x;
    real *y;
    int64_t A, m, n, C, start, step;
    int64_t each; /* rows of a part */
};

/* Rows of y, each of C elements: 0, and those of x where they belong, while they are in the cache. */
static void FN(placed_rows_part)(void *arg, long part, long parts)
{
    (void)parts;
    const struct FN(placing) *job = arg;
    const int64_t n = job->n, C = job->C, start = job->start, step = job->step;
    const int64_t end = ta_smaller((part + 1) * job->each, job->A * n);
    for (int64_t row = part * job->each, count; row < end; row += count) {
        const int64_t a = row / n, i = row % n;
        count = ta_smaller(n - i, end - row);
        /* Row k of x goes to row start + k step of y: first <= k < last are among these. */
        const int64_t first = i > start ? (i - start + step - 1) / step : 0;
        const int64_t behind = i + count > start ? (i + count - start + step - 1) / step : 0;
        const int64_t last = ta_smaller(behind, job->m);
        const real *x = job->x + a * job->m * C;
        real *y = job->y + row * C;
        memset(y, 0, count * C * sizeof *y);
        y += (start - i) * C;
        if (step == 1 && first < last)
            memcpy(y + first * C, x + first * C, (last - first) * C * sizeof *y);
        for (int64_t k = first; step > 1 && k < last; k++)
            if (C == 1)
                y[k * step] = x[k];
            else
                memcpy(y + k * step * C, x + k * C, C * sizeof *y);
    }
}

/* y (A, n, C) = 0, but x (A, m, C) at start, start + step, ... along the middle axis. */
KERNEL(place)(const real *x, int64_t start, int64_t step, real *y, int64_t A, int64_t m, int64_t n, int64_t C)
{
    if (A * n * C == 0) return 0;
    struct FN(placing) job = {x, y, A, m, n, C, start, step, PART_ELEMENTS / C + 1};
    ta_parallel(FN(placed_rows_part), &job, (long)((A * n - 1) / job.each + 1));
    return 0;
}

struct FN(triangle_job) {
    const real *x;
    real *y;
    int64_t rows, N, C, k; /* rows: of all matrices together */
    int upper;
};

static void FN(triangle_part)(void *arg, long part, long parts)
{
    const struct FN(triangle_job) *job = arg;
    const int64_t C = job->C;
    for (int64_t row = job->rows * part / parts; row < job->rows * (part + 1) / parts; row++) {
        /* The first column that lies above the diagonal k, or on it where the upper triangle is kept. */
        int64_t border = row % job->N + job->k + !job->upper;
        border = border < 0 ? 0 : border > C ? C : border;
        const int64_t kept = job->upper ? border : 0, lost = job->upper ? 0 : border;
        const int64_t keep = job->upper ? C - border : border;
        memcpy(job->y + row * C + kept, job->x + row * C + kept, keep * sizeof(real));
        memset(job->y + row * C + lost, 0, (C - keep) * sizeof(real));
    }
}

/* y = x (A, N, C), but 0 where j - i > k; where j - i < k if `upper` is set. */
KERNEL(triangle)(const real *x, int64_t k, int64_t upper, real *y, int64_t A, int64_t N, int64_t C)
{
    struct FN(triangle_job) job = {x, y, A * N, N, C, k, (int)upper};
    if (A * N * C > 0) ta_parallel(FN(triangle_part), &job, ta_row_parts(A * N, C));
    return 0;
}
