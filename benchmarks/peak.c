/* The multiplications and additions this machine can do in a second: prints GFLOP/s (float32).
 * Twelve independent chains of fused multiply-adds in registers, as many threads as asked for;
 * benchmarks/workers.py compiles and runs it. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define CHAINS 12
#define STEPS 2000000L

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static void *work(void *result)
{
    vec sums[CHAINS] = {{0}}, factor = {0}, term = {0};
    factor += 0.999f;
    term += 0.001f;
    __asm__ volatile("" : "+m"(factor), "+m"(term));
    for (long i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            sums[k] = sums[k] * factor + term;
    for (int k = 1; k < CHAINS; k++)
        sums[0] += sums[k];
    *(float *)result = sums[0][0];
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **arguments)
{
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    pthread_t *ids = malloc(sizeof *ids * (size_t)threads);
    float *results = malloc(sizeof *results * (size_t)threads);
    double best = 0;
    if (!ids || !results)
        return 1;
    for (int round = 0; round < 60; round++) {
        double start = now();
        for (int i = 0; i < threads; i++)
            if (pthread_create(&ids[i], NULL, work, &results[i]))
                return 1;
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
        double rate = 2.0 * LANES * CHAINS * STEPS * threads / (now() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    printf("%.1f\n", best);
    return 0;
}
