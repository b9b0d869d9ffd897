"""Sums of arrays of any shape and strides over any axes, by the kernels' sums over one axis.

The kernels see x as (A, n, C) and sum over the middle axis. Look first at `sum_over`; autograd and
the operations call it wherever they sum floats, so that no sum drifts.
"""

import math

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.backends import backend

Axes = tuple[int, ...]


def _middle(x: Array, axes: Axes) -> tuple[Array, bool]:
    """x as (A, n, C) with the last run of neighbours among `axes` (ascending) in the middle, and
    whether these are all of them."""
    last = len(axes) - 1
    first = last
    while first and axes[first - 1] == axes[first] - 1:
        first -= 1
    begin, end = axes[first], axes[last] + 1
    shape = x.shape
    A, n, C = (math.prod(part) for part in (shape[:begin], shape[begin:end], shape[end:]))
    return x.reshape(A, n, C), first == 0


def _kept(shape: Axes, axes: Axes, keepdims: bool) -> Axes:
    if keepdims:
        return tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
    return tuple([n for axis, n in enumerate(shape) if axis not in axes])


def _in_memory_order(x: Array, axes: Axes) -> tuple[Array, Axes]:
    """x with its axes as they stand in memory, and where `axes` are then; kept axes stay in order
    among themselves, since the result is read by them."""
    if x.flags.c_contiguous:
        return x, axes
    strides = x.strides
    order = sorted(range(x.ndim), key=lambda axis: -abs(strides[axis]))
    kept = [axis for axis in order if axis not in axes]
    if kept != sorted(kept):
        return x, axes
    return x.transpose(order), tuple(sorted(order.index(axis) for axis in axes))


def sum_over(x: Array, axes: Axes, keepdims: bool = False, divisor: float = 1.0) -> Array:
    """The sum of the floats x over `axes` (ascending, none twice), divided by divisor; within a few
    ULP of the exact sum."""
    if not axes:
        return x / x.dtype.type(divisor)
    shape = _kept(x.shape, axes, keepdims)
    x, axes = _in_memory_order(x, axes)
    kernels = backend()
    dtype = x.dtype
    while True:
        folded, done = _middle(x, axes)
        if done:
            out = kernels.sum(folded, divisor)
            return out.reshape(shape) if out.dtype == dtype else out.reshape(shape).astype(dtype)
        end = axes[-1] + 1
        run = 1
        while axes[-run - 1] == axes[-1] - run:
            run += 1
        x = kernels.sum(folded, wide=True).reshape(x.shape[: end - run] + x.shape[end:])
        axes = axes[:-run]


def _one_run(x: Array, axes: Axes) -> Array:
    """x as (A, n, C), copied where `axes` are no neighbours."""
    x, axes = _in_memory_order(x, axes)
    if axes[-1] - axes[0] != len(axes) - 1:
        x = np.moveaxis(x, axes, range(-len(axes), 0))
        axes = tuple(range(x.ndim - len(axes), x.ndim))
    return _middle(x, axes)[0]


def moments_over(x: Array, axes: Axes) -> tuple[Array, Array]:
    """Mean and sum of squared deviations of the floats x over `axes`, both float64, axes kept."""
    shape = _kept(x.shape, axes, True)
    folded = _one_run(x, axes) if axes else x.reshape(x.size, 1, 1)
    mean, squares = backend().moments(folded)
    return mean.reshape(shape), squares.reshape(shape)


def squares_over(x: Array, axes: Axes) -> Array:
    """The sum of x^2 over `axes`, in float64, axes kept."""
    folded = _one_run(x, axes) if axes else x.reshape(x.size, 1, 1)
    return backend().squares(folded).reshape(_kept(x.shape, axes, True))


def cumsum_along(x: Array, axis: int, reverse: bool = False) -> Array:
    """The running sums of the floats x along an axis; `reverse`: from the last element on."""
    return backend().cumsum(_middle(x, (axis,))[0], reverse).reshape(x.shape)
