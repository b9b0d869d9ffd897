# %% [markdown] source="91e2929f"
# # 第 13 课：用 C 写内核
#
# **本课要点：** 如果处理器既不等数据，也不等加法的结果，循环就跑得快。先数一数一个内核需要多少次运算、要搬运多少字节，由此知道它最快能有多快；再分四步达到这个速度：普通的 C、向量、分块、线程。
#
# **时间：** 120 分钟。**需要：** 第 4 课（softmax）、一点 C 语言，以及一个 C 编译器（有些单元格要编译）。没有编译器时，这些单元格会跳过。

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


# %% [markdown] source="2448422f"
# ## 第一步：普通的 C
#
# 我们以 RMS 归一化（RMS norm）为例（Zhang 和 Sennrich 2019，arXiv:1910.07467），许多 Transformer 用它代替层归一化。设一行 $x$ 有 $n$ 个数，
#
# $$
# y_i = r\,x_i, \qquad
# r = \Big(\tfrac1n \sum_j x_j^2 + \varepsilon\Big)^{-1/2} .
# $$
#
# 它与 softmax 一样，要先从整行算出一个数，才能写出第一个结果。在 C 里，`x` 指向第一个数，各行依次排列，第 $b$ 行从 `x + b * n` 开始。

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

# %% [markdown] source="69709bee"
# 请注意测试的方法：不是只测一种长度，而是从 1 到 69 全部测一遍，并且与 float64 的定义比较。下面会看到为什么要这样做。
#
# ## 第二步：向量
#
# 处理器有一类指令（SIMD），一次能算 4 个、8 个或 16 个 float。第二个循环，编译器会自动用上这类指令；求和的循环却不会。浮点加法必须按照你写的顺序进行，因为换一个顺序，结果就不同。

# %%
a, b, c = np.float32(1e8), np.float32(1), np.float32(-1e8)
print("(a + b) + c =", (a + b) + c, "   (a + c) + b =", (a + c) + b)
assert (a + b) + c != (a + c) + b

# %% [markdown] source="dd64ad05"
# 所以顺序要由我们自己来定：用一个向量同时累加八个和。GCC 和 Clang 有这样的类型，在任何处理器上都能用。多用几个和还有第二个理由：一次加法大约要 4 个周期才能得到结果，但每个周期可以开始两次新的加法。只有一个和，循环就要等待；同时进行八个或更多的和（每个和也可以是一个向量），就不用等。为了简短，下面的代码只用两个向量。**运行之前先想一想：哪些长度会算错？**

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

# %% [markdown] source="66357c42"
# **尾部读过了行末。** 如果 $n$ 不是 8 的倍数，最后一个向量就会把下一行开头的几个数也算进去。只用 64 或 512 个特征来测试，什么也发现不了。最后一行甚至可能使程序崩溃，因为数组后面的内存不是我们的。所以测试内核时，要取每个边界附近的长度：1、7、8、9、15、16、17。
#
# ## 第三步：分块
#
# 内存很慢。从一级缓存取一个数大约要 4 个周期，从内存取则要几百个周期。内存按**缓存行**（cache line）读取，一个缓存行 64 字节（16 个 float），最近用过的缓存行留在缓存里。因此，一个数还在缓存里的时候，要尽量多用几次。
#
# 我们的内核每行要读两遍。逐行处理时，第二遍来自缓存。如果像 NumPy 那样，写成对整个矩阵的两个循环，两遍都要从内存读：每个数要搬运 12 字节（读、读、写），而不是 8 字节。
#
# 在矩阵乘法中，差别更大。下面的单元格假设缓存能放 32 个缓存行、每个缓存行 8 个数，数一数要从内存读多少个缓存行。


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

