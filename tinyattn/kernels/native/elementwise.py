"""exp, tanh and sigmoid of contiguous arrays of any shape, native/elementwise.c and vmath.h."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_at = ffi.from_buffer


def exp(x: Array, out: Array) -> None:
    """out = e^x; out may be x."""
    if x.itemsize == 4:
        check(lib.ta_array_exp_f32(_at(_F32, x), _at(_F32, out), x.size))
    else:
        check(lib.ta_array_exp_f64(_at(_F64, x), _at(_F64, out), x.size))


def tanh(x: Array, out: Array) -> None:
    """out = tanh x; out may be x."""
    if x.itemsize == 4:
        check(lib.ta_array_tanh_f32(_at(_F32, x), _at(_F32, out), x.size))
    else:
        check(lib.ta_array_tanh_f64(_at(_F64, x), _at(_F64, out), x.size))


def sigmoid(x: Array, out: Array) -> None:
    """out = 1 / (1 + e^-x); out may be x."""
    if x.itemsize == 4:
        check(lib.ta_array_sigmoid_f32(_at(_F32, x), _at(_F32, out), x.size))
    else:
        check(lib.ta_array_sigmoid_f64(_at(_F64, x), _at(_F64, out), x.size))
