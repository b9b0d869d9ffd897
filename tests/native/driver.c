/* The C core alone, without Python: replays the calls of vectors.bin and holds the results to the NumPy
 * reference's. Serves ThreadSanitizer and foreign processors; tests/native/run does what follows.
 *
 *   python -m tests.native.vectors DIR
 *   gcc -std=gnu11 -O1 -g -fsanitize=thread -Inative -IDIR tests/native/driver.c -o DIR/driver -pthread -lm
 *   DIR/driver DIR/vectors.bin [avx512 | avx2 | baseline]
 *   aarch64-linux-gnu-gcc -static -std=gnu11 -O2 -Inative -IDIR tests/native/driver.c -o DIR/arm64 -pthread -lm
 *   qemu-aarch64 DIR/arm64 DIR/vectors.bin
 *   zig cc -target x86_64-windows-gnu -std=gnu11 -O2 -Inative -IDIR tests/native/driver.c -o DIR/driver.exe
 *   wine DIR/driver.exe DIR/vectors.bin
 *
 * Every case runs with 1, 2, 3 and 8 threads, which must give the same bits; then four callers run all
 * cases at once while the number of threads changes. Arrays lie flush against a page that can't be
 * touched, first at their end, then at their beginning: an access outside ends the program. */
#include "core.c"
#include "entries.h"

#include <stdio.h>
#if !defined(_WIN32)
#include <sys/mman.h>
#endif

enum { PAGE = 4096, CALLERS = 4, MOST_ARGUMENTS = 32 };
enum { INTEGER, REAL, POINTER, MADE }; /* MADE: a struct or a table of pointers, for this call */

union argument {
    int64_t i;
    double d;
    void *p;
};

/* One array of a case; `content` stays as the file has it. */
struct array {
    const char *content;
    char *at, *pages;
    int64_t size, mapped;
};

static int call(int64_t function, const union argument *a)
{
    switch (function) {
#include "calls.h"
    }
    return -1;
}

static int64_t next(const char **file)
{
    int64_t value;
    memcpy(&value, *file, sizeof value);
    *file += sizeof value;
    return value;
}

/* Pages of which all but the first and the last can be touched; NULL if memory is short. */
static char *guarded(int64_t size)
{
#if defined(_WIN32)
    char *pages = VirtualAlloc(NULL, size + 2 * PAGE, MEM_RESERVE, PAGE_NOACCESS);
    if (pages && size && !VirtualAlloc(pages + PAGE, size, MEM_COMMIT, PAGE_READWRITE)) return NULL;
    return pages;
#else
    char *pages = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || (size && mprotect(pages + PAGE, size, PROT_READ | PROT_WRITE))) return NULL;
    return pages;
#endif
}

static void unmap(struct array *array)
{
#if defined(_WIN32)
    VirtualFree(array->pages, 0, MEM_RELEASE);
#else
    munmap(array->pages, array->mapped + 2 * PAGE);
#endif
}

static void place(struct array *array, int at_end)
{
    array->mapped = (array->size + PAGE - 1) / PAGE * PAGE;
    array->pages = guarded(array->mapped);
    if (!array->pages) {
        perror("driver: no memory");
        exit(2);
    }
    array->at = array->pages + PAGE + (at_end ? array->mapped - array->size : 0);
    memcpy(array->at, array->content, array->size);
}

static void *pointer(struct array *arrays, const char **file)
{
    int64_t number = next(file);
    return arrays[number].at + next(file);
}

/* A copy of some bytes in which pointers to arrays are put in. */
static char *make(struct array *arrays, const char **file)
{
    int64_t size = next(file), pointers = next(file);
    char *made = memcpy(malloc(size + 1), *file, size);
    *file += size;
    while (pointers-- > 0) {
        int64_t at = next(file);
        void *p = pointer(arrays, file);
        memcpy(made + at, &p, sizeof p);
    }
    return made;
}

/* The calls of a case, on fresh arrays; returns the first status that isn't 0. */
static int make_calls(struct array *arrays, int64_t calls, const char **file)
{
    int status = 0;
    while (calls-- > 0) {
        int64_t function = next(file), count = next(file);
        union argument a[MOST_ARGUMENTS];
        char *made[MOST_ARGUMENTS] = {NULL};
        for (int64_t k = 0; k < count; k++) {
            int64_t kind = next(file);
            if (kind == INTEGER || kind == REAL)
                a[k].i = next(file); /* the bits of either */
            else if (kind == POINTER)
                a[k].p = pointer(arrays, file);
            else
                a[k].p = made[k] = make(arrays, file);
        }
        if (!status) status = call(function, a);
        for (int64_t k = 0; k < count; k++) free(made[k]);
    }
    return status;
}

