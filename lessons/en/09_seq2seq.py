# %% [markdown]
# # Lesson 9. Seq2Seq: one sequence into another
#
# **The idea.** A translator is a model of the next word. It learns with the
# right words before it and writes with its own. With attention, the length
# of the sentence stops being a limit.
#
# **Time:** 90 minutes. **You need:** lessons 5 (cross-entropy), 6 (GRU) and
# 8 (attention).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils import clip_grad_norm_

_ = ta.manual_seed(0)

# %% [markdown]
# ## A translation is a chain of words
#
# Let $x$ be the source and $y_1, \dots, y_T$ the target, where $y_T$ is a
# special token, the **end**. The probability of a whole translation is a
# product, by the definition of conditional probability:
#
# $$
# p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid y_1, \dots, y_{t-1}, x).
# $$
#
# So it is enough to model **one** step: the next word, given the source and
# the words before it. The logarithm turns the product into a sum, and we
# want it to be large. The loss is its negative, as a mean over the $n$ real
# tokens of a batch:
#
# $$
# L = -\frac1n \sum_{t} \ln p(y_t \mid y_{<t}, x).
# $$
#
# Let $z_t$ be the scores (logits) over the $V$ words at step $t$, so that
# $p_t = \mathrm{softmax}(z_t)$. Lesson 5 gave the gradient:
#
# $$
# \frac{\partial L}{\partial z_t} = \frac1n \, (p_t - \mathrm{onehot}(y_t)).
# $$
#
# **The guess minus the truth**, at every step at once. All the steps can be
# computed together, because in training the words before step $t$ are
# known.
#
# Our task is a small one: read a telephone number in Chinese characters and
# write it in English words. It needs no grammar, but every digit must be
# carried over, in the right order.

# %%
PAD, START, END = 0, 1, 2
CHINESE = ["", "", "", *"零一二三四五六七八九"]
ENGLISH = ["", "", ".", "zero", "one", "two", "three", "four", "five"]
ENGLISH += ["six", "seven", "eight", "nine"]
V, LONGEST = len(ENGLISH), 8


def numbers(B):
    """source (B, 8); what the decoder reads, and must say (B, 9)."""
    length = ta.randint(2, LONGEST + 1, (B, 1))  # (B, 1)
    digits = ta.randint(3, V, (B, LONGEST))  # (B, 8)
    source = digits.masked_fill(ta.arange(LONGEST) >= length, PAD)
    # A digit and its English word have the same id.
    reads = ta.cat((ta.full((B, 1), START), source), 1)  # (B, 9)
    room = ta.full((B, 1), PAD)  # (B, 1)
    last = ta.arange(LONGEST + 1) == length  # (B, 9)
    says = ta.cat((source, room), 1).masked_fill(last, END)  # (B, 9)
    return source, reads, says


def text(ids, words):
    return " ".join(words[i] for i in ids if i != PAD)


source, _, target = numbers(2)
for s, t in zip(source.tolist(), target.tolist(), strict=True):
    print(text(s, CHINESE), "->", text(t, ENGLISH))

# %% [markdown]
# ## The model
#
# The encoder reads the source; its last state becomes the decoder's first.
# The decoder reads the words before, one step late, and looks back at the
# encoder's states, if it has attention. Then one linear map gives the
# scores.
#
# Here is a mistake of a text that we began from. Its output layer is
# `Linear(2 * H, V)`, and it is given the GRU's output. **What does the
# error message of the next cell say, and what must be put beside the output
# so that the sizes fit?**

# %%
H = 32
output, _ = nn.GRU(2 * H, H)(ta.randn(1, 1, 2 * H))  # (1, 1, H)
try:
    nn.Linear(2 * H, V)(output)
except RuntimeError as error:
    print(error)

# %% [markdown]
# The layer is right, its input is not: it should be `[output; context]`, of
# width $2H$. The word to write depends on what the decoder knows **and** on
# what it sees in the source. Without attention there is no context, and the
# layer has the width $H$.


