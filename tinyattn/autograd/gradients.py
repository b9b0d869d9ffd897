"""Gradients on their way back: what they are, how two of them add, how broadcasting is undone.

A gradient is an array, or a `Deferred`: a sum of terms that is computed when it is needed. The
engine and the operations treat both alike; only this file tells them apart.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.backends import backend
from tinyattn.kernels.copies import copied, few, full, joined, write
from tinyattn.kernels.recording import alike, kernels, local, step
from tinyattn.kernels.sums import fold, folded_sum


class Deferred:
    """A gradient that is not computed yet: a sum of terms, all of one kind.

    The terms of one kind that arrive at a tensor are collected, and `value` computes their sum
    once, when the operation that made the tensor needs it.
    """

    terms: list[tuple[Any, ...]]

    def joins(self, other: "Deferred") -> bool:
        """Take over the terms of `other`, if it is of the same kind."""
        raise NotImplementedError

    def value(self) -> Array:
        """The sum of the terms, in a new array."""
        raise NotImplementedError

    def add_to(self, total: Array) -> None:
        """Add the terms to an array."""
        plus(total, self.value(), True)

    def transpose(self, axes: Sequence[int]) -> "Gradient":
        """The gradient with its axes in another order, like the method of an array."""
        return self.value().transpose(axes)


Gradient: TypeAlias = Array | Deferred


class RowSum(Deferred):
    """function(*rows, *args), a sum over rows.

    A weight that is used at every time step has the gradient dW = sum_t a_t^T b_t. Stacking the
    rows of all steps gives it in one product, which costs less than adding T matrices.
    """

    most = 256  # rows of one term; with more of them, adding costs little beside the product

    def __init__(
        self, function: Callable[..., Array], terms: list[tuple[Any, ...]], args: tuple[Any, ...]
    ) -> None:
        self.function, self.terms, self.args = function, terms, args

    def joins(self, other: Deferred) -> bool:
        same = isinstance(other, RowSum) and (self.function, self.args) == (
            other.function,
            other.args,
        )
        if same:
            self.terms += other.terms
        return same

    def value(self) -> Array:
        if len(self.terms) == 1:
            return self.function(*self.terms[0], *self.args)
        axis = self.terms[0][0].ndim - 2
        rows = [joined(parts, axis) for parts in zip(*self.terms, strict=True)]
        return self.function(*rows, *self.args)

    def transpose(self, axes: Sequence[int]) -> Gradient:
        """(sum_t a_t^T b_t)^T = sum_t b_t^T a_t: the transpose of a product stays deferred."""
        n = len(axes)
        if self.function is rows_product and tuple(axes) == (*range(n - 2), n - 1, n - 2):
            return RowSum(rows_product, [(b, a) for a, b in self.terms], self.args)
        return super().transpose(axes)


def rows_product(a: Array, b: Array, kernels: Any) -> Array:
    """a^T b, a sum over the rows of a (..., N, M) and b (..., N, P): (..., M, P)."""
    return kernels.matmul(a.swapaxes(-1, -2), b)


class Placed(Deferred):
    """Zeros of one shape, with arrays added at some indices.

    A loop over x[t] makes one such gradient at each step. Collected, they need one array of the
    shape of x instead of T.
    """

    def __init__(self, shape: tuple[int, ...], index: tuple[Any, ...], grad: Array) -> None:
        self.shape, self.terms = shape, [(index, grad)]

    def joins(self, other: Deferred) -> bool:
        same = isinstance(other, Placed)
        if same:
            self.terms += other.terms
        return same

    def value(self) -> Array:
        (index, grad), *rest = self.terms
        size = math.prod(self.shape)
        places = None if few(size) else _one_axis(self.shape, index)
        if places is not None and not rest and grad.size and grad.flags.c_contiguous:
            axis, start, step = places
            A, n, C = (
                math.prod(self.shape[:axis]),
                self.shape[axis],
                math.prod(self.shape[axis + 1 :]),
            )
            rows = grad.reshape(A, grad.size // (A * C), C)
            return backend().place(rows, n, start, step).reshape(self.shape)
        total = full(self.shape, 0, grad.dtype)
        write(total, grad, index)
        for index, grad in rest:
            _add_at(total, index, grad)
        return total

    def add_to(self, total: Array) -> None:
        for index, grad in self.terms:
            _add_at(total, index, grad)


def _one_axis(shape: tuple[int, ...], index: tuple[Any, ...]) -> tuple[int, int, int] | None:
    """The axis, the first place and the step of an index that takes all along the other axes;
    None for another index."""
    found = None
    for axis, item in enumerate(index):
        if item is Ellipsis:
            return found if axis == len(index) - 1 else None
        if isinstance(item, slice):
            start, stop, step = item.indices(shape[axis])
            if (start, stop, step) == (0, shape[axis], 1):
                continue
        elif isinstance(item, int):
            start, step = item % shape[axis], 1
        if found or item is None:
            return None
        found = axis, start, step
    return found


def _add_at(total: Array, index: tuple[Any, ...], grad: Array) -> None:
    if local.recorder is not None:
        plus(total[index], grad, True)
    else:
        total[index] += grad


def combine(have: Gradient | None, grad: Gradient, owned: bool) -> Gradient:
    """have + grad, where at least one of them is deferred; None is zero.

    `owned` says that the array `have` may be changed. The result may always be changed.
    """
    if have is None:
        return grad
    if isinstance(have, Deferred):
        if isinstance(grad, Deferred) and have.joins(grad):
            return have
        have, owned = as_array(have), True
    if isinstance(grad, Deferred):
        return kernels(f"sum of gradients, {type(grad).__name__}", _added, have, grad, owned)
    return kernels("sum of gradients", plus, have, grad, owned)


def _added(have: Array, grad: Deferred, owned: bool) -> Array:
    total = np.asarray(have) if owned else copied(have)  # NumPy makes numbers of arrays of no axes
    grad.add_to(total)
    return total


def plus(have: Array, grad: Array, owned: bool) -> Array:
    """have + grad, in the memory of `have` if it may be changed: by a kernel, for a recording."""
    if local.recorder is not None and owned and not have.flags.carray:
        return step("sum of gradients", np.add, have, grad, have)
    if local.recorder is not None:
        out = have if owned else None
        return alike(np.add, lambda x, y: backend().elementwise("add", (x, y), out=out), have, grad)
    if owned:
        have += grad
        return have
    return have + grad


def fitted(grad: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A gradient in the shape and dtype of what it is the gradient of."""
    return unbroadcast(grad, shape).astype(dtype, copy=False)


