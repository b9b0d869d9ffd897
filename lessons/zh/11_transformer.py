# %% [markdown] source="f7432133"
# # 第 11 课：Transformer——每一层都往同一个和里加一项
#
# **本课要点：** Transformer 为每个词元保存一个向量，每个模块都往这个向量上加一点东西。归一化放在哪里，决定了叠得很深时还能不能训练。
#
# **时间：** 90 分钟。**需要：** 第 10 课（注意力、掩码、多头）。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.viz import jacobian, jacobian_of

_ = ta.manual_seed(0)

# %% [markdown] source="db174bdf"
# ## 一个模块
#
# 设 $x$（形状 (B, T, D)）为 $T$ 个词元各保存一个 $D$ 维的向量。一个模块（Vaswani 等 2017，arXiv:1706.03762）分两部分。第一部分，词元之间交换信息：$h$ 个头的注意力。第二部分，每个词元单独处理：两个线性映射，中间夹一个 ReLU，$\mathrm{ff}(x) = W_2 \max(0, W_1 x + b_1) + b_2$，中间一层更宽，常取 $4D$。每一部分的结果都**加**到它的输入上：
#
# $$
# x \leftarrow x + \mathrm{attention}(x), \qquad
# x \leftarrow x + \mathrm{ff}(x).
# $$
#
# 加法没有权重，所以 $x + f(x)$ 的梯度是 $g + g f'$：第一项原封不动地往回传。模块叠起来之后，从损失到每一层都有一条路，路上没有任何乘法。
#
# 但是许多项加起来会越来越大。于是用**层归一化**（Ba、Kiros 和 Hinton 2016，arXiv:1607.06450）把每个词元的向量变成均值 0、方差 1。
#
# ## 层归一化及其梯度
#
# 对一个词元，记 $\mu = \frac1D \sum_i x_i$，$\sigma^2 = \frac1D \sum_i (x_i - \mu)^2$：
#
# $$
# y_i = \frac{x_i - \mu}{\sigma}.
# $$
#
# （实际上会给 $\sigma^2$ 加一个很小的 $\varepsilon$，以免除以 0；后面还有可学习的系数和偏置。这里三者都略去。）每个 $x_j$ 都通过 $\mu$ 和 $\sigma$ 影响每个 $y_i$。先求这两个：
#
# $$
# \frac{\partial \mu}{\partial x_j} = \frac1D, \qquad
# \frac{\partial \sigma}{\partial x_j}
# = \frac{1}{2\sigma} \cdot \frac{2 (x_j - \mu)}{D} = \frac{y_j}{D}.
# $$
#
# 在第二个式子里，$\mu$ 也依赖 $x_j$，但这一部分要乘以 $\sum_i (x_i - \mu) = 0$。再用商的求导法则：
#
# $$
# \frac{\partial y_i}{\partial x_j}
# = \frac{1}{\sigma} \Big( \delta_{ij} - \frac1D \Big)
# - \frac{x_i - \mu}{\sigma^2} \cdot \frac{y_j}{D}
# = \frac{1}{\sigma} \Big( \delta_{ij} - \frac1D - \frac{y_i y_j}{D} \Big),
# $$
#
# 其中 $i = j$ 时 $\delta_{ij}$ 为 1，否则为 0。乘以传到 $y_i$ 的梯度 $g_i$，再对 $i$ 求和：
#
# $$
# \frac{\partial L}{\partial x_j}
# = \frac{1}{\sigma} \Big( g_j - \frac1D \sum_i g_i
# - y_j \, \frac1D \sum_i g_i y_i \Big).
# $$
#
# 用文字说：从 $g$ 中去掉它的均值，再去掉它沿 $y$ 方向的部分，然后除以 $\sigma$。去掉的两部分都有含义：给所有 $x$ 加上同一个数，结果不变；把它们按同一倍数放大，结果也不变。下面把所有 $\partial y_i / \partial x_j$ 组成的矩阵与引擎的结果核对：

# %%
D = 6
x = ta.randn(D, dtype=ta.float64)  # (D,)
y = F.layer_norm(x, (D,), eps=0.0)  # (D,)
# (D, D): row i is dy_i / dx, one backward pass for each
measured = jacobian_of(lambda x: F.layer_norm(x, (D,), eps=0.0), x)
sigma = x.numpy().std()  # a number
values = y.numpy()  # (D,)
formula = np.eye(D) - 1 / D - np.outer(values, values) / D  # (D, D)
formula /= sigma
print("largest difference", abs(formula - measured).max())
assert np.allclose(formula, measured)
assert np.allclose(measured @ np.ones(D), 0)  # the same added to all x
assert np.allclose(measured @ values, 0)  # all x stretched
jacobian(measured, title="Layer norm: row i is the gradient of y_i")

