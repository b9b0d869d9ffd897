"""One tile of attention in linear memory: statistics and outputs are rescaled together."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.nn.functional import scaled_dot_product_attention
from tinyattn.ops.creation import tensor


def attention_tile(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, m: np.ndarray, s: np.ndarray, o: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take one more tile of keys and values into attention (Dao et al. 2022, arXiv:2205.14135).

    The scores of this tile are q k^T / sqrt(D). For each query:

        m is the maximum of the scores so far,
        s is the sum of exp(score - m) so far,
        o is the sum of exp(score - m) * value so far.

    Before the first tile, m is -inf, and s and o are 0.

    q: shape (Tq, D).  k: shape (K, D) and v: shape (K, E), the next K keys and values.
    m, s: shape (Tq,).  o: shape (Tq, E).
    Returns the new (m, s, o). After all tiles, o / s[:, None] is the output of attention, and the
    scores of all keys were never in memory at once.
    """
    raise NotImplementedError("attention_tile is not written yet")


def solution(q, k, v, m, s, o):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    top = np.maximum(m, scores.max(axis=-1))
    old = np.exp(m - top)
    e = np.exp(scores - top[:, None])
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def _tile(q, k, m):
    """The scores, the new maximum, the factor of what is old, and the terms of the tile."""
    scores = q @ k.T / np.sqrt(q.shape[-1])
    top = np.maximum(m, scores.max(axis=-1))
    return scores, top, np.exp(m - top), np.exp(scores - top[:, None])


def output_not_rescaled(q, k, v, m, s, o):
    """The maximum grew and the old output was not rescaled. o is a sum of exp(score - old m) *
    value: multiply it by exp(old m - new m), as you do with s."""
    _, top, old, e = _tile(q, k, m)
    return top, s * old + e.sum(axis=-1), o + e @ v


def sum_not_rescaled(q, k, v, m, s, o):
    """The maximum grew and the old sum was not rescaled. Multiply s by exp(old m - new m), as you
    do with o."""
    _, top, old, e = _tile(q, k, m)
    return top, s + e.sum(axis=-1), o * old[:, None] + e @ v


def nothing_rescaled(q, k, v, m, s, o):
    """The maximum grew and the old s and o were not rescaled. Multiply both by exp(old m - new
    m)."""
    _, top, _, e = _tile(q, k, m)
    return top, s + e.sum(axis=-1), o + e @ v


def divided_too_early(q, k, v, m, s, o):
    """Your o is divided by s already. The next tile would add to a quotient: divide once, after all
    tiles."""
    top, s, o = solution(q, k, v, m, s, o)
    return top, s, o / s[:, None]


def not_scaled(q, k, v, m, s, o):
    """The scale is missing: divide the scores by sqrt(D)."""
    scores = q @ k.T
    top = np.maximum(m, scores.max(axis=-1))
    old, e = np.exp(m - top), np.exp(scores - top[:, None])
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def tile_maximum(q, k, v, m, s, o):
    """Your m is the maximum of this tile alone. It is the larger one of that and the old m."""
    scores = _tile(q, k, m)[0]
    top = scores.max(axis=-1)
    old, e = np.exp(m - top), np.exp(scores - top[:, None])
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def wrong_way(q, k, v, m, s, o):
    """You rescale the wrong way: the maximum grew, so the old terms become smaller. The factor is
    exp(old m - new m)."""
    _, top, _, e = _tile(q, k, m)
    old = np.where(np.isfinite(m), np.exp(top - m), 0)
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def tile_normalised(q, k, v, m, s, o):
    """You take the softmax of the tile before the product with v. Its terms are exp(score - new m),
    not divided by their sum."""
    _, top, old, e = _tile(q, k, m)
    p = e / e.sum(axis=-1, keepdims=True)
    return top, s * old + e.sum(axis=-1), o * old[:, None] + p @ v


def scores_times_values(q, k, v, m, s, o):
    """You multiply the values by the scores. They are multiplied by exp(score - new m)."""
    scores, top, old, e = _tile(q, k, m)
    return top, s * old + e.sum(axis=-1), o * old[:, None] + scores @ v


def scaled_by_keys(q, k, v, m, s, o):
    """You divide by the square root of the number of keys. Divide by sqrt(D), the last size of
    q."""
    scores = q @ k.T / np.sqrt(len(k))
    top = np.maximum(m, scores.max(axis=-1))
    old, e = np.exp(m - top), np.exp(scores - top[:, None])
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def scaled_by_d(q, k, v, m, s, o):
    """You divide by D. Divide the scores by the square root of D."""
    scores = q @ k.T / q.shape[-1]
    top = np.maximum(m, scores.max(axis=-1))
    old, e = np.exp(m - top), np.exp(scores - top[:, None])
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def not_shifted(q, k, v, m, s, o):
    """The terms of your tile are exp(score). They are exp(score - new m), so that none can
    overflow."""
    scores, top, old, _ = _tile(q, k, m)
    e = np.exp(scores)
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def tile_by_its_own(q, k, v, m, s, o):
    """You subtract the maximum of the tile from its scores. Subtract the new m, which may come from
    an earlier tile."""
    scores, top, old, _ = _tile(q, k, m)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return top, s * old + e.sum(axis=-1), o * old[:, None] + e @ v


