"""The one device, "cpu". Programs name it, so what makes or moves tensors takes `device`.

`check_device` refuses every other device.
"""

from typing import Any, TypeAlias

from tinyattn.autograd.dtypes import DType, as_dtype
from tinyattn.autograd.storage import TensorBase

_OTHERS = ("cuda", "mps", "xpu", "xla", "hip", "hpu", "npu", "vulkan", "meta", "privateuseone")


class device:
    """The device that tensors are on: `device("cpu")` is the only one. RuntimeError for any other.

    >>> ta.device("cpu")
    device(type='cpu')
    >>> ta.zeros(2).device == ta.device("cpu")
    True
    """

    type = "cpu"

    def __init__(self, type: "str | device" = "cpu", index: int | None = None) -> None:
        check_device(type)
        number = str(type).partition(":")[2]
        self.index = int(number) if number else index

    def __enter__(self) -> "device":
        """`with device("cpu"):` changes nothing: tensors are made there anyway."""
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and other.index == self.index

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return "cpu" if self.index is None else f"cpu:{self.index}"

    def __repr__(self) -> str:
        return (
            "device(type='cpu')"
            if self.index is None
            else f"device(type='cpu', index={self.index})"
        )


Device: TypeAlias = device | str | None  # what an argument `device` may be

CPU = device.__new__(device)
CPU.index = None


def check_device(value: Any, name: str = "device") -> None:
    """RuntimeError for a device that is not the CPU, TypeError for what is no device."""
    if value is None or isinstance(value, device) or value in ("cpu", "cpu:0"):
        return
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError(f'{name}: expected "cpu", got {type(value).__name__}')
    raise RuntimeError(f"{name}: tinyattn computes on the CPU only, got {value!r}")


def names_device(value: Any) -> bool:
    """Whether a value given to `to` means a device, and not a dtype."""
    if isinstance(value, str):
        return value.partition(":")[0] in ("cpu", *_OTHERS)
    return isinstance(value, (device, int))


def target(values: tuple[Any, ...], device: Device, dtype: Any) -> DType | None:
    """The dtype that the arguments of `to` ask for: a device, a dtype, both, or a tensor."""
    check_device(device)
    if len(values) > 2:
        raise TypeError(f"to: expected a device, a dtype, both, or a tensor, got {values!r}")
    for value in values:
        if names_device(value):
            check_device(value)
        elif isinstance(value, TensorBase):
            dtype = value._array.dtype
        elif value is not None:
            dtype = value
    return None if dtype is None else as_dtype(dtype)
