# %% [markdown]
# # Lesson 8. Attention: the decoder looks back
#
# **The idea.** A decoder that looks back at all states of the encoder
# learns which source word belongs to which target word, although nobody
# tells it.
#
# **Time:** 75 minutes. **You need:** lessons 4 (softmax) and 6 (GRU).

# %%
import random

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.viz import Trace, forming_page

_ = ta.manual_seed(0)

# %% [markdown]
# ## One vector is too narrow
#
# A translator without attention reads the whole sentence and keeps its last
# state, one vector of $H$ numbers. The decoder must write every word from
# this vector. A long sentence does not fit into it.
#
# Bahdanau, Cho and Bengio (2014, arXiv:1409.0473) keep **all** states
# $h_1, \dots, h_T$ of the encoder, one for each source word. Before each
# target word the decoder, whose state is $q$ (the **query**), does three
# things.
#
# 1. **Score.** It compares $q$ with every state:
#    $s_j = v \cdot \tanh(W_q q + W_k h_j)$. The matrices $W_q$, $W_k$ and
#    the vector $v$ are learned. This score is called **additive**.
# 2. **Weight.** Softmax turns the scores into weights:
#    $a_j = e^{s_j} / \sum_i e^{s_i}$. They are positive and their sum is 1.
# 3. **Sum.** The **context** is the weighted mean of the states:
#    $c = \sum_j a_j h_j$.
#
# By hand: let $h_1 = (1, 0)$, $h_2 = (0, 1)$, $h_3 = (1, 1)$ with the
# scores $0, \ln 2, \ln 5$. Then $e^{s} = (1, 2, 5)$, the sum is 8, and
# $a = (\frac18, \frac28, \frac58)$. The context is
# $(\frac18 + \frac58, \frac28 + \frac58) = (0.75, 0.875)$.
#
# `F.attention` takes a score by name, or any function. Here the function
# gives our scores:

# %%
h = ta.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (T, H) = (3, 2)
s = ta.tensor([[1.0, 2.0, 5.0]]).log()  # (1, T): one query
q = ta.zeros(1, 2)  # (1, H), not used by our score
c, a = F.attention(q, h, h, lambda q, k: s, need_weights=True)
print("weights", a.numpy(), "context", c.numpy())  # (1, T), (1, H)
assert np.allclose(a.numpy(), [[1 / 8, 2 / 8, 5 / 8]])
assert np.allclose(c.numpy(), [[0.75, 0.875]])

# %% [markdown]
# ## The gradient says where to look
#
# How does the decoder learn the weights? Let $L$ be the loss and
# $g = \partial L / \partial c$ the gradient that arrives at the context.
# From $c = \sum_j a_j h_j$ follows
#
# $$
# \frac{\partial L}{\partial a_j} = g \cdot h_j .
# $$
#
# Lesson 4 gave the gradient of softmax:
#
# $$
# \frac{\partial L}{\partial s_j} = a_j \Big(
# \frac{\partial L}{\partial a_j} - \sum_i a_i \frac{\partial L}{\partial a_i}\Big).
# $$
#
# Put the first into the second. The sum over $i$ is
# $g \cdot \sum_i a_i h_i = g \cdot c$, so
#
# $$
# \frac{\partial L}{\partial s_j} = a_j \; g \cdot (h_j - c).
# $$
#
# Read it: a step of gradient descent raises the score of $h_j$ if $h_j$
# would lower the loss **more than the present mean $c$ does**. This line is
# the whole reason why attention finds the right word.
#
# The score itself is next. Write $u = W_q q + W_k h_j$ and $t = \tanh u$,
# so $s_j = v \cdot t$ and $\tanh' = 1 - t^2$. With
# $r = \partial L / \partial s_j$:
#
# $$
# \frac{\partial L}{\partial v} = r\,t, \qquad
# \delta = \frac{\partial L}{\partial u} = r\, v\, (1 - t^2), \qquad
# \frac{\partial L}{\partial q} = W_q^\top \delta, \qquad
# \frac{\partial L}{\partial W_q} = \delta\, q^\top ,
# $$
#
# where $v(1 - t^2)$ is a product element by element. For $h_j$ and $W_k$
# the last two hold with $W_k$ and $h_j$. If several $j$ are scored, their
# gradients add up in $v$, $q$ and $W_q$.

# %%
H, T = 4, 5
scores = ta.randn(1, T, dtype=ta.float64, requires_grad=True)  # (1, T)
h = ta.randn(T, H, dtype=ta.float64)  # (T, H)
g = ta.randn(1, H, dtype=ta.float64)  # (1, H), dL/dc
# (1, H), (1, T)
c, a = F.attention(h[:1], h, h, lambda q, k: scores, need_weights=True)
c.backward(g)
by_formula = a.detach() * (g * (h - c.detach())).sum(-1)  # (1, T)
print("formula", by_formula.numpy()[0].round(4))
print("engine ", scores.grad.numpy()[0].round(4))
assert np.allclose(by_formula.numpy(), scores.grad.numpy())

