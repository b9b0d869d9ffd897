/* Replay: many calls of kernels in one go, without Python between them. Look first at ta_replay.
 *
 * Kernels have many signatures, and a list needs one. So build.py writes a second entry point for every
 * kernel, such as
 *
 *     static int words_scale_f32(const union ta_word *w) { return ta_scale_f32(w[0].p, w[1].p, ...); }
 *
 * which takes its arguments as an array of words, eight bytes each. The table of them, ta_entries, also
 * says what each argument is: see struct ta_entry in tinyattn.h. */

const struct ta_entry *ta_entry(int64_t index)
{
    return index >= 0 && index < (int64_t)(sizeof ta_entries / sizeof *ta_entries) ? &ta_entries[index] : NULL;
}

/* Makes the calls in their order, up to the first one that fails. Gives the number of those that did
 * not fail, and the status of the last one. */
int64_t ta_replay(const struct ta_call *calls, int64_t count, int *status)
{
    int64_t done = 0;
    *status = 0;
    while (done < count && !(*status = calls[done].kernel(calls[done].words))) done++;
    return done;
}
