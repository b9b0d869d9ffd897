# %% [markdown]
# # Lesson 1. A gradient is a slope that one can measure
#
# **The idea.** Every gradient in this course can be measured: change a
# number a little and see how much the result changes. The measurement has
# an error, and one can say how large the error is.
#
# **Time:** 40 minutes. **You need:** Python, and what a derivative is.
#
# A lesson is a Python file. Open it as a notebook or in an editor that
# knows cells (`# %%`), run one cell after the other, and change things.
# `python lessons/en/01_slope.py` runs all of it, without the pictures.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta

# %% [markdown]
# ## A slope, by hand
#
# Take $f(x) = x^3$ and stand at $x = 2$. Its derivative is
# $f'(x) = 3x^2$, so the slope there is 12. To measure the slope, go a step
# $h$ to the right and divide the change of $f$ by the step:
#
# $$
# \frac{f(2+h) - f(2)}{h} = \frac{8 + 12h + 6h^2 + h^3 - 8}{h}
# = 12 + 6h + h^2.
# $$
#
# The answer is 12 plus an error of about $6h$. Now take one step to the
# right and one to the left, and divide by the distance $2h$:
#
# $$
# \frac{f(2+h) - f(2-h)}{2h} = \frac{24h + 2h^3}{2h} = 12 + h^2.
# $$
#
# The error is $h^2$ only. With $h = 0.01$ that is 0.0001 instead of 0.06.


# %%
def cube(x):
    return x**3


x, h = 2.0, 0.01
one_sided = (cube(x + h) - cube(x)) / h
central = (cube(x + h) - cube(x - h)) / (2 * h)
print(f"one-sided {one_sided:.6f}   central {central:.6f}   true 12")
assert abs(one_sided - (12 + 6 * h + h**2)) < 1e-9
assert abs(central - (12 + h**2)) < 1e-9

# %% [markdown]
# ## Why the central difference is better
#
# This is so for every smooth function. Taylor's formula says
#
# $$
# f(x \pm h) = f(x) \pm h f'(x) + \frac{h^2}{2} f''(x)
# \pm \frac{h^3}{6} f'''(x) + \dots
# $$
#
# Subtract the two lines. Every term with an even power of $h$ is the same
# in both and disappears. Divide by $2h$:
#
# $$
# C(h) = \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots
# $$
#
# In the one-sided difference the term $\frac{h}{2} f''(x)$ stays. So the
# central error falls like $h^2$ and the one-sided error like $h$.
#
# Then why not take a very small $h$? Because a computer rounds. A float64
# number has about 16 digits: each $f(x \pm h)$ is wrong by up to
# $\varepsilon |f(x)|$, with $\varepsilon \approx 1.1 \cdot 10^{-16}$. The
# division by $2h$ makes this error large when $h$ is small. Let us see
# both, for $f(x) = e^x$ at $x = 1$, whose slope is $e$.

# %%
x, true = 1.0, math.e
steps = 10.0 ** np.arange(-15, 0.1, 0.25)  # (S,): the sizes of the step
right, left = np.exp(x + steps), np.exp(x - steps)  # (S,), (S,)
error_one = abs((right - np.exp(x)) / steps - true)  # (S,)
error_two = abs((right - left) / (2 * steps) - true)  # (S,)

figure, axes = plt.subplots(layout="constrained")
axes.loglog(steps, error_one, "o", mfc="none", label="one-sided")
axes.loglog(steps, error_two, "s", ms=4, label="central")
axes.loglog(steps, steps * true / 2, "-", lw=1, color="gray")
axes.loglog(steps, steps**2 * true / 6, "--", lw=1, color="gray")
axes.set_title("Error of a measured slope: exp at 1, float64")
axes.set_xlabel("step h")
axes.set_ylabel("error (absolute)")
axes.set_ylim(1e-13, 10)
axes.legend()
axes.grid(alpha=0.3)

# %% [markdown]
# Read the picture from right to left. On the **right arm** the error falls
# with $h$: the solid line is $\frac{h}{2}e$, the dashed one
# $\frac{h^2}{6}e$. Each lies on the points, so the derivation was right.
# On the **left arm** the error grows again, without order: this is
# rounding. Both together form a V.
#
# Where is the lowest point of the central V? The whole error is about
#
# $$
# E(h) = a h^2 + \frac{b}{h}, \qquad a = \frac{|f'''(x)|}{6}, \quad
# b = \varepsilon |f(x)|.
# $$
#
# At the lowest point $E'(h) = 2ah - b/h^2 = 0$, so
# $h = \sqrt[3]{b / 2a}$.

# %%
eps = 2.0**-53  # half the distance from 1 to the next float64
best = (eps * true / (2 * true / 6)) ** (1 / 3)
print(f"best step {best:.1e}, the error there is about")
print(f"{true / 6 * best**2 + eps * true / best:.0e}")
near = (steps > best / 3) & (steps < best * 3)  # (S,), bool
print(f"the largest error measured near it: {error_two[near].max():.0e}")
assert error_two[near].max() < 1e-9

