"""The gradient of an embedding, native/embedding.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_INT64 = ffi.typeof("int64_t[]")
_at = ffi.from_buffer


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D), which comes zeroed; row padding_idx gets nothing."""
    N, D = grad.shape
    V = out.shape[0]
    if grad.itemsize == 4:
        real, kernel = _F32, lib.ta_embedding_backward_f32
    else:
        real, kernel = _F64, lib.ta_embedding_backward_f64
    check(kernel(_at(real, grad), _at(_INT64, index), padding_idx, _at(real, out), N, D, V))
