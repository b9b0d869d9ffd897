"""Directions and distances of rows, native/distances.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import DOUBLE, address, by_size

_NORMALIZE = by_size("normalize", "normalize_backward")
_COSINE = by_size("cosine", "cosine_backward")
_PAIRWISE = by_size("pairwise", "pairwise_backward")


def normalize(x: Array, eps: float, y: Array, size: Array) -> None:
    """x (N, D) -> y (N, D), size (N,) in float64, which is |x|."""
    real, kernel, _ = _NORMALIZE[x.itemsize]
    check(kernel(address(real, x), eps, address(real, y), address(DOUBLE, size), *x.shape))


def normalize_backward(grad: Array, x: Array, size: Array, eps: float, dx: Array) -> None:
    """grad, x (N, D), size (N,) of normalize -> dx (N, D)."""
    real, _, kernel = _NORMALIZE[x.itemsize]
    inputs = address(real, grad), address(real, x), address(DOUBLE, size)
    check(kernel(*inputs, eps, address(real, dx), *x.shape))


def cosine(x: Array, y: Array, eps: float, c: Array) -> None:
    """x, y (N, D) -> c (N,)."""
    real, kernel, _ = _COSINE[x.itemsize]
    check(kernel(address(real, x), address(real, y), eps, address(real, c), *x.shape))


def cosine_backward(grad: Array, x: Array, y: Array, eps: float, dx: Array, dy: Array) -> None:
    """grad (N,), x, y (N, D) -> dx, dy (N, D)."""
    real, _, kernel = _COSINE[x.itemsize]
    inputs = address(real, grad), address(real, x), address(real, y)
    check(kernel(*inputs, eps, address(real, dx), address(real, dy), *x.shape))


def pairwise(x: Array, y: Array, eps: float, d: Array, size: Array) -> None:
    """x, y (N, D) -> d (N,), and size (N,), the same in float64."""
    real, kernel, _ = _PAIRWISE[x.itemsize]
    inputs = address(real, x), address(real, y)
    check(kernel(*inputs, eps, address(real, d), address(DOUBLE, size), *x.shape))


def pairwise_backward(grad: Array, x: Array, y: Array, size: Array, eps: float, dx: Array) -> None:
    """grad (N,), x, y (N, D), size (N,) of pairwise -> dx (N, D)."""
    real, _, kernel = _PAIRWISE[x.itemsize]
    inputs = address(real, grad), address(real, x), address(real, y), address(DOUBLE, size)
    check(kernel(*inputs, eps, address(real, dx), *x.shape))
