# %% [markdown] source="f2a5ff3e"
# # 第 4 课：Softmax 与它的梯度
#
# **本课要点：** Softmax 把分数变成和为 1 的权重。于是一个权重要变大，别的权重就得变小。它的梯度必须体现这一点：每个输入都会影响每个输出。
#
# **时间：** 60 分钟。**需要：** 第 1 课；链式法则。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import viz
from tinyattn.autograd import Function

# %% [markdown] source="a6b4b07a"
# ## 从分数到权重
#
# 注意力机制把一个查询（query）与 $T$ 个键（key）逐一比较，得到 $T$ 个分数 $x_1, \dots, x_T$，它们可以是任意实数。而它需要的是权重：全为正数，和为 1。Softmax 用指数函数把分数变成正数，再除以总和：
#
# $$
# y_i = \frac{e^{x_i}}{\sum_{k=1}^{T} e^{x_k}}.
# $$
#
# 整节课都用这个例子：$x = (\ln 1, \ln 2, \ln 5)$。$e^{x_i}$ 依次是 1、2、5，总和是 8，所以 $y = (\frac18, \frac28, \frac58)$。
#
# 给所有分数加上同一个数 $c$。每个 $e^{x_i}$ 都乘上 $e^c$，总和也乘上 $e^c$，所以 $y$ **不变**。这个性质我们要用两次。第一次是为了防止溢出：$e^{1000}$ 在计算机里是无穷大。所以先减去最大的分数，这样最大的一项就是 $e^0 = 1$。


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

# %% [markdown] source="ceb7f0d4"
# ## 一个分数牵动所有权重
#
# $y_i$ 怎样随 $x_j$ 变化？记 $e_i = e^{x_i}$，$s = \sum_k e_k$，则 $y_i = e_i / s$。分数 $x_j$ 总会影响分母：$\partial s / \partial x_j = e_j$。只有当 $i = j$ 时，它才同时影响分子。由商的求导法则，分两种情形。
#
# *别的分数*，$i \ne j$：
#
# $$
# \frac{\partial y_i}{\partial x_j} = \frac{0 \cdot s - e_i e_j}{s^2}
# = -y_i y_j.
# $$
#
# *自己的分数*，$i = j$：
#
# $$
# \frac{\partial y_i}{\partial x_i} = \frac{e_i s - e_i e_i}{s^2}
# = y_i - y_i y_i.
# $$
#
# 合成一行，其中 $1_{[i=j]}$ 在 $i = j$ 时为 1，否则为 0：
#
# $$
# J_{ij} = \frac{\partial y_i}{\partial x_j} = y_i (1_{[i=j]} - y_j).
# $$
#
# 所有这些斜率排成的表叫做**雅可比矩阵** $J$，形状为 $(T, T)$：每个权重占一行，每个分数占一列。在我们的例子里，
#
# $$
# J = \frac{1}{64} \begin{pmatrix}
# 7 & -2 & -5 \\ -2 & 12 & -10 \\ -5 & -10 & 15
# \end{pmatrix}.
# $$
#
# 第 1 课已经教会我们怎样把它量出来。

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

# %% [markdown] source="91696728"
# 每一行的和是 0：给所有分数加上 $c$，任何权重都不变。每一列的和是 0：权重的总和永远是 1，一个多得的，正是别的失去的。而且 $J_{ij} = J_{ji}$。无论谁给你一个 softmax 的雅可比矩阵，都可以先用这三条检验，几乎不花力气。
#
# ## 画出来看
#
# `viz.jacobian_of` 逐行计算雅可比矩阵，每个输出做一次反向传播；`viz.jacobian` 把它画出来。这是我们的例子：

# %%
slopes = viz.jacobian_of(lambda t: t.softmax(-1), ta.tensor(x))  # (T, T)
assert np.allclose(slopes, jacobian)
viz.jacobian(slopes, title="Softmax of (ln 1, ln 2, ln 5)")

# %% [markdown] source="6ff549fa"
# 再看两个大一些的：同样的八个分数，以及把它们放大到四倍：

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