/* Element i of an array of floats of `size` bytes, or of integers of -size bytes. */
static double element(const char *x, int64_t size, int64_t i)
{
    switch (size) {
    case 4: return (double)((const float *)x)[i];
    case 8: return ((const double *)x)[i];
    case -1: return (double)((const uint8_t *)x)[i];
    case -4: return (double)((const int32_t *)x)[i];
    case -8: return (double)((const int64_t *)x)[i];
    default: return NAN;
    }
}

/* Holds one array to the reference's; says where it is wrong. */
static int differs(const char *name, const char *got, int64_t size, const double *want, int64_t count,
                   double tolerance)
{
    for (int64_t i = 0; i < count; i++) {
        double x = element(got, size, i);
        if (isnan(x) && isnan(want[i])) continue;
        if (x == want[i] || fabs(x - want[i]) <= tolerance) continue;
        fprintf(stderr, "driver: %s: element %lld is %.9g, the reference has %.9g (tolerance %.3g)\n", name,
                (long long)i, x, want[i], tolerance);
        return 1;
    }
    return 0;
}

static uint64_t hash(uint64_t h, const char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return h;
}

/* Runs the case at *file and moves on to the next; adds the bits of its results to *bits. */
static int run_case(const char **file, int at_end, uint64_t *bits)
{
    const char *name = *file;
    *file += 64;
    int64_t count = next(file), calls = next(file), results = next(file);
    struct array *arrays = calloc(count + 1, sizeof *arrays);
    for (int64_t i = 0; i < count; i++) {
        arrays[i].size = next(file);
        arrays[i].content = *file;
        *file += arrays[i].size;
        place(&arrays[i], at_end);
    }
    int bad = make_calls(arrays, calls, file);
    if (bad) fprintf(stderr, "driver: %s: status %d\n", name, bad);
    while (results-- > 0) {
        const char *got = pointer(arrays, file);
        int64_t size = next(file), length = next(file);
        double tolerance, *want = malloc(length * sizeof *want);
        memcpy(&tolerance, *file, sizeof tolerance);
        memcpy(want, *file + sizeof tolerance, length * sizeof *want);
        *file += sizeof tolerance + length * sizeof *want;
        bad |= differs(name, got, size, want, length, tolerance);
        *bits = hash(*bits, got, length * llabs(size));
        free(want);
    }
    for (int64_t i = 0; i < count; i++) unmap(&arrays[i]);
    free(arrays);
    return bad != 0;
}

static const char *file_begin, *file_end;
static atomic_int wrong, callers_done;

static uint64_t run_all(int at_end)
{
    uint64_t bits = 0xcbf29ce484222325u;
    for (const char *file = file_begin; file < file_end;)
        if (run_case(&file, at_end, &bits)) atomic_fetch_add(&wrong, 1);
    return bits;
}

static void *caller(void *arg)
{
    uint64_t expected = *(uint64_t *)arg;
    if (run_all(0) != expected) {
        fprintf(stderr, "driver: a caller among others got other bits\n");
        atomic_fetch_add(&wrong, 1);
    }
    atomic_fetch_add(&callers_done, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    static const int threads[] = {1, 2, 3, 8};
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END)) {
        fprintf(stderr, "usage: driver vectors.bin [instruction set]\n");
        return 2;
    }
    long size = ftell(file);
    char *content = malloc(size);
    rewind(file);
    if (!content || fread(content, 1, size, file) != (size_t)size) return 2;
    fclose(file);
    if (argc > 2 && ta_set_isa(argv[2])) {
        fprintf(stderr, "driver: this processor has no %s\n", argv[2]);
        return 2;
    }
    file_begin = content;
    file_end = content + size;

    uint64_t expected = 0;
    for (int i = 0; i < 4; i++) {
        ta_set_num_threads(threads[i]);
        uint64_t bits = run_all(i % 2);
        if (i && bits != expected) {
            fprintf(stderr, "driver: other bits with %d threads\n", threads[i]);
            atomic_fetch_add(&wrong, 1);
        }
        expected = bits;
    }
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, caller, &expected);
    for (int n = 1; atomic_load(&callers_done) < CALLERS; n = n % 8 + 1) {
        ta_set_num_threads(n);
        sched_yield();
    }
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    printf("%s: %s\n", ta_isa(), atomic_load(&wrong) ? "wrong" : "right");
    return atomic_load(&wrong) != 0;
}
