# %% [markdown] source="e4493a83"
# # 第 7 课：随时间反向传播
#
# **本课要点：** 循环网络每一步用的是同一个权重。于是权重的梯度是对所有步求和；而在返回的路上，梯度一次又一次地乘以几乎相同的矩阵：它要么消失，要么爆炸，除非有办法阻止。
#
# **时间：** 75 分钟。**需要：** 第 2、3、6 课。

# %%
import numpy as np

import tinyattn as ta
from tinyattn import nn, viz

F = nn.functional

# %% [markdown] source="bdf2fc54"
# ## 手算三步
#
# 最小的循环网络，状态只有一个数，权重只有一个 $u$，没有输入：$h_t = u \, h_{t-1}$。取 $u = \frac12$，$h_0 = 8$，损失就是最后的状态，$L = h_3$。前向：$h_1 = 4$，$h_2 = 2$，$h_3 = 1$。
#
# 反向，记 $\delta_t = \partial L / \partial h_t$：$\delta_3 = 1$，每一步乘以 $u$，所以 $\delta_2 = \frac12$，$\delta_1 = \frac14$，$\delta_0 = \frac18$。
#
# 权重用了三次，所以它有三个使用者（第 2 课）。$h_t$ 对 $u$ 的斜率是 $h_{t-1}$，即这一步**之前**的状态：
#
# $$
# \frac{\partial L}{\partial u} = \delta_3 h_2 + \delta_2 h_1 + \delta_1 h_0
# = 1 \cdot 2 + \tfrac12 \cdot 4 + \tfrac14 \cdot 8 = 6.
# $$
#
# 对不对呢？$L = 8u^3$，所以 $\partial L / \partial u = 24 u^2 = 6$。

# %%
u = ta.tensor(0.5, requires_grad=True)  # ()
h0 = ta.tensor(8.0, requires_grad=True)  # ()
with ta.explain():
    h1 = u * h0  # ()
    h2 = u * h1  # ()
    h3 = u * h2  # ()
ta.explain(h3)

# %%
h3.backward()
print("u.grad", u.grad.item(), "h0.grad", h0.grad.item())
assert (u.grad.item(), h0.grad.item()) == (6.0, 0.125)

# %% [markdown] source="a6f91a76"
# ## 断开
#
# `h.detach()` 给出同样的数，但不带历史。磁带到此为止。循环里有些写法看上去无害，却会丢失梯度：

# %%
u.grad = None
(u * h2.detach()).backward()  # the state is detached
print("detached before the last step:", u.grad.item())
assert u.grad.item() == 2.0  # only the last step reached u: 1 * h_2

# %% [markdown] source="f8bca30d"
# 三项里只剩下第一项。网络仍然能学到一些东西，即一步就能解释的那些，而且没有任何报错。有时这正是我们想要的：对无穷长的文本，每 100 步断开一次状态，免得磁带无限变长。这叫做*截断的*随时间反向传播（truncated BPTT）；代价是学不到更长的联系。
#
# ## 循环
#
# 现在换成向量。第 $t$ 步来的是 $a_t$（已经乘过权重的输入），并且
#
# $$
# h_t = \tanh(a_t + h_{t-1} U), \qquad t = 1, \dots, T,
# $$
#
# 其中 $a_t$、$h_t$ 的形状是 $(B, H)$，每个句子一行，$U$ 的形状是 $(H, H)$。损失可以与每个状态有关：$G_t$（形状 $(B, H)$）是**从外面**传到 $h_t$ 的梯度，例如来自第 $t$ 步写出的词。记 $p_t = a_t + h_{t-1} U$，$dp_t = \partial L / \partial p_t$。
#
# *在 $h_t$ 处。* 它有两个使用者：外面，以及第 $t + 1$ 步：
#
# $$
# \delta_t = G_t + dp_{t+1} U^\top, \qquad \delta_T = G_T.
# $$
#
# *经过 tanh*，它的斜率是 $1 - \tanh^2 = 1 - h_t^2$：
#
# $$
# dp_t = \delta_t \odot (1 - h_t^2).
# $$
#
# *权重*每一步都用到，与 $h_{t-1}$ 相乘（第 3 课）：
#
# $$
# \frac{\partial L}{\partial U} = \sum_{t=1}^{T} h_{t-1}^\top\, dp_t.
# $$
#
# 此外，$\partial L / \partial a_t = dp_t$，$\;\partial L / \partial h_0 = dp_1 U^\top$。在翻译模型里，$h_0$ 来自编码器：编码器正是靠这最后一个梯度来学习的。
#
# 不写循环，我们也能检验 $U$ 的求和公式：每个 $dp_t$ 都由引擎告诉我们。

