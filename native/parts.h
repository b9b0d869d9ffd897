/* How work is cut into parts. A part is one of the shares that ta_parallel gives to its threads. Its size
 * is a fixed number of elements: the cut, and with it the order of every sum, depends on the shape only
 * and not on the number of threads. */

static inline long ta_smaller(long x, long y) { return x < y ? x : y; }

/* The smallest multiple of `unit` that is not less than x. */
static inline long ta_round_up(long x, long unit) { return (x + unit - 1) / unit * unit; }

enum {
    PART_ELEMENTS = 16384,
    ROW_IN_CACHE = 65536, /* a row of more elements is long: it leaves the caches */
    ROW_BLOCK = 4096      /* so many elements of a long row stay in the first-level cache */
};

/* Parts for N rows of n elements. */
static inline long ta_row_parts(long N, long n)
{
    long rows = PART_ELEMENTS / (n + 1) + 1;
    return (N + rows - 1) / rows;
}

/* Parts for several arrays, which are cut as if they lay end to end, PART_ELEMENTS to a part. */
static inline long ta_array_parts(const int64_t *lengths, long count)
{
    int64_t total = 0;
    for (long i = 0; i < count; i++) total += lengths[i];
    return (long)((total + PART_ELEMENTS - 1) / PART_ELEMENTS);
}

/* What one part has of one array: the elements [begin, end). */
struct ta_span {
    long array, begin, end;
    int64_t before;   /* elements of the arrays before this one */
    int64_t from, to; /* the part's range, counted over all arrays */
};

static inline struct ta_span ta_before_spans(long part)
{
    int64_t from = (int64_t)part * PART_ELEMENTS;
    return (struct ta_span){.array = -1, .from = from, .to = from + PART_ELEMENTS};
}

/* Moves on to the next span of the part; 0 if there is none. */
static inline int ta_next_span(struct ta_span *span, const int64_t *lengths, long count)
{
    while (span->array + 1 < count) {
        if (span->array >= 0) span->before += lengths[span->array];
        int64_t length = lengths[++span->array];
        int64_t begin = span->from - span->before, end = span->to - span->before;
        span->begin = (long)(begin > 0 ? begin : 0);
        span->end = (long)(end < length ? end : length);
        if (span->begin < span->end) return 1;
    }
    return 0;
}
