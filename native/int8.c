/* y = x W^T + b for W of 8-bit integers: x is rounded to 8 bits row by row, the sums are exact integers,
 * and one multiplication turns them into y. reference/int8.py is the definition. Look at int8_tile first.
 *
 * A word is 32 bits: GROUP neighbours along k of a row of x, or of a column of packed weights. One
 * instruction multiplies the words of a vector, adds up each word's products, and adds them to 32-bit
 * sums. With VNNI a word is four bytes (x signed, W with its zero point of 128, which is taken off in the
 * end); without it, two 16-bit numbers. The sums are exact, so the bits are the same at every level. */
#undef WORDS
#undef INT8_ROWS
#undef INT8_VECTORS
#undef word_vec
#undef int_vec
#undef byte_vec
#undef short_vec
#define WORDS ((long)VECTOR_BYTES / 4)
#if LEVEL_NUMBER == 2
#define INT8_ROWS 6
#define INT8_VECTORS 4
#else
#define INT8_ROWS 4
#define INT8_VECTORS 2
#endif

#define word_vec FN(word_vec)
#define int_vec FN(int_vec)
#define byte_vec FN(byte_vec)
#define short_vec FN(short_vec)
typedef int32_t word_vec __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
/* LANES integers of 32, 16 and 8 bits */
typedef int32_t int_vec __attribute__((vector_size(4 * VECTOR_BYTES / (REAL_BITS / 8)), aligned(4), may_alias));
typedef int16_t short_vec __attribute__((vector_size(2 * VECTOR_BYTES / (REAL_BITS / 8)), aligned(2), may_alias));
typedef int8_t byte_vec __attribute__((vector_size(VECTOR_BYTES / (REAL_BITS / 8)), aligned(1), may_alias));

struct FN(int8_job) {
    const real *x, *scale, *bias;
    const uint8_t *weight;
    const char *packed;
    char *pack;           /* of pack_int8 */
    char *rows;           /* x rounded, N rows of `width` words */
    real *steps;          /* (N) how much of x one unit of a row is */
    int32_t *zeros;       /* (N) what the zero point of W adds to a row's sums */
    real *y;
    long N, K, F, group, width;
};

/* v, rounded to real. Without this a product that is added to something would not be rounded at levels
 * that have an FMA. */
TA_INLINE vec FN(unfused)(vec v)
{
#if TA_X86
    __asm__("" : "+v"(v));
#elif defined(__aarch64__)
    __asm__("" : "+w"(v));
#else
    __asm__("" : "+m"(v));
#endif
    return v;
}

/* How many numbers along k stand in a word: 4 with VNNI, else 2. */
static long FN(int8_group)(void)
{
#if TA_X86 && LEVEL_NUMBER == 2
    return __builtin_cpu_supports("avx512vnni") ? 4 : 2;
#else
    return 2;
#endif
}

/* sum + the products of w and of the word x, added up word by word */
TA_INLINE word_vec FN(dot)(word_vec sum, word_vec w, word_vec x, const long group)
{
#if TA_X86 && LEVEL_NUMBER == 2
    if (group == 4)
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    else
        sum += (word_vec)_mm512_madd_epi16((__m512i)w, (__m512i)x);
#elif TA_X86 && LEVEL_NUMBER == 1
    (void)group;
    sum += (word_vec)_mm256_madd_epi16((__m256i)w, (__m256i)x);
#elif TA_X86
    (void)group;
    sum += (word_vec)_mm_madd_epi16((__m128i)w, (__m128i)x);
#else
    (void)group;
    sum += (w >> 16) * (x >> 16) + (w << 16 >> 16) * (x << 16 >> 16);
#endif
    return sum;
}

/* Rounds row i of x to integers from -127 to 127. A row whose numbers are all very small counts as
 * zeros; one with a NaN or an infinity gives NaN. */
static void FN(int8_round_row)(const struct FN(int8_job) *job, long i)
{
    const real *x = job->x + i * job->K;
    const vec magic = splat(REAL_BITS == 64 ? (real)6755399441055744.0 : (real)12582912.0);
    vec largest = splat(0);
    ivec bad = {0}, sum = {0};
    for (long k = 0; k < job->K; k += LANES) {
        const vec v = load_some(x + k, ta_smaller(LANES, job->K - k));
        largest = vmax(vselect(v < splat(0), -v, v), largest);
        bad |= v - v != splat(0);
    }
    real most = hmax(largest), inverse = 0;
    if (most >= (real)1e-30) inverse = 127 / most;
    else most = 0;
    if (FN(any)(bad)) most = (real)NAN, inverse = 0;
    job->steps[i] = most / 127;
    char *row = job->rows + i * job->width * 4;
    const long end = job->width * job->group;
    for (long k = 0; k < end; k += LANES) {
        vec v = splat(0);
        /* magic + v has no place for a fraction of v: v is rounded, to even where it is halfway */
        if (inverse && k < job->K)
            v = FN(unfused)(load_some(x + k, ta_smaller(LANES, job->K - k)) * splat(inverse));
        const ivec q = to_ivec(FN(unfused)(v + magic) - magic);
        sum += q;
        if (job->group == 4)
            *(byte_vec *)(row + k) = __builtin_convertvector(q, byte_vec);
        else
            *(short_vec *)(row + 2 * k) = __builtin_convertvector(q, short_vec);
    }
    int32_t total = 0;
    for (long lane = 0; lane < LANES; lane++) total += (int32_t)sum[lane];
    job->zeros[i] = job->group == 4 ? 128 * total : 0;
}

