# %% [markdown]
# # Lesson 11. The Transformer: a sum that every layer adds to
#
# **The idea.** A Transformer keeps one vector for each token, and every
# block adds something to it. Where the normalisation stands decides whether
# a deep stack of blocks can be trained.
#
# **Time:** 90 minutes. **You need:** lesson 10 (attention, masks, heads).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.viz import jacobian, jacobian_of

_ = ta.manual_seed(0)

# %% [markdown]
# ## A block
#
# Let $x$ (B, T, D) hold a vector of $D$ features for each of $T$ tokens. A
# block (Vaswani et al. 2017, arXiv:1706.03762) has two parts. In the first,
# tokens exchange information: attention with $h$ heads. In the second, each
# token is worked on alone: two linear maps with a ReLU between them,
# $\mathrm{ff}(x) = W_2 \max(0, W_1 x + b_1) + b_2$, where the middle is
# wider, often $4D$. The result of each part is **added** to its input:
#
# $$
# x \leftarrow x + \mathrm{attention}(x), \qquad
# x \leftarrow x + \mathrm{ff}(x).
# $$
#
# The sum needs no weights, so the gradient of $x + f(x)$ is $g + g f'$: the
# first term goes back without any change. In a stack of blocks there is a
# path from the loss to every layer on which nothing is multiplied.
#
# But a sum of many terms grows. So a **layer normalisation** (Ba, Kiros and
# Hinton 2016, arXiv:1607.06450) brings each token's vector to mean 0 and
# variance 1.
#
# ## Layer normalisation and its gradient
#
# For one token, with $\mu = \frac1D \sum_i x_i$ and
# $\sigma^2 = \frac1D \sum_i (x_i - \mu)^2$:
#
# $$
# y_i = \frac{x_i - \mu}{\sigma}.
# $$
#
# (A small $\varepsilon$ is added to $\sigma^2$, so that nothing is divided
# by 0. A learned factor and a learned bias follow; we leave all three out
# here.) Every $x_j$ moves every $y_i$, through $\mu$ and through $\sigma$.
# First these two:
#
# $$
# \frac{\partial \mu}{\partial x_j} = \frac1D, \qquad
# \frac{\partial \sigma}{\partial x_j}
# = \frac{1}{2\sigma} \cdot \frac{2 (x_j - \mu)}{D} = \frac{y_j}{D}.
# $$
#
# In the second one, $\mu$ also depends on $x_j$; but that part is
# multiplied by $\sum_i (x_i - \mu) = 0$. Now the quotient rule:
#
# $$
# \frac{\partial y_i}{\partial x_j}
# = \frac{1}{\sigma} \Big( \delta_{ij} - \frac1D \Big)
# - \frac{x_i - \mu}{\sigma^2} \cdot \frac{y_j}{D}
# = \frac{1}{\sigma} \Big( \delta_{ij} - \frac1D - \frac{y_i y_j}{D} \Big),
# $$
#
# where $\delta_{ij}$ is 1 if $i = j$ and else 0. Multiply by the gradient
# $g_i$ that arrives at $y_i$, and sum over $i$:
#
# $$
# \frac{\partial L}{\partial x_j}
# = \frac{1}{\sigma} \Big( g_j - \frac1D \sum_i g_i
# - y_j \, \frac1D \sum_i g_i y_i \Big).
# $$
#
# In words: take from $g$ its mean, and its part along $y$; then divide by
# $\sigma$. Both missing parts have a meaning. Adding the same number to all
# $x$ changes nothing, nor does stretching them. We check the matrix of all
# $\partial y_i / \partial x_j$ against the engine:

# %%
D = 6
x = ta.randn(D, dtype=ta.float64)  # (D,)
y = F.layer_norm(x, (D,), eps=0.0)  # (D,)
# (D, D): row i is dy_i / dx, one backward pass for each
measured = jacobian_of(lambda x: F.layer_norm(x, (D,), eps=0.0), x)
sigma = x.numpy().std()  # a number
values = y.numpy()  # (D,)
formula = np.eye(D) - 1 / D - np.outer(values, values) / D  # (D, D)
formula /= sigma
print("largest difference", abs(formula - measured).max())
assert np.allclose(formula, measured)
assert np.allclose(measured @ np.ones(D), 0)  # the same added to all x
assert np.allclose(measured @ values, 0)  # all x stretched
jacobian(measured, title="Layer norm: row i is the gradient of y_i")

