"""The block of a Transformer, with the norms before or after. The mistakes are paths around a part
that are missing, and norms in the wrong place."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


def transformer_block(
    x: np.ndarray,
    attention: Callable[[np.ndarray], np.ndarray],
    feed_forward: Callable[[np.ndarray], np.ndarray],
    norm_1: Callable[[np.ndarray], np.ndarray],
    norm_2: Callable[[np.ndarray], np.ndarray],
    norm_first: bool,
) -> np.ndarray:
    """One block of a Transformer encoder (Vaswani et al. 2017, arXiv:1706.03762).

    Two parts follow each other: attention, then a feed-forward network. A path leads around each
    part: what goes into the part is added to what comes out of it.

    x: shape (T, D).
    attention, feed_forward, norm_1, norm_2: functions that take and give an array of shape (T, D).
        norm_1 belongs to the attention, norm_2 to the feed-forward network.
    norm_first: True: each norm is applied to what goes into its part, and the path around the part
        has no norm. False, as in the paper: each norm is applied after the addition.
    Returns shape (T, D).
    """
    raise NotImplementedError("transformer_block is not written yet")


def solution(x, attention, feed_forward, norm_1, norm_2, norm_first):
    if norm_first:
        x = x + attention(norm_1(x))
        return x + feed_forward(norm_2(x))
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


def no_first_path(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """The path around the attention is missing: add what goes into it to what comes out."""
    if norm_first:
        x = attention(norm_1(x))
        return x + feed_forward(norm_2(x))
    x = norm_1(attention(x))
    return norm_2(x + feed_forward(x))


def no_second_path(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """The path around the feed-forward network is missing: add what goes into it to what comes
    out."""
    if norm_first:
        x = x + attention(norm_1(x))
        return feed_forward(norm_2(x))
    x = norm_1(x + attention(x))
    return norm_2(feed_forward(x))


def no_path(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """Both paths around the parts are missing: add what goes into a part to what comes out."""
    if norm_first:
        return feed_forward(norm_2(attention(norm_1(x))))
    return norm_2(feed_forward(norm_1(attention(x))))


def normed_path(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """With norm_first you add the normed x. The path around a part has no norm: add x itself."""
    if norm_first:
        y = norm_1(x)
        x = y + attention(y)
        y = norm_2(x)
        return y + feed_forward(y)
    return solution(x, attention, feed_forward, norm_1, norm_2, norm_first)


def always_after(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """norm_first has no effect in yours: the norms always come after the addition."""
    return solution(x, attention, feed_forward, norm_1, norm_2, False)


def always_before(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """norm_first has no effect in yours: the norms always come before the parts."""
    return solution(x, attention, feed_forward, norm_1, norm_2, True)


def inverted(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """norm_first is inverted in yours: with True the norms come before the parts."""
    return solution(x, attention, feed_forward, norm_1, norm_2, not norm_first)


def one_norm(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """You use norm_1 twice. The feed-forward network has a norm of its own, norm_2."""
    return solution(x, attention, feed_forward, norm_1, norm_1, norm_first)


def norms_exchanged(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """You exchanged the norms: norm_1 belongs to the attention, norm_2 to the feed-forward
    network."""
    return solution(x, attention, feed_forward, norm_2, norm_1, norm_first)


def from_the_start(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """Around the feed-forward network you add the x that went into the block. Add what goes into
    this part: the result of the attention."""
    if norm_first:
        y = x + attention(norm_1(x))
        return x + feed_forward(norm_2(y))
    y = norm_1(x + attention(x))
    return norm_2(x + feed_forward(y))


def parts_exchanged(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """You exchanged the parts: the attention comes first, then the feed-forward network."""
    return solution(x, feed_forward, attention, norm_1, norm_2, norm_first)


def norm_of_the_part(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """Without norm_first you norm what comes out of the part, and then add. The norm comes after
    the addition: norm(x + part(x))."""
    if norm_first:
        return solution(x, attention, feed_forward, norm_1, norm_2, True)
    x = x + norm_1(attention(x))
    return x + norm_2(feed_forward(x))


def no_norm(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """There are no norms in yours. Each part has one."""
    x = x + attention(x)
    return x + feed_forward(x)


def side_by_side(x, attention, feed_forward, norm_1, norm_2, norm_first):
    """Both parts read the same x in yours. They follow each other: the feed-forward network reads
    the result of the attention, with the path around it."""
    if norm_first:
        return x + attention(norm_1(x)) + feed_forward(norm_2(x))
    return norm_2(norm_1(x + attention(x) + feed_forward(x)))


def mean_of_words(x: np.ndarray) -> np.ndarray:
    """x -> each word gets the mean of all words"""
    return np.broadcast_to(x.mean(axis=0), x.shape)


def halves(x: np.ndarray) -> np.ndarray:
    """x -> max(x, 0) / 2"""
    return np.maximum(x, 0) / 2


def norm_of_words(x: np.ndarray) -> np.ndarray:
    """x -> (x - mean) / deviation, for each word"""
    off = x - x.mean(axis=-1, keepdims=True)
    return off / np.sqrt((off**2).mean(axis=-1, keepdims=True) + 1e-5)


def doubled_norm(x: np.ndarray) -> np.ndarray:
    """x -> 2 (x - mean) / deviation + 1, for each word"""
    return 2 * norm_of_words(x) + 1


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for norm_first in (False, True):
        for T, D in ((3, 4), (1, 3), (17, 18)):
            x = 2 * rng.standard_normal((T, D)) + 1
            yield x, mean_of_words, halves, norm_of_words, doubled_norm, norm_first


def parts_that_give_nothing(answer: Answer, rng: np.random.Generator) -> str | None:
    """With norm_first, and parts that give 0, the block gives back its x."""
    x = rng.standard_normal((3, 4))
    out = answer(x, np.zeros_like, np.zeros_like, norm_of_words, doubled_norm, True)
    return None if np.allclose(out, x, atol=1e-4) else "Yours changes it."


EXERCISE = Exercise(
    ask=transformer_block,
    solution=solution,
    returns=["output"],
    hand=(
        np.array([[1.0, 3.0], [3.0, -1.0]]), mean_of_words, halves, norm_of_words, doubled_norm,
        True,
    ),
    cases=cases,
    wrong=[
        no_first_path, no_second_path, no_path, normed_path, always_after, always_before, inverted,
        one_norm, norms_exchanged, from_the_start, parts_exchanged, norm_of_the_part, no_norm,
        side_by_side,
    ],
    properties=[parts_that_give_nothing],
    extremes={
        "one word of zeros": (
            np.zeros((1, 2)), mean_of_words, halves, norm_of_words, doubled_norm, False,
        ),
    },
    hints=(
        "Each of the two parts is one line of the form x = x + part(x), with a norm somewhere.",
        "With norm_first, the norm stands inside: x + part(norm(x)). The x on the left has no "
        "norm.",
        "Without it, the norm stands outside: norm(x + part(x)). The second line goes on from the "
        "result of the first.",
    ),
)  # fmt: skip
