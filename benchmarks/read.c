/* How fast one core reads memory: prints GB/s (10^9 bytes a second). It adds up 256 MB in eight
 * independent sums, and takes the best of many times; benchmarks/compare/workers.py compiles and
 * runs it. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SUMS 8
#define LANES 16
#define VECTORS (4L * 1024 * 1024)

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void)
{
    vec *x = aligned_alloc(sizeof(vec), VECTORS * sizeof(vec));
    if (!x)
        return 1;
    for (long i = 0; i < VECTORS; i++)
        x[i] = (vec){0} + (float)(i % 7);
    double best = 1e9;
    volatile float result;
    for (int round = 0; round < 60; round++) {
        vec sums[SUMS] = {{0}};
        double start = now();
        for (long i = 0; i < VECTORS; i += SUMS)
            for (int k = 0; k < SUMS; k++)
                sums[k] += x[i + k];
        for (int k = 1; k < SUMS; k++)
            sums[0] += sums[k];
        result = sums[0][0];
        double took = now() - start;
        best = took < best ? took : best;
    }
    (void)result;
    printf("%.1f\n", VECTORS * sizeof(vec) / best / 1e9);
    free(x);
    return 0;
}
