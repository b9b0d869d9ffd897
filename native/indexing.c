/* Elements picked by an index along the middle axis, written there, and added up there:
 *
 *   gather       y[a, i, c] = x[a, index[a, i, c], c]
 *   scatter      y[a, index[a, i, c], c] = x[a, i, c];  of several the last one stays
 *   scatter_add  y[a, j, c] = the sum of x[a, i, c] over all i with index[a, i, c] = j, in their order
 *
 * The index may be the same for every a, and for every c. Parts are cut so that no two of them write to
 * the same place. An index outside [0, n) is not followed; the call then returns OUTSIDE. Look first at
 * gather_columns_part; scatter_add_part has the sums, sorted_part those over a long axis. */
#ifndef TA_INDEXING
#define TA_INDEXING
enum {
    OUTSIDE = 2,
    IN_CACHE = 32768, /* so many doubles stay in the second-level cache */
    NARROW = 16,      /* columns, of a block of columns at least */
    RUN = 512,        /* indices that are checked before they are followed */
    MOST_BLOCKS = 4096
};

/* The shapes, and how the work is cut: x or y (A, n, C) on one side, (A, N, C) on the other. */
struct ta_picks {
    const int64_t *index;
    int64_t A, n, N, C;
    int64_t index_a, index_i, index_c; /* steps of the index, in elements; 0: the same everywhere */
    int64_t width, blocks;             /* columns of a block, and blocks beside each other */
    int64_t units, each;               /* blocks of all a, and how many a part has */
    atomic_int status;
};

static inline struct ta_picks ta_picks(const int64_t *index, int64_t A, int64_t n, int64_t N, int64_t C,
                                       int64_t index_A, int64_t index_C)
{
    struct ta_picks p = {.index = index, .A = A, .n = n, .N = N, .C = C};
    p.index_c = index_C > 1 || C == 1;
    p.index_i = index_C;
    p.index_a = index_A > 1 ? N * index_C : 0;
    return p;
}

/* Blocks of columns so narrow that n rows of them have at most `room` elements and stay in a cache. One of n
 * and N is not 0. */
static inline void ta_cut_columns(struct ta_picks *p, int64_t room)
{
    const int64_t longest = p->n > p->N ? p->n : p->N;
    const int64_t fit = room / longest / NARROW * NARROW;
    p->width = ta_smaller(fit < NARROW ? NARROW : fit, p->C);
    p->blocks = (p->C + p->width - 1) / p->width;
    p->units = p->A * p->blocks;
    p->each = PART_ELEMENTS / ((p->N + 1) * p->width);
    if (p->each < 1) p->each = 1;
}

static inline long ta_parts_of(const struct ta_picks *p) { return (long)((p->units - 1) / p->each + 1); }

/* Block `unit`: the a it belongs to, and its columns. */
struct ta_block {
    int64_t a, first, width;
};

static inline struct ta_block ta_block_of(const struct ta_picks *p, int64_t unit)
{
    const int64_t first = unit % p->blocks * p->width;
    return (struct ta_block){unit / p->blocks, first, ta_smaller(p->width, p->C - first)};
}

static inline int ta_is_outside(int64_t index, int64_t n) { return (uint64_t)index >= (uint64_t)n; }
#endif

/* Whether one of the indices is outside. Without its sign a negative number is a very large one. */
TA_INLINE int FN(any_outside)(const int64_t *index, int64_t count, int64_t n)
{
    int64_t outside = 0;
    for (int64_t i = 0; i < count; i++) outside |= (uint64_t)index[i] >= (uint64_t)n;
    return outside != 0;
}

struct FN(picking) {
    struct ta_picks p;
    const real *x;
    real *y;
    int64_t x_a, x_i, x_c; /* of scatter: steps of x, in elements */
    const real *onto;      /* of scatter_add: (A, n, C), what the sums begin with, or NULL */
};

/* x[index]. The compiler must not make a gather instruction of neighbouring calls: it takes longer. */
TA_INLINE real FN(picked)(const real *x, int64_t index)
{
    __asm__("" : "+r"(index));
    return x[index];
}

