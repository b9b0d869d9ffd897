/* Stands in for the pool's ta_parallel, in the core that benchmarks/scaling.py builds: the parts of a call
 * run one after the other, and how long each of them takes is noted. */

static struct {
    double *numbers; /* for every call of ta_parallel: how many parts, then the seconds of each */
    long count, room;
    int inside; /* a part calls ta_parallel: that belongs to the part */
} notes;

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ta_parallel(void (*task)(void *, long, long), void *arg, long parts)
{
    if (!notes.inside && notes.count + parts + 1 > notes.room) {
        notes.room = 2 * (notes.count + parts + 1);
        notes.numbers = realloc(notes.numbers, (size_t)notes.room * sizeof(double));
        if (!notes.numbers) abort();
    }
    if (!notes.inside) notes.numbers[notes.count++] = (double)parts;
    for (long part = 0; part < parts; part++) {
        const int outer = !notes.inside;
        const double start = processor_seconds();
        notes.inside = 1;
        task(arg, part, parts);
        if (!outer) continue;
        notes.inside = 0;
        notes.numbers[notes.count++] = processor_seconds() - start;
    }
}

/* The numbers so far, which are forgotten with the next call. */
long ta_notes(double **numbers)
{
    const long count = notes.count;
    *numbers = notes.numbers;
    notes.count = 0;
    return count;
}
