/* Attention of a few queries (up to DOT_ROWS), as when a sentence is decoded word by word. Most lanes of a
 * transposed block would be empty then. So the scores are rows here, (nq, Tk) of them in `few`, and the
 * keys are transposed as they are read. */
static void FN(attend_few)(struct FN(meeting) *m)
{
    const struct ta_attention *all = m->all;
    const long head = m->head / (all->h / all->h_kv), Tk = all->Tk, Dv = all->Dv;
    const long ldk = FN(row_step)(&all->k);
    const real *k = FN(row_of)(&all->k, m->batch, head, 0), *v = FN(row_of)(&all->v, m->batch, head, 0);
    const char *mask = all->mask;
    const int64_t *step = all->mask_steps;
    real *lse = (real *)all->lse + (m->batch * all->h + m->head) * all->Tq;
    for (long j = 0; j < Tk; j += LANES) {
        struct FN(tile_job) job = {.a = FN(row_of)(&all->q, m->batch, m->head, 0), .b = k + j * ldk,
                                   .lda = FN(row_step)(&all->q), .ldb = ldk, .K = all->D,
                                   .c = m->few + j, .ldc = Tk, .last = ta_smaller(LANES, Tk - j)};
        FN(dots_of)[m->nq - 1](&job);
    }
    for (long i = 0; i < m->nq; i++) {
        real *s = m->few + i * Tk;
        const long end = all->causal ? ta_smaller(Tk, i + 1) : Tk;
        FN(row_scale)(s, s, end, (real)all->scale);
        for (long j = 0; mask && j < end; j++) {
            const char *at = mask + m->batch * step[0] + m->head * step[1] + i * step[2] + j * step[3];
            const real added = !all->mask_is_bool ? *(const real *)at : *at ? 0 : -INFINITY;
            s[j] = added == -INFINITY ? added : s[j] + added;
        }
        const real top = FN(row_max)(s, end), shift = top == -INFINITY ? 0 : top;
        const real sum = FN(row_exp)(s, s, end, shift);
        memset(s + end, 0, (Tk - end) * sizeof(real));
        FN(row_scale)(s, s, end, sum == 0 ? 0 : 1 / sum);
        lse[i] = shift + FN(log_of)(sum);
    }
    FN(strip_of)(m->few, Tk, 1, v, FN(row_step)(&all->v), Tk, FN(row_of)(&all->out, m->batch, m->head, 0),
                 FN(row_step)(&all->out), m->nq, Dv, 1);
}