# %% [markdown]
# ## Before or after?
#
# The paper of 2017 normalises **after** each sum:
# $x \leftarrow \mathrm{norm}(x + f(x))$. The path without multiplications
# is gone: now every step on it is multiplied by the matrix above, which
# divides by $\sigma$ and takes two directions away. With 6 blocks that
# happens 12 times.
#
# The other order normalises **before** each part:
# $x \leftarrow x + f(\mathrm{norm}(x))$, and once at the very end. Then
#
# $$
# x_{\text{last}} = x_0 + \sum_l f_l(\mathrm{norm}(x_l)),
# $$
#
# and the gradient of the sum reaches every layer unchanged (Xiong et al.
# 2020, arXiv:2002.04745). Is the difference large? We train both, 6 blocks
# deep, on a small language: each sequence repeats 2, 3 or 4 random letters.
# The first letters can't be foreseen, so the loss cannot reach 0. The third
# model normalises after the sum, too, but its learning rate rises slowly
# during the first 60 batches (**warm-up**).

# %%
V, T, D = 8, 12, 32


def sequences(B):
    """B sequences (B, T + 1) of a random period."""
    period = ta.randint(2, 5, (B, 1))  # (B, 1)
    letters = ta.randint(0, V, (B, 4))  # (B, 4)
    return letters.gather(1, ta.arange(T + 1) % period)  # (B, T + 1)


class Model(nn.Module):
    def __init__(self, blocks, norm_first):
        super().__init__()
        self.letter, self.place = nn.Embedding(V, D), nn.Embedding(T, D)
        order = {"batch_first": True, "norm_first": norm_first}
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            block = nn.TransformerEncoderLayer(D, 4, 4 * D, 0.0, **order)
            self.blocks.append(block)
        self.norm, self.out = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, letters):
        """letters (B, T): scores (B, T, V) of the letters that follow."""
        T = letters.shape[1]
        future = ~ta.ones(T, T, dtype=ta.bool).tril()  # (T, T)
        x = self.letter(letters) + self.place.weight[:T]  # (B, T, D)
        for block in self.blocks:
            x = block(x, src_mask=future, is_causal=True)  # (B, T, D)
        return self.out(self.norm(x))


