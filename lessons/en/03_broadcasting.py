# %% [markdown]
# # Lesson 3. Broadcasting undone, and the gradient of a product
#
# **The idea.** What the forward pass copies, the backward pass adds up.
# This one sentence gives the gradient of a bias, of a weight that a whole
# batch shares, and of a matrix product.
#
# **Time:** 60 minutes. **You need:** lesson 2 (a value that is used twice
# gets the sum of two gradients); matrix products.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta

# %% [markdown]
# ## How shapes are stretched
#
# NumPy, PyTorch and this package add arrays of different shapes. They
# write the shapes under each other, **from the right**. Where one size is
# 1 and the other is $n$, the first array is copied $n$ times. Where an
# axis is missing on the left, it counts as 1. Everything else is an error.
#
# ```text
# scores (B, T, V) = (2, 3, 4)        column (3, 1)
# bias         (V) =       (4)        row    (1, 4)
# sum              = (2, 3, 4)        sum    (3, 4)
# ```
#
# ## Backwards
#
# Take the column $x$ of shape $(3, 1)$ and the row $r$ of shape $(1, 4)$,
# with $y_{ij} = x_i + r_j$. Then $g_{ij} = \partial L / \partial y_{ij}$
# arrives, of the shape of $y$, $(3, 4)$. One number $x_i$ has been used in
# the whole row $i$ of $y$. The chain rule adds up all ways to the loss:
#
# $$
# \frac{\partial L}{\partial x_i}
# = \sum_{k, j} \frac{\partial L}{\partial y_{kj}}
#   \frac{\partial y_{kj}}{\partial x_i}
# = \sum_j g_{ij},
# \qquad
# \frac{\partial L}{\partial r_j} = \sum_i g_{ij}.
# $$
#
# $x$ was stretched along axis 1, so its gradient is summed over axis 1. $r$
# was stretched along axis 0, so its gradient is summed over axis 0. The
# gradient of a tensor always has the **shape of that tensor**: the stretched
# axis keeps size 1, and an axis that was missing disappears.

# %%
x = np.array([[1.0], [2.0], [3.0]])  # (3, 1)
r = np.array([[10.0, 20.0, 30.0, 40.0]])  # (1, 4)
y = x + r  # (3, 4)
g = np.array([[1, 0, 2, 0], [0, 1, 0, 3], [1, 1, 1, 1.0]])  # (3, 4)

tx = ta.tensor(x, requires_grad=True)  # (3, 1)
tr = ta.tensor(r, requires_grad=True)  # (1, 4)
(tx + tr).backward(ta.tensor(g))
print("x.grad", tx.grad.tolist())  # sums of the rows of g
print("r.grad", tr.grad.tolist())  # sums of the columns of g
assert tx.grad.tolist() == [[3.0], [4.0], [4.0]]
assert tr.grad.tolist() == [[2.0, 2.0, 3.0, 4.0]]

# %%
figure, axes = plt.subplots(2, 2, figsize=(7, 4.6), layout="constrained")
shown = {
    "x, shape (3, 1)": x,
    "forward: copied to (3, 4)": np.broadcast_to(x, (3, 4)),
    "x.grad, shape (3, 1): added up": tx.grad.numpy(),
    "the gradient that arrives, (3, 4)": g,
}
for axis, (title, array) in zip(axes.flat, shown.items(), strict=True):
    axis.imshow(array, cmap="Blues", vmin=0, vmax=8)
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
    for (i, j), value in np.ndenumerate(array):
        axis.text(j, i, f"{value:g}", ha="center", va="center")
for axis, arrow in zip(axes[:, 1], "→←", strict=True):
    axis.set_ylabel(arrow, fontsize=30, rotation=0, labelpad=40)

# %% [markdown]
# The upper row is the forward pass, from left to right; the lower row is
# the backward pass, from right to left.
#
# ### A mistake that no shape reveals
#
# Suppose that the column meets a row of length 3. Now $y$ and $g$ are
# $(3, 3)$, and whoever sums over the wrong axis gets three numbers, too:

# %%
square = np.array([[1, 0, 2], [0, 1, 0], [1, 1, 5.0]])  # g, (3, 3)
right = square.sum(axis=1, keepdims=True)  # (3, 1)
wrong = square.sum(axis=0).reshape(3, 1)  # (3, 1): axis 0, but x was
print(right.ravel(), wrong.ravel())  # stretched along axis 1
assert right.shape == wrong.shape
assert not np.array_equal(right, wrong)

# %% [markdown]
# `reshape` makes an error disappear and leaves wrong numbers. Test with
# sizes that all differ, and compare the numbers with measured slopes.
#
# ## Your turn
#
# Write `unbroadcast(grad, shape)`: `grad` has the shape that broadcasting
# made, `shape` is the shape that the tensor had before. Give the gradient
# of that shape.
#
# ```text
# python -m tinyattn.learn check 03a
# ```
#
# Think of: several stretched axes at once; axes that were missing on the
# left; an axis whose size was 1 and is still 1; `shape == ()`.
#
# ## The product of matrices
#
# Let $C = AB$ with $A$ $(n, k)$, $B$ $(k, m)$, $C$ $(n, m)$:
#
# $$
# C_{ij} = \sum_{l} A_{il} B_{lj}.
# $$
#
# Let $G_{ij} = \partial L / \partial C_{ij}$ arrive, $(n, m)$. Where is
# $A_{il}$ used? In row $i$ of $C$, once for every column $j$, each time
# with the factor $B_{lj}$. So we add up over $j$:
#
# $$
# \frac{\partial L}{\partial A_{il}} = \sum_j G_{ij} B_{lj}
# = (G B^\top)_{il}.
# $$
#
# In the same way $B_{lj}$ is used in column $j$ of $C$, once for every row
# $i$, with the factor $A_{il}$:
#
# $$
# \frac{\partial L}{\partial B_{lj}} = \sum_i A_{il} G_{ij}
# = (A^\top G)_{lj}.
# $$
#
# The shapes confirm it: $(n, m)(m, k) = (n, k)$ and
# $(k, n)(n, m) = (k, m)$. If $n$, $m$ and $k$ differ, no other product of
# these matrices fits. If all are equal, every product fits, and a missing
# transpose is not noticed. By hand:

