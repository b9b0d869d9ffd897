# %% [markdown]
# # Lesson 6. A GRU by hand
#
# **The idea.** A recurrent network carries a state from word to word. A
# GRU has gates: numbers between 0 and 1 that decide, for each part of the
# state, what is kept and what is written. The gates are computed, so they
# have gradients, so they are learnt.
#
# **Time:** 75 minutes. **You need:** lessons 2 and 3.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import nn, viz

F = nn.functional

# %% [markdown]
# ## One step
#
# At each step come an input $x$ with $D$ numbers and the state $h$ with
# $H$ numbers. The step makes the next state $h'$. With the sigmoid
# $\sigma(a) = 1 / (1 + e^{-a})$, and $\odot$ for the product of each number
# with its partner:
#
# $$
# \begin{aligned}
# r &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr})
#   && \text{reset gate, } (H,) \\
# z &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz})
#   && \text{update gate, } (H,) \\
# u &= W_{hn} h + b_{hn} && \text{what the state says, } (H,) \\
# n &= \tanh(W_{in} x + b_{in} + r \odot u) && \text{candidate, } (H,) \\
# h' &= (1 - z) \odot n + z \odot h && \text{next state, } (H,)
# \end{aligned}
# $$
#
# Look at the last line first. $z = 1$: the old state is **kept**, exactly.
# $z = 0$: it is replaced by the candidate. In between it is a mixture.
# The reset gate decides how much of the old state the candidate sees:
# $r = 0$ begins anew.
#
# The three parts stand in one matrix, in the order $r, z, n$:
# $W_i$ has shape $(3H, D)$, $W_h$ $(3H, H)$, each bias $(3H,)$.
#
# ### Two conventions
#
# In Cho et al. (2014, arXiv:1406.1078) $r$ multiplies the state *before*
# the product, $W_{hn}(r \odot h)$. PyTorch and this package multiply
# *after* it, $r \odot (W_{hn} h + b_{hn})$: then all products with $h$ are
# one. And some texts exchange $z$ and $1 - z$. Both variants learn. But
# weights of one variant give wrong numbers in another, without any error.

# %% [markdown]
# ## Numbers by hand
#
# Let $H = D = 1$. All weights and biases are 0 except $W_{in} = W_{hn} = 1$.
# Then $r = z = \sigma(0) = \frac12$ whatever comes. With $x = 0.25$ and
# $h = 0.5$: $u = 0.5$, $n = \tanh(0.25 + \frac12 \cdot 0.5)
# = \tanh(0.5) = 0.4621$, and $h' = \frac12 \cdot 0.4621 + \frac12 \cdot
# 0.5 = 0.4811$.

# %%
cell = nn.GRUCell(1, 1).double()
with ta.no_grad():
    for parameter in cell.parameters():
        parameter.zero_()
    cell.weight_ih[2, 0] = 1.0  # row 2 of (3H, D) = (3, 1): W_in
    cell.weight_hh[2, 0] = 1.0  # row 2 of (3H, H) = (3, 1): W_hn

x = ta.tensor([[0.25]], dtype=ta.float64, requires_grad=True)  # (B=1, D=1)
h = ta.tensor([[0.5]], dtype=ta.float64, requires_grad=True)  # (B=1, H=1)
new = cell(x, h)  # (1, 1)
print("h' =", new.item())
assert np.isclose(new.item(), 0.5 * np.tanh(0.5) + 0.25)

