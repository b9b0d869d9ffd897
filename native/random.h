/* Philox 4x64 with 10 rounds: a block of four words for each value of a counter (Salmon, Moraes, Dror, Shaw
 * 2011, "Parallel random numbers: as easy as 1, 2, 3"). A word is used in two halves, the lower one first,
 * as NumPy's Philox does. Included once by core.c; look at ta_random_halves. */
enum { HALVES = 1024 }; /* of numbers that are made at a time */

static inline void ta_philox(const struct ta_stream *stream, uint64_t block, uint64_t out[4])
{
    uint64_t key0 = stream->key[0], key1 = stream->key[1], carry = block;
    uint64_t word[4]; /* in registers: `out` could be memory that the stream stands in */
    for (int i = 0; i < 4; i++) {
        word[i] = stream->counter[i] + carry;
        carry = word[i] < carry;
    }
    for (int round = 0; round < 10; round++) {
        const unsigned __int128 left = (unsigned __int128)0xD2E7470EE14C6C93u * word[0];
        const unsigned __int128 right = (unsigned __int128)0xCA5A826395121157u * word[2];
        word[0] = (uint64_t)(right >> 64) ^ word[1] ^ key0;
        word[1] = (uint64_t)right;
        word[2] = (uint64_t)(left >> 64) ^ word[3] ^ key1;
        word[3] = (uint64_t)left;
        key0 += 0x9E3779B97F4A7C15u;
        key1 += 0xBB67AE8584CAA73Bu;
    }
    memcpy(out, word, sizeof word);
}

/* The halves begin, begin + 1, ... of the stream: `count` <= HALVES of them, of which the first stands at
 * the place that is returned. */
static const uint32_t *ta_random_halves(const struct ta_stream *stream, int64_t begin, long count,
                                        uint32_t half[HALVES + 16])
{
    const int64_t from = begin + stream->used - stream->has_first, block = from >> 3;
    const long skip = (long)(from & 7);
    for (long i = 0; i < skip + count; i += 8) {
        uint64_t word[4];
        ta_philox(stream, (uint64_t)(block + i / 8), word);
        for (int k = 0; k < 4; k++) {
            half[i + 2 * k] = (uint32_t)word[k];
            half[i + 2 * k + 1] = (uint32_t)(word[k] >> 32);
        }
    }
    if (!begin && stream->has_first) half[skip] = stream->first;
    return half + skip;
}
