"""The gradients of a product of matrices. The mistakes are transpositions, and the sum over the
batch."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn


def matmul_backward(
    grad: np.ndarray, x: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of y = x @ w, where every sentence of a batch uses the same w.

    grad: shape (B, T, V), the gradient dL/dy that arrives.
    x: shape (B, T, D).
    w: shape (D, V).
    Returns (dx, dw), the gradients of x and of w, in their shapes.

    A start: y_btv = sum_d x_btd w_dv. Which elements of y does x_btd move, and by how much? Which
    does w_dv move?
    """
    raise NotImplementedError("matmul_backward is not written yet")


def solution(grad, x, w):
    dx = grad @ w.T
    dw = np.einsum("btd,btv->dv", x, grad)
    return dx, dw


def w_not_transposed(grad, x, w):
    """Your dx is grad @ w: w must be transposed. From y_btv = sum_d x_btd w_dv follows dx_btd =
    sum_v grad_btv w_dv, a sum over the second axis of w."""
    return grad @ w, solution(grad, x, w)[1]


def dw_transposed(grad, x, w):
    """Your dw is transposed. It has the shape (D, V) of w: dw_dv = sum of x_btd grad_btv."""
    return grad @ w.T, solution(grad, x, w)[1].T


def no_batch_sum(grad, x, w):
    """Your dw has one matrix for each sentence. All sentences used the same w, so its gradient is
    the sum over the batch."""
    return grad @ w.T, x.transpose(0, 2, 1) @ grad


def batch_mean(grad, x, w):
    """Your dw is the mean over the batch. Each use of w adds to its gradient, so it is a sum."""
    return grad @ w.T, (x.transpose(0, 2, 1) @ grad).mean(axis=0)


def first_sentence(grad, x, w):
    """Your dw uses the first sentence only. Every sentence of the batch used w."""
    return grad @ w.T, x[0].T @ grad[0]


def last_sentence(grad, x, w):
    """Your dw uses the last sentence only. If it comes from a loop, write += in place of =."""
    return grad @ w.T, x[-1].T @ grad[-1]


def last_time(grad, x, w):
    """Your dw uses the last position only. Every position of a sentence used w."""
    return grad @ w.T, x[:, -1].T @ grad[:, -1]


def mean_of_rows(grad, x, w):
    """Your dw is the mean over all positions of all sentences. Each use of w adds to its gradient,
    so it is a sum."""
    dx, dw = solution(grad, x, w)
    return dx, dw / max(x.shape[0] * x.shape[1], 1)


def reshaped_not_transposed(grad, x, w):
    """For dw you reshape x to (D, B T). That keeps the order in memory and mixes the features.
    Reshape to (B T, D), and transpose the result."""
    D, V = w.shape
    return grad @ w.T, x.reshape(D, -1) @ grad.reshape(-1, V)


def exchanged(grad, x, w):
    """You return the two gradients in the wrong order. First the one of x, then the one of w."""
    dx, dw = solution(grad, x, w)
    return dw, dx


def forward_again(grad, x, w):
    """Your dw multiplies grad with itself where it needs x: dw = sum of x_btd grad_btv."""
    return grad @ w.T, np.einsum("btd,btv->dv", grad @ w.T, grad)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, T, D, V in (
        (2, 3, 2, 4),
        (3, 2, 3, 3),
        (1, 4, 3, 2),
        (2, 1, 2, 2),
        (17, 2, 18, 3),
        (2, 17, 3, 18),
    ):
        yield (
            rng.standard_normal((B, T, V)), rng.standard_normal((B, T, D)),
            rng.standard_normal((D, V)),
        )  # fmt: skip


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    x, w, grad = (rng.standard_normal(shape) for shape in ((2, 3, 2), (2, 4), (2, 3, 4)))
    dx, dw = answer(grad, x, w)
    yield "dx", dx, lambda x: float((grad * (x @ w)).sum()), x
    yield "dw", dw, lambda w: float((grad * (x @ w)).sum()), w


def order_of_the_batch(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another order of the sentences leaves dw as it is."""
    grad, x, w = (rng.standard_normal(shape) for shape in ((3, 2, 4), (3, 2, 2), (2, 4)))
    one, other = answer(grad, x, w)[1], answer(grad[::-1].copy(), x[::-1].copy(), w)[1]
    return None if np.allclose(one, other, atol=1e-4) else "Yours changes."


def _library(grad, x, w):
    return by_tinyattn(lambda x, w: x @ w, [x, w], grad)


EXERCISE = Exercise(
    ask=matmul_backward,
    solution=solution,
    returns=["dx", "dw"],
    hand=(
        np.array([[[1.0, 0.0]], [[0.0, 2.0]]]),
        np.array([[[1.0, 3.0]], [[2.0, 1.0]]]),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
    ),
    cases=cases,
    wrong=[
        w_not_transposed, dw_transposed, no_batch_sum, batch_mean, first_sentence, last_sentence,
        last_time, exchanged, forward_again, mean_of_rows, reshaped_not_transposed,
    ],
    gradients=gradients,
    properties=[order_of_the_batch],
    extremes={
        "a batch without sentences": (np.zeros((0, 2, 4)), np.zeros((0, 2, 3)), np.ones((3, 4))),
        "sentences without words": (np.zeros((2, 0, 4)), np.zeros((2, 0, 3)), np.ones((3, 4))),
    },
    hints=(
        "Write out the sum for one element: y_btv = sum_d x_btd w_dv. The slope of y_btv by "
        "x_btd is w_dv.",
        "So dx_btd = sum_v grad_btv w_dv: a product with w transposed. And dw_dv is a sum over "
        "b and t, because every position of every sentence used w_dv.",
        "dx = grad @ w.T. For dw, make one long list of rows out of the batch: x.reshape(-1, "
        "D).T @ grad.reshape(-1, V).",
    ),
    library=_library,
)  # fmt: skip
