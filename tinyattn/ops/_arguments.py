"""Checks of arguments that every family of operations shares; their errors name the argument."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyattn.autograd.storage import TensorBase


def as_axis(dim: Any, ndim: int, name: str = "dim") -> int:
    """A dimension, counted from the front; IndexError outside [-ndim, ndim-1]."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{name}: expected an int, got {type(dim).__name__}")
    low = max(ndim, 1)
    if not -low <= dim < low:
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-low}, {low - 1}], "
            f"but got {dim})"
        )
    return int(dim) % low


def as_axes(dim: Any, ndim: int, name: str = "dim") -> tuple[int, ...]:
    """One or several dimensions, or None for all of them; no dimension twice."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, Iterable):
        return (as_axis(dim, ndim, name),)[: max(ndim, 0)] if ndim else _scalar_axis(dim, name)
    axes = tuple(as_axis(d, ndim, name) for d in dim)
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"{name}: {list(axes)} names a dimension twice")
    if not axes:
        return tuple(range(ndim))
    return axes if ndim else ()


def some_axes(dim: Any, ndim: int, name: str = "dim") -> tuple[int, ...]:
    """As `as_axes`, but an empty tuple names no dimension."""
    return () if isinstance(dim, Iterable) and not tuple(dim) else as_axes(dim, ndim, name)


def _scalar_axis(dim: Any, name: str) -> tuple[int, ...]:
    as_axis(dim, 0, name)
    return ()


def as_size(size: tuple, name: str = "size") -> tuple[int, ...]:
    """`(2, 3)` and `((2, 3),)` alike, as a tuple of int."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    for n in size:
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
            raise TypeError(f"{name}: expected ints, got {type(n).__name__} in {tuple(size)}")
    return tuple(int(n) for n in size)


def as_tensor(value: Any, name: str) -> Any:
    """`value` if it is a tensor, else a TypeError that names the argument."""
    if not isinstance(value, TensorBase):
        raise TypeError(f"{name}: expected a Tensor, got {type(value).__name__}")
    return value


def as_indices(value: Any, name: str) -> np.ndarray:
    """The array of an integer tensor."""
    array = as_tensor(value, name)._array
    if array.dtype.kind != "i":
        raise TypeError(f"{name}: expected an int64 or int32 tensor, got {array.dtype}")
    return array
