# %% [markdown] source="cb91aeb5"
# # 第 10 课：缩放点积、掩码和多头
#
# **本课要点：** 每个词元同时询问所有词元，只需要两次矩阵乘法，中间夹一个 softmax。能不能用好，取决于三个细节：缩放系数、掩码，以及特征怎样切成多个头。
#
# **时间：** 75 分钟。**需要：** 第 4 课（softmax）和第 8 课（注意力）。

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F

_ = ta.manual_seed(0)

# %% [markdown] source="1db1ff52"
# ## 两次乘法
#
# 第 8 课的加性分数要为每一对查询和键运行一个小网络。点积更简单：$s_{ij} = q_i \cdot k_j$，两个向量方向相同，它就大。设 $Q$（$T_q \times D$）的每一行是一个查询，$K$（$T_k \times D$）的每一行是一个键，$V$（$T_k \times D_v$）的每一行是一个值。Vaswani 等人（2017，arXiv:1706.03762）写成
#
# $$
# S = \frac{Q K^\top}{\sqrt D}, \qquad A = \mathrm{softmax}(S), \qquad O = A V ,
# $$
#
# 其中 softmax 沿每一行进行，也就是对所有的键归一化。在**自注意力**中，三者都来自同一组词元：$Q = XW_q$，$K = XW_k$，$V = XW_v$。
#
# ## 找出错误的乘积
#
# 本项目最初参考的一篇文章手算了一个 $D = 2$ 的例子：
#
# $$
# Q = \begin{pmatrix} 0 & 1 \\ 1 & 0 \\ 0 & 1 \end{pmatrix}, \qquad
# K = \begin{pmatrix} 1 & 0 \\ 0 & 1 \\ 1 & 1 \end{pmatrix}, \qquad
# Q K^\top \stackrel{?}{=}
# \begin{pmatrix} 1 & 1 & 1 \\ 1 & 1 & 1 \\ 1 & 1 & 1 \end{pmatrix}.
# $$
#
# **请先用笔验算。** $Q$ 的第一行是 $(0, 1)$，它取出每个键的第二个数。然后运行下面的单元格。

# %%
Q = ta.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])  # (Tq, D) = (3, 2)
K = ta.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (Tk, D) = (3, 2)
S = F.scores["dot"](Q, K)  # (Tq, Tk)
_, A = F.attention(Q, K, K, "scaled_dot", need_weights=True)  # (Tq, Tk)
print(S.numpy())
print(A.numpy().round(3))
e = math.exp(1 / math.sqrt(2))
assert np.allclose(A.numpy()[0], np.array([1, e, e]) / (1 + 2 * e))

# %% [markdown] source="0b6005d9"
# 第一个查询对三个键的分数是 $(0, 1, 1)$，所以第二个和第三个键分得大部分权重。如果每个乘积都是 1，那么所有权重都是 $\frac13$，查询就不起作用了。**所有权重都相等，不是可以接受的结果，而是该去检查的理由。**
#
# ## 为什么要除以根号 D
#
# 设 $q$ 和 $k$ 的各个分量相互独立，均值为 0，方差为 1。对一个特征，$E[q_d k_d] = E[q_d]\,E[k_d] = 0$，$\mathrm{Var}[q_d k_d] = E[q_d^2]\,E[k_d^2] = 1$。一个分数是 $D$ 个这样的乘积之和，而独立变量的方差可以相加：
#
# $$
# \mathrm{Var}[q \cdot k] = D, \qquad
# \mathrm{Var}\Big[\frac{q \cdot k}{\sqrt D}\Big] = 1 .
# $$
#
# 不缩放时，分数的标准差是 $\sqrt D$：当 $D = 512$ 时约为 23。最大的分数远远高于其他分数，softmax 就把几乎全部权重都给了它。这本身不一定是坏事，但从此什么也学不到了。由第 4 课，
#
# $$
# \frac{\partial a_j}{\partial s_j} = a_j (1 - a_j),
# $$
#
# 当 $a_j$ 接近 0 或 1 时它趋于 0。我们取 16 个键，让 $D$ 逐渐增大，测量两个量：一是**熵** $-\sum_j a_j \ln a_j$，权重全都相等时等于 $\ln 16$，一个键独占时等于 0；二是**斜率** $\sum_j a_j (1 - a_j)$。

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

# %% [markdown] source="42534c4e"
# 有了缩放，两条曲线几乎不随 $D$ 变化。没有缩放，到 $D = 1024$ 时斜率已损失九成以上，梯度也随之损失大半。
#
# 根号下是**特征**的个数，不是键的个数。另一篇文章除以的是 $\sqrt{T_k}$。用一个检验就能看出错在哪里。两个权重之比是 $a_1 / a_2 = e^{s_1 - s_2}$，它只与这两个键有关，别处多加一个键时不应改变：

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

# %% [markdown] source="01287acb"
# ## 掩码
#
# 分数取 $-\infty$，权重就是 0。在函数里，`True` 的意思是“可以关注”。解码器的**因果掩码**允许第 $i$ 个查询看第 $0, \dots, i$ 个键：一个词只能看自己和前面的词。
#
# 掩码写对了，还是写反了？不要靠看图判断，要利用掩码所保证的性质：**改变未来，不会影响过去。** 改动最后一个词元，看哪些输出变了：

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

