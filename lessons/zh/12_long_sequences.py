# %% [markdown] source="af7d23db"
# # 第 12 课：长序列——不用矩阵的注意力
#
# **本课要点：** 只要在遇到更大的分数时加以修正，softmax 分母里的和就能一遍算完，而且可以分块算。这样一来，注意力的前向和反向都不再需要 $T \times T$ 的矩阵。
#
# **时间：** 75 分钟。**需要：** 第 4 课（softmax）和第 10 课（注意力及其梯度）。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn.functional as F

_ = ta.manual_seed(0)

# %% [markdown] source="038cb05b"
# ## 矩阵的代价
#
# 对 $T$ 个词元做 $h$ 个头的注意力，共有 $h T^2$ 个权重。一个 float32 数占 4 个字节。取 $h = 4$，$T = 8192$，就是 1 GB，而且训练时这样的矩阵有好几个：分数、权重，以及它们各自的梯度。输入和输出总共只有 $4 h T D$ 个数，当 $D = 64$ 时是 32 MB。
#
# 下图是一步训练所需的内存，数据是事先用 `python -m lessons.measure` 测好的。

# %%
lengths = np.array([512, 1024, 2048, 4096, 8192])  # T
matrix = np.array([18, 59, 218, 823, 3254])  # MB
linear = np.array([4, 7, 12, 23, 44])  # MB
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.loglog(lengths, matrix, "--s", label="with the T x T matrix")
axes.loglog(lengths, linear, "-o", label="in one pass")
one = 4 * lengths**2 * 4 / 1e6  # MB: 4 heads, 4 bytes
axes.loglog(lengths, one, ":", color="gray", label="one matrix alone")
axes.minorticks_off()
axes.set_xticks(lengths, lengths)
axes.set_xlabel("T, tokens")
axes.set_ylabel("memory of a training step (MB)")
axes.set_title("Memory grows like T² or like T")
axes.legend()
axes.grid(alpha=0.3)
growth = matrix[-1] / matrix[-3], linear[-1] / linear[-3]
print("4 times the tokens: memory times", np.round(growth, 1))

# %% [markdown] source="155a4ee1"
# ## 一遍算出 softmax 的和
#
# 一行 $x_1, \dots, x_n$ 的 softmax 通常分三遍算：先求最大值 $m$，再求和 $d = \sum_i e^{x_i - m}$，最后求商 $e^{x_i - m} / d$。减去最大值，是因为 $e^{100}$ 已超出 float32 的范围。可是这样一来，似乎必须先看完**全部**分数，才能算第一个 $e^{x_i - m}$。
#
# 其实不必。设 $m_i$ 是前 $i$ 个数的最大值，$d_i = \sum_{j \le i} e^{x_j - m_i}$。现在来了下一个数。新的最大值是 $m_{i+1} = \max(m_i, x_{i+1})$，按定义
#
# $$
# d_{i+1} = \sum_{j \le i} e^{x_j - m_{i+1}} + e^{x_{i+1} - m_{i+1}} .
# $$
#
# 每个旧项都可以用旧的最大值来写：$e^{x_j - m_{i+1}} = e^{x_j - m_i} \, e^{m_i - m_{i+1}}$。第二个因子对所有 $j$ 都一样，可以提到求和号外面：
#
# $$
# d_{i+1} = d_i \, e^{m_i - m_{i+1}} + e^{x_{i+1} - m_{i+1}} .
# $$
#
# 所以只要记住 $m$ 和 $d$ 两个数就够了，一遍就能求出它们（Milakov 和 Gimelshein 2018，arXiv:1805.02867）。Softmax 本身还要第二遍来求商；而注意力，如下文所示，不需要第二遍。因子 $e^{m_i - m_{i+1}}$ 把旧的和**重新缩放**。用 $x = (1, 3, 2)$ 手算一遍：开始时 $m = 1, d = 1$。3 来了：$m = 3$，$d = 1 \cdot e^{1 - 3} + 1 = 1.135$。2 来了：最大值不变，因子是 1，$d = 1.135 + e^{2 - 3} = 1.503$。
#
# 公式对吗？我们按定义算出每个前缀的 $m_i$ 和 $d_i$，再来比较：

