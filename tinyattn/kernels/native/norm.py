"""The 2-norm of many arrays and their scaling, native/norm.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_F32_POINTERS = ffi.typeof("float *[]")
_F64_POINTERS = ffi.typeof("double *[]")
_INT64 = ffi.typeof("int64_t[]")
_DOUBLE = ffi.typeof("double *")
_new = ffi.new


def global_norm(arrays: list[Array]) -> float:
    """Flat arrays -> their common norm."""
    if not arrays:
        return 0.0
    if arrays[0].itemsize == 4:
        real, pointers, kernel = _F32, _F32_POINTERS, lib.ta_global_norm_f32
    else:
        real, pointers, kernel = _F64, _F64_POINTERS, lib.ta_global_norm_f64
    at = [ffi.from_buffer(real, x) for x in arrays]
    norm = _new(_DOUBLE)
    check(kernel(_new(pointers, at), _new(_INT64, [x.size for x in arrays]), len(at), norm))
    return float(norm[0])


def scale(arrays: list[Array], factor: float) -> None:
    """Multiply flat arrays by factor, in place."""
    if not arrays:
        return
    if arrays[0].itemsize == 4:
        real, pointers, kernel = _F32, _F32_POINTERS, lib.ta_scale_f32
    else:
        real, pointers, kernel = _F64, _F64_POINTERS, lib.ta_scale_f64
    at = [ffi.from_buffer(real, x) for x in arrays]
    check(kernel(_new(pointers, at), _new(_INT64, [x.size for x in arrays]), len(at), factor))
