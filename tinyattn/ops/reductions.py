"""Reductions: many elements to few. sum, mean, amax, max, var, prod, norm, sort, topk, ...

`dim` is None (all dimensions), an int or, where PyTorch takes one, a tuple of ints. The result has
the shape of the input without these dimensions, or with size 1 there if `keepdim`. A sum of floats
is within a few ULP of the exact one, however long it is: see kernels/sums.py. Look at Sum and Amax
first. The module's own `sum`, `max`, `all`, ... hide Python's in here.
`axis` and `keepdims` are NumPy's names of `dim` and `keepdim`; most functions take both.
"""

import builtins
import math
import warnings
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.dtypes import DType, as_dtype, bool_, float32, int64, uint8
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.compat.deprecated import numpy_names
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import few
from tinyattn.kernels.recording import step
from tinyattn.kernels.sums import (
    cumsum_along,
    fold,
    folded,
    folded_sum,
    magnitudes_over,
    moments_over,
    one_run,
    spread,
    sum_over,
)
from tinyattn.kernels.table import MOST_K
from tinyattn.ops._arguments import as_axes, as_axis, as_int, as_tensor, some_axes
from tinyattn.ops.elementwise import abs, maximum, minimum, to
from tinyattn.ops.shape import flatten, squeeze, view_as

Axes = tuple[int, ...]
Dims = int | tuple[int, ...] | list[int] | None
_FEW = 4096  # elements, up to which NumPy's argmax takes less time than the call of a kernel
SMALLEST = 2.0**-960  # squares of float64 below it have lost digits to underflow


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Tensor
    indices: Tensor


class Reduction(Function):
    """The axes that are reduced, and how to line a result up with x again."""

    def over(self, x: Array, axes: Axes, keepdim: bool) -> None:
        self.shape, self.how = x.shape, fold(x.shape, axes)
        self.reduced = self.how.kept if keepdim else self.how.left  # the shape of the result

    def spread(self, y: Array) -> Array:
        """y with the axes that were reduced, at size 1; without any axes if these are all."""
        return y.reshape(self.how.kept) if y.ndim else y


class Sum(Reduction):
    """y = sum_i x_i;   dx_i = dy."""

    kernels_only = True

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        if x.dtype.kind != "f":
            return np.sum(x, axis=axes, keepdims=keepdim, dtype=x.dtype)
        return folded_sum(x, self.how, self.reduced)

    def backward(self, grad: Array) -> Array:
        return spread(self.spread(grad), self.shape)


class Mean(Sum):
    """y = (1/n) sum_i x_i;   dx_i = dy / n.   NaN where n = 0."""

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        return folded_sum(x, self.how, self.reduced, self.how.terms)

    def backward(self, grad: Array) -> Array:
        return super().backward(grad / np.asarray(self.how.terms, grad.dtype))


class Amax(Reduction):
    """y = max_i x_i;   dx_i = dy / k for the k elements that attain it, else 0 (as in PyTorch).

    A NaN counts as the largest and as the smallest. If `nan`, the elements that are NaN then share
    the gradient; if not, the gradient is NaN.
    """

    fresh = True
    sign = 1.0

    def forward(self, x: Array, axes: Axes, keepdim: bool = False, nan: bool = False) -> Array:
        self.over(x, axes, keepdim)
        if x.dtype.kind != "f":
            return (np.max if self.sign > 0 else np.min)(x, axis=axes, keepdims=keepdim)
        self.kernels, self.nan = backend(), nan
        y, _, self.ties = self.kernels.extreme(one_run(x, self.how.axes), self.sign)
        y = y.reshape(self.reduced)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        x, y = self.saved["x"], self.spread(self.saved["y"])
        share = np.asarray(self.spread(grad) / self.ties.reshape(self.how.kept))
        if not self.nan:
            share[y != y] = np.nan
        return self.kernels.elementwise("extreme_backward", (share, x, y), float(self.nan))


class Amin(Amax):
    """y = min_i x_i;   dx_i = dy / k for the k elements that attain it, else 0."""

    sign = -1.0


