/* How much work a part of ta_parallel is: fixed numbers of elements, so that the cut, and with it every
 * sum's order, depends on the shape only. */

enum {
    PART_ELEMENTS = 16384,
    ROW_IN_CACHE = 65536, /* elements of a row; beyond them it counts as long */
    ROW_PIECE = 4096      /* elements of a long row that stay in the first cache */
};

/* Parts for N rows of n elements. */
static inline long ta_row_parts(long N, long n)
{
    long rows = PART_ELEMENTS / (n + 1) + 1;
    return (N + rows - 1) / rows;
}

/* Several arrays taken as if they stood end to end; a part is PART_ELEMENTS of them. */
static inline long ta_array_parts(const int64_t *lengths, long count)
{
    int64_t total = 0;
    for (long i = 0; i < count; i++) total += lengths[i];
    return (long)((total + PART_ELEMENTS - 1) / PART_ELEMENTS);
}

/* Elements begin to end of one array. */
struct ta_piece {
    long array, begin, end;
    int64_t before, from, to; /* elements before the array; the part's own range */
};

static inline struct ta_piece ta_before_pieces(long part)
{
    int64_t from = (int64_t)part * PART_ELEMENTS;
    return (struct ta_piece){.array = -1, .from = from, .to = from + PART_ELEMENTS};
}

/* The next piece of the part, if there is one. */
static inline int ta_next_piece(struct ta_piece *piece, const int64_t *lengths, long count)
{
    while (piece->array + 1 < count) {
        if (piece->array >= 0) piece->before += lengths[piece->array];
        int64_t length = lengths[++piece->array];
        int64_t begin = piece->from - piece->before, end = piece->to - piece->before;
        piece->begin = (long)(begin > 0 ? begin : 0);
        piece->end = (long)(end < length ? end : length);
        if (piece->begin < piece->end) return 1;
    }
    return 0;
}