/* Whole rows, or single elements where C is 1: part by part of the N rows of all a. */
static void FN(gather_rows_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(picking) *job = arg;
    const struct ta_picks *p = &job->p;
    const int64_t C = p->C, end = ta_smaller((part + 1) * p->each, p->units);
    for (int64_t row = part * p->each; row < end;) {
        const int64_t a = row / p->N, i = row % p->N;
        const int64_t count = ta_smaller(RUN, ta_smaller(p->N - i, end - row));
        const int64_t *index = p->index + a * p->index_a + i;
        const real *x = job->x + a * p->n * C;
        real *y = job->y + row * C;
        row += count;
        if (FN(any_outside)(index, count, p->n))
            job->p.status = OUTSIDE;
        else if (C == 1)
            for (int64_t k = 0; k < count; k++) y[k] = FN(picked)(x, index[k]);
        else
            for (int64_t k = 0; k < count; k++) memcpy(y + k * C, x + index[k] * C, C * sizeof(real));
    }
}

static void FN(gather_columns_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(picking) *job = arg;
    const struct ta_picks *p = &job->p;
    for (int64_t unit = part * p->each; unit < ta_smaller((part + 1) * p->each, p->units); unit++) {
        const struct ta_block b = ta_block_of(p, unit);
        const int64_t *index = p->index + b.a * p->index_a + b.first;
        const real *x = job->x + b.a * p->n * p->C + b.first;
        real *y = job->y + b.a * p->N * p->C + b.first;
        for (int64_t i = 0; i < p->N; i++, index += p->index_i, y += p->C)
            if (FN(any_outside)(index, b.width, p->n))
                job->p.status = OUTSIDE;
            else
                for (int64_t c = 0; c < b.width; c++) y[c] = FN(picked)(x, index[c] * p->C + c);
    }
}

/* x (A, n, C), index (A or 1, N, C or 1), y (A, N, C). */
KERNEL(gather)(const real *x, const int64_t *index, real *y, int64_t A, int64_t n, int64_t N, int64_t C,
               int64_t index_A, int64_t index_C)
{
    if (A * N * C == 0) return 0;
    if (!n) return OUTSIDE;
    struct FN(picking) job = {.p = ta_picks(index, A, n, N, C, index_A, index_C), .x = x, .y = y};
    struct ta_picks *p = &job.p;
    if (C == 1 || index_C == 1) {
        p->units = A * N;
        p->each = PART_ELEMENTS / C + 1;
        ta_parallel(FN(gather_rows_part), &job, ta_parts_of(p));
    } else {
        ta_cut_columns(p, 4 * IN_CACHE);
        ta_parallel(FN(gather_columns_part), &job, ta_parts_of(p));
    }
    return job.p.status;
}

/* One row of a block: at `index`, which is one for all columns, or one for each. `x` has a number for
 * each column, or, with step 0, one for all. Returns whether an index is outside. */
TA_INLINE int FN(scatter_row)(real *y, const real *x, int64_t step, const int64_t *index,
                              const struct ta_picks *p, int64_t width)
{
    const int64_t n = p->n, C = p->C;
    int outside = 0;
    if (p->index_c)
        for (int64_t c = 0; c < width; c++)
            if (ta_is_outside(index[c], n))
                outside = 1;
            else
                y[index[c] * C + c] = x[c * step];
    else if (ta_is_outside(*index, n))
        outside = 1;
    else if (step)
        memcpy(y + *index * C, x, width * sizeof(real));
    else {
        const real number = *x;
        for (int64_t c = 0; c < width; c++) y[*index * C + c] = number;
    }
    return outside;
}

static void FN(scatter_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(picking) *job = arg;
    const struct ta_picks *p = &job->p;
    int outside = 0;
    for (int64_t unit = part * p->each; unit < ta_smaller((part + 1) * p->each, p->units); unit++) {
        const struct ta_block b = ta_block_of(p, unit);
        const int64_t *index = p->index + b.a * p->index_a + b.first * p->index_c;
        const real *x = job->x + b.a * job->x_a + b.first * job->x_c;
        real *y = job->y + b.a * p->n * p->C + b.first;
        for (int64_t i = 0; p->C > 1 && i < p->N; i++, index += p->index_i, x += job->x_i)
            outside |= FN(scatter_row)(y, x, job->x_c, index, p, b.width);
        const int64_t N = p->N, n = p->n, step = job->x_i;
        for (int64_t i = 0; p->C == 1 && i < N; i++)
            if (ta_is_outside(index[i], n))
                outside = 1;
            else
                y[index[i]] = x[i * step];
    }
    if (outside) job->p.status = OUTSIDE;
}

