"""Settings that programs make for other computers: they are checked, and change nothing here.

`set_printoptions` is the exception: it changes how tensors are printed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from tinyattn.autograd.devices import Device, check_device
from tinyattn.autograd.dtypes import DType, as_dtype, float32


class NamedDType:
    """A dtype that may be named, as in a table of dtypes, but not used."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


float16 = half = NamedDType("float16")
bfloat16 = NamedDType("bfloat16")


class MemoryFormat:
    """An order of elements in memory, as programs name it. Tensors made here are row-major."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


preserve_format = MemoryFormat("preserve_format")
contiguous_format = MemoryFormat("contiguous_format")


def check_format(value: object) -> None:
    """TypeError for an argument `memory_format` that is none."""
    if value is not None and not isinstance(value, MemoryFormat):
        raise TypeError(
            "memory_format: expected preserve_format, contiguous_format or None, got "
            f"{type(value).__name__}"
        )


def get_default_dtype() -> DType:
    """The dtype of new tensors of floats: float32."""
    return float32


def set_default_dtype(d: DType) -> None:
    """Only float32, the default, is possible; RuntimeError for another."""
    if as_dtype(d) != float32:
        raise RuntimeError(
            f"d: the default dtype is float32 and can't become {d}; pass dtype={d}, and call "
            "model.double()"
        )


def set_default_device(device: Device) -> None:
    """Do nothing but check the device: RuntimeError for any other than the CPU."""
    check_device(device)


def set_float32_matmul_precision(precision: str) -> None:
    """Do nothing but check the name: float32 products are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"precision: expected highest, high or medium, got {precision!r}")


def get_float32_matmul_precision() -> str:
    """ "highest": float32 products are always computed in float32."""
    return "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Do nothing: all results are the same in every run."""


class SDPBackend(Enum):
    """The ways in which PyTorch computes scaled_dot_product_attention. Here there is one."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """`with sdpa_kernel(SDPBackend.MATH):` changes nothing but checks the names."""
    for one in [backends] if isinstance(backends, SDPBackend) else backends:
        if not isinstance(one, SDPBackend):
            raise TypeError(f"backends: expected SDPBackend, got {type(one).__name__}")
    yield
