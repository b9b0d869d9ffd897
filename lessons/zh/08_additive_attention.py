# %% [markdown] source="eecac481"
# # 第 8 课：注意力——解码器回头看
#
# **本课要点：** 让解码器回头看编码器的所有状态，它就能自己学会哪个源词对应哪个目标词，不需要任何人告诉它。
#
# **时间：** 75 分钟。**需要：** 第 4 课（softmax）和第 6 课（GRU）。

# %%
import random

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.viz import Trace, forming_page

_ = ta.manual_seed(0)

# %% [markdown] source="f7f22715"
# ## 一个向量装不下
#
# 没有注意力的翻译模型读完整句话，只留下最后一个状态，也就是 $H$ 个数的一个向量。解码器写每个词时都只能依靠这个向量。句子一长，它就装不下了。
#
# Bahdanau、Cho 和 Bengio（2014，arXiv:1409.0473）把编码器的**所有**状态 $h_1, \dots, h_T$ 都留下来，每个源词一个。解码器此刻的状态记作 $q$，叫做**查询**（query）。每写一个目标词之前，它做三件事。
#
# 1. **打分。** 把 $q$ 与每个状态比较：$s_j = v \cdot \tanh(W_q q + W_k h_j)$。矩阵 $W_q$、$W_k$ 和向量 $v$ 都是学出来的。这种分数叫做**加性**（additive）分数。
# 2. **权重。** 用 softmax 把分数变成权重：$a_j = e^{s_j} / \sum_i e^{s_i}$。权重都是正数，加起来等于 1。
# 3. **求和。** **上下文向量**（context）是状态的加权平均：$c = \sum_j a_j h_j$。
#
# 先手算一遍：设 $h_1 = (1, 0)$，$h_2 = (0, 1)$，$h_3 = (1, 1)$，分数是 $0, \ln 2, \ln 5$。于是 $e^{s} = (1, 2, 5)$，总和是 8，$a = (\frac18, \frac28, \frac58)$。上下文向量是 $(\frac18 + \frac58, \frac28 + \frac58) = (0.75, 0.875)$。
#
# `F.attention` 的分数可以是一个名字，也可以是任意函数。下面这个函数直接给出我们的分数：

# %%
h = ta.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (T, H) = (3, 2)
s = ta.tensor([[1.0, 2.0, 5.0]]).log()  # (1, T): one query
q = ta.zeros(1, 2)  # (1, H), not used by our score
c, a = F.attention(q, h, h, lambda q, k: s, need_weights=True)
print("weights", a.numpy(), "context", c.numpy())  # (1, T), (1, H)
assert np.allclose(a.numpy(), [[1 / 8, 2 / 8, 5 / 8]])
assert np.allclose(c.numpy(), [[0.75, 0.875]])

# %% [markdown] source="19bd7bdf"
# ## 梯度指出该往哪里看
#
# 解码器怎样学会这些权重？设损失为 $L$，传到上下文向量的梯度为 $g = \partial L / \partial c$。由 $c = \sum_j a_j h_j$ 得
#
# $$
# \frac{\partial L}{\partial a_j} = g \cdot h_j .
# $$
#
# 第 4 课已经推出 softmax 的梯度：
#
# $$
# \frac{\partial L}{\partial s_j} = a_j \Big(
# \frac{\partial L}{\partial a_j} - \sum_i a_i \frac{\partial L}{\partial a_i}\Big).
# $$
#
# 把前一式代入，对 $i$ 的求和就是 $g \cdot \sum_i a_i h_i = g \cdot c$，所以
#
# $$
# \frac{\partial L}{\partial s_j} = a_j \; g \cdot (h_j - c).
# $$
#
# 这个式子的意思是：如果 $h_j$ **比目前的平均值 $c$** 更能降低损失，梯度下降就会提高 $h_j$ 的分数。注意力之所以能找到对的词，全部原因就在这一行。
#
# 再看分数本身。记 $u = W_q q + W_k h_j$，$t = \tanh u$，那么 $s_j = v \cdot t$，而且 $\tanh' = 1 - t^2$。令 $r = \partial L / \partial s_j$：
#
# $$
# \frac{\partial L}{\partial v} = r\,t, \qquad
# \delta = \frac{\partial L}{\partial u} = r\, v\, (1 - t^2), \qquad
# \frac{\partial L}{\partial q} = W_q^\top \delta, \qquad
# \frac{\partial L}{\partial W_q} = \delta\, q^\top ,
# $$
#
# 其中 $v(1 - t^2)$ 是逐元素相乘。对 $h_j$ 和 $W_k$，把后两式中的 $W_q$、$q$ 换成 $W_k$、$h_j$ 即可。如果同时给好几个 $j$ 打分，它们在 $v$、$q$ 和 $W_q$ 上的梯度要相加。