# %%
x = np.random.default_rng(0).normal(size=8) * 5  # (n,)
m = np.maximum.accumulate(x)  # (n,): the largest so far
# (n,), by definition
d = np.array([np.exp(x[: i + 1] - m[i]).sum() for i in range(len(x))])
print("x", x.round(1))
print("m", m.round(1))
print("d", d.round(3))
rescaled = d[:-1] * np.exp(m[:-1] - m[1:])  # (n - 1,)
assert np.allclose(d[1:], rescaled + np.exp(x[1:] - m[1:]))
forgotten = 1 + np.exp(x[1:] - m[1:]).sum()  # a number
print(f"right {d[-1]:.3f}; without the factor {forgotten:.3f}")
assert abs(d[-1] - forgotten) > 0.1
assert np.allclose(np.exp(x - m[-1]) / d[-1], F.softmax(ta.tensor(x), -1))

# %% [markdown] source="dac73a35"
# 不乘这个因子，只要第一个数就是最大的，结果也对。这正是典型的错误：分数递减的测试查不出来。
#
# ## 从一个数到一块
#
# 注意力要的是 $o = \sum_j a_j v_j$。那就再记住一个向量 $u = \sum_j e^{s_j - m} v_j$，它按同样的因子缩放，最后 $o = u / d$。也不必一个键一个键地来，一次处理一整**块**（tile）键也行。设两块分别得到 $(m_1, d_1, u_1)$ 和 $(m_2, d_2, u_2)$。取 $m = \max(m_1, m_2)$，则
#
# $$
# d = d_1 e^{m_1 - m} + d_2 e^{m_2 - m}, \qquad
# u = u_1 e^{m_1 - m} + u_2 e^{m_2 - m} .
# $$
#
# 记 $L = m + \ln d$，也就是所有 $e^{s_j}$ 之和的对数，再用两块各自的输出 $o_1, o_2$ 来写：
#
# $$
# o = e^{L_1 - L}\, o_1 + e^{L_2 - L}\, o_2, \qquad
# L = \ln (e^{L_1} + e^{L_2}) .
# $$
#
# 所以，对全部键的注意力，就是对每一块键的注意力的加权平均。内存只需放得下一块分数。这就是 FlashAttention（Dao 等 2022，arXiv:2205.14135）的核心，也是这里的 `F.scaled_dot_product_attention` 的核心。

# %%
T, D = 6, 4
like = {"dtype": ta.float64}
q, k, v = (ta.randn(1, 1, T, D, **like) for _ in range(3))  # (B, h, T, D)
whole = F.scaled_dot_product_attention(q, k, v)  # (B, h, T, D)
outputs, logs = [], []
for tile in (slice(0, 4), slice(4, 6)):  # 4 keys, then 2
    keys, values = k[:, :, tile], v[:, :, tile]  # (B, h, n, D)
    outputs.append(F.scaled_dot_product_attention(q, keys, values))
    scores = F.scores["scaled_dot"](q, keys)  # (B, h, T, n)
    logs.append(scores.logsumexp(-1, keepdim=True))  # L, (B, h, T, 1)
L = ta.cat(logs, -1).logsumexp(-1, keepdim=True)  # (B, h, T, 1)
parts = [(logs[i] - L).exp() * outputs[i] for i in (0, 1)]
print("difference", abs(parts[0] + parts[1] - whole).max().item())
assert np.allclose((parts[0] + parts[1]).numpy(), whole.numpy())

# %% [markdown] source="b602fd4c"
# ## 整块都被遮住
#
# 因果掩码会遮住整块的键，某一行还可能一个键也看不到。这时所有分数都是 $-\infty$，最大值也是 $-\infty$，而 $-\infty - (-\infty)$ 不是一个数（NaN）。$m$ 或 $d$ 里一旦出现 NaN，就再也去不掉：

