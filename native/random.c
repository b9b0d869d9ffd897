/* Random numbers made where they are used: uniform numbers, and dropout. Every number depends on the stream
 * and its place only, so it is the same for any number of threads. Look first at random.h; for normal numbers,
 * which come one after another, at random_normal.h.
 *
 *   uniform   out = a number from [0, 1): the upper 24 bits of a half, or the upper 53 of a word
 *   dropout   out = x scale where the number (of float) is p or more, else 0 */
struct FN(random_job) {
    const struct ta_stream *stream;
    const real *x;
    real *out, scale;
    int64_t count;
    uint32_t least; /* p in units of 2^-24, rounded up */
    const int64_t *places;
    int64_t width;
};

static void FN(uniform_part)(void *arg, long part, long parts)
{
    const struct FN(random_job) *job = arg;
    const int64_t end = part == parts - 1 ? job->count : (int64_t)(part + 1) * PART_ELEMENTS;
    const long halves = sizeof(real) / 4;
    uint32_t room[HALVES + 16];
    for (int64_t i = (int64_t)part * PART_ELEMENTS; i < end; i += HALVES / halves) {
        const long count = ta_smaller(HALVES / halves, end - i);
        const uint32_t *half = ta_random_halves(job->stream, i * halves, count * halves, room);
        real *out = job->out + i;
        for (long k = 0; k < count; k++)
#if REAL_BITS == 64
            out[k] = (double)((((uint64_t)half[2 * k + 1] << 32) | half[2 * k]) >> 11) * 0x1p-53;
#else
            out[k] = (float)(int32_t)(half[k] >> 8) * 0x1p-24f;
#endif
    }
}

static void FN(dropout_part)(void *arg, long part, long parts)
{
    const struct FN(random_job) *job = arg;
    const int64_t end = part == parts - 1 ? job->count : (int64_t)(part + 1) * PART_ELEMENTS;
    /* Out of the loop: `out` could be memory that they stand in, so that it would have no vectors. */
    const uint32_t least = job->least;
    const real scale = job->scale;
    uint32_t room[HALVES + 16];
    for (int64_t i = (int64_t)part * PART_ELEMENTS; i < end;) {
        const int64_t row = i / job->width, column = i % job->width;
        const long count = ta_smaller(ta_smaller(HALVES, end - i), job->width - column);
        const int64_t place = job->places ? job->places[row] : row;
        const uint32_t *half = ta_random_halves(job->stream, place * job->width + column, count, room);
        const real *x = job->x + i;
        real *out = job->out + i;
        for (long k = 0; k < count; k++)
            out[k] = x[k] * (half[k] >> 8 >= least ? scale : 0);
        i += count;
    }
}

KERNEL(uniform)(real *out, const struct ta_stream *stream, int64_t count)
{
    struct FN(random_job) job = {.stream = stream, .out = out, .count = count};
    if (count) ta_parallel(FN(uniform_part), &job, (count - 1) / PART_ELEMENTS + 1);
    return 0;
}

/* p is a float's value. out may be x. Row i of x, of `width` numbers, has the numbers of row places[i] of a
 * larger array; without places, x is one row. */
KERNEL(dropout)(const real *x, const int64_t *places, const struct ta_stream *stream, double p, double scale, real *out,
                int64_t count, int64_t width)
{
    const uint32_t least = (uint32_t)ceil(p * 0x1p24);
    struct FN(random_job) job = {stream, x, out, (real)scale, count, least, places, width};
    if (count) ta_parallel(FN(dropout_part), &job, (count - 1) / PART_ELEMENTS + 1);
    return 0;
}

#if REAL_BITS == 32
static void FN(fill_normally)(struct ta_source *s, real *out, int64_t count)
{
    for (int64_t i = 0; i < count;) {
        /* A half that is left over may be the last number; then no word is wanted. */
        if (s->at == s->end && count - i > s->has_half) ta_more_words(s, (count - i + 1) / 2);
        for (; s->at < s->end && i + 2 <= count; i += 2) {
            const uint64_t word = s->word[s->at];
            const uint32_t low = (uint32_t)word, high = (uint32_t)(word >> 32);
            const uint32_t first = s->has_half ? s->half : low, second = s->has_half ? low : high;
            if (!(ta_is_inside(first, out + i) & ta_is_inside(second, out + i + 1))) break;
            s->half = high;
            s->at++;
        }
        if (i < count) out[i++] = ta_normal_float(s);
    }
}
#else
static void FN(fill_normally)(struct ta_source *s, real *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (s->at == s->end) ta_more_words(s, count - i);
        out[i] = ta_normal(s);
    }
}
#endif

/* Normal numbers, the next ones of a generator that stands at counter (4), key (2), block (4), rest (3); these
 * are brought to where it stands afterwards. */
KERNEL(normals)(real *out, int64_t count, uint64_t *counter, const uint64_t *key, uint64_t *block, uint64_t *rest)
{
    struct ta_source source;
    if (ta_start(&source, counter, key, block, rest, count)) return 1;
    FN(fill_normally)(&source, out, count);
    ta_stop(&source, rest);
    return 0;
}
