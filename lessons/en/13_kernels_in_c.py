# %% [markdown]
# # Lesson 13. Kernels in C
#
# **The idea.** A loop is fast when the processor waits for neither numbers
# nor additions. First count the operations and the bytes that a kernel
# needs; they say how fast it can be. Then reach that speed in four stages:
# plain C, vectors, blocks, threads.
#
# **Time:** 120 minutes. **You need:** lesson 4 (softmax), a little C, and a
# C compiler for the cells that compile. Without one they are skipped.

# %%
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from cffi import FFI

compiler = shutil.which("cc") or shutil.which("clang")
if compiler is None:
    print("There is no C compiler here: cells with C are skipped.")


def compiled(source, declarations):
    """The functions of a C source. Arrays are given to them by `of`."""
    ffi = FFI()
    ffi.cdef(declarations)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.c")
        path.write_text(source)
        library = f"{folder}/kernel.so"
        flags = ["-O3", "-shared", "-fPIC", "-lm", "-o", library]
        subprocess.run([compiler, path, *flags], check=True)
        return ffi.dlopen(library)


def of(array):
    """A float32 array as a pointer for C."""
    return FFI().from_buffer("float[]", array)


# %% [markdown]
# ## Stage 1: plain C
#
# Our example is the RMS norm (Zhang and Sennrich 2019, arXiv:1910.07467),
# which many Transformers use in place of the layer norm. For a row $x$ of
# $n$ numbers,
#
# $$
# y_i = r\,x_i, \qquad
# r = \Big(\tfrac1n \sum_j x_j^2 + \varepsilon\Big)^{-1/2} .
# $$
#
# Like softmax, it needs one number from the whole row before it can write
# the first result. In C, `x` points to the first number, rows stand one
# after the other, and row $b$ begins at `x + b * n`.

# %%
PLAIN = """
#include <math.h>

void rms_norm(const float *x, float *y, long rows, long n)
{
    for (long b = 0; b < rows; b++, x += n, y += n) {
        float sum = 0;
        for (long i = 0; i < n; i++)
            sum += x[i] * x[i];
        float r = 1 / sqrtf(sum / n + 1e-5f);
        for (long i = 0; i < n; i++)
            y[i] = r * x[i];
    }
}
"""
HEADER = "void rms_norm(const float *, float *, long, long);"


def rms_norm(x):
    """The definition, in float64. x (B, n) -> y (B, n)."""
    x = x.astype(np.float64)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def worst_error(library, n, rows=3):
    """The largest error of the kernel, for rows of n numbers."""
    space = np.random.default_rng(n).normal(size=rows * n + 8)
    space = space.astype(np.float32)  # 8 more than the rows need
    x = space[: rows * n].reshape(rows, n)  # (B, n)
    y = np.empty_like(x)  # (B, n)
    library.rms_norm(of(x), of(y), rows, n)
    return np.abs(y - rms_norm(x)).max()


if compiler:
    plain = compiled(PLAIN, HEADER)
    errors = [worst_error(plain, n) for n in range(1, 70)]
    print(f"largest error for 1 to 69 numbers: {max(errors):.1e}")
    assert max(errors) < 1e-5

# %% [markdown]
# Note what is tested: not one size, but all from 1 to 69, against the
# definition in float64. You will see why.
#
# ## Stage 2: vectors
#
# A processor has instructions that add 4, 8 or 16 floats at once (SIMD).
# The compiler uses them for the second loop by itself. It does not for the
# sum: additions of floats must stay in the order that you wrote, because
# another order gives another result.

# %%
a, b, c = np.float32(1e8), np.float32(1), np.float32(-1e8)
print("(a + b) + c =", (a + b) + c, "   (a + c) + b =", (a + c) + b)
assert (a + b) + c != (a + c) + b

# %% [markdown]
# So we choose the order: eight sums side by side in a vector. GCC and Clang
# have a type for that, which works on any processor. There is a second
# reason to have more sums. An addition takes about 4 cycles until its
# result can be used, but two new ones can start in every cycle. A loop with
# one sum waits; with eight or more sums in progress, it does not. (Each of
# these sums may be a vector.) Here are two vectors, so that the program
# stays short. **Before you run the cell: which sizes will be wrong?**

# %%
VECTORS = """
#include <math.h>

typedef float vec
    __attribute__((vector_size(32), aligned(4), may_alias)); /* 8 floats */

void rms_norm(const float *x, float *y, long rows, long n)
{
    for (long b = 0; b < rows; b++, x += n, y += n) {
        vec s = {0}, t = {0};
        long i = 0;
        for (; i + 16 <= n; i += 16) {
            vec u = *(vec *)(x + i), v = *(vec *)(x + i + 8);
            s += u * u;
            t += v * v;
        }
        float sum = 0;
        TAIL
        s += t;
        for (int k = 0; k < 8; k++)
            sum += s[k];
        float r = 1 / sqrtf(sum / n + 1e-5f);
        for (long j = 0; j < n; j++)
            y[j] = r * x[j];
    }
}
"""
FAULTY = "for (; i < n; i += 8) s += *(vec *)(x + i) * *(vec *)(x + i);"
RIGHT = "for (; i < n; i++) sum += x[i] * x[i];"

