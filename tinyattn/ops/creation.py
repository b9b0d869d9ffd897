"""Tensors from nothing, from Python numbers and from arrays: tensor, zeros, arange, from_numpy.

Look at `tensor` first. `dtype` is float32 by default, unless the function says otherwise. `device`
may be "cpu", the only one; any other raises RuntimeError. `memory_format` changes nothing.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.devices import Device, check_device
from tinyattn.autograd.dtypes import (
    PYTHON,
    RANK,
    SUPPORTED,
    DType,
    Number,
    Scalar,
    as_dtype,
    check_range,
    float32,
    int32,
    int64,
    scalar_dtype,
    uint8,
)
from tinyattn.autograd.storage import Tensor, TensorBase, requires_grad_, results
from tinyattn.compat.settings import MemoryFormat, check_format
from tinyattn.kernels import blocks, recording
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import full as filled
from tinyattn.ops._arguments import Size, as_int, as_number, as_size, given
from tinyattn.ops._arguments import as_tensor as checked


def _made(array: Array, requires_grad: bool, device: Device = None) -> Tensor:
    if device is not None:
        check_device(device)
    made = results.wrap(array)
    return requires_grad_(made) if requires_grad else made


def tensor(
    data: Any, *, dtype: DTypeLike | None = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A copy of `data`: a number, nested sequences of numbers, an array or a tensor.

    Python's floats give float32 and its ints give int64; arrays, tensors and NumPy's numbers keep
    their dtype, and a sequence of several dtypes gets the widest. RuntimeError if a number is
    outside the range of the dtype.

    >>> ta.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> ta.tensor([1.5, 2], requires_grad=True)
    tensor([1.5, 2. ], requires_grad=True)
    """
    if isinstance(data, (np.ndarray, np.generic, TensorBase)):
        array = data._array if isinstance(data, TensorBase) else np.asarray(data)
        array = np.array(_cast(array, array.dtype if dtype is None else dtype), order="C")
    else:
        array = _from_sequence(data, dtype)
    return _made(array, requires_grad, device)