# %% [markdown] source="e286c6d9"
# 对角线是正的：一个分数会抬高自己的权重。其余都是负的：它会降低别的权重。大的权重降得最多，因为斜率的大小 $y_i y_j$ 随 $y_i$ 增大。
#
# 右图的分数放大到四倍。有两个权重加起来几乎等于 1，只有这两者之间的斜率还比较大。其余的斜率几乎都是 0：那里的分数几乎**得不到梯度**，训练也就无法纠正它们。这就是第 10 课要把分数除以 $\sqrt{D}$ 的原因。
#
# ## 反向传播
#
# Softmax 之后还有别的计算，最后得到损失 $L$。反向传播送来 $g_i = \partial L / \partial y_i$，即损失随每个权重的变化率。链式法则把从 $x_j$ 到 $L$ 的所有路径加起来，每条路径经过一个权重：
#
# $$
# \frac{\partial L}{\partial x_j} = \sum_i g_i
# \frac{\partial y_i}{\partial x_j}
# = \sum_i g_i\, y_i (1_{[i=j]} - y_j)
# = g_j y_j - y_j \sum_i g_i y_i.
# $$
#
# 所以
#
# $$
# \boxed{\;\frac{\partial L}{\partial x_j}
# = y_j \Big( g_j - \sum_i g_i y_i \Big)\;}
# $$
#
# 把它读成一句话：$\sum_i g_i y_i$ 是各个 $g_i$ 的加权平均。一个分数该升还是该降，要看它的 $g_j$ **与平均值**相差多少，并与它的权重成正比。这里只需要 $T$ 个数，而 $J$ 有 $T^2$ 个：没有人真的去构造雅可比矩阵。
#
# 手算一遍，取 $g = (8, 0, 0)$：平均值是 $8 \cdot \frac18 = 1$，所以梯度是 $(\frac18 \cdot 7, \frac28 \cdot (-1), \frac58 \cdot (-1)) = \frac18 (7, -2, -5)$。它恰好是 $J$ 第一行的 8 倍，本来就该如此。

# %%
g = np.array([8.0, 0.0, 0.0])  # (T,)
print("g @ J =", g @ jacobian)  # (T,) @ (T, T) -> (T,)
assert np.allclose(g @ jacobian, np.array([7, -2, -5]) / 8)

# %% [markdown] source="e9b167eb"
# ## 轮到你了
#
# 请写出 `softmax_backward(y, grad)`：由权重 `y`（形状 (B, T)）和传来的梯度 `grad`（形状 (B, T)），求分数的梯度（形状 (B, T)）。每一行各是一个独立的 softmax。
#
# ```text
# python -m tinyattn.learn check 04
# ```
#
# 有两种错误答案实在常见，检查程序能直接认出来：
#
# - `y * grad`。漏掉了求和。只有当平均值为 0 时它才对。
# - `y * (1 - y) * grad`。这只是 $J$ 的对角线，也就是 *sigmoid* 的梯度；sigmoid 的各个输出之间并不竞争。
#
# 请找一个 `grad`，使第一种答案恰好正确；你就会明白，为什么只试一个例子是不够的。
#
# ## 什么都看不见的检查
#
# 检查反向传播时，人们常常先求和：令 $L = \sum_i y_i$，再把梯度与量得的斜率比较。对 softmax 来说，这样做看不出多少问题。不论分数是多少，权重之和都是 1，所以 $L$ 是常数，每个斜率都是 0。下面这个 softmax 的反向显然是错的：不管传来什么，它都给出 0。可是先求和再检查，它却能通过。


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

# %% [markdown] source="eefaf1d2"
# `ta.gradcheck` 在求和之前，先用随机数乘各个输出：$L = \sum_i c_i y_i$。这样 $g = c$ 的各个元素互不相同，错误的梯度就会暴露。这里代替 $g$ 的 $c$ 就是**上游梯度**（cotangent）。你自己写检查时，也要用随机的上游梯度。
#
# 对照一下本项目的 softmax：

# %%
assert ta.gradcheck(lambda x: x.softmax(-1), t)
u = ta.tensor(x, requires_grad=True)  # (T,)
u.softmax(-1).backward(ta.tensor(g))
print(u.grad)
assert np.allclose(u.grad.numpy(), np.array([7, -2, -5]) / 8)

# %% [markdown] source="9e3732cc"
# ## 学到了什么
#
# - Softmax 的雅可比矩阵是 $y_i (1_{[i=j]} - y_j)$；它的每一行、每一列之和都是 0。
# - 反向只有一行：每个 $g_j$ 减去它们的加权平均，再乘以权重。
# - 先 `sum()` 再检查，梯度永远是 0 的 softmax 也能通过。要用随机的上游梯度。
#
# ## 试一试
#
# 1. 找错误。有一篇文章给 $n$ 个词各算一个与查询的余弦相似度（从 $-1$ 到 1），再取 softmax，并说最相似的词“几乎得到全部注意力”。请证明任何权重都不会超过 $e^2 / (n - 1 + e^2)$：10 个词时是 0.45。在取 softmax 之前，应当对分数做什么？
# 2. 另一篇文章对形状为 (1, 1, T) 的分数沿第 1 轴取 softmax。权重是多少？梯度又是多少？（第 8 课会遇到它。）
# 3. 令 $z = \ln y$，即 log-softmax。用同样的方法推导 $\partial L / \partial x_j = g_j - y_j \sum_i g_i$，其中 $g_i = \partial L / \partial z_i$。第 5 课要用到它。
#
# ## 源码在哪里
#
# `tinyattn/ops/normalising.py` 里的类 `Softmax`：公式、推导、forward、backward 都在一屏之内。`tinyattn/kernels/reference/softmax.py` 是用 NumPy 写的计算，`native/softmax.c` 是同样计算的 C 版本。
#
# **下一课：** 第 5 课，词嵌入与交叉熵（`05_embedding_and_cross_entropy.py`）。