if compiler:
    for name, tail in (("faulty", FAULTY), ("right", RIGHT)):
        library = compiled(VECTORS.replace("TAIL", tail), HEADER)
        wrong = [n for n in range(1, 70) if worst_error(library, n) > 1e-5]
        print(f"{name}: wrong for {len(wrong)} of 69 sizes", wrong[:12])
        expected = [n for n in range(1, 70) if n % 8]
        assert wrong == (expected if tail == FAULTY else [])

# %% [markdown]
# **The tail read past the row.** Where $n$ is not a multiple of 8, the last
# vector takes the first numbers of the next row, too. A test with 64 or 512
# features sees nothing. In the last row the program may even crash, because
# the memory after the array is not ours. Kernels are tested with sizes around
# every boundary: 1, 7, 8, 9, 15, 16, 17.
#
# ## Stage 3: blocks
#
# Memory is slow. A number from the first cache arrives after about 4 cycles,
# one from memory after a few hundred. Memory comes in lines of 64 bytes (16
# floats), and the lines used last stay in the cache. So use a number as
# often as you can while it is in the cache.
#
# Our kernel reads each row twice. Row by row, the second time comes from
# the cache. Written as two loops over the whole matrix, as NumPy does it,
# both come from memory: 12 bytes for each number (read, read, write)
# instead of 8.
#
# In a product of matrices the gain is larger. This cell counts the lines
# that come from memory, for a cache that holds 32 lines of 8 numbers.


# %%
class Cache:
    """Counts the lines that are not among the last 32 lines used."""

    def __init__(self, lines=32, width=8):
        self.lines, self.width = lines, width
        self.kept, self.misses = OrderedDict(), 0

    def use(self, matrix, row, column):
        line = matrix, row, column // self.width
        if line in self.kept:
            self.kept.move_to_end(line)
            return
        self.misses += 1
        self.kept[line] = True
        if len(self.kept) > self.lines:
            self.kept.popitem(last=False)


def lines_read(n, block):
    """For C = A B, all (n, n), in blocks of (block, block)."""
    cache, starts = Cache(), range(0, n, block)
    for i0, j0, k0 in np.ndindex(len(starts), len(starts), len(starts)):
        for i in range(i0 * block, (i0 + 1) * block):
            for j in range(j0 * block, (j0 + 1) * block):
                cache.use("C", i, j)
                for k in range(k0 * block, (k0 + 1) * block):
                    cache.use("A", i, k)
                    cache.use("B", k, j)
    return cache.misses


n = 48
counted = {block: lines_read(n, block) for block in (48, 24, 8, 4)}
for block, lines in counted.items():
    print(f"blocks of {block:2}: {lines:6} lines for {n**3} products")
assert counted[8] * 20 < counted[48]

# %% [markdown]
# One block of 48 is the plain triple loop. It walks down a column of $B$:
# 48 lines, more than the cache holds, and all are gone before the next
# column begins. Three blocks of $8 \times 8$ fit (24 lines): each number
# that was read is used 8 times. Larger blocks don't fit; smaller ones
# use each number less often.
#
# ## Stage 4: threads
#
# Give each thread some rows. CFFI releases Python's lock while C runs, so
# Python's own threads are enough. Two rules: no two threads write the same place,
# and **the result must not depend on the number of threads**. By rows, both
# hold: each row is computed as before.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(50, 33)).astype(np.float32)  # (B, n)


def in_threads(library, x, threads):
    y = np.empty_like(x)  # (B, n)
    cuts = [len(x) * t // threads for t in range(threads + 1)]

    def part(t):
        own = slice(cuts[t], cuts[t + 1])
        rows = cuts[t + 1] - cuts[t]
        library.rms_norm(of(x[own]), of(y[own]), rows, x.shape[1])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, range(threads)))
    return y


if compiler:
    same = [in_threads(library, x, threads) for threads in (1, 2, 3, 7)]
    print("all bits the same:", [bool((y == same[0]).all()) for y in same])
    assert all((y == same[0]).all() for y in same)


def total(x, parts):
    """The sum of x (n,): each part by itself, then the parts."""
    cut = np.array_split(x, parts)
    sums = [np.add.accumulate(part)[-1] for part in cut]
    return np.add.accumulate(np.array(sums, np.float32))[-1]