# %%
H, T = 4, 5
scores = ta.randn(1, T, dtype=ta.float64, requires_grad=True)  # (1, T)
h = ta.randn(T, H, dtype=ta.float64)  # (T, H)
g = ta.randn(1, H, dtype=ta.float64)  # (1, H), dL/dc
# (1, H), (1, T)
c, a = F.attention(h[:1], h, h, lambda q, k: scores, need_weights=True)
c.backward(g)
by_formula = a.detach() * (g * (h - c.detach())).sum(-1)  # (1, T)
print("formula", by_formula.numpy()[0].round(4))
print("engine ", scores.grad.numpy()[0].round(4))
assert np.allclose(by_formula.numpy(), scores.grad.numpy())

# One query and one key by the formulas of the score.
rng = np.random.default_rng(0)
q, k, v = rng.normal(size=(3, H))  # (H,) each
Wq, Wk = rng.normal(size=(2, H, H))  # (H, H) each
t = np.tanh(Wq @ q + Wk @ k)  # (H,)
delta = v * (1 - t**2)  # (H,), with r = 1
arrays = q[None], k[None], Wq, Wk, v
tensors = [ta.tensor(x, requires_grad=True) for x in arrays]
F.scores["additive"](*tensors).sum().backward()
expected = (
    Wq.T @ delta,  # (H,), of q
    Wk.T @ delta,  # (H,), of k
    np.outer(delta, q),  # (H, H), of W_q
    np.outer(delta, k),  # (H, H), of W_k
    t,  # (H,), of v
)
for x, right in zip(tensors, expected, strict=True):
    assert np.allclose(x.grad.numpy(), right)
print("all five gradients of the score agree")

# %% [markdown] source="0ea5d26f"
# ## 找出错误的轴
#
# 本项目最初参考的一篇文章是这样计算权重的：解码器状态的形状是 (1, 1, H)，编码器状态的形状是 (T, H)。代码能运行，也没有警告。**哪一行错了，应该怎么写？** 先看看打印出来的权重，再往下读。

# %%
state = ta.randn(1, 1, H)  # (1, 1, H)
outputs = ta.randn(T, H)  # (T, H)
scores = state @ outputs.transpose(0, 1)  # (1, 1, T)
weights = scores.softmax(dim=1)
print(weights.numpy())

# %% [markdown] source="45715688"
# 所有权重都是 1。形状 (1, 1, T) 的第 1 轴长度为 1，不管分数是多少，$e^{s}/e^{s}$ 都等于 1。源词排在**最后**一个轴上，应该写 `dim=-1`。这个错误不会让训练停下来，因为“上下文”仍然是所有状态之和，只是注意力没有了。一行测试就能发现它：同一个查询的权重之和必须等于 1。
#
# ## 找出缺少的掩码
#
# 一个批次里，短句子要用填充词元补齐。填充位置的权重必须是 0。那么掩码应该用在 softmax 之前还是之后？下面有两个源词和两个填充位置：

# %%
scores = ta.tensor([[2.0, 1.0, 0.0, 0.0]])  # (1, T) = (1, 4)
present = ta.tensor([[True, True, False, False]])  # (1, T)
states = ta.randn(4, H)  # (T, H)
without = scores.softmax(-1)  # (1, T)
after = without * present  # (1, T)
_, before = F.attention(
    states[:1],
    states,
    states,
    lambda q, k: scores,
    mask=present,
    need_weights=True,
)  # before (1, T)
for name, a in (("no", without), ("late", after), ("early", before)):
    total = a.sum().item()
    print(f"{name:5} mask {a.numpy()[0].round(3)} sum {total:.3f}")