# %% [markdown] source="aedd496a"
# ## 放在前面还是后面？
#
# 2017 年的论文在每次相加**之后**归一化：$x \leftarrow \mathrm{norm}(x + f(x))$。那条没有乘法的路就不存在了：路上每一步都要乘以上面的矩阵，既除以 $\sigma$，又丢掉两个方向。6 个模块就要乘 12 次。
#
# 另一种顺序是在每一部分**之前**归一化：$x \leftarrow x + f(\mathrm{norm}(x))$，最后再归一化一次。这时
#
# $$
# x_{\text{last}} = x_0 + \sum_l f_l(\mathrm{norm}(x_l)),
# $$
#
# 和的梯度原样到达每一层（Xiong 等 2020，arXiv:2002.04745）。差别大吗？我们把两种模型都叠到 6 个模块，在一种小语言上训练：每个序列不断重复 2、3 或 4 个随机字母。最前面的几个字母无法预测，所以损失到不了 0。第三个模型也是相加之后归一化，但学习率在前 60 个批次里慢慢升高（**预热**，warm-up）。

# %%
V, T, D = 8, 12, 32


def sequences(B):
    """B sequences (B, T + 1) of a random period."""
    period = ta.randint(2, 5, (B, 1))  # (B, 1)
    letters = ta.randint(0, V, (B, 4))  # (B, 4)
    return letters.gather(1, ta.arange(T + 1) % period)  # (B, T + 1)


class Model(nn.Module):
    def __init__(self, blocks, norm_first):
        super().__init__()
        self.letter, self.place = nn.Embedding(V, D), nn.Embedding(T, D)
        order = {"batch_first": True, "norm_first": norm_first}
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            block = nn.TransformerEncoderLayer(D, 4, 4 * D, 0.0, **order)
            self.blocks.append(block)
        self.norm, self.out = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, letters):
        """letters (B, T): scores (B, T, V) of the letters that follow."""
        T = letters.shape[1]
        future = ~ta.ones(T, T, dtype=ta.bool).tril()  # (T, T)
        x = self.letter(letters) + self.place.weight[:T]  # (B, T, D)
        for block in self.blocks:
            x = block(x, src_mask=future, is_causal=True)  # (B, T, D)
        return self.out(self.norm(x))


