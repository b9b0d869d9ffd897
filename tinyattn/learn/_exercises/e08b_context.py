"""From scores to the context: a masked softmax and a weighted sum. One of the mistakes stands in a
document that this project was made from: a softmax over an axis of length 1."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.ops.creation import tensor
from tinyattn.ops.elementwise import where
from tinyattn.ops.normalising import softmax


def context(
    scores: np.ndarray, values: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The context of attention: a sum of the values, weighted by the softmax of the scores.

    scores: shape (B, T), one for each word of the source.
    values: shape (B, T, D).
    mask: shape (B, T), True where there is a word, False where there is padding.
    Returns (context, weights), shapes (B, D) and (B, T).

    Padding has the weight 0, and the weights of the words have the sum 1. A sentence of padding
    only has the weights 0 and the context 0.
    """
    raise NotImplementedError("context is not written yet")


def solution(scores, values, mask):
    kept = np.where(mask, scores, -np.inf)
    top = kept.max(axis=-1, keepdims=True, initial=-1e30)
    e = np.exp(kept - top)
    total = e.sum(axis=-1, keepdims=True)
    weights = e / np.where(total > 0, total, 1)
    return np.einsum("bt,btd->bd", weights, values), weights


def _softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _sum(weights: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.einsum("bt,btd->bd", weights, values), weights


def every_weight_one(scores, values, mask):
    """Every weight of yours is 1, except for padding: your softmax runs along an axis of length 1.
    It must run along the axis of the source words, the last one of scores."""
    return _sum(mask * 1.0, values)


def every_weight_one_without_mask(scores, values, mask):
    """Every weight of yours is 1: your softmax runs along an axis of length 1. It must run along
    the axis of the source words, the last one of scores."""
    return _sum(np.ones_like(scores), values)


def mask_after_softmax(scores, values, mask):
    """The rows of your weights don't add up to 1: you mask after the softmax. Padding must be gone
    before the softmax, so that the words share the whole 1."""
    return _sum(_softmax(scores) * mask, values)


def no_mask(scores, values, mask):
    """There is no mask in yours: padding gets weight. Set its scores to -inf before the softmax."""
    return _sum(_softmax(scores), values)


def inverted(scores, values, mask):
    """Your mask is inverted: the words have the weight 0, and padding shares the weight. Here True
    means that there is a word."""
    return solution(scores, values, ~mask)


def masked_with_zero(scores, values, mask):
    """You set the scores of padding to 0 before the softmax. exp(0) is 1, so padding gets weight.
    Set them to -inf."""
    return _sum(_softmax(np.where(mask, scores, 0)), values)


def over_the_batch(scores, values, mask):
    """Your softmax runs along axis 0, over the batch. It must run along the last axis, over the
    words of one sentence."""
    kept = np.where(mask, scores, -1e300)
    return _sum(_softmax(kept, 0) * mask, values)


def equal_weights(scores, values, mask):
    """All words of a sentence have the same weight in yours: the scores have no effect."""
    return solution(0 * scores, values, mask)


def only_the_best(scores, values, mask):
    """Only the word with the highest score counts in yours. Softmax gives each word a share."""
    kept = np.where(mask, scores, -np.inf)
    return _sum(np.eye(scores.shape[1])[kept.argmax(-1)] * mask, values)


def weighted_by_scores(scores, values, mask):
    """Your weights are right, but the context sums values times scores. It sums values times
    weights."""
    return np.einsum("bt,btd->bd", np.where(mask, scores, 0), values), solution(
        scores, values, mask
    )[1]


def not_divided(scores, values, mask):
    """The division is missing: your weights are exp(score). Divide by their sum over the words of
    the sentence."""
    return _sum(np.where(mask, np.exp(scores), 0), values)


def inverted_by_a_large_number(scores, values, mask):
    """Your mask is inverted: you write a large negative number over the scores of the words. Here
    True means that there is a word: np.where(mask, scores, -np.inf)."""
    return _sum(_softmax(np.where(mask, -1e9, scores)), values)


def overflow(scores, values, mask):
    """With large scores yours is NaN: exp(1000) is infinity. Subtract the maximum of each row
    first; the weights stay the same."""
    e = np.where(mask, np.exp(scores), 0)
    total = e.sum(axis=-1, keepdims=True)
    return _sum(e / np.where(total > 0, total, 1), values)


def maximum_of_all(scores, values, mask):
    """You subtract the largest score of the whole batch. In a sentence far below it every exp is 0.
    Each row has a maximum of its own: axis=-1, keepdims=True."""
    kept = np.where(mask, scores, -np.inf)
    e = np.exp(kept - kept.max(initial=-1e30))
    total = e.sum(axis=-1, keepdims=True)
    return _sum(e / np.where(total > 0, total, 1), values)


def maximum_with_padding(scores, values, mask):
    """Your maximum counts padding, too. If padding has a far higher score than the words, every exp
    of a word is 0. Mask before you take the maximum."""
    top = scores.max(axis=-1, keepdims=True, initial=-1e30)
    e = np.exp(scores - top) * mask
    total = e.sum(axis=-1, keepdims=True)
    return _sum(e / np.where(total > 0, total, 1), values)


def not_small_enough(scores, values, mask):
    """You write a number like -100 over the scores of padding. Scores of words can be smaller, and
    then padding gets the weight. Set them to -inf."""
    return _sum(_softmax(np.where(mask, scores, -100.0)), values)


def nan_for_padding(scores, values, mask):
    """A sentence of padding only gives NaN in yours: all its scores are -inf, and -inf - (-inf) is
    NaN. Its weights have to be 0."""
    return _sum(_softmax(np.where(mask, scores, -np.inf)), values)


def shared_padding(scores, values, mask):
    """In a sentence of padding only, your padding shares the weight: you mask with a large negative
    number, and when all scores are that number the softmax is 1/T. The weights have to be 0."""
    return _sum(_softmax(np.where(mask, scores, -1e9)), values)


def _inputs(rng: np.random.Generator, B: int, T: int, D: int) -> Inputs:
    mask = np.arange(T) < rng.integers(1, T + 1, (B, 1))
    return rng.standard_normal((B, T)), rng.standard_normal((B, T, D)), mask


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, T, D in ((2, 3, 2), (3, 5, 4), (4, 4, 4), (1, 6, 1), (17, 18, 2), (2, 3, 17)):
        yield _inputs(rng, B, T, D)
    yield rng.standard_normal((2, 3)), rng.standard_normal((2, 3, 2)), np.eye(3)[:2] == 0


def rows_sum_to_one(answer: Answer, rng: np.random.Generator) -> str | None:
    """The weights of a sentence have the sum 1."""
    sums = answer(*_inputs(rng, 5, 4, 2))[1].sum(axis=-1)
    return None if np.allclose(sums, 1, atol=1e-4) else f"Yours have the sums {sums}."


def more_padding(answer: Answer, rng: np.random.Generator) -> str | None:
    """More padding changes nothing, whatever stands in it."""
    scores, values, mask = _inputs(rng, 3, 4, 2)
    longer = [np.concatenate([a, 50 + 0 * a[:, :2]], axis=1) for a in (scores, values)]
    one = answer(scores, values, mask)[0]
    other = answer(*longer, np.concatenate([mask, np.zeros((3, 2), bool)], axis=1))[0]
    return None if np.allclose(one, other, atol=1e-4) else "In yours it does."


def shifted(answer: Answer, rng: np.random.Generator) -> str | None:
    """Adding 1 to all scores of a sentence changes nothing."""
    scores, values, mask = _inputs(rng, 3, 4, 2)
    one, other = answer(scores, values, mask)[1], answer(scores + 1, values, mask)[1]
    return None if np.allclose(one, other, atol=1e-4) else "In yours it does."


def _library(scores, values, mask):
    weights = softmax(where(tensor(mask), tensor(scores), tensor(-np.inf)), -1)
    out = (weights.unsqueeze(1) @ tensor(values)).squeeze(1)
    return out.numpy(), weights.numpy()


EXERCISE = Exercise(
    ask=context,
    solution=solution,
    returns=["context", "weights"],
    hand=(
        np.log(np.array([[1.0, 3, 4], [1, 1, 2]])),
        np.array([[[1.0, 0], [0, 1], [5, 5]], [[4.0, 0], [0, 4], [8, 8]]]),
        np.array([[True, True, False], [True, True, True]]),
    ),
    cases=cases,
    wrong=[
        every_weight_one, every_weight_one_without_mask, mask_after_softmax, no_mask, inverted,
        masked_with_zero, over_the_batch, equal_weights, only_the_best, weighted_by_scores,
        nan_for_padding, shared_padding, not_divided, inverted_by_a_large_number, overflow,
        maximum_of_all, maximum_with_padding, not_small_enough,
    ],
    properties=[rows_sum_to_one, more_padding, shifted],
    extremes={
        "scores of 1000": (
            np.array([[1000.0, -1000, 998]]), np.eye(3)[None], np.array([[True, True, True]]),
        ),
        "very small scores": (
            np.array([[-1000.0, -1001, 0]]), np.eye(3)[None], np.array([[True, True, False]]),
        ),
        "rows of very different size": (
            np.array([[1000.0, 999], [-1000, -1001]]), np.ones((2, 2, 1)), np.full((2, 2), True),
        ),
        "a sentence of padding only": (
            np.array([[1.0, 2, 3], [1, 2, 3]]), np.ones((2, 3, 2)),
            np.array([[False, False, False], [True, True, False]]),
        ),
        "a batch without sentences": (
            np.zeros((0, 3)), np.zeros((0, 3, 2)), np.zeros((0, 3), bool),
        ),
    },
    hints=(
        "Set the scores of padding to -inf: np.where(mask, scores, -np.inf). exp(-inf) is 0, so "
        "their weights are 0, and the others have the sum 1.",
        "Subtract the maximum of the row before exp. In a row of padding only, it is -inf: put a "
        "finite number in its place. Then all e are 0; divide by 1 where their sum is 0.",
        "The context is a sum over t: np.einsum('bt,btd->bd', weights, values), or (weights[:, "
        ":, None] * values).sum(axis=1).",
    ),
    library=_library,
)  # fmt: skip