# %% [markdown]
# So ten of sixteen digits are right, at best. In float32
# ($\varepsilon \approx 6 \cdot 10^{-8}$) the same formula leaves about
# four. **Gradients are checked in float64.**
#
# ## How large is the error, if the true slope is not known?
#
# We measure a slope because we do not know it. But two measurements tell
# how good they are. Write $c = f'''(x)/6$ and leave out the smaller terms:
#
# $$
# C(h) = f' + c h^2, \qquad C(h/2) = f' + \frac{c h^2}{4}.
# $$
#
# The difference of the two is $C(h) - C(h/2) = \frac{3}{4} c h^2$. So the
# error of the finer one, $\frac{1}{4} c h^2$, is a third of the difference.
# We can even subtract it:
#
# $$
# f' \approx C(h/2) - \frac{C(h) - C(h/2)}{3}
# = \frac{4 C(h/2) - C(h)}{3}.
# $$
#
# This is called Richardson's extrapolation (1911). For $e^x$ at 1 with
# $h = 0.1$:

# %%
h = 0.1
coarse = (math.exp(x + h) - math.exp(x - h)) / (2 * h)
fine = (math.exp(x + h / 2) - math.exp(x - h / 2)) / h
estimate = (coarse - fine) / 3
print(f"C(h/2) = {fine:.7f}, its error by the formula {estimate:.1e}")
print(f"the true error                 {fine - true:.1e}")
better = fine - estimate
print(f"extrapolated {better:.9f}, true {true:.9f}")
assert abs(estimate / (fine - true) - 1) < 0.01
assert abs(better - true) < 1e-5

# %% [markdown]
# The estimate is right to one part in a hundred, and the extrapolated
# value is right to almost four digits more than $C(h)$, with a step of
# only 0.1. A measured slope without an error estimate is a guess. With an
# error estimate it is evidence.
#
# ## Your turn
#
# Write `derivative(f, x, h)`. It gives two numbers: the finer measurement
# $C(h/2)$ of the slope of `f` at `x`, and $|C(h/2) - C(h)|$ as an estimate
# of its error. By the formula above this estimate is three times too large:
# a cautious one.
#
# ```text
# python -m tinyattn.learn start exercises     once: writes a file for each
# cd exercises
# python -m tinyattn.learn check 01            after each try
# python -m tinyattn.learn hint 01             if you are stuck
# ```
#
# The check tells typical mistakes apart. If your slope is one-sided,
# halving $h$ halves the error; it should fall to a quarter. If your step is
# tiny, you stand on the left arm of the V.
#
# ## A gradient is many slopes
#
# A loss depends on many numbers. Its **gradient** is the list of its
# slopes, one for each number, while all others stay as they are. Here the
# loss is $L(w) = (\sum_i w_i x_i - y)^2$ with three weights. By the chain
# rule,
#
# $$
# \frac{\partial L}{\partial w_i} = 2 \Big(\sum_j w_j x_j - y\Big) x_i.
# $$
#
# With $w = (1, 2, 3)$, $x = (0.5, -1, 2)$ and $y = 4$ the sum is 4.5, the
# bracket is 0.5, and the gradient is $2 \cdot 0.5 \cdot x = x$.

# %%
inputs = np.array([0.5, -1.0, 2.0])  # (3,)
start = np.array([1.0, 2.0, 3.0])  # (3,)


def loss_of(w):
    return ((w * inputs).sum() - 4.0) ** 2  # a number


measured = np.empty(3)  # (3,)
for i in range(3):
    step = np.zeros(3)  # (3,): only number i moves
    step[i] = 1e-4
    measured[i] = (loss_of(start + step) - loss_of(start - step)) / 2e-4
print("measured", measured)
assert np.allclose(measured, inputs)

# %% [markdown]
# Measuring takes two evaluations for every number. For a translator with a
# million weights that is two million runs for one gradient. The engine in
# this package finds the same gradient with one run forward and one back. How
# it does that is the subject of lesson 2. That it does so is checked by
# measuring.

# %%
w = ta.tensor(start, requires_grad=True)  # (3,), float64
loss = ((w * ta.tensor(inputs)).sum() - 4.0) ** 2  # ()
loss.backward()
print("engine  ", w.grad)
assert np.allclose(w.grad.numpy(), measured)
assert ta.gradcheck(lambda w: ((w * inputs).sum() - 4.0) ** 2, w)

# %% [markdown]
# `ta.gradcheck` is this lesson as a tool: central differences, three
# sizes of step, extrapolation, an error estimate, every element. A wrong
# gradient raises an error that shows the worst elements. Try it on
# gradients of your own in all lessons that follow.
#
# ## What you have learnt
#
# - A gradient is a list of slopes, and a slope can be measured.
# - A central difference has an error of $\frac{h^2}{6} f'''$; a very small
#   step adds rounding. Both together form a V.
# - Two measurements, at $h$ and $h/2$, say how large the error is.
#
# ## Questions to try
#
# 1. Draw the V in float32 (`np.float32(x)`, steps too). Where is its
#    lowest point, and does the formula for the best step say so?
# 2. Let $f(x) = |x|$ and $x = 0$. What is $C(h)$ for every $h$? What does
#    the error estimate say, and why must a checker look at the one-sided
#    differences, too?
# 3. Let $f(x) = x^3$. The extrapolated slope is right for every $h$ (but
#    for rounding). Why?
#
# ## In the source
#
# `tinyattn/_gradcheck.py`, function `_derivative`: the same derivation with
# one more step, and what it does at a kink.
#
# **Next:** lesson 2, the tape (`02_tape.py`): how one pass backwards finds
# all slopes at once.
