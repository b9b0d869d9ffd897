"""Scaled dot-product attention. Two of its mistakes stand in documents that this project was made
from: a scale by the number of keys, and no mask."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.nn.functional import scaled_dot_product_attention
from tinyattn.ops.creation import tensor


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762).

    softmax(q k^T / sqrt(D)) v, where the softmax runs over the keys.

    q: shape (B, Tq, D), the queries.
    k: shape (B, Tk, D), the keys.
    v: shape (B, Tk, E), the values.
    mask: shape (Tq, Tk), True where a query may attend to a key.
    Returns the outputs, shape (B, Tq, E). A query that may attend to no key gets 0.
    """
    raise NotImplementedError("attention is not written yet")


def solution(q, k, v, mask):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(mask, scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-1e30))
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def _scores(q, k):
    return q @ k.swapaxes(-1, -2)


def _attend(scores, v, mask):
    scores = np.where(mask, scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-1e30))
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def not_scaled(q, k, v, mask):
    """The scale is missing. A sum of D products grows like sqrt(D), so divide the scores by
    sqrt(D)."""
    return _attend(_scores(q, k), v, mask)


def scaled_by_keys(q, k, v, mask):
    """You divide by the square root of the number of keys. What grows is the sum over the D
    features: divide by sqrt(D), the last size of q."""
    return _attend(_scores(q, k) / np.sqrt(k.shape[-2]), v, mask)


def scaled_by_d(q, k, v, mask):
    """You divide by D. Divide by the square root of D."""
    return _attend(_scores(q, k) / q.shape[-1], v, mask)


def scaled_by_values(q, k, v, mask):
    """You divide by the square root of the width of the values. It is that of the keys and queries:
    the sum over it is what grows."""
    return _attend(_scores(q, k) / np.sqrt(v.shape[-1]), v, mask)


def scaled_up(q, k, v, mask):
    """You multiply by sqrt(D). The scores are divided by it."""
    return _attend(_scores(q, k) * np.sqrt(q.shape[-1]), v, mask)


def inverted(q, k, v, mask):
    """Your mask is inverted: here True means that the query may attend to the key."""
    return _attend(_scores(q, k) / np.sqrt(q.shape[-1]), v, ~mask)


def no_mask(q, k, v, mask):
    """The mask has no effect in yours. Set the scores to -inf where it is False, before the
    softmax."""
    return _attend(_scores(q, k) / np.sqrt(q.shape[-1]), v, np.ones_like(mask))


def over_queries(q, k, v, mask):
    """Your softmax runs over the queries. It must run over the keys, the last axis of the scores:
    the weights of one query have the sum 1."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), -1e30)
    e = np.exp(scores - scores.max(axis=-2, keepdims=True))
    return e / e.sum(axis=-2, keepdims=True) * mask @ v


def mask_after_softmax(q, k, v, mask):
    """You mask after the softmax. The weights that are left don't add up to 1. Set the scores to
    -inf before the softmax."""
    scores = _scores(q, k) / np.sqrt(q.shape[-1])
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) * mask @ v


def masked_with_zero(q, k, v, mask):
    """You set masked scores to 0. exp(0) is 1, so these keys get weight. Set them to -inf."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), 0)
    return _attend(scores, v, np.ones_like(mask))


def no_softmax(q, k, v, mask):
    """The softmax is missing: you multiply the values by the scores."""
    return np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), 0) @ v


def not_divided(q, k, v, mask):
    """The division is missing: your weights are exp(score). Divide by their sum over the keys."""
    return np.where(mask, np.exp(_scores(q, k) / np.sqrt(q.shape[-1])), 0) @ v


def inverted_by_a_large_number(q, k, v, mask):
    """Your mask is inverted: you write a large negative number where it is True. Here True means
    that the query may attend to the key: np.where(mask, scores, -np.inf)."""
    scores = np.where(mask, -1e9, _scores(q, k) / np.sqrt(q.shape[-1]))
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def own_mask(q, k, v, mask):
    """You use a triangular mask of your own. Where a query may attend to a key, the argument `mask`
    says."""
    return _attend(_scores(q, k) / np.sqrt(q.shape[-1]), v, np.tri(*mask.shape, dtype=bool))


def keys_reshaped(q, k, v, mask):
    """You reshape k to (B, D, Tk). That keeps the order in memory and mixes the keys. Exchange the
    two axes: k.swapaxes(-1, -2)."""
    B, Tk, D = k.shape
    return _attend(q @ k.reshape(B, D, Tk) / np.sqrt(D), v, mask)


def scaled_afterwards(q, k, v, mask):
    """You divide the outputs by sqrt(D). The scores are divided by it, before the softmax."""
    return _attend(_scores(q, k), v, mask) / np.sqrt(q.shape[-1])


def overflow(q, k, v, mask):
    """With large scores yours is NaN: exp(1000) is infinity. Subtract the maximum of each row
    first; the weights stay the same."""
    e = np.where(mask, np.exp(_scores(q, k) / np.sqrt(q.shape[-1])), 0)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def maximum_of_all(q, k, v, mask):
    """You subtract the largest of all scores. In a row far below it every exp is 0. Each query has
    a maximum of its own: axis=-1, keepdims=True."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), -np.inf)
    e = np.exp(scores - scores.max(initial=-1e30))
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def not_small_enough(q, k, v, mask):
    """You write a number like -100 over masked scores. Real scores can be smaller, and then masked
    keys get the weight. Set them to -inf."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), -100.0)
    return _attend(scores, v, np.ones_like(mask))


