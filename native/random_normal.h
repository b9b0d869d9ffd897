/* Normal numbers by the ziggurat method (Marsaglia and Tsang 2000), with the bits of NumPy's Generator.
 * Included once by core.c. Look first at ta_normal.
 *
 * Of one random word, 8 bits choose a layer, one the sign, and the rest a place x in the layer. In 99 of 100
 * cases x lies under the curve for certain. Otherwise more numbers decide: so it depends on all numbers before
 * how many a number takes, and threads can't share the work. */
#include "ziggurat.h"

/* Words of random bits: how many are made at a time at most, and by one part of the work. */
enum { WORDS = 32768, WORDS_OF_PART = 2048 };
#define TAIL 3.654152885361008796 /* where the last layer ends and the tail begins */

/* Where a generator stands, in NumPy's terms: the counter and the words of the block that was made last. */
struct ta_source {
    uint64_t *counter, *block;
    struct ta_stream stream;
    uint64_t *word; /* WORDS of them */
    long at, end;
    int has_half;
    uint32_t half;
};

static void ta_words_part(void *arg, long part, long parts)
{
    const struct ta_source *s = arg;
    const long begin = part * WORDS_OF_PART, end = part == parts - 1 ? s->end : begin + WORDS_OF_PART;
    for (long i = begin; i < end; i += 4) ta_philox(&s->stream, (uint64_t)i / 4 + 1, s->word + i);
}

/* At most `wanted` more words, in blocks of four. */
static void ta_more_words(struct ta_source *s, int64_t wanted)
{
    const long blocks = (long)ta_smaller(WORDS, wanted + 3) / 4;
    s->at = 0;
    s->end = 4 * blocks;
    ta_parallel(ta_words_part, s, (s->end - 1) / WORDS_OF_PART + 1);
    uint64_t carry = (uint64_t)blocks;
    for (int i = 0; i < 4; i++) {
        s->stream.counter[i] += carry;
        carry = s->stream.counter[i] < carry;
    }
}

static inline uint64_t ta_next_word(struct ta_source *s)
{
    if (s->at == s->end) ta_more_words(s, 4);
    return s->word[s->at++];
}

static inline uint32_t ta_next_half(struct ta_source *s)
{
    s->has_half = !s->has_half;
    if (!s->has_half) return s->half;
    const uint64_t word = ta_next_word(s);
    s->half = (uint32_t)(word >> 32);
    return (uint32_t)word;
}

/* Uniform numbers from [0, 1). */
static inline double ta_next_uniform(struct ta_source *s) { return (double)(ta_next_word(s) >> 11) * 0x1p-53; }
static inline float ta_next_uniform_float(struct ta_source *s) { return (float)(ta_next_half(s) >> 8) * 0x1p-24f; }

/* rest: how many words of the block are used up, whether a half is left over, and that half. Gives 1 if memory
 * is short. */
static int ta_start(struct ta_source *s, uint64_t *counter, const uint64_t *key, uint64_t *block,
                    const uint64_t *rest, int64_t words)
{
    *s = (struct ta_source){.counter = counter, .block = block, .end = 4};
    s->word = ta_scratch(TA_SHARED, (size_t)(ta_smaller(WORDS, words) + 4) * sizeof *s->word);
    if (!s->word) return 1;
    memcpy(s->stream.counter, counter, sizeof s->stream.counter);
    memcpy(s->stream.key, key, sizeof s->stream.key);
    memcpy(s->word, block, 4 * sizeof *block);
    s->at = rest[0] < 4 ? (long)rest[0] : 4;
    s->has_half = rest[1] != 0;
    s->half = (uint32_t)rest[2];
    return 0;
}

static void ta_stop(const struct ta_source *s, uint64_t *rest)
{
    const long last = s->at ? (s->at - 1) / 4 : 0;
    uint64_t ahead = (uint64_t)(s->end / 4 - 1 - last); /* blocks that were made and not used */
    for (int i = 0; i < 4; i++) {
        s->counter[i] = s->stream.counter[i] - ahead;
        ahead = s->stream.counter[i] < ahead;
    }
    memcpy(s->block, s->word + 4 * last, 4 * sizeof *s->block);
    rest[0] = (uint64_t)(s->at - 4 * last);
    rest[1] = (uint64_t)s->has_half;
    rest[2] = s->half;
    ta_scratch_done(TA_SHARED);
}

/* Products that are rounded before they are added, on every processor, as the decisions hang on them. */
static int ta_is_under(double x, double height, double above, double uniform)
{
    volatile double part = (above - height) * uniform;
    return part + height < exp(-0.5 * x * x);
}

static int ta_is_under_float(float x, float height, float above, float uniform)
{
    volatile float part = (above - height) * uniform;
    volatile float y = part + height;
    return (double)y < exp(-0.5 * (double)x * (double)x);
}

static double ta_normal(struct ta_source *s)
{
    for (;;) {
        const uint64_t word = ta_next_word(s);
        const int layer = word & 0xff;
        const uint64_t place = word >> 9 & 0x000fffffffffffffU;
        const double x = copysign((double)(int64_t)place * ta_layers[layer].width, (double)(int64_t)(word << 55));
        if (place < ta_layers[layer].inside) return x;
        if (layer) {
            const double uniform = ta_next_uniform(s);
            if (ta_is_under(x, ta_layers[layer].height, ta_layers[layer - 1].height, uniform)) return x;
            continue;
        }
        for (;;) { /* the tail, by Marsaglia's method */
            const double beyond = -(1 / TAIL) * log1p(-ta_next_uniform(s)), y = -log1p(-ta_next_uniform(s));
            if (y + y > beyond * beyond) return place >> 8 & 1 ? -(TAIL + beyond) : TAIL + beyond;
        }
    }
}

/* The number of a half, if it lies under the curve for certain. */
static inline int ta_is_inside(uint32_t half, float *x)
{
    const int layer = half & 0xff;
    const uint32_t place = half >> 9;
    const float size = (float)(int32_t)place * ta_float_layers[layer].width;
    *x = copysignf(size, (float)(int32_t)(half << 23));
    return place < ta_float_layers[layer].inside;
}

static float ta_normal_float(struct ta_source *s)
{
    for (;;) {
        const uint32_t half = ta_next_half(s);
        const int layer = half & 0xff;
        float x;
        if (ta_is_inside(half, &x)) return x;
        if (layer) {
            const float uniform = ta_next_uniform_float(s);
            if (ta_is_under_float(x, (float)ta_layers[layer].height, (float)ta_layers[layer - 1].height, uniform))
                return x;
            continue;
        }
        for (;;) {
            const float beyond = -(float)(1 / TAIL) * log1pf(-ta_next_uniform_float(s));
            const float y = -log1pf(-ta_next_uniform_float(s));
            if (y + y > beyond * beyond)
                return half >> 17 & 1 ? -((float)TAIL + beyond) : (float)TAIL + beyond;
        }
    }
}
