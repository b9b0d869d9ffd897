# %% [markdown] source="cf69f51c"
# # 第 5 课：词进词出——词嵌入与交叉熵
#
# **本课要点：** 语言模型的第一步是在一张表里查词，最后一步是把自己的预测与正确的词比较。两处的梯度都很短：一个是*把行加起来*，另一个是*预测减去真值*。
#
# **时间：** 45 分钟。**需要：** 第 4 课（softmax）。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import nn

np.set_printoptions(precision=4, suppress=True)
F = nn.functional

# %% [markdown] source="e8c27089"
# ## 词进：一张表
#
# 给词表里的词编号，从 0 到 $V-1$。**词嵌入**是一张形状为 $(V, D)$ 的表 $E$：第 $v$ 行存放词 $v$ 的 $D$ 个数，这些数由训练来决定。查一个有 $T$ 个词元的句子 $w_1, \dots, w_T$，就是把相应的行抄出来：$x_t = E_{w_t}$，形状为 $(T, D)$。

# %%
E = np.array([[0, 0.1], [1, 1.1], [2, 2.1], [3, 3.1]])  # (V=4, D=2)
tokens = np.array([2, 0, 2])  # (T=3,): token 2 stands there twice
x = E[tokens]  # (T, D)
print(x)

# %% [markdown] source="4da86950"
# ### 它的梯度
#
# 设传来的梯度是 $g_t = \partial L / \partial x_t$，形状为 $(T, D)$。损失怎样随表的第 $v$ 行变化？把查表写成对所有行求和，其中 $1_{[w_t = v]}$ 在第 $t$ 个词元是 $v$ 时为 1，否则为 0：
#
# $$
# x_t = \sum_{v} 1_{[w_t = v]} E_v, \qquad\text{所以}\qquad
# \frac{\partial L}{\partial E_v} = \sum_{t} 1_{[w_t = v]}\, g_t.
# $$
#
# 用文字说：**凡是出现词元 $v$ 的位置，其梯度全部加到第 $v$ 行。** 没有用到的行得到 0。这种运算叫*散射相加*（scatter-add）。在例子里，第 2 行得到 $g_1 + g_3$，第 0 行得到 $g_2$，第 1、3 行什么也得不到。
#
# 这里有个陷阱。用 NumPy 数一数每个词元出现几次：

# %%
count = np.zeros(4)  # (V,)
count[tokens] += 1
print("counted ", count)  # token 2 stands there twice!
print("bincount", np.bincount(tokens, minlength=4))
assert count[2] == 1

# %% [markdown] source="77a508fb"
# `count[tokens] += 1` 先把这些数全部读出来，各加 1，再写回去。词元 2 两次读到的都是 0，两次写回的都是 1。赋值 `dE[tokens] = g` 同样会丢梯度：一个词在一批数据里出现十次，十份梯度只留下一份。训练照样进行，只是效果变差，而且不会有任何报错。引擎做的是相加：

# %%
table = ta.tensor(E, requires_grad=True)  # (V, D)
g = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])  # (T, D)
F.embedding(ta.tensor(tokens), table).backward(ta.tensor(g))
print(table.grad)  # (V, D)
assert table.grad[2].tolist() == [101.0, 202.0]  # g_1 + g_3
assert table.grad[1].tolist() == [0.0, 0.0]

