/* The vocabulary of the kernel files. It is defined anew for each type (REAL_BITS) and level (LEVEL,
 * VECTOR_BYTES) before the kernel files are included:
 *
 *   real, LANES              float or double, and how many of them a vector holds
 *   vec, ivec                a vector of LANES reals; of integers of the same width (a mask: 0 or -1)
 *   FN(name)                 name_f32_avx512: every function of a kernel file is named like this
 *   KERNEL(name)             the same for a function that Python can call, as ta_name_f32 (build.py)
 *   load(p), store(p, v)     a whole vector, at any address
 *   load_first(p, n), store_first(p, v, n)       only the first n < LANES numbers; the others read as 0
 *   load_some(p, n), store_some(p, v, n)         the same for n <= LANES
 *   splat(x), vselect(m, a, b), vmax(a, b), vmin(a, b)     vmax, vmin give b when either is a NaN
 *   as_ivec(v), as_vec(i)    the same bits as another type
 *   to_ivec(v), to_vec(i)    the same value as another type (truncated)
 *   hsum(v), hmax(v)         over the lanes, in a fixed tree
 *   FN(any)(m)               whether a lane of a mask is set
 *
 * Arithmetic and comparisons are the compiler's vector extensions. a * b + c becomes an FMA where the
 * level has one. Only this file, vmath.h and sums.h use intrinsics, for what the extensions do not have:
 * partial loads, blends, maxima, square roots, or do slowly: float to double. */
#undef real
#undef integer
#undef LANES
#undef TYPE_SUFFIX
#undef FN
#undef FN2
#undef FN3
#undef vec
#undef ivec
#undef loose_vec
#undef load
#undef store
#undef load_first
#undef store_first
#undef load_some
#undef store_some
#undef splat
#undef vselect
#undef vmax
#undef vmin
#undef as_ivec
#undef as_vec
#undef to_ivec
#undef to_vec
#undef hsum
#undef hmax

#undef KERNEL
#define KERNEL(name) static int FN(name)

#if REAL_BITS == 64
#define real double
#define integer int64_t
#define TYPE_SUFFIX f64
#else
#define real float
#define integer int32_t
#define TYPE_SUFFIX f32
#endif
#define LANES ((long)(VECTOR_BYTES / sizeof(real)))

#define FN3(name, type, level) name##_##type##_##level
#define FN2(name, type, level) FN3(name, type, level)
#define FN(name) FN2(name, TYPE_SUFFIX, LEVEL)

#define vec FN(vec)
#define ivec FN(ivec)
#define loose_vec FN(loose_vec)
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef integer ivec __attribute__((vector_size(VECTOR_BYTES)));
typedef real loose_vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#ifndef TA_INLINE
#define TA_INLINE static inline __attribute__((always_inline, unused))
#endif

#define load FN(load)
#define store FN(store)
#define load_first FN(load_first)
#define store_first FN(store_first)
#define load_some FN(load_some)
#define store_some FN(store_some)
#define splat FN(splat)
#define vselect FN(vselect)
#define vmax FN(vmax)
#define vmin FN(vmin)
#define as_ivec FN(as_ivec)
#define as_vec FN(as_vec)
#define to_ivec FN(to_ivec)
#define to_vec FN(to_vec)
#define hsum FN(hsum)
#define hmax FN(hmax)

TA_INLINE vec load(const real *p) { return *(const loose_vec *)p; }
TA_INLINE void store(real *p, vec v) { *(loose_vec *)p = v; }
/* x - 0 is x, also for x = -0, but 0 + x is not. The compiler makes one broadcast of it. */
TA_INLINE vec splat(real x) { return x - (vec){0}; }
TA_INLINE ivec as_ivec(vec v) { return (ivec)v; }
TA_INLINE vec as_vec(ivec v) { return (vec)v; }
TA_INLINE ivec to_ivec(vec v) { return __builtin_convertvector(v, ivec); }
TA_INLINE vec to_vec(ivec v) { return __builtin_convertvector(v, vec); }

