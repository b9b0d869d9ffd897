# %% [markdown] source="dcc621d5"
# # 第 14 课：弄坏它——损失曲线看不见的错误
#
# **本课要点：** 带着错误的模型通常照样能训练。盯着曲线找不到错误；要把模型所承诺的性质写下来，再逐条检验。
#
# **时间：** 90 分钟。**需要：** 第 1 课（测量梯度）、第 5 课（损失中的填充）和第 10 课（缩放与掩码）。

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.autograd import Function

# %% [markdown] source="f6ea94ad"
# ## 一个模型，四种弄坏的办法
#
# 任务与 `examples/attention.py` 相同：把单词倒过来写。这里的单词有 3 到 8 个字母，所以一个批次里会有填充。查询是输出中的一个位置；键是一个字母加上它从词尾数起的位置。
#
# 我们用四种办法弄坏这个模型，一次只用一种：
#
# - **没有掩码**（no mask）：可以关注填充位置；
# - **没有缩放**（no scale）：分数不除以 $\sqrt D$；
# - **填充算进损失**（padding in the loss）：求平均时把没有字母的位置也算进去；
# - **因子 1.001**（factor 1.001）：反向时，值的梯度大了千分之一。它代表反向函数里各种各样的小错误。
#
# 往下运行之前，先写下你的猜测：这四种错误中，哪些能从损失曲线上看出来？

# %%
PAD, V, D = 0, 27, 32  # letters are 1 to 26
FAULTS = (
    "none",
    "no mask",
    "no scale",
    "padding in the loss",
    "factor 1.001",
)


class Stretched(Function):
    """y = x; but the gradient that goes back is a thousandth too large."""

    def forward(self, x):
        return x.copy()

    def backward(self, grad):
        return 1.001 * grad


def attend(query, key, value, present, fault):
    """query (T, D), key and value (B, T, D): the context (B, T, D)."""
    score = "dot" if fault == "no scale" else "scaled_dot"
    mask = None if fault == "no mask" else present  # (B, 1, T)
    if fault == "factor 1.001":
        value = Stretched.apply(value)  # (B, T, D)
    return F.attention(query, key, value, score, mask)