# %% [markdown] source="adc418f5"
# ## 词出：模型有多“意外”？
#
# 在每个位置，模型给词表里每个词一个分数 $z_v$，$z$ 的形状为 $(V,)$。Softmax 把它们变成概率 $p_v = e^{z_v} / \sum_k e^{z_k}$。如果正确的词是 $c$，损失就是
#
# $$
# L = -\ln p_c = -z_c + \ln \sum_k e^{z_k}.
# $$
#
# 这就是**交叉熵**。模型既有把握又猜对时，它是 0；模型给正确的词很小的概率时，它就很大。$e^L = 1 / p_c$ 叫做**困惑度**：模型犹豫的程度，相当于在这么多个同样可能的词里挑一个。一无所知的模型，困惑度是 $V$，损失是 $\ln V$。每次训练的第 0 步，都应该看到这个数。
#
# 右边的写法很重要。设 $z = (1000, 0)$，$c = 1$（从 0 数起）。用浮点数计算时，左边的写法先得到 $p_c = 0$，于是 $L = \infty$；右边的写法，只要先把最大值 $m$ 从求和中提出来（第 4 课），$\ln \sum_k e^{z_k} = m + \ln \sum_k e^{z_k - m}$，就得到 1000。
#
# ### 它的梯度
#
# 对右边的写法求导。第一项在 $v = c$ 时给出 $-1$，否则为 0。第二项给出 $e^{z_v} / \sum_k e^{z_k}$，又是 $p_v$：
#
# $$
# \boxed{\;\frac{\partial L}{\partial z_v} = p_v - 1_{[v = c]}\;}
# $$
#
# **预测减去真值。** 雅可比矩阵已经完全不见了。取 $z = (\ln 1, \ln 2, \ln 5)$，$c = 1$（从 0 数起）：$p = (\frac18, \frac28, \frac58)$，$L = \ln 4$，困惑度 4，梯度 $(\frac18, -\frac68, \frac58)$。正确的词缺多少，就拉高多少；别的词多多少，就压低多少；总和是 0。

# %%
z = np.log([[1.0, 2.0, 5.0]])  # (N=1, V=3)
logits = ta.tensor(z, requires_grad=True)  # (1, V)
loss = F.cross_entropy(logits, ta.tensor([1]))  # ()
loss.backward()
print("loss", loss.item(), "perplexity", np.exp(loss.item()))
print("gradient", logits.grad)
assert np.allclose(loss.item(), np.log(4))
assert np.allclose(logits.grad.numpy(), [[1 / 8, -6 / 8, 5 / 8]])
assert ta.gradcheck(lambda z: F.cross_entropy(z, ta.tensor([1])), logits)

# %% [markdown] source="9e543cd9"
# ## 填充不算数
#
# 一批句子的长度不一，短的要用填充词元补齐，这里填充的编号是 0。损失是对**真实**词元取平均，共 $n$ 个：
#
# $$
# L = -\frac1n \sum_{b,t\ \text{真实}} \ln p_{b,t,c_{b,t}}, \qquad
# \frac{\partial L}{\partial z_{b,t,v}} =
# \begin{cases}
# \frac1n (p_{b,t,v} - 1_{[v = c_{b,t}]}) & \text{真实} \\
# 0 & \text{填充}
# \end{cases}
# $$
#
# 这里有两种错法：让填充也参加计算；或者除以 $B \cdot T$，而不是 $n$。两者症状相同，这也正好是一条检验：**多填充一些，损失不应改变。**

# %%
rng = np.random.default_rng(0)
z = rng.standard_normal((2, 4, 5))  # (B, T, V)
targets = np.array([[3, 1, 4, 2], [2, 2, 0, 0]])  # (B, T), 0 = padding


def padded(array, more):
    """(B, T, ...) -> (B, T + more, ...), filled up with 0."""
    return np.pad(array, [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2))


for more in (0, 4):
    flat = ta.tensor(padded(z, more).reshape(-1, 5))  # (B * T, V)
    right = ta.tensor(padded(targets, more).reshape(-1))  # (B * T,)
    good = F.cross_entropy(flat, right, ignore_index=0)  # ()
    total = F.cross_entropy(flat, right, ignore_index=0, reduction="sum")
    wrong = total.item() / right.numel()  # divided by the padded length
    print(f"{more} more: loss {good.item():.4f}, wrong {wrong:.4f}")
    assert np.isclose(good.item(), total.item() / 6)  # 6 real tokens

# %% [markdown] source="68c67f67"
# ## 两者合在一张图里
#
# 最小的语言模型：查一个词，乘以形状为 $(D, V)$ 的矩阵 $W$，猜下一个词。句子是 “the cat sees the dog”，目标是 “cat sees the dog .”。

