/* The thread pool and the work buffers that kernels use. See pool.c for how it works. */
#pragma once
#include <stdatomic.h>

/* Calls task(arg, part, parts) once for every part in [0, parts), on several threads if they are free.
 * A part runs on one thread from its beginning to its end. Results must depend neither on which thread
 * that is nor on how many there are: let no two parts write to the same place, and where a sum goes over
 * several parts, choose these by the shape only. Neighbouring parts are often run by the same thread. */
void ta_parallel(void (*task)(void *arg, long part, long parts), void *arg, long parts);

/* Waits until a counter, which a part that was begun before adds to, is more than `number`. */
void ta_wait_until_more(const atomic_long *counter, long number);

/* How many threads it pays to wake for so many multiplications; not more than there are. */
int ta_threads_for(double multiplications);

/* Bytes of a core's second-level cache; a careful guess where the system does not tell. */
long ta_second_level_cache(void);

/* Returns a block of at least `bytes` for the calling thread, aligned to 64 bytes, or NULL if memory is
 * short. It is valid until the same thread asks for the same slot again or calls ta_scratch_done.
 * TA_SHARED is for what a call shares with its parts, TA_PART for what a part needs for itself. (There
 * are two, because the thread that calls ta_parallel runs parts, too.) */
enum { TA_SHARED, TA_PART, TA_SLOTS };
void *ta_scratch(int slot, size_t bytes);

/* Call this when the work is done. Large blocks are freed; small ones are kept for the next time. */
void ta_scratch_done(int slot);