# One query and one key by the formulas of the score.
rng = np.random.default_rng(0)
q, k, v = rng.normal(size=(3, H))  # (H,) each
Wq, Wk = rng.normal(size=(2, H, H))  # (H, H) each
t = np.tanh(Wq @ q + Wk @ k)  # (H,)
delta = v * (1 - t**2)  # (H,), with r = 1
arrays = q[None], k[None], Wq, Wk, v
tensors = [ta.tensor(x, requires_grad=True) for x in arrays]
F.scores["additive"](*tensors).sum().backward()
expected = (
    Wq.T @ delta,  # (H,), of q
    Wk.T @ delta,  # (H,), of k
    np.outer(delta, q),  # (H, H), of W_q
    np.outer(delta, k),  # (H, H), of W_k
    t,  # (H,), of v
)
for x, right in zip(tensors, expected, strict=True):
    assert np.allclose(x.grad.numpy(), right)
print("all five gradients of the score agree")

# %% [markdown]
# ## Find the axis
#
# A text that this project began from computes its weights as in the next
# cell: the decoder's state is (1, 1, H), the encoder's states are (T, H).
# It runs and prints no warning. **Which line is wrong, and what should
# stand there?** Look at the weights before you read on.

# %%
state = ta.randn(1, 1, H)  # (1, 1, H)
outputs = ta.randn(T, H)  # (T, H)
scores = state @ outputs.transpose(0, 1)  # (1, 1, T)
weights = scores.softmax(dim=1)
print(weights.numpy())

# %% [markdown]
# Every weight is 1. Axis 1 of a (1, 1, T) array has length 1, and
# $e^{s}/e^{s} = 1$ whatever the score is. The source words stand on the
# **last** axis: `dim=-1`. This mistake does not stop training, since the
# "context" is still the sum of all states; it only takes attention away. A
# one-line test finds it: the weights of one query must add up to 1.
#
# ## Find the missing mask
#
# In a batch, short sentences are filled up with padding. Padding must get
# weight 0. Where does the mask belong, before softmax or after it? Here are
# two source words and two places of padding:

# %%
scores = ta.tensor([[2.0, 1.0, 0.0, 0.0]])  # (1, T) = (1, 4)
present = ta.tensor([[True, True, False, False]])  # (1, T)
states = ta.randn(4, H)  # (T, H)
without = scores.softmax(-1)  # (1, T)
after = without * present  # (1, T)
_, before = F.attention(
    states[:1],
    states,
    states,
    lambda q, k: scores,
    mask=present,
    need_weights=True,
)  # before (1, T)
for name, a in (("no", without), ("late", after), ("early", before)):
    total = a.sum().item()
    print(f"{name:5} mask {a.numpy()[0].round(3)} sum {total:.3f}")

# %% [markdown]
# With the mask after softmax the rest adds up to less than 1: the padding
# has already taken its part in the denominator. The longer the padding, the
# smaller the context, so a sentence's translation depends on the other
# sentences in its batch. The mask belongs **before** softmax, where a
# masked score becomes $-\infty$ and $e^{-\infty} = 0$. If everything is
# masked, $0/0$ must not become NaN: the weights and the context are then 0.
#
# ## Your turn
#
# Write, with NumPy,
#
# - `additive_scores(query, keys, w_q, w_k, v)`: one query for each
#   sentence, (B, D); the scores (B, T). Vectors are rows here, so $W_q q$
#   is `query @ w_q`;
# - `context(scores, values, mask)`: masked softmax and the weighted sum,
#   the context (B, D) and the weights (B, T).
#
# ```text
# python -m tinyattn.learn check 08a
# python -m tinyattn.learn check 08b
# ```
#
# ## The alignment forms
#
# Now let a small translator learn. Each sentence has two clauses with up to
# five parts each. Chinese puts time and place **before** the verb, English
# puts them **after** the object:
#
# `wo zuotian zai-gongyuan mai shu` → `I bought books in-the-park yesterday`
#
# Word $i$ of both lists means the same, so we know the right alignment of
# every target word. The model is never told.

# %%
PARTS = ["who", "when", "where", "did", "what"]
CHINESE = [
    *("<pad>", "<start>"),
    *("wo", "ta", "women", "tamen"),
    *("zuotian", "shangzhou", "jinzao", "qunian"),
    *("zai-jia", "zai-xuexiao", "zai-gongyuan", "zai-shudian"),
    *("kan", "mai", "hua", "zhao"),
    *("shu", "cha", "pingguo", "dangao"),
]
ENGLISH = [
    *("<pad>", "<start>"),
    *("I", "he", "we", "they"),
    *("yesterday", "last-week", "this-morning", "last-year"),
    *("at-home", "at-school", "in-the-park", "in-the-shop"),
    *("saw", "bought", "drew", "found"),
    *("books", "tea", "apples", "cakes"),
]
V, PAD, START = len(ENGLISH), 0, 1