/* x (A, N, C), or one number where `single` is set; index (A or 1, N, C or 1), y (A, n, C). */
KERNEL(scatter)(const real *x, const int64_t *index, real *y, int64_t A, int64_t n, int64_t N, int64_t C,
                int64_t index_A, int64_t index_C, int64_t single)
{
    if (A * N * C == 0) return 0;
    struct FN(picking) job = {.p = ta_picks(index, A, n, N, C, index_A, index_C), .x = x, .y = y};
    if (!single) {
        job.x_a = N * C;
        job.x_i = C;
        job.x_c = 1;
    }
    /* Whole rows gain nothing from a cache: they are cut only for several threads. */
    ta_cut_columns(&job.p, index_C == 1 && C > 1 ? (n > N ? n : N) * (C / 8 + NARROW) : IN_CACHE);
    ta_parallel(FN(scatter_part), &job, ta_parts_of(&job.p));
    return job.p.status;
}

/* One more number on sum[0]. Sums of doubles keep what rounding has lost of them at sum[lost]. */
TA_INLINE void FN(add_to)(double *sum, int64_t lost, real v)
{
#if REAL_BITS == 64
    FN(add_one)(sum, sum + lost, v);
#else
    (void)lost;
    *sum += (double)v;
#endif
}

/* `count` sums begin with these numbers. */
TA_INLINE void FN(begin_sums)(double *sum, const real *onto, int64_t count)
{
    for (int64_t i = 0; i < count; i++) sum[i] = (double)onto[i];
}

/* y where nothing is added. */
TA_INLINE void FN(begin_only)(real *y, const real *onto, int64_t count)
{
    if (onto)
        memcpy(y, onto, count * sizeof *y);
    else
        memset(y, 0, count * sizeof *y);
}

/* `count` sums, rounded. */
TA_INLINE void FN(round_sums)(real *y, const double *sum, int64_t lost, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
#if REAL_BITS == 64
        y[i] = total_of(sum[i], sum[lost + i]);
#else
        y[i] = (real)sum[i];
#endif
    (void)lost;
}

enum { FN(KEPT_SUMS) = REAL_BITS == 64 ? 2 : 1 }; /* doubles for a sum */

/* Adds the rows x (count, width) to rows of sums. `step` is the index's from column to column, 0 or 1. */
TA_INLINE void FN(add_picked_rows)(double *sums, int64_t lost, const real *x, const int64_t *index,
                                   int64_t count, int64_t width, int64_t step, int64_t x_i,
                                   int64_t index_i)
{
    for (int64_t i = 0; i < count; i++, index += index_i, x += x_i)
        for (int64_t c = 0; c < width; c++) FN(add_to)(sums + index[c * step] * width + c, lost, x[c]);
}

static void FN(add_picked)(double *sums, int64_t lost, const real *x, const int64_t *index,
                           const struct ta_picks *p, int64_t count, int64_t width)
{
    if (p->C == 1) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < count; i++) FN(add_to)(sums + index[i], lost, x[i]);
    } else if (p->index_c)
        FN(add_picked_rows)(sums, lost, x, index, count, width, 1, p->C, p->index_i);
    else
        FN(add_picked_rows)(sums, lost, x, index, count, width, 0, p->C, 1);
}

/* The sums of a block of columns, in a buffer (n, width). If few rows are named, only these are written
 * to y, which is 0 elsewhere, and set to 0 again in the buffer. */
