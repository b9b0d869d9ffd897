# %% [markdown] source="79f36b6f"
# # 第 1 课：梯度就是可以量出来的斜率
#
# **本课要点：** 这门课里的每一个梯度都可以“量”出来：把一个数稍微改变一点，看结果变了多少。测量总有误差，而误差有多大也是可以知道的。
#
# **时间：** 40 分钟。**需要：** Python，并且知道什么是导数。
#
# 每一课都是一个 Python 文件。请把它当作笔记本打开，或者用支持单元格（`# %%`）的编辑器打开，一格一格地运行，边运行边改动。`python lessons/zh/01_slope.py` 会运行整课，但不显示图。

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta

# %% [markdown] source="4d6aec3f"
# ## 动手算一个斜率
#
# 取 $f(x) = x^3$，站在 $x = 2$ 这一点。导数是 $f'(x) = 3x^2$，所以这里的斜率是 12。怎么量出它呢？向右走一步，步长为 $h$，再用函数值的变化除以步长：
#
# $$
# \frac{f(2+h) - f(2)}{h} = \frac{8 + 12h + 6h^2 + h^3 - 8}{h}
# = 12 + 6h + h^2.
# $$
#
# 结果是 12 加上约 $6h$ 的误差。现在向右走一步，再向左走一步，除以两点间的距离 $2h$：
#
# $$
# \frac{f(2+h) - f(2-h)}{2h} = \frac{24h + 2h^3}{2h} = 12 + h^2.
# $$
#
# 误差只有 $h^2$。取 $h = 0.01$，误差是 0.0001，而不是 0.06。


# %%
def cube(x):
    return x**3


x, h = 2.0, 0.01
one_sided = (cube(x + h) - cube(x)) / h
central = (cube(x + h) - cube(x - h)) / (2 * h)
print(f"one-sided {one_sided:.6f}   central {central:.6f}   true 12")
assert abs(one_sided - (12 + 6 * h + h**2)) < 1e-9
assert abs(central - (12 + h**2)) < 1e-9

# %% [markdown] source="762acf39"
# ## 为什么中心差分更准
#
# 对任何光滑函数都是如此。泰勒公式告诉我们：
#
# $$
# f(x \pm h) = f(x) \pm h f'(x) + \frac{h^2}{2} f''(x)
# \pm \frac{h^3}{6} f'''(x) + \dots
# $$
#
# 两式相减。$h$ 的偶数次项在两式中相同，于是全部消去。再除以 $2h$：
#
# $$
# C(h) = \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots
# $$
#
# 单侧差分里，$\frac{h}{2} f''(x)$ 这一项消不掉。所以中心差分的误差随 $h^2$ 下降，单侧差分的误差只随 $h$ 下降。
#
# 那为什么不把 $h$ 取得非常小？因为计算机要舍入。float64 大约有 16 位有效数字：每个 $f(x \pm h)$ 的误差可达 $\varepsilon |f(x)|$，其中 $\varepsilon \approx 1.1 \cdot 10^{-16}$。$h$ 很小时，除以 $2h$ 会把这个误差放大。我们用 $f(x) = e^x$ 在 $x = 1$ 处同时观察这两种误差；那里的斜率就是 $e$。

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

# %% [markdown] source="30b6ba21"
# 这张图请从右往左看。在**右臂**上，误差随 $h$ 减小而下降：实线是 $\frac{h}{2}e$，虚线是 $\frac{h^2}{6}e$。测得的点正好落在线上，说明上面的推导是对的。在**左臂**上，误差又变大了，而且杂乱无章：这是舍入误差。两臂合成一个 V 形。
#
# 中心差分的 V 形最低点在哪里？总误差大约是
#
# $$
# E(h) = a h^2 + \frac{b}{h}, \qquad a = \frac{|f'''(x)|}{6}, \quad
# b = \varepsilon |f(x)|.
# $$
#
# 在最低点有 $E'(h) = 2ah - b/h^2 = 0$，所以 $h = \sqrt[3]{b / 2a}$。

# %%
eps = 2.0**-53  # half the distance from 1 to the next float64
best = (eps * true / (2 * true / 6)) ** (1 / 3)
print(f"best step {best:.1e}, the error there is about")
print(f"{true / 6 * best**2 + eps * true / best:.0e}")
near = (steps > best / 3) & (steps < best * 3)  # (S,), bool
print(f"the largest error measured near it: {error_two[near].max():.0e}")
assert error_two[near].max() < 1e-9

