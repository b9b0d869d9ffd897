# %% [markdown]
# # Lesson 4. Softmax and its gradient
#
# **The idea.** Softmax turns scores into weights that sum to 1. So no
# weight can grow unless others shrink, and its gradient must know that:
# every input moves every output.
#
# **Time:** 60 minutes. **You need:** lesson 1; the chain rule.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import viz
from tinyattn.autograd import Function

# %% [markdown]
# ## From scores to weights
#
# Attention compares a query with $T$ keys. That gives $T$ scores
# $x_1, \dots, x_T$, any real numbers. It needs weights: positive, with
# sum 1. Softmax makes them positive with the exponential function, and divides
# by the sum:
#
# $$
# y_i = \frac{e^{x_i}}{\sum_{k=1}^{T} e^{x_k}}.
# $$
#
# An example for the whole lesson: $x = (\ln 1, \ln 2, \ln 5)$. The
# exponentials are 1, 2, 5, their sum is 8, and
# $y = (\frac18, \frac28, \frac58)$.
#
# Add the same number $c$ to all scores. Each exponential is multiplied by
# $e^c$, the sum too, and $y$ **stays as it is**. We need this twice. First
# against overflow: $e^{1000}$ is infinite in a computer. So subtract the
# largest score before anything else. Then the largest exponential is
# $e^0 = 1$.


