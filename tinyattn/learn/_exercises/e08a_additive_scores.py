"""Bahdanau's scores: how well each word of the source fits to the state of the decoder."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.ops.creation import tensor
from tinyattn.ops.elementwise import tanh


def additive_scores(
    query: np.ndarray, keys: np.ndarray, w_q: np.ndarray, w_k: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Additive scores (Bahdanau, Cho, Bengio 2014, arXiv:1409.0473), one for each key.

    score_bt = sum_h v_h tanh(query_b @ w_q + keys_bt @ w_k)_h

    query: shape (B, D), a state of the decoder for each sentence.
    keys: shape (B, T, K), the states of the encoder.
    w_q: shape (D, H).  w_k: shape (K, H).  v: shape (H,).
    Returns the scores, shape (B, T), before any softmax.
    """
    raise NotImplementedError("additive_scores is not written yet")


def solution(query, keys, w_q, w_k, v):
    hidden = np.tanh((query @ w_q)[:, None, :] + keys @ w_k)
    return hidden @ v


def no_tanh(query, keys, w_q, w_k, v):
    """The tanh is missing. Without it the query adds the same number to all keys of a sentence, and
    a softmax would not see it."""
    return ((query @ w_q)[:, None] + keys @ w_k) @ v


def tanh_outside(query, keys, w_q, w_k, v):
    """Your tanh stands outside of the sum over h. It belongs inside: first tanh, then v."""
    return np.tanh(((query @ w_q)[:, None] + keys @ w_k) @ v)


def two_tanhs(query, keys, w_q, w_k, v):
    """You take the tanh of the query and of the key one by one. It is the tanh of their sum."""
    return (np.tanh(query @ w_q)[:, None] + np.tanh(keys @ w_k)) @ v


def no_query(query, keys, w_q, w_k, v):
    """The query is missing: your scores depend on the keys only."""
    return np.tanh(keys @ w_k) @ v


def product(query, keys, w_q, w_k, v):
    """You multiply the parts of the query and of the key. In additive attention they are added."""
    return np.tanh((query @ w_q)[:, None] * (keys @ w_k)) @ v


def no_v(query, keys, w_q, w_k, v):
    """v is missing: yours is the plain sum over h. v says how much each h counts."""
    return np.tanh((query @ w_q)[:, None] + keys @ w_k).sum(-1)


def with_softmax(query, keys, w_q, w_k, v):
    """Yours has a softmax over the keys already. The scores before it were asked for, because the
    mask comes in between."""
    scores = solution(query, keys, w_q, w_k, v)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kept_axis(query, keys, w_q, w_k, v):
    """Your result has the shape (B, T, 1). v leaves one number for each key: the shape is (B, T).
    (A softmax over an axis of length 1 gives the weight 1 everywhere.)"""
    return solution(query, keys, w_q, w_k, v)[..., None]


def wrong_sentence(query, keys, w_q, w_k, v):
    """You add the query of sentence t to key t: (B, H) is aligned with (B, T, H) at the right, so B
    meets T. Make it (B, 1, H) first, with [:, None, :]."""
    return np.tanh((query @ w_q) + keys @ w_k) @ v


def scaled(query, keys, w_q, w_k, v):
    """You divide by the square root of H. That belongs to the scaled dot product; additive scores
    have no such factor."""
    return solution(query, keys, w_q, w_k, v) / np.sqrt(len(v))


def _inputs(rng: np.random.Generator, B: int, T: int, D: int, K: int, H: int) -> Inputs:
    shapes = (B, D), (B, T, K), (D, H), (K, H), (H,)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for sizes in (
        (2, 3, 2, 4, 3),
        (3, 3, 2, 2, 2),
        (1, 4, 3, 2, 5),
        (4, 1, 2, 3, 2),
        (17, 2, 3, 2, 18),
        (2, 18, 17, 19, 3),
    ):
        yield _inputs(rng, *sizes)


def keys_are_apart(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another order of the keys gives the scores in that order."""
    query, keys, *rest = _inputs(rng, 2, 4, 3, 2, 3)
    one, other = answer(query, keys, *rest), answer(query, keys[:, ::-1].copy(), *rest)
    return None if np.allclose(one[:, ::-1], other, atol=1e-4) else "It does not."


def sentences_are_apart(answer: Answer, rng: np.random.Generator) -> str | None:
    """A sentence alone gets the same scores as in a batch."""
    query, keys, *rest = _inputs(rng, 3, 3, 2, 2, 3)
    alone = answer(query[1:2], keys[1:2], *rest)[0]
    return None if np.allclose(alone, answer(query, keys, *rest)[1], atol=1e-4) else "It does not."


def _library(query, keys, w_q, w_k, v):
    query, keys, w_q, w_k, v = map(tensor, (query, keys, w_q, w_k, v))
    return (tanh((query @ w_q).unsqueeze(1) + keys @ w_k) * v).sum(-1).numpy()


EXERCISE = Exercise(
    ask=additive_scores,
    solution=solution,
    returns=["scores"],
    hand=(
        np.array([[1.0]]), np.array([[[0.0], [-1.0]]]), np.array([[1.0, 0.5]]),
        np.array([[1.0, 2.0]]), np.array([1.0, 2.0]),
    ),
    cases=cases,
    wrong=[
        no_tanh, tanh_outside, two_tanhs, no_query, product, no_v, with_softmax, kept_axis,
        wrong_sentence, scaled,
    ],
    properties=[keys_are_apart, sentences_are_apart],
    extremes={
        "a batch without sentences": _inputs(np.random.default_rng(0), 0, 2, 2, 2, 3),
        "sentences without words": _inputs(np.random.default_rng(0), 2, 0, 2, 2, 3),
        "states of 1000": (
            np.full((1, 2), 1000.0), np.full((1, 2, 2), -500.0), np.eye(2), np.eye(2), np.ones(2),
        ),
    },
    hints=(
        "Two products first: query @ w_q has the shape (B, H), keys @ w_k has the shape (B, T, H).",
        "Each query is added to all T keys of its sentence. (B, H) becomes (B, 1, H) by [:, None, "
        ":], and broadcasting does the rest.",
        "After the tanh, the product with v sums over h: hidden @ v has the shape (B, T).",
    ),
    library=_library,
)  # fmt: skip
