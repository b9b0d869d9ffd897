# %% [markdown]
# # Lesson 2. The tape: how one pass finds all slopes
#
# **The idea.** A program writes down what it computes, step by step, like
# a tape recorder. Read backwards, the tape gives the slope of the result
# with respect to every number in it, all in one pass.
#
# **Time:** 60 minutes. **You need:** lesson 1; the chain rule.

# %%
import numpy as np

import tinyattn as ta
from tinyattn import viz

# %% [markdown]
# ## A program is a graph
#
# Take two numbers, $x = 3$ and $y = 2$, and three steps:
#
# $$
# a = x \cdot y = 6, \qquad b = a + x = 9, \qquad L = a \cdot b = 54.
# $$
#
# Each step uses numbers that are already there. Draw an arrow from each
# number to the steps that use it. That is the **graph** of the computation.
# The package records it while it computes, and draws it:

# %%
x = ta.tensor(3.0, requires_grad=True)  # ()
y = ta.tensor(2.0, requires_grad=True)  # ()
a = x * y  # ()
b = a + x  # ()
L = a * b  # ()
viz.graph(L)

# %% [markdown]
# $x$ is used twice, by $a$ and by $b$. So is $a$, by $b$ and by $L$. This is
# where all the difficulties are.
#
# ## What each step knows
#
# A step knows nothing of the rest of the program. But it knows its own
# slopes. For a product $p = u \cdot v$: if $u$ grows by a little, $p$ grows
# $v$ times as much. For a sum, $p$ grows just as much.
#
# $$
# \frac{\partial (uv)}{\partial u} = v, \quad
# \frac{\partial (uv)}{\partial v} = u, \qquad
# \frac{\partial (u+v)}{\partial u} = \frac{\partial (u+v)}{\partial v} = 1.
# $$
#
# So every step can note down: its value, its *parents* (the numbers it
# used), and its slope with respect to each parent. A few lines are enough
# for a tape:


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

# %% [markdown]
# ## The chain rule on a graph
#
# Let $\bar v = \partial L / \partial v$ be the gradient of a node $v$: how
# much $L$ grows if $v$ grows by a little. The node acts on $L$ only
# through the steps that use it, its **users** $u$. Each user carries a
# part of the change. The parts add up:
#
# $$
# \boxed{\;\bar v = \sum_{u \text{ uses } v} \bar u \cdot
# \frac{\partial u}{\partial v}, \qquad \bar L = 1\;}
# $$
#
# By hand, from the end to the beginning:
#
# $$
# \begin{aligned}
# \bar L &= 1 \\
# \bar b &= \bar L \cdot a = 6 && \text{($L$ uses } b) \\
# \bar a &= \bar L \cdot b + \bar b \cdot 1 = 9 + 6 = 15
#   && \text{($L$ and $b$ use } a) \\
# \bar y &= \bar a \cdot x = 45 && \text{($a$ uses } y) \\
# \bar x &= \bar a \cdot y + \bar b \cdot 1 = 30 + 6 = 36
#   && \text{($a$ and $b$ use } x)
# \end{aligned}
# $$
#
# Is it true? Put everything into one formula:
# $L = xy(xy + x) = x^2y^2 + x^2y$, so
# $\partial L/\partial x = 2xy^2 + 2xy = 24 + 12 = 36$ and
# $\partial L/\partial y = 2x^2y + x^2 = 36 + 9 = 45$. And measured, as in
# lesson 1:


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

# %% [markdown]
# Here is the backward pass of the package, told step by step. Arrows carry
# gradients now, and point to the parents. `print(told)` gives the same as
# text, with the formula of each operation.

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