def nan_without_keys(q, k, v, mask):
    """A query that may attend to no key gives NaN in yours: all its scores are -inf, and -inf -
    (-inf) is NaN. It must give 0."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def mean_without_keys(q, k, v, mask):
    """A query that may attend to no key gets the mean of all values in yours: if all scores are the
    same large negative number, the softmax is 1/Tk. It must give 0."""
    scores = np.where(mask, _scores(q, k) / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def _inputs(rng: np.random.Generator, B: int, Tq: int, Tk: int, D: int, E: int) -> Inputs:
    mask = rng.integers(0, 2, (Tq, Tk)) == 1
    mask[np.arange(Tq), rng.integers(0, Tk, Tq)] = True
    shapes = (B, Tq, D), (B, Tk, D), (B, Tk, E)
    return *(rng.standard_normal(shape) for shape in shapes), mask


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for sizes in (
        (2, 3, 5, 4, 2),
        (1, 4, 4, 2, 3),
        (3, 2, 3, 9, 4),
        (2, 4, 4, 5, 5),
        (17, 2, 3, 2, 2),
        (1, 17, 18, 19, 20),
    ):
        yield _inputs(rng, *sizes)


def future_does_not_matter(answer: Answer, rng: np.random.Generator) -> str | None:
    """With a triangular mask, another word 4 leaves the outputs 1 to 3 as they are."""
    x, mask = rng.standard_normal((1, 4, 3)), np.tri(4, dtype=bool)
    other = x + np.array([0, 0, 0, 1.0])[:, None]
    one, two = answer(x, x, x, mask), answer(other, other, other, mask)
    return None if np.allclose(one[:, :3], two[:, :3], atol=1e-4) else "In yours it does not."


def order_of_keys(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another order of the keys, with their values and their mask, changes nothing."""
    q, k, v, mask = _inputs(rng, 2, 3, 4, 3, 2)
    turned = answer(q, k[:, ::-1].copy(), v[:, ::-1].copy(), mask[:, ::-1].copy())
    return None if np.allclose(answer(q, k, v, mask), turned, atol=1e-4) else "In yours it does."


def equal_values(answer: Answer, rng: np.random.Generator) -> str | None:
    """If all values are 1, all outputs are 1: the weights of a query have the sum 1."""
    q, k, v, mask = _inputs(rng, 2, 3, 4, 3, 2)
    out = answer(q, k, np.ones_like(v), mask)
    return None if np.allclose(out, 1, atol=1e-4) else f"Yours go from {out.min()} to {out.max()}."


def _library(q, k, v, mask):
    q, k, v, mask = map(tensor, (q, k, v, mask))
    return scaled_dot_product_attention(q, k, v, attn_mask=mask).numpy()


EXERCISE = Exercise(
    ask=attention,
    solution=solution,
    returns=["output"],
    hand=(
        np.array([[[2.0, 0, 0, 0], [0, 2, 0, 0]]]) * np.log(3),
        np.array([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]]),
        np.array([[[4.0], [8], [16]]]),
        np.array([[True, True, False], [False, True, True]]),
    ),
    cases=cases,
    wrong=[
        not_scaled, scaled_by_keys, scaled_by_d, scaled_by_values, scaled_up, inverted, no_mask,
        over_queries, mask_after_softmax, masked_with_zero, no_softmax, nan_without_keys,
        mean_without_keys, not_divided, inverted_by_a_large_number, own_mask, keys_reshaped,
        scaled_afterwards, overflow, maximum_of_all, not_small_enough,
    ],
    properties=[future_does_not_matter, order_of_keys, equal_values],
    extremes={
        "scores of 1000": (
            np.array([[[2000.0], [-2000.0]]]), np.array([[[1.0], [-0.5]]]), np.eye(2)[None],
            np.ones((2, 2), bool),
        ),
        "very small scores": (
            np.array([[[-1000.0]]]), np.array([[[1.0], [1.001], [0.0]]]), np.eye(3)[None],
            np.array([[True, True, False]]),
        ),
        "a query that may attend to no key": (
            np.ones((1, 2, 2)), np.ones((1, 2, 2)), np.array([[[1.0], [3.0]]]),
            np.array([[False, False], [True, False]]),
        ),
        "no query": (
            np.zeros((1, 0, 2)), np.ones((1, 3, 2)), np.ones((1, 3, 2)), np.ones((0, 3), bool),
        ),
    },
    hints=(
        "The scores are q @ k.swapaxes(-1, -2), with the shape (B, Tq, Tk), divided by the square "
        "root of the last size of q.",
        "np.where(mask, scores, -np.inf) comes before the softmax, which runs along the last axis. "
        "Then the weights multiply v.",
        "For a query without keys, all scores are -inf. Subtract a maximum that is finite, and "
        "divide by 1 where the sum is 0.",
    ),
    library=_library,
)  # fmt: skip
