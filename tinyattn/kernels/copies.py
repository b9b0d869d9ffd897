"""Copies of arrays of any shape, type and strides, on all cores if they are large.

Look first at `copied`; autograd and the operations call these wherever they copy much.
"""

import functools
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.backends import backend
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.recording import local, working

FEW = 4096  # elements, up to which NumPy's own copy takes less time than the call of a kernel
DENSE = 32768  # the same where neither array has gaps, so that NumPy's copy is a memcpy


def few(elements: int, dense: bool = False) -> bool:
    """Whether NumPy's own copy takes less time than a kernel; `dense`: where neither array has
    gaps. A recording wants kernels."""
    return elements <= (DENSE if dense else FEW) and not (working and local.recorder)


def copied(x: Array) -> Array:
    """A copy in row-major order."""
    if (x.size <= FEW and not working) or few(x.size, x.flags.c_contiguous):
        return x.copy() if type(x) is np.ndarray else np.array(x, order="C")
    return backend().copy(x)


def write(out: Array, x: Any, at: Any = ...) -> None:
    """out[at] = x, which broadcasts and is cast to the type of out, for an index that gives views.

    ValueError, before anything is written, where x does not broadcast.
    """
    if few(out.size):
        out[at] = x
        return
    part = out[at]
    if few(part.size):
        part[...] = x
        return
    if not isinstance(x, np.ndarray) or x.dtype != out.dtype:
        x = np.asarray(x, out.dtype)
        if not x.ndim:
            x = constant(x, out.dtype)
            if part.itemsize > 1 and part.flags.c_contiguous:
                backend().fill(part, x)
                return
    if few(part.size, x.flags.c_contiguous and part.flags.c_contiguous):
        part[...] = x
    else:
        backend().copy(spread_to(x, part.shape), part)


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """x.reshape(shape): a view where there is one. A recording wants the copy by a kernel."""
    if local.recorder is None or x.flags.c_contiguous:
        return x.reshape(shape)
    try:
        return x.reshape(shape, copy=False)
    except ValueError:
        return copied(x).reshape(shape)


def constant(number: Any, dtype: np.dtype[Any]) -> Array:
    """A number as an array without axes that is always the same one, so that recordings can use
    it."""
    return _kept(np.asarray(number, dtype).tobytes(), dtype)


@functools.lru_cache(256)
def _kept(number: bytes, dtype: np.dtype[Any]) -> Array:
    return np.frombuffer(number, dtype).reshape(())


def spread_to(x: Array, shape: tuple[int, ...]) -> Array:
    """x in a shape to which it can be assigned: broadcast, without further axes of size 1."""
    if x.shape == shape:
        return x
    while x.ndim > len(shape) and x.shape[0] == 1:
        x = x[0]
    return repeated(x, shape)


def repeated(x: Array, shape: tuple[int, ...]) -> Array:
    """numpy.broadcast_to(x, shape), a view that can't be written to, in a third of its time where x
    has no gaps."""
    if not x.flags.c_contiguous:
        return np.broadcast_to(x, shape)
    y: Array = np.ndarray(shape, x.dtype, x, 0, _steps(x.shape, x.strides, shape))
    y.flags.writeable = False
    return y


@functools.lru_cache(4096)
def _steps(
    own: tuple[int, ...], strides: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The strides of an array of shape `own` that is broadcast to `shape`. ValueError where it
    can't be."""
    if np.broadcast_shapes(own, shape) != shape:
        raise ValueError(f"can't broadcast an array of shape {own} to {shape}")
    steps = [0 if n == 1 else step for n, step in zip(own, strides, strict=True)]
    return (*[0] * (len(shape) - len(own)), *steps)


def joined(arrays: Sequence[Array], axis: int, dtype: np.dtype[Any] | None = None) -> Array:
    """The arrays one after another along an axis, in the type of the first, or in dtype.

    ValueError where their sizes do not agree on the other axes.
    """
    first = arrays[0]
    shape, before = first.shape, (slice(None),) * axis
    small = sum([array.size for array in arrays]) <= FEW
    if small and (local.recorder is None or not _c_order(arrays, axis)):
        return np.concatenate(arrays, axis, dtype=dtype, casting="unsafe")
    for array in arrays:
        own = array.shape
        if (
            len(own) != len(shape)
            or own[:axis] + own[axis + 1 :] != shape[:axis] + shape[axis + 1 :]
        ):
            raise ValueError(f"can't join arrays of shapes {shape} and {own}")
    ends = list(accumulate([array.shape[axis] for array in arrays], initial=0))
    out = empty((*shape[:axis], ends[-1], *shape[axis + 1 :]), dtype or first.dtype)
    for array, i, j in zip(arrays, ends, ends[1:], strict=False):
        write(out, array, (*before, slice(i, j)))
    return out


def stacked(arrays: Sequence[Array], axis: int, dtype: np.dtype[Any] | None = None) -> Array:
    """Arrays of one shape along a new axis, in the type of the first, or in dtype."""
    first, n = arrays[0], len(arrays)
    shape, size = first.shape, first.size * n
    whole = *shape[:axis], n, *shape[axis:]
    small = few(size)
    if small and axis < len(shape):
        return np.concatenate(arrays, axis, dtype=dtype, casting="unsafe").reshape(whole)
    out = empty(whole, dtype or first.dtype)
    for part, array in zip(taken_apart(out, axis), arrays, strict=True):
        if small:
            part[...] = array
        else:
            write(part, array)
    return out


def taken_apart(x: Array, axis: int) -> list[Array]:
    """Views of x at each index of an axis."""
    rows = x.transpose(axis, *range(axis), *range(axis + 1, x.ndim)) if axis else x
    return [rows[k, ...] for k in range(len(rows))]


def _c_order(arrays: Sequence[Array], axis: int) -> bool:
    """Whether NumPy would join them in row-major order; a recording has to give the same."""
    return np.concatenate(arrays, axis).flags.c_contiguous


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype[Any]) -> Array:
    """An array of one number."""
    if few(math.prod(shape)):
        if type(value) is int and not value:
            return np.zeros(shape, dtype)
        out = np.empty(shape, dtype)
        out.fill(value)
        return out
    out = empty(shape, dtype)
    write(out, value)
    return out