# %% [markdown] source="715f707b"
# 掩码放在 softmax 之后，剩下的权重加起来不到 1：填充位置已经在分母里占了一份。填充越长，上下文向量就越小，于是一句话的译文会受到同批次其他句子的影响。掩码必须放在 softmax **之前**：被遮住的分数变成 $-\infty$，而 $e^{-\infty} = 0$。如果全部位置都被遮住，$0/0$ 不应变成 NaN，这时权重和上下文向量都取 0。
#
# ## 轮到你了
#
# 用 NumPy 写两个函数：
#
# - `additive_scores(query, keys, w_q, w_k, v)`：每个句子一个查询，形状 (B, D)，返回分数，形状 (B, T)。这里的向量都是行向量，所以 $W_q q$ 写成 `query @ w_q`；
# - `context(scores, values, mask)`：带掩码的 softmax，再加权求和，返回上下文向量 (B, D) 和权重 (B, T)。
#
# ```text
# python -m tinyattn.learn check 08a
# python -m tinyattn.learn check 08b
# ```
#
# ## 看对齐怎样形成
#
# 现在训练一个小小的翻译模型。每句话有两个分句，每个分句最多有五个成分。汉语把时间和地点放在动词**之前**，英语把它们放在宾语**之后**：
#
# `wo zuotian zai-gongyuan mai shu` → `I bought books in-the-park yesterday`
#
# 两个词表里编号相同的词意思相同，所以每个目标词的正确对齐我们都知道，但从不告诉模型。

# %%
PARTS = ["who", "when", "where", "did", "what"]
CHINESE = [
    *("<pad>", "<start>"),
    *("wo", "ta", "women", "tamen"),
    *("zuotian", "shangzhou", "jinzao", "qunian"),
    *("zai-jia", "zai-xuexiao", "zai-gongyuan", "zai-shudian"),
    *("kan", "mai", "hua", "zhao"),
    *("shu", "cha", "pingguo", "dangao"),
]
ENGLISH = [
    *("<pad>", "<start>"),
    *("I", "he", "we", "they"),
    *("yesterday", "last-week", "this-morning", "last-year"),
    *("at-home", "at-school", "in-the-park", "in-the-shop"),
    *("saw", "bought", "drew", "found"),
    *("books", "tea", "apples", "cakes"),
]
V, PAD, START = len(ENGLISH), 0, 1


def pair(rng):
    """Source ids, target ids, and where each target word comes from."""
    source, target, origin = [], [], []
    for _ in range(2):
        word = {
            part: 2 + 4 * i + rng.randrange(4)
            for i, part in enumerate(PARTS)
            if part not in ("when", "where") or rng.random() < 0.7
        }
        first = len(source)
        source += word.values()
        for part in ("who", "did", "what", "where", "when"):
            if part in word:
                target.append(word[part])
                origin.append(source.index(word[part], first))
    return source, target, origin


def batch(rng, B):
    """Three arrays of ids (B, T), filled up: source, target, origin."""
    columns = zip(*(pair(rng) for _ in range(B)), strict=True)
    fills = (PAD, PAD, -1)
    filled = []
    for rows, fill in zip(columns, fills, strict=True):
        T = max(map(len, rows))
        rows = [row + [fill] * (T - len(row)) for row in rows]
        filled.append(np.array(rows))
    return filled


source, target, origin = batch(random.Random(4), 2)
print("reads ", *(CHINESE[i] for i in source[0]))
print("writes", *(ENGLISH[i] for i in target[0]))
print("from source word", origin[0])