def old_was_divided(q, k, v, m, s, o):
    """You multiply the old o by s. It has not been divided by s: o is a sum of exp(score - m) *
    value, so its only factor is exp(old m - new m)."""
    _, top, old, e = _tile(q, k, m)
    return top, s * old + e.sum(axis=-1), o * (s * old)[:, None] + e @ v


def forgets_both(q, k, v, m, s, o):
    """Your s and o forget the earlier tiles: add the old ones, times exp(old m - new m)."""
    _, top, _, e = _tile(q, k, m)
    return top, e.sum(axis=-1), e @ v


def forgets(q, k, v, m, s, o):
    """Your o forgets the earlier tiles: add o * exp(old m - new m)."""
    _, top, old, e = _tile(q, k, m)
    return top, s * old + e.sum(axis=-1), e @ v


def _inputs(rng: np.random.Generator, Tq: int, K: int, D: int, E: int, first: bool) -> Inputs:
    q, k, v = (2 * rng.standard_normal(shape) for shape in ((Tq, D), (K, D), (K, E)))
    if first:
        return q, k, v, np.full(Tq, -np.inf), np.zeros(Tq), np.zeros((Tq, E))
    m, s = rng.standard_normal(Tq), rng.uniform(1, 3, Tq)
    return q, k, v, m, s, rng.standard_normal((Tq, E))


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for Tq, K, D, E in ((3, 4, 2, 2), (2, 3, 9, 1), (4, 4, 4, 4), (17, 18, 2, 3), (2, 3, 19, 17)):
        for first in (True, False):
            yield _inputs(rng, Tq, K, D, E, first)


def _attend(answer: Answer, q: np.ndarray, k: np.ndarray, v: np.ndarray, size: int) -> np.ndarray:
    """Attention over all keys, in tiles."""
    m, s, o = np.full(len(q), -np.inf), np.zeros(len(q)), np.zeros((len(q), v.shape[1]))
    for start in range(0, len(k), size):
        m, s, o = answer(q, k[start : start + size], v[start : start + size], m, s, o)
    return o / s[:, None]


def is_attention(answer: Answer, rng: np.random.Generator) -> str | None:
    """In tiles of 1, 2, 3 or 6 keys, the result is that of scaled_dot_product_attention."""
    q, k, v = (2 * rng.standard_normal(shape) for shape in ((3, 4), (6, 4), (6, 2)))
    right = scaled_dot_product_attention(tensor(q), tensor(k), tensor(v)).numpy()
    for size in (1, 2, 3, 6):
        off = np.abs(_attend(answer, q, k, v, size) - right).max()
        if not off < 1e-4:
            return f"In tiles of {size} it differs by {off:.3g}."
    return None


def order_of_tiles(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another order of the tiles changes nothing."""
    q, k, v = (2 * rng.standard_normal(shape) for shape in ((3, 4), (6, 4), (6, 2)))
    one = _attend(answer, q, k, v, 2)
    other = _attend(answer, q, k[::-1].copy(), v[::-1].copy(), 2)
    return None if np.allclose(one, other, atol=1e-4) else "In yours it does."


EXERCISE = Exercise(
    ask=attention_tile,
    solution=solution,
    returns=["m", "s", "o"],
    hand=(
        np.array([[2.0, 0, 0, 0]]) * np.log(2),
        np.array([[2.0, 0, 0, 0], [1.0, 0, 0, 0]]),
        np.array([[10.0], [20.0]]),
        np.array([np.log(2)]),
        np.array([3.0]),
        np.array([[8.0]]),
    ),
    cases=cases,
    wrong=[
        output_not_rescaled, sum_not_rescaled, nothing_rescaled, divided_too_early, not_scaled,
        tile_maximum, wrong_way, tile_normalised, scores_times_values, forgets, scaled_by_keys,
        scaled_by_d, not_shifted, tile_by_its_own, old_was_divided, forgets_both,
    ],
    properties=[is_attention, order_of_tiles],
    extremes={
        "scores of 1000": (
            np.array([[1000.0]]), np.array([[1.0], [-1.0]]), np.eye(2), np.array([-1000.0]),
            np.array([2.0]), np.array([[1.0, 1.0]]),
        ),
        "no query": _inputs(np.random.default_rng(0), 0, 2, 3, 2, False),
    },
    hints=(
        "The first lines are those of online softmax: the scores, the new m, exp(scores - new m).",
        "What is old has one factor for each query, exp(old m - new m). It multiplies s and o.",
        "Then add the sum of the new terms to s, and their product with v to o. Do not divide.",
    ),
)  # fmt: skip
