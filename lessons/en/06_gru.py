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
import random

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
# A task that needs memory: reading. The sentences are about soup, bread and
# music, and after every word the network must say **what the last opinion
# was**: 1 for good, $-1$ for bad, 0 as long as there is none. "Not" turns
# the opinion that follows: "not very good" is bad. And there are words
# that have nothing to do with it.
#
# So the state must keep the opinion over many words, and a "not" until its
# opinion comes. Each word becomes $D = 8$ numbers (lesson 5), and the state
# has $H = 3$.

# %%
GOOD = ["good", "great", "lovely", "fine"]
BAD = ["bad", "awful", "cold", "dull"]
OTHERS = """not very the soup bread music was and but
we came by train it rained all day"""
WORDS = GOOD + BAD + OTHERS.split()
choose = random.Random(0)


def clause():
    """Words, each with the opinion after it: 1, -1, or None as before."""
    if choose.random() < 0.35:
        words = choose.choice(["we came by train", "it rained all day"])
        return [(word, None) for word in words.split()]
    opinion, turned = choose.choice(GOOD + BAD), choose.random() < 0.5
    words = ["the", choose.choice(["soup", "bread", "music"]), "was"]
    words += ["not"] * turned + ["very"] * (choose.random() < 0.5)
    sign = 1 if (opinion in GOOD) != turned else -1
    return [*((word, None) for word in words), (opinion, sign)]


def batch(B, T):
    """Words by number (B, T), the right answers (B, T)."""
    numbers, answers = np.zeros((B, T), int), np.zeros((B, T))
    for row in range(B):
        pairs, last = [], 0
        while len(pairs) < T:
            pairs += [*clause(), (choose.choice(["and", "but"]), None)]
        for t, (word, opinion) in enumerate(pairs[:T]):
            last = last if opinion is None else opinion
            numbers[row, t], answers[row, t] = WORDS.index(word), last
    return ta.tensor(numbers), ta.tensor(answers).float()


ta.manual_seed(0)
embedding = nn.Embedding(len(WORDS), 8)  # D = 8
gru = nn.GRU(8, 3, batch_first=True)  # H = 3
out = nn.Linear(3, 1)
parameters = [p for m in (embedding, gru, out) for p in m.parameters()]
optimizer = ta.optim.Adam(parameters, lr=0.02)
for step in range(401):
    numbers, answers = batch(32, 24)  # (B, T), (B, T)
    states, _ = gru(embedding(numbers))  # (B, T, H)
    loss = F.mse_loss(out(states).squeeze(-1), answers)  # ()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss.item():.3f}")
assert loss.item() < 0.1

# %% [markdown]
# Now let it read a sentence, and look at its update gate.
# `viz.gates_of` gives the gates of any model that uses a GRU or an LSTM;
# `viz.gates` draws them for models of any size.


# %%
def read(numbers):
    """The answers (B, T) and the gates r, z, n: (B, T, H)."""
    with ta.no_grad():
        gates = viz.gates_of(lambda: gru(embedding(numbers)))[0]
        answers = out(gru(embedding(numbers))[0]).squeeze(-1)
    return answers.numpy(), {k: g.swapaxes(0, 1) for k, g in gates.items()}


sentence = """the soup was not very good but we came by train
and the bread was great"""
words = sentence.split()
T = len(words)
numbers = ta.tensor([[WORDS.index(word) for word in words]])  # (1, T)
guess, gates = read(numbers)  # (1, T), each (1, T, H)

figure, axes = plt.subplots(2, figsize=(8, 4), layout="constrained")
axes[0].bar(np.arange(T), guess[0], color="0.4")
axes[0].set_title("The answer after each word: 1 good, -1 bad")
axes[0].set_xticks([])
axes[0].margins(x=0)
z = gates["z"][0].T  # (H, T)
image = axes[1].imshow(z, "gray", aspect="auto", vmin=0, vmax=1)
axes[1].set_title("The update gate z (black, 0: written; white, 1: kept)")
axes[1].set_xticks(np.arange(T), words, rotation=45, ha="right")
axes[1].set_yticks(range(3), ["unit 0", "unit 1", "unit 2"])
figure.colorbar(image, label="z")
axes[0].grid(alpha=0.3)

# %% [markdown]
# The answer changes with "good", which "not" has turned, and with "great".
# Over "but we came by train and the" it stays. Which words open the gate?
# Here is the mean of $z$ over the units, for every word; the bar shows how
# far the gate is open:

# %%
numbers, answers = batch(300, 24)  # sentences that it has not seen
guess, gates = read(numbers)
said, right = np.sign(guess), answers.numpy()
share = (said == right)[right != 0].mean()
print(f"right after {share:.1%} of the words")
z, found = gates["z"], numbers.numpy()
mean = {w: z[found == i].mean() for i, w in enumerate(WORDS)}
for word in sorted(mean, key=mean.get):
    print(f"{word:8}{mean[word]:.2f}", "#" * round(30 * (1 - mean[word])))
assert share > 0.95
assert max(mean[word] for word in ["not", *GOOD, *BAD]) < 0.6
assert min(mean[word] for word in ["very", "and", "but"]) > 0.8

# %% [markdown]
# "Not" and the words of opinion open the gate: the state is written. "Very",
# "and", "but" leave it closed, so that a "not" passes "very", and an opinion
# passes what follows. Nobody told the network what these words mean. The
# gradient of the gate did, $dz = g \odot (h - n)$: where the old state would
# have been better than the candidate, $z$ is raised, and lowered where the
# candidate would have been better. Each unit has a gate of its own: look at
# the picture for the unit that "not" writes.
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
# 3. With $H = 1$ the network is right after about 90 % of the words. Which
#    words does it get wrong? What can't one number hold at the same time?
#
# ## In the source
#
# `tinyattn/kernels/reference/gru.py`: forward and backward over whole
# sequences in NumPy; `native/gru.c`: the same in C;
# `tinyattn/ops/recurrent.py`: the operation.
#
# **Next:** lesson 7, through time (`07_through_time.py`): what happens to
# the gradient when this step is repeated a hundred times.
