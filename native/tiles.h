/* The inner loops of the matrix product. Look first at tile. matmul.c says which tiles are computed
 * when, and by which thread.
 *
 * Every element of the result is one chain of fused multiply-adds over k in order; then the bias is
 * added. The bits are therefore the same for any tile, block and number of threads, and for every level
 * that has an FMA. */

/* The tile of C that stays in registers has MR rows of NV vectors. */
#undef MR
#undef NV
#undef NR
#if LEVEL_NUMBER == 2
#define MR 6
#define NV 4
#elif LEVEL_NUMBER == 1
#define MR 6
#define NV 2
#elif defined(__aarch64__)
#define MR 6
#define NV 4
#else
#define MR 4
#define NV 2
#endif
#define NR (NV * LANES)

/* With at most so many rows of A it does not pay to pack B (see dots). */
#undef DOT_ROWS
#define DOT_ROWS 4

/* So many rows in advance, copies ask for what they will read. */
#undef AHEAD
#define AHEAD 8

/* Whether masked loads of B are cheap. Where they are not, a B whose last vector is not full is packed. */
#undef MASKED_LOADS
#define MASKED_LOADS (LEVEL_NUMBER > 0)

/* What a tile works on. A is read by rows (element i, k is a[i * lda + k]) or by columns (it is a[k *
 * lda + i]), B by rows. Of the last vector, `last` lanes belong to C. */
struct FN(tile_job) {
    const real *a;
    long lda;
    const real *b;
    long ldb;
    long K;
    real *c;
    long ldc;
    const real *bias; /* added after the last block of k, else NULL */
    long last;
    int first; /* the first block of k: C is not read */
    int plain; /* B is not packed: nothing may be read behind its last lane */
};

TA_INLINE void FN(tile)(const struct FN(tile_job) *job, const long mr, const long nv,
                        const int a_by_rows, const int partial)
{
    vec acc[MR][NV], b[NV];
    const long lda = job->lda, ldb = job->ldb, ldc = job->ldc, K = job->K, last = job->last;
    const real *pa = job->a, *pb = job->b;
    real *c = job->c;
    const int part = partial && (MASKED_LOADS || job->plain);

#pragma GCC unroll 8
    for (long i = 0; i < mr; i++)
#pragma GCC unroll 8
        for (long j = 0; j < nv; j++) {
            if (job->first)
                acc[i][j] = splat(0);
            else if (partial && j == nv - 1)
                acc[i][j] = load_first(c + i * ldc + j * LANES, last);
            else
                acc[i][j] = load(c + i * ldc + j * LANES);
        }

    for (long k = 0; k < K; k++) {
#pragma GCC unroll 8
        for (long j = 0; j < nv; j++)
            b[j] = part && j == nv - 1 ? load_first(pb + j * LANES, last) : load(pb + j * LANES);
#pragma GCC unroll 8
        for (long i = 0; i < mr; i++) {
            vec x = splat(a_by_rows ? pa[i * lda] : pa[i]);
#pragma GCC unroll 8
            for (long j = 0; j < nv; j++) acc[i][j] += x * b[j];
        }
        pb += ldb;
        pa += a_by_rows ? 1 : lda;
    }

#pragma GCC unroll 8
    for (long j = 0; j < nv; j++) {
        const int cut = partial && j == nv - 1;
        if (job->bias) {
            vec bias = cut ? load_first(job->bias + j * LANES, last) : load(job->bias + j * LANES);
#pragma GCC unroll 8
            for (long i = 0; i < mr; i++) acc[i][j] += bias;
        }
#pragma GCC unroll 8
        for (long i = 0; i < mr; i++) {
            if (cut)
                store_first(c + i * ldc + j * LANES, acc[i][j], last);
            else
                store(c + i * ldc + j * LANES, acc[i][j]);
        }
    }
}

/* One function for every height, width and order of A. Its load_first must also take a whole vector. */
typedef void (*FN(tile_function))(const struct FN(tile_job) *);

