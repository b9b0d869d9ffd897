"""Find the fault of an attention from what it gives. A message here says what an answer confuses,
since that is all that can be known of it."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Exercise, Inputs, call_unnamed

Attention = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def diagnose(
    attention: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> str:
    """Say what is wrong with an attention. You can call it, but not look into it.

    attention: a function of q, k, v and mask, which should return softmax(q k^T / sqrt(D)) v.
        q: shape (Tq, D).  k: shape (Tk, D).  v: shape (Tk, E).  mask: shape (Tq, Tk), True where a
        query may attend to a key. Give each query at least one key.
    Returns one of these strings:

        "right"
        "no scale"              the scores are not divided
        "scaled by keys"        they are divided by sqrt(Tk)
        "no mask"               the mask has no effect
        "inverted mask"         True and False are exchanged
        "mask after softmax"    the weights that are left do not have the sum 1
        "softmax over queries"  the softmax runs along the wrong axis
    """
    raise NotImplementedError("diagnose is not written yet")


def solution(attention):
    q, k, v = np.array([[3.0, 1], [0, 2], [1, 1]]), np.array([[1.0, 0], [0, 2], [2, 1]]), np.eye(3)
    mask = np.array([[True, True, False], [True, False, True], [False, True, True]])
    if not np.allclose(attention(q, k, v, mask)[mask == 0], 0):
        everything = attention(q, k, v, np.ones((3, 3), bool))
        return "no mask" if np.allclose(attention(q, k, v, mask), everything) else "inverted mask"
    if not np.allclose(attention(q, k, v, mask).sum(axis=1), 1):
        sums = attention(q, k, v, np.ones((3, 3), bool)).sum(axis=1)
        return "mask after softmax" if np.allclose(sums, 1) else "softmax over queries"
    weights = attention(q[:1], k, v, np.ones((1, 3), bool))[0]
    score = np.log(weights[2] / weights[0])
    return {400: "no scale", 283: "right", 231: "scaled by keys"}[round(100 * float(score))]


def _changed(attention, table):
    """The right diagnosis, with some replaced."""
    name = solution(attention)
    return table.get(name, name)


def always_right(attention):
    """You call every attention right."""
    return "right"


def scale_unseen(attention):
    """You call an attention without a scale right, and one with the wrong scale, too. With equal
    scores the scale has no effect: choose q and k whose scores differ, and D different from 1."""
    return _changed(attention, {"no scale": "right", "scaled by keys": "right"})


def keys_unseen(attention):
    """You call an attention right that divides by the square root of the number of keys. Choose a
    number of keys that is not D."""
    return _changed(attention, {"scaled by keys": "right"})


def scales_confused(attention):
    """You find that a scale is wrong, but call the one by the number of keys "no scale". Compare
    the size of the scores: log of the ratio of two weights is the difference of two scores."""
    return _changed(attention, {"scaled by keys": "no scale"})


def mask_unseen(attention):
    """You find no fault of a mask: you call all of them right. Choose a mask with some False in
    it."""
    names = "no mask", "inverted mask", "mask after softmax"
    return _changed(attention, dict.fromkeys(names, "right"))


def masks_confused(attention):
    """You call an inverted mask "no mask". Without a mask, the output is the same for every mask;
    an inverted one is right for the inverted mask."""
    return _changed(attention, {"inverted mask": "no mask"})


def sums_unseen(attention):
    """You call an attention right that masks after the softmax. With values of 1 every output
    should be 1, because the weights have the sum 1."""
    return _changed(attention, {"mask after softmax": "right"})


def axis_unseen(attention):
    """You call an attention right whose softmax runs over the queries. Even without a mask, the
    weights of one query do not have the sum 1 there."""
    return _changed(attention, {"softmax over queries": "right"})


def sums_confused(attention):
    """You call a softmax over the queries "mask after softmax". In both, the weights of a query do
    not have the sum 1. With a mask of True everywhere, only the softmax over the queries still
    shows it."""
    return _changed(attention, {"softmax over queries": "mask after softmax"})


def never_right(attention):
    """You find a fault in an attention that is right. Compare with softmax(q k^T / sqrt(D)) v,
    computed by yourself, up to rounding."""
    return _changed(attention, {"right": "no scale"})


def mask_faults_exchanged(attention):
    """You exchanged "no mask" and "inverted mask". Without a mask, the output is the same for every
    mask; an inverted one gives weight only where the mask is False."""
    return _changed(attention, {"no mask": "inverted mask", "inverted mask": "no mask"})


def sums_exchanged(attention):
    """You exchanged "mask after softmax" and "softmax over queries". With a mask of True
    everywhere, only the softmax over the queries has rows whose sum is not 1."""
    one, other = "mask after softmax", "softmax over queries"
    return _changed(attention, {one: other, other: one})


def scales_exchanged(attention):
    """You exchanged the two scales. Without one, log of the ratio of two weights is the difference
    of two numbers of q k^T itself."""
    one, other = "no scale", "scaled by keys"
    return _changed(attention, {one: other, other: one})


def _attend(q, k, v, mask, divisor):
    e = np.exp(q @ k.T / divisor) * mask
    return e / e.sum(axis=-1, keepdims=True) @ v


def right(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention that is right"""
    return _attend(q, k, v, mask, np.sqrt(q.shape[1]))


def stable(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention that is right, and subtracts the maximum"""
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ v


def no_scale(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (1)"""
    return _attend(q, k, v, mask, 1)


def scaled_by_keys(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (2)"""
    return _attend(q, k, v, mask, np.sqrt(len(k)))


def no_mask(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (3)"""
    return right(q, k, v, np.ones_like(mask))


def inverted_mask(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (4)"""
    e = np.exp(q @ k.T / np.sqrt(q.shape[1])) * ~mask
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def mask_after(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (5)"""
    e = np.exp(q @ k.T / np.sqrt(q.shape[1]))
    return e / e.sum(axis=-1, keepdims=True) * mask @ v


def over_queries(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """an attention with a fault (6)"""
    e = np.exp(q @ k.T / np.sqrt(q.shape[1])) * mask
    total = e.sum(axis=0, keepdims=True)
    return e / np.where(total > 0, total, 1) @ v


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for attention in (
        stable, no_scale, scaled_by_keys, no_mask, inverted_mask, mask_after, over_queries,
    ):  # fmt: skip
        yield (attention,)


EXERCISE = Exercise(
    ask=diagnose,
    solution=solution,
    returns=["diagnosis"],
    hand=(right,),
    cases=cases,
    wrong=[
        always_right, scale_unseen, keys_unseen, scales_confused, mask_unseen, masks_confused,
        sums_unseen, axis_unseen, sums_confused, never_right, mask_faults_exchanged, sums_exchanged,
        scales_exchanged,
    ],
    hints=(
        "With v = np.eye(Tk), the output is the matrix of weights itself. Look at it for a mask "
        "with some False, and for a mask of True everywhere.",
        "Masked places must have the weight 0, and each row must have the sum 1. Which faults "
        "break which of the two?",
        "For the scale: log(weight_i / weight_j) of one query is the difference of its scores i "
        "and j. Compare it with that of q k^T, for a Tk that is not D.",
    ),
    run=call_unnamed,
)  # fmt: skip
