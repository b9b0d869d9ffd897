# %% [markdown]
# # Lesson 7. Through time
#
# **The idea.** A recurrent network uses the same weight at every step. So
# the weight gets a sum over all steps, and on the way back the gradient is
# multiplied by nearly the same matrix again and again: it vanishes or it
# explodes, unless something prevents it.
#
# **Time:** 75 minutes. **You need:** lessons 2, 3 and 6.

# %%
import numpy as np

import tinyattn as ta
from tinyattn import nn, viz

F = nn.functional

# %% [markdown]
# ## Three steps by hand
#
# The smallest recurrent network has one number as state, one weight $u$,
# and no input: $h_t = u \, h_{t-1}$. Let $u = \frac12$, $h_0 = 8$, and let
# the loss be the last state, $L = h_3$. Forwards: $h_1 = 4$, $h_2 = 2$,
# $h_3 = 1$.
#
# Backwards, with $\delta_t = \partial L / \partial h_t$: $\delta_3 = 1$, and
# each step multiplies by $u$, so $\delta_2 = \frac12$,
# $\delta_1 = \frac14$, $\delta_0 = \frac18$.
#
# The weight is used three times, so it has three users (lesson 2). The
# slope of $h_t$ with respect to $u$ is $h_{t-1}$, the state **before** the
# step:
#
# $$
# \frac{\partial L}{\partial u} = \delta_3 h_2 + \delta_2 h_1 + \delta_1 h_0
# = 1 \cdot 2 + \tfrac12 \cdot 4 + \tfrac14 \cdot 8 = 6.
# $$
#
# Is it true? $L = 8u^3$, so $\partial L / \partial u = 24 u^2 = 6$.

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

# %% [markdown]
# ## Detached
#
# `h.detach()` gives the same numbers without their history. The tape ends
# there. Some lines that look harmless lose gradients in this way:

# %%
u.grad = None
(u * h2.detach()).backward()  # the state is detached
print("detached before the last step:", u.grad.item())
assert u.grad.item() == 2.0  # only the last step reached u: 1 * h_2

# %% [markdown]
# Only the first of the three terms is left. The network still learns
# something: what one step can explain. Nothing raises an error. Sometimes
# this is meant: for an endless text one detaches the state every 100
# steps, so that the tape does not grow for ever. This is called *truncated*
# backpropagation through time, and its price is that nothing is learnt
# about longer connections.
#
# ## The loop
#
# Now with vectors. At step $t$ comes $a_t$ (the input, already multiplied
# by its weight), and
#
# $$
# h_t = \tanh(a_t + h_{t-1} U), \qquad t = 1, \dots, T,
# $$
#
# with $a_t$, $h_t$ of shape $(B, H)$, a row for each sentence, and $U$ of
# shape $(H, H)$. The loss may depend on every state: $G_t$, $(B, H)$, is
# the gradient that arrives at $h_t$ **from outside**, for example from the
# word written at step $t$. Write $p_t = a_t + h_{t-1} U$ and
# $dp_t = \partial L / \partial p_t$.
#
# *At $h_t$.* It has two users, the outside and step $t + 1$:
#
# $$
# \delta_t = G_t + dp_{t+1} U^\top, \qquad \delta_T = G_T.
# $$
#
# *Through tanh*, whose slope is $1 - \tanh^2 = 1 - h_t^2$:
#
# $$
# dp_t = \delta_t \odot (1 - h_t^2).
# $$
#
# *The weight* is used at every step, with $h_{t-1}$ (lesson 3):
#
# $$
# \frac{\partial L}{\partial U} = \sum_{t=1}^{T} h_{t-1}^\top\, dp_t.
# $$
#
# And $\partial L / \partial a_t = dp_t$, $\;\partial L / \partial h_0 =
# dp_1 U^\top$. In a translator $h_0$ comes from the encoder: this last
# gradient is how the encoder learns.
#
# We check the sum for $U$ without writing the loop: the engine tells us
# every $dp_t$.

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

# %% [markdown]
# ## Your turn
#
# Write `backward_through_time(grad, h, u)`: `grad` (T, B, H) holds the
# $G_t$, `h` (T + 1, B, H) the states from $h_0$ on, `u` (H, H). Give the
# gradients of all $a_t$ (T, B, H), of $h_0$ (B, H) and of `u` (H, H).
#
# ```text
# python -m tinyattn.learn check 07
# ```
#
# ## Vanishing and exploding
#
# From step to step the gradient is multiplied by $1 - h_t^2$ and by
# $U^\top$. If $U$ makes every vector $s$ times as long, and the states are
# small, then
#
# $$
# |\delta_{t}| \approx s^{\,T - t}\, |\delta_T|.
# $$
#
# With $s = 0.5$ and 60 steps that is $10^{-18}$: training learns nothing
# about the first words. With $s = 2$ the gradient is huge, and one step
# of the optimiser ruins the weights. Multiplying by $1 - h^2$, at most 1,
# makes the gradient smaller in both cases.
#
# A GRU has another way back: $h' = (1 - z) \odot n + z \odot h$. Along it
# the gradient is multiplied by $z$ only, with no matrix. Raise the bias of
# $z$ before training, and $z$ starts near 1.

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

# %% [markdown]
# Read the picture from right to left: the gradient starts at step 60. A
# straight line means the same factor at every step.
#
# ## Does it matter?
#
# A test of memory: the value $\pm 1$ comes at step 1, then 59 steps of
# noise, then the question which it was. A network that learns nothing has
# loss 1. The two GRUs differ only in the bias of $z$ at the start:


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

# %% [markdown]
# The picture has predicted it. Where $10^{-11}$ of the gradient arrives,
# training cannot connect the answer with its cause.
#
# Against explosion there is a simpler means. **Clipping** divides all
# gradients by the same number if their common norm is above a limit; the
# direction stays: `nn.utils.clip_grad_norm_(parameters, 1.0)`. Against
# vanishing, a common factor is no use: beside the terms of the last steps,
# those of the first remain as small as before. There one needs a shorter
# way. Gates are one. Attention, which reaches any word in **one** step, is
# another: lesson 8.
#
# ## What you have learnt
#
# - A weight that is used at $T$ steps gets a sum of $T$ terms, each with
#   the state *before* the step.
# - A state has two users: the outside and the next step.
# - Repeated multiplication makes gradients vanish or explode; gates and
#   attention give them a shorter way, clipping limits them.
#
# ## Questions to try
#
# 1. In the first example, detach $h_1$ instead of $h_2$. Which terms of
#    $\partial L / \partial u$ are left, and what is their sum?
# 2. Make the noise of the plain network stronger, 2 in place of 0.2, with
#    $s = 2$. Why does the gradient explode less?
# 3. A text says that L2 regularisation helps against exploding gradients.
#    It makes weights smaller. What does it do to vanishing ones?
#
# ## In the source
#
# `tinyattn/kernels/reference/gru.py`: the loop for a GRU.
# `tinyattn/autograd/gradients.py`: how the $T$ terms of a weight become one
# product. `ta.doctor` looks for gradients that vanish over time.
#
# **Next:** lesson 8, additive attention (`08_additive_attention.py`).
