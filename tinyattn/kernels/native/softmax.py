"""Softmax, log-softmax and their gradients, native/softmax.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import BOOL, NULL, address, by_size

_SOFTMAX = by_size("softmax", "softmax_backward")
_LOG_SOFTMAX = by_size("log_softmax", "log_softmax_backward")


def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n)."""
    N, n = x.shape
    real, kernel, _ = _SOFTMAX[x.itemsize]
    check(
        kernel(
            address(real, x),
            NULL if mask is None else address(BOOL, mask),
            address(real, out),
            N,
            n,
        )
    )


def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    N, n = y.shape
    real, _, kernel = _SOFTMAX[y.itemsize]
    check(kernel(address(real, y), address(real, grad), address(real, out), N, n))


def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) -> out (N, n)."""
    N, n = x.shape
    real, kernel, _ = _LOG_SOFTMAX[x.itemsize]
    check(kernel(address(real, x), address(real, out), N, n))


def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    N, n = y.shape
    real, _, kernel = _LOG_SOFTMAX[y.itemsize]
    check(kernel(address(real, y), address(real, grad), address(real, out), N, n))
