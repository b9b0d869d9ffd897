# %% [markdown] source="b38f4adc"
# # 第 2 课：磁带——走一遍就求出所有斜率
#
# **本课要点：** 程序像录音机的磁带一样，把自己算的每一步记录下来。把磁带倒过来读一遍，就得到结果对其中每一个数的斜率。
#
# **时间：** 60 分钟。**需要：** 第 1 课；链式法则。

# %%
import numpy as np

import tinyattn as ta
from tinyattn import viz

# %% [markdown] source="e9898f41"
# ## 程序就是一张图
#
# 取两个数 $x = 3$、$y = 2$，计算三步：
#
# $$
# a = x \cdot y = 6, \qquad b = a + x = 9, \qquad L = a \cdot b = 54.
# $$
#
# 每一步都只用到已经存在的数。从每个数出发，画箭头指向用到它的步骤，就得到这段计算的**计算图**。本项目在计算的同时记录它，并且能把它画出来：

# %%
x = ta.tensor(3.0, requires_grad=True)  # ()
y = ta.tensor(2.0, requires_grad=True)  # ()
a = x * y  # ()
b = a + x  # ()
L = a * b  # ()
viz.graph(L)

# %% [markdown] source="c3737541"
# $x$ 用了两次：$a$ 和 $b$ 各用一次。$a$ 也用了两次：$b$ 和 $L$ 各用一次。全部困难都在这里。
#
# ## 每一步知道什么
#
# 一步计算并不了解程序的其余部分，但它知道自己的斜率。对乘积 $p = u \cdot v$：$u$ 增加一点点，$p$ 的增加就是它的 $v$ 倍。对求和，$p$ 增加得一样多。
#
# $$
# \frac{\partial (uv)}{\partial u} = v, \quad
# \frac{\partial (uv)}{\partial v} = u, \qquad
# \frac{\partial (u+v)}{\partial u} = \frac{\partial (u+v)}{\partial v} = 1.
# $$
#
# 所以每一步都可以记下：它的值，它的*父节点*（它用到的数），以及它对每个父节点的斜率。十几行代码就能写出一条磁带：


