# %% [markdown] source="95d534ea"
# # 第 9 课：Seq2Seq——从一个序列到另一个序列
#
# **本课要点：** 翻译模型就是预测下一个词的模型。训练时，它看到的前文是正确的词；翻译时，它看到的是自己写出的词。有了注意力，句子的长度就不再是限制。
#
# **时间：** 90 分钟。**需要：** 第 5 课（交叉熵）、第 6 课（GRU）和第 8 课（注意力）。

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils import clip_grad_norm_

_ = ta.manual_seed(0)

# %% [markdown] source="981c7a00"
# ## 译文是一串词
#
# 设 $x$ 是源句，$y_1, \dots, y_T$ 是目标句，其中 $y_T$ 是一个特殊的词元：**结束符**。由条件概率的定义，整句译文的概率是一个乘积：
#
# $$
# p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid y_1, \dots, y_{t-1}, x).
# $$
#
# 所以只要为**一步**建模就够了：已知源句和前面的词，预测下一个词。取对数，乘积变成和，我们希望它尽量大。损失就是它的相反数，对一个批次里 $n$ 个真实的词元取平均：
#
# $$
# L = -\frac1n \sum_{t} \ln p(y_t \mid y_{<t}, x).
# $$
#
# 设 $z_t$ 是第 $t$ 步对 $V$ 个词的分数（logits），则 $p_t = \mathrm{softmax}(z_t)$。第 5 课给出了梯度：
#
# $$
# \frac{\partial L}{\partial z_t} = \frac1n \, (p_t - \mathrm{onehot}(y_t)).
# $$
#
# 每一步都是**预测减去真值**。训练时第 $t$ 步之前的词都是已知的，所以所有步可以同时计算。
#
# 我们的任务很小：读入用汉字写的电话号码，用英语单词写出来。它不需要语法，但每个数字都必须按正确的顺序传过去。

# %%
PAD, START, END = 0, 1, 2
CHINESE = ["", "", "", *"零一二三四五六七八九"]
ENGLISH = ["", "", ".", "zero", "one", "two", "three", "four", "five"]
ENGLISH += ["six", "seven", "eight", "nine"]
V, LONGEST = len(ENGLISH), 8


def numbers(B):
    """source (B, 8); what the decoder reads, and must say (B, 9)."""
    length = ta.randint(2, LONGEST + 1, (B, 1))  # (B, 1)
    digits = ta.randint(3, V, (B, LONGEST))  # (B, 8)
    source = digits.masked_fill(ta.arange(LONGEST) >= length, PAD)
    # A digit and its English word have the same id.
    reads = ta.cat((ta.full((B, 1), START), source), 1)  # (B, 9)
    room = ta.full((B, 1), PAD)  # (B, 1)
    last = ta.arange(LONGEST + 1) == length  # (B, 9)
    says = ta.cat((source, room), 1).masked_fill(last, END)  # (B, 9)
    return source, reads, says


def text(ids, words):
    return " ".join(words[i] for i in ids if i != PAD)


source, _, target = numbers(2)
for s, t in zip(source.tolist(), target.tolist(), strict=True):
    print(text(s, CHINESE), "->", text(t, ENGLISH))

# %% [markdown] source="dd07416d"
# ## 模型
#
# 编码器读源句，它最后的状态就是解码器的初始状态。解码器晚一步读入前面的词，如果有注意力，再回头看编码器的各个状态。最后用一个线性映射得到分数。
#
# 我们最初参考的一篇文章在这里犯了一个错误：它的输出层是 `Linear(2 * H, V)`，送进去的却是 GRU 的输出。**下面单元格的报错说了什么？应该把什么与输出拼在一起，尺寸才对得上？**

# %%
H = 32
output, _ = nn.GRU(2 * H, H)(ta.randn(1, 1, 2 * H))  # (1, 1, H)
try:
    nn.Linear(2 * H, V)(output)
except RuntimeError as error:
    print(error)

