/* A small thread pool. Look first at ta_parallel and work_on.
 *
 * A job is a number of parts. Every thread has a range of them. For the same number of parts and
 * threads the ranges are the same, so that data stays in its core's cache from call to call. A thread
 * that has finished its own range takes parts of the others', so nobody waits for a thread that the
 * system has not scheduled yet.
 *
 * Threads start with the first job. After a job they spin briefly, because the next kernel often
 * follows within microseconds, and then they sleep. A call that finds the pool busy (from another
 * Python thread, or from inside a part) runs its parts itself. After fork() the child starts threads of
 * its own. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPIN_NANOSECONDS = 200000, KEPT_BYTES = 16 << 20 };

struct pool_range {
    _Alignas(64) atomic_long next;
    long end;
};

static struct {
    atomic_int busy;          /* one job at a time */
    atomic_int threads;       /* how many are wanted; 0: not known yet */
    int started;              /* workers running; written only while busy is held */
    int registered;           /* pthread_atfork done */

    void (*task)(void *, long, long);
    void *arg;
    long parts;
    int job_threads;
    atomic_int spin;          /* set while every thread has a core of its own */

    /* A worker joins a job by adding 2 while bit 0 (open) is set. The caller clears bit 0 and waits for
     * 0. */
    _Alignas(64) atomic_int members;
    _Alignas(64) atomic_uint generation;
    atomic_int sleepers;
    atomic_int processor; /* of the thread whose job it is */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct pool_range ranges[MAX_THREADS];
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static inline void pause_briefly(void)
{
#if TA_X86
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

int ta_num_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

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

/* A thread takes the parts of its own range first, then those of the others. */
static void work_on(int self)
{
    for (int i = 0; i < pool.job_threads; i++) {
        struct pool_range *range = &pool.ranges[(self + i) % pool.job_threads];
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

static void wait_for_job(int self, unsigned seen)
{
    if (atomic_load_explicit(&pool.generation, memory_order_acquire) != seen) return;
    int spin = atomic_load(&pool.spin) && self < atomic_load(&pool.threads);
    int64_t until = nanoseconds() + SPIN_NANOSECONDS;
    while (spin && nanoseconds() < until)
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(&pool.generation, memory_order_acquire) != seen) return;
            pause_briefly();
        }
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.wake, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void *worker(void *arg)
{
    int self = (int)(intptr_t)arg;
    unsigned seen = atomic_load(&pool.generation) - 1; /* the job it was started for may be open */
    for (;;) {
        leave_the_callers_processor();
        wait_for_job(self, seen);
        leave_the_callers_processor();
        seen = atomic_load_explicit(&pool.generation, memory_order_acquire);
        int members = atomic_load(&pool.members);
        while (members & 1)
            if (atomic_compare_exchange_weak(&pool.members, &members, members + 2)) {
                if (self < pool.job_threads) work_on(self);
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
    atomic_store(&pool.sleepers, 0);
    pool.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

/* Starts the workers that are missing. Fewer threads than wanted is no error: the caller does their
 * work. */
static void start_workers(int threads)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (!pool.registered) pool.registered = !pthread_atfork(NULL, NULL, reset_after_fork);
    if (!pool.registered || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    note_processor();
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.started < threads - 1) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, worker, (void *)(intptr_t)(pool.started + 1))) break;
        pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void open_job(void (*task)(void *, long, long), void *arg, long parts, int threads)
{
    pool.task = task;
    pool.arg = arg;
    pool.parts = parts;
    pool.job_threads = threads;
    for (int i = 0; i < threads; i++) {
        atomic_store_explicit(&pool.ranges[i].next, parts * i / threads, memory_order_relaxed);
        pool.ranges[i].end = parts * (i + 1) / threads;
    }
    note_processor();
    atomic_store(&pool.members, 1);
    atomic_fetch_add(&pool.generation, 1);
    if (atomic_load(&pool.sleepers) > 0) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.mutex);
    }
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
    for (int slot = 0; slot < TA_SLOTS; slot++) free(own->block[slot]);
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
        free(scratch->block[slot]);
        bytes = (bytes + 4095) & ~(size_t)4095;
        if (!bytes) bytes = 4096;
        scratch->bytes[slot] = 0;
        if (posix_memalign(&scratch->block[slot], 4096, bytes)) return scratch->block[slot] = NULL;
        scratch->bytes[slot] = bytes;
    }
    return scratch->block[slot];
}

void ta_scratch_done(int slot)
{
    if (!scratch || scratch->bytes[slot] <= KEPT_BYTES) return;
    free(scratch->block[slot]);
    scratch->block[slot] = NULL;
    scratch->bytes[slot] = 0;
}
