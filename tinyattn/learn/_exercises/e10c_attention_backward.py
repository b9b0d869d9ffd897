"""The gradients of attention: products, a softmax and a scale, backwards."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.nn.functional import scaled_dot_product_attention


def attention_backward(
    grad: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of scaled dot-product attention.

    The forward pass computed

        s = q k^T / sqrt(D)       shape (B, Tq, Tk)
        p = softmax(s)            along the keys, the last axis
        y = p v                   shape (B, Tq, E)

    grad: shape (B, Tq, E), the gradient dL/dy that arrives.
    q: shape (B, Tq, D).  k: shape (B, Tk, D).  v: shape (B, Tk, E).
    p: shape (B, Tq, Tk), the weights, kept from the forward pass.
    Returns (dq, dk, dv), in the shapes of q, k and v.

    Go backwards, line by line: first dv and dp, then ds, then dq and dk.
    """
    raise NotImplementedError("attention_backward is not written yet")


def solution(grad, q, k, v, p):
    dv = p.swapaxes(-1, -2) @ grad
    dp = grad @ v.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, ds.swapaxes(-1, -2) @ q, dv


def _t(x: np.ndarray) -> np.ndarray:
    return x.swapaxes(-1, -2)


def _ds(grad, v, p):
    """The gradient of the scores, without the scale."""
    dp = grad @ _t(v)
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def not_scaled(grad, q, k, v, p):
    """The scale is missing: s = q k^T / sqrt(D), so dq and dk have the factor 1 / sqrt(D), too."""
    ds = _ds(grad, v, p)
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def scaled_once(grad, q, k, v, p):
    """Your dq is scaled, your dk is not. Both have the factor 1 / sqrt(D)."""
    dq, dk, dv = solution(grad, q, k, v, p)
    return dq, dk * np.sqrt(q.shape[-1]), dv


def scaled_once_k(grad, q, k, v, p):
    """Your dk is scaled, your dq is not. Both have the factor 1 / sqrt(D)."""
    dq, dk, dv = solution(grad, q, k, v, p)
    return dq * np.sqrt(q.shape[-1]), dk, dv


