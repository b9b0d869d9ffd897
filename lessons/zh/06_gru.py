# %% [markdown] source="87686d82"
# # 第 6 课：手算一个 GRU
#
# **本课要点：** 循环网络把一个状态从一个词带到下一个词。GRU 有“门”：它们是 0 到 1 之间的数，对状态的每一部分决定保留多少、写入多少。门是算出来的，所以有梯度；有梯度，所以学得会。
#
# **时间：** 75 分钟。**需要：** 第 2、3 课。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import nn, viz

F = nn.functional

# %% [markdown] source="2edf0947"
# ## 一步
#
# 每一步输入 $x$（$D$ 个数）和状态 $h$（$H$ 个数），算出下一个状态 $h'$。记 sigmoid 为 $\sigma(a) = 1 / (1 + e^{-a})$，$\odot$ 表示逐个元素相乘：
#
# $$
# \begin{aligned}
# r &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr})
#   && \text{重置门，} (H,) \\
# z &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz})
#   && \text{更新门，} (H,) \\
# u &= W_{hn} h + b_{hn} && \text{状态给出的信息，} (H,) \\
# n &= \tanh(W_{in} x + b_{in} + r \odot u) && \text{候选状态，} (H,) \\
# h' &= (1 - z) \odot n + z \odot h && \text{下一个状态，} (H,)
# \end{aligned}
# $$
#
# 先看最后一行。$z = 1$：旧状态原样**保留**。$z = 0$：旧状态换成候选状态。介于两者之间，就是二者的混合。重置门决定候选状态能看到多少旧状态：$r = 0$ 就是从头开始。
#
# 三个部分按 $r, z, n$ 的顺序放在一个矩阵里：$W_i$ 的形状是 $(3H, D)$，$W_h$ 是 $(3H, H)$，每个偏置是 $(3H,)$。
#
# ### 两种约定
#
# Cho 等人（2014，arXiv:1406.1078）让 $r$ 在乘矩阵*之前*作用于状态，即 $W_{hn}(r \odot h)$。PyTorch 和本项目是在*之后*，即 $r \odot (W_{hn} h + b_{hn})$，这样与 $h$ 有关的乘积可以合成一个。还有些文章把 $z$ 与 $1 - z$ 对调。两种写法都能训练好；但是把一种写法的权重用到另一种上，结果就是错的，而且不会报错。

# %% [markdown] source="a6fc40b6"
# ## 手算几个数
#
# 设 $H = D = 1$。除了 $W_{in} = W_{hn} = 1$，其余权重和偏置都是 0。于是无论输入什么，$r = z = \sigma(0) = \frac12$。取 $x = 0.25$，$h = 0.5$：$u = 0.5$，$n = \tanh(0.25 + \frac12 \cdot 0.5) = \tanh(0.5) = 0.4621$，$h' = \frac12 \cdot 0.4621 + \frac12 \cdot 0.5 = 0.4811$。

# %%
cell = nn.GRUCell(1, 1).double()
with ta.no_grad():
    for parameter in cell.parameters():
        parameter.zero_()
    cell.weight_ih[2, 0] = 1.0  # row 2 of (3H, D) = (3, 1): W_in
    cell.weight_hh[2, 0] = 1.0  # row 2 of (3H, H) = (3, 1): W_hn

x = ta.tensor([[0.25]], dtype=ta.float64, requires_grad=True)  # (B=1, D=1)
h = ta.tensor([[0.5]], dtype=ta.float64, requires_grad=True)  # (B=1, H=1)
new = cell(x, h)  # (1, 1)
print("h' =", new.item())
assert np.isclose(new.item(), 0.5 * np.tanh(0.5) + 0.25)