# %% [markdown] source="67b98f23"
# 也就是说，十六位数字里最多只有大约十位是准的。换成 float32（$\varepsilon \approx 6 \cdot 10^{-8}$），同样的公式只剩下大约四位。**检查梯度要用 float64。**
#
# ## 不知道真实斜率时，怎么知道误差有多大？
#
# 正因为不知道斜率，我们才去量它。不过，量两次就能看出量得有多准。记 $c = f'''(x)/6$，略去更小的项：
#
# $$
# C(h) = f' + c h^2, \qquad C(h/2) = f' + \frac{c h^2}{4}.
# $$
#
# 两者之差为 $C(h) - C(h/2) = \frac{3}{4} c h^2$。所以较细的那次测量，其误差 $\frac{1}{4} c h^2$ 正好是这个差的三分之一。我们甚至可以把它减掉：
#
# $$
# f' \approx C(h/2) - \frac{C(h) - C(h/2)}{3}
# = \frac{4 C(h/2) - C(h)}{3}.
# $$
#
# 这叫做理查森外推法（Richardson，1911 年）。以 $e^x$ 在 $x = 1$ 处为例，取 $h = 0.1$：

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

# %% [markdown] source="348356ea"
# 误差估计与真实误差相差不到百分之一；外推后的值比 $C(h)$ 多准了将近四位，而步长不过是 0.1。没有误差估计的斜率只是猜测，有了误差估计，它才是证据。
#
# ## 轮到你了
#
# 请写出 `derivative(f, x, h)`。它返回两个数：`f` 在 `x` 处较细的那次测量 $C(h/2)$，以及作为误差估计的 $|C(h/2) - C(h)|$。按照上面的公式，这个估计是真实误差的三倍：宁可估得大一些。
#
# ```text
# python -m tinyattn.learn start exercises     只需一次：每道练习写出一个文件
# cd exercises
# python -m tinyattn.learn check 01            每改一次就检查一次
# python -m tinyattn.learn hint 01             卡住时看提示
# ```
#
# 检查程序能分辨常见的错误。如果你用的是单侧差分，$h$ 减半，误差只减半，而它本该降到四分之一。如果你的步长太小，你就站在了 V 形的左臂上。
#
# ## 梯度就是许多斜率
#
# 损失取决于许多个数。它的**梯度**就是这些斜率排成的一列：每个数对应一个斜率，计算时其余的数保持不变。下面的损失是 $L(w) = (\sum_i w_i x_i - y)^2$，有三个权重。由链式法则，
#
# $$
# \frac{\partial L}{\partial w_i} = 2 \Big(\sum_j w_j x_j - y\Big) x_i.
# $$
#
# 取 $w = (1, 2, 3)$，$x = (0.5, -1, 2)$，$y = 4$：和是 4.5，括号里是 0.5，所以梯度是 $2 \cdot 0.5 \cdot x = x$。

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

# %% [markdown] source="2d317e67"
# 用测量的办法，每个数都要把函数算两遍。假如一个翻译模型有一百万个权重，求一次梯度就要算两百万遍。本项目的引擎只需向前算一遍、向后算一遍，就能得到同样的梯度。它是怎么做到的，是第 2 课的内容；它算得对不对，则靠测量来检验。

# %%
w = ta.tensor(start, requires_grad=True)  # (3,), float64
loss = ((w * ta.tensor(inputs)).sum() - 4.0) ** 2  # ()
loss.backward()
print("engine  ", w.grad)
assert np.allclose(w.grad.numpy(), measured)
assert ta.gradcheck(lambda w: ((w * inputs).sum() - 4.0) ** 2, w)

# %% [markdown] source="69b54847"
# `ta.gradcheck` 就是把这一课做成的工具：中心差分，三种步长，外推，误差估计，每个元素都检查。梯度如果错了，它会报错，并列出错得最厉害的元素。后面各课里，请用它来检查你自己写的梯度。
#
# ## 学到了什么
#
# - 梯度是一列斜率，而斜率是可以量出来的。
# - 中心差分的误差是 $\frac{h^2}{6} f'''$；步长太小又会带来舍入误差。两者合成一个 V 形。
# - 用 $h$ 和 $h/2$ 各量一次，就知道误差有多大。
#
# ## 试一试
#
# 1. 用 float32 画出 V 形（`np.float32(x)`，步长也用 float32）。最低点在哪里？与最佳步长的公式相符吗？
# 2. 设 $f(x) = |x|$，$x = 0$。对每个 $h$，$C(h)$ 是多少？误差估计会说什么？为什么检查程序还必须看单侧差分？
# 3. 设 $f(x) = x^3$。不计舍入误差，外推后的斜率对每个 $h$ 都完全准确。为什么？
#
# ## 源码在哪里
#
# `tinyattn/_gradcheck.py` 里的函数 `_derivative`：同样的推导，只是再多外推一步；那里还说明了遇到尖点时怎么办。
#
# **下一课：** 第 2 课，计算图的“磁带”（`02_tape.py`）：只要向后走一遍，就能同时求出所有斜率。
