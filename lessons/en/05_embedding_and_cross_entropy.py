# %% [markdown]
# # Lesson 5. Words in, words out: embedding and cross-entropy
#
# **The idea.** A model of language begins by looking words up in a table
# and ends by comparing its guess with the right word. Both gradients are
# short: one *adds up rows*, the other is *guess minus truth*.
#
# **Time:** 45 minutes. **You need:** lesson 4 (softmax).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
from tinyattn import nn

np.set_printoptions(precision=4, suppress=True)
F = nn.functional

# %% [markdown]
# ## Words in: a table
#
# Number the words of a vocabulary from 0 to $V-1$. An **embedding** is a
# table $E$ of shape $(V, D)$: row $v$ holds $D$ numbers for word $v$, and
# training will choose them. Looking up a sentence of $T$ tokens
# $w_1, \dots, w_T$ copies rows: $x_t = E_{w_t}$, shape $(T, D)$.

# %%
E = np.array([[0, 0.1], [1, 1.1], [2, 2.1], [3, 3.1]])  # (V=4, D=2)
tokens = np.array([2, 0, 2])  # (T=3,): token 2 stands there twice
x = E[tokens]  # (T, D)
print(x)

# %% [markdown]
# ### Its gradient
#
# Let $g_t = \partial L / \partial x_t$ arrive, shape $(T, D)$. How does the
# loss depend on row $v$ of the table? Write the look-up as a sum over all
# rows, where $1_{[w_t = v]}$ is 1 if token $t$ is $v$ and else 0:
#
# $$
# x_t = \sum_{v} 1_{[w_t = v]} E_v, \qquad\text{so}\qquad
# \frac{\partial L}{\partial E_v} = \sum_{t} 1_{[w_t = v]}\, g_t.
# $$
#
# In words: **row $v$ gets the sum of the gradients of all places where
# token $v$ stands.** A row that was not used gets 0. This is called a
# *scatter-add*. In the example row 2 gets $g_1 + g_3$, row 0 gets $g_2$,
# rows 1 and 3 get nothing.
#
# Now the trap. Count how often each token occurs, with NumPy:

# %%
count = np.zeros(4)  # (V,)
count[tokens] += 1
print("counted ", count)  # token 2 stands there twice!
print("bincount", np.bincount(tokens, minlength=4))
assert count[2] == 1

# %% [markdown]
# `count[tokens] += 1` reads all the numbers, adds 1 to each, and writes
# them back. Token 2 is read twice as 0 and written twice as 1. An
# assignment `dE[tokens] = g` loses gradients in the same way: if a word
# occurs ten times in a batch, only one of its ten gradients is kept.
# Training goes on, but worse, and nothing raises an error. The engine adds:

# %%
table = ta.tensor(E, requires_grad=True)  # (V, D)
g = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])  # (T, D)
F.embedding(ta.tensor(tokens), table).backward(ta.tensor(g))
print(table.grad)  # (V, D)
assert table.grad[2].tolist() == [101.0, 202.0]  # g_1 + g_3
assert table.grad[1].tolist() == [0.0, 0.0]

# %% [markdown]
# ## Words out: how surprised is the model?
#
# At each place the model gives a score $z_v$ to every word of the
# vocabulary, $z$ of shape $(V,)$. Softmax makes probabilities
# $p_v = e^{z_v} / \sum_k e^{z_k}$. If the right word is $c$, the loss is
#
# $$
# L = -\ln p_c = -z_c + \ln \sum_k e^{z_k}.
# $$
#
# This is the **cross-entropy**. It is 0 if the model is sure and right, and
# large if it gave the right word a small probability. $e^L = 1 / p_c$ is
# the **perplexity**: the model is as unsure as if it chose among that many
# equally likely words. A model that knows nothing has perplexity $V$ and
# loss $\ln V$. Look for that number at step 0 of every training.
#
# The right-hand form matters. Let $z = (1000, 0)$ and $c = 1$, counted from
# 0. In floating point the first form finds $p_c = 0$ and $L = \infty$. The
# second gives 1000, if the maximum $m$ is taken out of the sum (lesson 4):
# $\ln \sum_k e^{z_k} = m + \ln \sum_k e^{z_k - m}$.
#
# ### Its gradient
#
# Differentiate the right-hand form. The first term gives $-1$ if $v = c$
# and else 0. The second gives $e^{z_v} / \sum_k e^{z_k}$, and that is
# $p_v$ again:
#
# $$
# \boxed{\;\frac{\partial L}{\partial z_v} = p_v - 1_{[v = c]}\;}
# $$
#
# **The guess minus the truth.** No Jacobian is left. With
# $z = (\ln 1, \ln 2, \ln 5)$ and $c = 1$:
# $p = (\frac18, \frac28, \frac58)$, $L = \ln 4$, perplexity 4, gradient
# $(\frac18, -\frac68, \frac58)$. The right word is pulled up by what it
# lacks, the others are pushed down by what they have too much, and the
# sum is 0.

# %%
z = np.log([[1.0, 2.0, 5.0]])  # (N=1, V=3)
logits = ta.tensor(z, requires_grad=True)  # (1, V)
loss = F.cross_entropy(logits, ta.tensor([1]))  # ()
loss.backward()
print("loss", loss.item(), "perplexity", np.exp(loss.item()))
print("gradient", logits.grad)
assert np.allclose(loss.item(), np.log(4))
assert np.allclose(logits.grad.numpy(), [[1 / 8, -6 / 8, 5 / 8]])
assert ta.gradcheck(lambda z: F.cross_entropy(z, ta.tensor([1])), logits)

