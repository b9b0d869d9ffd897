"""Reductions: many elements to few. sum, mean, amax, max, var, prod, norm, sort, topk, ...

`dim` is None (all dimensions), an int or, where PyTorch takes one, a tuple of ints. Look at Sum and
Amax first. The module's own `sum`, `max`, `all`, ... hide Python's in here.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from tinyattn.autograd.dtypes import as_dtype
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.ops._arguments import as_axes, as_axis, as_tensor, some_axes
from tinyattn.ops.elementwise import abs, maximum, minimum, to
from tinyattn.ops.indexing import Gather
from tinyattn.ops.shape import flatten, squeeze, view_as

Dims = int | tuple[int, ...] | list[int] | None


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Any
    indices: Any


class Reduction(Function):
    """The axes that are summed over, and how to line a result up with x again."""

    def over(self, x: Any, axes: tuple[int, ...], keepdim: bool) -> dict[str, Any]:
        self.shape, self.axes, self.keepdim = x.shape, axes, keepdim
        self.count = math.prod(x.shape[axis] for axis in axes)
        return {"axis": axes, "keepdims": keepdim}

    def spread(self, y: Any) -> Any:
        """y with the axes that were reduced, at size 1."""
        return y if self.keepdim else np.expand_dims(y, self.axes)


class Sum(Reduction):
    """y = sum_i x_i;   dx_i = dy."""

    def forward(self, x: Any, axes: tuple[int, ...], keepdim: bool = False) -> Any:
        return np.sum(x, dtype=x.dtype, **self.over(x, axes, keepdim))

    def backward(self, grad: Any) -> Any:
        return np.broadcast_to(self.spread(grad), self.shape)


class Mean(Sum):
    """y = (1/n) sum_i x_i;   dx_i = dy / n.   NaN where n = 0."""

    def forward(self, x: Any, axes: tuple[int, ...], keepdim: bool = False) -> Any:
        return np.divide(super().forward(x, axes, keepdim), self.count, dtype=x.dtype)

    def backward(self, grad: Any) -> Any:
        return super().backward(grad / np.asarray(self.count, grad.dtype))


class Amax(Reduction):
    """y = max_i x_i;   dx_i = dy / k for the k elements that attain it, else 0 (as in PyTorch).

    A NaN is the largest and the smallest; it attains y if `nan`, else the gradient is NaN.
    """

    reduce = staticmethod(np.max)

    def forward(
        self, x: Any, axes: tuple[int, ...], keepdim: bool = False, nan: bool = False
    ) -> Any:
        y = self.reduce(x, **self.over(x, axes, keepdim))
        self.nan = nan
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        best = x == self.spread(y)
        if self.nan:
            best |= x != x
        share = self.spread(grad) / best.sum(axis=self.axes, keepdims=True, dtype=grad.dtype)
        return best * share


class Amin(Amax):
    """y = min_i x_i;   dx_i = dy / k for the k elements that attain it, else 0."""

    reduce = staticmethod(np.min)


class Var(Reduction):
    """y = 1/(n-c) sum_i (x_i - m)^2 with m the mean;   dx_i = 2/(n-c) (x_i - m) dy.

    m depends on x too, but sum_i (x_i - m) = 0 leaves nothing of that.
    """

    def forward(
        self, x: Any, axes: tuple[int, ...], correction: float = 1, keepdim: bool = False
    ) -> Any:
        options = self.over(x, axes, keepdim)
        self.free = np.asarray(self.count - correction, x.dtype)
        y = np.sum(np.square(self.centred(x)), **options) / np.maximum(self.free, 0)
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Any) -> Any:
        x = self.saved["x"]
        return self.centred(x) * self.spread(grad * 2 / self.free)

    def centred(self, x: Any) -> Any:
        n = np.asarray(self.count, x.dtype)
        return x - np.sum(x, axis=self.axes, keepdims=True) / n


class Std(Var):
    """y = sqrt(v) with v as in Var;   dx_i = (x_i - m) dy / ((n-c) y), 0 where y = 0."""

    def forward(
        self, x: Any, axes: tuple[int, ...], correction: float = 1, keepdim: bool = False
    ) -> Any:
        y = np.sqrt(super().forward(x, axes, correction, keepdim))
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Any) -> Any:
        y = self.saved["y"]
        return super().backward(np.where(y == 0, 0, grad / (2 * y)))


class Prod(Function):
    """y = prod_j x_j along an axis;   dx_i = dy prod_{j<i} x_j prod_{j>i} x_j.

    Both products are cumulative ones; nothing is divided by x_i, which may be 0.
    """

    def forward(self, x: Any, axis: int, keepdim: bool = False) -> Any:
        self.axis, self.keepdim = axis, keepdim
        self.save(x=x)
        return np.prod(x, axis=axis, keepdims=keepdim, dtype=x.dtype)

    def backward(self, grad: Any) -> Any:
        x = np.moveaxis(self.saved["x"], self.axis, 0)
        before, after = np.ones_like(x), np.ones_like(x)
        np.cumprod(x[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumprod(x[:0:-1], axis=0)[::-1]
        grad = grad if self.keepdim else np.expand_dims(grad, self.axis)
        return np.moveaxis(before * after, 0, self.axis) * grad


class Cumsum(Function):
    """y_i = sum_{j<=i} x_j;   dx_j = sum_{i>=j} dy_i: summed from the other end."""

    def forward(self, x: Any, axis: int) -> Any:
        self.axis = axis
        return np.cumsum(x, axis=axis, dtype=x.dtype)

    def backward(self, grad: Any) -> Any:
        return np.flip(np.cumsum(np.flip(grad, self.axis), axis=self.axis), self.axis)


class LogSumExp(Reduction):
    """y = log sum_i e^x_i;   dx_i = dy e^(x_i - y), 0 where y = -inf.

    With the maximum M taken out, y = M + log sum_i e^(x_i - M), nothing overflows.
    """

    def forward(self, x: Any, axes: tuple[int, ...], keepdim: bool = False) -> Any:
        options = self.over(x, axes, keepdim)
        top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isinf(top), np.zeros_like(top), top)
        y = np.log(np.sum(np.exp(x - top), **options))
        y = y + (top if keepdim else top.squeeze(axes))
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        y = self.spread(y)
        return np.where(y == -np.inf, 0, np.exp(x - y) * self.spread(grad))


class Norm(Reduction):
    """y = (sum_i |x_i|^p)^(1/p);   dx_i = dy sign(x_i) (|x_i| / y)^(p-1), 0 where x_i or y is 0.
    For p = 0 how many x_i aren't 0, without a gradient."""

    def forward(self, x: Any, axes: tuple[int, ...], p: float = 2, keepdim: bool = False) -> Any:
        self.p = p
        options = self.over(x, axes, keepdim)
        if p == 0:
            y = np.sum(x != 0, dtype=x.dtype, **options)
        elif p == 2:
            y = np.sqrt(np.sum(np.square(x), **options))
        else:
            y = np.power(np.sum(np.power(np.abs(x), p), **options), x.dtype.type(1 / p))
        self.save(x=x, y=y)
        return y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        if self.p == 0:
            return None
        ratio = np.abs(x) / self.spread(y)
        slope = np.sign(x) * (ratio if self.p == 2 else np.power(ratio, self.p - 1))
        return np.where((x == 0) | (self.spread(y) == 0), 0, slope * self.spread(grad))


