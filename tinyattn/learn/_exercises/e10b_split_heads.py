"""Heads: each looks at its own part of the features. The mistake is a reshape without a
transposition, which mixes words."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.ops.creation import tensor


def split_heads(x: np.ndarray, h: int) -> np.ndarray:
    """Split the features of each word into h heads.

    x: shape (B, T, D), where h divides D.
    h: the number of heads. Head 0 has the first D / h features, head 1 the next, and so on.
    Returns shape (B, h, T, D / h): for each head, all words with its part of the features.
    """
    raise NotImplementedError("split_heads is not written yet")


def solution(x, h):
    B, T, D = x.shape
    return x.reshape(B, T, h, D // h).transpose(0, 2, 1, 3)


def not_transposed(x, h):
    """You reshape to (B, h, T, D / h) at once. The shape is right, but reshape keeps the order in
    memory: a head gets all features of some words. Split the last axis first, then exchange two
    axes."""
    B, T, D = x.shape
    return x.reshape(B, h, T, D // h)


def interleaved(x, h):
    """Your heads are interleaved: head 0 has every h-th feature. It must have the first D / h of
    them: reshape to (B, T, h, D / h), not to (B, T, D / h, h)."""
    B, T, D = x.shape
    return x.reshape(B, T, D // h, h).transpose(0, 3, 1, 2)


def heads_after_time(x, h):
    """You split the features, but the axes still have the order (B, T, h, D / h). Heads come before
    time: exchange the axes 1 and 2."""
    B, T, D = x.shape
    return x.reshape(B, T, h, D // h)


def heads_first(x, h):
    """Your heads come before the batch. The order is (B, h, T, D / h)."""
    return solution(x, h).transpose(1, 0, 2, 3)


def time_last(x, h):
    """You exchanged time and features: yours is (B, h, D / h, T)."""
    return solution(x, h).transpose(0, 1, 3, 2)


def in_the_batch(x, h):
    """You put the heads into the batch: yours is (B h, T, D / h). The batch and the heads are two
    axes here."""
    B, T, D = x.shape
    return solution(x, h).reshape(B * h, T, D // h)


def reversed_heads(x, h):
    """The order of your heads is reversed: head 0 has the last features."""
    return solution(x, h)[:, ::-1]


def words_not_transposed(x, h):
    """You exchange time and features of x, then reshape to (B, h, T, D / h). reshape keeps the
    order in memory, so features of several words are mixed. Reshape to (B, T, h, D / h) first."""
    B, T, D = x.shape
    return x.transpose(0, 2, 1).reshape(B, h, T, D // h)


def size_left_to_numpy(x, h):
    """Yours is right except for an array without elements: NumPy finds the size for -1 by a
    division, and there it would divide 0 by 0. Write D // h."""
    B, T, _ = x.shape
    return x.reshape(B, T, h, -1).transpose(0, 2, 1, 3)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, T, D, h in (
        (2, 3, 4, 2),
        (1, 4, 4, 4),
        (3, 2, 6, 3),
        (2, 6, 6, 2),
        (2, 3, 4, 1),
        (17, 2, 4, 2),
        (1, 17, 36, 18),
    ):
        yield rng.standard_normal((B, T, D)), h


def a_word_stays_together(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another word 2 changes place 2 of each head, and nothing else."""
    x = rng.standard_normal((1, 4, 6))
    other = x + np.array([0, 0, 1.0, 0])[:, None]
    changed = (answer(x, 3) != answer(other, 3)).any(axis=(0, 1, 3))
    where = np.flatnonzero(changed).tolist()
    return None if where == [2] else f"It changes the places {where}."


def _library(x, h):
    return tensor(x).unflatten(-1, (h, x.shape[-1] // h)).transpose(1, 2).numpy()


EXERCISE = Exercise(
    ask=split_heads,
    solution=solution,
    returns=["heads"],
    hand=(np.array([[[11.0, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]]), 2),
    cases=cases,
    wrong=[
        not_transposed, interleaved, heads_after_time, heads_first, time_last, in_the_batch,
        reversed_heads, words_not_transposed, size_left_to_numpy,
    ],
    properties=[a_word_stays_together],
    extremes={
        "sentences without words": (np.zeros((2, 0, 4)), 2),
        "a batch without sentences": (np.zeros((0, 3, 4)), 2),
        "one word, one feature": (np.ones((1, 1, 1)), 1),
    },
    hints=(
        "Two steps: first the last axis of size D becomes two axes, h and D / h. Then two axes "
        "change places.",
        "x.reshape(B, T, h, D // h) splits the features: word by word, head by head.",
        "Now exchange time and heads: .transpose(0, 2, 1, 3) or .swapaxes(1, 2).",
    ),
    library=_library,
)  # fmt: skip