class Backwards(nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.letter, self.place = nn.Embedding(V, D), nn.Embedding(16, D)
        self.query, self.key = nn.Linear(D, D), nn.Linear(D, D)
        self.out = nn.Linear(D, V)

    def forward(self, words):
        """words (B, T): the scores (B, T, V) of the letters to write."""
        present, places = words != PAD, from_end(words)  # (B, T), (B, T)
        letters = self.letter(words)  # (B, T, D)
        key = self.key(letters + self.place(places.clamp(min=0)))
        query = self.query(self.place.weight[: words.shape[1]])  # (T, D)
        query = query.expand(len(words), -1, -1)  # (B, T, D)
        present = present.unsqueeze(1)  # (B, 1, T)
        return self.out(attend(query, key, letters, present, self.fault))


def from_end(words):
    """The place of each letter, 0 for the last; negative in padding."""
    lengths = (words != PAD).sum(1, keepdim=True)  # (B, 1)
    return lengths - 1 - ta.arange(words.shape[1])  # (B, T)


def loss_of(model, words):
    places = from_end(words)  # (B, T)
    target = words.gather(1, places.clamp(min=0))  # (B, T): backwards
    target = target.masked_fill(places < 0, PAD)  # (B, T)
    ignored = -100 if model.fault == "padding in the loss" else PAD
    scores = model(words).flatten(0, 1)  # (B T, V)
    return F.cross_entropy(scores, target.flatten(), ignore_index=ignored)


def some_words(B, T=8):
    lengths = ta.randint(3, T + 1, (B, 1))  # (B, 1)
    letters = ta.randint(1, V, (B, T))  # (B, T)
    return letters.masked_fill(ta.arange(T) >= lengths, PAD)  # (B, T)


def train(fault, steps=80):
    ta.manual_seed(0)
    model, losses = Backwards(fault), []
    optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        loss = loss_of(model, some_words(32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


trained = {fault: train(fault) for fault in FAULTS}
for fault, (_, losses) in trained.items():
    print(f"{fault:20}", *(f"{losses[i]:6.3f}" for i in (0, 19, 39, 79)))

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
styles = ("-", "--", "-.", ":", (0, (5, 1)))
for fault, style in zip(FAULTS, styles, strict=True):
    axes.semilogy(trained[fault][1], ls=style, label=fault)
axes.set_xlabel("batches")
axes.set_ylabel("loss")
axes.set_title("Five models, four of them broken")
axes.legend()
axes.grid(alpha=0.3)

# %% [markdown] source="911f1c8d"
# 每条曲线都在下降。有两个坏模型紧跟着正确的模型，几条线叠在一起，分不出来。另外两个下降得慢些，但谁会说这是错误呢？也可能只是学习率偏小，或者任务偏难。（在语言模型里，填充很容易预测，把它算进去，损失看起来甚至**更好**。）只看曲线的人会把五个模型全都留下。
#
# ## 模型承诺了什么？
#
# 每个承诺是一句话，每句话就是一个测试。
#
# 1. **损失会下降。** 人人都会做的检验。
# 2. **符合定义。** 找一个能用笔算的小例子，函数要给出正确的数。取 $D = 4$，查询 $(2, 0, 0, 0)$，两个键 $(2, 0, 0, 0)$ 和 $(0, 0, 0, 0)$。分数是 $\frac{4}{\sqrt 4} = 2$ 和 $0$，所以第一个权重是 $\frac{e^2}{e^2 + 1} \approx 0.881$。
# 3. **填充不改变回答。** 给单词再补三个填充位置，各个字母的分数不变。
# 4. **填充不改变损失。** 单词相同，损失就相同。
# 5. **梯度就是斜率。** 用 float64 测量的差分与梯度一致，并且带有误差估计（第 1 课）。

# %%
ta.manual_seed(1)
words = some_words(20)  # (B, T)
longer = ta.cat((words, ta.zeros(20, 3, dtype=ta.int64)), 1)  # (B, T + 3)


def loss_falls(fault):
    return trained[fault][1][-1] < 0.5


def definition(fault):
    query = ta.tensor([[[2.0, 0, 0, 0]]])  # (B, Tq, D) = (1, 1, 4)
    key = ta.tensor([[[2.0, 0, 0, 0], [0, 0, 0, 0]]])  # (1, 2, 4)
    value = ta.tensor([[[1.0], [0.0]]])  # (1, 2, 1): picks weight 0
    present = ta.ones(1, 1, 2, dtype=ta.bool)  # (B, 1, Tk)
    weight = attend(query, key, value, present, fault).item()
    return abs(weight - math.e**2 / (math.e**2 + 1)) < 1e-6


def same_answers(fault):
    model = trained[fault][0]
    real = (words != PAD).unsqueeze(2)  # (B, T, 1)
    change = model(words) - model(longer)[:, :8]  # (B, T, V)
    return abs(change * real).max().item() < 1e-4


def same_loss(fault):
    model = trained[fault][0]
    short, long = loss_of(model, words), loss_of(model, longer)
    return abs(short - long).item() < 1e-6


def right_gradient(fault):
    like = {"dtype": ta.float64, "requires_grad": True}
    q, k, v = (ta.randn(2, 3, 4, **like) for _ in range(3))  # (B, T, D)
    present = ta.tensor([[[True, True, True]], [[True, True, False]]])

    def function(q, k, v):
        return attend(q, k, v, present, fault)  # (B, T, D)

    return ta.gradcheck(function, (q, k, v), raise_exception=False)


TESTS = (loss_falls, definition, same_answers, same_loss, right_gradient)
results = [[test(fault) for test in TESTS] for fault in FAULTS]
caught = ~np.array(results)  # (faults, tests) = (5, 5)
print(caught.astype(int))

# %%
figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
axes.imshow(caught, cmap="Greys", vmax=1.3, aspect="auto")
for row, column in np.argwhere(caught):
    axes.text(column, row, "caught", ha="center", va="center", color="w")
names = [test.__name__.replace("_", "\n") for test in TESTS]
axes.set_xticks(range(len(TESTS)), names)
axes.set_yticks(range(len(FAULTS)), FAULTS)
axes.set_title("Which test catches which fault")
assert not caught[0].any()  # the right model passes
assert not caught[:, 0].any()  # the curve catches nothing
assert caught[1:].any(1).all()  # the other tests catch every fault

# %% [markdown] source="b1fbad52"
# 一行一行地看。每种错误都被发现了，但没有一个测试能发现全部，而曲线一个也没发现。有三点值得再想一想。
#
# - 没有掩码的模型在训练中**学会了**避开填充，但只限于它见过的那种填充。填充再多一些，回答就变了。所以这类错误往往在上线之后、遇到更长的句子时才暴露。
# - `right_gradient` 放过了没有掩码和没有缩放的模型。这很自然：它们的梯度**确实是**它们所计算的函数的斜率。差分只说明反向与前向相符，不说明前向就是你想要的。所以先检查定义。
# - 填充算进损失，只有 `same_loss` 能发现。所有的回答都是对的。
#
# ## 梯度检查什么时候会失明
#
# 反向函数里的错误有大有小，而检查对两者都可能视而不见。下面是 softmax 的两个反向函数，一个总是返回零，另一个多乘了 1.001。


# %%
class Zeros(Function):
    """Softmax of rows (B, V), with a backward that is wrong."""

    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))  # (B, V)
        y = e / e.sum(-1, keepdims=True)  # (B, V)
        self.save(y=y)
        return y

    def backward(self, grad):
        return np.zeros_like(grad)


class Slightly(Zeros):
    """Here it is nearly right. F.softmax gives the right gradient."""

    def backward(self, grad):
        y = ta.tensor(self.saved["y"])  # (B, V)
        x = y.log().requires_grad_()  # (B, V): softmax of log y is y
        F.softmax(x, -1).backward(ta.tensor(grad))
        return 1.001 * x.grad.numpy()


def passes(function, x, total, h, tolerance):
    """A check as it is often written: every element, one step h."""
    x = x.clone().requires_grad_()  # (B, V)
    total(function.apply(x)).backward()
    for index in np.ndindex(*x.shape):
        moved = [x.detach().clone(), x.detach().clone()]  # (B, V) each
        moved[0][index] += h
        moved[1][index] -= h
        high, low = (total(function.apply(m)).item() for m in moved)
        if abs((high - low) / (2 * h) - x.grad[index].item()) > tolerance:
            return False
    return True


x = ta.randn(2, 3, dtype=ta.float64)  # (B, V)
w = ta.randn(2, 3, dtype=ta.float64)  # (B, V), random weights of the sum


def plain(y):
    return y.sum()


def weighted(y):
    return (y * w).sum()


print("                         zeros passes   1.001 passes")
for name, total, h, tolerance in (
    ("sum, loose", plain, 1e-2, 1e-2),
    ("sum, strict", plain, 1e-4, 1e-7),
    ("weighted, loose", weighted, 1e-2, 1e-2),
    ("weighted, strict", weighted, 1e-4, 1e-7),
):
    found = [passes(f, x, total, h, tolerance) for f in (Zeros, Slightly)]
    print(f"{name:24} {found[0]!s:14} {found[1]}")
assert found == [False, False]
x.requires_grad_()
for function in (Zeros, Slightly):
    assert not ta.gradcheck(function.apply, x, raise_exception=False)

# %% [markdown] source="f2dc9e68"
# Softmax 每一行的和是 1，所以 `y.sum()` 是常数，它真正的梯度**就是** 0。通过求和来检查，不管多严格都什么也查不出来：总是返回零的反向函数也能通过。给每个输出乘上一个随机权重，返回零的反向函数就立刻通不过。要查出因子 1.001，容差还必须比错误本身更小：这里它使梯度改变不到 0.001，而宽松的检查允许 0.01。容差小，步长也要小，因为大的步长本身就有误差（第 1 课）。
#
# **对称的输入**同样会使检查失明。如果所有 $x$ 都相等，沿错误的轴求和也得到相同的结果；如果矩阵是对称的，漏掉转置也看不出来。要用随机数，各个轴的长度要互不相同，每个元素都要检查。
#
# 怎样知道自己的测试够不够强？故意把代码弄坏，一次一个错误，数一数有多少没被发现。`python -m tests.power` 就是这样检验本项目的。
#
# ## 轮到你了
#
# ```text
# python -m tinyattn.learn check 14a
# python -m tinyattn.learn check 14b
# ```
#
# - 14a，`catch_faults(softmax_backward)`：为反向函数写一个测试。它必须接受正确的函数，并发现十三种错误。检查程序会告诉你哪些错误没被发现。
# - 14b，`diagnose(attention)`：用你自己选的输入去调用一个注意力函数，说出它错在哪里。
#
# ## 学到了什么
#
# - 损失曲线几乎发现不了错误。
# - 一个承诺就是一个测试：定义、填充、未来、斜率。每个测试能发现别的测试放过的错误。
# - 检查梯度要用随机权重、互不相同的轴长、每一个元素、float64，还要有误差估计。
#
# ## 试一试
#
# 1. 去掉掩码，只用 8 个字母的单词训练。五个测试现在的结果如何？只用 3 个字母的单词训练呢？
# 2. 把因子改成 0.5，再改成 -1。因子改到多少，曲线才看得出来？
# 3. 评估时如果忘了关掉 dropout，会破坏哪个承诺？
#
# ## 源码在哪里
#
# - `tests/test_invariances.py`：本项目的模型所承诺的性质。
# - `tests/power`：故意放入的错误，以及发现它们的测试。
# - `tinyattn/_gradcheck.py`、`tinyattn/_doctor.py`：两个可以用在你自己模型上的工具。
#
# 这是最后一课。`examples/translator_rnn.py` 里的翻译器，每一部分你都已经见过了。
