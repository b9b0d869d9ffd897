/* The one translation unit that CFFI compiles: pool, then every kernel for each type and level, then
 * the dispatch. Look first at kernels.inc (the list of kernel files) and vector.h (their vocabulary).
 *
 * A level is a target region of the compiler: all functions between push and pop are compiled for its
 * instruction set, so helpers that must inline (vector.h, vmath.h) are defined anew inside each. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define TA_X86 1
#include <immintrin.h>
#else
#define TA_X86 0
#endif

#include "tinyattn.h"
#include "pool.h"
#include "pool.c"
#include "parts.h"

#define TA_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PUSH_TARGET(features, width) \
    TA_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define POP_TARGET TA_PRAGMA(clang attribute pop)
#else
#define PUSH_TARGET(features, width) \
    TA_PRAGMA(GCC push_options) TA_PRAGMA(GCC target(features "," width))
#define POP_TARGET TA_PRAGMA(GCC pop_options)
/* Vectors wider than the default target has are passed only between functions of one region. */
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#if TA_X86
#define LEVEL avx512
#define LEVEL_NUMBER 2
#define VECTOR_BYTES 64
PUSH_TARGET("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma", "prefer-vector-width=512")
#include "kernels.inc"
POP_TARGET
#undef LEVEL
#undef LEVEL_NUMBER
#undef VECTOR_BYTES

#define LEVEL avx2
#define LEVEL_NUMBER 1
#define VECTOR_BYTES 32
PUSH_TARGET("avx2,fma", "prefer-vector-width=256")
#include "kernels.inc"
POP_TARGET
#undef LEVEL
#undef LEVEL_NUMBER
#undef VECTOR_BYTES
#endif

#define LEVEL baseline
#define LEVEL_NUMBER 0
#define VECTOR_BYTES 16
#include "kernels.inc"
#undef LEVEL
#undef LEVEL_NUMBER
#undef VECTOR_BYTES

#include "dispatch.c"
