"""GLU of two halves, and its gradient, native/glu.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size

_VERSIONS = by_size("glu", "glu_backward")


def glu(x: Array, out: Array) -> None:
    """x (A, 2, C) -> out (A, C)."""
    real, kernel, _ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), address(real, out), *out.shape))


def glu_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, 2, C) -> out (A, 2, C)."""
    real, _, kernel = _VERSIONS[x.itemsize]
    check(kernel(address(real, grad), address(real, x), address(real, out), *grad.shape))
