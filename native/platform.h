/* What differs from one operating system to another: processors, memory that is aligned, signals. The
 * rest of the core is the same everywhere. */
#pragma once
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>
#undef near /* windows.h defines these words of C of 16 bits as nothing */
#undef far

/* The kernels count in long, which has 32 bits there. core.c ends this after the last file. */
#define long long long

/* The macros of math.h mention long double. */
#undef isnan
#undef isinf
#undef isfinite
#undef signbit
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)

static inline int ta_system_cpus(void)
{
    DWORD_PTR own, all;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &own, &all)) return 1;
    return __builtin_popcountll(own);
}

static inline void *ta_aligned_alloc(size_t alignment, size_t bytes)
{
    return _aligned_malloc(bytes, alignment);
}

static inline void ta_aligned_free(void *block) { _aligned_free(block); }

/* There is no fork and no mask of signals: nothing to do. */
static inline int ta_at_fork(void (*child)(void)) { return (void)child, 0; }
typedef int ta_signals;
static inline ta_signals ta_block_signals(void) { return 0; }
static inline void ta_restore_signals(ta_signals before) { (void)before; }

#else
#include <unistd.h>

static inline int ta_system_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

static inline void *ta_aligned_alloc(size_t alignment, size_t bytes)
{
    void *block;
    return posix_memalign(&block, alignment, bytes) ? NULL : block;
}

static inline void ta_aligned_free(void *block) { free(block); }

static inline int ta_at_fork(void (*child)(void)) { return pthread_atfork(NULL, NULL, child); }

/* Signals are for the program's own threads: a thread that is started in between gets none. */
typedef sigset_t ta_signals;
static inline ta_signals ta_block_signals(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    return before;
}
static inline void ta_restore_signals(ta_signals before) { pthread_sigmask(SIG_SETMASK, &before, NULL); }
#endif