# %% [markdown] source="234e2ee9"
# 掩码写反时，过去能看见未来，而最后一个查询一个键也看不到。按定义它的输出是 0；粗心的代码会得到 $0/0$，也就是 NaN。
#
# ## 完整的梯度
#
# 设传来的梯度是 $G = \partial L / \partial O$（$T_q \times D_v$）。前向的每一行对应反向的一行，顺序相反。乘积 $O = AV$ 给出
#
# $$
# \frac{\partial L}{\partial V} = A^\top G, \qquad
# \frac{\partial L}{\partial A} = G V^\top .
# $$
#
# 再经过 softmax，逐行进行（第 4 课）：
#
# $$
# \frac{\partial L}{\partial S_{ij}}
# = A_{ij} \Big( (G V^\top)_{ij} - \sum_m A_{im} (G V^\top)_{im} \Big)
# = A_{ij} \; G_i \cdot (V_j - O_i),
# $$
#
# 因为对 $m$ 的求和就是 $G_i \cdot \sum_m A_{im} V_m = G_i \cdot O_i$。最后经过 $S = QK^\top / \sqrt D$：
#
# $$
# \frac{\partial L}{\partial Q} = \frac{1}{\sqrt D} \frac{\partial L}{\partial S} K, \qquad
# \frac{\partial L}{\partial K} = \frac{1}{\sqrt D}
# \Big(\frac{\partial L}{\partial S}\Big)^{\!\top} Q .
# $$
#
# 被遮住的一对有 $A_{ij} = 0$，所以梯度自然是 0，不需要另外处理。我们取一个查询，逐个元素与引擎的结果核对：

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

# %% [markdown] source="858082b5"
# ## 多头
#
# 一次 softmax 只能对“该看哪里？”给出一个回答。想同时提几个问题，就把 $D$ 个特征切成 $h$ 个**头**，每个头有 $D/h$ 个特征。各头分别做注意力，结果再并排拼起来。我们要把 (B, T, D) 变成 (B, h, T, D/h)：第 $t$ 个词元的第 $m$ 个头，装的是**这个词元**的第 $m D/h$ 到 $(m + 1) D/h - 1$ 个特征。
#
# 常见的写法是 `x.view(B, h, T, D // h)`。形状对了，内容对吗？下面把每个特征写成“词元.特征”：

# %%
B, T, D, h = 1, 3, 4, 2
x = ta.tensor([[[t + f / 10 for f in range(D)] for t in range(T)]])
print("x", *x.numpy()[0], sep="\n")  # (T, D), a row for each token
wrong = x.view(B, h, T, D // h)  # (B, h, T, D / h)
print("head 0 by view alone", *wrong.numpy()[0, 0], sep="\n")  # (T, D/h)

# %% [markdown] source="d8022b6e"
# 头 0 的第 1 行本应是词元 1，装的却是词元 0 的特征：这个头把不同位置混在了一起。`view` 从不移动任何一个数，只是按原来的顺序重新数一遍。而这里要交换两个轴的顺序，数必须移动。代码不报错，训练甚至还有一点效果。但是因果模型从此**能看到未来**，上一节的检验会发现它。
#
# ## 轮到你了
#
# ```text
# python -m tinyattn.learn check 10a
# python -m tinyattn.learn check 10b
# python -m tinyattn.learn check 10c
# ```
#
# - 10a，`attention(q, k, v, mask)`：返回输出。
# - 10b，`split_heads(x, h)`：从 (B, T, D) 到 (B, h, T, D/h)。
# - 10c，`attention_backward(grad, q, k, v, p)`：按上面的公式求三个梯度；`p` 是前向保存的权重。
#
# 最后检查一下：库里的两头注意力层，只要要求它是因果的，就真的是因果的：

# %%
layer = nn.MultiheadAttention(8, 2, batch_first=True)
x, T = ta.randn(1, 5, 8), 5  # x (B, T, D)
future = ~ta.ones(T, T, dtype=ta.bool).tril()  # (T, T), True = ignore
before, _ = layer(x, x, x, attn_mask=future)  # (B, T, D)
x[0, 4] = 0
after, _ = layer(x, x, x, attn_mask=future)  # (B, T, D)
assert np.array_equal(before[0, :4].detach(), after[0, :4].detach())
print("the past did not move")

# %% [markdown] source="e07e22c6"
# 请注意：`nn.MultiheadAttention` 里掩码的含义与函数里相反，`True` 表示忽略。两处都与 PyTorch 一致。
#
# ## 学到了什么
#
# - $1/\sqrt D$ 使分数的方差保持为 1，使 softmax 的斜率不消失；$D$ 是特征的个数。
# - 检验掩码要看它保证的性质：改变未来，不会影响过去。
# - 分头需要交换两个轴；只用 `view` 会把不同的词元混在一起。
#
# ## 试一试
#
# 1. 余弦分数落在 $[-1, 1]$ 内。证明：有 $n$ 个键时，任何权重都不会超过 $e^2 / (n - 1 + e^2)$。当 $n = 50$ 时这是多少？加上温度会怎样？
# 2. 如果 $q$ 和 $k$ 的各个特征方差是 4，图中的曲线会变成什么样？
# 3. 把 $A$ 和 $V$ 逐元素相乘，而不是做矩阵乘法。哪些形状下不会报错？结果是什么意思？
#
# ## 源码在哪里
#
# - `tinyattn/ops/attention.py`：注意力运算和它的梯度。
# - `tinyattn/kernels/reference/attention.py`：同样的计算，内存只随 $T$ 线性增长（第 12 课）。
# - `tests/test_documents.py`：参考文章中的错误，每一处都有测试。
#
# **下一课：** 第 11 课（`11_transformer.py`）在此基础上搭建 Transformer。