# %%
A = np.array([[1.0, 2.0], [3.0, 4.0]])  # (n=2, k=2)
B = np.array([[0.0, 1.0], [1.0, 1.0]])  # (k=2, m=2)
G = np.array([[1.0, 0.0], [0.0, 0.0]])  # (n=2, m=2): L is C[0, 0] alone
tA = ta.tensor(A, requires_grad=True)
tB = ta.tensor(B, requires_grad=True)
(tA @ tB).backward(ta.tensor(G))
print("A.grad", tA.grad.tolist())  # C[0,0] = A[0,0] B[0,0] + A[0,1] B[1,0]
print("B.grad", tB.grad.tolist())
assert tA.grad.tolist() == [[0.0, 1.0], [0.0, 0.0]]  # row 0: B's column 0
assert tB.grad.tolist() == [[1.0, 0.0], [2.0, 0.0]]  # column 0: A's row 0

# %% [markdown]
# A linear layer puts both halves of this lesson together. It multiplies
# inputs $x$ of shape $(B, T, D)$ by one weight $W$ of shape $(D, H)$ and
# adds one bias $b$ of shape $(H,)$. All $B \cdot T$ places share $W$ and
# $b$, so their gradients are sums over $B$ and $T$.

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 3, 4))  # (B, T, D)
W = ta.tensor(rng.standard_normal((4, 5)), requires_grad=True)  # (D, H)
b = ta.tensor(rng.standard_normal(5), requires_grad=True)  # (H,)
out = ta.tensor(x) @ W + b  # (B, T, D) @ (D, H) + (H,) -> (B, T, H)
g = rng.standard_normal((2, 3, 5))  # (B, T, H)
out.backward(ta.tensor(g))

by_place = np.zeros((4, 5))  # (D, H)
for i in range(2):
    for t in range(3):
        by_place += np.outer(x[i, t], g[i, t])  # (D,), (H,) -> (D, H)
assert np.allclose(W.grad.numpy(), by_place)
assert np.allclose(b.grad.numpy(), g.sum(axis=(0, 1)))
assert ta.gradcheck(lambda W, b: ta.tensor(x) @ W + b, (W, b))
print("W.grad", W.grad.shape, "b.grad", b.grad.shape)

# %% [markdown]
# The backward pass as a picture, for the sum of squares as loss. Each box
# shows a shape; each arrow carries a gradient, with its norm (the root of
# the sum of squares) beside it. On the arrow to $b$ the shape (2, 3, 5)
# becomes (5,): there the sum over $B$ and $T$ is taken.

# %%
loss = ((ta.tensor(x) @ W + b) ** 2).sum()  # ()
ta.explain(loss)

# %% [markdown]
# ## Your turn again
#
# Write `matmul_backward(grad, x, w)` for the product of that layer: `x`
# (B, T, D), `w` (D, V), `grad` (B, T, V); give the two gradients, of `x` and
# of `w`.
#
# ```text
# python -m tinyattn.learn check 03b
# ```
#
# ## Find the wrong product
#
# Attention is three products: $QK^\top$ are scores, softmax makes weights
# of them, the weights times $V$ are the output. Texts get them wrong. Here
# are three examples that were really published. One cell is enough to see
# what is wrong with each.
#
# 1. With the matrices of the next cell, a text finds that every element of
#    $QK^\top$ is 1.
# 2. Another text multiplies the weights *elementwise* with $V$. With
#    $T = D = 3$ this runs. What would the shapes have to be so that NumPy
#    protests?
# 3. A third text computes `(q * k).sum(axis=1)` for `q` and `k` of shape
#    (3, 2), and calls the three numbers attention scores. Which keys does
#    query 0 look at? How many scores should there be?

# %%
Q = np.array([[0, 1], [1, 0], [0, 1]])  # (Tq=3, D=2)
K = np.array([[1, 0], [0, 1], [1, 1]])  # (Tk=3, D=2)
weights = np.full((3, 3), 1 / 3)  # (Tq, Tk)
V = np.array([[3.0, 0, 0], [0, 6, 0], [0, 0, 9]])  # (Tk, D=3)
print("weights * V\n", weights * V)  # (3, 3): runs, and means nothing
print("weights @ V\n", weights @ V)  # (3, 3): the mean of the rows of V
assert np.allclose(weights @ V, [[1, 2, 3]] * 3)

# %% [markdown]
# ## What you have learnt
#
# - A copy in the forward pass is a sum in the backward pass.
# - $C = AB$ gives $G B^\top$ and $A^\top G$.
# - Equal sizes hide mistakes. Test with sizes that differ.
#
# ## Questions to try
#
# 1. What is the gradient of `x.sum()`? Forward adds, backward copies: the
#    sentence of this lesson, turned round.
# 2. `y = x + x.transpose(0, 1)` for a square `x`: what is the gradient?
# 3. Multiply (B, T, D) by (B, D, H), and by (D, H). For which of the two
#    does the gradient of the second factor have a sum over $B$?
#
# ## In the source
#
# `tinyattn/autograd/gradients.py` undoes broadcasting, once for all
# operations. `tinyattn/ops/products.py` has the product and its gradient.
#
# **Next:** lesson 4, softmax (`04_softmax.py`).