def no_softmax_sum(grad, q, k, v, p):
    """Your ds is p * dp: the sum in softmax's gradient is missing. Every score moves all weights of
    its query, through the denominator."""
    ds = p * (grad @ _t(v)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def no_softmax(grad, q, k, v, p):
    """You take dp for ds: the gradient of the softmax is missing between them."""
    ds = grad @ _t(v) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def softmax_over_queries(grad, q, k, v, p):
    """The sum in your softmax's gradient runs over the queries. The softmax runs along the keys, so
    the sum runs along the last axis."""
    dp = grad @ _t(v)
    ds = p * (dp - (dp * p).sum(axis=-2, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def weights_not_transposed(grad, q, k, v, p):
    """Your dv is p @ grad. p must be transposed: value j gets p_ij grad_i from every query i."""
    dq, dk, _ = solution(grad, q, k, v, p)
    return dq, dk, p @ grad


def scores_not_transposed(grad, q, k, v, p):
    """Your dk is ds @ q. ds must be transposed: key j gets ds_ij q_i from every query i."""
    dq, _, dv = solution(grad, q, k, v, p)
    return dq, _ds(grad, v, p) @ q / np.sqrt(q.shape[-1]), dv


def exchanged(grad, q, k, v, p):
    """You exchanged dq and dk: dq is a product with k, dk a product with q."""
    dq, dk, dv = solution(grad, q, k, v, p)
    return dk, dq, dv


def sigmoid(grad, q, k, v, p):
    """Your ds is p (1 - p) dp: that is the gradient of a sigmoid. Softmax has terms with i != j,
    too."""
    ds = p * (1 - p) * (grad @ _t(v)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def scaled_by_d(grad, q, k, v, p):
    """You divide by D. The scores were divided by the square root of D."""
    ds = _ds(grad, v, p) / q.shape[-1]
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def scaled_up(grad, q, k, v, p):
    """You multiply by sqrt(D). The scores were divided by it, so dq and dk are, too."""
    ds = _ds(grad, v, p) * np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def scaled_by_keys(grad, q, k, v, p):
    """You divide by the square root of the number of keys. The scores were divided by sqrt(D)."""
    ds = _ds(grad, v, p) / np.sqrt(k.shape[-2])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def all_scaled(grad, q, k, v, p):
    """Your dv has the factor 1 / sqrt(D), too. The scale stands in the scores only: dv is
    p^T grad."""
    dq, dk, dv = solution(grad, q, k, v, p)
    return dq, dk, dv / np.sqrt(q.shape[-1])


def plus(grad, q, k, v, p):
    """The sign of the sum in your ds is wrong: ds = p (dp - sum(dp p))."""
    dp = grad @ _t(v)
    ds = p * (dp + (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def no_factor(grad, q, k, v, p):
    """The factor p in front of the bracket is missing: ds = p (dp - sum(dp p))."""
    dp = grad @ _t(v)
    ds = (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def plain_sum(grad, q, k, v, p):
    """In your ds you subtract sum(dp), not sum(dp p): each dp is multiplied by its weight."""
    dp = grad @ _t(v)
    ds = p * (dp - dp.sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, _t(ds) @ q, _t(p) @ grad


def _weights(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    s = q @ _t(k) / np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(axis=-1, keepdims=True, initial=-1e30))
    return e / e.sum(axis=-1, keepdims=True)


def _inputs(rng: np.random.Generator, B: int, Tq: int, Tk: int, D: int, E: int) -> Inputs:
    shapes = (B, Tq, E), (B, Tq, D), (B, Tk, D), (B, Tk, E)
    grad, q, k, v = (rng.standard_normal(shape) for shape in shapes)
    return grad, q, k, v, _weights(q, k)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for sizes in (
        (2, 3, 3, 3, 3),
        (1, 2, 4, 3, 2),
        (2, 4, 2, 2, 5),
        (17, 2, 3, 2, 2),
        (1, 17, 18, 19, 20),
    ):
        yield _inputs(rng, *sizes)


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    grad, q, k, v, p = _inputs(rng, 1, 3, 2, 2, 2)
    dq, dk, dv = answer(grad, q, k, v, p)
    yield "dq", dq, lambda q: float((grad * (_weights(q, k) @ v)).sum()), q
    yield "dk", dk, lambda k: float((grad * (_weights(q, k) @ v)).sum()), k
    yield "dv", dv, lambda v: float((grad * (_weights(q, k) @ v)).sum()), v


def shifted_keys(answer: Answer, rng: np.random.Generator) -> str | None:
    """The gradients of all keys have the sum 0: the same step of all keys changes no weight."""
    dk = answer(*_inputs(rng, 2, 3, 4, 3, 2))[1]
    off = np.abs(dk.sum(axis=1)).max()
    return None if off < 1e-4 else f"Yours have the sum {off:.3g}."


def _library(grad, q, k, v, p):
    return by_tinyattn(scaled_dot_product_attention, [q, k, v], grad)


EXERCISE = Exercise(
    ask=attention_backward,
    solution=solution,
    returns=["dq", "dk", "dv"],
    hand=(
        np.array([[[1.0], [0.0]]]),
        np.array([[[2.0, 0, 0, 0], [0, 0, 0, 0]]]) * np.log(3),
        np.array([[[0.5, 0, 0, 0], [-0.5, 0, 0, 0]]]),
        np.array([[[4.0], [8.0]]]),
        np.array([[[0.75, 0.25], [0.5, 0.5]]]),
    ),
    cases=cases,
    wrong=[
        not_scaled, scaled_once, scaled_once_k, no_softmax_sum, no_softmax, softmax_over_queries,
        weights_not_transposed, scores_not_transposed, exchanged, sigmoid, scaled_by_d, scaled_up,
        scaled_by_keys, all_scaled, plus, no_factor, plain_sum,
    ],
    gradients=gradients,
    properties=[shifted_keys],
    extremes={
        "no query": _inputs(np.random.default_rng(0), 1, 0, 3, 2, 2),
        "one key": _inputs(np.random.default_rng(0), 2, 3, 1, 2, 2),
    },
    hints=(
        "y = p v is a product of matrices: dv = p^T grad, dp = grad v^T.",
        "p = softmax(s) along the last axis: ds = p (dp - sum(dp p)), where the sum runs along the "
        "last axis and keeps it.",
        "s = q k^T / sqrt(D): divide ds by sqrt(D), then dq = ds k and dk = ds^T q. Transpose with "
        ".swapaxes(-1, -2).",
    ),
    library=_library,
)  # fmt: skip
