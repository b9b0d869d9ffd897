/* A small thread pool. Look first at ta_parallel and work_on.
 *
 * A job is a number of parts. Every thread has a range of them. For the same number of parts and
 * threads the ranges are the same, so that data stays in its core's cache from call to call. A thread
 * that has finished its own range takes parts of the others', so nobody waits for a thread that the
 * system has not scheduled yet.
 *
 * Threads start with the first job. After a job they spin briefly, because the next kernel often
 * follows within microseconds, and then they sleep. A thread that joins a job wakes two others, these
 * wake two each, and threads that a job does not need sleep on. A call that finds the pool busy (from
 * another Python thread, or from inside a part) runs its parts itself. After fork() the child starts
 * threads of its own. */
#pragma once

enum { MAX_THREADS = 256, SPIN_NANOSECONDS = 200000, KEPT_BYTES = 16 << 20 };
enum { LEAST_CACHE = 512 << 10, USUAL_CACHE = 1 << 20, MOST_CACHE = 2 << 20 };

/* What it costs to start and to join one more thread, in multiplications. n threads take work / n +
 * n * THREAD_COST, which is least for the n of ta_threads_for. */
enum { THREAD_COST = 25000 };

struct pool_range {
    _Alignas(64) atomic_long next;
    long end;
};

/* Where a thread sleeps. */
struct pool_bed {
    _Alignas(64) atomic_int taken;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

static struct {
    atomic_int busy;          /* one job at a time */
    atomic_int threads;       /* how many are wanted; 0: not known yet */
    int started;              /* workers running; written only while busy is held */
    int registered;           /* ta_at_fork done */

    void (*task)(void *, long, long);
    void *arg;
    long parts;
    atomic_int job_threads;   /* the threads below this number belong to the job */
    atomic_int spin;          /* set while every thread has a core of its own */