# %%
masked = np.full(3, -np.inf)  # (n,)
with np.errstate(invalid="ignore"):
    print("careless:", np.exp(masked - masked.max()))
nobody = ta.zeros(T, T, dtype=ta.bool)  # (Tq, Tk): every key is hidden
out = F.scaled_dot_product_attention(q, k, v, nobody)  # (B, h, T, D)
assert (out == 0).all()
print("the library gives zeros")

# %% [markdown] source="1f9487cb"
# 对这样的块，$m$ 应该取什么值，才能让 $e^{s - m}$ 和重新缩放都得到 0 而不是 NaN？练习 12a 会问你。
#
# ## 反向
#
# 第 10 课求出了分数的梯度，其中 $G = \partial L / \partial O$，权重为 $A$：
#
# $$
# \frac{\partial L}{\partial S_{ij}} = A_{ij} \; \big( G_i \cdot V_j - G_i \cdot O_i \big).
# $$
#
# 看起来需要矩阵 $A$。但是 $A_{ij} = e^{S_{ij} - L_i}$：只要前向时**每行留下一个数** $L_i$，就可以由查询和键重新算出一块 $A$，用完就丢。第二项 $G_i \cdot O_i$ 也是每行一个数。所以反向只需要 $O(T)$ 的内存。分数要多算一遍，但比写入再读出 $T^2$ 个数更划算。下面检验 $A_{ij} = e^{S_{ij} - L_i}$，再把两种算法的梯度互相比较：

# %%
S = F.scores["scaled_dot"](q, k)  # (B, h, T, T)
A = (S - S.logsumexp(-1, keepdim=True)).exp()  # (B, h, T, T)
assert np.allclose(A.numpy(), S.softmax(-1).numpy())

G = ta.randn(1, 1, T, D, **like)  # (B, h, T, D)
gradients = []
for attention in (
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    lambda q, k, v: F.scores["scaled_dot"](q, k).softmax(-1) @ v,
):
    # (B, h, T, D) each
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    attention(*leaves).backward(G)
    gradients.append([x.grad.numpy() for x in leaves])
for name, a, b in zip("qkv", *gradients, strict=True):
    print(f"d{name}: largest difference {abs(a - b).max():.1e}")
    assert np.allclose(a, b)

# %% [markdown] source="478b4cd6"
# ## 轮到你了
#
# ```text
# python -m tinyattn.learn check 12a
# python -m tinyattn.learn check 12b
# ```
#
# - 12a，`online_softmax(m, s, block)`：把一块分数并入 $m$ 和指数项之和；这个和在练习里叫 `s`。
# - 12b，`attention_tile(q, k, v, m, s, o)`：把一块键并入 $m$、指数项之和 `s` 以及值的加权和 `o`。
#
# 有两种错误答案，检查程序能直接认出来：“最大值变大了，旧的和却没有重新缩放”，以及整行被遮住时得到 NaN。
#
# ## 学到了什么
#
# - 最大值变化时，指数项之和照样可以保持正确：乘以 $e^{m_{\text{旧}} - m_{\text{新}}}$ 就行。
# - 分块的注意力用 $m$、$d$ 和 $u$ 拼起来，内存只随 $T$ 线性增长。
# - 反向时每行只需要一个数，权重可以重新算。
#
# ## 试一试
#
# 1. 分数按什么顺序出现时，从不需要重新缩放？按什么顺序时，每一步都需要？
# 2. 对 $n$ 个数，这样求 $m$ 和 $d$ 要算多少次指数函数？通常的算法呢？
# 3. 证明块的合并满足结合律：先合并 1 和 2 再合并 3，等于先合并 2 和 3 再与 1 合并。因此哪些计算可以并行？
#
# ## 源码在哪里
#
# - `tinyattn/kernels/reference/attention.py`：前向和反向，按查询分块。
# - `native/attention.c` 和 `native/attention_backward.c`：用 C 写的分块。
# - `lessons/measure.py`：内存是怎样测出来的。
#
# **下一课：** 第 13 课（`13_kernels_in_c.py`）：处理器怎样才能跑得快。
