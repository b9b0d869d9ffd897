# %% [markdown]
# # Lesson 14. Break it: what a loss curve does not see
#
# **The idea.** A model with a fault in it usually trains. You do not find
# the fault by looking at the curve, but by writing down what the model
# promises and testing that.
#
# **Time:** 90 minutes. **You need:** lessons 1 (measured gradients), 5
# (padding in the loss) and 10 (scale and mask).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.autograd import Function

# %% [markdown]
# ## A model, and four ways to break it
#
# The task is that of `examples/attention.py`: write a word backwards. Here
# the words have 3 to 8 letters, so a batch has padding. A query is a place
# in the output; a key is a letter together with its place, counted from the
# end of the word.
#
# We break this model in four ways, one at a time:
#
# - **no mask**: padding may be attended to;
# - **no scale**: the scores are not divided by $\sqrt D$;
# - **padding in the loss**: the mean also counts places where there is no
#   letter;
# - **factor 1.001**: on the way back, the gradient of the values is a
#   thousandth too large. Such a fault stands for every small mistake in a
#   backward function.
#
# Before you run on, write down your guess: which of the four will you see
# in the curve of the loss?

# %%
PAD, V, D = 0, 27, 32  # letters are 1 to 26
FAULTS = (
    "none",
    "no mask",
    "no scale",
    "padding in the loss",
    "factor 1.001",
)


class Stretched(Function):
    """y = x; but the gradient that goes back is a thousandth too large."""

    def forward(self, x):
        return x.copy()

    def backward(self, grad):
        return 1.001 * grad


def attend(query, key, value, present, fault):
    """query (T, D), key and value (B, T, D): the context (B, T, D)."""
    score = "dot" if fault == "no scale" else "scaled_dot"
    mask = None if fault == "no mask" else present  # (B, 1, T)
    if fault == "factor 1.001":
        value = Stretched.apply(value)  # (B, T, D)
    return F.attention(query, key, value, score, mask)