# %%
rng = np.random.default_rng(0)
T, B, H = 5, 2, 3
U = ta.tensor(rng.standard_normal((H, H)), requires_grad=True)  # (H, H)
h = ta.tensor(rng.standard_normal((B, H)))  # (B, H): h_0
steps = []
for _ in range(T):
    before = h.detach().numpy()  # (B, H): the state before the step
    p = ta.tensor(rng.standard_normal((B, H))) + h @ U  # (B, H)
    p.retain_grad()
    h = p.tanh()  # (B, H)
    steps.append((before, p))
outside = rng.standard_normal((B, H))  # (B, H): G_T; the others are 0
h.backward(ta.tensor(outside))

terms = [before.T @ p.grad.numpy() for before, p in steps]  # T of (H, H)
assert np.allclose(U.grad.numpy(), sum(terms))
print("norms of the terms:", [f"{np.linalg.norm(x):.2f}" for x in terms])

# %% [markdown] source="9e355375"
# ## 轮到你了
#
# 请写出 `backward_through_time(grad, h, u)`：`grad`（形状 (T, B, H)）存放各个 $G_t$，`h`（形状 (T + 1, B, H)）存放从 $h_0$ 开始的各个状态，`u` 形状 (H, H)。返回所有 $a_t$ 的梯度（形状 (T, B, H)）、$h_0$ 的梯度（形状 (B, H)）和 `u` 的梯度（形状 (H, H)）。
#
# ```text
# python -m tinyattn.learn check 07
# ```
#
# ## 消失与爆炸
#
# 每退一步，梯度都要乘以 $1 - h_t^2$ 和 $U^\top$。如果 $U$ 把每个向量都变成 $s$ 倍长，而状态又很小，那么
#
# $$
# |\delta_{t}| \approx s^{\,T - t}\, |\delta_T|.
# $$
#
# $s = 0.5$ 时，60 步之后是 $10^{-18}$：关于最前面的词，训练什么也学不到。$s = 2$ 时梯度极大，优化器走一步就把权重毁了。乘以不超过 1 的 $1 - h^2$ 则会削弱梯度，两种情形都是如此。
#
# GRU 另有一条返回的路：$h' = (1 - z) \odot n + z \odot h$。沿着它，梯度只乘以 $z$，不乘任何矩阵。训练前把 $z$ 的偏置调高，$z$ 一开始就接近 1。

# %%
T, B, H = 60, 16, 32
Q = np.linalg.qr(rng.standard_normal((H, H)))[0]  # (H, H): keeps lengths


def norms(step):
    """|dL/dh_t| for t = 0 ... T, where L is the sum of the last state."""
    h = ta.zeros(B, H, dtype=ta.float64, requires_grad=True)  # (B, H)
    states = [h]
    for _ in range(T):
        x = ta.tensor(0.2 * rng.standard_normal((B, H)))  # (B, H)
        h = step(x, h)  # (B, H)
        h.retain_grad()
        states.append(h)
    h.sum().backward()
    return np.array([np.linalg.norm(s.grad.numpy()) for s in states])


def plain(s):
    U = ta.tensor(s * Q)  # (H, H)
    return lambda x, h: (x + h @ U).tanh()


def gated(bias):
    ta.manual_seed(0)
    cell = nn.GRUCell(H, H).double()
    with ta.no_grad():
        cell.bias_ih[H : 2 * H] = bias  # the part of z
    return cell


curves = {
    "tanh, s = 2": norms(plain(2.0)),
    "tanh, s = 1": norms(plain(1.0)),
    "tanh, s = 0.5": norms(plain(0.5)),
    "GRU, bias of z = 0": norms(gated(0.0)),
    "GRU, bias of z = 2": norms(gated(2.0)),
}
viz.gradient_norms(curves, "The gradient on its way back from step 60")