    /* A worker joins a job by adding 2 while bit 0 (open) is set. The caller clears bit 0 and waits for
     * 0. */
    _Alignas(64) atomic_int members;
    _Alignas(64) atomic_uint generation;
    atomic_int processor; /* of the thread whose job it is */
    struct pool_range ranges[MAX_THREADS];
    struct pool_bed beds[MAX_THREADS];
} pool;

static inline void pause_briefly(void)
{
#if TA_X86
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

void ta_wait_until_more(const atomic_long *counter, long number)
{
    for (int i = 0; atomic_load_explicit(counter, memory_order_acquire) <= number; i++)
        if (i < 1000)
            pause_briefly();
        else
            sched_yield();
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

int ta_num_cpus(void) { return ta_system_cpus(); }

void ta_set_num_threads(int threads)
{
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    atomic_store(&pool.spin, threads <= ta_num_cpus());
    atomic_store(&pool.threads, threads);
}

int ta_get_num_threads(void)
{
    int threads = atomic_load_explicit(&pool.threads, memory_order_relaxed);
    if (!threads) {
        threads = ta_num_cpus();
        ta_set_num_threads(threads);
    }
    return threads;
}

int ta_threads_for(double multiplications)
{
    const double most = sqrt(multiplications / THREAD_COST);
    const int threads = ta_get_num_threads();
    return most < 1 ? 1 : most < threads ? (int)most : threads;
}

long ta_second_level_cache(void)
{
    static atomic_long known;
    long bytes = atomic_load_explicit(&known, memory_order_relaxed);
    if (!bytes) {
#if defined(_SC_LEVEL2_CACHE_SIZE)
        bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
        if (bytes <= 0) bytes = USUAL_CACHE;
        if (bytes < LEAST_CACHE) bytes = LEAST_CACHE;
        if (bytes > MOST_CACHE) bytes = MOST_CACHE; /* shared by several cores */
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

/* A thread takes the parts of its own range first, then those of the others. */
static void work_on(int self)
{
    const int threads = atomic_load_explicit(&pool.job_threads, memory_order_relaxed);
    for (int i = 0; i < threads; i++) {
        struct pool_range *range = &pool.ranges[(self + i) % threads];
        while (atomic_load_explicit(&range->next, memory_order_relaxed) < range->end) {
            long part = atomic_fetch_add_explicit(&range->next, 1, memory_order_relaxed);
            if (part >= range->end) break;
            pool.task(pool.arg, part, pool.parts);
        }
    }
}

static void note_processor(void)
{
#if defined(__linux__)
    atomic_store_explicit(&pool.processor, sched_getcpu(), memory_order_relaxed);
#endif
}

/* A thread that is woken on the waking thread's processor can stay there for tens of milliseconds: the
 * two take turns while another processor is idle, because the system does not move a thread that has
 * just run. So the thread leaves that processor by itself. Later it may return whenever the system
 * wants it to. */
static void leave_the_callers_processor(void)
{
#if defined(__linux__)
    const int callers = atomic_load_explicit(&pool.processor, memory_order_relaxed);
    cpu_set_t all, others;
    if (callers < 0 || callers >= CPU_SETSIZE || sched_getcpu() != callers) return;
    if (sched_getaffinity(0, sizeof all, &all)) return;
    others = all;
    CPU_CLR(callers, &others);
    if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof others, &others))
        sched_setaffinity(0, sizeof all, &all);
#endif
}

/* Whether there is a job that the thread belongs to. (The number can be that of an even later job.
 * Then there is one more to come, and the thread looks again.) */
static int is_called(int self, unsigned *seen)
{
    for (unsigned now; (now = atomic_load(&pool.generation)) != *seen;) {
        *seen = now;
        if (self < atomic_load(&pool.job_threads)) return 1;
    }
    return 0;
}

static void wait_for_job(int self, unsigned *seen)
{
    if (is_called(self, seen)) return;
    int spin = atomic_load(&pool.spin) && self < atomic_load(&pool.threads);
    int64_t until = nanoseconds() + SPIN_NANOSECONDS;
    while (spin && nanoseconds() < until)
        for (int i = 0; i < 16; i++) {
            if (is_called(self, seen)) return;
            pause_briefly();
        }
    struct pool_bed *bed = &pool.beds[self];
    pthread_mutex_lock(&bed->mutex);
    atomic_store(&bed->taken, 1);
    while (!is_called(self, seen)) pthread_cond_wait(&bed->wake, &bed->mutex);
    atomic_store(&bed->taken, 0);
    pthread_mutex_unlock(&bed->mutex);
}

/* Wakes two threads of the job, if they sleep. */
static void wake_two(int self)
{
    const int threads = atomic_load_explicit(&pool.job_threads, memory_order_relaxed);
    for (int other = 2 * self + 1; other <= 2 * self + 2 && other < threads; other++) {
        struct pool_bed *bed = &pool.beds[other];
        if (!atomic_load(&bed->taken)) continue;
        pthread_mutex_lock(&bed->mutex);
        pthread_cond_signal(&bed->wake);
        pthread_mutex_unlock(&bed->mutex);
    }
}

static void *worker(void *arg)
{
    int self = (int)(intptr_t)arg;
    unsigned seen = atomic_load(&pool.generation) - 1; /* the job it was started for may be open */
    for (;;) {
        leave_the_callers_processor();
        wait_for_job(self, &seen);
        leave_the_callers_processor();
        int members = atomic_load(&pool.members);
        while (members & 1)
            if (atomic_compare_exchange_weak(&pool.members, &members, members + 2)) {
                if (self < atomic_load_explicit(&pool.job_threads, memory_order_relaxed)) {
                    wake_two(self);
                    work_on(self);
                }
                atomic_fetch_sub_explicit(&pool.members, 2, memory_order_release);
                break;
            }
    }
    return NULL;
}

/* After a fork the child has only the thread that called fork. What the parent's threads were doing is
 * forgotten. */
static void reset_after_fork(void)
{
    pool.started = 0;
    atomic_store(&pool.busy, 0);
    atomic_store(&pool.members, 0);
}

/* Starts the workers that are missing. Fewer threads than wanted is no error: the caller does their
 * work. */
static void start_workers(int threads)
{
    pthread_attr_t attributes;
    if (!pool.registered) pool.registered = !ta_at_fork(reset_after_fork);
    if (!pool.registered || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    note_processor();
    const ta_signals before = ta_block_signals();
    while (pool.started < threads - 1) {
        pthread_t thread;
        struct pool_bed *bed = &pool.beds[pool.started + 1];
        atomic_store(&bed->taken, 0);
        if (pthread_mutex_init(&bed->mutex, NULL) || pthread_cond_init(&bed->wake, NULL)) break;
        if (pthread_create(&thread, &attributes, worker, (void *)(intptr_t)(pool.started + 1))) break;
        pool.started++;
    }
    ta_restore_signals(before);
    pthread_attr_destroy(&attributes);
}

static void open_job(void (*task)(void *, long, long), void *arg, long parts, int threads)
{
    pool.task = task;
    pool.arg = arg;
    pool.parts = parts;
    atomic_store_explicit(&pool.job_threads, threads, memory_order_relaxed);
    for (int i = 0; i < threads; i++) {
        atomic_store_explicit(&pool.ranges[i].next, parts * i / threads, memory_order_relaxed);
        pool.ranges[i].end = parts * (i + 1) / threads;
    }
    note_processor();
    atomic_store(&pool.members, 1);
    atomic_fetch_add(&pool.generation, 1);
    wake_two(0);
}

static void close_job(void)
{
    atomic_fetch_sub(&pool.members, 1);
    for (int i = 0; atomic_load_explicit(&pool.members, memory_order_acquire); i++)
        if (i < 1000)
            pause_briefly();
        else
            sched_yield();
}

void ta_parallel(void (*task)(void *, long, long), void *arg, long parts)
{
    int threads = ta_get_num_threads(), expected = 0;
    if (threads > parts) threads = (int)parts;
    if (threads > 1 && atomic_compare_exchange_strong(&pool.busy, &expected, 1)) {
        if (pool.started < threads - 1) start_workers(threads);
        open_job(task, arg, parts, threads);
        work_on(0);
        close_job();
        atomic_store(&pool.busy, 0);
        return;
    }
    for (long part = 0; part < parts; part++) task(arg, part, parts);
}

struct scratch {
    void *block[TA_SLOTS];
    size_t bytes[TA_SLOTS];
};

static __thread struct scratch *scratch;
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void free_scratch(void *arg)
{
    struct scratch *own = arg;
    for (int slot = 0; slot < TA_SLOTS; slot++) ta_aligned_free(own->block[slot]);
    free(own);
}

static void make_scratch_key(void) { pthread_key_create(&scratch_key, free_scratch); }

void *ta_scratch(int slot, size_t bytes)
{
    if (!scratch) {
        pthread_once(&scratch_once, make_scratch_key);
        if (!(scratch = calloc(1, sizeof *scratch))) return NULL;
        pthread_setspecific(scratch_key, scratch); /* frees it when the thread ends */
    }
    if (bytes > scratch->bytes[slot] || !scratch->block[slot]) {
        ta_aligned_free(scratch->block[slot]);
        bytes = (bytes + 4095) & ~(size_t)4095;
        if (!bytes) bytes = 4096;
        scratch->bytes[slot] = 0;
        if (!(scratch->block[slot] = ta_aligned_alloc(4096, bytes))) return NULL;
        scratch->bytes[slot] = bytes;
    }
    return scratch->block[slot];
}

void ta_scratch_done(int slot)
{
    if (!scratch || scratch->bytes[slot] <= KEPT_BYTES) return;
    ta_aligned_free(scratch->block[slot]);
    scratch->block[slot] = NULL;
    scratch->bytes[slot] = 0;
}
