"""Reductions: many elements to few. sum, mean, amax, max, var, prod, norm, sort, topk, ...

`dim` is None (all dimensions), an int or, where PyTorch takes one, a tuple of ints. The result has
the shape of the input without these dimensions, or with size 1 there if `keepdim`. A sum of floats
is within a few ULP of the exact one, however long it is: see kernels/sums.py. Look at Sum and Amax
first. The module's own `sum`, `max`, `all`, ... hide Python's in here.
`axis` and `keepdims` are NumPy's names of `dim` and `keepdim`; most functions take both.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.dtypes import as_dtype
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.compat.deprecated import numpy_names
from tinyattn.kernels._types import Array
from tinyattn.kernels.sums import cumsum_along, fold, moments_over, spread, squares_over, sum_over
from tinyattn.ops._arguments import as_axes, as_axis, as_tensor, some_axes
from tinyattn.ops.elementwise import abs, maximum, minimum, to
from tinyattn.ops.indexing import Gather
from tinyattn.ops.shape import flatten, squeeze, view_as

Axes = tuple[int, ...]
Dims = int | tuple[int, ...] | list[int] | None
SMALLEST = 2.0**-960  # squares of float64 below it have lost digits to underflow


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Tensor
    indices: Tensor


class Reduction(Function):
    """The axes that are reduced, and how to line a result up with x again."""

    kernels_only = True

    def over(self, x: Array, axes: Axes, keepdim: bool) -> None:
        self.shape, self.keepdim = x.shape, keepdim
        self.axes, self.kept, self.left, self.count, *_ = fold(x.shape, axes)

    def spread(self, y: Array) -> Array:
        """y with the axes that were reduced, at size 1."""
        return y if self.keepdim else y.reshape(self.kept)

    def shrunk(self, y: Array) -> Array:
        """y, whose reduced axes have size 1, as the result is to be."""
        return y if self.keepdim else y.reshape(self.left)


class Sum(Reduction):
    """y = sum_i x_i;   dx_i = dy."""

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        if x.dtype.kind != "f":
            return np.sum(x, axis=self.axes, keepdims=keepdim, dtype=x.dtype)
        return sum_over(x, self.axes, keepdim)

    def backward(self, grad: Array) -> Array:
        return spread(self.spread(grad), self.shape)


class Mean(Sum):
    """y = (1/n) sum_i x_i;   dx_i = dy / n.   NaN where n = 0."""

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        return sum_over(x, self.axes, keepdim, self.count)

    def backward(self, grad: Array) -> Array:
        return super().backward(grad / np.asarray(self.count, grad.dtype))


class Amax(Reduction):
    """y = max_i x_i;   dx_i = dy / k for the k elements that attain it, else 0 (as in PyTorch).

    A NaN counts as the largest and as the smallest. If `nan`, the elements that are NaN then share
    the gradient; if not, the gradient is NaN.
    """

    reduce: Callable[..., Any] = staticmethod(np.max)

    def forward(self, x: Array, axes: Axes, keepdim: bool = False, nan: bool = False) -> Array:
        self.over(x, axes, keepdim)
        y = np.asarray(self.reduce(x, axis=self.axes, keepdims=keepdim))
        self.nan = nan
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        x, y = self.saved["x"], self.saved["y"]
        best = x == self.spread(y)
        if self.nan:
            best |= x != x
        ties = np.count_nonzero(best, axis=self.axes, keepdims=True).astype(grad.dtype)
        return best * (self.spread(grad) / ties)


class Amin(Amax):
    """y = min_i x_i;   dx_i = dy / k for the k elements that attain it, else 0."""

    reduce: Callable[..., Any] = staticmethod(np.min)


class Var(Reduction):
    """y = 1/(n-c) sum_i (x_i - m)^2 with m the mean;   dx_i = 2/(n-c) (x_i - m) dy.

    m depends on x too, but sum_i (x_i - m) = 0 leaves nothing of that.
    """

    def forward(self, x: Array, axes: Axes, correction: float = 1, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        self.free = self.count - correction
        y, self.mean, exponent = self.variance(x)
        y = self.shrunk(self.of_variance(y, exponent)).astype(x.dtype)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        slope = np.divide(2, self.free, dtype=grad.dtype) * grad
        return self.centred(self.saved["x"]) * self.spread(slope)

    def variance(self, x: Array) -> tuple[Array, Array, Array | None]:
        """Variance v and mean in float64, axes kept, and exponents e: the variance is v 4^e.

        e is None, which stands for 0, but for a float64 whose squares over- or underflow; there x
        is scaled by 2^-e.
        """
        mean, squares = moments_over(x, self.axes)
        exponent = _exponent(x, squares, self.axes)
        if exponent is not None:
            scaled, squares = moments_over(np.ldexp(x, -exponent), self.axes)
            mean = np.ldexp(scaled, exponent)
        return squares / (self.free if self.free > 0 else 0.0), mean, exponent

    def of_variance(self, v: Array, exponent: Array | None) -> Array:
        return v if exponent is None else np.ldexp(v, 2 * exponent)

    def centred(self, x: Array) -> Array:
        """x - m. The mean is not rounded to float32 before it is subtracted."""
        centred = np.subtract(x, self.mean, out=np.empty_like(x), casting="same_kind")
        if x.dtype == np.float64:
            # What the rounded mean lacks counts where x lies far from 0 and close together.
            rest = sum_over(centred, self.axes, True, self.count)
            centred -= np.where(np.isfinite(rest), rest, 0)
        return centred


class Std(Var):
    """y = sqrt(v) with v as in Var;   dx_i = (x_i - m) dy / ((n-c) y), 0 where y = 0."""

    def of_variance(self, v: Array, exponent: Array | None) -> Array:
        return np.sqrt(v) if exponent is None else np.ldexp(np.sqrt(v), exponent)

    def backward(self, grad: Array) -> Array:
        y = self.saved["y"]
        return super().backward(np.where(y == 0, 0, grad / (2 * y)))


def _exponent(x: Array, powers: Array, axes: Axes, p: float = 2) -> Array | None:
    """The powers of 2 by which the slices of x are divided, so that the sums of the |x|^p neither
    overflow nor vanish; None where nothing needs it, as the squares of float32 in float64."""
    squares_fit = p == 2 and x.dtype == np.float32
    if squares_fit or (np.isfinite(powers) & (powers > SMALLEST)).all():
        return None
    largest = np.max(np.abs(x), axis=axes, keepdims=True, initial=0)
    return np.where(np.isfinite(largest), np.frexp(largest)[1], 0)


class Prod(Function):
    """y = prod_j x_j along an axis;   dx_i = dy prod_{j<i} x_j prod_{j>i} x_j.

    Both products are cumulative ones; nothing is divided by x_i, which may be 0.
    """

    def forward(self, x: Array, axis: int, keepdim: bool = False) -> Array:
        self.axis, self.keepdim = axis, keepdim
        self.save(x=x)
        finer = np.float64 if x.dtype == np.float32 else x.dtype
        return np.asarray(np.prod(x, axis=axis, keepdims=keepdim, dtype=finer)).astype(x.dtype)

    def backward(self, grad: Array) -> Array:
        x = np.moveaxis(self.saved["x"], self.axis, 0).astype(np.float64)
        before, after = np.ones_like(x), np.ones_like(x)
        np.cumprod(x[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumprod(x[:0:-1], axis=0)[::-1]
        grad = grad if self.keepdim else np.expand_dims(grad, self.axis)
        return np.moveaxis(before * after, 0, self.axis).astype(grad.dtype) * grad


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

    def forward(self, x: Array, axis: int) -> Array:
        self.axis = axis
        self.save(x=x)
        return np.cumprod(x, axis=axis, dtype=x.dtype)

    def backward(self, grad: Array) -> Array:
        x, dy = (np.moveaxis(a, self.axis, 0) for a in (self.saved["x"], grad))
        before = np.ones_like(x)
        before[1:] = np.cumprod(x[:-1], axis=0, dtype=x.dtype)
        s = np.array(dy)
        for j in range(len(s) - 2, -1, -1):
            s[j] += x[j + 1] * s[j + 1]
        return np.moveaxis(before * s, 0, self.axis)


class LogSumExp(Reduction):
    """y = log sum_i e^x_i;   dx_i = dy e^(x_i - y), 0 where y = -inf.

    With the maximum M taken out, y = M + log sum_i e^(x_i - M), nothing overflows.
    """

    def forward(self, x: Array, axes: Axes, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        top = np.max(x, axis=self.axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isinf(top), np.zeros_like(top), top)
        y = self.shrunk(np.log(sum_over(np.exp(x - top), self.axes, True)) + top)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array:
        x, y = self.saved["x"], self.saved["y"]
        y = self.spread(y)
        return np.where(y == -np.inf, 0, np.exp(x - y) * self.spread(grad))


class Norm(Reduction):
    """y = (sum_i |x_i|^p)^(1/p);   dx_i = dy sign(x_i) (|x_i| / y)^(p-1), 0 where x_i or y is 0.

    For p = 0 it is the number of the x_i that are not 0, without a gradient. No power overflows
    where y would not: y(x) = 2^e y(2^-e x) for any e.
    """

    def forward(self, x: Array, axes: Axes, p: float = 2, keepdim: bool = False) -> Array:
        self.over(x, axes, keepdim)
        self.p = p
        if p == 0:
            count = np.count_nonzero(x, axis=self.axes, keepdims=True)
            y = np.asarray(count, x.dtype).reshape(np.shape(count))
        else:
            y = self.size(x)
        y = self.shrunk(y).astype(x.dtype)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Array) -> Array | None:
        x, y = self.saved["x"], self.saved["y"]
        if self.p == 0:
            return None
        ratio = np.abs(x) / self.spread(y)
        slope = np.sign(x) * (ratio if self.p == 2 else np.power(ratio, self.p - 1))
        return np.where((x == 0) | (self.spread(y) == 0), 0, slope * self.spread(grad))

    def size(self, x: Array) -> Array:
        """y in float64 for p other than 0, axes kept."""
        powers = self.powers(x)
        exponent = _exponent(x, powers, self.axes, self.p)
        if exponent is not None:
            powers = self.powers(np.ldexp(x, -exponent))
        root = np.sqrt(powers) if self.p == 2 else powers ** (1 / self.p)
        return root if exponent is None else np.ldexp(root, exponent)

    def powers(self, x: Array) -> Array:
        """sum_i |x_i|^p."""
        if self.p == 2:
            return squares_over(x, self.axes)
        size = np.abs(x)
        if self.p != 1:
            size = np.power(size, self.p, dtype=np.float64)
        return sum_over(size, self.axes, True)


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
    x = _prepared(input, dtype, "int64")
    return Sum.apply(x, as_axes(dim, x._array.ndim), keepdim)


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
    return Mean.apply(x, as_axes(dim, x._array.ndim), keepdim)


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
    return _picked(input, _position("max", np.argmax, input, dim, True), dim, keepdim)


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
    return _picked(input, _position("min", np.argmin, input, dim, True), dim, keepdim)


def _picked(input: Tensor, indices: Tensor, dim: int, keepdim: bool = True) -> ValuesIndices:
    """The elements of input at the indices along dim, with these."""
    ndim = input._array.ndim
    axis = as_axis(dim, ndim)
    values = Gather.apply(input, indices, axis)
    if keepdim or not ndim:
        return ValuesIndices(values, indices)
    return ValuesIndices(squeeze(values, axis), squeeze(indices, axis))


def _position(
    name: str, find: Callable[..., Any], input: Tensor, dim: int | None, keepdim: bool
) -> Tensor:
    """Where `find` finds an element along dim, or in row-major order without one: int64."""
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "b" and find.__name__ == name:
        raise RuntimeError(f"{name}(): input: expected numbers, got bool")
    axis = None if dim is None else as_axis(dim, array.ndim)
    _filled(name, input, dim, IndexError)
    if not array.ndim:
        axis = None
    return results.wrap(np.asarray(find(array, axis=axis, keepdims=keepdim), np.int64))


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
    return _position("argmax", np.argmax, input, dim, keepdim)


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
    return _position("argmin", np.argmin, input, dim, keepdim)


def all(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether all elements over `dim` are nonzero (bool); True where there are none.

    An empty tuple names no dimension: every element is then judged alone.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    array = as_tensor(input, "input")._array
    return results.wrap(np.all(array, some_axes(dim, array.ndim), keepdims=keepdim))


def any(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether any element over `dim` is nonzero (bool); False where there are none.

    An empty tuple names no dimension: every element is then judged alone.
    """
    if axis is not None or keepdims:
        dim, keepdim = numpy_names(dim, axis, keepdim, keepdims)
    array = as_tensor(input, "input")._array
    return results.wrap(np.any(array, some_axes(dim, array.ndim), keepdims=keepdim))


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
    x = _floats(operation.__name__.lower(), input)
    return operation.apply(x, as_axes(dim, x._array.ndim), correction, keepdim)


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
    sizes = [x._array.shape[axis] for axis in as_axes(dim, x._array.ndim)]
    if 0 in sizes and (p < 0 or p == math.inf):
        raise RuntimeError(f"norm(): p = {p} of nothing, input {list(x._array.shape)}")
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(abs(x), dim, keepdim)
    return Norm.apply(x, as_axes(dim, x._array.ndim), p, keepdim)