# %%
def softmax(x):
    """x (..., T): weights (..., T) along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))  # (..., T)
    return e / e.sum(axis=-1, keepdims=True)  # (..., T)


x = np.log([1.0, 2.0, 5.0])  # (3,)
y = softmax(x)  # (3,)
print("y", y)
assert np.allclose(y, [1 / 8, 2 / 8, 5 / 8])
assert np.allclose(softmax(x + 1000), y)  # np.exp(1000) would be inf

# %% [markdown]
# ## One score moves all weights
#
# How does $y_i$ change with $x_j$? Write $e_i = e^{x_i}$ and
# $s = \sum_k e_k$, so that $y_i = e_i / s$. The score $x_j$ always moves
# the denominator: $\partial s / \partial x_j = e_j$. It moves the numerator
# only if it is the same one, $i = j$. The quotient rule gives two cases.
#
# *Another score*, $i \ne j$:
#
# $$
# \frac{\partial y_i}{\partial x_j} = \frac{0 \cdot s - e_i e_j}{s^2}
# = -y_i y_j.
# $$
#
# *Its own score*, $i = j$:
#
# $$
# \frac{\partial y_i}{\partial x_i} = \frac{e_i s - e_i e_i}{s^2}
# = y_i - y_i y_i.
# $$
#
# Both in one line, with $1_{[i=j]}$ for 1 if $i = j$ and else 0:
#
# $$
# J_{ij} = \frac{\partial y_i}{\partial x_j} = y_i (1_{[i=j]} - y_j).
# $$
#
# The table of all these slopes is the **Jacobian** $J$, here of shape
# $(T, T)$: a row for each weight, a column for each score. For our example
# it is
#
# $$
# J = \frac{1}{64} \begin{pmatrix}
# 7 & -2 & -5 \\ -2 & 12 & -10 \\ -5 & -10 & 15
# \end{pmatrix}.
# $$
#
# Lesson 1 taught us to measure it.

# %%
h = 1e-5
measured = np.empty((3, 3))  # (T, T)
for j in range(3):
    step = np.zeros(3)  # (T,)
    step[j] = h
    measured[:, j] = (softmax(x + step) - softmax(x - step)) / (2 * h)

jacobian = np.diag(y) - np.outer(y, y)  # (T, T)
print(np.round(measured * 64, 6))
assert np.allclose(measured, jacobian)
by_hand = [[7, -2, -5], [-2, 12, -10], [-5, -10, 15]]  # times 64
assert np.allclose(jacobian * 64, by_hand)
assert np.allclose(jacobian.sum(axis=1), 0)  # every row
assert np.allclose(jacobian.sum(axis=0), 0)  # every column

# %% [markdown]
# Each row sums to 0: adding $c$ to all scores changes no weight. Each
# column sums to 0: the weights always sum to 1, so what one gains others
# lose. And $J_{ij} = J_{ji}$. These are three tests that cost nothing, for
# a Jacobian that somebody hands you.
#
# ## The picture
#
# `viz.jacobian_of` computes a Jacobian row by row, with one backward pass
# for each output; `viz.jacobian` draws it. This is our example:

# %%
slopes = viz.jacobian_of(lambda t: t.softmax(-1), ta.tensor(x))  # (T, T)
assert np.allclose(slopes, jacobian)
viz.jacobian(slopes, title="Softmax of (ln 1, ln 2, ln 5)")

# %% [markdown]
# And two larger ones, for the same eight scores and for four times these
# scores:

# %%
scores = np.array([0.5, 2.0, 1.0, 2.5, -1.0, 0.0, 1.5, -0.5])  # (8,)
panels = {"scores x": softmax(scores), "scores 4x": softmax(4 * scores)}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axis, (title, weights) in zip(axes, panels.items(), strict=True):
    slopes = np.diag(weights) - np.outer(weights, weights)  # (8, 8)
    image = axis.imshow(slopes, cmap="PuOr", vmin=-0.25, vmax=0.25)
    axis.set_title(f"{title}\nlargest weight {weights.max():.2f}")
    axis.set_xlabel("score j")
    axis.set_ylabel("weight i")
bar = figure.colorbar(image, ax=axes)
bar.set_label("slope dy_i / dx_j")

# %% [markdown]
# The diagonal is positive: a score raises its own weight. Everything else
# is negative: it lowers the other weights. It lowers large weights most,
# because the size of the slope, $y_i y_j$, grows with $y_i$.
#
# On the right the scores are four times as large. Two weights together are
# almost 1, and only between these two are there slopes of any size. The
# other slopes are nearly 0: scores there get almost **no gradient**, and
# training cannot correct them. This is why lesson 10 divides scores by
# $\sqrt{D}$.
#
# ## Backwards
#
# Behind softmax comes more computation, and at its end a loss $L$. The
# backward pass brings $g_i = \partial L / \partial y_i$, how the loss
# depends on each weight. The chain rule adds up all the ways from $x_j$ to
# $L$. Each way leads through one weight:
#
# $$
# \frac{\partial L}{\partial x_j} = \sum_i g_i
# \frac{\partial y_i}{\partial x_j}
# = \sum_i g_i\, y_i (1_{[i=j]} - y_j)
# = g_j y_j - y_j \sum_i g_i y_i.
# $$
#
# So
#
# $$
# \boxed{\;\frac{\partial L}{\partial x_j}
# = y_j \Big( g_j - \sum_i g_i y_i \Big)\;}
# $$
#
# Read it aloud: $\sum_i g_i y_i$ is the weighted mean of the $g_i$. A score
# is raised or lowered by how much its $g_j$ differs **from the mean**, in
# proportion to its weight. This needs $T$ numbers where $J$ has $T^2$:
# nobody ever builds the Jacobian.
#
# By hand, with $g = (8, 0, 0)$: the mean is $8 \cdot \frac18 = 1$, so the
# gradient is $(\frac18 \cdot 7, \frac28 \cdot (-1), \frac58 \cdot (-1))
# = \frac18 (7, -2, -5)$. It is 8 times the first row of $J$, as it must
# be.

# %%
g = np.array([8.0, 0.0, 0.0])  # (T,)
print("g @ J =", g @ jacobian)  # (T,) @ (T, T) -> (T,)
assert np.allclose(g @ jacobian, np.array([7, -2, -5]) / 8)

# %% [markdown]
# ## Your turn
#
# Write `softmax_backward(y, grad)`: from the weights `y` (B, T) and the
# gradient `grad` (B, T) that arrived, the gradient (B, T) of the scores.
# Each row is a softmax of its own.
#
# ```text
# python -m tinyattn.learn check 04
# ```
#
# Two wrong answers are so common that the check knows them by name:
#
# - `y * grad`. The sum is missing. This is right only where the mean is 0.
# - `y * (1 - y) * grad`. This is the diagonal of $J$ alone: the gradient of
#   the *sigmoid*, whose outputs do not compete.
#
# Find a `grad` for which the first one is right, and you see why one test
# case is not enough.
#
# ## A check that sees nothing
#
# It is common to check a backward through a sum: let $L = \sum_i y_i$,
# compare the gradient with the measured slope. For softmax this shows
# little. The weights sum to 1 whatever the scores are, so $L$ is constant
# and every slope is 0. Here is a softmax whose backward is plainly wrong:
# it gives 0, whatever arrives. Through a sum it passes.


# %%
class LazySoftmax(Function):
    """Softmax whose backward always says: no gradient."""

    def forward(self, x):
        return softmax(x)

    def backward(self, grad):
        return np.zeros_like(grad)


t = ta.tensor(x, requires_grad=True)  # (T,)
LazySoftmax.apply(t).sum().backward()
by_sum = [
    (softmax(x + step).sum() - softmax(x - step).sum()) / 2e-5
    for step in 1e-5 * np.eye(3)  # (T, T): one step in each row
]
print("through a sum: measured", np.round(by_sum, 8), "backward", t.grad)
assert np.allclose(by_sum, t.grad.numpy(), atol=1e-8)  # it passes!

try:
    ta.gradcheck(LazySoftmax.apply, t)
except AssertionError as error:
    print("gradcheck:", error)
else:
    raise AssertionError("gradcheck should have refused it")

# %% [markdown]
# `ta.gradcheck` multiplies the outputs by random numbers before it adds
# them up: $L = \sum_i c_i y_i$. Then $g = c$ differs from element to
# element, and a wrong gradient shows. Such numbers in the place of $g$ are
# called **cotangents**. Use random ones in every check you write.
#
# The softmax of the package, for comparison:

# %%
assert ta.gradcheck(lambda x: x.softmax(-1), t)
u = ta.tensor(x, requires_grad=True)  # (T,)
u.softmax(-1).backward(ta.tensor(g))
print(u.grad)
assert np.allclose(u.grad.numpy(), np.array([7, -2, -5]) / 8)

# %% [markdown]
# ## What you have learnt
#
# - The Jacobian of softmax is $y_i (1_{[i=j]} - y_j)$; its rows and columns
#   sum to 0.
# - Backwards it is one line: each $g_j$ minus their weighted mean, times
#   the weight.
# - A check through `sum()` passes a softmax whose gradient is always 0. Use
#   random cotangents.
#
# ## Questions to try
#
# 1. Find the mistake. A text gives each of $n$ words its cosine similarity
#    with a query, from $-1$ to 1, takes the softmax, and promises that the
#    most similar word "gets nearly all the attention". Show that no weight
#    can exceed $e^2 / (n - 1 + e^2)$: for 10 words, 0.45. What has to
#    happen to the scores before the softmax?
# 2. Another text takes the softmax of scores of shape (1, 1, T) along
#    axis 1. What are the weights? What is their gradient? (Lesson 8 meets
#    it.)
# 3. Let $z = \ln y$, the log-softmax, and
#    $g_i = \partial L / \partial z_i$. Derive
#    $\partial L / \partial x_j = g_j - y_j \sum_i g_i$ in the same way.
#    Lesson 5 needs it.
#
# ## In the source
#
# `tinyattn/ops/normalising.py`, class `Softmax`: formula, derivation,
# forward, backward on one screen. `tinyattn/kernels/reference/softmax.py`:
# the arithmetic in NumPy; `native/softmax.c`: the same in C.
#
# **Next:** lesson 5, embedding and cross-entropy
# (`05_embedding_and_cross_entropy.py`).