# %% [markdown] source="3fd2a60e"
# ## 逐行反向
#
# 设传来的梯度是 $g = \partial L / \partial h'$，形状 $(H,)$。用 $dn$ 表示 $\partial L / \partial n$，其余类推。从前向的最后一行开始，逐行往回走到第一行。
#
# **最后一行** $h' = (1-z) \odot n + z \odot h$：三个因子，三个梯度：
#
# $$
# dn = g \odot (1-z), \qquad dz = g \odot (h - n), \qquad
# dh = g \odot z + \dots
# $$
#
# 省略号的意思是：$h$ 在别的行里也用到，后面还要加。
#
# **候选状态。** 记 tanh 里面的部分为 $a_n$。tanh 的导数是 $1 - \tanh^2$，所以 $da_n = dn \odot (1 - n^2)$。里面有 $r \odot u$：
#
# $$
# dr = da_n \odot u, \qquad du = da_n \odot r.
# $$
#
# **门。** 记 sigmoid 里面的部分为 $a_z$、$a_r$。$\sigma$ 的导数是 $\sigma (1 - \sigma)$：
#
# $$
# da_z = dz \odot z \odot (1 - z), \qquad da_r = dr \odot r \odot (1 - r).
# $$
#
# **权重。** 剩下的都是线性映射，即第 3 课的内容。到达 $W_i x$ 的是三部分 $(da_r, da_z, da_n)$；到达 $W_h h$ 的是 $(da_r, da_z, du)$，因为中间隔着 $r$。两边只有这一处不同，也正是最容易出错的地方。权重得到与 $x$、与 $h$ 的外积；$x$ 得到 $W_i^\top$ 乘前者；$h$ 得到 $W_h^\top$ 乘后者，并且要**加到** $g \odot z$ 上。
#
# 用上面的数，取 $g = 1$，一切都只是普通的数：

# %%
n = np.tanh(0.5)
dn, dz = 1 / 2, 0.5 - n  # g (1 - z), g (h - n)
da_n = dn * (1 - n**2)
dr, du = da_n * 0.5, da_n * 0.5  # times u = 0.5, times r = 0.5
da_z, da_r = dz / 4, dr / 4  # z (1 - z) = r (1 - r) = 1/4

new.backward(ta.ones(1, 1, dtype=ta.float64))
W_i = cell.weight_ih.grad.numpy()  # (3, 1)
W_h = cell.weight_hh.grad.numpy()  # (3, 1)
print("W_i", W_i.ravel())  # r, z, n
print("W_h", W_h.ravel())  # r, z, n
assert np.allclose(W_i.ravel(), np.array([da_r, da_z, da_n]) * 0.25)
assert np.allclose(W_h.ravel(), np.array([da_r, da_z, du]) * 0.5)
assert np.isclose(x.grad.item(), da_n)  # times W_in = 1; W_ir = W_iz = 0
assert np.isclose(h.grad.item(), 1 / 2 + du)  # g z, and through W_hn = 1

# %% [markdown] source="dc6d7141"
# 每个数都与引擎一致。再来一个例子：随机的权重，互不相同的大小，像第 1 课那样测量：

# %%
ta.manual_seed(0)
cell = nn.GRUCell(3, 4).double()  # D = 3, H = 4
xs = ta.randn(2, 3, dtype=ta.float64, requires_grad=True)  # (B=2, D)
hs = ta.randn(2, 4, dtype=ta.float64, requires_grad=True)  # (B=2, H)
assert ta.gradcheck_module(cell, (xs, hs))

# %% [markdown] source="a115281f"
# ## 轮到你了
#
# 先写一步：`gru_step(x, h, w_ih, w_hh, b_ih, b_hh)`，其中 `x` 形状 (B, D)，`h` 形状 (B, H)，权重形状 (3H, D) 和 (3H, H)，偏置形状 (3H,)；返回下一个状态，形状 (B, H)。
#
# ```text
# python -m tinyattn.learn check 06a
# python -m tinyattn.learn check 06b
# ```
#
# 练习 06b 要写它的反向：`gru_step_backward(grad, x, h, w_ih, w_hh, r, z, n, hn)`。前向已经保存了两个门、候选状态，以及我们的 $u$（名为 `hn`），形状都是 (B, H)。请按上面的各行走下去。检查程序认得出这些错误：$z$ 与 $1 - z$ 对调；$r$ 乘在矩阵之前；忘了 $g \odot z$。
#
# ## 门学到了什么？
#
# 来看一个需要记忆的任务。每一步输入一个值（$+1$ 或 $-1$）和一个标志（大多是 0）。网络要始终回答**最近一次标志为 1 时的那个值**。所以标志为 1 时它必须写入，标志为 0 时必须保留。我们的 GRU 状态只有一个数，$H = 1$。


