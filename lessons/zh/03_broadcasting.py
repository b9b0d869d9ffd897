# %% [markdown] source="b75abbba"
# # 第 3 课：还原广播，以及矩阵乘积的梯度
#
# **本课要点：** 前向时复制的，反向时就要相加。偏置的梯度、整批数据共用的权重的梯度、矩阵乘积的梯度，都出自这一句话。
#
# **时间：** 60 分钟。**需要：** 第 2 课（一个值用了两次，就得到两份梯度之和）；矩阵乘法。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta

# %% [markdown] source="d60f9bcc"
# ## 形状怎样被拉伸
#
# NumPy、PyTorch 和本项目都能把形状不同的数组相加。它们把两个形状**从右边对齐**，上下对着写。如果某一轴一个是 1，另一个是 $n$，就把前者复制 $n$ 份；左边缺少的轴当作 1；其余情形一律报错。
#
# ```text
# scores (B, T, V) = (2, 3, 4)        column (3, 1)
# bias         (V) =       (4)        row    (1, 4)
# sum              = (2, 3, 4)        sum    (3, 4)
# ```
#
# ## 反向
#
# 取形状为 $(3, 1)$ 的一列 $x$ 和形状为 $(1, 4)$ 的一行 $r$，令 $y_{ij} = x_i + r_j$。反向传来 $g_{ij} = \partial L / \partial y_{ij}$，形状与 $y$ 相同，是 $(3, 4)$。$x_i$ 这一个数用在了 $y$ 的整个第 $i$ 行。链式法则把通向损失的所有路径加起来：
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
# $x$ 沿第 1 轴被拉伸，所以它的梯度沿第 1 轴求和；$r$ 沿第 0 轴被拉伸，所以它的梯度沿第 0 轴求和。一个张量的梯度，**形状总与这个张量相同**：被拉伸的轴仍保留为 1，原来缺少的轴则去掉。

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

# %% [markdown] source="429740ad"
# 上面一行是前向，从左到右；下面一行是反向，从右到左。
#
# ### 形状看不出来的错误
#
# 假设这一列遇到的是长度为 3 的一行。这时 $y$ 和 $g$ 都是 $(3, 3)$，沿错误的轴求和，得到的也是三个数：

# %%
square = np.array([[1, 0, 2], [0, 1, 0], [1, 1, 5.0]])  # g, (3, 3)
right = square.sum(axis=1, keepdims=True)  # (3, 1)
wrong = square.sum(axis=0).reshape(3, 1)  # (3, 1): axis 0, but x was
print(right.ravel(), wrong.ravel())  # stretched along axis 1
assert right.shape == wrong.shape
assert not np.array_equal(right, wrong)

# %% [markdown] source="465993df"
# `reshape` 会让报错消失，却留下错误的数。测试时要让各个轴的大小都不相同，并把结果与量得的斜率比较。
#
# ## 轮到你了
#
# 请写出 `unbroadcast(grad, shape)`：`grad` 的形状是广播之后的形状，`shape` 是张量原来的形状。返回形状为 `shape` 的梯度。
#
# ```text
# python -m tinyattn.learn check 03a
# ```
#
# 请考虑：同时有几个轴被拉伸；左边缺少轴；某一轴原来是 1，现在还是 1；`shape == ()`。
#
# ## 矩阵乘积
#
# 设 $C = AB$，其中 $A$ 为 $(n, k)$，$B$ 为 $(k, m)$，$C$ 为 $(n, m)$：
#
# $$
# C_{ij} = \sum_{l} A_{il} B_{lj}.
# $$
#
# 反向传来 $G_{ij} = \partial L / \partial C_{ij}$，形状 $(n, m)$。$A_{il}$ 用在哪里？用在 $C$ 的第 $i$ 行，每一列 $j$ 用一次，每次的系数是 $B_{lj}$。所以对 $j$ 求和：
#
# $$
# \frac{\partial L}{\partial A_{il}} = \sum_j G_{ij} B_{lj}
# = (G B^\top)_{il}.
# $$
#
# 同样，$B_{lj}$ 用在 $C$ 的第 $j$ 列，每一行 $i$ 用一次，系数是 $A_{il}$：
#
# $$
# \frac{\partial L}{\partial B_{lj}} = \sum_i A_{il} G_{ij}
# = (A^\top G)_{lj}.
# $$
#
# 形状也印证了这一点：$(n, m)(m, k) = (n, k)$，$(k, n)(n, m) = (k, m)$。如果 $n$、$m$、$k$ 互不相同，这几个矩阵就只有这一种乘法对得上；如果它们都相等，怎么乘都对得上，漏掉一个转置也发现不了。手算一个例子：

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