class Chosen(Function):
    """y_i = x_k for some places k = at_i along an axis, none of them twice;   dx_k = dy_i, and 0
    elsewhere. It returns y and at."""

    fresh = True

    def along(self, x: Array, axis: int, count: int) -> Array:
        """x as (A, n, C), of which `count` elements are chosen along an axis."""
        self.kernels, self.shape, self.chosen = backend(), x.shape, count
        self.middle = fold(x.shape, (axis,)).middle
        return x.reshape(self.middle)

    def in_order(self, rows: Array, descending: bool) -> tuple[Array, Array]:
        """The elements of rows (A, n, C) that are chosen, where these are the first in order, and
        where they stand."""
        if descending and self.chosen == rows.shape[2] == 1 and few(rows.size):
            return self.first_largest(rows)
        if rows.dtype.kind == "f" and 0 < self.chosen <= MOST_K:
            return self.kernels.topk(rows, self.chosen, descending)
        at = order(rows, 1, descending)[:, : self.chosen]
        return self.kernels.gather(rows, at), at

    def first_largest(self, rows: Array) -> tuple[Array, Array]:
        """The same for the largest element of each of a few rows (A, n, 1): NumPy finds it in less
        time than the call of a kernel takes."""
        A, n, _ = rows.shape
        at = rows.argmax(axis=1)[:, None]
        places = at if A == 1 else at + np.arange(0, A * n, n)[:, None, None]
        return rows.take(places), at

    def backward(self, grad: Array, *_: None) -> Array:
        A, n, C = self.middle
        at = self.saved["at"].reshape(A, self.chosen, C)
        return self.kernels.scatter_add(grad.reshape(at.shape), at, n).reshape(self.shape)


class Max(Chosen):
    """y = x_k with k the first place of the largest element along an axis;   dx_k = dy."""

    sign = 1.0

    def forward(self, x: Array, axis: int, keepdim: bool = False) -> tuple[Array, Array]:
        how = fold(x.shape, (axis,))
        rows = self.along(x, axis, 1)
        if x.dtype.kind == "f":
            y, at, _ = self.kernels.extreme(rows, self.sign)
        else:
            at = (np.argmax if self.sign > 0 else np.argmin)(rows, axis=1)
            y = self.kernels.gather(rows, at[:, None])
        self.save(at=at)
        shape = how.kept if keepdim else how.left
        return y.reshape(shape), at.reshape(shape)


class Min(Max):
    """y = x_k with k the first place of the smallest element along an axis;   dx_k = dy."""

    sign = -1.0


class TopK(Chosen):
    """y_i = x_k with k the place of the i-th of the largest elements;   dx_k = dy_i."""

    def forward(self, x: Array, count: int, axis: int, largest: bool) -> tuple[Array, Array]:
        rows = self.along(x, axis, count)
        y, at = self.in_order(rows, largest)
        self.save(at=at)
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        return y.reshape(shape), at.reshape(shape)


class Sort(Chosen):
    """y_i = x_k with k the place of the i-th element in order;   dx_k = dy_i."""

    def forward(self, x: Array, axis: int, descending: bool) -> tuple[Array, Array]:
        y, at = self.in_order(self.along(x, axis, x.shape[axis]), descending)
        self.save(at=at)
        return y.reshape(x.shape), at.reshape(x.shape)


