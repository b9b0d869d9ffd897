"""Additive attention scores and their gradient, native/additive.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_at = ffi.from_buffer


def additive(q: Array, k: Array, v: Array, out: Array) -> None:
    """q (B, Tq, H), k (B, Tk, H), v (H,) -> out (B, Tq, Tk)."""
    B, Tq, Tk = out.shape
    if q.itemsize == 4:
        real, kernel = _F32, lib.ta_additive_f32
    else:
        real, kernel = _F64, lib.ta_additive_f64
    check(kernel(_at(real, q), _at(real, k), _at(real, v), _at(real, out), B, Tq, Tk, len(v)))


def additive_backward(
    grad: Array, q: Array, k: Array, v: Array, dq: Array, dk: Array, dv: Array
) -> None:
    """grad (B, Tq, Tk), q (B, Tq, H), k (B, Tk, H), v (H,) -> dq, dk, dv of their shapes."""
    B, Tq, Tk = grad.shape
    if q.itemsize == 4:
        real, kernel = _F32, lib.ta_additive_backward_f32
    else:
        real, kernel = _F64, lib.ta_additive_backward_f64
    inputs = _at(real, grad), _at(real, q), _at(real, k), _at(real, v)
    outputs = _at(real, dq), _at(real, dk), _at(real, dv)
    check(kernel(*inputs, *outputs, B, Tq, Tk, len(v)))
