/* The product of matrices where B is a single column: every element is the dot product of a row of A and
 * that column. Tiles would leave all lanes but one empty. Look first at dot_product.
 *
 * A dot product is 256 bytes of running sums, whatever the width of a vector, for each ROW_BLOCK of the
 * terms; then the sums of the blocks are added in order. The bits are the same for any number of threads
 * and for every level that has an FMA. */
#undef SUMS
#define SUMS ((long)(256 / VECTOR_BYTES))

/* With fewer terms a tile is as fast. */
#undef LEAST_COLUMN
#define LEAST_COLUMN 16

TA_INLINE real FN(dot_product)(const real *a, const real *b, long K)
{
    vec sum[SUMS] = {{0}};
    long k = 0;
    for (; k + SUMS * LANES <= K; k += SUMS * LANES)
#pragma GCC unroll 16
        for (long j = 0; j < SUMS; j++) sum[j] += load(a + k + j * LANES) * load(b + k + j * LANES);
#pragma GCC unroll 16
    for (long j = 0; j < SUMS; j++) {
        const long at = k + j * LANES, n = ta_smaller(LANES, K - at);
        if (n > 0) sum[j] += load_some(a + at, n) * load_some(b + at, n);
    }
#pragma GCC unroll 8
    for (long half = SUMS / 2; half; half /= 2)
#pragma GCC unroll 16
        for (long j = 0; j < half; j++) sum[j] += sum[j + half];
    return hsum(sum[0]);
}

/* rows = batch * M dot products of K terms, in `blocks` pieces each. */
struct FN(column) {
    long rows, M, K, blocks;
    const real *a;
    long a_batch, a_row;
    const real *b;
    long b_batch;
    real *sums; /* one of each piece */
};

static void FN(column_part)(void *arg, long part, long parts)
{
    const struct FN(column) *p = arg;
    const long pieces = p->rows * p->blocks, end = pieces * (part + 1) / parts;
    for (long i = pieces * part / parts; i < end; i++) {
        const long row = i / p->blocks, at = i % p->blocks * ROW_BLOCK, n = row / p->M;
        p->sums[i] = FN(dot_product)(p->a + n * p->a_batch + (row - n * p->M) * p->a_row + at,
                             p->b + n * p->b_batch + at, ta_smaller(ROW_BLOCK, p->K - at));
    }
}

/* The sum of the pieces of one row, with what rounding takes from it (see sums.h). */
static real FN(sum_of_pieces)(const real *pieces, long count)
{
    real sum = pieces[0], error = 0;
    for (long i = 1; i < count; i++) {
        const real old = sum, v = pieces[i];
        sum = old + v;
        const real of_v = sum - old;
        error += (old - (sum - of_v)) + (v - of_v);
    }
    const real both = sum + error;
    return both == both ? both : sum; /* the error of an infinite sum is a NaN */
}

/* c (rows) = the dot products, plus the one number of bias, if it is not NULL. 1: out of memory. */
static int FN(times_column)(struct FN(column) *p, const real *bias, real *c)
{
    p->blocks = p->K ? (p->K + ROW_BLOCK - 1) / ROW_BLOCK : 1;
    p->sums = c;
    if (p->blocks > 1) p->sums = ta_scratch(TA_SHARED, p->rows * p->blocks * sizeof(real));
    if (!p->sums) return 1;
    const long parts = ta_threads_for(4.0 * p->rows * p->K); /* to read a term costs as much as four products */
    if (parts > 1)
        ta_parallel(FN(column_part), p, parts);
    else
        FN(column_part)(p, 0, 1);
    for (long row = 0; row < p->rows && (bias || p->blocks > 1); row++) {
        const real sum = FN(sum_of_pieces)(p->sums + row * p->blocks, p->blocks);
        c[row] = bias ? sum + *bias : sum;
    }
    if (p->blocks > 1) ta_scratch_done(TA_SHARED);
    return 0;
}