# %% [markdown]
# ## Backwards, line by line
#
# Let $g = \partial L / \partial h'$ arrive, $(H,)$. Write $dn$ for
# $\partial L / \partial n$ and so on. Go through the forward lines from
# the last to the first.
#
# **Last line**, $h' = (1-z) \odot n + z \odot h$: three factors, three
# gradients:
#
# $$
# dn = g \odot (1-z), \qquad dz = g \odot (h - n), \qquad
# dh = g \odot z + \dots
# $$
#
# The dots: $h$ is used in other lines, too, and more will be added.
#
# **Candidate.** Let $a_n$ be what stands inside the tanh. The derivative of
# tanh is $1 - \tanh^2$, so $da_n = dn \odot (1 - n^2)$. Inside is
# $r \odot u$:
#
# $$
# dr = da_n \odot u, \qquad du = da_n \odot r.
# $$
#
# **Gates.** Let $a_z$, $a_r$ be what stands inside the sigmoids. The
# derivative of $\sigma$ is $\sigma (1 - \sigma)$:
#
# $$
# da_z = dz \odot z \odot (1 - z), \qquad da_r = dr \odot r \odot (1 - r).
# $$
#
# **Weights.** What is left are linear maps, lesson 3. Behind $W_i x$ the
# three parts $(da_r, da_z, da_n)$ arrive; behind $W_h h$ it is
# $(da_r, da_z, du)$, because $r$ stands in between. That is the only
# difference of the two sides, and the place where most errors are made.
# The weights get outer products with $x$ and with $h$; $x$ gets $W_i^\top$
# times the first; $h$ gets $W_h^\top$ times the second, **added** to
# $g \odot z$.
#
# With our numbers and $g = 1$, everything is a plain number:

# %%
n = np.tanh(0.5)
dn, dz = 1 / 2, 0.5 - n  # g (1 - z), g (h - n)
da_n = dn * (1 - n**2)
dr, du = da_n * 0.5, da_n * 0.5  # times u = 0.5, times r = 0.5
da_z, da_r = dz / 4, dr / 4  # z (1 - z) = r (1 - r) = 1/4

new.backward(ta.ones(1, 1, dtype=ta.float64))
W_i = cell.weight_ih.grad.numpy()  # (3, 1)
W_h = cell.weight_hh.grad.numpy()  # (3, 1)
print("W_i", W_i.ravel())  # r, z, n
print("W_h", W_h.ravel())  # r, z, n
assert np.allclose(W_i.ravel(), np.array([da_r, da_z, da_n]) * 0.25)
assert np.allclose(W_h.ravel(), np.array([da_r, da_z, du]) * 0.5)
assert np.isclose(x.grad.item(), da_n)  # times W_in = 1; W_ir = W_iz = 0
assert np.isclose(h.grad.item(), 1 / 2 + du)  # g z, and through W_hn = 1

# %% [markdown]
# Every number agrees with the engine. One more case, with random weights
# and sizes that all differ, measured as in lesson 1:

# %%
ta.manual_seed(0)
cell = nn.GRUCell(3, 4).double()  # D = 3, H = 4
xs = ta.randn(2, 3, dtype=ta.float64, requires_grad=True)  # (B=2, D)
hs = ta.randn(2, 4, dtype=ta.float64, requires_grad=True)  # (B=2, H)
assert ta.gradcheck_module(cell, (xs, hs))

# %% [markdown]
# ## Your turn
#
# First the step: `gru_step(x, h, w_ih, w_hh, b_ih, b_hh)` with `x` (B, D),
# `h` (B, H), weights (3H, D) and (3H, H), biases (3H,); it gives the next
# state (B, H).
#
# ```text
# python -m tinyattn.learn check 06a
# python -m tinyattn.learn check 06b
# ```
#
# Exercise 06b asks for its backward:
# `gru_step_backward(grad, x, h, w_ih, w_hh, r, z, n, hn)`. The forward pass
# has kept the gates, the candidate, and our $u$ under the name `hn`, each
# (B, H). Go through the lines above. The check knows when $z$ and
# $1 - z$ are exchanged, when $r$ is applied before the product, and when
# $g \odot z$ is forgotten.
#
# ## What do gates learn?
#
# A task that needs memory. At every step come a value, $+1$ or $-1$, and a
# flag, mostly 0. The network must always answer **the value that came with
# the last flag**. So it must write when the flag is 1, and keep when it is
# 0. The state of our GRU is a single number, $H = 1$.


