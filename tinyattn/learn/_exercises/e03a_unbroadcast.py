"""The gradient of broadcasting: what was stretched is summed. The mistakes are sums over the wrong
axis, and axes that are forgotten."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.ops.shape import broadcast_to


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of an array that broadcasting has stretched.

    In x + y, an x of shape (3, 1) is stretched to (2, 3, 4), if y has this shape. One element of x
    was used several times, so its gradient is the sum of several elements of grad.

    grad: the gradient, in the shape that the array was stretched to.
    shape: the shape of the array itself. Both shapes are aligned at their right ends. An axis that
        is missing at the left of `shape`, or has the size 1 there, may have been stretched.
    Returns the gradient, in the shape `shape`.
    """
    raise NotImplementedError("unbroadcast is not written yet")


def solution(grad, shape):
    extra = grad.ndim - len(shape)
    summed = grad.sum(axis=tuple(range(extra)))
    for axis, size in enumerate(shape):
        if size == 1:
            summed = summed.sum(axis=axis, keepdims=True)
    return summed


def _stretched(grad: np.ndarray, shape: tuple[int, ...]) -> list[int]:
    """The axes of grad that are missing in `shape`, or have the size 1 there."""
    extra = grad.ndim - len(shape)
    return [i for i in range(grad.ndim) if i < extra or shape[i - extra] == 1]


def axis_0(grad, shape):
    """You sum over axis 0, whatever was stretched. Sum over those axes that are missing in `shape`,
    or have the size 1 there."""
    return np.broadcast_to(grad.sum(axis=0), shape).copy()


def no_keepdims(grad, shape):
    """The axes of size 1 are gone. Sum with keepdims=True, so that they stay."""
    return grad.sum(axis=tuple(_stretched(grad, shape)))


def only_new_axes(grad, shape):
    """You sum over the axes that are missing at the left. Axes with the size 1 in `shape` have been
    stretched, too."""
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))


def only_ones(grad, shape):
    """You sum over the axes with the size 1 in `shape`. Axes that are missing at the left have been
    stretched, too."""
    extra = grad.ndim - len(shape)
    axes = [i for i in _stretched(grad, shape) if i >= extra]
    return grad.sum(axis=tuple(axes), keepdims=True)


def mean(grad, shape):
    """You take a mean. Each use of an element adds to its gradient, so it is a sum."""
    return grad.mean(axis=tuple(_stretched(grad, shape)), keepdims=True).reshape(shape)


def one_of_them(grad, shape):
    """You take the first element along each stretched axis. The element of x was used several
    times, so the gradients of all its uses are added."""
    axes = _stretched(grad, shape)
    return grad[tuple(slice(1) if i in axes else slice(None) for i in range(grad.ndim))].reshape(
        shape
    )


def whole_sum(grad, shape):
    """Every element of yours is the sum of all of grad. Sum over the stretched axes only."""
    return np.full(shape, grad.sum())


def left_aligned(grad, shape):
    """You align the shapes at their left ends. NumPy aligns them at their right ends: the missing
    axes are the first ones of grad."""
    axes = tuple(range(len(shape), grad.ndim))
    summed = grad.sum(axis=axes)
    for axis, size in enumerate(shape):
        if size == 1:
            summed = summed.sum(axis=axis, keepdims=True)
    return summed


def unchanged(grad, shape):
    """You return grad as it is. It has the shape of the result; the gradient of x has the shape of
    x."""
    return grad + 0


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for big, small in (
        ((3, 3), (3,)), ((2, 3, 4), (3, 1)), ((2, 3), (2, 3)), ((3, 3), (3, 1)), ((4, 3), (1, 3)),
        ((2, 3, 3), (1, 3, 1)), ((3, 3, 3), (3,)), ((2, 2), (1, 1)), ((2, 3), ()), ((5,), (1,)),
        ((17, 18, 19), (18, 1)),
    ):  # fmt: skip
        yield rng.standard_normal(big), small


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    for shape in ((3, 1), (1, 4), (4,)):
        x, grad = rng.standard_normal(shape), rng.standard_normal((2, 3, 4))
        yield "dx", answer(grad, shape), partial(_loss, grad), x


def _loss(grad: np.ndarray, x: np.ndarray) -> float:
    return float((grad * x).sum())


def total_stays(answer: Answer, rng: np.random.Generator) -> str | None:
    """The sum of all elements stays the same: nothing of the gradient is lost."""
    grad = rng.standard_normal((2, 3, 4))
    off = abs(answer(grad, (3, 1)).sum() - grad.sum())
    return None if off < 1e-4 else f"They differ by {off:.3g}."


def _library(grad, shape):
    return by_tinyattn(lambda x: broadcast_to(x, grad.shape), [np.zeros(shape)], grad)[0]


EXERCISE = Exercise(
    ask=unbroadcast,
    solution=solution,
    returns=["dx"],
    hand=(np.array([[1.0, 2, 3], [4, 5, 6]]), (2, 1)),
    cases=cases,
    wrong=[
        axis_0, no_keepdims, only_new_axes, only_ones, mean, one_of_them, whole_sum, left_aligned,
        unchanged,
    ],
    gradients=gradients,
    properties=[total_stays],
    extremes={
        "an axis of size 0": (np.zeros((0, 3)), (1, 3)),
        "no axis at all": (np.array(2.0), ()),
    },
    hints=(
        "How many axes are missing at the left? It is grad.ndim - len(shape). Sum over them first.",
        "Now grad and `shape` have the same number of axes. Where `shape` has a 1 and grad has "
        "more, sum over that axis, too.",
        "grad.sum(axis=i, keepdims=True) keeps the axis with the size 1. For the missing axes "
        "at the left use no keepdims: they have to go.",
    ),
    library=_library,
)  # fmt: skip
