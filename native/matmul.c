/* The matrix product: which tiles (tiles.h) are computed when, from which copies, and by which thread.
 * Look first at rectangle, the loops of one thread, then at divide, which shares out the work.
 *
 * Each thread owns a rectangle of C and packs for itself what it needs, so no thread waits for another
 * inside a product. Within the rectangle, a block of B of KC rows and NC columns stays in the
 * second-level cache while all rows of A pass. A strip of MR rows of A stays in the first-level cache
 * meanwhile. The inner loop reads A by rows where it is, and B by rows if it is small; everything else
 * is copied first. */
#undef KC
#undef NC
#undef WIDE_NC
#undef MC
#undef L2_SHARE
#define KC ((long)(2048 / sizeof(real)))
#define L2_SHARE (ta_second_level_cache() / 2) /* bytes of B that stay in the second-level cache */
#define NC (L2_SHARE / (KC * (long)sizeof(real)) / NR * NR)
#define WIDE_NC 2048L
#define MC (L2_SHARE * 3 / 4 / (KC * (long)sizeof(real)) / MR * MR)

/* One product. Strides are in elements; a and b each have one stride of 1. */
struct FN(product) {
    long batch, M, K, P;
    const real *a;
    long a_batch, a_row, a_col;
    const real *b;
    long b_batch, b_row, b_col;
    const real *packed; /* b in panels (pack_b), or NULL */
    const real *bias;
    real *c;
    long batch_parts, row_parts, col_parts;
    atomic_int failed;
};

/* Where a strip finds columns of B. If ldb is 0 they are packed: panels of NR columns, `stride` apart,
 * whose rows are as long as the panel is wide (in whole vectors). Otherwise they are plain rows, ldb
 * apart. */
struct FN(columns) {
    const real *b;
    long stride, ldb, first_row, total;
};

TA_INLINE long FN(panel_width)(long columns)
{
    return ta_smaller(NR, ta_round_up(columns, LANES));
}

/* Packs P columns of K rows of b as panels, one after the other. That takes K * P elements, P rounded
 * up to whole vectors. */
static void FN(pack_b)(const real *b, long b_row, long b_col, long K, long P, real *out)
{
    if (b_col == 1) {
        FN(pack_rows)(b, b_row, K, P, out);
        return;
    }
    for (long panel = 0; panel < P; panel += NR) {
        const long width = FN(panel_width)(P - panel);
        for (long j = 0; j < width; j += LANES) {
            const long count = ta_smaller(LANES, P - panel - j);
            FN(pack_columns)(b + (panel + j) * b_col, b_col, K, count, out + j, width);
        }
        out += K * width;
    }
}

/* Where the sum over more than one block of K keeps what its additions have rounded away: for every
 * element of C one number, in rows `ld` apart. `begins`: this is the first addition, `ends`: the last. */
struct FN(lost) {
    real *at;
    long ld;
    int begins, ends;
};

/* C += a tile, `rows` by `count`, with what that rounds away (see sums.h). In the end C gets the sum of
 * both, and the bias. The sum of many blocks so errs as little as that of one. */
static void FN(add_tile)(const real *tile, long tile_ld, const struct FN(lost) *lost, long rows, long count,
                         real *c, long ldc, const real *bias)
{
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < count; j += LANES) {
            const long n = ta_smaller(LANES, count - j);
            const int whole = n == LANES;
            const real *from = tile + i * tile_ld + j;
            real *to = c + i * ldc + j, *away = lost->at + i * lost->ld + j;
            vec v = whole ? load(from) : load_first(from, n), old = whole ? load(to) : load_first(to, n);
            vec sum = old + v, of_v = sum - old, error = (old - (sum - of_v)) + (v - of_v);
            if (!lost->begins) error += whole ? load(away) : load_first(away, n);
            if (lost->ends) {
                vec both = sum + error;
                sum = vselect(both == both, both, sum); /* the error of an infinite sum is a NaN */
                if (bias) sum += whole ? load(bias + j) : load_first(bias + j, n);
            } else if (whole) {
                store(away, error);
            } else {
                store_first(away, error, n);
            }
            if (whole)
                store(to, sum);
            else
                store_first(to, sum, n);
        }
}

