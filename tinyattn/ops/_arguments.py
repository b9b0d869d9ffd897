"""Checks of arguments that every family of operations shares, and the types of arguments.

Every error names the argument, what was expected and what came. Look at `as_tensor` first.
"""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import DType, Number, Scalar, may_become, scalar_dtype
from tinyattn.autograd.modes import quietly, state
from tinyattn.autograd.storage import Tensor, TensorBase, edge_now, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import write
from tinyattn.kernels.recording import refuse

Operand = Tensor | Array | Number  # one side of an arithmetic operator
Size = int | Sequence[int]  # `zeros(2, 3)` and `zeros((2, 3))` alike


def as_axis(dim: object, ndim: int, name: str = "dim") -> int:
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


def as_axes(dim: object, ndim: int, name: str = "dim") -> tuple[int, ...]:
    """One or several dimensions, or None for all of them; no dimension twice."""
    if dim is None:
        return tuple(range(ndim))
    if type(dim) is int or not isinstance(dim, Iterable):
        axis = as_axis(dim, ndim, name)
        return (axis,) if ndim else ()
    axes = tuple([as_axis(d, ndim, name) for d in dim])
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"{name}: {list(axes)} names a dimension twice")
    if not axes:
        return tuple(range(ndim))
    return axes if ndim else ()


def some_axes(dim: object, ndim: int, name: str = "dim") -> tuple[int, ...]:
    """As `as_axes`, but an empty tuple names no dimension."""
    return () if isinstance(dim, Iterable) and not tuple(dim) else as_axes(dim, ndim, name)


def as_size(size: Sequence[Any], name: str = "size") -> tuple[int, ...]:
    """`(2, 3)` and `((2, 3),)` alike, as a tuple of int."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    for n in size:
        if type(n) is not int:
            return tuple([as_int(n, name) for n in size])
    return tuple(size)


def given(sizes: tuple[Size, ...], size: Sequence[int] | None) -> Sequence[Size]:
    """The size of `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`. TypeError for two
    of them."""
    if size is None:
        return sizes
    if sizes:
        raise TypeError(f"size: expected once, got {sizes} and size={size}")
    return (size,)


def as_one(value: Any, name: str, least: int) -> int:
    """An int of at least `least`, which may also be given as a tuple or list of one int."""
    number = as_size((value,), name)
    if len(number) != 1 or number[0] < least:
        raise RuntimeError(f"{name}: expected an int of at least {least}, got {value!r}")
    return number[0]


def as_int(value: Any, name: str) -> int:
    """An int from an int of Python or NumPy, or from an integer tensor of one element."""
    if type(value) is int:
        return value
    try:
        if not isinstance(value, (bool, np.ndarray)):
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{name}: expected ints, got {type(value).__name__}: {value!r}")


def as_number(value: Any, name: str) -> Scalar:
    """A Python number from one of Python or NumPy, or from a tensor without axes."""
    number = value
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, TensorBase) and not value._array.ndim:
        refuse(f"{name}: expected a number, a tensor's can't be read in a step that is recorded")
        number = value._array.item()
    elif isinstance(value, np.generic):
        number = value.item()
    if not isinstance(number, (bool, int, float)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    return number


def as_tensor(value: Any, name: str) -> Tensor:
    """`value` if it is a tensor, else a TypeError that names the argument."""
    if not isinstance(value, TensorBase):
        raise TypeError(f"{name}: expected a Tensor, got {type(value).__name__}")
    return value  # type: ignore[return-value]


def as_operand(value: Any, name: str) -> Tensor:
    """`value` if it is a tensor, an array as a tensor on its memory, else a TypeError."""
    return results.wrap(value) if isinstance(value, np.ndarray) else as_tensor(value, name)


def as_floats(value: Any, name: str, function: str) -> Tensor:
    """`value` if it is a tensor of floats, else an error that names function and argument."""
    dtype = as_tensor(value, name)._array.dtype
    if dtype.kind != "f":
        raise RuntimeError(f"{function}: {name}: expected float32 or float64, got {dtype}")
    return value


def value_of(operand: Operand) -> Array | Number:
    """What NumPy computes with: the array of a tensor, or the operand itself."""
    return operand._array if isinstance(operand, TensorBase) else operand


def dtype_of(operand: Operand) -> DType:
    """The dtype of a tensor or an array, or the one PyTorch gives a bare number."""
    if isinstance(operand, TensorBase):
        return operand._array.dtype
    return operand.dtype if isinstance(operand, np.ndarray) else scalar_dtype(operand)


def put_out(name: str, out: Tensor, result: Tensor) -> Tensor:
    """The tensor `out` with the numbers of result, for a call `name(..., out=out)`. Its shape is
    that of result, or it has no elements and gets this shape. RuntimeError where one of the two
    needs a gradient."""
    array, new = as_tensor(out, f"{name}: out")._array, result._array
    refuse(f"{name}: out: a step that is recorded can't write into it")
    if state.enabled and (edge_now(out) is not None or edge_now(result) is not None):
        raise RuntimeError(
            f"{name}: out: gradients don't go through it, but an argument requires grad; leave it "
            "out, or use no_grad()"
        )
    if not may_become(new.dtype, array.dtype):
        raise RuntimeError(f"{name}: out: {new.dtype} can't be written into {array.dtype}")
    if array.shape == new.shape:
        quietly(write, array, new)
    elif array.size:
        raise RuntimeError(
            f"{name}: out: expected shape {list(new.shape)} or no elements, got {list(array.shape)}"
        )
    else:
        out._array = new.astype(array.dtype)
    out._storage.changed(name)
    return out
