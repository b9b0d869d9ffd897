"""Tensors from nothing, from Python numbers and from arrays: tensor, zeros, arange, from_numpy.

The functions return `Any` to a type checker: class Tensor stands a floor above.
"""

import math
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import SUPPORTED, as_dtype, float32, int32, int64
from tinyattn.autograd.function import requires_grad_
from tinyattn.autograd.storage import TensorBase, results
from tinyattn.ops._arguments import as_size
from tinyattn.ops._arguments import as_tensor as checked


def _made(array: np.ndarray, requires_grad: bool) -> Any:
    made = results.wrap(array)
    return requires_grad_(made) if requires_grad else made


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A copy of `data`: numbers, nested sequences, an array or a tensor.

    Python floats give float32, ints int64; arrays keep their dtype.
    """
    if isinstance(data, (np.ndarray, np.generic, TensorBase)):
        array = data._array if isinstance(data, TensorBase) else np.asarray(data)
        array = np.array(_cast(array, array.dtype if dtype is None else dtype), order="C")
    else:
        array = _from_sequence(data, dtype)
    return _made(array, requires_grad)


def _from_sequence(data: Any, dtype: Any) -> np.ndarray:
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError("data: expected sequences of equal lengths at every level") from None
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "u" and dtype is None):
        raise TypeError(f"data: expected numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is None:
        plain = array.size == 0 or (array.dtype.kind == "f" and not _holds_array(data))
        dtype = float32 if plain else array.dtype
    return _cast(array, dtype)


def _cast(array: np.ndarray, dtype: Any) -> np.ndarray:
    """The array in a supported dtype; float64 that float32 can't hold becomes infinite."""
    wanted = as_dtype(dtype)
    if array.dtype.kind == "f" and wanted.kind == "i" and not np.isfinite(array).all():
        raise RuntimeError(f"data: NaN and infinity can't be converted to {wanted}")
    with np.errstate(over="ignore"):
        return array.astype(wanted, copy=False)


def _holds_array(data: Any) -> bool:
    """Whether a sequence's first element carries a dtype of its own."""
    while isinstance(data, (list, tuple)):
        if not data:
            return False
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, TensorBase))


def from_numpy(array: np.ndarray) -> Any:
    """A tensor that shares the array's memory: a change of either is seen in the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array: expected a numpy.ndarray, got {type(array).__name__}")
    if array.dtype not in SUPPORTED or not array.dtype.isnative:
        raise TypeError(
            f"array: expected native float32, float64, int64, int32 or bool, got {array.dtype!r}"
        )
    shared = results.wrap(array.view(np.ndarray))
    shared._storage.exposed = True
    return shared


def as_tensor(data: Any, dtype: Any = None) -> Any:
    """`data` as a tensor, without a copy where it is one, or an array, of that dtype."""
    if isinstance(data, np.ndarray) and data.dtype in SUPPORTED:
        data = from_numpy(data)
    if isinstance(data, TensorBase) and (dtype is None or data._array.dtype == as_dtype(dtype)):
        return data
    return tensor(data, dtype=dtype)


def full(
    size: Any, fill_value: bool | int | float, *, dtype: Any = None, requires_grad: bool = False
) -> Any:
    """A tensor of one number, of the number's own dtype unless told."""
    array = np.full(_shape((size,) if isinstance(size, int) else (tuple(size),)), fill_value)
    if dtype is None:
        dtype = float32 if array.dtype.kind == "f" else array.dtype
    return _made(_cast(array, dtype), requires_grad)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros; `zeros(2, 3)` and `zeros((2, 3))` alike."""
    return _made(np.zeros(_shape(size), as_dtype(dtype or float32)), requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Ones; `ones(2, 3)` and `ones((2, 3))` alike."""
    return _made(np.ones(_shape(size), as_dtype(dtype or float32)), requires_grad)


def empty(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor to be written to; what it holds before is undefined."""
    return _made(np.empty(_shape(size), as_dtype(dtype or float32)), requires_grad)


def _shape(size: tuple) -> tuple[int, ...]:
    shape = as_size(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"size: expected no negative dimension, got {list(shape)}")
    return shape


def zeros_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros of the shape and dtype of input."""
    array = checked(input, "input")._array
    return zeros(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def ones_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Ones of the shape and dtype of input."""
    array = checked(input, "input")._array
    return ones(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def empty_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """An unwritten tensor of the shape and dtype of input."""
    array = checked(input, "input")._array
    return empty(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def full_like(
    input: Any, fill_value: bool | int | float, *, dtype: Any = None, requires_grad: bool = False
) -> Any:
    """One number in the shape and dtype of input."""
    array = checked(input, "input")._array
    return full(array.shape, fill_value, dtype=dtype or array.dtype, requires_grad=requires_grad)


def arange(
    start: int | float,
    end: int | float | None = None,
    step: int | float = 1,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Any:
    """start, start + step, ... below end; `arange(n)` counts from 0. int64 if all are ints."""
    if end is None:
        start, end = 0, start
    if not (np.isfinite([start, end, step]).all() and step != 0 and (end - start) * step >= 0):
        raise RuntimeError(f"step: expected one that leads from {start} to {end}, got {step}")
    if dtype is not None and as_dtype(dtype).kind == "i":  # as PyTorch: of whole numbers alone
        if not int(step):
            raise ValueError(f"step: expected at least 1 for {as_dtype(dtype)}, got {step}")
        if as_dtype(dtype) == int32:  # whose length PyTorch finds before
            end = int(start) + math.ceil((end - start) / step) * int(step)
        start, end, step = int(start), int(end), int(step)
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = int64 if whole else float32
    return _made(_cast(np.arange(start, end, step), dtype), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, requires_grad: bool = False
) -> Any:
    """`steps` numbers at equal distances from start to end, both included."""
    if steps < 0:
        raise RuntimeError(f"steps: expected a number >= 0, got {steps}")
    for name, bound in (("start", start), ("end", end)):
        if np.ndim(bound):
            raise RuntimeError(f"{name}: expected a number, got shape {list(np.shape(bound))}")
    dtype = as_dtype(dtype or float32)
    first, last = _cast(np.array([float(start), float(end)]), dtype)
    return _made(_cast(np.linspace(first, last, steps, dtype="f8"), dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """The identity matrix (n, m), m = n unless told."""
    shape = _shape((n, n if m is None else m))
    return _made(np.eye(*shape, dtype=as_dtype(dtype or float32)), requires_grad)
