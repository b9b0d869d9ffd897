"""Sums of arrays of any shape and strides over any axes, by the kernels' sums over one axis.

The kernels see x as (A, n, C) and sum over the middle axis. Look first at `sum_over`; autograd and
the operations call it wherever they sum floats, so that no sum drifts.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.backends import backend
from tinyattn.kernels.copies import repeated

Axes = tuple[int, ...]
SPREAD = 4096  # elements; a larger array that repeats a smaller one is a view


class Fold(NamedTuple):
    """What follows from a shape and the axes that are summed over."""

    axes: Axes  # ascending
    kept: Axes  # the shape with size 1 at these axes
    left: Axes  # the shape without these axes
    terms: int  # the number of terms of a sum
    middle: Axes  # (A, n, C) with the last run of neighbours among the axes in the middle
    begin: int  # the first axis of this run
    done: bool  # whether the run is all of the axes, and there is one


@functools.lru_cache(4096)
def fold(shape: Axes, axes: Axes) -> Fold:
    axes = tuple(sorted(axes))
    kept = tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
    left = tuple([n for axis, n in enumerate(shape) if axis not in axes])
    terms = math.prod([shape[axis] for axis in axes])
    end = axes[-1] + 1 if axes else 0
    begin = end
    while begin and begin - 1 in axes:
        begin -= 1
    parts = shape[:begin], shape[begin:end], shape[end:]
    A, n, C = (math.prod(part) for part in parts)
    return Fold(axes, kept, left, terms, (A, n, C), begin, 0 < end - begin == len(axes))


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
    """The sum of the floats x over `axes` (none twice), divided by divisor; within a few ULP of the
    exact sum."""
    how = fold(x.shape, axes)
    return folded_sum(x, how, how.kept if keepdims else how.left, divisor)


def folded_sum(x: Array, how: Fold, shape: Axes, divisor: float = 1.0) -> Array:
    """The same, over the axes of a fold of x, in any shape of as many elements."""
    dtype = x.dtype
    if not how.done or not x.flags.c_contiguous:
        if not how.axes:
            return (x / dtype.type(divisor)).reshape(shape)
        x, axes = _in_memory_order(x, how.axes)
        how = fold(x.shape, axes)
        while not how.done:
            end = axes[-1] + 1
            rest = x.shape[: how.begin] + x.shape[end:]
            x = backend().sum(x.reshape(how.middle), wide=True).reshape(rest)
            axes = axes[: how.begin - end]
            how = fold(rest, axes)
    out = backend().sum(x.reshape(how.middle), divisor).reshape(shape)
    return out if out.dtype is dtype else out.astype(dtype)


def spread(y: Array, shape: Axes) -> Array:
    """y, which has size 1 at some axes, repeated along these; a view where the result is large."""
    if math.prod(shape) > SPREAD:
        return repeated(y, shape)
    out = np.empty(shape, y.dtype)
    out[...] = y
    return out


def one_run(x: Array, axes: Axes) -> Array:
    """x as (A, n, C), copied where `axes` are no neighbours."""
    if not axes:
        return x.reshape(x.size, 1, 1)
    how = fold(x.shape, axes)
    if how.done and x.flags.c_contiguous:
        return x.reshape(how.middle)
    x, axes = _in_memory_order(x, axes)
    if axes[-1] - axes[0] != len(axes) - 1:
        x = np.moveaxis(x, axes, range(-len(axes), 0))
        axes = tuple(range(x.ndim - len(axes), x.ndim))
    return x.reshape(fold(x.shape, axes).middle)


def folded(x: Array, axes: Axes) -> tuple[Array, Callable[[Array], Array]]:
    """x as (A, n, C), n over `axes`, and the way back for a result of that shape."""
    how = fold(x.shape, axes)
    if how.done:
        return x.reshape(how.middle), lambda y: y.reshape(x.shape)
    ends = range(x.ndim - len(axes), x.ndim)
    moved = np.moveaxis(x, axes, ends)
    flat = moved.reshape(math.prod(how.left), how.terms, 1)
    return flat, lambda y: np.moveaxis(y.reshape(moved.shape), ends, axes)


def moments_over(x: Array, axes: Axes) -> tuple[Array, Array, Array]:
    """Mean, what rounding has lost of it, and sum of squared deviations of the floats x over
    `axes`, all float64, axes kept."""
    shape = fold(x.shape, axes).kept
    mean, rest, squares = backend().moments(one_run(x, axes))
    return mean.reshape(shape), rest.reshape(shape), squares.reshape(shape)


def magnitudes_over(x: Array, axes: Axes) -> Array:
    """The sum of |x| over `axes`, in float64, axes kept."""
    return backend().magnitudes(one_run(x, axes)).reshape(fold(x.shape, axes).kept)


def cumsum_along(x: Array, axis: int, reverse: bool = False) -> Array:
    """The running sums of the floats x along an axis; `reverse`: from the last element on."""
    return backend().cumsum(x.reshape(fold(x.shape, (axis,)).middle), reverse).reshape(x.shape)
