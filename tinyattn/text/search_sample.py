"""Sampling: each next token is drawn from the probabilities that the model gives.

Look first at `sample`, then at `narrowed`, which leaves out improbable tokens. Letters: B
sentences, V vocabulary.
"""

import math
from collections.abc import Sequence

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.text.search import Found, Ids, State, Step, follow, room


def sample(
    step: Step[State],
    state: State,
    lengths: Sequence[int] | Ids,
    seed: int = 0,
    numbers: Sequence[int] | Ids | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    factor: float = 2.0,
    extra: int = 50,
    no_repeat: int = 0,
) -> list[Found]:
    """A translation of each sentence, its tokens drawn at random; other arguments as for `greedy`.

    The probabilities are softmax(scores / temperature): below 1 the probable tokens become more
    probable. Of them `narrowed` keeps the `top_k` largest, and of these the fewest that make up the
    share `top_p`.

    The draws of a sentence depend on `seed` and on its number alone, `numbers` (B,), by default 0,
    1, 2, ...: the same sentence gets the same translation in any batch.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: expected a number above 0, got {temperature}")
    if seed < 0:
        raise ValueError(f"seed: expected a whole number from 0, got {seed}")
    if top_k < 0:
        raise ValueError(f"top_k: expected at least 0 (0 for all tokens), got {top_k}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a share above 0, at most 1, got {top_p}")
    limits = room(lengths, factor, extra, no_repeat)
    keys = range(len(limits)) if numbers is None else numbers
    draws = [np.random.Generator(np.random.Philox([seed, int(number)])) for number in keys]

    def draw(scores: Array, t: int) -> Ids:
        scaled = scores.astype(np.float64)
        scaled = (scaled - scaled.max(1, keepdims=True)) / temperature
        p = narrowed(np.exp(scaled), top_k, top_p)
        share = np.array([[generator.random()] for generator in draws])
        sums = p.cumsum(1)
        # The first token whose sum passes the drawn share of the whole: no other has probability 0.
        return (sums > share * sums[:, -1:]).argmax(1)

    return follow(draw, step, state, limits, no_repeat)


def narrowed(p: Array, top_k: int, top_p: float) -> Array:
    """Probabilities (B, V), whose sum need not be 1, with those set to 0 that sampling leaves out.

    First all but the `top_k` largest (0: none), then all that are not needed for the share `top_p`
    of what is left, the largest first (nucleus sampling: Holtzman et al. 2020, arXiv:1904.09751).
    Of equal ones the first is kept.

    >>> narrowed(np.array([[0.1, 0.4, 0.2, 0.3]]), top_k=3, top_p=0.7)
    array([[0. , 0.4, 0. , 0.3]])
    """
    if not top_k and top_p == 1:
        return p
    order = np.argsort(-p, axis=1, kind="stable")
    largest = np.take_along_axis(p, order, 1)
    if top_k:
        largest[:, top_k:] = 0
    before = largest.cumsum(1) - largest  # the sum of those that are larger
    largest[before >= top_p * largest.sum(1, keepdims=True)] = 0
    out = np.zeros_like(p)
    np.put_along_axis(out, order, largest, 1)
    return out