def _prepared(input: Any, dtype: Any = None, integers: np.dtype | None = None) -> Any:
    """input in `dtype`, or, if that is None and it is not of floats, in `integers`."""
    if dtype is None and as_tensor(input, "input")._array.dtype.kind != "f":
        dtype = integers
    return input if dtype is None else to(input, as_dtype(dtype))


def _floats(name: str, input: Any, dtype: Any = None) -> Any:
    x = _prepared(input, dtype)
    if x._array.dtype.kind != "f":
        raise RuntimeError(f"{name}(): input: expected float32 or float64, got {x._array.dtype}")
    return x


def _filled(name: str, input: Any, dim: Any, error: type[Exception] = RuntimeError) -> tuple:
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


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dim; of integers and booleans in int64."""
    x = _prepared(input, dtype, np.dtype("int64"))
    return Sum.apply(x, as_axes(dim, x._array.ndim), keepdim)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dim; NaN of nothing. Integers need dtype=."""
    x = _floats("mean", input, dtype)
    return Mean.apply(x, as_axes(dim, x._array.ndim), keepdim)


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest over dim; elements that tie share the gradient."""
    return Amax.apply(input, _filled("amax", input, dim), keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest over dim; elements that tie share the gradient."""
    return Amin.apply(input, _filled("amin", input, dim), keepdim)


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Without dim the largest element (ties share the gradient); with dim (values, indices), the
    gradient going to the index; with another tensor, `maximum`."""
    if other is not None or isinstance(dim, TensorBase):
        return maximum(input, dim if other is None else other)
    if dim is None:
        return Amax.apply(input, _filled("max", input, None), keepdim, nan=True)
    return _picked(input, _position("max", np.argmax, input, dim, True), dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """As `max`, of the smallest."""
    if other is not None or isinstance(dim, TensorBase):
        return minimum(input, dim if other is None else other)
    if dim is None:
        return Amin.apply(input, _filled("min", input, None), keepdim, nan=True)
    return _picked(input, _position("min", np.argmin, input, dim, True), dim, keepdim)


def _picked(input: Any, indices: Any, dim: int, keepdim: bool = True) -> ValuesIndices:
    """The elements of input at the indices along dim, with these."""
    ndim = input._array.ndim
    axis = as_axis(dim, ndim)
    values = Gather.apply(input, indices, axis)
    if keepdim or not ndim:
        return ValuesIndices(values, indices)
    return ValuesIndices(squeeze(values, axis), squeeze(indices, axis))


def _position(name: str, find: Any, input: Any, dim: Any, keepdim: bool) -> Any:
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "b" and find.__name__ == name:
        raise RuntimeError(f"{name}(): input: expected numbers, got bool")
    axis = None if dim is None else as_axis(dim, array.ndim)
    _filled(name, input, dim, IndexError)
    if not array.ndim:
        axis = None
    return results.wrap(np.asarray(find(array, axis=axis, keepdims=keepdim), np.int64))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the (first) largest element along dim, or in row-major order: int64."""
    return _position("argmax", np.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the (first) smallest element along dim, or in row-major order: int64."""
    return _position("argmin", np.argmin, input, dim, keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether every element over dim is nonzero: bool; True of nothing. () is no dim."""
    array = as_tensor(input, "input")._array
    return results.wrap(np.all(array, some_axes(dim, array.ndim), keepdims=keepdim))


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether some element over dim is nonzero: bool; False of nothing. () is no dim."""
    array = as_tensor(input, "input")._array
    return results.wrap(np.any(array, some_axes(dim, array.ndim), keepdims=keepdim))


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over dim: squared deviations summed, divided by n - correction (default 1).
    unbiased: True for correction 1, False for 0; var(unbiased) is read as such."""
    return _spread(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The square root of `var`; its gradient is 0 where it is 0."""
    return _spread(Std, input, dim, unbiased, keepdim, correction)


def _spread(
    operation: type[Var], input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> Any:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("correction: expected without unbiased, which says the same")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    x = _floats(operation.__name__.lower(), input)
    return operation.apply(x, as_axes(dim, x._array.ndim), correction, keepdim)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The product along dim (default: of all); of integers and booleans in int64."""
    x = _prepared(input, dtype, np.dtype("int64"))
    if dim is not None and as_axis(dim, x._array.ndim) < x._array.ndim:
        return Prod.apply(x, as_axis(dim, x._array.ndim), keepdim)
    return Prod.apply(flatten(x), 0)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sums of the elements up to each along dim; of integers and booleans in int64."""
    x = _prepared(input, dtype, np.dtype("int64"))
    axis = as_axis(dim, x._array.ndim)
    return Cumsum.apply(x, axis) if x._array.ndim else view_as(Cumsum.apply(flatten(x), 0), x)


def logsumexp(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over dim without overflow; -inf of nothing."""
    if dim is None:
        raise TypeError("logsumexp(): dim: expected an int or a tuple of ints, got None")
    x = _prepared(input, None, np.dtype("float32"))
    return LogSumExp.apply(x, as_axes(dim, x._array.ndim), keepdim)


def norm(
    input: Tensor, p: Any = 2, dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """(sum |x|^p)^(1/p) over dim; p inf and -inf: the largest and the smallest |x|; 0: how many
    aren't 0; None and "fro": 2. The gradient at the zero vector is 0."""
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


def _order(array: Any, axis: int, descending: bool) -> Any:
    """Where the first, second, ... of the sorted elements stand; NaN is the largest."""
    if not descending:
        return np.argsort(array, axis, kind="stable")
    backwards = np.argsort(np.flip(array, axis), axis, kind="stable")
    return array.shape[axis] - 1 - np.flip(backwards, axis)


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesIndices:
    """(values, indices) in order along dim; equal elements keep theirs, whatever stable says."""
    array = as_tensor(input, "input")._array
    order = _order(np.atleast_1d(array), as_axis(dim, array.ndim), descending)
    return _picked(input, results.wrap(order.reshape(array.shape)), dim)


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesIndices:
    """(values, indices) of the k largest (smallest) along dim, in order, whatever sorted says."""
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
