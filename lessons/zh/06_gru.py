# %% [markdown] source="87686d82"
# # 第 6 课：手算一个 GRU
#
# **本课要点：** 循环网络把一个状态从一个词带到下一个词。GRU 有“门”：它们是 0 到 1 之间的数，对状态的每一部分决定保留多少、写入多少。门是算出来的，所以有梯度；有梯度，所以学得会。
#
# **时间：** 75 分钟。**需要：** 第 2、3 课。

# %%
import random

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

# %% [markdown] source="5f9eace5"
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
# 来看一个需要记忆的任务：阅读。句子讲的是汤（soup）、面包（bread）和音乐（music）。每读一个词，网络都要回答**最近一次评价是好是坏**：好是 1，坏是 $-1$，还没有评价时是 0。not（不）会把后面的评价反过来：not very good（不太好）算坏。还有一些词与评价无关。
#
# 所以状态必须把评价保留很多个词，还要把 not 保留到它修饰的评价出现为止。每个词变成 $D = 8$ 个数（第 5 课），状态有 $H = 3$ 个数。

# %%
GOOD = ["good", "great", "lovely", "fine"]
BAD = ["bad", "awful", "cold", "dull"]
OTHERS = """not very the soup bread music was and but
we came by train it rained all day"""
WORDS = GOOD + BAD + OTHERS.split()
choose = random.Random(0)


def clause():
    """Words, each with the opinion after it: 1, -1, or None as before."""
    if choose.random() < 0.35:
        words = choose.choice(["we came by train", "it rained all day"])
        return [(word, None) for word in words.split()]
    opinion, turned = choose.choice(GOOD + BAD), choose.random() < 0.5
    words = ["the", choose.choice(["soup", "bread", "music"]), "was"]
    words += ["not"] * turned + ["very"] * (choose.random() < 0.5)
    sign = 1 if (opinion in GOOD) != turned else -1
    return [*((word, None) for word in words), (opinion, sign)]


def batch(B, T):
    """Words by number (B, T), the right answers (B, T)."""
    numbers, answers = np.zeros((B, T), int), np.zeros((B, T))
    for row in range(B):
        pairs, last = [], 0
        while len(pairs) < T:
            pairs += [*clause(), (choose.choice(["and", "but"]), None)]
        for t, (word, opinion) in enumerate(pairs[:T]):
            last = last if opinion is None else opinion
            numbers[row, t], answers[row, t] = WORDS.index(word), last
    return ta.tensor(numbers), ta.tensor(answers).float()


ta.manual_seed(0)
embedding = nn.Embedding(len(WORDS), 8)  # D = 8
gru = nn.GRU(8, 3, batch_first=True)  # H = 3
out = nn.Linear(3, 1)
parameters = [p for m in (embedding, gru, out) for p in m.parameters()]
optimizer = ta.optim.Adam(parameters, lr=0.02)
for step in range(401):
    numbers, answers = batch(32, 24)  # (B, T), (B, T)
    states, _ = gru(embedding(numbers))  # (B, T, H)
    loss = F.mse_loss(out(states).squeeze(-1), answers)  # ()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss.item():.3f}")
assert loss.item() < 0.1

# %% [markdown] source="98a68917"
# 现在让它读一个句子，看看它的更新门。`viz.gates_of` 能取出任何用到 GRU 或 LSTM 的模型的门；`viz.gates` 能画出它们，模型多大都可以。
#
# 下图上半部分是读完每个词之后的回答（1 好，-1 坏）；下半部分是更新门 $z$：黑色是 0，写入；白色是 1，保留。


# %%
def read(numbers):
    """The answers (B, T) and the gates r, z, n: (B, T, H)."""
    with ta.no_grad():
        gates = viz.gates_of(lambda: gru(embedding(numbers)))[0]
        answers = out(gru(embedding(numbers))[0]).squeeze(-1)
    return answers.numpy(), {k: g.swapaxes(0, 1) for k, g in gates.items()}


sentence = """the soup was not very good but we came by train
and the bread was great"""
words = sentence.split()
T = len(words)
numbers = ta.tensor([[WORDS.index(word) for word in words]])  # (1, T)
guess, gates = read(numbers)  # (1, T), each (1, T, H)

figure, axes = plt.subplots(2, figsize=(8, 4), layout="constrained")
axes[0].bar(np.arange(T), guess[0], color="0.4")
axes[0].set_title("The answer after each word: 1 good, -1 bad")
axes[0].set_xticks([])
axes[0].margins(x=0)
z = gates["z"][0].T  # (H, T)
image = axes[1].imshow(z, "gray", aspect="auto", vmin=0, vmax=1)
axes[1].set_title("The update gate z (black, 0: written; white, 1: kept)")
axes[1].set_xticks(np.arange(T), words, rotation=45, ha="right")
axes[1].set_yticks(range(3), ["unit 0", "unit 1", "unit 2"])
figure.colorbar(image, label="z")
axes[0].grid(alpha=0.3)

# %% [markdown] source="68c5c491"
# 回答在 good（被 not 反了过来）和 great 处改变；在 but we came by train and the 这一段保持不变。哪些词会打开门？下面是每个词的 $z$，对各个单元取平均；横条越长，门开得越大：

# %%
numbers, answers = batch(300, 24)  # sentences that it has not seen
guess, gates = read(numbers)
said, right = np.sign(guess), answers.numpy()
share = (said == right)[right != 0].mean()
print(f"right after {share:.1%} of the words")
z, found = gates["z"], numbers.numpy()
mean = {w: z[found == i].mean() for i, w in enumerate(WORDS)}
for word in sorted(mean, key=mean.get):
    print(f"{word:8}{mean[word]:.2f}", "#" * round(30 * (1 - mean[word])))
assert share > 0.95
assert max(mean[word] for word in ["not", *GOOD, *BAD]) < 0.6
assert min(mean[word] for word in ["very", "and", "but"]) > 0.8

# %% [markdown] source="e071146b"
# not 和表示评价的词会打开门：状态被写入。very、and、but 让门关着，所以 not 能越过 very，评价也能越过后面的词。没有人告诉网络这些词是什么意思，是门的梯度 $dz = g \odot (h - n)$ 教会它的：如果保留旧状态比换成候选状态更好，$z$ 就升高；如果换成候选状态更好，$z$ 就降低。每个单元都有自己的门：请在图里找出被 not 写入的单元。
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
# 3. 取 $H = 1$，网络大约在 90% 的词之后回答正确。它在哪些词上出错？有哪两样东西，一个数不能同时记住？
#
# ## 源码在哪里
#
# `tinyattn/kernels/reference/gru.py`：用 NumPy 写的整个序列的前向与反向；`native/gru.c`：同样内容的 C 版本；`tinyattn/ops/recurrent.py`：这个运算本身。
#
# **下一课：** 第 7 课，随时间反向传播（`07_through_time.py`）：把这一步重复一百次，梯度会怎样。