# %%
class Seq2Seq(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        self.source, self.target = nn.Embedding(V, H), nn.Embedding(V, H)
        self.encoder = nn.GRU(H, H, batch_first=True)
        self.decoder = nn.GRU(H, H, batch_first=True)
        self.query = nn.Linear(H, H)
        self.out = nn.Linear(2 * H if attention else H, V)

    def encode(self, source):
        """source (B, Ts): the decoder's first state and the memory."""
        h, _ = self.encoder(self.source(source))  # (B, Ts, H)
        real = source != PAD  # (B, Ts)
        last = real.sum(1) - 1  # (B,): the place of the last digit
        state = h[ta.arange(len(source)), last].unsqueeze(0)  # (1, B, H)
        return state, (h, real.unsqueeze(1))

    def decode(self, words, state, memory):
        """words (B, Tt) that were written: scores (B, Tt, V), state."""
        output, state = self.decoder(self.target(words), state)
        if self.attention:
            h, real = memory  # (B, Ts, H), (B, 1, Ts)
            query = self.query(output)  # (B, Tt, H)
            context = F.attention(query, h, h, "scaled_dot", real)
            output = ta.cat((output, context), 2)  # (B, Tt, 2H)
        return self.out(output), state


def translate(model, source, words):
    """Greedy: always the most probable word. Ids (B, words)."""
    state, memory = model.encode(source)
    word = ta.full((len(source), 1), START)  # (B, 1)
    written = []
    for _ in range(words):
        scores, state = model.decode(word, state, memory)  # (B, 1, V)
        word = scores.argmax(-1)  # (B, 1)
        written.append(word)
    return ta.cat(written, 1)  # (B, words)


# %% [markdown]
# ## Shift the target
#
# What does the decoder read in training? At step $t$ it must say $y_t$, and
# it may know $y_1, \dots, y_{t-1}$. So its input is the target **shifted by
# one place**, with a start token in front:
#
# | step | 1 | 2 | 3 |
# |---|---|---|---|
# | reads | *start* | four | seven |
# | must say | four | seven | *end* |
#
# What if one forgets to shift? Then the decoder reads the very word that it
# must say. Guess how its loss will look. We train three models: attention
# and a shifted target, the same without attention, and the one with the
# mistake.


# %%
def train(attention, shifted=True, steps=200):
    ta.manual_seed(0)
    model, losses = Seq2Seq(attention), []
    optimizer = ta.optim.Adam(model.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.015 * (1 - step / steps)
        source, reads, target = numbers(32)  # (B, Ts), (B, Tt), (B, Tt)
        state, memory = model.encode(source)
        words = reads if shifted else target  # (B, Tt)
        scores, _ = model.decode(words, state, memory)  # (B, Tt, V)
        scores = scores.flatten(0, 1)  # (B Tt, V)
        loss = F.cross_entropy(scores, target.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model, losses


models = {
    "with attention": train(attention=True),
    "without attention": train(attention=False),
    "not shifted": train(attention=True, shifted=False, steps=60),
}
source, _, target = numbers(500)  # (B, Ts), (B, Tt), never seen
real = (target != PAD).numpy()  # (B, Tt)
lengths = real.sum(1) - 1  # (B,): digits
right = {}
with ta.no_grad():
    for name, (model, losses) in models.items():
        written = translate(model, source, LONGEST + 1).numpy()  # (B, Tt)
        same = (written == target.numpy()) | ~real  # (B, Tt)
        right[name] = same.all(1)  # (B,)
        print(f"{name:18} loss {losses[-1]:.3f}", end="  ")
        print(f"whole numbers right: {right[name].mean():.0%}")

# %%
print(text(source[0].tolist(), CHINESE), "is read")
with ta.no_grad():
    for name, (model, _) in models.items():
        words = translate(model, source[:1], LONGEST + 1)[0].tolist()
        end = words.index(END) + 1 if END in words else len(words)
        print(f"{name:18}", text(words[:end], ENGLISH))
assert models["not shifted"][1][-1] < 0.01
assert right["not shifted"].mean() < 0.02

# %% [markdown]
# The model with the mistake has the smallest loss by far, nearly 0, and
# translates nothing. It has learned to **copy its input**. When it must
# read its own words, its first input is *start*, and there is nothing to
# copy. A loss that is too good is a reason to look at what the model is
# given.
#
# ## What attention is good for
#
# Of the two honest models, the one without attention must put the whole
# number into one vector of 32 numbers. The picture shows whole numbers that
# are right, by length:

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
digits = np.arange(2, LONGEST + 1)
for name, style in zip(right, ("-o", "--s"), strict=False):
    share = [100 * right[name][lengths == n].mean() for n in digits]
    axes.plot(digits, share, style, label=name)
axes.set_xlabel("digits of the number")
axes.set_ylabel("whole numbers right (%)")
axes.set_ylim(0, 105)
axes.set_title("200 batches of training, held-out numbers")
axes.legend()
axes.grid(alpha=0.3)
long = lengths >= 6
assert right["with attention"][long].mean() > 0.4
assert right["without attention"][long].mean() < 0.2

# %% [markdown]
# Short numbers fit into the vector, long ones do not. This is the picture
# that made attention known (Bahdanau et al. 2014, figure 2, with sentences
# of up to 60 words). Given more batches, the model without attention gets
# better, too; it only needs much longer, and a longer number brings the
# limit back.
#
# Training and writing differ in one thing. In training, a wrong guess has
# no consequences, since the next step is given the right word. In writing,
# it becomes the input of the next step. So always test a translator by
# letting it write.
#
# ## Your turn
#
# ```text
# python -m tinyattn.learn check 09a
# python -m tinyattn.learn check 09b
# ```
#
# - 09a, `shift_targets(targets, start, pad)`: what the decoder reads, and
#   which positions count in the loss. Padding must not count: it would make
#   the loss small and teach nothing (lesson 5).
# - 09b, `greedy_step(logits, done, end, pad)`: one step of writing for a
#   batch. `translate` above is simpler than it should be: it goes on after
#   the end, and we had to cut. A sentence that has ended must stay ended,
#   while the others go on.
#
# ## What you have learnt
#
# - A translation's probability is a product over its words, so the loss is
#   a mean of cross-entropies.
# - The decoder reads the target one place late. Not shifted, it copies,
#   with a loss near 0.
# - Without attention one vector must hold everything; with it, long inputs
#   stay within reach.
#
# ## Questions to try
#
# 1. Train both models with 600 batches. At which length does the one
#    without attention fail now?
# 2. Take the mask away (`real`). What changes in the loss, and what in the
#    translations of short numbers?
# 3. Numbers like 三三三 are harder than others. Look at the context that
#    attention gives for equal digits, and say why. What did the encoder of
#    lesson 8 have that this one lacks?
#
# ## In the source
#
# - `examples/translator_rnn.py`: the same model, with everything that it
#   needs for real sentences.
# - `tinyattn/text/search.py`: greedy decoding of a batch;
#   `tinyattn/text/search_beam.py`: several translations at once.
# - `tests/test_documents.py`: the decoder of the text, as it was and
#   mended.
#
# **Next:** lesson 10 (`10_scaled_dot_product.py`): attention as two
# products of matrices.
