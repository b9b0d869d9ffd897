"""LongTensor, FloatTensor, ..., Variable and range: names of PyTorch's first versions.

`legacy_array` says what the constructors do with their arguments.
"""

import builtins
import warnings
from typing import Any

import numpy as np

from tinyattn.autograd.devices import Device, check_device
from tinyattn.autograd.dtypes import DType, as_dtype, bool_, float32, float64, int32, int64, uint8
from tinyattn.autograd.size import Size
from tinyattn.autograd.storage import Tensor, TensorBase, requires_grad_, results
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_number
from tinyattn.ops.creation import arange, empty


def legacy_array(data: tuple[Any, ...], dtype: DType, name: str = "Tensor") -> Array:
    """The array that `FloatTensor(*data)` has: of those sizes and with undefined values if data are
    ints or one Size, else that sequence of numbers; none gives an empty tensor."""
    if not data:
        return np.empty(0, dtype)
    if len(data) == 1 and isinstance(data[0], Size):
        return empty(data[0], dtype=dtype)._array
    if all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in data):
        return empty(*data, dtype=dtype)._array
    value = data[0]
    if len(data) > 1 or not (hasattr(value, "__len__") or hasattr(value, "__iter__")):
        raise TypeError(f"{name}: expected sizes or one sequence of numbers, got {data!r}")
    if isinstance(value, TensorBase):
        if value._array.dtype != dtype:
            raise TypeError(
                f"{name}: expected a tensor of {dtype}, got {value._array.dtype}; use "
                f'tensor.to("{dtype}")'
            )
        return value._array
    array = np.array(list(value) if isinstance(value, builtins.range) else value)
    if array.dtype.kind not in "biuf" and array.size:
        raise TypeError(f"{name}: expected numbers, got {type(value).__name__} of {array.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype)


class Constructor:
    """LongTensor and its like: called, it makes a tensor of its dtype, of those sizes or of a
    sequence of numbers; `isinstance(x, LongTensor)` asks for the dtype. New code: `tensor(data,
    dtype=long)`.

    >>> ta.FloatTensor([1, 2])
    tensor([1., 2.])
    >>> ta.FloatTensor(2, 3).shape
    (2, 3)
    """

    def __init__(self, name: str, dtype: DType) -> None:
        self.__name__, self.dtype = name, dtype

    def __call__(self, *data: Any, device: Device = None) -> Tensor:
        check_device(device)
        made = results.wrap(legacy_array(data, self.dtype, self.__name__))
        if data and isinstance(data[0], TensorBase):
            made._storage = data[0]._storage
        return made

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, TensorBase) and instance._array.dtype == self.dtype

    def __repr__(self) -> str:
        return f"<class 'tinyattn.{self.__name__}'>"


FloatTensor = Constructor("FloatTensor", float32)
DoubleTensor = Constructor("DoubleTensor", float64)
LongTensor = Constructor("LongTensor", int64)
IntTensor = Constructor("IntTensor", int32)
ByteTensor = Constructor("ByteTensor", uint8)
BoolTensor = Constructor("BoolTensor", bool_)

_ALL = (FloatTensor, DoubleTensor, LongTensor, IntTensor, ByteTensor, BoolTensor)
_NAMES = {cls.dtype: cls.__name__ for cls in _ALL}
_DTYPES = {cls.__name__: cls.dtype for cls in _ALL} | {"Tensor": float32}


def dtype_of_type(type: Any) -> DType:
    """The dtype that `x.type(...)` names: a dtype, a class such as LongTensor, or its name."""
    if isinstance(type, Constructor):
        return type.dtype
    if isinstance(type, str):
        place, _, name = type.rpartition(".")
        if place in ("", "torch", "tinyattn") and name in _DTYPES:
            return _DTYPES[name]
        if place.endswith("cuda"):
            raise RuntimeError(f"type: tinyattn computes on the CPU only, got {type!r}")
    return as_dtype(type)


def type_name(dtype: DType) -> str:
    """PyTorch's name for a tensor of that dtype: "torch.LongTensor"."""
    return f"torch.{_NAMES[dtype]}"


def new(input: Tensor, *data: Any, device: Device = None) -> Tensor:
    """A tensor of the dtype of input, of those sizes or of a sequence of numbers; new code:
    `new_empty(size)`, `new_tensor(data)`."""
    check_device(device)
    return results.wrap(legacy_array(data, input._array.dtype, "new"))


class AnyTensor:
    """Variable: called, it makes a leaf on the memory of data; `isinstance(x, Variable)` is true of
    every tensor. Every tensor can have gradients, so new code needs no Variable."""

    def __call__(self, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        """volatile has no effect, and a warning says so: use `with no_grad():`."""
        if volatile:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with no_grad():` instead.",
                stacklevel=2,
            )
        if not isinstance(data, TensorBase):
            raise TypeError(f"data: expected a Tensor, got {type(data).__name__}")
        return requires_grad_(data.detach(), requires_grad)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, TensorBase)


Variable = AnyTensor()


def range(
    start: float | Tensor,
    end: float | Tensor | None = None,
    step: float | Tensor = 1,
    **options: Any,
) -> Tensor:
    """The numbers start, start + step, ... up to end, which is included, as float32. New code:
    `arange`, which leaves end out."""
    warnings.warn(
        "range is deprecated: it includes end, unlike Python's range. Use arange instead.",
        stacklevel=2,
    )
    step = as_number(step, "step")
    first = 0 if end is None else as_number(start, "start")
    last = as_number(start if end is None else end, "end")
    count = int(np.floor((last - first) / step)) + 1
    options.setdefault("dtype", float32)
    return first + arange(count, **options) * step