def _from_sequence(data: Any, dtype: DTypeLike | None) -> Array:
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError("data: expected sequences of equal lengths at every level") from None
    if array.dtype.kind in "uO":
        array = _large(array, np.array(data, object), dtype)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "u" and dtype is None):
        raise TypeError(f"data: expected numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is None:
        dtype = array.dtype
        if array.size == 0:
            dtype = float32
        elif dtype.kind == "f":
            dtype = max(_dtypes_in(data), key=lambda found: RANK[as_dtype(found)])
    return _cast(array, dtype)


def _large(array: Array, objects: Array, dtype: DTypeLike | None) -> Array:
    """Python integers beyond int64, which NumPy makes uint64 or objects, as floats if floats are
    wanted or among them; otherwise they are out of range."""
    numbers = list(objects.flat)
    if not {type(value) for value in numbers} <= PYTHON.keys():
        return array
    if dtype is None and float not in map(type, numbers):
        dtype = int64
    wanted = as_dtype(dtype or float32)
    for value in numbers:
        check_range(value, wanted, "data")
    return objects.astype(bool if wanted.kind == "b" else np.float64)


def _dtypes_in(data: Any) -> set[DType]:
    """The dtypes of the numbers in nested sequences."""
    if isinstance(data, TensorBase):
        return {data._array.dtype}
    if not isinstance(data, (list, tuple)):
        return {PYTHON[type(data)] if type(data) in PYTHON else np.asarray(data).dtype}
    kinds = set(map(type, data))
    if kinds <= PYTHON.keys():
        return {PYTHON[kind] for kind in kinds}
    return set().union(*map(_dtypes_in, data))


def _cast(array: Array, dtype: DTypeLike) -> Array:
    """The array in a supported dtype; float64 that float32 can't hold becomes infinite."""
    wanted = as_dtype(dtype)
    if wanted.kind in "iu" and array.size and not np.can_cast(array.dtype, wanted):
        check_range(array.min(), wanted, "data")
        check_range(array.max(), wanted, "data")
    with np.errstate(over="ignore"):
        return array.astype(wanted, copy=False)


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares the array's memory: a change of either is seen in the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array: expected a numpy.ndarray, got {type(array).__name__}")
    if array.dtype not in SUPPORTED or not array.dtype.isnative:
        raise TypeError(
            "array: expected native float32, float64, int64, int32, uint8 or bool, got "
            f"{array.dtype!r}"
        )
    shared = results.wrap(array.view(np.ndarray))
    shared._storage.exposed = True
    return shared


def as_tensor(data: Any, dtype: DTypeLike | None = None, device: Device = None) -> Tensor:
    """`data` as a tensor, without a copy where it is one, or an array, of that dtype."""
    check_device(device)
    if isinstance(data, np.ndarray) and data.dtype in SUPPORTED:
        data = from_numpy(data)
    if isinstance(data, TensorBase) and (dtype is None or data._array.dtype == as_dtype(dtype)):
        return data  # type: ignore[return-value]
    return tensor(data, dtype=dtype, device=device)


def full(
    size: Size,
    fill_value: Number | Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one number, by default of the number's own dtype (floats: float32).

    RuntimeError if the number is outside the range of the dtype.

    >>> ta.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    number = as_number(fill_value, "fill_value")
    if dtype is None:
        if isinstance(fill_value, TensorBase):
            dtype = fill_value._array.dtype
        else:
            dtype = scalar_dtype(number)
    wanted = as_dtype(dtype)
    check_range(number, wanted, "fill_value")
    return _made(
        recording.step("full", filled, _shape((size,)), number, wanted), requires_grad, device
    )


def zeros(
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros; `zeros(2, 3)` and `zeros((2, 3))` mean the same.

    >>> ta.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    made = recording.step(
        "zeros", filled, _shape(given(sizes, size)), 0, as_dtype(dtype or float32)
    )
    return _made(made, requires_grad, device)


def ones(
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones; `ones(2, 3)` and `ones((2, 3))` mean the same.

    >>> ta.ones(3, dtype="int64")
    tensor([1, 1, 1])
    """
    array = recording.step(
        "ones", filled, _shape(given(sizes, size)), 1, as_dtype(dtype or float32)
    )
    return _made(array, requires_grad, device)


def empty(
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor that is to be written to; its first values are undefined."""
    return _made(
        blocks.empty(_shape(given(sizes, size)), as_dtype(dtype or float32)), requires_grad, device
    )


def _shape(size: Sequence[Any]) -> tuple[int, ...]:
    shape = as_size(size)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"size: expected no negative dimension, got {list(shape)}")
    return shape


def zeros_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """Zeros of the shape and, by default, the dtype of input."""
    check_format(memory_format)
    array = checked(input, "input")._array
    return zeros(
        array.shape, dtype=dtype or array.dtype, device=device, requires_grad=requires_grad
    )


def ones_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """Ones of the shape and, by default, the dtype of input."""
    check_format(memory_format)
    array = checked(input, "input")._array
    return ones(array.shape, dtype=dtype or array.dtype, device=device, requires_grad=requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """A tensor that is to be written to, of the shape and, by default, the dtype of input."""
    check_format(memory_format)
    array = checked(input, "input")._array
    return empty(
        array.shape, dtype=dtype or array.dtype, device=device, requires_grad=requires_grad
    )


def full_like(
    input: Tensor,
    fill_value: Number | Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """A tensor of one number, of the shape and, by default, the dtype of input."""
    check_format(memory_format)
    array = checked(input, "input")._array
    return full(
        array.shape,
        fill_value,
        dtype=dtype or array.dtype,
        device=device,
        requires_grad=requires_grad,
    )


def arange(
    start: Number | Tensor,
    end: Number | Tensor | None = None,
    step: Number | Tensor = 1,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers start, start + step, ... that come before end; `arange(n)` counts from 0.

    int64 if all arguments are integers, else float32, unless dtype is given. RuntimeError if step
    doesn't lead from start to end, or if a number is outside the range of the dtype.

    >>> ta.arange(5)
    tensor([0, 1, 2, 3, 4])
    >>> ta.arange(0, 1, 0.25)
    tensor([0.  , 0.25, 0.5 , 0.75])
    """
    if end is None:
        if type(start) is int and 0 <= start < 1 << 31 and step == 1 and dtype is None:
            return _made(np.arange(start), requires_grad, device)  # the usual call
        start, end = 0, start
    first, last, by = _finite(start, "start"), _finite(end, "end"), _finite(step, "step")
    if not (by != 0 and (last - first) * by >= 0):
        raise RuntimeError(f"step: expected one that leads from {first} to {last}, got {by}")
    if dtype is None:
        dtype = float32 if float in (type(first), type(last), type(by)) else int64
    wanted = as_dtype(dtype)
    if wanted.kind == "b":
        raise RuntimeError("dtype: expected a dtype of numbers, got bool")
    if wanted.kind in "iu":  # as PyTorch: of whole numbers alone
        if not int(by):
            raise ValueError(f"step: expected at least 1 for {wanted}, got {by}")
        if wanted in (int32, uint8):  # whose length PyTorch finds before
            last = int(first) + math.ceil((last - first) / by) * int(by)
        first, last, by = int(first), int(last), int(by)
        check_range(first, int64, "start")
        check_range(last, int64, "end")
    return _made(recording.step("arange", _arange, first, last, by, wanted), requires_grad, device)


def _arange(first: Scalar, last: Scalar, by: Scalar, dtype: DType) -> Array:
    return _cast(np.arange(first, last, by), dtype)


def _linspace(first: Scalar, last: Scalar, steps: int, dtype: DType) -> Array:
    return _cast(np.linspace(first, last, steps, dtype="f8"), dtype)


def _finite(value: Number | Tensor, name: str) -> Scalar:
    """A finite number; an integer is one of int64."""
    number = as_number(value, name)
    if isinstance(number, int):
        check_range(number, int64, name)
    elif not math.isfinite(number):
        raise RuntimeError(f"{name}: expected a finite number, got {number}")
    return number


def linspace(
    start: Number | Tensor,
    end: Number | Tensor,
    steps: int,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances from start to end, both included.

    >>> ta.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    steps = as_int(steps, "steps")
    if steps < 0:
        raise RuntimeError(f"steps: expected a number >= 0, got {steps}")
    wanted = as_dtype(dtype or float32)
    bounds = [as_number(start, "start"), as_number(end, "end")]
    for name, bound in zip(("start", "end"), bounds, strict=True):
        if wanted.kind in "iu":
            check_range(bound, wanted, name)
    first, last = _cast(np.array(bounds, np.float64), wanted)
    made = recording.step("linspace", _linspace, first, last, steps, wanted)
    return _made(made, requires_grad, device)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The identity matrix (n, m), 1 on the diagonal and 0 elsewhere; by default m = n."""
    shape = _shape((n, n if m is None else m))
    made = recording.step("eye", np.eye, *shape, 0, as_dtype(dtype or float32))
    return _made(made, requires_grad, device)


def new_tensor(
    input: Tensor,
    data: Any,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`tensor(data)`, by default in the dtype of input."""
    wanted = dtype or input._array.dtype
    return tensor(data, dtype=wanted, device=device, requires_grad=requires_grad)


def new_zeros(
    input: Tensor,
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`zeros(size)`, by default in the dtype of input."""
    wanted = dtype or input._array.dtype
    return zeros(*sizes, size=size, dtype=wanted, device=device, requires_grad=requires_grad)


def new_ones(
    input: Tensor,
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`ones(size)`, by default in the dtype of input."""
    wanted = dtype or input._array.dtype
    return ones(*sizes, size=size, dtype=wanted, device=device, requires_grad=requires_grad)


def new_empty(
    input: Tensor,
    *sizes: Size,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`empty(size)`, by default in the dtype of input."""
    wanted = dtype or input._array.dtype
    return empty(*sizes, size=size, dtype=wanted, device=device, requires_grad=requires_grad)


def new_full(
    input: Tensor,
    size: Size,
    fill_value: Number | Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """`full(size, fill_value)`, by default in the dtype of input."""
    wanted = dtype or input._array.dtype
    return full(size, fill_value, dtype=wanted, device=device, requires_grad=requires_grad)