# %% [markdown]
# ## The order matters
#
# The formula for $\bar a$ needs $\bar b$. So $b$ must have handed on its
# part before $a$ hands on its own. The rule: **a node comes after all its
# users.** Suppose that we go from $L$ to its parents, first to $a$, at
# once. Then $a$ has only 9, and hands on $9 \cdot 2 = 18$ to $x$. The 6
# from $b$ arrives later, and is never handed on. Or suppose that $\bar a$
# is written with `=` where `+=` is needed: then only the last part stays.
#
# | mistake | $\bar a$ | $\bar x$ | $\bar y$ |
# |---|---:|---:|---:|
# | none | 15 | 36 | 45 |
# | $a$ ran before its user $b$ | 9, then 15 | 24 | 27 |
# | `=` in place of `+=` | 6 | 12 | 18 |
#
# All three programs are right for a graph without shared nodes, such as
# $xyz$. **A test needs a node that is used twice**, and a user that comes
# late.
#
# Where does a right order come from? A step can only use what exists
# already. So the order in which nodes are *made* always has parents before
# users. Read it backwards, and you have what you need. It is the tape.
#
# ## Your turn
#
# Write `backward(last)`. It gets the last `Node` and writes `.grad` of
# every node that `last` depends on. The file of the exercise has the class
# `Node` of this lesson. There is no list of all nodes: to find a right
# order is part of the task.
#
# ```text
# python -m tinyattn.learn check 02
# ```
#
# ## What the engine does
#
# The engine in this package is the same thing with arrays in place of
# numbers. Two differences are worth knowing.
#
# *A slope becomes a function.* The slope of a softmax with respect to its
# input is a whole matrix (lesson 4). So an operation does not store slopes.
# It stores what it needs, and has a function `backward`: from the gradient
# of its output to the gradients of its inputs.
#
# *Only leaves keep their gradient.* A leaf is a tensor that you made, not
# an operation: a weight. Each pass **adds** to its `.grad`. This is useful for
# a large batch that is computed in parts. In all other programs it is a
# mistake to forget it:

# %%
w = ta.tensor(3.0, requires_grad=True)  # ()
for _ in range(2):
    (w * w).backward()
    print("w.grad", w.grad.item())
assert w.grad.item() == 12  # 6 + 6
w.grad = None  # optimizer.zero_grad() does this for all weights
(w * w).backward()
assert w.grad.item() == 6

# %% [markdown]
# ## What it costs
#
# Lesson 1 needed two evaluations for every weight. The backward pass does
# one multiplication and one addition for every arrow of the graph, however
# many weights there are. So all gradients together cost about as much as
# two or three forward passes. We count operations instead of seconds:

# %%
for n in (10, 100, 1000):
    weights = ta.ones(n, requires_grad=True)  # (n,)
    total = (weights * weights).sum()  # ()
    steps = len(ta.explain(total).steps)
    print(f"{n:4} weights: {2 * n:4} runs, or {steps} steps back")
    assert steps == 3  # sum, product, leaf

# %% [markdown]
# And a deep graph: a chain of 10,000 additions. A backward that calls
# itself for each parent fails here, because Python stops at a depth of
# about 1,000 calls. The engine is a loop.

# %%
s = x
for _ in range(10_000):
    s = s + x  # ()
x.grad = None
s.backward()
print("x.grad", x.grad.item())
assert x.grad.item() == 10_001

# %% [markdown]
# ## What you have learnt
#
# - A computation is a graph, and each step knows its own slopes.
# - A node's gradient is the sum over its users: gradient of the user times
#   slope. Hence `+=`.
# - A node comes after all its users: the tape, read backwards.
#
# ## Questions to try
#
# 1. Add `__sub__`, `tanh` and division to `Node`. What are the slopes?
# 2. What happens to the gradients if you compute $c = x \cdot y$ as well,
#    and never use $c$ for $L$?
# 3. The same graph, from left to right: start with
#    $\partial x / \partial x = 1$ and carry slopes forwards. How many
#    passes do you need for a million weights and one loss? And for one
#    weight and a million outputs?
#
# ## In the source
#
# `tinyattn/autograd/engine.py`, function `run`: the loop, on one screen.
# `tinyattn/autograd/function.py`: what an operation is.
#
# **Next:** lesson 3, broadcasting (`03_broadcasting.py`): numbers become
# arrays.
