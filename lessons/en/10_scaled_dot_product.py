# %% [markdown]
# # Lesson 10. Scaled dot products, masks and heads
#
# **The idea.** Every token asks all tokens at once, with two matrix
# products and a softmax between them. Three details decide whether it
# works: the scale, the mask, and how the features are cut into heads.
#
# **Time:** 75 minutes. **You need:** lessons 4 (softmax) and 8 (attention).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F

_ = ta.manual_seed(0)

# %% [markdown]
# ## Two products
#
# The additive score of lesson 8 needs a small network for every pair of
# query and key. A dot product is simpler: $s_{ij} = q_i \cdot k_j$ is large
# where both vectors point the same way. Let the rows of $Q$
# ($T_q \times D$) be the queries, those of $K$ ($T_k \times D$) the keys
# and those of $V$ ($T_k \times D_v$) the values. Vaswani et al. (2017,
# arXiv:1706.03762) write
#
# $$
# S = \frac{Q K^\top}{\sqrt D}, \qquad A = \mathrm{softmax}(S), \qquad O = A V ,
# $$
#
# where softmax works along each row, over the keys. In **self-attention**
# all three come from the same tokens: $Q = XW_q$, $K = XW_k$, $V = XW_v$.
#
# ## Find the wrong product
#
# A text that this project began from computes an example with $D = 2$ by
# hand:
#
# $$
# Q = \begin{pmatrix} 0 & 1 \\ 1 & 0 \\ 0 & 1 \end{pmatrix}, \qquad
# K = \begin{pmatrix} 1 & 0 \\ 0 & 1 \\ 1 & 1 \end{pmatrix}, \qquad
# Q K^\top \stackrel{?}{=}
# \begin{pmatrix} 1 & 1 & 1 \\ 1 & 1 & 1 \\ 1 & 1 & 1 \end{pmatrix}.
# $$
#
# **Check it with a pencil.** The first row of $Q$ is $(0, 1)$: it picks the
# second number of every key. Then run the cell.

# %%
Q = ta.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])  # (Tq, D) = (3, 2)
K = ta.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (Tk, D) = (3, 2)
S = F.scores["dot"](Q, K)  # (Tq, Tk)
_, A = F.attention(Q, K, K, "scaled_dot", need_weights=True)  # (Tq, Tk)
print(S.numpy())
print(A.numpy().round(3))
e = math.exp(1 / math.sqrt(2))
assert np.allclose(A.numpy()[0], np.array([1, e, e]) / (1 + 2 * e))

# %% [markdown]
# The first query scores the keys $(0, 1, 1)$, so the second and third key
# share most of the weight. If every product were 1, every weight would be
# $\frac13$ and the queries would not matter. **A result in which all
# weights are equal is a reason to check**, not a result.
#
# ## Why the square root of D
#
# Let the numbers in $q$ and $k$ be independent with mean 0 and variance 1.
# For one feature, $E[q_d k_d] = E[q_d]\,E[k_d] = 0$ and
# $\mathrm{Var}[q_d k_d] = E[q_d^2]\,E[k_d^2] = 1$. A score is the sum of
# $D$ such products, and variances of independent numbers add up:
#
# $$
# \mathrm{Var}[q \cdot k] = D, \qquad
# \mathrm{Var}\Big[\frac{q \cdot k}{\sqrt D}\Big] = 1 .
# $$
#
# Without the scale, scores have a spread of $\sqrt D$: about 23 for
# $D = 512$. The largest score is then far above the others and softmax
# gives it nearly all the weight. That would not be bad in itself, but
# nothing can be learned any more: from lesson 4,
#
# $$
# \frac{\partial a_j}{\partial s_j} = a_j (1 - a_j),
# $$
#
# which goes to 0 if $a_j$ is close to 0 or 1. Let us measure two numbers
# for 16 keys and growing $D$: the **entropy** $-\sum_j a_j \ln a_j$, which
# is $\ln 16$ if all weights are equal and 0 if one has everything, and the
# **slope** $\sum_j a_j (1 - a_j)$.

# %%
n, N = 16, 300  # keys, and queries over which the mean is taken
widths = [2**i for i in range(11)]  # 1, 2, ..., 1024
entropy, slope = {}, {}
for score in ("dot", "scaled_dot"):
    entropy[score], slope[score] = [], []
    for D in widths:
        q, k = ta.randn(N, 1, D), ta.randn(N, n, D)  # (N, 1, D), (N, n, D)
        _, a = F.attention(q, k, k, score, need_weights=True)  # (N, 1, n)
        a = a.numpy().astype(float)  # (N, 1, n)
        logs = np.log(np.maximum(a, 1e-300))  # (N, 1, n)
        entropy[score].append(-(a * logs).sum(-1).mean())
        slope[score].append((a * (1 - a)).sum(-1).mean())

figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for panel, values, title in (
    (panels[0], entropy, "entropy of the weights"),
    (panels[1], slope, "slope of softmax"),
):
    panel.semilogx(widths, values["scaled_dot"], "-o", label="with 1/√D")
    panel.semilogx(widths, values["dot"], "--s", label="without")
    panel.set_title(title)
    panel.set_xlabel("D, features of a query")
    panel.set_ylim(0, 1.15 * max(values["scaled_dot"]))
    panel.grid(alpha=0.3)
panels[0].axhline(math.log(n), color="gray", lw=1, ls=":")
panels[0].set_ylabel("dotted: ln 16, all equal")
panels[1].legend()
assert min(slope["scaled_dot"]) > 0.7
assert slope["dot"][-1] < 0.1

# %% [markdown]
# With the scale, both curves hardly depend on $D$. Without it, more than
# nine tenths of the slope are gone at $D = 1024$, and most of the gradient
# with it.
#
# The letter under the root is the number of **features**, not of keys.
# Another of the texts divides by $\sqrt{T_k}$. A test shows why that is
# wrong. The ratio of two weights is $a_1 / a_2 = e^{s_1 - s_2}$. It
# concerns these two keys and must not change when a third key is added
# somewhere:

# %%
q, keys = ta.randn(1, 8), ta.randn(40, 8)  # (1, D), (40, D)
for name, scale in (
    ("sqrt(D)", lambda Tk: 8**-0.5),
    ("sqrt(Tk)", lambda Tk: Tk**-0.5),
):
    ratios = []
    for Tk in (2, 10, 40):
        k = keys[:Tk]  # (Tk, D)
        s = F.scores["scaled_dot"](q, k, scale(Tk))  # (1, Tk)
        a = s.softmax(-1)  # (1, Tk)
        ratios.append((a[0, 0] / a[0, 1]).item())
    print(f"divided by {name:8}: a1/a2 =", np.round(ratios, 3))
    assert (max(ratios) - min(ratios) < 1e-5) == (name == "sqrt(D)")

# %% [markdown]
# ## Masks
#
# A score of $-\infty$ gives weight 0. In functions, `True` means "may be
# attended to". The **causal** mask of a decoder allows query $i$ the keys
# $0, \dots, i$: a word may look at itself and at those before it.
#
# Is your mask right, or is it inverted? Do not compare pictures. Use what
# the mask promises: **a change in the future leaves the past alone.**
# Change the last token and see which outputs move:

# %%
T, D = 5, 8
x = ta.randn(1, T, D)  # (B, T, D)
changed = x.clone()  # (B, T, D)
changed[0, -1] = ta.randn(D)
causal = ta.ones(T, T, dtype=ta.bool).tril()  # (Tq, Tk), True = attend
masks = {"none": None, "causal": causal, "inverted": ~causal}
for name, mask in masks.items():
    old = F.scaled_dot_product_attention(x, x, x, mask)  # (B, T, D)
    y = changed  # (B, T, D)
    new = F.scaled_dot_product_attention(y, y, y, mask)  # (B, T, D)
    moved = abs(old - new).sum(-1)[0].numpy() > 0  # (T,)
    print(f"{name:8} outputs that moved: {np.flatnonzero(moved)}")
    if name == "causal":
        assert list(np.flatnonzero(moved)) == [T - 1]

# %% [markdown]
# With the inverted mask the past sees the future, and the last query sees
# no key at all. Its output is 0, by definition; in careless code it is NaN,
# from $0/0$.
#
# ## The gradient, in full
#
# Let $G = \partial L / \partial O$ arrive ($T_q \times D_v$). Each line of
# the forward pass gives one line back, in the opposite order. The product
# $O = AV$ gives
#
# $$
# \frac{\partial L}{\partial V} = A^\top G, \qquad
# \frac{\partial L}{\partial A} = G V^\top .
# $$
#
# Through softmax, row by row (lesson 4):
#
# $$
# \frac{\partial L}{\partial S_{ij}}
# = A_{ij} \Big( (G V^\top)_{ij} - \sum_m A_{im} (G V^\top)_{im} \Big)
# = A_{ij} \; G_i \cdot (V_j - O_i),
# $$
#
# since the sum over $m$ is $G_i \cdot \sum_m A_{im} V_m = G_i \cdot O_i$.
# And through $S = QK^\top / \sqrt D$:
#
# $$
# \frac{\partial L}{\partial Q} = \frac{1}{\sqrt D} \frac{\partial L}{\partial S} K, \qquad
# \frac{\partial L}{\partial K} = \frac{1}{\sqrt D}
# \Big(\frac{\partial L}{\partial S}\Big)^{\!\top} Q .
# $$
#
# A masked pair has $A_{ij} = 0$, so its gradient is 0 without further care.
# We check one query, element by element, against the engine:

