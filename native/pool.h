/* The thread pool and the work buffers that kernels use. See pool.c for how it works. */

/* Calls task(arg, part, parts) once for every part in [0, parts), on several threads if they are free.
 * Results must not depend on which thread runs a part: choose parts by shape, let parts write apart.
 * A part runs whole on one thread; the calls for neighbouring parts tend to share a thread. */
void ta_parallel(void (*task)(void *arg, long part, long parts), void *arg, long parts);

/* A block of at least `bytes`, 64-byte aligned, of the calling thread; NULL if memory is short. It stays
 * valid until the same thread asks for the same slot again or drops it. Slots: what a call shares with
 * its parts, and what a part needs for itself (the caller of ta_parallel runs parts too). */
enum { TA_SHARED, TA_PART, TA_SLOTS };
void *ta_scratch(int slot, size_t bytes);

/* To be called when the work is done: blocks beyond a cap are freed, smaller ones kept for next time. */
void ta_scratch_done(int slot);