# %%
def batch(B, T):
    """Values and flags (B, T, 2), the right answers (B, T, 1)."""
    value = ta.randint(0, 2, (B, T)).numpy() * 2.0 - 1  # (B, T)
    flag = ta.rand(B, T).numpy() < 0.15  # (B, T)
    flag[:, 0] = True
    last = np.maximum.accumulate(flag * np.arange(T), axis=1)  # (B, T)
    answer = np.take_along_axis(value, last, axis=1)  # (B, T)
    both = np.stack([value, flag], axis=-1)  # (B, T, 2)
    return ta.tensor(both).float(), ta.tensor(answer[..., None]).float()


ta.manual_seed(0)
gru = nn.GRU(2, 1, batch_first=True)  # D = 2, H = 1
out = nn.Linear(1, 1)
parameters = [*gru.parameters(), *out.parameters()]
optimizer = ta.optim.Adam(parameters, lr=0.03)
for step in range(301):
    inputs, answers = batch(32, 30)  # (B, T, 2), (B, T, 1)
    states, _ = gru(inputs)  # (B, T, H)
    loss = F.mse_loss(out(states), answers)  # ()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss.item():.3f}")
assert loss.item() < 0.1

# %% [markdown]
# Now let it read one sequence, and look at its update gate.
# `viz.gates_of` gives the gates of any model that uses a GRU or an LSTM;
# for one with many numbers, `viz.gates` draws them.

# %%
T = 40
with ta.no_grad():
    inputs, _ = batch(1, T)  # (1, T, 2)
    states, _ = gru(inputs)  # (1, T, 1)
    guess = out(states).numpy().ravel()  # (T,)
    gates = viz.gates_of(lambda: gru(inputs))[0]  # r, z, n: (T, 1, 1)
value, flag = inputs.numpy()[0].T  # (T,), (T,)
z = gates["z"].ravel()  # (T,)

time, marked = np.arange(T), flag == 1
figure, axes = plt.subplots(2, figsize=(8, 4), layout="constrained")
axes[0].plot(time, value, ".", color="0.6", label="value")
axes[0].plot(time[marked], value[marked], "ks", label="value with flag")
axes[0].plot(time, guess, "-", label="answer")
axes[0].legend(loc="upper center", ncols=3)
axes[0].set_ylim(-1.3, 2.3)
axes[0].set_title("What the network reads and answers")
axes[1].bar(time, z, color=np.where(marked, "black", "0.7"))
axes[1].set_title("Its update gate z (black: with a flag)")
axes[1].set_xlabel("time step")
axes[1].grid(alpha=0.3)

# %%
print(f"mean z with a flag    {z[marked].mean():.2f}")
print(f"mean z without a flag {z[~marked].mean():.2f}")
assert z[marked].mean() < 0.5
assert z[~marked].mean() > 0.9

# %% [markdown]
# With a flag the gate falls: the state is written. Elsewhere it is almost
# 1: the state is kept. Nobody told the network what the flag means. The
# gradient of the gate did, $dz = g \odot (h - n)$: where the old state would
# have been better than the candidate, $z$ is raised, and lowered where the
# candidate would have been better.
#
# ## What you have learnt
#
# - A GRU step is five lines; its backward is the same lines, read upwards.
# - $u$ is the only place where the two sides differ: $r$ stands before it.
# - $z$ near 1 keeps the state, and, as lesson 7 shows, its gradient.
#
# ## Questions to try
#
# 1. Exchange $z$ and $1 - z$ in the last line of the forward pass. Which
#    lines of the backward pass change?
# 2. Set the bias $b_{iz}$ to 3 before training. What is $z$ at the start,
#    and does the network learn faster?
# 3. With `ta.manual_seed(1)` this network of one number has not learnt the
#    task after 300 steps. Try $H = 4$. Why do more numbers help?
#
# ## In the source
#
# `tinyattn/kernels/reference/gru.py`: forward and backward over whole
# sequences in NumPy; `native/gru.c`: the same in C;
# `tinyattn/ops/recurrent.py`: the operation.
#
# **Next:** lesson 7, through time (`07_through_time.py`): what happens to
# the gradient when this step is repeated a hundred times.
