"""Softmax, log-softmax and their gradients, native/softmax.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_MASK = ffi.typeof("uint8_t[]")
_at = ffi.from_buffer
_NULL = ffi.NULL


def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n)."""
    N, n = x.shape
    at_mask = _NULL if mask is None else _at(_MASK, mask)
    if x.itemsize == 4:
        check(lib.ta_softmax_f32(_at(_F32, x), at_mask, _at(_F32, out), N, n))
    else:
        check(lib.ta_softmax_f64(_at(_F64, x), at_mask, _at(_F64, out), N, n))


def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    N, n = y.shape
    if y.itemsize == 4:
        check(lib.ta_softmax_backward_f32(_at(_F32, y), _at(_F32, grad), _at(_F32, out), N, n))
    else:
        check(lib.ta_softmax_backward_f64(_at(_F64, y), _at(_F64, grad), _at(_F64, out), N, n))


def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) -> out (N, n)."""
    N, n = x.shape
    if x.itemsize == 4:
        check(lib.ta_log_softmax_f32(_at(_F32, x), _at(_F32, out), N, n))
    else:
        check(lib.ta_log_softmax_f64(_at(_F64, x), _at(_F64, out), N, n))


def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    N, n = y.shape
    if y.itemsize == 4:
        check(lib.ta_log_softmax_backward_f32(_at(_F32, y), _at(_F32, grad), _at(_F32, out), N, n))
    else:
        check(lib.ta_log_softmax_backward_f64(_at(_F64, y), _at(_F64, grad), _at(_F64, out), N, n))