# %% [markdown] source="b25002be"
# 线性层把本课的两部分合在一起。它用同一个权重 $W$（形状 $(D, H)$）去乘输入 $x$（形状 $(B, T, D)$），再加上同一个偏置 $b$（形状 $(H,)$）。全部 $B \cdot T$ 个位置共用 $W$ 和 $b$，所以它们的梯度是对 $B$ 和 $T$ 求和。

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

# %% [markdown] source="8b8c747b"
# 把它的反向传播画出来，损失取平方和。每个方框写着形状；每条箭头传送一个梯度，旁边是它的范数（平方和的平方根）。在通向 $b$ 的箭头上，形状 (2, 3, 5) 变成 (5,)：对 $B$ 和 $T$ 的求和就在这里。

# %%
loss = ((ta.tensor(x) @ W + b) ** 2).sum()  # ()
ta.explain(loss)

# %% [markdown] source="1746b43b"
# ## 又轮到你了
#
# 请为这种层里的乘积写出 `matmul_backward(grad, x, w)`：`x` 形状 (B, T, D)，`w` 形状 (D, V)，`grad` 形状 (B, T, V)；返回 `x` 和 `w` 的两个梯度。
#
# ```text
# python -m tinyattn.learn check 03b
# ```
#
# ## 找出错误的乘积
#
# 注意力由三步组成：$QK^\top$ 得到分数，softmax 把分数变成权重，权重乘以 $V$ 得到输出。有些文章在这里写错了。下面三个例子都确实发表过。用一个单元格就能看出各自错在哪里。
#
# 1. 用下一个单元格里的矩阵，一篇文章算得 $QK^\top$ 的每个元素都是 1。
# 2. 另一篇文章把权重与 $V$ *逐元素*相乘。当 $T = D = 3$ 时，这也能运行。形状要怎样，NumPy 才会报错？
# 3. 第三篇文章对形状为 (3, 2) 的 `q` 和 `k` 计算 `(q * k).sum(axis=1)`，并把这三个数叫做注意力分数。查询 0 看了哪些键？分数本该有几个？

# %%
Q = np.array([[0, 1], [1, 0], [0, 1]])  # (Tq=3, D=2)
K = np.array([[1, 0], [0, 1], [1, 1]])  # (Tk=3, D=2)
weights = np.full((3, 3), 1 / 3)  # (Tq, Tk)
V = np.array([[3.0, 0, 0], [0, 6, 0], [0, 0, 9]])  # (Tk, D=3)
print("weights * V\n", weights * V)  # (3, 3): runs, and means nothing
print("weights @ V\n", weights @ V)  # (3, 3): the mean of the rows of V
assert np.allclose(weights @ V, [[1, 2, 3]] * 3)

# %% [markdown] source="326d772c"
# ## 学到了什么
#
# - 前向的复制，在反向就是求和。
# - $C = AB$ 的梯度是 $G B^\top$ 和 $A^\top G$。
# - 相等的大小会掩盖错误。测试要用互不相同的大小。
#
# ## 试一试
#
# 1. `x.sum()` 的梯度是什么？前向相加，反向复制：把本课的那句话倒过来说。
# 2. 对方阵 `x`，令 `y = x + x.transpose(0, 1)`，梯度是什么？
# 3. 用 (B, T, D) 去乘 (B, D, H)，再去乘 (D, H)。哪一种情形下，第二个因子的梯度要对 $B$ 求和？
#
# ## 源码在哪里
#
# `tinyattn/autograd/gradients.py` 里还原广播，所有运算共用这一处。`tinyattn/ops/products.py` 里是乘积及其梯度。
#
# **下一课：** 第 4 课，softmax（`04_softmax.py`）。