def pair(rng):
    """Source ids, target ids, and where each target word comes from."""
    source, target, origin = [], [], []
    for _ in range(2):
        word = {
            part: 2 + 4 * i + rng.randrange(4)
            for i, part in enumerate(PARTS)
            if part not in ("when", "where") or rng.random() < 0.7
        }
        first = len(source)
        source += word.values()
        for part in ("who", "did", "what", "where", "when"):
            if part in word:
                target.append(word[part])
                origin.append(source.index(word[part], first))
    return source, target, origin


def batch(rng, B):
    """Three arrays of ids (B, T), filled up: source, target, origin."""
    columns = zip(*(pair(rng) for _ in range(B)), strict=True)
    fills = (PAD, PAD, -1)
    filled = []
    for rows, fill in zip(columns, fills, strict=True):
        T = max(map(len, rows))
        rows = [row + [fill] * (T - len(row)) for row in rows]
        filled.append(np.array(rows))
    return filled


source, target, origin = batch(random.Random(4), 2)
print("reads ", *(CHINESE[i] for i in source[0]))
print("writes", *(ENGLISH[i] for i in target[0]))
print("from source word", origin[0])

# %% [markdown]
# The encoder is a GRU in both directions, so $h_j$ knows the words on both
# sides of word $j$. The decoder can work in two orders. In the paper of
# 2014, and in the text that we began from, it **looks before it reads**:
# the query is the state before the last written word was read, and the
# context enters the GRU together with that word. Luong, Pham and Manning
# (2015, arXiv:1508.04025) let it **read first** and then look, with a state
# that knows that word.