# %% [markdown] source="987f563e"
# 编码器是双向 GRU，因此 $h_j$ 包含第 $j$ 个词两侧的信息。解码器有两种工作顺序。2014 年的论文以及我们最初参考的文章都是**先看后读**：查询是读入上一个写出的词之前的状态，上下文向量和这个词一起送进 GRU。Luong、Pham 和 Manning（2015，arXiv:1508.04025）则是**先读后看**：先读入这个词，再用已经包含它的状态去看。


# %%
class Translator(nn.Module):
    def __init__(self, H, order):
        super().__init__()
        self.order = order
        self.source, self.target = nn.Embedding(V, H), nn.Embedding(V, H)
        self.encoder = nn.GRU(H, H // 2, bidirectional=True)
        width = H if order == "read, look" else 2 * H
        self.decoder = nn.GRU(width, H)
        self.first = nn.Linear(H, H)
        self.query = nn.Linear(H, H)  # W_q
        self.key = nn.Linear(H, H, bias=False)  # W_k
        self.v = nn.Parameter(ta.randn(H) * H**-0.5)
        self.out = nn.Linear(2 * H, V)

    def look(self, states, h, present):
        """states (Tq, B, H): contexts (Tq, B, H), weights (B, Tq, T)."""
        context, weights = F.attention(
            self.query(states.transpose(0, 1)),  # (B, Tq, H)
            self.key(h),  # (B, T, H)
            h,  # (B, T, H)
            "additive",
            present,  # (B, 1, T)
            need_weights=True,
            v=self.v,
        )
        return context.transpose(0, 1), weights

    def forward(self, source, target):
        """source, target (B, T): scores (Tt, B, V), weights (B, Tt, T)."""
        h, _ = self.encoder(self.source(source.t()))  # (T, B, H)
        h = h.transpose(0, 1).contiguous()  # (B, T, H)
        present = (source != PAD).unsqueeze(1)  # (B, 1, T)
        state = self.first(h[:, :1]).tanh().transpose(0, 1).contiguous()
        start = ta.full((1, len(target)), START)  # (1, B)
        shifted = ta.cat((start, target.t()[:-1]), 0)  # (Tt, B)
        words = self.target(shifted)  # (Tt, B, H)
        if self.order == "read, look":
            output, _ = self.decoder(words, state)  # (Tt, B, H)
            context, weights = self.look(output, h, present)
            return self.out(ta.cat((output, context), 2)), weights
        scores, seen = [], []
        for word in words.split(1):  # (1, B, H)
            context, weights = self.look(state, h, present)
            both = ta.cat((word, context), 2)  # (1, B, 2H)
            output, state = self.decoder(both, state)  # (1, B, H)
            scores.append(self.out(ta.cat((output, context), 2)))
            seen.append(weights)  # (B, 1, T)
        return ta.cat(scores, 0), ta.cat(seen, 1)


def train(order, steps=100):
    """The share of right alignments, and the maps of one sentence."""
    ta.manual_seed(0)
    rng, held_out = random.Random(0), batch(random.Random(4), 100)
    model = Translator(32, order)
    optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
    aligned, maps = {}, {}
    for step in range(1, steps + 1):
        source, target, _ = map(ta.from_numpy, batch(rng, 24))
        scores, _ = model(source, target)
        wanted = target.t().flatten()  # (Tt B,)
        scores = scores.flatten(0, 1)  # (Tt B, V)
        loss = F.cross_entropy(scores, wanted, ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            source, target, origin = held_out
            with ta.no_grad():
                _, weights = model(*map(ta.from_numpy, (source, target)))
            found = weights.numpy().argmax(-1)  # (B, Tt)
            aligned[step] = (found == origin)[origin >= 0].mean()
            maps[step] = weights[0].numpy()  # (Tt, T)
    return aligned, maps


runs = {order: train(order) for order in ("read, look", "look, read")}
for order, (aligned, _) in runs.items():
    print(order, {step: f"{x:.0%}" for step, x in aligned.items()})

# %% [markdown] source="c332e1fd"
# 下图是一个训练中没有见过的句子。每行是一个目标词，每列是一个源词，颜色越深权重越大。起初每一行都是灰的，后来词与词一一对上，时间与地点的交叉也显现出来。

# %%
source, target, origin = batch(random.Random(4), 100)
rows, columns = target[0] > 0, source[0] > 0
aligned, maps = runs["read, look"]
figure, panels = plt.subplots(1, 4, sharey=True, layout="constrained")
figure.set_size_inches(10, 3.2)
for panel, step in zip(panels, (10, 40, 60, 100), strict=True):
    shown = maps[step][rows][:, columns]  # (Tt, T)
    image = panel.imshow(shown, cmap="Greys", vmin=0, vmax=1)
    panel.plot(origin[0][rows], range(rows.sum()), ".", color="C1", ms=4)
    words = [CHINESE[i] for i in source[0][columns]]
    panel.set_xticks(range(len(words)), words, rotation=90)
    panel.set_title(f"after {step} batches")
words = [ENGLISH[i] for i in target[0][rows]]
panels[0].set_yticks(range(len(words)), words)
bar = figure.colorbar(image)
bar.set_label("weight")

# %% [markdown] source="bff79c94"
# 圆点是正确的对齐，模型从没见过它。下面把同一个句子做成带滑块的页面：拖动滑块，看对齐怎样一步步形成。（这种页面有 `save` 方法，可以存成文件。）

# %%
sentence = [CHINESE[i] for i in source[0][columns]]  # T words
translation = [ENGLISH[i] for i in target[0][rows]]  # Tt words


def moment(weights):
    """A page's data, from the weights (Tt, T)."""
    shown = weights[rows][:, columns]  # (Tt, T)
    layers_and_heads = {"cross": shown[None, None]}  # (1, 1, Tt, T)
    joined = " ".join(sentence), " ".join(translation)
    return Trace(*joined, sentence, translation, layers_and_heads)


moments = [[moment(weights)] for weights in maps.values()]
forming_page(list(maps), moments, list(aligned.values()))

# %% [markdown] source="ab67e3df"
# 再来比较两种顺序。

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for order, style in (("read, look", "-o"), ("look, read", "--s")):
    aligned, _ = runs[order]
    percent = [100 * x for x in aligned.values()]
    axes.plot(list(aligned), percent, style, label=order)
axes.set_xlabel("batches")
axes.set_ylabel("right alignments (%)")
axes.set_title("Reading the last word before looking helps")
axes.grid(alpha=0.3)
axes.legend()
last = {order: aligned[100] for order, (aligned, _) in runs.items()}
assert last["read, look"] > 0.85
assert last["read, look"] > last["look, read"]

# %% [markdown] source="c7d026d5"
# 先看的解码器还不知道自己刚刚写了什么，只能猜测进行到了哪里，权重于是分散到相邻的词上。本项目的翻译器用 10 万句话训练，也是如此：先读后看，97.7% 的实词对齐正确；先看后读，则是 94.3%。两者的译文都很好。可见注意力权重并不总是可靠的解释。
#
# ## 学到了什么
#
# - 注意力就是打分、沿源句方向做 softmax、再加权求和。
# - 梯度 $a_j \, g \cdot (h_j - c)$ 把权重移向比平均值更好的状态，不需要标注就能得到对齐。
# - 掩码要放在 softmax 之前；查询知道些什么，决定了对齐图有多清晰。
#
# ## 试一试
#
# 1. 把句子改成一个分句，再改成三个。要多少个批次才能学会对齐？是先对齐，还是先译对？
# 2. 在 `look` 里去掉 `present`。图上哪些行会变？为什么损失几乎不动？
# 3. 把 `"additive"` 换成 `"dot"`（不要 `v`）。这时 $W_q$ 和 $W_k$ 起什么作用？
#
# ## 源码在哪里
#
# - `tinyattn/ops/scores.py`：所有打分函数和 `attention`。
# - `tinyattn/kernels/reference/additive.py`：同样的计算，用 NumPy 写成，不产生 (B, Tq, Tk, H) 的数组。
# - `examples/translator_rnn.py`：真正的翻译器，两种顺序都有。
#
# **下一课：** 第 9 课（`09_seq2seq.py`）训练整个模型，比较有注意力和没有注意力。
