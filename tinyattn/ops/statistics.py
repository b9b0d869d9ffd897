"""Medians, counts, differences of neighbours, and variances together with the mean. Only the median
is an operation of its own; the others use those of ops/reductions.py.
"""

from typing import overload

import numpy as np

from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.sums import fold
from tinyattn.ops._arguments import as_axis, as_int, as_tensor, some_axes
from tinyattn.ops.comparisons import ne
from tinyattn.ops.reductions import Chosen, Dims, ValuesIndices, mean, sort, std, var
from tinyattn.ops.shape import cat, flatten, narrow


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements along `dim`, or of all, are not 0: int64.

    >>> ta.count_nonzero(ta.tensor([[1, 0], [2, 3]]), dim=1)
    tensor([1, 2])
    """
    array = as_tensor(input, "input")._array
    return results.wrap(np.asarray(np.count_nonzero(array, axis=some_axes(dim, array.ndim))))


class Median(Chosen):
    """y = x_k with k the place of the middle element along an axis, or of a NaN;   dx_k = dy."""

    def forward(self, x: Array, axis: int, keepdim: bool = False) -> tuple[Array, Array]:
        how = fold(x.shape, (axis,))
        rows = self.along(x, axis, (x.shape[axis] + 1) // 2)
        y, at = (part[:, -1].copy() for part in self.in_order(rows, False))
        if x.dtype.kind == "f":
            largest, place, _ = self.kernels.extreme(rows, 1.0)  # the first NaN, if there is one
            missing = largest != largest
            y, at = np.where(missing, largest, y), np.where(missing, place, at)
        self.chosen = 1
        self.save(at=at)
        shape = how.kept if keepdim else how.left
        return y.reshape(shape), at.reshape(shape)


@overload
def median(input: Tensor, dim: None = None, keepdim: bool = False) -> Tensor: ...
@overload
def median(input: Tensor, dim: int, keepdim: bool = False) -> ValuesIndices: ...
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The middle one of the sorted elements, and of two middle ones the smaller: of all elements,
    or along `dim` as the named tuple (values, indices). NaN if one of the elements is NaN, or if
    there are none; IndexError for none of an integer dtype or along `dim`.

    >>> ta.tensor([3.0, 1.0, 2.0, 9.0]).median()
    tensor(2.)
    """
    x = as_tensor(input, "input")
    if dim is None:
        if not x._array.size and x._array.dtype.kind == "f":
            return mean(x)  # 0 / 0
        return median(flatten(x), 0).values
    axis = as_axis(dim, x._array.ndim)
    if not x._array.ndim:
        return sort(x, axis)
    if not x._array.shape[axis]:
        raise IndexError(f"median(): dim: expected elements along dimension {dim}, got none")
    return ValuesIndices(*Median.apply(x, axis=axis, keepdim=keepdim))


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Every element along `dim` less the one before it, n times in turn. prepend, append: what is
    put before and after input first.

    >>> ta.diff(ta.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    x = as_tensor(input, "input")
    axis = as_axis(dim, x._array.ndim)
    if not x._array.ndim:
        raise RuntimeError("diff(): input: expected at least one dimension")
    around = [part for part in (prepend, x, append) if part is not None]
    if as_int(n, "n") < 0:
        raise RuntimeError(f"diff(): n: expected a number >= 0, got {n}")
    if n and len(around) > 1:
        x = cat(around, axis)
    for _ in range(min(n, x._array.shape[axis])):
        length = max(x._array.shape[axis] - 1, 0)
        later, earlier = narrow(x, axis, min(1, length), length), narrow(x, axis, 0, length)
        x = ne(later, earlier) if x._array.dtype.kind == "b" else later - earlier
    return x


def var_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`.

    >>> ta.var_mean(ta.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    axes = None if isinstance(dim, bool) else dim  # var_mean(x, False) means unbiased=False
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, axes, keepdim)


def std_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`."""
    axes = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, axes, keepdim)