class Backwards(nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.letter, self.place = nn.Embedding(V, D), nn.Embedding(16, D)
        self.query, self.key = nn.Linear(D, D), nn.Linear(D, D)
        self.out = nn.Linear(D, V)

    def forward(self, words):
        """words (B, T): the scores (B, T, V) of the letters to write."""
        present, places = words != PAD, from_end(words)  # (B, T), (B, T)
        letters = self.letter(words)  # (B, T, D)
        key = self.key(letters + self.place(places.clamp(min=0)))
        query = self.query(self.place.weight[: words.shape[1]])  # (T, D)
        query = query.expand(len(words), -1, -1)  # (B, T, D)
        present = present.unsqueeze(1)  # (B, 1, T)
        return self.out(attend(query, key, letters, present, self.fault))


def from_end(words):
    """The place of each letter, 0 for the last; negative in padding."""
    lengths = (words != PAD).sum(1, keepdim=True)  # (B, 1)
    return lengths - 1 - ta.arange(words.shape[1])  # (B, T)


def loss_of(model, words):
    places = from_end(words)  # (B, T)
    target = words.gather(1, places.clamp(min=0))  # (B, T): backwards
    target = target.masked_fill(places < 0, PAD)  # (B, T)
    ignored = -100 if model.fault == "padding in the loss" else PAD
    scores = model(words).flatten(0, 1)  # (B T, V)
    return F.cross_entropy(scores, target.flatten(), ignore_index=ignored)


def some_words(B, T=8):
    lengths = ta.randint(3, T + 1, (B, 1))  # (B, 1)
    letters = ta.randint(1, V, (B, T))  # (B, T)
    return letters.masked_fill(ta.arange(T) >= lengths, PAD)  # (B, T)


def train(fault, steps=80):
    ta.manual_seed(0)
    model, losses = Backwards(fault), []
    optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        loss = loss_of(model, some_words(32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


trained = {fault: train(fault) for fault in FAULTS}
for fault, (_, losses) in trained.items():
    print(f"{fault:20}", *(f"{losses[i]:6.3f}" for i in (0, 19, 39, 79)))

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
styles = ("-", "--", "-.", ":", (0, (5, 1)))
for fault, style in zip(FAULTS, styles, strict=True):
    axes.semilogy(trained[fault][1], ls=style, label=fault)
axes.set_xlabel("batches")
axes.set_ylabel("loss")
axes.set_title("Five models, four of them broken")
axes.legend()
axes.grid(alpha=0.3)

# %% [markdown]
# Every curve falls. Two of the broken models follow the right one so
# closely that one line hides the other. Two are slower, but who would call
# that a fault? One could think of a small learning rate, or of a hard task.
# (In a language model the padding is easy to predict. There a loss that
# counts it even looks **better**.) Whoever judges by the curve would keep
# all five.
#
# ## What does the model promise?
#
# Each promise is a sentence, and each sentence is a test.
#
# 1. **The loss falls.** The test that everybody has.
# 2. **The definition.** In one case that is small enough for a pencil, the
#    function gives the right number. Take $D = 4$, the query $(2, 0, 0, 0)$
#    and the keys $(2, 0, 0, 0)$ and $(0, 0, 0, 0)$. The scores are
#    $\frac{4}{\sqrt 4} = 2$ and $0$, so the first weight is
#    $\frac{e^2}{e^2 + 1} \approx 0.881$.
# 3. **Padding does not change an answer.** Fill up the words with three
#    more places: the scores of the letters stay the same.
# 4. **Padding does not change the loss.** The same words, the same loss.
# 5. **The gradient is the slope.** Measured differences agree, in float64,
#    with an error estimate (lesson 1).

# %%
ta.manual_seed(1)
words = some_words(20)  # (B, T)
longer = ta.cat((words, ta.zeros(20, 3, dtype=ta.int64)), 1)  # (B, T + 3)


def loss_falls(fault):
    return trained[fault][1][-1] < 0.5


def definition(fault):
    query = ta.tensor([[[2.0, 0, 0, 0]]])  # (B, Tq, D) = (1, 1, 4)
    key = ta.tensor([[[2.0, 0, 0, 0], [0, 0, 0, 0]]])  # (1, 2, 4)
    value = ta.tensor([[[1.0], [0.0]]])  # (1, 2, 1): picks weight 0
    present = ta.ones(1, 1, 2, dtype=ta.bool)  # (B, 1, Tk)
    weight = attend(query, key, value, present, fault).item()
    return abs(weight - math.e**2 / (math.e**2 + 1)) < 1e-6


def same_answers(fault):
    model = trained[fault][0]
    real = (words != PAD).unsqueeze(2)  # (B, T, 1)
    change = model(words) - model(longer)[:, :8]  # (B, T, V)
    return abs(change * real).max().item() < 1e-4


def same_loss(fault):
    model = trained[fault][0]
    short, long = loss_of(model, words), loss_of(model, longer)
    return abs(short - long).item() < 1e-6


def right_gradient(fault):
    like = {"dtype": ta.float64, "requires_grad": True}
    q, k, v = (ta.randn(2, 3, 4, **like) for _ in range(3))  # (B, T, D)
    present = ta.tensor([[[True, True, True]], [[True, True, False]]])

    def function(q, k, v):
        return attend(q, k, v, present, fault)  # (B, T, D)

    return ta.gradcheck(function, (q, k, v), raise_exception=False)


TESTS = (loss_falls, definition, same_answers, same_loss, right_gradient)
results = [[test(fault) for test in TESTS] for fault in FAULTS]
caught = ~np.array(results)  # (faults, tests) = (5, 5)
print(caught.astype(int))

# %%
figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
axes.imshow(caught, cmap="Greys", vmax=1.3, aspect="auto")
for row, column in np.argwhere(caught):
    axes.text(column, row, "caught", ha="center", va="center", color="w")
names = [test.__name__.replace("_", "\n") for test in TESTS]
axes.set_xticks(range(len(TESTS)), names)
axes.set_yticks(range(len(FAULTS)), FAULTS)
axes.set_title("Which test catches which fault")
assert not caught[0].any()  # the right model passes
assert not caught[:, 0].any()  # the curve catches nothing
assert caught[1:].any(1).all()  # the other tests catch every fault

# %% [markdown]
# Read the rows. Every fault is caught, but no test catches all. The curve
# catches none. Three things are worth a second look.
#
# - The model without a mask **learned** to avoid padding, as far as it had
#   seen it in training. With more padding its answers move. That is why
#   faults of this kind appear only after release, with longer sentences.
# - `right_gradient` passes the models without mask and without scale. Of
#   course: their gradients **are** the slopes of what they compute.
#   Differences say that backward fits forward. They do not say that forward
#   is what you wanted. So check the definition first.
# - The padding in the loss is found by `same_loss` alone. All answers are
#   right.
#
# ## Where a gradient check goes blind
#
# A fault in a backward function is small or large, but the check can be
# blind for both. Here are two backward functions of softmax. One gives
# zeros; the other has the factor 1.001.


# %%
class Zeros(Function):
    """Softmax of rows (B, V), with a backward that is wrong."""

    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))  # (B, V)
        y = e / e.sum(-1, keepdims=True)  # (B, V)
        self.save(y=y)
        return y

    def backward(self, grad):
        return np.zeros_like(grad)


class Slightly(Zeros):
    """Here it is nearly right. F.softmax gives the right gradient."""

    def backward(self, grad):
        y = ta.tensor(self.saved["y"])  # (B, V)
        x = y.log().requires_grad_()  # (B, V): softmax of log y is y
        F.softmax(x, -1).backward(ta.tensor(grad))
        return 1.001 * x.grad.numpy()


def passes(function, x, total, h, tolerance):
    """A check as it is often written: every element, one step h."""
    x = x.clone().requires_grad_()  # (B, V)
    total(function.apply(x)).backward()
    for index in np.ndindex(*x.shape):
        moved = [x.detach().clone(), x.detach().clone()]  # (B, V) each
        moved[0][index] += h
        moved[1][index] -= h
        high, low = (total(function.apply(m)).item() for m in moved)
        if abs((high - low) / (2 * h) - x.grad[index].item()) > tolerance:
            return False
    return True


x = ta.randn(2, 3, dtype=ta.float64)  # (B, V)
w = ta.randn(2, 3, dtype=ta.float64)  # (B, V), random weights of the sum


def plain(y):
    return y.sum()


def weighted(y):
    return (y * w).sum()


print("                         zeros passes   1.001 passes")
for name, total, h, tolerance in (
    ("sum, loose", plain, 1e-2, 1e-2),
    ("sum, strict", plain, 1e-4, 1e-7),
    ("weighted, loose", weighted, 1e-2, 1e-2),
    ("weighted, strict", weighted, 1e-4, 1e-7),
):
    found = [passes(f, x, total, h, tolerance) for f in (Zeros, Slightly)]
    print(f"{name:24} {found[0]!s:14} {found[1]}")
assert found == [False, False]
x.requires_grad_()
for function in (Zeros, Slightly):
    assert not ta.gradcheck(function.apply, x, raise_exception=False)

# %% [markdown]
# The rows of a softmax have the sum 1, so `y.sum()` is a constant and its
# true gradient **is** 0. A check through the sum finds nothing, however
# strict it is: a backward that returns zeros passes. Give each output a
# random weight, and zeros fail at once. The factor 1.001 needs a small
# tolerance, too: here it changes a gradient by less than 0.001, and the loose
# check allows 0.01. A small tolerance needs a small step, since a large step
# has an error of its own (lesson 1).
#
# **Symmetric inputs** are blind in the same way. If all $x$ are equal, a
# sum over the wrong axis gives the same as the right one; if a matrix is
# symmetric, a missing transpose changes nothing. Take random numbers, take
# no two sizes equal, and look at every element.
#
# How do you know that your tests are strong enough? Break the code on
# purpose, one fault after the other, and count what survives.
# `python -m tests.power` does that to this project.
#
# ## Your turn
#
# ```text
# python -m tinyattn.learn check 14a
# python -m tinyattn.learn check 14b
# ```
#
# - 14a, `catch_faults(softmax_backward)`: write a test of a backward
#   function. It must accept the right ones and catch thirteen faults. The
#   check names those that survive.
# - 14b, `diagnose(attention)`: call an attention with inputs that you
#   choose, and say what is wrong with it.
#
# ## What you have learnt
#
# - A loss curve catches almost no fault.
# - A promise is a test: the definition, padding, the future, the slope.
#   Each catches what the others let pass.
# - A gradient check needs random weights, unequal sizes, every element,
#   float64 and an error estimate.
#
# ## Questions to try
#
# 1. Train without the mask on words of 8 letters only. What do the five
#    tests say now? What do they say after training on words of 3?
# 2. Set the factor to 0.5, then to -1. From which factor on does the curve
#    see it?
# 3. Which promise does dropout break, if it is not switched off in
#    evaluation?
#
# ## In the source
#
# - `tests/test_invariances.py`: the promises of this project's models.
# - `tests/power`: seeded faults, and the tests that catch them.
# - `tinyattn/_gradcheck.py`, `tinyattn/_doctor.py`: two tools for models of
#   your own.
#
# This is the last lesson. The translator in `examples/translator_rnn.py`
# has nothing in it that you have not seen.
