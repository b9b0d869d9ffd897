"""Softmax, log-softmax, their gradients, and logsumexp, native/softmax.c: along the last axis of
(N, n), or the middle one of (A, n, C). Rows are often few and short, so these wrappers do as little
as they can.
"""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import BOOL, NULL, address, by_size

ONE = (1,)  # C where x is (N, n)
_SOFTMAX = by_size("softmax")
_SOFTMAX_BACKWARD = by_size("softmax_backward")
_LOG_SOFTMAX = by_size("log_softmax")
_LOG_SOFTMAX_BACKWARD = by_size("log_softmax_backward")
_LOGSUMEXP = by_size("logsumexp")


def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n); or x (A, n, C) -> (A, n, C)."""
    A, n, *C = x.shape
    real, kernel = _SOFTMAX[x.itemsize]
    at_mask = NULL if mask is None else address(BOOL, mask)
    if status := kernel(address(real, x), at_mask, address(real, out), A, n, *C or ONE):
        check(status)


def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    A, n, *C = y.shape
    real, kernel = _SOFTMAX_BACKWARD[y.itemsize]
    if status := kernel(address(real, y), address(real, grad), address(real, out), A, n, *C or ONE):
        check(status)


def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) or (A, n, C) -> out."""
    A, n, *C = x.shape
    real, kernel = _LOG_SOFTMAX[x.itemsize]
    if status := kernel(address(real, x), address(real, out), A, n, *C or ONE):
        check(status)


def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    A, n, *C = y.shape
    real, kernel = _LOG_SOFTMAX_BACKWARD[y.itemsize]
    if status := kernel(address(real, y), address(real, grad), address(real, out), A, n, *C or ONE):
        check(status)


def logsumexp(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    real, kernel = _LOGSUMEXP[x.itemsize]
    if status := kernel(address(real, x), address(real, out), *x.shape):
        check(status)
