# %% [markdown]
# # Lesson 12. Long sequences: attention without the matrix
#
# **The idea.** The sum under a softmax can be computed in one pass, in
# pieces, if it is corrected whenever a larger score appears. Then attention
# needs no $T \times T$ matrix, forward or backward.
#
# **Time:** 75 minutes. **You need:** lessons 4 (softmax) and 10 (attention
# and its gradient).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn.functional as F

_ = ta.manual_seed(0)

# %% [markdown]
# ## The price of the matrix
#
# Attention over $T$ tokens with $h$ heads has $h T^2$ weights. A float32
# number takes 4 bytes. For $h = 4$ and $T = 8192$ that is one gigabyte, and
# in training there are several such matrices: scores, weights, and the
# gradients of both. The inputs and the output have $4 h T D$ numbers only,
# which is 32 megabytes for $D = 64$.
#
# The picture shows what one training step needed, measured once with
# `python -m lessons.measure`.

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

# %% [markdown]
# ## The sum of softmax in one pass
#
# The softmax of one row $x_1, \dots, x_n$ is usually computed in three
# passes: the maximum $m$, the sum $d = \sum_i e^{x_i - m}$, and the
# quotients $e^{x_i - m} / d$. The maximum is subtracted because $e^{100}$
# is too large for a float32. But it seems to force us to see **all** scores
# before the first exponential.
#
# It does not. Let $m_i$ be the largest of the first $i$ numbers, and let
# $d_i = \sum_{j \le i} e^{x_j - m_i}$. Now the next number comes. The new
# maximum is $m_{i+1} = \max(m_i, x_{i+1})$, and by definition
#
# $$
# d_{i+1} = \sum_{j \le i} e^{x_j - m_{i+1}} + e^{x_{i+1} - m_{i+1}} .
# $$
#
# Each old term can be written with the old maximum,
# $e^{x_j - m_{i+1}} = e^{x_j - m_i} \, e^{m_i - m_{i+1}}$. The second
# factor is the same for all $j$, so it can be taken out of the sum:
#
# $$
# d_{i+1} = d_i \, e^{m_i - m_{i+1}} + e^{x_{i+1} - m_{i+1}} .
# $$
#
# So two numbers are enough, $m$ and $d$, and one pass finds them (Milakov
# and Gimelshein 2018, arXiv:1805.02867). Softmax itself needs a second pass
# for the quotients; attention, as we shall see, does not. The factor
# $e^{m_i - m_{i+1}}$ **rescales** the old sum. By hand for $x = (1, 3, 2)$:
# first $m = 1, d = 1$. Then 3 comes: $m = 3$ and
# $d = 1 \cdot e^{1 - 3} + 1 = 1.135$. Then 2 comes: the maximum stays, the
# factor is 1, and $d = 1.135 + e^{2 - 3} = 1.503$.
#
# Does the formula hold? We compute $m_i$ and $d_i$ for every prefix from
# their definition and compare:

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

# %% [markdown]
# Without the factor the result is right as long as the first number is the
# largest. That is the typical mistake: a test with falling scores does not
# see it.
#
# ## From one number to a tile
#
# Attention wants $o = \sum_j a_j v_j$. Keep a third thing, the vector
# $u = \sum_j e^{s_j - m} v_j$. It is rescaled by the same factor, and at
# the end $o = u / d$. Nothing forces us to take the keys one by one: whole
# **tiles** of keys do as well. Let two tiles have $(m_1, d_1, u_1)$ and
# $(m_2, d_2, u_2)$. With $m = \max(m_1, m_2)$,
#
# $$
# d = d_1 e^{m_1 - m} + d_2 e^{m_2 - m}, \qquad
# u = u_1 e^{m_1 - m} + u_2 e^{m_2 - m} .
# $$
#
# Written with $L = m + \ln d$, the logarithm of the sum of all $e^{s_j}$,
# and with the finished outputs $o_1, o_2$ of both tiles:
#
# $$
# o = e^{L_1 - L}\, o_1 + e^{L_2 - L}\, o_2, \qquad
# L = \ln (e^{L_1} + e^{L_2}) .
# $$
#
# So attention over all keys is a weighted mean of attention over each tile.
# Memory is needed for one tile of scores at a time. This is the core of
# FlashAttention (Dao et al. 2022, arXiv:2205.14135), and of
# `F.scaled_dot_product_attention` here.

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

