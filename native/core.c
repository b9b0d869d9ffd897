/* The one translation unit that CFFI compiles: the thread pool, then every kernel for each level and
 * float type, then the dispatch. Look first at kernels.inc (the list of the kernel files) and vector.h
 * (the vocabulary that they share).
 *
 * A level is an instruction set. All functions between PUSH_TARGET and POP_TARGET are compiled for it.
 * The helpers that must be inlined (vector.h, vmath.h, rows.h) are therefore defined once per level. */
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
#include <cpuid.h>
#include <immintrin.h>
#else
#define TA_X86 0
#endif

#include "platform.h"
#include "tinyattn.h"
#include "pool.h"
#include "pool.c"
#include "parts.h"
#include "elementwise.h"
#include "random.h"
#include "random_normal.h"

#define TA_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PUSH_TARGET(features, width) \
    TA_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define POP_TARGET TA_PRAGMA(clang attribute pop)
#else
#define PUSH_TARGET(features, width) \
    TA_PRAGMA(GCC push_options) TA_PRAGMA(GCC target(features "," width))
#define POP_TARGET TA_PRAGMA(GCC pop_options)
/* GCC warns that vectors wider than the default target has are passed in another way. They are passed
 * only between functions of one region, which agree on that way. */
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#if TA_X86
#define LEVEL avx512
#define LEVEL_NUMBER 2
#define VECTOR_BYTES 64
PUSH_TARGET("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma", "prefer-vector-width=512")
#include "level.inc"
POP_TARGET

#define LEVEL avx2
#define LEVEL_NUMBER 1
#define VECTOR_BYTES 32
PUSH_TARGET("avx2,fma", "prefer-vector-width=256")
#include "level.inc"
POP_TARGET
#endif

#define LEVEL baseline
#define LEVEL_NUMBER 0
#define VECTOR_BYTES 16
#include "level.inc"

#include "dispatch.c"

#if defined(_WIN32)
#undef long /* of platform.h */
#endif