#if TA_X86 && LEVEL_NUMBER == 2 && REAL_BITS == 64
TA_INLINE vec load_first(const real *p, long n)
{
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
TA_INLINE void store_first(real *p, vec v, long n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
TA_INLINE vec vselect(ivec m, vec a, vec b)
{
    return (vec)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)m), (__m512d)b, (__m512d)a);
}
TA_INLINE vec vmax(vec a, vec b) { return (vec)_mm512_max_pd((__m512d)a, (__m512d)b); }
TA_INLINE vec vmin(vec a, vec b) { return (vec)_mm512_min_pd((__m512d)a, (__m512d)b); }
#elif TA_X86 && LEVEL_NUMBER == 2
TA_INLINE vec load_first(const real *p, long n)
{
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
TA_INLINE void store_first(real *p, vec v, long n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
TA_INLINE vec vselect(ivec m, vec a, vec b)
{
    return (vec)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)m), (__m512)b, (__m512)a);
}
TA_INLINE vec vmax(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
TA_INLINE vec vmin(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
#else
TA_INLINE vec vselect(ivec m, vec a, vec b)
{
#if TA_X86 && LEVEL_NUMBER == 1 && REAL_BITS == 64
    return (vec)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)m);
#elif TA_X86 && LEVEL_NUMBER == 1
    return (vec)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#else
    return as_vec((m & as_ivec(a)) | (~m & as_ivec(b)));
#endif
}
#if TA_X86 && LEVEL_NUMBER == 1
TA_INLINE __m256i FN(first_lanes)(long n)
{
#if REAL_BITS == 64
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#else
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#endif
}
#if REAL_BITS == 64
TA_INLINE vec load_first(const real *p, long n)
{
    return (vec)_mm256_maskload_pd(p, FN(first_lanes)(n));
}
TA_INLINE void store_first(real *p, vec v, long n)
{
    _mm256_maskstore_pd(p, FN(first_lanes)(n), (__m256d)v);
}
TA_INLINE vec vmax(vec a, vec b) { return (vec)_mm256_max_pd((__m256d)a, (__m256d)b); }
TA_INLINE vec vmin(vec a, vec b) { return (vec)_mm256_min_pd((__m256d)a, (__m256d)b); }
#else
TA_INLINE vec load_first(const real *p, long n)
{
    return (vec)_mm256_maskload_ps(p, FN(first_lanes)(n));
}
TA_INLINE void store_first(real *p, vec v, long n)
{
    _mm256_maskstore_ps(p, FN(first_lanes)(n), (__m256)v);
}
TA_INLINE vec vmax(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
TA_INLINE vec vmin(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
#endif
#else
TA_INLINE vec load_first(const real *p, long n)
{
    vec v = {0};
    for (long i = 0; i < n; i++) v[i] = p[i];
    return v;
}
TA_INLINE void store_first(real *p, vec v, long n)
{
    for (long i = 0; i < n; i++) p[i] = v[i];
}
TA_INLINE vec vmax(vec a, vec b) { return vselect(a > b, a, b); }
TA_INLINE vec vmin(vec a, vec b) { return vselect(a < b, a, b); }
#endif
#endif

TA_INLINE vec load_some(const real *p, long n) { return n == LANES ? load(p) : load_first(p, n); }
TA_INLINE void store_some(real *p, vec v, long n)
{
    if (n == LANES)
        store(p, v);
    else
        store_first(p, v, n);
}

/* The upper half is added to the lower until 16 bytes are left; then come these lanes. */
#if REAL_BITS == 64
#define JOIN(op, v) op(v[0], v[1])
#else
#define JOIN(op, v) op(op(v[0], v[2]), op(v[1], v[3]))
#endif
#define ADD(a, b) ((a) + (b))
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#if TA_X86 && LEVEL_NUMBER == 2 && REAL_BITS == 64
TA_INLINE real hsum(vec v) { return _mm512_reduce_add_pd((__m512d)v); }
TA_INLINE real hmax(vec v) { return _mm512_reduce_max_pd((__m512d)v); }
#elif TA_X86 && LEVEL_NUMBER == 2
TA_INLINE real hsum(vec v) { return _mm512_reduce_add_ps((__m512)v); }
TA_INLINE real hmax(vec v) { return _mm512_reduce_max_ps((__m512)v); }
#elif TA_X86 && LEVEL_NUMBER == 1 && REAL_BITS == 64
TA_INLINE real hsum(vec v)
{
    __m128d half = _mm_add_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
    return JOIN(ADD, half);
}
TA_INLINE real hmax(vec v)
{
    __m128d half = _mm_max_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
    return JOIN(LARGER, half);
}
#elif TA_X86 && LEVEL_NUMBER == 1
TA_INLINE real hsum(vec v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    return JOIN(ADD, half);
}
TA_INLINE real hmax(vec v)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    return JOIN(LARGER, half);
}
#else
TA_INLINE real hsum(vec v) { return JOIN(ADD, v); }
TA_INLINE real hmax(vec v) { return JOIN(LARGER, v); }
#endif
#undef JOIN
#undef ADD
#undef LARGER

#if TA_X86 && LEVEL_NUMBER == 2
TA_INLINE int FN(any)(ivec m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0; }
#elif TA_X86 && LEVEL_NUMBER == 1
TA_INLINE int FN(any)(ivec m) { return !_mm256_testz_si256((__m256i)m, (__m256i)m); }
#elif TA_X86
TA_INLINE int FN(any)(ivec m) { return _mm_movemask_epi8((__m128i)m) != 0; }
#else
TA_INLINE int FN(any)(ivec m)
{
    integer any = 0;
    for (int i = 0; i < LANES; i++) any |= m[i];
    return any != 0;
}
#endif