# %% [markdown]
# ## A tile that is all masked
#
# The mask of a causal model hides whole tiles, and a row may see no key at
# all. Then every score is $-\infty$, the maximum is $-\infty$, and
# $-\infty - (-\infty)$ is not a number. Once there is a NaN in $m$ or $d$,
# it stays:

# %%
masked = np.full(3, -np.inf)  # (n,)
with np.errstate(invalid="ignore"):
    print("careless:", np.exp(masked - masked.max()))
nobody = ta.zeros(T, T, dtype=ta.bool)  # (Tq, Tk): every key is hidden
out = F.scaled_dot_product_attention(q, k, v, nobody)  # (B, h, T, D)
assert (out == 0).all()
print("the library gives zeros")

# %% [markdown]
# What should $m$ be for such a tile, so that both $e^{s - m}$ and the
# rescaling give 0 and not NaN? Exercise 12a asks you.
#
# ## The way back
#
# Lesson 10 found the gradient of a score, with
# $G = \partial L / \partial O$ and the weights $A$:
#
# $$
# \frac{\partial L}{\partial S_{ij}} = A_{ij} \; \big( G_i \cdot V_j - G_i \cdot O_i \big).
# $$
#
# It seems to need the matrix $A$. But $A_{ij} = e^{S_{ij} - L_i}$: if the
# forward pass keeps **one number for each row**, $L_i$, then a tile of $A$
# can be computed again from the queries and keys, used, and thrown away.
# The second term, $G_i \cdot O_i$, is one number for each row, too. So the
# backward pass needs $O(T)$ memory. It computes the scores a second time,
# which costs less than writing and reading $T^2$ numbers. We check
# $A_{ij} = e^{S_{ij} - L_i}$, and both gradients against each other:

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

# %% [markdown]
# ## Your turn
#
# ```text
# python -m tinyattn.learn check 12a
# python -m tinyattn.learn check 12b
# ```
#
# - 12a, `online_softmax(m, s, block)`: take a block of scores into $m$ and
#   the sum, which is called `s` there.
# - 12b, `attention_tile(q, k, v, m, s, o)`: take a tile of keys into $m$,
#   the sum `s` and the weighted sum of values, `o`.
#
# Two answers that the checks know by name: "the maximum grew and the old
# sum was not rescaled", and a NaN in a row that is all masked.
#
# ## What you have learnt
#
# - A sum of exponentials can be kept under a changing maximum: rescale it
#   by $e^{m_{\text{old}} - m_{\text{new}}}$.
# - Attention over tiles is put together from $m$, $d$ and $u$, so memory
#   grows like $T$.
# - Backward needs one number for each row; the weights are computed again.
#
# ## Questions to try
#
# 1. In which order of the scores is the rescaling never needed? In which
#    order is it needed at every step?
# 2. How many exponentials does this way to $m$ and $d$ compute for $n$
#    numbers? How many does the usual one?
# 3. Show that putting tiles together is associative: (1 with 2) with 3 is 1
#    with (2 with 3). What can be computed in parallel because of that?
#
# ## In the source
#
# - `tinyattn/kernels/reference/attention.py`: forward and backward by
#   blocks of queries.
# - `native/attention.c` and `native/attention_backward.c`: the tiles in C.
# - `lessons/measure.py`: how the memory was measured.
#
# **Next:** lesson 13 (`13_kernels_in_c.py`): what a processor needs to be
# fast.