#undef TILE
#undef TILES_OF
#undef ROW_OF_TILES
#define TILE(mr, nv)                                                                            \
    static void FN(rows_##mr##x##nv)(const struct FN(tile_job) *job) { FN(tile)(job, mr, nv, 1, 1); } \
    static void FN(cols_##mr##x##nv)(const struct FN(tile_job) *job) { FN(tile)(job, mr, nv, 0, 1); }
#if NV == 4
#define TILES_OF(mr) TILE(mr, 1) TILE(mr, 2) TILE(mr, 3) TILE(mr, 4)
#define ROW_OF_TILES(order, mr) \
    {FN(order##_##mr##x1), FN(order##_##mr##x2), FN(order##_##mr##x3), FN(order##_##mr##x4)}
#else
#define TILES_OF(mr) TILE(mr, 1) TILE(mr, 2)
#define ROW_OF_TILES(order, mr) {FN(order##_##mr##x1), FN(order##_##mr##x2)}
#endif
TILES_OF(1)
TILES_OF(2)
TILES_OF(3)
TILES_OF(4)
#if MR == 6
TILES_OF(5)
TILES_OF(6)
#define TABLE_OF_TILES(order)                                                                \
    {ROW_OF_TILES(order, 1), ROW_OF_TILES(order, 2), ROW_OF_TILES(order, 3),                 \
     ROW_OF_TILES(order, 4), ROW_OF_TILES(order, 5), ROW_OF_TILES(order, 6)}
#else
#define TABLE_OF_TILES(order) \
    {ROW_OF_TILES(order, 1), ROW_OF_TILES(order, 2), ROW_OF_TILES(order, 3), ROW_OF_TILES(order, 4)}
#endif
static const FN(tile_function) FN(tiles)[2][MR][NV] = {TABLE_OF_TILES(cols), TABLE_OF_TILES(rows)};
#undef TABLE_OF_TILES

static void FN(rows_full)(const struct FN(tile_job) *job) { FN(tile)(job, MR, NV, 1, 0); }
static void FN(cols_full)(const struct FN(tile_job) *job) { FN(tile)(job, MR, NV, 0, 0); }

/* Interleave the halves of two vectors. log2(LANES) rounds of this transpose LANES vectors. */
#undef SHUFFLE
#undef LOWER_HALVES
#undef UPPER_HALVES
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (ivec){__VA_ARGS__})
#endif
#if VECTOR_BYTES * 8 / REAL_BITS == 16
#define LOWER_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
#define LOWER_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
#define LOWER_HALVES 0, 4, 1, 5
#define UPPER_HALVES 2, 6, 3, 7
#else
#define LOWER_HALVES 0, 2
#define UPPER_HALVES 1, 3
#endif

TA_INLINE void FN(transpose)(vec *x)
{
    vec y[LANES];
#pragma GCC unroll 4
    for (long width = 1; width < LANES; width *= 2) {
#pragma GCC unroll 8
        for (long i = 0; i < LANES / 2; i++) {
            y[2 * i] = SHUFFLE(x[i], x[i + LANES / 2], LOWER_HALVES);
            y[2 * i + 1] = SHUFFLE(x[i], x[i + LANES / 2], UPPER_HALVES);
        }
#pragma GCC unroll 16
        for (long i = 0; i < LANES; i++) x[i] = y[i];
    }
}

/* Transposes a matrix whose columns are contiguous (element k of column j is b[j * ldb + k]): `count`
 * <= LANES columns become K rows of LANES numbers, `width` apart. Missing columns become zero. */
static void FN(pack_columns)(const real *b, long ldb, long K, long count, real *out, long width)
{
    vec x[LANES];
    long k = 0;
    if (count == LANES) {
        for (; k + LANES <= K; k += LANES, out += LANES * width) {
#pragma GCC unroll 16
            for (long j = 0; j < LANES; j++) x[j] = load(b + j * ldb + k);
            FN(transpose)(x);
#pragma GCC unroll 16
            for (long i = 0; i < LANES; i++) store(out + i * width, x[i]);
        }
    }
    for (; k < K; k += LANES, out += LANES * width) {
        const long deep = K - k < LANES ? K - k : LANES;
#pragma GCC unroll 16
        for (long j = 0; j < LANES; j++)
            x[j] = j < count ? load_first(b + j * ldb + k, deep) : splat(0);
        FN(transpose)(x);
#pragma GCC unroll 16
        for (long i = 0; i < LANES; i++)
            if (i < deep) store(out + i * width, x[i]);
    }
}

/* Copies `count` columns of a matrix whose rows are contiguous to panels, K rows of NR numbers each, the
 * panels one after the other; the last one may be narrower. A whole row is read at a time. No processor
 * guesses that the next one comes from so far away, so it is asked for in advance. */
static void FN(pack_rows)(const real *b, long ldb, long K, long count, real *out)
{
    for (long k = 0; k < K; k++, b += ldb) {
        for (long j = 0; j < count; j += 64 / sizeof(real)) __builtin_prefetch(b + AHEAD * ldb + j);
        for (long panel = 0; panel < count; panel += NR) {
            const long rest = count - panel, width = ta_smaller(NR, ta_round_up(rest, LANES));
            real *to = out + panel * K + k * width;
            for (long j = 0; j < width; j += LANES)
                store(to + j, load_some(b + panel + j, ta_smaller(LANES, rest - j)));
        }
    }
}

/* Copies rows of an A whose columns are contiguous into strips: K groups of MR numbers, the strips
 * `stride` apart. Whole vectors are stored. The next group overwrites what is too much; behind the last
 * group there must be room for it. */
static void FN(pack_a)(const real *a, long lda, long K, long rows, real *out, long stride)
{
    const long whole = rows / MR, rest = rows % MR;
    for (long k = 0; k < K; k++, a += lda, out += MR) {
        for (long i = 0; i < rows; i += 64 / sizeof(real)) __builtin_prefetch(a + AHEAD * lda + i);
        for (long strip = 0; strip < whole; strip++)
            for (long i = 0; i < MR; i += LANES)
                store(out + strip * stride + i,
                      MR - i >= LANES ? load(a + strip * MR + i) : load_first(a + strip * MR + i, MR - i));
        for (long i = 0; i < rest; i += LANES)
            store(out + whole * stride + i,
                  load_first(a + whole * MR + i, rest - i < LANES ? rest - i : LANES));
    }
}

/* Few rows of A times a B whose columns are contiguous. B is transposed, LANES by LANES numbers at a
 * time, and used at once. Each element is the same chain over k as in a tile. */
TA_INLINE void FN(dots)(const struct FN(tile_job) *job, const long rows)
{
    const long K = job->K, ldb = job->ldb, lda = job->lda, count = job->last;
    vec acc[DOT_ROWS], x[LANES];
#pragma GCC unroll 8
    for (long i = 0; i < rows; i++) acc[i] = splat(0);
    for (long k = 0; k < K; k += LANES) {
        const real *b = job->b + k, *a = job->a + k;
        const long deep = K - k < LANES ? K - k : LANES;
        if (deep == LANES && count == LANES) {
#pragma GCC unroll 16
            for (long j = 0; j < LANES; j++) x[j] = load(b + j * ldb);
        } else {
#pragma GCC unroll 16
            for (long j = 0; j < LANES; j++) x[j] = j < count ? load_first(b + j * ldb, deep) : splat(0);
        }
        FN(transpose)(x);
#pragma GCC unroll 16
        for (long j = 0; j < LANES; j++)
            if (j < deep)
#pragma GCC unroll 8
                for (long i = 0; i < rows; i++) acc[i] += splat(a[i * lda + j]) * x[j];
    }
    const vec bias = job->bias ? load_first(job->bias, count) : splat(0);
#pragma GCC unroll 8
    for (long i = 0; i < rows; i++)
        store_first(job->c + i * job->ldc, job->bias ? acc[i] + bias : acc[i], count);
}
static void FN(dots_1)(const struct FN(tile_job) *job) { FN(dots)(job, 1); }
static void FN(dots_2)(const struct FN(tile_job) *job) { FN(dots)(job, 2); }
static void FN(dots_3)(const struct FN(tile_job) *job) { FN(dots)(job, 3); }
static void FN(dots_4)(const struct FN(tile_job) *job) { FN(dots)(job, 4); }
static const FN(tile_function) FN(dots_of)[DOT_ROWS] = {FN(dots_1), FN(dots_2), FN(dots_3), FN(dots_4)};