long_row = rng.normal(size=100_000).astype(np.float32)  # (n,)
by_threads = [float(total(long_row, threads)) for threads in (1, 2, 3)]
print("one long sum, cut for 1, 2, 3 threads:", by_threads)
assert len(set(by_threads)) > 1

# %% [markdown]
# A single long sum is another matter. Cut into as many parts as there are
# threads, it **differs with each number of threads**, and a training run
# can't be repeated on another machine. The remedy: cut it into parts of a fixed
# length, whatever the number of threads is, and add these up in a fixed
# order.
#
# ## How fast can it be? The roofline
#
# Let a kernel need $F$ operations (additions and multiplications) and move
# $M$ bytes to and from memory. A core that does $P$ operations a second and
# reads $W$ bytes a second needs at least $\max(F/P,\ M/W)$ seconds. With the
# **intensity** $I = F/M$, in operations a byte,
#
# $$
# \text{operations a second} = \frac{F}{\text{time}}
# \le \min(P,\ W I) .
# $$
#
# Drawn over $I$, this is a roof: a slope where memory is the limit, then a
# flat part (Williams, Waterman and Patterson 2009). The product
# $Y = X W^\top$ with $B$ rows in $X$ and a weight of $D \times D$ has
# $F = 2BD^2$ and $M \approx 4D^2$, so $I \approx B/2$: the weight is read
# once for all rows. **This is why one trains in batches.** The points were
# measured by `python -m benchmarks.roofline`, with $D = 8192$ and float32.

# %%
PEAK, MEMORY = 270, 41.2  # 10^9 operations, 10^9 bytes a second
MEASURED = {  # (operations a byte, 10^9 operations a second)
    "x + y": (0.083, 3.49),
    "layer norm": (1.0, 32.2),
    "B = 1": (0.5, 20.8),
    "B = 4": (2.0, 67.4),
    "B = 16": (7.97, 146),
    "B = 64": (31.5, 219),
    "B = 512": (228, 242),
}

figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
intensity = np.geomspace(0.05, 500, 200)
axes.loglog(intensity, np.minimum(PEAK, MEMORY * intensity), color="black")
for name, (where, rate) in MEASURED.items():
    look = ("o", "#0072b2") if "=" in name else ("s", "#d55e00")
    axes.plot(where, rate, look[0], color=look[1])
    axes.annotate(name, (where * 1.15, rate * 0.75))
axes.set_title("Roofline of one core; circles: x Wᵀ with B rows")
axes.set_xlabel("operations a byte")
axes.set_ylabel("10⁹ operations a second")
axes.grid(alpha=0.3)
for where, rate in MEASURED.values():
    assert 0.3 < rate / min(PEAK, MEMORY * where) < 1.1

# %% [markdown]
# `x + y` moves 12 bytes for one addition. It stands at the very left: a
# better loop can't help it, only fewer bytes can. That is why kernels are
# **fused**: softmax with its mask, cross-entropy with its gradient.
#
# Softmax reads and writes 4 bytes a number, and computes an exponential of
# some fifteen operations: $I \approx 2$, on the slope. With vectors and
# blocks you are at the limit of memory; more arithmetic is free.
#
# ## Your turn
#
# Write softmax in C, for one of several threads. Called from Python as
# `softmax_in_c(x, first, last)`, with `x` (B, V), it writes the rows `first`
# to `last - 1` of the result and touches nothing else. Begin with plain C.
# When it passes, go on to vectors.
#
# ```text
# python -m tinyattn.learn check 13
# ```
#
# Subtract the maximum of the row first (lesson 4). The check compiles what
# you wrote. It tries lengths around every boundary, very large and very
# small numbers, and three threads, and it names what you forgot.
#
# ## What you have learnt
#
# - Count operations and bytes first: $\min(P, WI)$ is the limit.
# - Vectors need several sums and a careful tail, blocks keep numbers in the
#   cache, threads take whole rows.
# - The order of a sum is part of the result. Fix it by the shape, never by
#   the number of threads.
#
# ## Questions to try
#
# 1. From which $B$ on is the product limited by arithmetic, by the formula?
#    And by the points?
# 2. With weights in int8, a product moves a quarter of the bytes. For which
#    $B$ does that help, and by how much?
# 3. Count the lines for blocks of 12 and 16. Why is 16 bad although a
#    block has only 256 numbers?
#
# ## In the source
#
# - `native/softmax.c` and `native/rows.h`: softmax as this project has it.
# - `native/tiles.h`, `native/matmul.c`: blocks that fit three caches.
# - `native/pool.c`: threads; `native/README.md`: where to begin.
# - `benchmarks/roofline.py`: the measurement of the picture.
#
# **Next:** lesson 14, break it (`14_break_it.py`).