# %%
class Translator(nn.Module):
    def __init__(self, H, order):
        super().__init__()
        self.order = order
        self.source, self.target = nn.Embedding(V, H), nn.Embedding(V, H)
        self.encoder = nn.GRU(H, H // 2, bidirectional=True)
        width = H if order == "read, look" else 2 * H
        self.decoder = nn.GRU(width, H)
        self.first = nn.Linear(H, H)
        self.query = nn.Linear(H, H)  # W_q
        self.key = nn.Linear(H, H, bias=False)  # W_k
        self.v = nn.Parameter(ta.randn(H) * H**-0.5)
        self.out = nn.Linear(2 * H, V)

    def look(self, states, h, present):
        """states (Tq, B, H): contexts (Tq, B, H), weights (B, Tq, T)."""
        context, weights = F.attention(
            self.query(states.transpose(0, 1)),  # (B, Tq, H)
            self.key(h),  # (B, T, H)
            h,  # (B, T, H)
            "additive",
            present,  # (B, 1, T)
            need_weights=True,
            v=self.v,
        )
        return context.transpose(0, 1), weights

    def forward(self, source, target):
        """source, target (B, T): scores (Tt, B, V), weights (B, Tt, T)."""
        h, _ = self.encoder(self.source(source.t()))  # (T, B, H)
        h = h.transpose(0, 1).contiguous()  # (B, T, H)
        present = (source != PAD).unsqueeze(1)  # (B, 1, T)
        state = self.first(h[:, :1]).tanh().transpose(0, 1).contiguous()
        start = ta.full((1, len(target)), START)  # (1, B)
        shifted = ta.cat((start, target.t()[:-1]), 0)  # (Tt, B)
        words = self.target(shifted)  # (Tt, B, H)
        if self.order == "read, look":
            output, _ = self.decoder(words, state)  # (Tt, B, H)
            context, weights = self.look(output, h, present)
            return self.out(ta.cat((output, context), 2)), weights
        scores, seen = [], []
        for word in words.split(1):  # (1, B, H)
            context, weights = self.look(state, h, present)
            both = ta.cat((word, context), 2)  # (1, B, 2H)
            output, state = self.decoder(both, state)  # (1, B, H)
            scores.append(self.out(ta.cat((output, context), 2)))
            seen.append(weights)  # (B, 1, T)
        return ta.cat(scores, 0), ta.cat(seen, 1)


def train(order, steps=100):
    """The share of right alignments, and the maps of one sentence."""
    ta.manual_seed(0)
    rng, held_out = random.Random(0), batch(random.Random(4), 100)
    model = Translator(32, order)
    optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
    aligned, maps = {}, {}
    for step in range(1, steps + 1):
        source, target, _ = map(ta.from_numpy, batch(rng, 24))
        scores, _ = model(source, target)
        wanted = target.t().flatten()  # (Tt B,)
        scores = scores.flatten(0, 1)  # (Tt B, V)
        loss = F.cross_entropy(scores, wanted, ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            source, target, origin = held_out
            with ta.no_grad():
                _, weights = model(*map(ta.from_numpy, (source, target)))
            found = weights.numpy().argmax(-1)  # (B, Tt)
            aligned[step] = (found == origin)[origin >= 0].mean()
            maps[step] = weights[0].numpy()  # (Tt, T)
    return aligned, maps


runs = {order: train(order) for order in ("read, look", "look, read")}
for order, (aligned, _) in runs.items():
    print(order, {step: f"{x:.0%}" for step, x in aligned.items()})

# %% [markdown]
# The picture shows one held-out sentence. A row is a target word, a column
# a source word, and dark means much weight. At first every row is grey;
# then the words find their partners, and the crossing of time and place
# appears.

# %%
source, target, origin = batch(random.Random(4), 100)
rows, columns = target[0] > 0, source[0] > 0
aligned, maps = runs["read, look"]
figure, panels = plt.subplots(1, 4, sharey=True, layout="constrained")
figure.set_size_inches(10, 3.2)
for panel, step in zip(panels, (10, 40, 60, 100), strict=True):
    shown = maps[step][rows][:, columns]  # (Tt, T)
    image = panel.imshow(shown, cmap="Greys", vmin=0, vmax=1)
    panel.plot(origin[0][rows], range(rows.sum()), ".", color="C1", ms=4)
    words = [CHINESE[i] for i in source[0][columns]]
    panel.set_xticks(range(len(words)), words, rotation=90)
    panel.set_title(f"after {step} batches")
words = [ENGLISH[i] for i in target[0][rows]]
panels[0].set_yticks(range(len(words)), words)
bar = figure.colorbar(image)
bar.set_label("weight")

# %% [markdown]
# The dots are the right alignment, which the model has never seen. Here is
# the same sentence on a page with a slider: move it, and see the alignment
# form. (The method `save` of such a page writes it to a file.)

# %%
sentence = [CHINESE[i] for i in source[0][columns]]  # T words
translation = [ENGLISH[i] for i in target[0][rows]]  # Tt words


def moment(weights):
    """A page's data, from the weights (Tt, T)."""
    shown = weights[rows][:, columns]  # (Tt, T)
    layers_and_heads = {"cross": shown[None, None]}  # (1, 1, Tt, T)
    joined = " ".join(sentence), " ".join(translation)
    return Trace(*joined, sentence, translation, layers_and_heads)


moments = [[moment(weights)] for weights in maps.values()]
forming_page(list(maps), moments, list(aligned.values()))

# %% [markdown]
# Now compare the two orders.

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for order, style in (("read, look", "-o"), ("look, read", "--s")):
    aligned, _ = runs[order]
    percent = [100 * x for x in aligned.values()]
    axes.plot(list(aligned), percent, style, label=order)
axes.set_xlabel("batches")
axes.set_ylabel("right alignments (%)")
axes.set_title("Reading the last word before looking helps")
axes.grid(alpha=0.3)
axes.legend()
last = {order: aligned[100] for order, (aligned, _) in runs.items()}
assert last["read, look"] > 0.85
assert last["read, look"] > last["look, read"]

# %% [markdown]
# A decoder that looks first does not know yet what it has just written. It
# must guess how far it has got, so its weights spread over neighbours. The
# project's translator, trained on 100,000 sentences, shows the same: if it
# reads first, 97.7 % of the content words are aligned rightly; if it looks
# first, 94.3 %.
# Both translate well. So attention weights are not an explanation that can
# always be trusted.
#
# ## What you have learnt
#
# - Attention is a score, a softmax over the source axis, and a weighted
#   sum.
# - The gradient $a_j \, g \cdot (h_j - c)$ moves weight to states that are
#   better than the mean. Alignment follows from it without labels.
# - The mask stands before softmax, and what the query knows decides how
#   clear the map becomes.
#
# ## Questions to try
#
# 1. Make the sentences one clause long, then three. How many batches does
#    the alignment need? Is it right before the translations are, or after?
# 2. Take `present` away in `look`. Which rows of the map change, and why
#    does the loss hardly move?
# 3. Replace `"additive"` by `"dot"` (without `v`). What becomes of $W_q$
#    and $W_k$?
#
# ## In the source
#
# - `tinyattn/ops/scores.py`: every score and `attention`.
# - `tinyattn/kernels/reference/additive.py`: the same in NumPy, without an
#   array (B, Tq, Tk, H).
# - `examples/translator_rnn.py`: the real translator, with both orders.
#
# **Next:** lesson 9 (`09_seq2seq.py`) trains the whole, with attention and
# without.
