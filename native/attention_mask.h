/* The mask of attention, where a block of queries meets a block of keys. */

enum FN(open) { FN(NOTHING), FN(SOME), FN(EVERYTHING) };

/* Reads the mask where the two blocks meet: transposed, as numbers to be added to the scores. */
static enum FN(open) FN(read_mask)(const struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const char *at = all->mask;
    const int64_t *step = all->mask_steps;
    if (!at) return FN(EVERYTHING);
    at += m->batch * step[0] + m->head * step[1] + m->q0 * step[2] + m->k0 * step[3];
    const long rows = step[2] ? m->nq : 1;
    const real *raw = (const real *)at;
    long ldr = step[2] / (long)sizeof(real);
    if (all->mask_is_bool || !step[3]) {
        raw = m->raw;
        ldr = KB;
        for (long i = 0; i < rows; i++, at += step[2])
            for (long j = 0; j < m->nk; j++) {
                const char *one = at + j * step[3];
                m->raw[i * KB + j] = !all->mask_is_bool ? *(const real *)one : *one ? 0 : -INFINITY;
            }
    }
    int some = 0, every = 1;
    if (!step[2]) {
        for (long j = 0; j < m->nk; j++) {
            some |= raw[j] != -INFINITY;
            every &= raw[j] == 0;
            for (long i = 0; i < m->lanes; i += LANES) store(m->mask + j * QB + i, splat(raw[j]));
        }
        return every ? FN(EVERYTHING) : some ? FN(SOME) : FN(NOTHING);
    }
    for (long i = 0; i < m->nq; i += LANES)
        FN(pack_columns)(raw + i * ldr, ldr, m->nk, ta_smaller(LANES, m->nq - i), m->mask + i, QB);
    ivec open = {0}, changed = {0};
    for (long j = 0; j < m->nk; j++)
        for (long i = 0; i < m->lanes; i += LANES) {
            vec x = load(m->mask + j * QB + i);
            open |= x != splat(-INFINITY);
            changed |= x != splat(0);
        }
    for (long i = 0; i < LANES; i++) {
        some |= open[i] != 0;
        every &= changed[i] == 0;
    }
    return every ? FN(EVERYTHING) : some ? FN(SOME) : FN(NOTHING);
}

/* Adds the mask to the scores. They become -inf where a key is not open to a query. */
static void FN(mask_scores)(const struct FN(meeting) *m, enum FN(open) open)
{
    const vec closed = splat(-INFINITY);
    ivec lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    for (long j = 0; j < m->nk; j++) {
        const long first = FN(opens_at)(m, j);
        for (long i = 0; i < m->lanes; i += LANES) {
            real *at = m->s + j * QB + i;
            vec x = load(at);
            if (open == FN(SOME)) {
                vec mask = load(m->mask + j * QB + i);
                x = vselect(mask == closed, closed, x + mask);
            }
            if (first > i) x = vselect(lane >= (ivec){0} + (integer)(first - i), x, closed);
            store(at, x);
        }
    }
}