/* One strip of up to MR rows of C, `count` columns wide. With `lost` it is added to what stands in C. */
TA_INLINE void FN(strip)(struct FN(tile_job) *job, long rows, int a_by_rows,
                         const struct FN(columns) *columns, long count, const real *bias,
                         const struct FN(lost) *lost)
{
    real *const c = job->c, tile[MR * NR] __attribute__((aligned(64)));
    const long ldc = job->ldc;
    for (long j = 0; j < count; j += NR) {
        const long width = ta_smaller(NR, count - j), vectors = (width + LANES - 1) / LANES;
        job->ldb = columns->ldb ? columns->ldb : FN(panel_width)(columns->total - j);
        job->b = columns->b + j / NR * columns->stride + columns->first_row * job->ldb;
        job->c = lost ? tile : c + j;
        job->ldc = lost ? NR : ldc;
        job->bias = bias && !lost ? bias + j : NULL;
        job->plain = columns->ldb != 0;
        job->last = width - (vectors - 1) * LANES;
        if (rows == MR && width == NR)
            a_by_rows ? FN(rows_full)(job) : FN(cols_full)(job);
        else
            FN(tiles)[a_by_rows][rows - 1][vectors - 1](job);
        if (lost) {
            struct FN(lost) here = *lost;
            here.at += j;
            FN(add_tile)(tile, NR, &here, rows, width, c + j, ldc, bias ? bias + j : NULL);
        }
    }
}

/* It pays to read B without packing it while it fits in the second-level cache, or where few rows use
 * it. Masked loads of its last columns must be cheap. */
TA_INLINE int FN(must_pack_b)(const struct FN(product) *p, long rows, long columns)
{
    if (p->b_col != 1) return 1;
    if (!MASKED_LOADS && columns % LANES) return 1;
    return rows >= 16 * MR && p->K * p->b_row * (long)sizeof(real) > L2_SHARE;
}

/* A by columns is read without packing while it fits in the first-level cache. */
TA_INLINE int FN(must_pack_a)(const struct FN(product) *p, long rows)
{
    return p->a_col != 1 && rows > MR && p->K * ta_smaller(p->a_col, 64) * (long)sizeof(real) > (32L << 10);
}

static void FN(few_rows)(const struct FN(product) *p, const real *a, const real *b, real *c, long i0,
                         long i1, long j0, long j1)
{
    real tile[DOT_ROWS * LANES], away[DOT_ROWS * LANES];
    for (long j = j0; j < j1; j += LANES)
        for (long pc = 0; pc == 0 || pc < p->K; pc += KC) {
            const long depth = ta_smaller(KC, p->K - pc), ends = pc + depth == p->K;
            const real *bias = ends && p->bias ? p->bias + j : NULL;
            real *out = c + i0 * p->P + j;
            struct FN(tile_job) job = {.a = a + i0 * p->a_row + pc, .lda = p->a_row,
                                       .b = b + j * p->b_col + pc, .ldb = p->b_col, .K = depth,
                                       .c = pc ? tile : out, .ldc = pc ? LANES : p->P,
                                       .bias = pc ? NULL : bias, .last = ta_smaller(LANES, j1 - j)};
            struct FN(lost) lost = {away, LANES, pc == KC, (int)ends};
            FN(dots_of)[i1 - i0 - 1](&job);
            if (pc) FN(add_tile)(tile, LANES, &lost, i1 - i0, job.last, out, p->P, bias);
        }
}

/* What a thread does in one matrix: rows [i0, i1), its columns in blocks, and where it packs. */
struct FN(block) {
    const struct FN(product) *p;
    const real *a, *b;
    real *c, *a_space, *b_space; /* NULL: not packed */
    real *lost; /* (i1 - i0) rows of the block's columns, or NULL: K is one block */
    long i0, i1;
};

/* Rows [pc, pc + depth) of B in the columns [jc, jc + count), packed first if that is needed. */
static struct FN(columns) FN(columns_of)(const struct FN(block) *block, long jc, long count, long pc,
                                         long depth)
{
    const struct FN(product) *p = block->p;
    if (p->packed)
        return (struct FN(columns)){p->packed + jc * p->K, NR * p->K, 0, pc, p->P - jc};
    if (!block->b_space) return (struct FN(columns)){block->b + jc, NR, p->b_row, pc, count};
    FN(pack_b)(block->b + pc * p->b_row + jc * p->b_col, p->b_row, p->b_col, depth, count, block->b_space);
    return (struct FN(columns)){block->b_space, NR * depth, 0, 0, count};
}

/* C += A times these columns, over the terms [pc, pc + depth) of the sum. A strip of A that is not packed meets
 * all columns in turn. Packed strips lie together in the second-level cache and meet the columns panel
 * by panel. */