# %%
like = {"dtype": ta.float64, "requires_grad": True}
q, k, v = (ta.randn(T, D, **like) for _ in range(3))  # (T, D) each
o, a = F.attention(q, k, v, "scaled_dot", causal, need_weights=True)
G = ta.randn(T, D, dtype=ta.float64)  # (T, D)
o.backward(G)
i = 3  # the query that is checked; it sees keys 0 to 3
expected = np.zeros(D)  # (D,)
for j in range(T):
    a_ij = a[i, j].item()
    difference = (v[j] - o[i]).detach().numpy()  # (D,)
    s_ij = a_ij * (G[i].numpy() @ difference)  # a number: dL/ds
    expected += s_ij * k[j].detach().numpy() / math.sqrt(D)
print("by formula", expected.round(3))
print("engine    ", q.grad[i].numpy().round(3))
assert np.allclose(expected, q.grad[i].numpy())


def causal_attention(q, k, v):
    return F.attention(q, k, v, "scaled_dot", causal)  # (T, D)


assert ta.gradcheck(causal_attention, (q, k, v))

# %% [markdown]
# ## Heads
#
# One softmax gives one answer to "where should I look?". To ask several
# questions at once, the $D$ features are cut into $h$ **heads** of $D/h$
# features. Each head attends alone, and the results are put side by side.
# From (B, T, D) we want (B, h, T, D/h): head $m$ of token $t$ holds the
# features $m D/h$ to $(m + 1) D/h - 1$ **of that token**.
#
# A common answer is `x.view(B, h, T, D // h)`. The shape is right. Is the
# content? In the next cell each feature is written as "token.feature":

# %%
B, T, D, h = 1, 3, 4, 2
x = ta.tensor([[[t + f / 10 for f in range(D)] for t in range(T)]])
print("x", *x.numpy()[0], sep="\n")  # (T, D), a row for each token
wrong = x.view(B, h, T, D // h)  # (B, h, T, D / h)
print("head 0 by view alone", *wrong.numpy()[0, 0], sep="\n")  # (T, D/h)

# %% [markdown]
# Row 1 of head 0 should be token 1, but it holds features of token 0: the
# head mixes positions. A `view` never moves a number; it only counts on in
# the same order. Here the order of two axes must change, so the numbers
# must move. Nothing raises an error, and training even works a little. A
# causal model, however, now **looks into the future**, and the test of the
# last section finds it.
#
# ## Your turn
#
# ```text
# python -m tinyattn.learn check 10a
# python -m tinyattn.learn check 10b
# python -m tinyattn.learn check 10c
# ```
#
# - 10a, `attention(q, k, v, mask)`: the outputs.
# - 10b, `split_heads(x, h)`: (B, T, D) to (B, h, T, D/h).
# - 10c, `attention_backward(grad, q, k, v, p)`: the three gradients, from the
#   formulas above; `p` are the weights, kept from the forward pass.
#
# As a last check, the library's layer with two heads is causal if it is
# told to be:

# %%
layer = nn.MultiheadAttention(8, 2, batch_first=True)
x, T = ta.randn(1, 5, 8), 5  # x (B, T, D)
future = ~ta.ones(T, T, dtype=ta.bool).tril()  # (T, T), True = ignore
before, _ = layer(x, x, x, attn_mask=future)  # (B, T, D)
x[0, 4] = 0
after, _ = layer(x, x, x, attn_mask=future)  # (B, T, D)
assert np.array_equal(before[0, :4].detach(), after[0, :4].detach())
print("the past did not move")

# %% [markdown]
# Take care: in `nn.MultiheadAttention` a mask means the opposite of what it
# means in the functions: `True` = ignore. Both are PyTorch's meaning.
#
# ## What you have learnt
#
# - $1/\sqrt D$ keeps the scores' variance at 1 and softmax's slope alive;
#   $D$ is the number of features.
# - A mask is tested by its promise: changing the future leaves the past
#   alone.
# - Heads need an exchange of two axes; a `view` alone mixes tokens.
#
# ## Questions to try
#
# 1. Cosine scores lie in $[-1, 1]$. Show that with $n$ keys no weight can
#    pass $e^2 / (n - 1 + e^2)$. How large is that for $n = 50$? What does a
#    temperature change?
# 2. What do the curves of the picture look like if the features of $q$ and
#    $k$ have variance 4?
# 3. Multiply $A$ and $V$ element by element instead of as matrices. For
#    which shapes does no error appear, and what does the result mean?
#
# ## In the source
#
# - `tinyattn/ops/attention.py`: the operation and its gradient.
# - `tinyattn/kernels/reference/attention.py`: the same with memory linear
#   in $T$ (lesson 12).
# - `tests/test_documents.py`: the errors of the texts, each with a test.
#
# **Next:** lesson 11 (`11_transformer.py`) builds a Transformer around
# this.
