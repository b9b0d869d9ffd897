"""Cross-entropy and its gradient in one pass over the logits, native/cross_entropy.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_INT64 = ffi.typeof("int64_t[]")
_at = ffi.from_buffer
_NULL = ffi.NULL


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
    scale: float,
    losses: Array,
    grad: Array | None,
) -> None:
    """logits (N, V), target (N,), weight (V,) -> losses (N,), grad (N, V) of scale * sum(loss)."""
    N, V = logits.shape
    if logits.itemsize == 4:
        real, kernel = _F32, lib.ta_cross_entropy_f32
    else:
        real, kernel = _F64, lib.ta_cross_entropy_f64
    check(
        kernel(
            _at(real, logits),
            _at(_INT64, target),
            _NULL if weight is None else _at(real, weight),
            ignore_index,
            label_smoothing,
            scale,
            _at(real, losses),
            _NULL if grad is None else _at(real, grad),
            N,
            V,
        )
    )
