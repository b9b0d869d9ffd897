"""Products over the middle axis, running products, and their gradients, native/prod.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size

_VERSIONS = by_size("prod", "prod_backward", "cumprod", "cumprod_backward")


def prod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    real, kernel, *_ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), address(real, out), *x.shape))


def prod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, n, C) -> out (A, n, C)."""
    real, _, kernel, *_ = _VERSIONS[x.itemsize]
    check(kernel(address(real, grad), address(real, x), address(real, out), *x.shape))


def cumprod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C)."""
    real, _, _, kernel, _ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), address(real, out), *x.shape))


def cumprod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad, x (A, n, C) -> out (A, n, C)."""
    real, *_, kernel = _VERSIONS[x.itemsize]
    check(kernel(address(real, grad), address(real, x), address(real, out), *x.shape))
