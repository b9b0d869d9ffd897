"""The Jacobian of a function, as an array and as a heat map."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinyattn.autograd import enable_grad
from tinyattn.autograd import grad as grad_of
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.kernels._types import Array
from tinyattn.viz.terminal import numbers, printable

if TYPE_CHECKING:
    from tinyattn.viz.chart import Chart


def jacobian_of(function: Callable[[Tensor], Tensor], x: Tensor) -> Array:
    """J (outputs, inputs) with J_ij = dy_i / dx_j for y = function(x): row i is the gradient that
    one backward pass gives, from 1 at output i.

    Tensors of several axes count as rows of their elements.

    >>> jacobian_of(lambda x: x * x, ta.tensor([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]], dtype=float32)
    """
    if not isinstance(x, TensorBase):
        raise TypeError(f"x: expected a Tensor, got {type(x).__name__}")
    x = x.detach().requires_grad_()
    with enable_grad():
        y = function(x)
    if not isinstance(y, TensorBase):
        raise TypeError(f"function: expected it to return a Tensor, got {type(y).__name__}")
    rows = np.zeros((y.numel(), x.numel()), x.dtype)
    for i in range(len(rows)):
        one = np.zeros(y.shape, y.dtype)
        one.flat[i] = 1
        (row,) = grad_of(y, x, results.wrap(one), retain_graph=True)
        rows[i] = row.numpy().ravel()
    return rows


def jacobian(
    matrix: ArrayLike,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    title: str = "Jacobian: row i is the gradient of output i",
) -> "Chart":
    """J (outputs, inputs) as a heat map: row i, column j shows dy_i / dx_j. The scale is even on
    both sides of 0; a small matrix has its numbers in the cells.

    Raises ValueError where J is not a matrix, or does not fit the names.
    """
    from tinyattn.viz.chart import Chart, heat_map, ticks
    from tinyattn.viz.figures import families

    array = numbers("matrix", matrix)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"matrix: expected shape (outputs, inputs), got {array.shape}")
    for name, names, count in (
        ("outputs", outputs, array.shape[0]),
        ("inputs", inputs, array.shape[1]),
    ):
        if len(names) not in (0, count):
            raise ValueError(f"{name}: expected {count} names, got {len(names)}")
    inputs, outputs = [*map(printable, inputs)], [*map(printable, outputs)]
    small = max(array.shape) <= 10
    side = 0.55 if small else 0.12
    style: dict[str, Any] = {"family": families([*inputs, *outputs, title]), "parse_math": False}
    size = [min(max(3.2, 1.8 + side * n), 12.0) for n in array.shape[::-1]]
    chart = Chart(size[0] + 1.0, size[1], title, **style)
    axes = chart.figure.subplots()
    largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) or 1.0
    heat_map(axes, array, -largest, largest, "dy_i / dx_j", numbers=small)
    axes.set_xlabel("input j")
    axes.set_ylabel("output i")
    for names, count, place in (
        (inputs, array.shape[1], axes.set_xticks),
        (outputs, array.shape[0], axes.set_yticks),
    ):
        at = list(ticks(count, 20))
        place(at, [names[i] for i in at] if names else [str(i) for i in at], **style)
    return chart