# %%
first = {name: curve[0] / curve[-1] for name, curve in curves.items()}
for name, ratio in first.items():
    print(f"{name:20} {ratio:8.1e} of the gradient arrives at step 0")
assert first["tanh, s = 0.5"] < 1e-15
assert first["tanh, s = 2"] > 1e3
assert first["GRU, bias of z = 0"] < 1e-9
assert 1e-4 < first["GRU, bias of z = 2"] < 1

# %% [markdown] source="23147147"
# 这张图请从右往左看：梯度从第 60 步出发。直线表示每一步的倍数都相同。
#
# ## 这有什么影响？
#
# 来一次记忆力测验：第 1 步给出值 $\pm 1$，接着是 59 步噪声，最后问那个值是什么。什么也没学到的网络，损失是 1。两个 GRU 只差在 $z$ 的偏置的初值：


# %%
def sequences(B, T):
    """Inputs (B, T, 2): the value, then noise; answers (B, 1)."""
    value = 2.0 * rng.integers(0, 2, B) - 1  # (B,)
    x = np.zeros((B, T, 2))
    x[:, 0, 0] = value
    x[:, :, 1] = 0.5 * rng.standard_normal((B, T))
    return ta.tensor(x).float(), ta.tensor(value[:, None]).float()


def train(bias):
    ta.manual_seed(0)
    gru, out = nn.GRU(2, 16, batch_first=True), nn.Linear(16, 1)
    with ta.no_grad():
        gru.bias_ih_l0[16:32] = bias  # the part of z
    parameters = [*gru.parameters(), *out.parameters()]
    optimizer = ta.optim.Adam(parameters, lr=0.01)
    for _ in range(200):
        x, answer = sequences(32, 60)  # (B, T, 2), (B, 1)
        states, _ = gru(x)  # (B, T, H)
        loss = F.mse_loss(out(states[:, -1]), answer)  # (B, H) -> (B, 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


losses = {bias: train(bias) for bias in (0.0, 2.0)}
for bias, loss in losses.items():
    print(f"bias of z {bias}: loss after 200 steps {loss:.4f}")
assert losses[0.0] > 0.9
assert losses[2.0] < 0.1

# %% [markdown] source="7b5c175b"
# 图早就预言了这个结果。只有 $10^{-11}$ 的梯度能到达的地方，训练无法把答案与它的原因联系起来。
#
# 对付爆炸有更简单的办法。**梯度裁剪**：如果全部梯度合起来的范数超过限度，就把它们都除以同一个数，方向不变：`nn.utils.clip_grad_norm_(parameters, 1.0)`。对付消失，乘同一个倍数没有用：与最后几步的各项相比，最前面各步的项仍然一样小。这时需要一条更短的路。门是一种；注意力是另一种，它**一步**就能到达任何一个词：见第 8 课。
#
# ## 学到了什么
#
# - 在 $T$ 步里用到的权重，梯度是 $T$ 项之和，每一项用的都是那一步*之前*的状态。
# - 一个状态有两个使用者：外面和下一步。
# - 反复相乘使梯度消失或爆炸；门和注意力给梯度一条更短的路，裁剪给它设上限。
#
# ## 试一试
#
# 1. 在第一个例子里，不分离 $h_2$，改为分离 $h_1$。$\partial L / \partial u$ 的三项还剩哪几项？它们的和是多少？
# 2. 把普通网络的噪声从 0.2 加强到 2，取 $s = 2$。为什么梯度爆炸得没那么厉害？
# 3. 有一篇文章说，L2 正则化能减轻梯度爆炸。它使权重变小。那么它对梯度消失有什么影响？
#
# ## 源码在哪里
#
# `tinyattn/kernels/reference/gru.py`：GRU 的这个循环。`tinyattn/autograd/gradients.py`：一个权重的 $T$ 项怎样合成一次乘积。`ta.doctor` 会查找随时间消失的梯度。
#
# **下一课：** 第 8 课，加性注意力（`08_additive_attention.py`）。