# %% [markdown] source="26ac6d2f"
# 这一层没有错，错的是输入：应当是 `[output; context]`，宽度为 $2H$。要写哪个词，既取决于解码器知道什么，**也**取决于它在源句里看到什么。没有注意力时就没有上下文向量，这一层的宽度是 $H$。


# %%
class Seq2Seq(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        self.source, self.target = nn.Embedding(V, H), nn.Embedding(V, H)
        self.encoder = nn.GRU(H, H, batch_first=True)
        self.decoder = nn.GRU(H, H, batch_first=True)
        self.query = nn.Linear(H, H)
        self.out = nn.Linear(2 * H if attention else H, V)

    def encode(self, source):
        """source (B, Ts): the decoder's first state and the memory."""
        h, _ = self.encoder(self.source(source))  # (B, Ts, H)
        real = source != PAD  # (B, Ts)
        last = real.sum(1) - 1  # (B,): the place of the last digit
        state = h[ta.arange(len(source)), last].unsqueeze(0)  # (1, B, H)
        return state, (h, real.unsqueeze(1))

    def decode(self, words, state, memory):
        """words (B, Tt) that were written: scores (B, Tt, V), state."""
        output, state = self.decoder(self.target(words), state)
        if self.attention:
            h, real = memory  # (B, Ts, H), (B, 1, Ts)
            query = self.query(output)  # (B, Tt, H)
            context = F.attention(query, h, h, "scaled_dot", real)
            output = ta.cat((output, context), 2)  # (B, Tt, 2H)
        return self.out(output), state


def translate(model, source, words):
    """Greedy: always the most probable word. Ids (B, words)."""
    state, memory = model.encode(source)
    word = ta.full((len(source), 1), START)  # (B, 1)
    written = []
    for _ in range(words):
        scores, state = model.decode(word, state, memory)  # (B, 1, V)
        word = scores.argmax(-1)  # (B, 1)
        written.append(word)
    return ta.cat(written, 1)  # (B, words)


# %% [markdown] source="59f64693"
# ## 目标要错开一位
#
# 训练时解码器读什么？第 $t$ 步它要说出 $y_t$，可以知道的是 $y_1, \dots, y_{t-1}$。所以它的输入是目标句**向后错开一位**，前面加上起始符：
#
# | 步 | 1 | 2 | 3 |
# |---|---|---|---|
# | 读入 | *起始* | four | seven |
# | 要说 | four | seven | *结束* |
#
# 忘了错开会怎样？那解码器读到的正是它要说的那个词。请先猜一猜它的损失会是什么样。我们训练三个模型：有注意力且目标错开；同样错开但没有注意力；以及犯了这个错误的模型。


# %%
def train(attention, shifted=True, steps=200):
    ta.manual_seed(0)
    model, losses = Seq2Seq(attention), []
    optimizer = ta.optim.Adam(model.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.015 * (1 - step / steps)
        source, reads, target = numbers(32)  # (B, Ts), (B, Tt), (B, Tt)
        state, memory = model.encode(source)
        words = reads if shifted else target  # (B, Tt)
        scores, _ = model.decode(words, state, memory)  # (B, Tt, V)
        scores = scores.flatten(0, 1)  # (B Tt, V)
        loss = F.cross_entropy(scores, target.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model, losses


models = {
    "with attention": train(attention=True),
    "without attention": train(attention=False),
    "not shifted": train(attention=True, shifted=False, steps=60),
}
source, _, target = numbers(500)  # (B, Ts), (B, Tt), never seen
real = (target != PAD).numpy()  # (B, Tt)
lengths = real.sum(1) - 1  # (B,): digits
right = {}
with ta.no_grad():
    for name, (model, losses) in models.items():
        written = translate(model, source, LONGEST + 1).numpy()  # (B, Tt)
        same = (written == target.numpy()) | ~real  # (B, Tt)
        right[name] = same.all(1)  # (B,)
        print(f"{name:18} loss {losses[-1]:.3f}", end="  ")
        print(f"whole numbers right: {right[name].mean():.0%}")

# %%
print(text(source[0].tolist(), CHINESE), "is read")
with ta.no_grad():
    for name, (model, _) in models.items():
        words = translate(model, source[:1], LONGEST + 1)[0].tolist()
        end = words.index(END) + 1 if END in words else len(words)
        print(f"{name:18}", text(words[:end], ENGLISH))
assert models["not shifted"][1][-1] < 0.01
assert right["not shifted"].mean() < 0.02

# %% [markdown] source="0d6fc4cb"
# 犯错的模型损失最小，几乎是 0，却什么也翻译不出来。它学会的是**抄写输入**。轮到它读自己写的词时，第一个输入是起始符，没有东西可抄。损失好得出奇，就该去看看模型究竟读到了什么。
#
# ## 注意力的用处
#
# 两个正确的模型中，没有注意力的那个必须把整个号码塞进一个 32 维的向量。下图按长度显示整个号码全对的比例：

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
digits = np.arange(2, LONGEST + 1)
for name, style in zip(right, ("-o", "--s"), strict=False):
    share = [100 * right[name][lengths == n].mean() for n in digits]
    axes.plot(digits, share, style, label=name)
axes.set_xlabel("digits of the number")
axes.set_ylabel("whole numbers right (%)")
axes.set_ylim(0, 105)
axes.set_title("200 batches of training, held-out numbers")
axes.legend()
axes.grid(alpha=0.3)
long = lengths >= 6
assert right["with attention"][long].mean() > 0.4
assert right["without attention"][long].mean() < 0.2

# %% [markdown] source="b36ac760"
# 短号码装得下，长号码装不下。正是这样的图让注意力出了名（Bahdanau 等 2014，图 2，句子最长 60 词）。训练更久，没有注意力的模型也会变好，只是要久得多；而号码再长一些，限制又会出现。
#
# 训练和翻译有一点不同。训练时猜错没有后果，因为下一步仍会得到正确的词。翻译时，猜错的词会成为下一步的输入。所以检验翻译模型，一定要让它自己写。
#
# ## 轮到你了
#
# ```text
# python -m tinyattn.learn check 09a
# python -m tinyattn.learn check 09b
# ```
#
# - 09a，`shift_targets(targets, start, pad)`：解码器读什么，哪些位置计入损失。填充不能算进去，否则损失变小了，却什么也没教会（第 5 课）。
# - 09b，`greedy_step(logits, done, end, pad)`：对一个批次写出一步。上面的 `translate` 过于简单：结束之后它还在写，我们只好把多余的截掉。已经结束的句子必须保持结束，其余的继续写。
#
# ## 学到了什么
#
# - 译文的概率是各个词的概率之积，所以损失是交叉熵的平均。
# - 解码器读到的目标要晚一位。不错开，它就只会抄写，损失接近 0。
# - 没有注意力，一个向量要装下一切；有了注意力，长输入也不在话下。
#
# ## 试一试
#
# 1. 两个模型都训练 600 个批次。没有注意力的模型现在从多长开始失败？
# 2. 去掉掩码（`real`）。损失有什么变化？短号码的译文呢？
# 3. 像“三三三”这样的号码比别的难。看看数字相同时注意力给出的上下文向量，说说为什么。第 8 课的编码器有什么是这里没有的？
#
# ## 源码在哪里
#
# - `examples/translator_rnn.py`：同样的模型，加上处理真实句子所需的一切。
# - `tinyattn/text/search.py`：对一个批次做贪心解码；`tinyattn/text/search_beam.py`：同时保留几个译文。
# - `tests/test_documents.py`：那篇文章的解码器，原来的样子和改正后的样子。
#
# **下一课：** 第 10 课（`10_scaled_dot_product.py`）：把注意力写成两次矩阵乘法。