# %%
words = ["<pad>", "the", "a", "cat", "dog", "sees", "hears", "."]  # V = 8
number = {word: i for i, word in enumerate(words)}
source = ["the", "cat", "sees", "the", "dog"]  # T = 5
ids = ta.tensor([number[word] for word in source])  # (T,)
target = ta.tensor([number[word] for word in [*source[1:], "."]])  # (T,)

ta.manual_seed(0)
table = ta.randn(8, 6, dtype=ta.float64, requires_grad=True)  # (V, D)
W = ta.randn(6, 8, dtype=ta.float64, requires_grad=True)  # (D, V)
logits = F.embedding(ids, table) @ W  # (T, D) @ (D, V) -> (T, V)
logits.retain_grad()
F.cross_entropy(logits, target).backward()

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
axes[0].set_xticks(range(8), words, rotation=45)
axes[1].set_xlabel("feature")
shown = {
    "logits: guess minus truth, / 5": (logits.grad.numpy(), source),
    "table: the rows of words that occur": (table.grad.numpy(), words),
}
for axis, (title, (array, rows)) in zip(axes, shown.items(), strict=True):
    top = abs(array).max()
    image = axis.imshow(array, cmap="PuOr", vmin=-top, vmax=top)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_title(title)
    figure.colorbar(image, ax=axis, label="gradient")

# %% [markdown] source="28d106e0"
# 左图：每行都有一个负的格子，即本该出现的词；每行的和是 0。右图：只有 “the”、“cat”、“sees”、“dog” 有梯度。“the” 出现两次，后面分别是 “cat” 和 “dog”：它那一行得到了两份梯度。只有出现过的词才能让表学到东西，所以罕见的词学得不好。

# %%
unused = [number[word] for word in words if word not in source]
assert not table.grad.numpy()[unused].any()
assert np.allclose(logits.grad.numpy().sum(axis=1), 0)


def loss_of(table, W):
    return F.cross_entropy(F.embedding(ids, table) @ W, target)  # ()


assert ta.gradcheck(loss_of, (table, W))

# %% [markdown] source="4cf48880"
# ## 轮到你了
#
# 请用 NumPy 写出两个反向函数：
#
# - `embedding_backward(grad, tokens, V)`：`grad` 形状 (B, T, D)，`tokens` 形状 (B, T)，返回表的梯度，形状 (V, D)。NumPy 有一个函数，遇到重复的索引会累加；用普通的循环也可以。
# - `cross_entropy_backward(logits, targets, pad)`：把全部 $N = B \cdot T$ 个位置排成一列，`logits` 形状 (N, V)，`targets` 形状 (N,)，返回平均损失的梯度，形状 (N, V)；平均只取目标不是 `pad` 的位置。
#
# ```text
# python -m tinyattn.learn check 05a
# python -m tinyattn.learn check 05b
# ```
#
# ## 学到了什么
#
# - 查表的梯度是散射相加：重复的词元要累加。
# - 交叉熵的梯度是预测减去真值，再除以真实词元的个数。
# - 多填充一些，损失不应改变。这是每个模型都该做的检验。
#
# ## 试一试
#
# 1. 如果某个位置的所有 logits 都相等，损失和梯度各是多少？为什么没训练过的模型，损失一开始接近 $\ln V$？
# 2. 用 `ta.optim.Adam` 把上面的小模型训练 100 步。损失到不了 0。问题出在哪个词上？无论用什么样的表，损失最低能到多少？
# 3. 标签平滑把“真值”改成：正确的词 0.9，其余的平分给别的词。这时“预测减去真值”变成什么？
#
# ## 源码在哪里
#
# `tinyattn/ops/losses.py` 和 `tinyattn/ops/indexing.py`；具体的计算在 `tinyattn/kernels/reference/embedding.py` 和 `tinyattn/kernels/reference/cross_entropy.py` 里。
#
# **下一课：** 第 6 课，GRU（`06_gru.py`）。