static void FN(int8_round_part)(void *arg, long part, long parts)
{
    const struct FN(int8_job) *job = arg;
    const long end = job->N * (part + 1) / parts;
    for (long i = job->N * part / parts; i < end; i++) FN(int8_round_row)(job, i);
}

/* y for `rows` rows from i on and `vectors` vectors of columns from j on. Column j's words stand WORDS
 * apart, and so many columns are a panel. */
TA_INLINE void FN(int8_tile)(const struct FN(int8_job) *job, long i, long j, const long rows,
                             const long vectors, const long group)
{
    const long width = (job->K + group - 1) / group, panel = width * WORDS;
    const int32_t *w = (const int32_t *)job->packed + j / WORDS * panel;
    const int32_t *x = (const int32_t *)job->rows + i * job->width;
    word_vec sum[INT8_ROWS][INT8_VECTORS], column[INT8_VECTORS];
#pragma GCC unroll 8
    for (long r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (long n = 0; n < vectors; n++) sum[r][n] = (word_vec){0};
    for (long k = 0; k < width; k++, w += WORDS) {
#pragma GCC unroll 4
        for (long n = 0; n < vectors; n++) column[n] = *(const word_vec *)(w + n * panel);
#pragma GCC unroll 8
        for (long r = 0; r < rows; r++) {
            const word_vec one = x[r * job->width + k] - (word_vec){0};
#pragma GCC unroll 4
            for (long n = 0; n < vectors; n++) sum[r][n] = FN(dot)(sum[r][n], column[n], one, group);
        }
    }
#pragma GCC unroll 8
    for (long r = 0; r < rows; r++) {
        real *y = job->y + (i + r) * job->F;
        const vec step = splat(job->steps[i + r]);
#pragma GCC unroll 4
        for (long n = 0; n < vectors; n++) {
            int32_t whole[WORDS];
            *(word_vec *)whole = sum[r][n] - job->zeros[i + r];
            for (long l = 0; l < WORDS; l += LANES) {
                const long at = j + n * WORDS + l, some = ta_smaller(LANES, job->F - at);
                if (some <= 0) break;
                vec v = __builtin_convertvector(*(const int_vec *)(whole + l), vec) *
                        FN(unfused)(step * load_some(job->scale + at, some));
                if (job->bias) v = FN(unfused)(v) + load_some(job->bias + at, some);
                store_some(y + at, v, some);
            }
        }
    }
}

/* The rows from i to `end` - 1 and `vectors` vectors of columns from j on. The sizes of a tile are
 * constants in each branch, so that the sums stay in registers. */
#define INT8_TILE(rows, wide, group) FN(int8_tile)(job, r, j + n * WORDS, rows, wide, group)
#define INT8_TILES(rows, group)                                 \
    (many  ? INT8_TILE(rows, INT8_VECTORS, group)               \
     : two ? INT8_TILE(rows, 2, group)                          \
           : INT8_TILE(rows, 1, group))
#define INT8_COLUMNS(group)                                                                            \
    static void FN(int8_columns_##group)(const struct FN(int8_job) *job, long i, long end, long j,     \
                                         long vectors)                                                 \
    {                                                                                                  \
        for (long n = 0; n < vectors;) {                                                               \
            const int many = vectors - n >= INT8_VECTORS, two = vectors - n >= 2;                      \
            for (long r = i; r < end;) {                                                               \
                if (end - r >= INT8_ROWS) {                                                            \
                    INT8_TILES(INT8_ROWS, group);                                                      \
                    r += INT8_ROWS;                                                                    \
                } else if (end - r >= 2) {                                                             \
                    INT8_TILES(2, group);                                                              \
                    r += 2;                                                                            \
                } else {                                                                               \
                    INT8_TILES(1, group);                                                              \
                    r += 1;                                                                            \
                }                                                                                      \
            }                                                                                          \
            n += many ? INT8_VECTORS : two ? 2 : 1;                                                    \
        }                                                                                              \
    }
INT8_COLUMNS(2)
#if LEVEL_NUMBER == 2
INT8_COLUMNS(4)
#endif
#undef INT8_COLUMNS
#undef INT8_TILES
#undef INT8_TILE

enum { FN(INT8_BLOCK) = 96 }; /* so many rows of x stay in the first-level cache beside a panel */

static void FN(int8_part)(void *arg, long part, long parts)
{
    const struct FN(int8_job) *job = arg;
    const long across = INT8_VECTORS * WORDS, columns = (job->F + across - 1) / across;
    const long items = columns * ((job->N + FN(INT8_BLOCK) - 1) / FN(INT8_BLOCK));
    for (long item = items * part / parts; item < items * (part + 1) / parts; item++) {
        const long i = item / columns * FN(INT8_BLOCK), j = item % columns * across;
        const long end = ta_smaller(job->N, i + FN(INT8_BLOCK));
        const long vectors = ta_smaller(INT8_VECTORS, (job->F - j + WORDS - 1) / WORDS);
#if LEVEL_NUMBER == 2
        if (job->group == 4) {
            FN(int8_columns_4)(job, i, end, j, vectors);
            continue;
        }
#endif
        FN(int8_columns_2)(job, i, end, j, vectors);
    }
}

static void FN(int8_packing_part)(void *arg, long part, long parts)
{
    const struct FN(int8_job) *job = arg;
    const long group = job->group, width = (job->K + group - 1) / group;
    char *out = job->pack + part * width * WORDS * 4;
    (void)parts;
    memset(out, 0, width * WORDS * 4);
    for (long lane = 0; lane < ta_smaller(WORDS, job->F - part * WORDS); lane++) {
        const uint8_t *column = job->weight + (part * WORDS + lane) * job->K;
        for (long k = 0; k < job->K; k++) {
            const long at = (k / group * WORDS + lane) * group + k % group;
            if (group == 4) ((uint8_t *)out)[at] = column[k];
            else ((int16_t *)out)[at] = (int16_t)(column[k] - 128);
        }
    }
}

/* Packs weight (F, K) for int8_linear. `packed` has 2 K' F' bytes, K' is K rounded up to a multiple of 4
 * and F' is F rounded up to a multiple of 16. */
KERNEL(pack_int8)(const uint8_t *weight, int64_t F, int64_t K, uint8_t *packed)
{
    struct FN(int8_job) job = {.weight = weight, .pack = (char *)packed, .K = K, .F = F,
                               .group = FN(int8_group)()};
    ta_parallel(FN(int8_packing_part), &job, (F + WORDS - 1) / WORDS);
    return 0;
}

/* x (N, K), packed by pack_int8, scale (F), bias (F) or NULL, y (N, F). */
KERNEL(int8_linear)(const real *x, const uint8_t *packed, const real *scale, const real *bias, real *y,
                    int64_t N, int64_t K, int64_t F)
{
    if (!N || !F) return 0;
    struct FN(int8_job) job = {.x = x, .packed = (const char *)packed, .scale = scale, .bias = bias, .y = y,
                               .N = N, .K = K, .F = F, .group = FN(int8_group)()};
    job.width = ta_round_up(K, 16) / job.group;
    char *space = ta_scratch(TA_SHARED, N * (job.width * 4 + sizeof(real) + 4));
    if (!space) return 1;
    job.rows = space;
    job.steps = (real *)(space + N * job.width * 4);
    job.zeros = (int32_t *)(job.steps + N);
    ta_parallel(FN(int8_round_part), &job, ta_threads_for((double)N * K / 4));
    const long across = INT8_VECTORS * WORDS;
    const long items = (F + across - 1) / across * ((N + FN(INT8_BLOCK) - 1) / FN(INT8_BLOCK));
    ta_parallel(FN(int8_part), &job, ta_smaller(items, ta_threads_for((double)N * F * (K + 16) / 2)));
    ta_scratch_done(TA_SHARED);
    return 0;
}

struct FN(int8_rows_job) {
    const int64_t *index;
    const uint8_t *weight;
    const real *scale;
    real *y;
    long N, D;
};

static void FN(int8_rows_part)(void *arg, long part, long parts)
{
    const struct FN(int8_rows_job) *job = arg;
    const long D = job->D, end = job->N * (part + 1) / parts;
    for (long i = job->N * part / parts; i < end; i++) {
        const uint8_t *row = job->weight + job->index[i] * D;
        const real scale = job->scale[job->index[i]];
        for (long d = 0; d < D; d++) job->y[i * D + d] = (real)(row[d] - 128) * scale;
    }
}

/* index (N) below V, weight (V, D), scale (V), y (N, D) */
KERNEL(int8_rows)(const int64_t *index, const uint8_t *weight, const real *scale, real *y, int64_t N,
                  int64_t D)
{
    struct FN(int8_rows_job) job = {index, weight, scale, y, (long)N, (long)D};
    ta_parallel(FN(int8_rows_part), &job, ta_row_parts(N, D));
    return 0;
}
