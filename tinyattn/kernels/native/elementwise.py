"""exp, tanh and sigmoid of contiguous arrays of any shape, native/elementwise.c and vmath.h."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size

_EXP = by_size("array_exp")
_TANH = by_size("array_tanh")
_SIGMOID = by_size("array_sigmoid")


def exp(x: Array, out: Array) -> None:
    """out = e^x; out may be x."""
    real, kernel = _EXP[x.itemsize]
    check(kernel(address(real, x), address(real, out), x.size))


def tanh(x: Array, out: Array) -> None:
    """out = tanh x; out may be x."""
    real, kernel = _TANH[x.itemsize]
    check(kernel(address(real, x), address(real, out), x.size))


def sigmoid(x: Array, out: Array) -> None:
    """out = 1 / (1 + e^-x); out may be x."""
    real, kernel = _SIGMOID[x.itemsize]
    check(kernel(address(real, x), address(real, out), x.size))