static void FN(add_columns)(const struct FN(block) *block, const struct FN(columns) *all, long jc,
                            long count, long pc, long depth)
{
    const struct FN(product) *p = block->p;
    const long packed = block->a_space != NULL, strip_size = depth * MR + LANES;
    const long group = packed ? NR : count;
    const real *bias = pc + depth == p->K && p->bias ? p->bias + jc : NULL;
    const real *a = block->a + pc * p->a_col;
    for (long ic = block->i0; ic < block->i1; ic += MC) {
        const long end = ta_smaller(block->i1, ic + MC);
        if (packed) FN(pack_a)(a + ic, p->a_col, depth, end - ic, block->a_space, strip_size);
        for (long j = 0; j < count; j += group) {
            struct FN(columns) columns = *all;
            columns.b += j / NR * all->stride;
            columns.total -= j;
            for (long i = ic; i < end; i += MR) {
                struct FN(tile_job) job = {.K = depth, .first = 1, .ldc = p->P};
                const struct FN(lost) lost = {block->lost + (i - block->i0) * count + j, count, pc == KC,
                                              pc + depth == p->K};
                job.c = block->c + i * p->P + jc + j;
                job.a = packed ? block->a_space + (i - ic) / MR * strip_size : a + i * p->a_row;
                job.lda = packed ? MR : p->a_col == 1 ? p->a_row : p->a_col;
                FN(strip)(&job, ta_smaller(MR, end - i), p->a_col == 1, &columns,
                          ta_smaller(group, count - j), bias ? bias + j : NULL, pc ? &lost : NULL);
            }
        }
    }
}

/* Rows [i0, i1) by columns [j0, j1) of one matrix; j0 is a multiple of NR if b is packed. If A must be
 * packed, the blocks of columns are wide, so that A is packed less often. */
static int FN(rectangle)(const struct FN(product) *p, const real *a, const real *b, real *c, long i0,
                         long i1, long j0, long j1)
{
    if (i1 - i0 <= DOT_ROWS && !p->packed && p->b_col != 1 && p->a_col == 1) {
        FN(few_rows)(p, a, b, c, i0, i1, j0, j1);
        return 0;
    }
    const int pack_a = FN(must_pack_a)(p, i1 - i0);
    const int pack_b = !p->packed && FN(must_pack_b)(p, i1 - i0, j1 - j0);
    const long deepest = ta_smaller(KC, p->K);
    const int stays = !pack_b && deepest * (j1 - j0) * (long)sizeof(real) <= L2_SHARE;
    const long widest = stays ? j1 - j0 : pack_a ? WIDE_NC : NC;
    struct FN(block) block = {p, a, b, c, NULL, NULL, NULL, i0, i1};
    const long lost_count = p->K > KC ? (i1 - i0) * ta_smaller(widest, j1 - j0) : 0;
    if (pack_a || pack_b || lost_count) {
        const long a_count = pack_a ? (deepest * MR + LANES) * (MC / MR) : 0;
        const long b_count = pack_b ? deepest * ta_smaller(widest, ta_round_up(j1 - j0, LANES)) : 0;
        real *space = ta_scratch(TA_PART, (a_count + b_count + lost_count) * sizeof(real));
        if (!space) return 1;
        if (pack_b) block.b_space = space;
        if (pack_a) block.a_space = space + b_count;
        if (lost_count) block.lost = space + b_count + a_count;
    }
    for (long jc = j0; jc < j1; jc += widest) {
        const long count = ta_smaller(widest, j1 - jc);
        for (long pc = 0; pc == 0 || pc < p->K; pc += KC) {
            const long depth = ta_smaller(KC, p->K - pc);
            const struct FN(columns) columns = FN(columns_of)(&block, jc, count, pc, depth);
            FN(add_columns)(&block, &columns, jc, count, pc, depth);
        }
    }
    if (pack_a || pack_b || lost_count) ta_scratch_done(TA_PART);
    return 0;
}

static void FN(product_part)(void *arg, long part, long parts)
{
    struct FN(product) *p = arg;
    const long col = part % p->col_parts, rest = part / p->col_parts;
    const long row = rest % p->row_parts, group = rest / p->row_parts;
    const long unit = p->packed ? NR : LANES;
    const long strips = (p->M + MR - 1) / MR, units = (p->P + unit - 1) / unit;
    const long i0 = strips * row / p->row_parts * MR, i1 = strips * (row + 1) / p->row_parts * MR;
    const long j0 = units * col / p->col_parts * unit, j1 = units * (col + 1) / p->col_parts * unit;
    (void)parts;
    for (long n = p->batch * group / p->batch_parts; n < p->batch * (group + 1) / p->batch_parts; n++)
        if (FN(rectangle)(p, p->a + n * p->a_batch, p->b + n * p->b_batch, p->c + n * p->M * p->P, i0,
                          ta_smaller(i1, p->M), j0, ta_smaller(j1, p->P)))
            atomic_store(&p->failed, 1);
}

/* Cuts the rows and columns of C into `wanted` rectangles, in the ratio that makes the largest one
 * cheapest. Its cost is the vectors to compute plus its own reading of A and its own copies of what must
 * be packed. To copy a number of A costs about as much as a vector's arithmetic; to read it, or to copy
 * a number of B, costs half of that. */