def as_array(grad: Any) -> Any:
    """The numbers of a gradient; what is not deferred, None too, is given back as it is."""
    if isinstance(grad, Deferred):
        return kernels(f"{type(grad).__name__}.value", type(grad).value, grad)
    return grad


def unbroadcast(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes that broadcasting added or stretched.

    y[i, j] = x[j] for every i, so dL/dx[j] is the sum of dL/dy[i, j] over i.
    """
    axes = _repeated(grad.shape, shape)
    return folded_sum(grad, fold(grad.shape, axes), shape) if axes else grad.reshape(shape)


def products_to(shape: tuple[int, ...], x: Array, y: Any) -> Array | None:
    """unbroadcast(x y, shape) by one kernel, which does not keep x y; None where x and y do not
    stand alike in memory, or the axes of the sum do not lie side by side."""
    how = fold(x.shape, _repeated(x.shape, shape))
    alike = type(y) is np.ndarray and x.shape == y.shape and x.dtype is y.dtype
    if not (alike and how.done and x.dtype.kind == "f"):
        return None
    if not (x.flags.c_contiguous and y.flags.c_contiguous):
        return None
    return backend().products(x.reshape(how.middle), y.reshape(how.middle)).reshape(shape)


@functools.lru_cache(4096)
def _repeated(shape: tuple[int, ...], own: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `shape` along which broadcasting repeats an array of shape `own`. RuntimeError
    for a shape that `own` does not broadcast to: its numbers would go to other elements."""
    added = len(shape) - len(own)
    if added < 0 or any(n not in (1, m) for n, m in zip(own, shape[added:], strict=True)):
        raise RuntimeError(
            f"backward: gave a gradient of shape {list(shape)} for an input of shape {list(own)}"
        )
    stretched = [i + added for i, n in enumerate(own) if n == 1 and shape[i + added] != 1]
    return (*range(added), *stretched)


def check_broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """RuntimeError, in PyTorch's words, where two shapes can't be broadcast together."""
    for axis in range(-1, -min(len(a), len(b)) - 1, -1):
        if a[axis] != b[axis] and 1 not in (a[axis], b[axis]):
            raise RuntimeError(
                f"The size of tensor a ({a[axis]}) must match the size of tensor b ({b[axis]}) at "
                f"non-singleton dimension {max(len(a), len(b)) + axis}: got shapes {list(a)} and "
                f"{list(b)}"
            ) from None