# %%
def batch(B, T):
    """Values and flags (B, T, 2), the right answers (B, T, 1)."""
    value = ta.randint(0, 2, (B, T)).numpy() * 2.0 - 1  # (B, T)
    flag = ta.rand(B, T).numpy() < 0.15  # (B, T)
    flag[:, 0] = True
    last = np.maximum.accumulate(flag * np.arange(T), axis=1)  # (B, T)
    answer = np.take_along_axis(value, last, axis=1)  # (B, T)
    both = np.stack([value, flag], axis=-1)  # (B, T, 2)
    return ta.tensor(both).float(), ta.tensor(answer[..., None]).float()


ta.manual_seed(0)
gru = nn.GRU(2, 1, batch_first=True)  # D = 2, H = 1
out = nn.Linear(1, 1)
parameters = [*gru.parameters(), *out.parameters()]
optimizer = ta.optim.Adam(parameters, lr=0.03)
for step in range(301):
    inputs, answers = batch(32, 30)  # (B, T, 2), (B, T, 1)
    states, _ = gru(inputs)  # (B, T, H)
    loss = F.mse_loss(out(states), answers)  # ()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss.item():.3f}")
assert loss.item() < 0.1

# %% [markdown] source="8a8d435b"
# 现在让它读一个序列，看看它的更新门。`viz.gates_of` 能取出任何用到 GRU 或 LSTM 的模型的门；数多的时候，可以用 `viz.gates` 画出来。

# %%
T = 40
with ta.no_grad():
    inputs, _ = batch(1, T)  # (1, T, 2)
    states, _ = gru(inputs)  # (1, T, 1)
    guess = out(states).numpy().ravel()  # (T,)
    gates = viz.gates_of(lambda: gru(inputs))[0]  # r, z, n: (T, 1, 1)
value, flag = inputs.numpy()[0].T  # (T,), (T,)
z = gates["z"].ravel()  # (T,)

time, marked = np.arange(T), flag == 1
figure, axes = plt.subplots(2, figsize=(8, 4), layout="constrained")
axes[0].plot(time, value, ".", color="0.6", label="value")
axes[0].plot(time[marked], value[marked], "ks", label="value with flag")
axes[0].plot(time, guess, "-", label="answer")
axes[0].legend(loc="upper center", ncols=3)
axes[0].set_ylim(-1.3, 2.3)
axes[0].set_title("What the network reads and answers")
axes[1].bar(time, z, color=np.where(marked, "black", "0.7"))
axes[1].set_title("Its update gate z (black: with a flag)")
axes[1].set_xlabel("time step")
axes[1].grid(alpha=0.3)

# %%
print(f"mean z with a flag    {z[marked].mean():.2f}")
print(f"mean z without a flag {z[~marked].mean():.2f}")
assert z[marked].mean() < 0.5
assert z[~marked].mean() > 0.9

# %% [markdown] source="0fd2392c"
# 有标志时，门降下来：状态被写入。其余时候它几乎等于 1：状态被保留。没有人告诉网络标志是什么意思，是门的梯度 $dz = g \odot (h - n)$ 告诉它的：哪里保留旧状态更好，$z$ 就升高；哪里用候选状态更好，$z$ 就降低。
#
# ## 学到了什么
#
# - GRU 的一步是五行公式；反向就是把这五行从下往上读。
# - 两边只在 $u$ 处不同：它前面有 $r$。
# - $z$ 接近 1 就保住状态；第 7 课会看到，它也保住了梯度。
#
# ## 试一试
#
# 1. 在前向的最后一行里对调 $z$ 与 $1 - z$。反向有哪几行要改？
# 2. 训练前把偏置 $b_{iz}$ 设为 3。一开始 $z$ 是多少？网络学得更快吗？
# 3. 换成 `ta.manual_seed(1)`，这个只有一个数的网络训练 300 步之后还没有学会。试试 $H = 4$。为什么多几个数就有用？
#
# ## 源码在哪里
#
# `tinyattn/kernels/reference/gru.py`：用 NumPy 写的整个序列的前向与反向；`native/gru.c`：同样内容的 C 版本；`tinyattn/ops/recurrent.py`：这个运算本身。
#
# **下一课：** 第 7 课，随时间反向传播（`07_through_time.py`）：把这一步重复一百次，梯度会怎样。