def train(norm_first, warmup, steps=80):
    ta.manual_seed(0)
    model, losses = Model(6, norm_first), []
    optimizer = ta.optim.Adam(model.parameters())
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, step / warmup)
        batch = sequences(16)  # (B, T + 1)
        scores = model(batch[:, :-1]).flatten(0, 1)  # (B T, V)
        loss = F.cross_entropy(scores, batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


trained = {
    "norm before": train(True, 1),
    "norm after": train(False, 1),
    "norm after, warm-up": train(False, 60),
}
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for name, style in zip(trained, ("-", ":", "--"), strict=True):
    axes.plot(trained[name][1], ls=style, label=name)
axes.axhline(np.log(V), color="gray", lw=0.8)
axes.set_xlabel("batches")
axes.set_ylabel("loss (grey line: ln 8, a blind guess)")
axes.set_title("Six blocks, one learning rate")
axes.legend()
axes.grid(alpha=0.3)
last = {name: np.mean(run[1][-10:]) for name, run in trained.items()}
print({name: round(float(loss), 2) for name, loss in last.items()})
assert last["norm before"] < last["norm after"] - 0.4

# %% [markdown]
# With the normalisation after the sums, the model stays near a blind guess.
# Warm-up helps it much: small steps at first, until the gradients have a
# reasonable size. With the normalisation before, the model learns best, and
# needs no warm-up. This is why nearly all deep Transformers today use it.
#
# ## Without positions, order does not exist
#
# A token's vector enters attention only through sums over all tokens, and a
# sum does not know the order of its terms. So, without a mask, **if the
# tokens change places, the outputs change places and nothing else
# happens**:

# %%
block = nn.TransformerEncoderLayer(D, 4, 4 * D, 0.0, batch_first=True)
x = ta.randn(1, 5, D)  # (B, T, D)
order = ta.tensor([3, 0, 4, 1, 2])  # (T,)
moved = block(x[:, order])  # (B, T, D)
assert np.allclose(moved.detach(), block(x)[:, order].detach(), atol=1e-5)
places = ta.randn(5, D)  # (T, D): a vector for each place
moved = block(x[:, order] + places)  # (B, T, D)
plain = block(x + places)[:, order]  # (B, T, D)
same = np.allclose(moved.detach(), plain.detach(), atol=1e-5)
print("with positions, is the order still without effect?", same)
assert not same

# %% [markdown]
# "Dog bites man" and "man bites dog" would be the same. That is why `Model`
# adds a vector for each place to the letters. If you forget it, nothing
# raises an error; the test above is the one to write.
#
# ## The cache: the past does not move, so keep it
#
# A translator writes one word at a time. Without care, step $t$ runs all
# $t$ tokens through all blocks: $1 + 2 + \dots + T = T(T+1)/2$ in the end.
# But the mask promises that a new token does not change the earlier ones
# (lesson 10). Their keys and values stay as they were, so each layer keeps
# them in a **cache**, and a step needs to run one token only: $T$ in all.
# The results must be the same:

# %%
layer = nn.TransformerDecoderLayer(D, 4, 4 * D, 0.0, batch_first=True)
decoder = nn.TransformerDecoder(layer, 2)
memory = ta.randn(1, 7, D)  # (B, Ts, D): what an encoder would give
target = ta.randn(1, 20, D)  # (B, T, D)
with ta.no_grad():
    future = ~ta.ones(20, 20, dtype=ta.bool).tril()  # (T, T)
    whole = decoder(target, memory, tgt_mask=future)  # (B, T, D)
    cache, steps = decoder.new_cache(), []
    for token in target.split(1, 1):  # (B, 1, D)
        steps.append(decoder(token, memory, cache=cache))  # (B, 1, D)
    difference = abs(ta.cat(steps, 1) - whole).max().item()
print(f"largest difference {difference:.1e}")
print("tokens run: 20 with the cache,", 20 * 21 // 2, "without")
assert difference < 1e-5

# %% [markdown]
# ## Your turn
#
# ```text
# python -m tinyattn.learn check 11a
# python -m tinyattn.learn check 11b
# python -m tinyattn.learn check 11c
# ```
#
# - 11a,
#   `transformer_block(x, attention, feed_forward, norm_1, norm_2, norm_first)`:
#   one block, in both orders.
# - 11b, `is_causal(model, T, D)`: write the test. It says whether the
#   future leaves the past alone. Take care: "changing token 5 changed
#   output 2" must be found for every pair of places, and a leak may be
#   small or concern one feature only.
# - 11c, `layer_norm_backward(grad, x, weight, eps)`: from the formula
#   above. With a learned factor, $z_i = w_i y_i + b_i$, the gradient that
#   arrives at $y_i$ is $g_i w_i$; those of $w_i$ and $b_i$ are
#   $\sum g_i y_i$ and $\sum g_i$ over all tokens.
#
# ## What you have learnt
#
# - Blocks add to a sum, and the gradient of a sum goes to every term
#   unchanged. A normalisation on that path multiplies it.
# - The gradient of layer norm is $g$ without its mean and without its part
#   along $y$, divided by $\sigma$.
# - Positions must be added; and what a mask promises makes a cache
#   possible.
#
# ## Questions to try
#
# 1. Train with 2 blocks instead of 6. Does the order of the normalisation
#    still matter? And with a learning rate of 0.001?
# 2. Take `self.place` away. A causal mask remains, so the order is not
#    quite lost. Which letters of a sequence can be foreseen, and why?
# 3. What becomes of the gradient of layer norm if $\sigma$ is very small?
#    Which tokens have a small $\sigma$?
#
# ## In the source
#
# - `tinyattn/nn/transformer.py`: the layers, in both orders.
# - `tinyattn/ops/normalising.py`: layer norm, with the derivation above.
# - `examples/translator_transformer.py`: the translator, whole.
#
# **Next:** lesson 12 (`12_long_sequences.py`): attention over long
# sequences, without the $T \times T$ matrix.