static void FN(scatter_add_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(picking) *job = arg;
    const struct ta_picks *p = &job->p;
    const int64_t lost = p->n * p->width, size = FN(KEPT_SUMS) * lost * sizeof(double);
    const int few = p->C == 1 && p->N < p->n / 8;
    double *sums = ta_scratch(TA_PART, size);
    if (!sums) {
        job->p.status = 1;
        return;
    }
    if (few) memset(sums, 0, size);
    for (int64_t unit = part * p->each; unit < ta_smaller((part + 1) * p->each, p->units); unit++) {
        const struct ta_block b = ta_block_of(p, unit);
        const int64_t *index = p->index + b.a * p->index_a + b.first * p->index_c;
        const real *x = job->x + b.a * p->N * p->C + b.first;
        const int64_t place = b.a * p->n * p->C + b.first;
        real *y = job->y + place;
        const real *onto = job->onto ? job->onto + place : NULL;
        const int rows = !p->index_c || p->C == 1; /* one index for each */
        int outside = rows && FN(any_outside)(index, p->N, p->n);
        for (int64_t i = 0; !rows && i < p->N; i++)
            outside |= FN(any_outside)(index + i * p->index_i, b.width, p->n);
        if (outside) {
            job->p.status = OUTSIDE;
            continue;
        }
        if (few) {
            FN(begin_only)(y, onto, p->n);
            for (int64_t i = 0; i < p->N; i++) sums[index[i]] = (double)y[index[i]];
            FN(add_picked)(sums, lost, x, index, p, p->N, 1);
            for (int64_t i = 0; i < p->N; i++) FN(round_sums)(y + index[i], sums + index[i], lost, 1);
            for (int64_t i = 0; i < p->N; i++) sums[index[i]] = sums[index[i] + size / 8 - lost] = 0;
            continue;
        }
        memset(sums, 0, size);
        /* A block that is as wide as the array is read and written as one row. */
        const int64_t rows_of_y = b.width == p->C ? 1 : p->n, row = p->n * b.width / rows_of_y;
        for (int64_t j = 0; onto && j < rows_of_y; j++) FN(begin_sums)(sums + j * row, onto + j * p->C, row);
        FN(add_picked)(sums, lost, x, index, p, p->N, b.width);
        for (int64_t j = 0; j < rows_of_y; j++) FN(round_sums)(y + j * p->C, sums + j * row, lost, row);
    }
    ta_scratch_done(TA_PART);
}

/* Sums over a long axis, whose buffer would leave the caches. The numbers are first sorted by the block of
 * rows of y that they belong to, in their order; a part then owns a block. An entry is the number's place
 * and, in its last bits, the row within the block. */
struct FN(sorting) {
    struct ta_picks p;
    const real *x, *onto; /* onto: what the sums begin with, or NULL */
    real *y;
    int64_t *entries, *starts; /* starts (blocks, chunks): where entries of a chunk go in their block */
    int64_t blocks, chunks;
    int shift; /* a block has 2^shift rows */
};

/* Entry e goes to row index[e], or to row index[e] * columns + e % columns. */
TA_INLINE int64_t FN(row_reached)(const struct ta_picks *p, int64_t e)
{
    return p->blocks > 1 ? p->index[e] * p->blocks + e % p->blocks : p->index[e];
}

TA_INLINE int64_t FN(begin_of_chunk)(const struct FN(sorting) *job, int64_t chunk)
{
    return job->p.N * chunk / job->chunks;
}

static void FN(count_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(sorting) *job = arg;
    const struct ta_picks p = job->p;
    const int64_t n = p.n / p.blocks, chunks = job->chunks, end = FN(begin_of_chunk)(job, part + 1);
    int64_t *count = job->starts + part;
    const int shift = job->shift;
    int outside = 0;
    for (int64_t e = FN(begin_of_chunk)(job, part); e < end; e++)
        if (ta_is_outside(p.index[e], n))
            outside = 1;
        else
            count[(FN(row_reached)(&p, e) >> shift) * chunks]++;
    if (outside) job->p.status = OUTSIDE;
}

static void FN(place_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(sorting) *job = arg;
    const struct ta_picks p = job->p;
    const int64_t chunks = job->chunks, end = FN(begin_of_chunk)(job, part + 1);
    const int shift = job->shift;
    int64_t *at = job->starts + part, *entries = job->entries;
    for (int64_t e = FN(begin_of_chunk)(job, part); e < end; e++) {
        const int64_t row = FN(row_reached)(&p, e);
        entries[at[(row >> shift) * chunks]++] = e << shift | (row & ((1LL << shift) - 1));
    }
}

