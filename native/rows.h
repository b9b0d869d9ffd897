/* What several kernels do with a row of n numbers. Included for each type and level, after vmath.h. The
 * sums of a row are taken in a fixed order, so they do not depend on who computes the row. */

/* A mask of the first n lanes. */
TA_INLINE ivec FN(lanes_below)(long n)
{
    ivec lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    return lane < (ivec){0} + (integer)n;
}

TA_INLINE real FN(log_of)(real x) { return sizeof(real) == 4 ? logf((float)x) : log((double)x); }

/* The largest number. It ignores NaN; the sum of exponentials, which is taken next, does not. */
static real FN(row_max)(const real *x, long n)
{
    vec a = splat(-INFINITY), b = a, c = a, d = a;
    long i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a = vmax(load(x + i), a);
        b = vmax(load(x + i + LANES), b);
        c = vmax(load(x + i + 2 * LANES), c);
        d = vmax(load(x + i + 3 * LANES), d);
    }
    for (; i + LANES <= n; i += LANES) a = vmax(load(x + i), a);
    if (i < n) b = vmax(vselect(FN(lanes_below)(n - i), load_first(x + i, n - i), b), b);
    return hmax(vmax(vmax(a, b), vmax(c, d)));
}

/* Returns the sum of e^(x - m), and writes the terms to y if `keep` is set. y may be x. */
TA_INLINE real FN(row_exp_into)(const real *x, real *y, long n, real m, int keep)
{
    vec a = splat(0), b = a, c = a, d = a, top = splat(m);
    long i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        vec p = FN(exp)(load(x + i) - top), q = FN(exp)(load(x + i + LANES) - top);
        vec r = FN(exp)(load(x + i + 2 * LANES) - top), s = FN(exp)(load(x + i + 3 * LANES) - top);
        if (keep) {
            store(y + i, p);
            store(y + i + LANES, q);
            store(y + i + 2 * LANES, r);
            store(y + i + 3 * LANES, s);
        }
        a += p;
        b += q;
        c += r;
        d += s;
    }
    for (; i + LANES <= n; i += LANES) {
        vec p = FN(exp)(load(x + i) - top);
        if (keep) store(y + i, p);
        a += p;
    }
    if (i < n) {
        vec p = FN(exp)(load_first(x + i, n - i) - top);
        if (keep) store_first(y + i, p, n - i);
        b += vselect(FN(lanes_below)(n - i), p, splat(0));
    }
    return hsum((a + b) + (c + d));
}

static real FN(row_exp)(const real *x, real *y, long n, real m)
{
    return FN(row_exp_into)(x, y, n, m, 1);
}

static real FN(row_sum_exp)(const real *x, long n, real m)
{
    return FN(row_exp_into)(x, NULL, n, m, 0);
}

/* The maximum m and the sum of e^(x - m), in one pass over a row that is too long for the cache. The sum
 * is rescaled whenever the maximum grows. */
static real FN(long_row_sum_exp)(const real *x, long n, real *m)
{
    double sum = 0;
    *m = -INFINITY;
    for (long i = 0; i < n; i += ROW_BLOCK) {
        long length = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
        real top = FN(row_max)(x + i, length);
        if (top > *m) {
            sum *= exp((double)*m - (double)top);
            *m = top;
        }
        /* While every number is -inf, e^(-inf - -inf) would be NaN. Such a block adds 0. */
        real shift = *m == -INFINITY ? 0 : *m;
        sum += (double)FN(row_sum_exp)(x + i, length, shift);
    }
    return *m == -INFINITY ? FN(row_sum_exp)(x, n, *m) : (real)sum;
}

/* sum x_i y_i over at most ROW_BLOCK numbers; y NULL: sum x_i. */
TA_INLINE real FN(block_dot)(const real *x, const real *y, long n)
{
    vec a = splat(0), b = a, c = a, d = a, one = splat(1);
    long i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += load(x + i) * (y ? load(y + i) : one);
        b += load(x + i + LANES) * (y ? load(y + i + LANES) : one);
        c += load(x + i + 2 * LANES) * (y ? load(y + i + 2 * LANES) : one);
        d += load(x + i + 3 * LANES) * (y ? load(y + i + 3 * LANES) : one);
    }
    for (; i + LANES <= n; i += LANES) a += load(x + i) * (y ? load(y + i) : one);
    if (i < n) b += load_first(x + i, n - i) * (y ? load_first(y + i, n - i) : one);
    return hsum((a + b) + (c + d));
}

/* The same over a row of any length, whose blocks are added in double. */
TA_INLINE real FN(row_dot)(const real *x, const real *y, long n)
{
    if (n <= ROW_BLOCK) return FN(block_dot)(x, y, n);
    double sum = 0;
    for (long i = 0; i < n; i += ROW_BLOCK)
        sum += (double)FN(block_dot)(x + i, y ? y + i : NULL, n - i < ROW_BLOCK ? n - i : ROW_BLOCK);
    return (real)sum;
}

/* y = x * factor. y may be x. */
static void FN(row_scale)(const real *x, real *y, long n, real factor)
{
    vec f = splat(factor);
    long i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, load(x + i) * f);
    if (i < n) store_first(y + i, load_first(x + i, n - i) * f, n - i);
}

TA_INLINE void FN(copy_rows)(real *to, long ldt, const real *from, long ldf, long rows, long n)
{
    for (long i = 0; i < rows; i++) memcpy(to + i * ldt, from + i * ldf, n * sizeof(real));
}

TA_INLINE void FN(clear_rows)(real *x, long ldx, long rows, long n)
{
    for (long i = 0; i < rows; i++) memset(x + i * ldx, 0, n * sizeof(real));
}