# %% [markdown]
# ## Padding does not count
#
# Sentences of a batch have different lengths. The shorter ones are filled
# up with a padding token, here number 0. The loss is the mean over the
# **real** tokens, $n$ of them:
#
# $$
# L = -\frac1n \sum_{b,t\ \text{real}} \ln p_{b,t,c_{b,t}}, \qquad
# \frac{\partial L}{\partial z_{b,t,v}} =
# \begin{cases}
# \frac1n (p_{b,t,v} - 1_{[v = c_{b,t}]}) & \text{real} \\
# 0 & \text{padding.}
# \end{cases}
# $$
#
# There are two ways to get this wrong: to let padding take part, and to
# divide by $B \cdot T$ instead of $n$. Both have the same symptom, which is
# a test: **more padding must not change the loss.**

# %%
rng = np.random.default_rng(0)
z = rng.standard_normal((2, 4, 5))  # (B, T, V)
targets = np.array([[3, 1, 4, 2], [2, 2, 0, 0]])  # (B, T), 0 = padding


def padded(array, more):
    """(B, T, ...) -> (B, T + more, ...), filled up with 0."""
    return np.pad(array, [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2))


for more in (0, 4):
    flat = ta.tensor(padded(z, more).reshape(-1, 5))  # (B * T, V)
    right = ta.tensor(padded(targets, more).reshape(-1))  # (B * T,)
    good = F.cross_entropy(flat, right, ignore_index=0)  # ()
    total = F.cross_entropy(flat, right, ignore_index=0, reduction="sum")
    wrong = total.item() / right.numel()  # divided by the padded length
    print(f"{more} more: loss {good.item():.4f}, wrong {wrong:.4f}")
    assert np.isclose(good.item(), total.item() / 6)  # 6 real tokens

# %% [markdown]
# ## Both in one picture
#
# The smallest model of language: look a word up, multiply by a matrix $W$
# of shape $(D, V)$, guess the next word. The sentence is "the cat sees the
# dog", the targets are "cat sees the dog .".

# %%
words = ["<pad>", "the", "a", "cat", "dog", "sees", "hears", "."]  # V = 8
number = {word: i for i, word in enumerate(words)}
source = ["the", "cat", "sees", "the", "dog"]  # T = 5
ids = ta.tensor([number[word] for word in source])  # (T,)
target = ta.tensor([number[word] for word in [*source[1:], "."]])  # (T,)

ta.manual_seed(0)
table = ta.randn(8, 6, dtype=ta.float64, requires_grad=True)  # (V, D)
W = ta.randn(6, 8, dtype=ta.float64, requires_grad=True)  # (D, V)
logits = F.embedding(ids, table) @ W  # (T, D) @ (D, V) -> (T, V)
logits.retain_grad()
F.cross_entropy(logits, target).backward()

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
axes[0].set_xticks(range(8), words, rotation=45)
axes[1].set_xlabel("feature")
shown = {
    "logits: guess minus truth, / 5": (logits.grad.numpy(), source),
    "table: the rows of words that occur": (table.grad.numpy(), words),
}
for axis, (title, (array, rows)) in zip(axes, shown.items(), strict=True):
    top = abs(array).max()
    image = axis.imshow(array, cmap="PuOr", vmin=-top, vmax=top)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_title(title)
    figure.colorbar(image, ax=axis, label="gradient")

# %% [markdown]
# Left: every row has one negative cell, the word that should have come,
# and sums to 0. Right: only "the", "cat", "sees" and "dog" have gradients.
# "the" occurs twice, followed by "cat" and by "dog": its row got both. The
# table learns only from words that occur, which is why rare words are
# learnt badly.

# %%
unused = [number[word] for word in words if word not in source]
assert not table.grad.numpy()[unused].any()
assert np.allclose(logits.grad.numpy().sum(axis=1), 0)


def loss_of(table, W):
    return F.cross_entropy(F.embedding(ids, table) @ W, target)  # ()


assert ta.gradcheck(loss_of, (table, W))

# %% [markdown]
# ## Your turn
#
# Write both backwards with NumPy:
#
# - `embedding_backward(grad, tokens, V)`: `grad` (B, T, D), `tokens`
#   (B, T), gives the gradient (V, D) of the table. NumPy has a function
#   that adds at repeated indices; a plain loop is right, too.
# - `cross_entropy_backward(logits, targets, pad)`: `logits` (N, V) and
#   `targets` (N,) of all $N = B \cdot T$ places give the gradient (N, V) of
#   the mean loss over the targets that are not `pad`.
#
# ```text
# python -m tinyattn.learn check 05a
# python -m tinyattn.learn check 05b
# ```
#
# ## What you have learnt
#
# - The gradient of a look-up is a scatter-add: repeated tokens add up.
# - The gradient of cross-entropy is guess minus truth, over the number of
#   real tokens.
# - More padding must not change a loss. This is a test for every model.
#
# ## Questions to try
#
# 1. What are loss and gradient if all the logits of a place are equal?
#    Why does an untrained model start near $\ln V$?
# 2. Train the little model above for 100 steps of `ta.optim.Adam`. It
#    cannot reach loss 0. Which word is the reason, and what is the lowest
#    loss that any table could reach?
# 3. Label smoothing says that the truth is 0.9 for the right word and the
#    rest spread over all others. What becomes of "guess minus truth"?
#
# ## In the source
#
# `tinyattn/ops/losses.py` and `tinyattn/ops/indexing.py`;
# `tinyattn/kernels/reference/embedding.py` and
# `tinyattn/kernels/reference/cross_entropy.py` are the arithmetic.
#
# **Next:** lesson 6, the GRU (`06_gru.py`).