static void FN(sorted_part)(void *arg, long part, long parts)
{
    (void)parts;
    struct FN(sorting) *job = arg;
    const struct ta_picks *p = &job->p;
    const int64_t C = p->C, first = (int64_t)part << job->shift;
    const int64_t rows = ta_smaller(1LL << job->shift, p->n - first), lost = C << job->shift;
    /* After place_part the last chunk of a block ends where the next block begins. */
    const int64_t begin = part ? job->starts[part * job->chunks - 1] : 0;
    const int64_t end = job->starts[(part + 1) * job->chunks - 1];
    real *y = job->y + first * C;
    const real *onto = job->onto ? job->onto + first * C : NULL;
    if (begin == end) {
        FN(begin_only)(y, onto, rows * C);
        return;
    }
    double *sums = ta_scratch(TA_PART, FN(KEPT_SUMS) * lost * sizeof(double));
    if (!sums) {
        job->p.status = 1;
        return;
    }
    const int64_t begun = onto ? rows * C : 0;
    FN(begin_sums)(sums, onto, begun);
    memset(sums + begun, 0, (FN(KEPT_SUMS) * lost - begun) * sizeof(double));
    for (int64_t k = begin; k < end; k++) {
        const int64_t entry = job->entries[k];
        const real *x = job->x + (entry >> job->shift) * C;
        double *sum = sums + (entry & ((1LL << job->shift) - 1)) * C;
        for (int64_t c = 0; c < C; c++) FN(add_to)(sum + c, lost, x[c]);
    }
    FN(round_sums)(y, sums, lost, rows * C);
    ta_scratch_done(TA_PART);
}

static int FN(scatter_add_sorted)(const struct ta_picks *whole, const real *x, const real *onto, real *y)
{
    struct FN(sorting) job = {.p = *whole};
    struct ta_picks *p = &job.p;
    p->blocks = whole->index_c && whole->C > 1 ? whole->C : 1; /* columns, each with an index of its own */
    p->n = whole->n * p->blocks;
    p->N = whole->N * p->blocks;
    p->C = whole->C / p->blocks;
    const int64_t room = p->C >= NARROW ? IN_CACHE / 8 : IN_CACHE; /* whole rows: in the first-level cache */
    while (1LL << (job.shift + 1) <= room / p->C || p->n >> job.shift >= MOST_BLOCKS) job.shift++;
    job.blocks = ((p->n - 1) >> job.shift) + 1;
    job.chunks = ta_smaller(p->N / PART_ELEMENTS + 1, 64);
    const int64_t starts = job.blocks * job.chunks;
    job.starts = ta_scratch(TA_SHARED, (starts + p->N) * sizeof(int64_t));
    if (!job.starts) return 1;
    job.entries = job.starts + starts;
    for (int64_t a = 0; a < whole->A && !job.p.status; a++) {
        job.x = x + a * whole->N * whole->C;
        job.y = y + a * whole->n * whole->C;
        job.onto = onto ? onto + a * whole->n * whole->C : NULL;
        p->index = whole->index + a * whole->index_a;
        memset(job.starts, 0, starts * sizeof(int64_t));
        ta_parallel(FN(count_part), &job, (long)job.chunks);
        if (job.p.status) break;
        int64_t sum = 0;
        for (int64_t k = 0; k < starts; k++) {
            const int64_t count = job.starts[k];
            job.starts[k] = sum;
            sum += count;
        }
        ta_parallel(FN(place_part), &job, (long)job.chunks);
        ta_parallel(FN(sorted_part), &job, (long)job.blocks);
    }
    ta_scratch_done(TA_SHARED);
    return job.p.status;
}

/* x (A, N, C), index (A or 1, N, C or 1), y (A, n, C). The sums begin with onto (A, n, C), or NULL: with 0. */
KERNEL(scatter_add)(const real *x, const int64_t *index, const real *onto, real *y, int64_t A, int64_t n,
                    int64_t N, int64_t C, int64_t index_A, int64_t index_C)
{
    if (A * n * C == 0) return A * N * C > 0 ? OUTSIDE : 0;
    struct FN(picking) job = {.p = ta_picks(index, A, n, N, C, index_A, index_C), .x = x, .y = y};
    const int rows = A == 1 && C >= NARROW && index_C == 1;
    if (rows || n > IN_CACHE / ta_smaller(C, NARROW)) return FN(scatter_add_sorted)(&job.p, x, onto, y);
    job.onto = onto;
    ta_cut_columns(&job.p, IN_CACHE);
    job.p.each = PART_ELEMENTS / ((n + N) * job.p.width) + 1;
    ta_parallel(FN(scatter_add_part), &job, ta_parts_of(&job.p));
    return job.p.status;
}