# %%
class Node:
    """A number that remembers what it was computed from."""

    def __init__(self, value, parents=(), slopes=()):
        self.value = value
        self.parents = parents  # the nodes that it was computed from
        self.slopes = slopes  # its derivative by each of these parents
        self.grad = 0.0  # backward() will write it

    def __add__(self, other):
        return Node(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        slopes = (other.value, self.value)
        return Node(self.value * other.value, (self, other), slopes)


nx, ny = Node(3.0), Node(2.0)
na = nx * ny
nb = na + nx
nL = na * nb
print(f"a = {na.value:g}, b = {nb.value:g}, L = {nL.value:g}")
print("slopes of L with respect to a, b:", nL.slopes)
assert (nL.value, nL.slopes) == (54, (9, 6))

# %% [markdown] source="e327c2a3"
# ## 图上的链式法则
#
# 记 $\bar v = \partial L / \partial v$，叫做节点 $v$ 的梯度：$v$ 增加一点点，$L$ 增加多少倍。节点只能通过用到它的步骤，即它的**使用者** $u$，来影响 $L$。每个使用者传递一部分变化，各部分相加：
#
# $$
# \boxed{\;\bar v = \sum_{u \text{ 用到 } v} \bar u \cdot
# \frac{\partial u}{\partial v}, \qquad \bar L = 1\;}
# $$
#
# 手算，从末尾走到开头：
#
# $$
# \begin{aligned}
# \bar L &= 1 \\
# \bar b &= \bar L \cdot a = 6 && \text{（$L$ 用到 } b\text{）} \\
# \bar a &= \bar L \cdot b + \bar b \cdot 1 = 9 + 6 = 15
#   && \text{（$L$ 和 $b$ 用到 } a\text{）} \\
# \bar y &= \bar a \cdot x = 45 && \text{（$a$ 用到 } y\text{）} \\
# \bar x &= \bar a \cdot y + \bar b \cdot 1 = 30 + 6 = 36
#   && \text{（$a$ 和 $b$ 用到 } x\text{）}
# \end{aligned}
# $$
#
# 对不对呢？合成一个公式：$L = xy(xy + x) = x^2y^2 + x^2y$，所以 $\partial L/\partial x = 2xy^2 + 2xy = 24 + 12 = 36$，$\partial L/\partial y = 2x^2y + x^2 = 36 + 9 = 45$。再像第 1 课那样量一量：


# %%
def program(x, y):
    a = x * y
    b = a + x
    return a * b


h = 1e-5
dx = (program(3 + h, 2) - program(3 - h, 2)) / (2 * h)
dy = (program(3, 2 + h) - program(3, 2 - h)) / (2 * h)
print(f"measured: {dx:.6f}, {dy:.6f}")
assert np.allclose([dx, dy], [36, 45])

# %% [markdown] source="3764b697"
# 下面由本项目把反向传播一步一步讲出来。现在箭头传送的是梯度，指向父节点。`print(told)` 以文字给出同样的内容，并附上每个运算的公式。

# %%
with ta.explain():  # notes values and source lines, too
    a = x * y
    b = a + x
    L = a * b
told = ta.explain(L)
arrived = {step.name: step.arrived[0].elements for step in told.steps}
print(arrived)
assert arrived == {"L": 1, "b": 6, "a": 15, "x": 36, "y": 45}
ta.explain(L)

# %% [markdown] source="9875ba7c"
# ## 顺序很重要
#
# $\bar a$ 的公式里要用 $\bar b$。所以必须先让 $b$ 把它那一份传出去，$a$ 才能往下传。规则是：**一个节点要排在它所有使用者的后面。** 假如我们从 $L$ 出发，一见到父节点 $a$ 就马上处理：这时 $a$ 手里只有 9，传给 $x$ 的是 $9 \cdot 2 = 18$。$b$ 给的 6 来晚了，再也没有传下去。又假如写 $\bar a$ 时该用 `+=`，却用了 `=`：那就只剩下最后一份。
#
# | 错误 | $\bar a$ | $\bar x$ | $\bar y$ |
# |---|---:|---:|---:|
# | 没有错 | 15 | 36 | 45 |
# | $a$ 排在了使用者 $b$ 的前面 | 先 9，后 15 | 24 | 27 |
# | 把 `+=` 写成 `=` | 6 | 12 | 18 |
#
# 如果图里没有共用的节点，例如 $xyz$，三个程序都是对的。**测试里一定要有用了两次的节点**，还要有来得晚的使用者。
#
# 正确的顺序从哪里来？一步计算只能用已经存在的数。所以，按节点*产生*的顺序排列，父节点总在使用者前面。把它倒过来读，就是我们要的顺序。这就是磁带。
#
# ## 轮到你了
#
# 请写出 `backward(last)`。它得到最后一个 `Node`，并把 `last` 所依赖的每个节点的 `.grad` 写好。练习文件里有本课的 `Node` 类。那里不提供全部节点的列表：找出正确的顺序也是任务的一部分。
#
# ```text
# python -m tinyattn.learn check 02
# ```
#
# ## 引擎做了什么
#
# 本项目的引擎是同一回事，只是把数换成了数组。有两点不同值得知道。
#
# *斜率变成了函数。* Softmax 对输入的斜率是一整个矩阵（第 4 课）。所以运算并不保存斜率，而是保存它需要的东西，并有一个函数 `backward`：由输出的梯度算出输入的梯度。
#
# *只有叶子保存梯度。* 叶子是由你创建、而不是由运算得到的张量，例如权重。每做一遍反向，梯度都会**加到**它的 `.grad` 上。把一大批数据分成几份计算时，这很有用；其他时候，忘了这一点就会出错：

# %%
w = ta.tensor(3.0, requires_grad=True)  # ()
for _ in range(2):
    (w * w).backward()
    print("w.grad", w.grad.item())
assert w.grad.item() == 12  # 6 + 6
w.grad = None  # optimizer.zero_grad() does this for all weights
(w * w).backward()
assert w.grad.item() == 6

# %% [markdown] source="343d5178"
# ## 代价有多大
#
# 第 1 课的办法，每个权重要运行两遍。反向传播则不管有多少权重，图上每条箭头只做一次乘法和一次加法。所以全部梯度加在一起，代价大约相当于两三次前向。我们不计秒数，只数步数：

# %%
for n in (10, 100, 1000):
    weights = ta.ones(n, requires_grad=True)  # (n,)
    total = (weights * weights).sum()  # ()
    steps = len(ta.explain(total).steps)
    print(f"{n:4} weights: {2 * n:4} runs, or {steps} steps back")
    assert steps == 3  # sum, product, leaf

# %% [markdown] source="e440ffd7"
# 再看一张很深的图：一万次加法连成一串。如果 `backward` 对每个父节点调用自己，在这里就会失败，因为 Python 的调用深度到一千左右就停了。引擎用的是循环。

# %%
s = x
for _ in range(10_000):
    s = s + x  # ()
x.grad = None
s.backward()
print("x.grad", x.grad.item())
assert x.grad.item() == 10_001

# %% [markdown] source="82220d14"
# ## 学到了什么
#
# - 计算就是一张图，每一步都知道自己的斜率。
# - 节点的梯度是对所有使用者求和：使用者的梯度乘以斜率。所以要用 `+=`。
# - 节点排在所有使用者的后面：把磁带倒过来读。
#
# ## 试一试
#
# 1. 给 `Node` 加上 `__sub__`、`tanh` 和除法。斜率各是什么？
# 2. 如果另外还算了 $c = x \cdot y$，但 $L$ 从来没有用到 $c$，梯度会怎样？
# 3. 同一张图，从左往右走：从 $\partial x / \partial x = 1$ 出发，把斜率往前传。一百万个权重、一个损失，要走几遍？一个权重、一百万个输出呢？
#
# ## 源码在哪里
#
# `tinyattn/autograd/engine.py` 里的函数 `run`：那个循环，一屏之内。`tinyattn/autograd/function.py`：什么是一个运算。
#
# **下一课：** 第 3 课，广播（`03_broadcasting.py`）：数变成数组。
