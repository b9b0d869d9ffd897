"""Layer and RMS normalisation and their gradients, native/layer_norm.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_at = ffi.from_buffer
_NULL = ffi.NULL


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    out: Array,
    mean: Array | None,
    rstd: Array,
) -> None:
    """x (N, D), weight, bias (D,) -> out (N, D), mean (N,), rstd (N,)."""
    N, D = x.shape
    if x.itemsize == 4:
        real, kernel = _F32, lib.ta_layer_norm_f32
    else:
        real, kernel = _F64, lib.ta_layer_norm_f64
    check(
        kernel(
            _at(real, x),
            _NULL if weight is None else _at(real, weight),
            _NULL if bias is None else _at(real, bias),
            eps,
            _at(real, out),
            _NULL if mean is None else _at(real, mean),
            _at(real, rstd),
            N,
            D,
        )
    )


def layer_norm_backward(
    grad: Array,
    x: Array,
    mean: Array | None,
    rstd: Array,
    weight: Array | None,
    dx: Array,
    dweight: Array,
    dbias: Array | None,
) -> None:
    """grad, x (N, D), mean, rstd (N,), weight (D,) -> dx (N, D), dweight (D,), dbias (D,)."""
    N, D = x.shape
    if x.itemsize == 4:
        real, kernel = _F32, lib.ta_layer_norm_backward_f32
    else:
        real, kernel = _F64, lib.ta_layer_norm_backward_f64
    check(
        kernel(
            _at(real, grad),
            _at(real, x),
            _NULL if mean is None else _at(real, mean),
            _at(real, rstd),
            _NULL if weight is None else _at(real, weight),
            _at(real, dx),
            _at(real, dweight),
            _NULL if dbias is None else _at(real, dbias),
            N,
            D,
        )
    )


def rms_norm(x: Array, weight: Array | None, eps: float, out: Array, rstd: Array) -> None:
    """x (N, D), weight (D,) -> out (N, D), rstd (N,)."""
    layer_norm(x, weight, None, eps, out, None, rstd)


def rms_norm_backward(
    grad: Array, x: Array, rstd: Array, weight: Array | None, dx: Array, dweight: Array
) -> None:
    """grad, x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
    layer_norm_backward(grad, x, None, rstd, weight, dx, dweight, None)