static void FN(cut)(struct FN(product) *p, long wanted)
{
    const long unit = p->packed ? NR : LANES;
    const long strips = (p->M + MR - 1) / MR, units = (p->P + unit - 1) / unit;
    long best = LONG_MAX;
    for (long rows = 1; rows <= ta_smaller(wanted, strips); rows++) {
        const long cols = ta_smaller(wanted / rows, units);
        const long high = ta_smaller(p->M, (strips + rows - 1) / rows * MR);
        const long wide = ta_smaller(p->P, (units + cols - 1) / cols * unit);
        const long b_moves = !p->packed && FN(must_pack_b)(p, high, wide) ? wide / 2 : 0;
        const long a_moves = FN(must_pack_a)(p, high) ? high : 0;
        const long cost = high * ((wide + LANES - 1) / LANES) + high / 2 + a_moves + b_moves;
        if (cost < best) {
            best = cost;
            p->row_parts = rows;
            p->col_parts = cols;
        }
    }
}

/* Gives each thread whole matrices where there are enough of them to keep the threads evenly busy. */
static void FN(divide)(struct FN(product) *p)
{
    const double each = (double)p->M * (p->K + 8) * p->P;
    const long threads = ta_threads_for(p->batch * each);
    p->batch_parts = p->row_parts = p->col_parts = 1;
    if (threads == 1) return;
    p->batch_parts = ta_smaller(p->batch, 4 * threads);
    long pieces = 1;
    while (p->batch * pieces % threads) pieces++;
    if (pieces > 1 && p->batch < 4 * threads && ta_threads_for(each) > 1)
        FN(cut)(p, pieces);
}

/* A column as the product of a row: c' = b' a', whose numbers stand at the same places. */
static void FN(turn)(struct FN(product) *p)
{
    const struct FN(product) old = *p;
    p->M = 1;
    p->P = old.M;
    p->a = old.b;
    p->a_batch = old.b_batch;
    p->a_row = old.b_col;
    p->a_col = old.b_row;
    p->b = old.a;
    p->b_batch = old.a_batch;
    p->b_row = old.a_col;
    p->b_col = old.a_row;
}

/* c[n] = a[n] b[n] + bias for n < batch. a (batch, M, K) and b (batch, K, P) by strides in bytes; one of a's
 * row and column stride is a number's size, and so for b. bias (P) or NULL; c (batch, M, P). packed is b as
 * pack_weights left it at the same level, or NULL. */
KERNEL(matmul)(int64_t batch, int64_t M, int64_t K, int64_t P, const real *a, int64_t a_batch,
               int64_t a_row, int64_t a_col, const real *b, int64_t b_batch, int64_t b_row,
               int64_t b_col, const real *packed, const real *bias, real *c)
{
    const long size = sizeof(real);
    struct FN(product) p = {
        .batch = batch, .M = M, .K = K, .P = P, .packed = packed, .bias = bias, .c = c,
        .a = a, .a_batch = a_batch / size, .a_row = a_row / size, .a_col = a_col / size,
        .b = b, .b_batch = b_batch / size, .b_row = b_row / size, .b_col = b_col / size,
    };
    if (!batch || !M || !P) return 0;
    if (P == 1 && p.b_row == 1 && !packed && K >= LEAST_COLUMN) {
        if (p.a_col == 1) {
            struct FN(column) column = {.rows = batch * M, .M = M, .K = K, .a = a, .a_batch = p.a_batch,
                                        .a_row = p.a_row, .b = b, .b_batch = p.b_batch};
            return FN(times_column)(&column, bias, c);
        }
        if (!bias) FN(turn)(&p);
    }
    FN(divide)(&p);
    const long parts = p.batch_parts * p.row_parts * p.col_parts;
    if (parts > 1)
        ta_parallel(FN(product_part), &p, parts);
    else
        FN(product_part)(&p, 0, 1);
    return atomic_load(&p.failed);
}

struct FN(packing) {
    const real *b;
    long b_row, b_col, K, P;
    real *out;
};

static void FN(packing_part)(void *arg, long part, long parts)
{
    const struct FN(packing) *job = arg;
    const long begin = part * NR, count = ta_smaller(NR, job->P - begin);
    (void)parts;
    FN(pack_b)(job->b + begin * job->b_col, job->b_row, job->b_col, job->K, count,
               job->out + begin * job->K);
}

/* Packs all of b for later calls of matmul with packed = out. out holds K * P elements, P rounded up to
 * a multiple of 16. The layout depends on the level. */
KERNEL(pack_weights)(int64_t K, int64_t P, const real *b, int64_t b_row, int64_t b_col, real *out)
{
    const long size = sizeof(real);
    struct FN(packing) job = {b, b_row / size, b_col / size, K, P, out};
    ta_parallel(FN(packing_part), &job, (P + NR - 1) / NR);
    return 0;
}