def train(norm_first, warmup, steps=80):
    ta.manual_seed(0)
    model, losses = Model(6, norm_first), []
    optimizer = ta.optim.Adam(model.parameters())
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, step / warmup)
        batch = sequences(16)  # (B, T + 1)
        scores = model(batch[:, :-1]).flatten(0, 1)  # (B T, V)
        loss = F.cross_entropy(scores, batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


trained = {
    "norm before": train(True, 1),
    "norm after": train(False, 1),
    "norm after, warm-up": train(False, 60),
}
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for name, style in zip(trained, ("-", ":", "--"), strict=True):
    axes.plot(trained[name][1], ls=style, label=name)
axes.axhline(np.log(V), color="gray", lw=0.8)
axes.set_xlabel("batches")
axes.set_ylabel("loss (grey line: ln 8, a blind guess)")
axes.set_title("Six blocks, one learning rate")
axes.legend()
axes.grid(alpha=0.3)
last = {name: np.mean(run[1][-10:]) for name, run in trained.items()}
print({name: round(float(loss), 2) for name, loss in last.items()})
assert last["norm before"] < last["norm after"] - 0.4

# %% [markdown] source="043ca55d"
# 归一化放在相加之后，模型只比瞎猜好一点点。预热大有帮助：先走小步，直到梯度的大小合适为止。归一化放在前面，模型学得最好，也不需要预热。如今几乎所有深层 Transformer 都这样做。
#
# ## 没有位置，就没有顺序
#
# 一个词元的向量只通过对所有词元的求和进入注意力，而求和不知道各项的先后。因此在没有掩码时，**词元交换位置，输出也只是跟着交换位置，别的什么都不变**：

# %%
block = nn.TransformerEncoderLayer(D, 4, 4 * D, 0.0, batch_first=True)
x = ta.randn(1, 5, D)  # (B, T, D)
order = ta.tensor([3, 0, 4, 1, 2])  # (T,)
moved = block(x[:, order])  # (B, T, D)
assert np.allclose(moved.detach(), block(x)[:, order].detach(), atol=1e-5)
places = ta.randn(5, D)  # (T, D): a vector for each place
moved = block(x[:, order] + places)  # (B, T, D)
plain = block(x + places)[:, order]  # (B, T, D)
same = np.allclose(moved.detach(), plain.detach(), atol=1e-5)
print("with positions, is the order still without effect?", same)
assert not same

# %% [markdown] source="4e1bcb21"
# 那样“狗咬人”和“人咬狗”就没有区别了。所以 `Model` 给字母加上了每个位置的向量。忘了加也不会报错，应当写的正是上面这个测试。
#
# ## 缓存：过去不会变，所以留着它
#
# 翻译模型一次写一个词。如果不加注意，第 $t$ 步要让全部 $t$ 个词元通过所有模块，总共 $1 + 2 + \dots + T = T(T+1)/2$ 次。但是掩码保证新词元不会改变前面的词元（第 10 课）。它们的键和值保持不变，于是每一层把它们存进**缓存**，每一步只需要处理一个词元，总共 $T$ 次。结果必须相同：

# %%
layer = nn.TransformerDecoderLayer(D, 4, 4 * D, 0.0, batch_first=True)
decoder = nn.TransformerDecoder(layer, 2)
memory = ta.randn(1, 7, D)  # (B, Ts, D): what an encoder would give
target = ta.randn(1, 20, D)  # (B, T, D)
with ta.no_grad():
    future = ~ta.ones(20, 20, dtype=ta.bool).tril()  # (T, T)
    whole = decoder(target, memory, tgt_mask=future)  # (B, T, D)
    cache, steps = decoder.new_cache(), []
    for token in target.split(1, 1):  # (B, 1, D)
        steps.append(decoder(token, memory, cache=cache))  # (B, 1, D)
    difference = abs(ta.cat(steps, 1) - whole).max().item()
print(f"largest difference {difference:.1e}")
print("tokens run: 20 with the cache,", 20 * 21 // 2, "without")
assert difference < 1e-5

# %% [markdown] source="9a63e755"
# ## 轮到你了
#
# ```text
# python -m tinyattn.learn check 11a
# python -m tinyattn.learn check 11b
# python -m tinyattn.learn check 11c
# ```
#
# - 11a，`transformer_block(x, attention, feed_forward, norm_1, norm_2, norm_first)`：一个模块，两种顺序都要支持。
# - 11b，`is_causal(model, T, D)`：写出这个测试，判断未来是否不影响过去。注意：“改了词元 5，输出 2 变了”这种情况，每一对位置都要检查；泄漏可能很小，也可能只涉及一个特征。
# - 11c，`layer_norm_backward(grad, x, weight, eps)`：按上面的公式写。有可学习的系数时，$z_i = w_i y_i + b_i$，传到 $y_i$ 的梯度是 $g_i w_i$；$w_i$ 和 $b_i$ 的梯度是对所有词元求和的 $\sum g_i y_i$ 与 $\sum g_i$。
#
# ## 学到了什么
#
# - 各模块都往同一个和里加一项，而和的梯度原样传给每一项。归一化若放在这条路上，就要乘上它的矩阵。
# - 层归一化的梯度，就是 $g$ 去掉均值、去掉沿 $y$ 的部分，再除以 $\sigma$。
# - 位置必须加进去；正因为掩码保证过去不变，缓存才成为可能。
#
# ## 试一试
#
# 1. 把 6 个模块换成 2 个再训练。归一化的位置还重要吗？学习率改成 0.001 呢？
# 2. 去掉 `self.place`。因果掩码还在，所以顺序没有完全丢失。序列中的哪些字母能够预测？为什么？
# 3. 如果 $\sigma$ 很小，层归一化的梯度会怎样？哪些词元的 $\sigma$ 小？
#
# ## 源码在哪里
#
# - `tinyattn/nn/transformer.py`：各层，两种顺序都有。
# - `tinyattn/ops/normalising.py`：层归一化，附有上面的推导。
# - `examples/translator_transformer.py`：完整的翻译器。
#
# **下一课：** 第 12 课（`12_long_sequences.py`）：处理长序列的注意力，不需要 $T \times T$ 的矩阵。