# %% [markdown] source="9adc1b4b"
# 块的边长为 48，就是普通的三重循环。它沿着 $B$ 的一列往下走：要 48 个缓存行，缓存放不下，下一列开始之前，它们都已经被换出去了。三个 $8 \times 8$ 的块（24 个缓存行）放得下：读进来的每个数都会用上 8 次。块再大就放不下，块再小，每个数用的次数就少了。
#
# ## 第四步：线程
#
# 给每个线程分配若干行。C 代码运行时，CFFI 会释放 Python 的锁，所以用 Python 自己的线程就够了。有两条规则：任何两个线程都不能写同一个位置；**结果不能随线程数而变**。按行来分，两条都满足：每一行的计算与原来一样。

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

# %% [markdown] source="45dcbd48"
# 一个很长的和就不同了。有几个线程就切成几段，**线程数不同，结果就不同**，换一台机器，训练就无法重复。解决办法是：不管有几个线程，每段的长度都固定，再按固定的顺序把各段的和加起来。
#
# ## 最快能有多快？屋顶线模型（roofline）
#
# 设一个内核需要 $F$ 次运算（加法和乘法），与内存之间要搬运 $M$ 字节。一个核心每秒能做 $P$ 次运算，每秒能读 $W$ 字节，那么至少需要 $\max(F/P,\ M/W)$ 秒。令**计算强度** $I = F/M$，即每字节的运算次数，则
#
# $$
# \text{每秒运算次数} = \frac{F}{\text{时间}}
# \le \min(P,\ W I) .
# $$
#
# 以 $I$ 为横轴画出来，像一个屋顶：受内存限制的部分是斜坡，后面是平的（Williams、Waterman 和 Patterson 2009）。乘积 $Y = X W^\top$ 中，$X$ 有 $B$ 行，权重是 $D \times D$，因此 $F = 2BD^2$，$M \approx 4D^2$，$I \approx B/2$：所有的行共用一次读入的权重。**这就是训练要分批进行的原因。** 图中的点由 `python -m benchmarks.roofline` 测得，$D = 8192$，float32。

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

# %% [markdown] source="cc7986a1"
# `x + y` 做一次加法要搬运 12 字节，它在最左边。循环写得再好也没有用，只有减少字节才行。所以要把内核**融合**起来：softmax 和它的掩码，交叉熵和它的梯度。
#
# Softmax 每个数要读 4 字节、写 4 字节，还要算一次指数函数，大约十五次运算：$I \approx 2$，在斜坡上。用了向量和分块，就到了内存的极限；再多一些运算也不多花时间。
#
# ## 轮到你了
#
# 用 C 写 softmax，它由几个线程分担，你写其中一个线程的工作。从 Python 调用时是 `softmax_in_c(x, first, last)`，`x` 的形状是 (B, V)；它只写结果的第 `first` 行到第 `last - 1` 行，别的地方一律不动。先写普通的 C，通过之后再用向量。
#
# ```text
# python -m tinyattn.learn check 13
# ```
#
# 先减去每一行的最大值（第 4 课）。检查程序会编译你写的代码，测试每个边界附近的长度、很大和很小的数，以及三个线程，并指出你漏掉了什么。
#
# ## 学到了什么
#
# - 先数运算和字节：$\min(P, WI)$ 就是极限。
# - 向量要用几个累加和，还要小心尾部；分块让数据留在缓存里；线程按整行来分。
# - 求和的顺序是结果的一部分。它只能由形状决定，不能由线程数决定。
#
# ## 试一试
#
# 1. 按公式，$B$ 从多大开始，乘积受运算的限制？按图中的点呢？
# 2. 权重用 int8，乘积要搬运的字节只有四分之一。$B$ 为多少时有帮助，能快多少？
# 3. 块的边长取 12 和 16，数一数各读多少个缓存行。一个块只有 256 个数，为什么 16 还是不好？
#
# ## 源码在哪里
#
# - `native/softmax.c` 和 `native/rows.h`：本项目的 softmax。
# - `native/tiles.h`、`native/matmul.c`：适合三级缓存的分块。
# - `native/pool.c`：线程；`native/README.md`：从哪里读起。
# - `benchmarks/roofline.py`：图中数据的测量程序。
#
# **下一课：** 第 14 课，弄坏它（`14_break_it.py`）。
