"""The maximum and the sum of a softmax, block by block. The mistake is an old sum that is not
rescaled when the maximum grows."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


def online_softmax(
    m: np.ndarray, s: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take one more block of scores into the statistics of a softmax.

    For each row, m is the maximum of the scores seen so far, and s is the sum of exp(score - m)
    over them. Before the first block, m is -inf and s is 0.

    m, s: shape (B,).
    block: shape (B, K), the next K scores of each row. Scores may be -inf: these keys are masked.
    Returns the new (m, s), of shape (B,) each. A row whose scores are all -inf so far keeps m =
    -inf and s = 0.

    After all blocks, the softmax of a score x is exp(x - m) / s, and only one block was in memory.
    """
    raise NotImplementedError("online_softmax is not written yet")


def solution(m, s, block):
    top = np.maximum(m, block.max(axis=-1, initial=-np.inf))
    shift = np.where(np.isfinite(top), top, 0)
    s = s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum(axis=-1)
    return top, s


def _top(m, block):
    return np.maximum(m, block.max(axis=-1, initial=-np.inf))


def _shift(top):
    return np.where(np.isfinite(top), top, 0)


def not_rescaled(m, s, block):
    """The maximum grew and the old sum was not rescaled. The old s is a sum of exp(score - old m):
    multiply it by exp(old m - new m)."""
    top = _top(m, block)
    return top, s + np.exp(block - _shift(top)[:, None]).sum(axis=-1)


def old_maximum(m, s, block):
    """Your m never grows: the new m is the larger one of the old m and the maximum of the block."""
    top = np.where(np.isfinite(m), m, _top(m, block))
    shift = _shift(top)
    return top, s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum(axis=-1)


def block_maximum(m, s, block):
    """Your m is the maximum of the new block alone. It is the larger one of that and the old m."""
    top = block.max(axis=-1, initial=-np.inf)
    shift = _shift(top)
    return top, s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum(axis=-1)


def wrong_way(m, s, block):
    """You rescale the wrong way: exp(new m - old m) makes the old sum larger. The maximum grew, so
    the old terms become smaller: exp(old m - new m)."""
    top = _top(m, block)
    shift = _shift(top)
    factor = np.where(np.isfinite(m), np.exp(shift - m), 0)
    return top, s * factor + np.exp(block - shift[:, None]).sum(axis=-1)


def only_the_block(m, s, block):
    """Your s forgets the earlier blocks: it is the sum over this block alone."""
    top = _top(m, block)
    return top, np.exp(block - _shift(top)[:, None]).sum(axis=-1)


def block_not_shifted(m, s, block):
    """The terms of the block are exp(score) in yours. They are exp(score - new m), so that none can
    overflow."""
    top = _top(m, block)
    return top, s * np.exp(m - _shift(top)) + np.exp(block).sum(axis=-1)


def block_by_its_own(m, s, block):
    """You subtract the maximum of the block from its scores. Subtract the new m, which may come
    from an earlier block."""
    top, own = _top(m, block), _shift(block.max(axis=-1, initial=-np.inf))
    return top, s * np.exp(m - _shift(top)) + np.exp(block - own[:, None]).sum(axis=-1)


def block_by_the_old(m, s, block):
    """You subtract the old m from the scores of the block. Subtract the new m."""
    top, old = _top(m, block), _shift(m)
    return top, s * np.exp(m - _shift(top)) + np.exp(block - old[:, None]).sum(axis=-1)


def whole_batch(m, s, block):
    """Your maximum is that of the whole batch. Each row has its own: axis=-1."""
    top = np.maximum(m, block.max(initial=-np.inf))
    shift = _shift(top)
    return top, s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum(axis=-1)


def mean_of_the_block(m, s, block):
    """You add the mean of the terms of the block. s is a sum: add their sum."""
    top = _top(m, block)
    shift = _shift(top)
    terms = np.exp(block - shift[:, None]).sum(axis=-1)
    return top, s * np.exp(m - shift) + terms / max(block.shape[1], 1)


def sum_of_the_batch(m, s, block):
    """You add the terms of all rows to each s. Each row has its own sum: axis=-1."""
    top = _top(m, block)
    shift = _shift(top)
    return top, s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum()


def no_maximum_of_nothing(m, s, block):
    """Yours is right except for a block without scores: NumPy knows no maximum of nothing. With
    block.max(axis=-1, initial=-np.inf) it is -inf."""
    top = np.maximum(m, block.max(axis=-1))
    shift = _shift(top)
    return top, s * np.exp(m - shift) + np.exp(block - shift[:, None]).sum(axis=-1)


def nan_when_masked(m, s, block):
    """A row that is all masked gives NaN in yours: its m is -inf, and -inf - (-inf) is NaN. Its s
    stays 0."""
    top = _top(m, block)
    return top, s * np.exp(m - top) + np.exp(block - top[:, None]).sum(axis=-1)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, K in ((3, 4), (4, 2), (1, 5), (17, 19)):
        yield np.full(B, -np.inf), np.zeros(B), rng.standard_normal((B, K))
        m = rng.standard_normal(B)
        yield m, rng.uniform(1, 3, B), m[:, None] + rng.uniform(-3, 2, (B, K))
        yield m, rng.uniform(1, 3, B), m[:, None] - rng.uniform(1, 2, (B, K))


def blocks_of_any_size(answer: Answer, rng: np.random.Generator) -> str | None:
    """In blocks of 1, 2 or 6, the softmax is the same."""
    x = 3 * rng.standard_normal((4, 6))
    found = []
    for size in (1, 2, 6):
        m, s = np.full(4, -np.inf), np.zeros(4)
        for start in range(0, 6, size):
            m, s = answer(m, s, x[:, start : start + size])
        found.append(np.exp(x - m[:, None]) / s[:, None])
    same = all(np.allclose(found[0], other, atol=1e-4) for other in found)
    return None if same else "In yours it is not."


_INF = np.inf

EXERCISE = Exercise(
    ask=online_softmax,
    solution=solution,
    returns=["m", "s"],
    hand=(np.log([1.0, 8.0]), np.array([2.0, 3.0]), np.log(np.array([[4.0, 2.0], [4.0, 2.0]]))),
    cases=cases,
    wrong=[
        not_rescaled, old_maximum, block_maximum, wrong_way, only_the_block, block_not_shifted,
        block_by_its_own, block_by_the_old, whole_batch, nan_when_masked, mean_of_the_block,
        sum_of_the_batch, no_maximum_of_nothing,
    ],
    properties=[blocks_of_any_size],
    extremes={
        "scores of 1000": (
            np.array([-1000.0, 1000]), np.array([2.0, 2]), np.array([[1000.0, 999], [-1000, 0]]),
        ),
        "a first block that is all masked": (
            np.array([-_INF, -_INF]), np.zeros(2), np.array([[-_INF, -_INF], [0.0, -_INF]]),
        ),
        "a later block that is all masked": (
            np.array([1.0]), np.array([2.0]), np.array([[-_INF, -_INF]]),
        ),
        "a block without scores": (np.array([1.0]), np.array([2.0]), np.zeros((1, 0))),
    },
    hints=(
        "The new m is np.maximum(m, block.max(axis=-1, initial=-np.inf)). Compute it first: both "
        "sums need it.",
        "The old s is a sum of exp(x - old m). Each term times exp(old m - new m) is exp(x - "
        "new m), so the whole sum is multiplied by that.",
        "For rows that are all masked, m is -inf. Subtract 0 in place of m there: exp(-inf - 0) is "
        "0, as it should be.",
    ),
)  # fmt: skip