def _order(array: Array, axis: int, descending: bool) -> Array:
    """Where the first, second, ... of the sorted elements stand; NaN is the largest."""
    if not descending:
        return np.argsort(array, axis, kind="stable")
    backwards = np.argsort(np.flip(array, axis), axis, kind="stable")
    return array.shape[axis] - 1 - np.flip(backwards, axis)


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
    order = _order(np.atleast_1d(array), as_axis(dim, array.ndim), descending)
    return _picked(input, results.wrap(order.reshape(array.shape)), dim)


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
    rows = np.atleast_1d(array)
    n = rows.shape[axis]
    if not 0 <= k <= n:
        raise RuntimeError(f"topk(): k: selected index {k} out of range for a dim of size {n}")
    if not array.ndim:
        return sort(input, dim)
    if 0 < k < n:  # only the k that are asked for get sorted
        cut = n - k if largest else k
        halves = np.split(np.argpartition(rows, cut if largest else k - 1, axis), [cut], axis)
        kept = np.sort(halves[1 if largest else 0], axis)
        chosen = np.take_along_axis(rows, kept, axis)
        last = (np.fmin if largest else np.fmax).reduce(chosen, axis, keepdims=True)
        if np.count_nonzero(rows == last) == np.count_nonzero(chosen == last):
            order = np.take_along_axis(kept, _order(chosen, axis, largest), axis)
            return _picked(input, results.wrap(order), dim)
    order = np.take(_order(rows, axis, largest), range(k), axis)  # of equals the first
    return _picked(input, results.wrap(order), dim)