class Var(Reduction):
    """y = 1/(n-c) sum_i (x_i - m)^2 with m the mean;   dx_i = 2/(n-c) (x_i - m) dy.

    m depends on x too, but sum_i (x_i - m) = 0 leaves nothing of that.
    """

    def forward(self, x: Array, axes: Axes, correction: float = 1, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        self.free, self.kernels = self.how.terms - correction, backend()
        y, exponent = self.variance(x)
        y = self.of_variance(y, exponent).reshape(self.reduced).astype(x.dtype)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        slope = np.divide(2, self.free, dtype=grad.dtype) * grad
        x, back = folded(self.saved["x"], self.how.axes)
        each = len(x), x.shape[2]
        moments = self.mean.reshape(each), self.rest.reshape(each)
        return back(self.kernels.moments_backward(slope.reshape(each), x, *moments))

    def variance(self, x: Array) -> tuple[Array, Array | None]:
        """Variance v in float64, axes kept, and exponents e: the variance is v 4^e.

        e is None, which stands for 0, but for a float64 whose squares over- or underflow; there x
        is scaled by 2^-e. self.mean + self.rest is the mean; the second is what the first lacks.
        """
        self.mean, self.rest, squares = moments_over(x, self.how.axes)
        exponent = None if x.dtype is float32 else _exponent(x, squares, self.how.axes)
        if exponent is not None:
            mean, rest, squares = moments_over(np.ldexp(x, -exponent), self.how.axes)
            self.mean, self.rest = np.ldexp(mean, exponent), np.ldexp(rest, exponent)
        return squares / (self.free if self.free > 0 else 0.0), exponent

    def of_variance(self, v: Array, exponent: Array | None) -> Array:
        return v if exponent is None else np.ldexp(v, 2 * exponent)


class Std(Var):
    """y = sqrt(v) with v as in Var;   dx_i = (x_i - m) dy / ((n-c) y), 0 where y = 0."""

    def of_variance(self, v: Array, exponent: Array | None) -> Array:
        return np.sqrt(v) if exponent is None else np.ldexp(np.sqrt(v), exponent)

    def backward(self, grad: Array) -> Array:
        y = self.saved["y"]
        return super().backward(np.where(y == 0, 0, grad / (2 * y)))


def _exponent(x: Array, powers: Array, axes: Axes) -> Array | None:
    """The powers of 2 by which the slices of x are divided, so that the sums of the |x|^p neither
    overflow nor vanish; None where nothing needs it."""
    if (np.isfinite(powers) & (powers > SMALLEST)).all():
        return None
    largest = np.max(np.abs(x), axis=axes, keepdims=True, initial=0)
    return np.where(np.isfinite(largest), np.frexp(largest)[1], 0)


class Prod(Function):
    """y = prod_j x_j along an axis;   dx_i = dy prod_{j<i} x_j prod_{j>i} x_j.

    Both products are cumulative ones; nothing is divided by x_i, which may be 0.
    """

    fresh = True

    def forward(self, x: Array, axis: int, keepdim: bool = False) -> Array:
        if x.dtype.kind != "f":
            return np.asarray(np.prod(x, axis=axis, keepdims=keepdim, dtype=x.dtype))
        self.kernels = backend()
        how = fold(x.shape, (axis,))
        self.middle = how.middle
        self.save(x=x)
        return self.kernels.prod(x.reshape(how.middle)).reshape(how.kept if keepdim else how.left)

    def backward(self, grad: Array) -> Array:
        x = self.saved["x"]
        A, _, C = self.middle
        dx = self.kernels.prod_backward(grad.reshape(A, C), x.reshape(self.middle))
        return dx.reshape(x.shape)


class Cumsum(Function):
    """y_i = sum_{j<=i} x_j;   dx_j = sum_{i>=j} dy_i: summed from the other end."""

    def forward(self, x: Array, axis: int) -> Array:
        self.axis = axis
        if x.dtype.kind != "f":
            return np.cumsum(x, axis=axis, dtype=x.dtype)
        return cumsum_along(x, axis)

    def backward(self, grad: Array) -> Array:
        return cumsum_along(grad, self.axis, reverse=True)


class Cumprod(Function):
    """y_i = x_0 x_1 ... x_i;   dx_j = (x_0 ... x_(j-1)) s_j,  s_j = dy_j + x_(j+1) s_(j+1).

    dx_j = sum_{i>=j} dy_i prod_{k<=i, k!=j} x_k. The factors before j stand in every term; s_j
    collects the rest from the other end, without a division, so that x may hold zeros.
    """

    fresh = True

    def forward(self, x: Array, axis: int) -> Array:
        if x.dtype.kind != "f":
            return np.cumprod(x, axis=axis, dtype=x.dtype)
        self.kernels, self.middle = backend(), fold(x.shape, (axis,)).middle
        self.save(x=x)
        return self.kernels.cumprod(x.reshape(self.middle)).reshape(x.shape)

    def backward(self, grad: Array) -> Array:
        x, dy = (a.reshape(self.middle) for a in (self.saved["x"], grad))
        return self.kernels.cumprod_backward(dy, x).reshape(grad.shape)


class LogSumExp(Reduction):
    """y = log sum_i e^x_i;   dx_i = dy e^(x_i - y), 0 where y = -inf.

    With the maximum M taken out, y = M + log sum_i e^(x_i - M), nothing overflows.
    """

    fresh = True

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        self.kernels = backend()
        y = self.kernels.logsumexp(one_run(x, self.how.axes)).reshape(self.reduced)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        inputs = self.spread(grad), self.saved["x"], self.spread(self.saved["y"])
        return self.kernels.elementwise("logsumexp_backward", inputs)


class Norm(Reduction):
    """y = (sum_i |x_i|^p)^(1/p);   dx_i = dy sign(x_i) (|x_i| / y)^(p-1), 0 where x_i or y is 0.

    For p = 0 it is the number of the x_i that are not 0, without a gradient. No power overflows
    where y would not: y(x) = 2^e y(2^-e x) for any e.
    """

    def forward(self, x: Array, axes: Axes, p: float = 2, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        self.p, self.kernels = p, backend()
        y = np.asarray(np.count_nonzero(x, axis=axes)) if p == 0 else self.size(x)
        y = y.reshape(self.reduced).astype(x.dtype, copy=False)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array | None:
        x, y = self.saved["x"], self.saved["y"]
        if self.p == 0:
            return None
        if self.p == 2:
            inputs = self.spread(grad), x, self.spread(y)
            return self.kernels.elementwise("norm_backward", inputs)
        if self.p == 1:
            return self.kernels.elementwise("abs_backward", (self.spread(grad), x))
        ratio = np.abs(x) / self.spread(y)
        slope = np.sign(x) * np.power(ratio, self.p - 1)
        return np.where((x == 0) | (self.spread(y) == 0), 0, slope * self.spread(grad))

    def size(self, x: Array) -> Array:
        """y for p other than 0, axes kept."""
        y = self.root(x)
        if self.p == 1 or (self.p == 2 and x.dtype is float32):
            return y  # sums of float32 run in float64, which holds the squares of all of them
        exponent = _exponent(x, y**self.p, self.how.axes)
        return y if exponent is None else np.ldexp(self.root(np.ldexp(x, -exponent)), exponent)

    def root(self, x: Array) -> Array:
        """(sum_i |x_i|^p)^(1/p), where no power over- or underflows."""
        if self.p == 2:
            return self.kernels.norm(one_run(x, self.how.axes)).reshape(self.how.kept)
        if self.p == 1:
            return magnitudes_over(x, self.how.axes)
        powers = np.power(np.abs(x), self.p, dtype=np.float64)
        return sum_over(powers, self.how.axes, True) ** (1 / self.p)


def _prepared(input: Tensor, dtype: DTypeLike | None = None, integers: str | None = None) -> Tensor:
    """input in `dtype`, or, if that is None and it is not of floats, in `integers`."""
    if dtype is None and as_tensor(input, "input")._array.dtype.kind != "f":
        dtype = integers
    return input if dtype is None else to(input, as_dtype(dtype))


def _floats(name: str, input: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    x = _prepared(input, dtype)
    if x._array.dtype.kind != "f":
        raise RuntimeError(f"{name}(): input: expected float32 or float64, got {x._array.dtype}")
    return x


def _filled(
    name: str, input: Tensor, dim: Dims, error: type[Exception] = RuntimeError
) -> tuple[int, ...]:
    """The axes that dim names, none of which may be empty."""
    shape = as_tensor(input, "input")._array.shape
    if isinstance(dim, (tuple, list)) and not dim:
        dim = None
    axes = as_axes(dim, len(shape))
    for axis in axes:
        if not shape[axis] and dim is not None:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    if dim is None and 0 in shape:
        raise error(
            f"{name}(): Expected reduction dim to be specified for input of shape {list(shape)}, "
            "which has no elements. Specify the reduction dim with the 'dim' argument."
        )
    return axes


def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum over `dim`, in `dtype`; of integers and booleans by default in int64.

    >>> import tinyattn as ta
    >>> ta.sum(ta.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    array = as_tensor(input, "input")._array
    axes = as_axes(dim, array.ndim)
    if array.dtype == bool and dtype is None:
        return results.wrap(step("sum", _counted, array, axes, keepdim))
    return Sum.apply(_prepared(input, dtype, "int64"), axes=axes, keepdim=keepdim)


def _counted(mask: Array, axes: Axes, keepdim: bool) -> Array:
    """How often mask is True, over these axes."""
    if len(axes) == mask.ndim and not keepdim:
        return np.asarray(np.count_nonzero(mask))
    return _reduced(np.add, mask, axes, keepdim, int64)


def _reduced(function: Any, x: Array, axes: Axes, keepdim: bool, dtype: DType) -> Array:
    """function.reduce(x): what np.any and the like call, without the time that these take."""
    return np.asarray(function.reduce(x, axes, dtype, None, keepdim))


def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The mean over `dim`, NaN over no elements. RuntimeError for integers without a `dtype`.

    >>> import tinyattn as ta
    >>> ta.mean(ta.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1, keepdim=True)
    tensor([[1.5],
            [3.5]])
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    x = _floats("mean", input, dtype)
    return Mean.apply(x, axes=as_axes(dim, x._array.ndim), keepdim=keepdim)


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest element over `dim`. Elements that tie share the gradient.

    RuntimeError, or with a `dim` IndexError, where there are no elements.
    """
    return Amax.apply(input, _filled("amax", input, dim), keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest element over `dim`. Elements that tie share the gradient.

    RuntimeError, or with a `dim` IndexError, where there are no elements.
    """
    return Amin.apply(input, _filled("amin", input, dim), keepdim)


@overload
def max(input: Tensor, dim: None = None, keepdim: bool = False) -> Tensor: ...
@overload
def max(input: Tensor, dim: int, keepdim: bool = False) -> ValuesIndices: ...
@overload
def max(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, *, other: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, *, axis: int, keepdims: bool = False) -> ValuesIndices: ...
def max(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor | ValuesIndices:
    """The largest element; with an int `dim` the largest along it and where they stand.

    Without `dim`, elements that tie share the gradient. With an int, the result is the named tuple
    (values, indices), and the first of those that tie gets the gradient. With another tensor, as
    `dim` or as `other`, it is `maximum` of the two.

    >>> import tinyattn as ta
    >>> values, indices = ta.max(ta.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    >>> values, indices
    (tensor([5., 3.]), tensor([1, 0]))
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    if isinstance(dim, TensorBase):
        return maximum(input, dim)
    if other is not None:
        return maximum(input, other)
    if dim is None:
        return Amax.apply(input, _filled("max", input, None), keepdim, nan=True)
    return _extreme("max", Max, input, dim, keepdim)


@overload
def min(input: Tensor, dim: None = None, keepdim: bool = False) -> Tensor: ...
@overload
def min(input: Tensor, dim: int, keepdim: bool = False) -> ValuesIndices: ...
@overload
def min(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, *, other: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, *, axis: int, keepdims: bool = False) -> ValuesIndices: ...
def min(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor | ValuesIndices:
    """The smallest element; with an int `dim` the smallest along it and where they stand.

    The rest is as in `max`.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    if isinstance(dim, TensorBase):
        return minimum(input, dim)
    if other is not None:
        return minimum(input, other)
    if dim is None:
        return Amin.apply(input, _filled("min", input, None), keepdim, nan=True)
    return _extreme("min", Min, input, dim, keepdim)


def _extreme(
    name: str, operation: type[Max], input: Tensor, dim: int, keepdim: bool
) -> ValuesIndices:
    """The extremes along dim, with their indices."""
    shape = as_tensor(input, "input")._array.shape
    axis = as_axis(dim, len(shape))
    _filled(name, input, dim, IndexError)
    if shape:
        return ValuesIndices(*operation.apply(input, axis, keepdim))
    return ValuesIndices(*(squeeze(t, 0) for t in operation.apply(flatten(input), 0, True)))


def _position(name: str, sign: float, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    """Where the largest element (with sign -1 the smallest) stands along dim, or in row-major order
    without one: int64."""
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "b":
        raise RuntimeError(f"{name}(): input: expected numbers, got bool")
    axis = None if dim is None else as_axis(dim, array.ndim)
    if not array.size:
        _filled(name, input, dim, IndexError)
    if not array.ndim:
        axis = None
    return results.wrap(step(name, _found, array, sign, axis, keepdim))


def _found(array: Array, sign: float, axis: int | None, keepdim: bool) -> Array:
    if array.dtype.kind != "f" or array.size <= _FEW:
        find: Any = array.argmax if sign > 0 else array.argmin
        return np.asarray(find(axis, keepdims=keepdim), np.int64)
    how = fold(array.shape, tuple(range(array.ndim)) if axis is None else (axis,))
    at = backend().extreme(array.reshape(how.middle), sign)[1]
    return at.reshape(how.kept if keepdim else how.left)


def argmax(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """The index of the largest element along `dim` (int64), the first one of several.

    Without `dim` it counts all elements in row-major order. Booleans raise RuntimeError.

    >>> import tinyattn as ta
    >>> ta.argmax(ta.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    return _position("argmax", 1.0, input, dim, keepdim)


def argmin(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """The index of the smallest element along `dim` (int64), the first one of several.

    Without `dim` it counts all elements in row-major order. Booleans raise RuntimeError.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    return _position("argmin", -1.0, input, dim, keepdim)


def _judged(function: Any, x: Array, axes: Axes, keepdim: bool) -> Array:
    """function.reduce(x), a truth, in the dtype that PyTorch gives it."""
    found = _reduced(function, x, axes, keepdim, bool_)
    return found.view(uint8) if x.dtype == uint8 else found


def all(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether all elements over `dim` are nonzero (bool; uint8 for uint8); True where there are
    none.

    An empty tuple names no dimension: every element is then judged alone.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    array = as_tensor(input, "input")._array
    axes = some_axes(dim, array.ndim)
    return results.wrap(_judged(np.logical_and, array, axes, keepdim))


def any(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether any element over `dim` is nonzero (bool; uint8 for uint8); False where there are
    none.

    An empty tuple names no dimension: every element is then judged alone.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    array = as_tensor(input, "input")._array
    axes = some_axes(dim, array.ndim)
    return results.wrap(_judged(np.logical_or, array, axes, keepdim))


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The variance over `dim`: the sum of squared deviations from the mean, over n - correction.

    correction: by default 1, which estimates the variance of what the n elements were drawn from.
    unbiased: an older way to say it, True for correction 1, False for 0; a bool in the place of
        `dim` is taken for it. TypeError if both are given.

    >>> import tinyattn as ta
    >>> ta.var(ta.tensor([[1.0, 3.0], [2.0, 6.0]]), dim=1, correction=0)
    tensor([1., 4.])
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    return _spread(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`. Its gradient is 0 where it is
    0."""
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    return _spread(Std, input, dim, unbiased, keepdim, correction)


def _spread(
    operation: type[Var],
    input: Tensor,
    dim: Dims,
    unbiased: bool | None,
    keepdim: bool,
    correction: float | None,
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("correction: expected without unbiased, which says the same")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    name = operation.__name__.lower()
    x = _floats(name, input)
    axes = as_axes(dim, x._array.ndim)
    if math.prod(x._array.shape[axis] for axis in axes) <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0: the correction {correction} should be less "
            "than the number of elements",
            stacklevel=3,
        )
    return operation.apply(x, axes, correction, keepdim)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """The product along `dim`, or of all elements; of integers and booleans by default in int64."""
    x = _prepared(input, dtype, "int64")
    if dim is not None and as_axis(dim, x._array.ndim) < x._array.ndim:
        return Prod.apply(x, as_axis(dim, x._array.ndim), keepdim)
    return Prod.apply(flatten(x), 0)


def cumsum(input: Tensor, dim: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """The running sums along `dim`; of integers and booleans by default in int64.

    Each element becomes the sum of those before it and itself; the shape stays.

    >>> import tinyattn as ta
    >>> ta.cumsum(ta.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    x = _prepared(input, dtype, "int64")
    axis = as_axis(dim, x._array.ndim)
    return Cumsum.apply(x, axis) if x._array.ndim else view_as(Cumsum.apply(flatten(x), 0), x)


def cumprod(input: Tensor, dim: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """The running products along `dim`; of integers and booleans by default in int64.

    >>> ta.cumprod(ta.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    x = _prepared(input, dtype, "int64")
    axis = as_axis(dim, x._array.ndim)
    return Cumprod.apply(x, axis) if x._array.ndim else view_as(Cumprod.apply(flatten(x), 0), x)


def logsumexp(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow; -inf where there are no elements.

    >>> import tinyattn as ta
    >>> ta.logsumexp(ta.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    if dim is None:
        raise TypeError("logsumexp(): dim: expected an int or a tuple of ints, got None")
    x = _prepared(input, None, "float32")
    return LogSumExp.apply(x, as_axes(dim, x._array.ndim), keepdim)


def norm(
    input: Tensor,
    p: float | str | None = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The p-norm over `dim`, (sum |x|^p)^(1/p). Its gradient at the zero vector is 0.

    p: a number; inf and -inf give the largest and the smallest |x|, 0 gives the number of elements
        that are not 0; None and "fro" stand for 2.

    >>> import tinyattn as ta
    >>> ta.norm(ta.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = _floats("norm", input, dtype)
    p = 2 if p in (None, "fro") else p
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm(): p: expected a number, None or 'fro', got {p!r}")
    shape = x._array.shape
    axes = as_axes(dim, len(shape))
    if (p < 0 or p == math.inf) and 0 in [shape[axis] for axis in axes]:
        raise RuntimeError(f"norm(): p = {p} of nothing, input {list(shape)}")
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(abs(x), dim, keepdim)
    return Norm.apply(x, axes=axes, p=p, keepdim=keepdim)


def order(x: Array, axis: int, descending: bool) -> Array:
    """Where the first, second, ... of the sorted elements stand; NaN is the largest, and equal
    elements keep their order."""
    if x.dtype == np.float32 and x.shape[axis] < 2**32:
        return np.moveaxis(_order_of_rows(np.moveaxis(x, axis, -1), descending), -1, axis)
    if not descending:
        return np.argsort(x, axis, kind="stable")
    backwards = np.argsort(np.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backwards, axis)


def _order_of_rows(x: Array, descending: bool) -> Array:
    """The same for float32 along the last axis. Each element becomes a whole number, its rank above
    its place: NumPy sorts whole numbers several times as fast as it finds an order that keeps that
    of equals."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1]) if x.size else x.reshape(0, 1)
    places = np.arange(rows.shape[1])
    out = np.empty(rows.shape, np.int64)
    some = builtins.max(1, 2**16 // rows.shape[1])  # rows at a time, which stay in the cache
    for begin in range(0, len(rows), some):
        part = rows[begin : begin + some]
        bits = (part + np.float32(0)).view(np.int32)  # -0 becomes 0
        rank = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # whole numbers in the order of the floats
        np.copyto(rank, 0x7FFFFFFF, where=part != part)
        if descending:
            rank = ~rank
        keys = rank.astype(np.int64)
        keys <<= 32
        keys |= places
        keys.sort(axis=1)
        np.bitwise_and(keys, 2**32 - 1, out=out[begin : begin + some])
    return out.reshape(x.shape)


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesIndices:
    """The elements in order along `dim`, and where they stood: the named tuple (values, indices).

    Equal elements keep their order, whether `stable` or not. NaN counts as the largest.

    >>> import tinyattn as ta
    >>> ta.sort(ta.tensor([3.0, 1.0, 2.0])).values
    tensor([1., 2., 3.])
    """
    array = as_tensor(input, "input")._array
    axis = as_axis(dim, array.ndim)
    if array.ndim:
        return ValuesIndices(*Sort.apply(input, axis, descending))
    return ValuesIndices(*(squeeze(t, 0) for t in Sort.apply(flatten(input), 0, descending)))


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesIndices:
    """The k largest elements along `dim`, or the smallest unless `largest`: (values, indices).

    They come in order, whether `sorted` or not. RuntimeError if there are fewer than k.

    >>> import tinyattn as ta
    >>> ta.topk(ta.tensor([3.0, 1.0, 2.0]), k=2).indices
    tensor([0, 2])
    """
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "b":
        raise RuntimeError("topk(): input: expected numbers, got bool")
    axis = as_axis(dim, array.ndim)
    n = array.shape[axis] if array.ndim else 1
    if not 0 <= as_int(k, "k") <= n:
        raise RuntimeError(f"topk(): k: selected index {k} out of range for a dim of size {n}")
    if not array.ndim:
        return sort(input, dim)
    return ValuesIndices(*TopK.apply(input, k, axis, largest))
