"""The gradient of softmax. The mistake most people make is to forget that every x_j moves every
y_i, through the denominator."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.ops.normalising import softmax


def softmax_backward(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the softmax of each row.

    The forward pass computed  y_i = exp(x_i) / sum_j exp(x_j)  for each row of x.

    y: shape (B, T), the softmax; each row has the sum 1.
    grad: shape (B, T), the gradient dL/dy that arrives.
    Returns dL/dx, shape (B, T).

    A start: dy_i/dx_j = y_i (1[i=j] - y_j). What is dL/dx_j = sum_i dL/dy_i dy_i/dx_j ?
    """
    raise NotImplementedError("softmax_backward is not written yet")


def solution(y, grad):
    return y * (grad - (grad * y).sum(axis=-1, keepdims=True))


def no_sum(y, grad):
    """Yours is y * grad: the sum over i is missing. Every x_j moves every y_i, through the
    denominator."""
    return y * grad


def sigmoid(y, grad):
    """Yours is y * (1 - y) * grad: that is the gradient of the sigmoid. It has only the terms with
    i = j; softmax has those with i != j, too."""
    return y * (1 - y) * grad


def whole_batch(y, grad):
    """Your sum goes over the whole batch. Each row is a softmax of its own: sum over the last axis
    only, and keep that axis (keepdims=True)."""
    return y * (grad - (grad * y).sum())


def first_axis(y, grad):
    """Your sum goes over axis 0, the rows of the batch. The softmax runs along the last axis."""
    return y * (grad - (grad * y).sum(axis=0, keepdims=True))


def plain_sum(y, grad):
    """You subtract sum(grad), not sum(grad * y). In the sum over i, each dL/dy_i is multiplied by
    y_i."""
    return y * (grad - grad.sum(axis=-1, keepdims=True))


def no_keepdims(y, grad):
    """Your sums have the shape (B,), and grad has the shape (B, T): NumPy aligns them at the right,
    so B meets T. Keep the axis that you sum over, with keepdims=True."""
    return y * (grad - (grad * y).sum(axis=-1))


def mean(y, grad):
    """You take the mean of grad * y where the derivation has a sum."""
    return y * (grad - (grad * y).mean(axis=-1, keepdims=True))


def plus(y, grad):
    """The sign of the sum is wrong: the term with y_i y_j is subtracted."""
    return y * (grad + (grad * y).sum(axis=-1, keepdims=True))


def no_factor(y, grad):
    """The factor y_j in front of the bracket is missing: yours is grad - sum(grad * y)."""
    return grad - (grad * y).sum(axis=-1, keepdims=True)


def log_softmax(y, grad):
    """Yours is grad - y * sum(grad): that is the gradient of log_softmax."""
    return grad - y * grad.sum(axis=-1, keepdims=True)


def zeros(y, grad):
    """Yours is 0 everywhere. A check through y.sum() would not see this: a row of y always has the
    sum 1, so the true gradient of that sum is 0. Other losses have another gradient."""
    return np.zeros_like(y)


def no_first_term(y, grad):
    """The first term is missing: yours is -y * sum(grad * y). The terms with i = j have y_i, too,
    which gives y * grad."""
    return -y * (grad * y).sum(axis=-1, keepdims=True)


def last_term(y, grad):
    """Only the term of the last i is left in your sum. If it comes from a loop over i, write += in
    place of =."""
    i = y.shape[1] - 1
    return grad[:, i:] * y[:, i:] * (np.eye(i + 1)[i] - y)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for shape in ((2, 3), (3, 5), (4, 4), (1, 7), (17, 19)):
        yield _softmax(rng.standard_normal(shape)), rng.standard_normal(shape)


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    x, grad = rng.standard_normal((2, 2, 4))
    yield "dx", answer(_softmax(x), grad), lambda x: float((grad * _softmax(x)).sum()), x


def rows_sum_to_zero(answer: Answer, rng: np.random.Generator) -> str | None:
    """Each row of the gradient has the sum 0: adding 1 to all x of a row changes no y."""
    y, grad = _softmax(rng.standard_normal((3, 6))), rng.standard_normal((3, 6))
    sums = np.abs(answer(y, grad).sum(axis=-1))
    return f"The sums of your rows reach {sums.max():.3g}." if sums.max() > 1e-4 else None


def linear(answer: Answer, rng: np.random.Generator) -> str | None:
    """Twice the gradient that arrives gives twice the result."""
    y, grad = _softmax(rng.standard_normal((3, 6))), rng.standard_normal((3, 6))
    once, twice = answer(y, grad), answer(y, 2 * grad)
    return None if np.allclose(twice, 2 * once, atol=1e-4) else "With twice grad it does not."


def rows_are_apart(answer: Answer, rng: np.random.Generator) -> str | None:
    """A row alone gives the same as in a batch."""
    y, grad = _softmax(rng.standard_normal((3, 6))), rng.standard_normal((3, 6))
    alone = answer(y[1:2], grad[1:2])
    return None if np.allclose(alone[0], answer(y, grad)[1], atol=1e-4) else "It does not."


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _library(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    return by_tinyattn(lambda x: softmax(x, -1), [np.log(y)], grad)[0]


EXERCISE = Exercise(
    ask=softmax_backward,
    solution=solution,
    returns=["dx"],
    hand=(np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]]), np.array([[1.0, 0, 0], [0, 2, 1]])),
    cases=cases,
    wrong=[
        no_sum, sigmoid, whole_batch, first_axis, plain_sum, no_keepdims, mean, plus, no_factor,
        log_softmax, zeros, no_first_term, last_term,
    ],
    gradients=gradients,
    properties=[rows_sum_to_zero, linear, rows_are_apart],
    extremes={
        "a row that is all on one word": (np.array([[0.0, 1, 0]]), np.array([[3.0, -2, 5]])),
        "a batch without rows": (np.zeros((0, 3)), np.zeros((0, 3))),
    },
    hints=(
        "Write the sum over i for one row, and split it: the terms with 1[i=j], and the terms with "
        "y_i y_j.",
        "In the second part, y_j does not depend on i. Take it out of the sum. What is left is one "
        "number for each row, s = sum_i grad_i y_i.",
        "dL/dx_j = y_j (grad_j - s). In NumPy the sum runs over the last axis, and keepdims=True "
        "keeps that axis, so that s has the shape (B, 1).",
    ),
    library=_library,
)  # fmt: skip
