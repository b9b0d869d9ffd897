/* Dropout of the attention weights. The random numbers depend on the position only (Salmon et al. 2011,
 * "Parallel random numbers: as easy as 1, 2, 3"), so the backward can draw them again and nothing is
 * stored. */

/* Philox4x32-10, with a counter in each lane: four words of 32 bits each. */
#if REAL_BITS == 64
TA_INLINE uvec FN(high_product)(uvec x, uint32_t factor) { return x * factor >> 32; }
TA_INLINE uvec FN(low_product)(uvec x, uint32_t factor) { return x * factor & 0xFFFFFFFF; }
#else
TA_INLINE uvec FN(high_product)(uvec x, uint32_t factor)
{
    typedef uint64_t wide __attribute__((vector_size(VECTOR_BYTES)));
    const wide low = (wide){0} + 0xFFFFFFFF, odd = (wide)x >> 32, even = (wide)x & low;
    return (uvec)(((even * factor) >> 32) | ((odd * factor) & ~low));
}
TA_INLINE uvec FN(low_product)(uvec x, uint32_t factor) { return x * factor; }
#endif

static void FN(philox)(uvec *c, uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
        uvec high0 = FN(high_product)(c[0], 0xD2511F53), low0 = FN(low_product)(c[0], 0xD2511F53);
        uvec high1 = FN(high_product)(c[2], 0xCD9E8D57), low1 = FN(low_product)(c[2], 0xCD9E8D57);
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
    }
}

/* The factors of dropout where the blocks meet. Key j and query i have word j mod 4 at the counter (j
 * div 4, i, number of the head, 0). */
static void FN(drop)(const struct FN(meeting) *m)
{
    const double p = m->all->dropout_p;
    const uint32_t threshold = (uint32_t)(p < 1 ? p * 4294967296.0 : 0);
    const vec factor = splat((real)(p < 1 ? 1 / (1 - p) : 0));
    const uvec none = {0};
    const long head = m->batch * m->all->h + m->head;
    const uint32_t number = (uint32_t)(m->all->numbers ? m->all->numbers[head] : head);
    for (long j = 0; j < m->nk; j += 4)
        for (long i = 0; i < m->lanes; i += LANES) {
            uvec c[4] = {none + (uint32_t)((m->k0 + j) / 4), none + (uint32_t)(m->q0 + i),
                         none + number, none};
            for (int lane = 0; lane < LANES; lane++) c[1][lane] += lane;
            FN(philox)(c, m->all->key);
            for (long word = 0; word < 4; word++)
                store(m->factors + (j + word) * QB + i,
                      vselect((ivec)(c[word] >= none + threshold), factor, splat(0)));
        }
}

static void FN(multiply_weights)(const struct FN(meeting) *m)
{
    for (long j = 0; j < m->nk; j++)
        for (long i = 0; i < m->lanes; i += LANES)
            store(m->s + j * QB + i, load(m->s + j * QB + i) * load(m->factors + j * QB + i));
}
