"""The product of matrices, native/matmul.c. What stands here is what a call costs before the first
multiplication, so it is kept short; look next at `_packed`, the cache of packed weights.
"""

from typing import Any

import numpy as np

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib

# By the size of a number: the type of a pointer to it, and the functions.
_BY_SIZE = {
    4: (ffi.typeof("float[]"), lib.ta_matmul_f32, lib.ta_pack_weights_f32),
    8: (ffi.typeof("double[]"), lib.ta_matmul_f64, lib.ta_pack_weights_f64),
}
_from_buffer = ffi.from_buffer
_NULL = ffi.NULL

# Rows of b as they lie are as good as packed ones up to this many bytes.
SMALL = 1 << 18


def _address(ctype: Any, x: Array) -> Any:
    """A pointer to the first element of an array with gaps, or with its axes exchanged; from_buffer
    takes contiguous ones only."""
    return _from_buffer(ctype, x.T if x.flags.f_contiguous else x[(slice(1),) * x.ndim])


def matmul(a: Array, b: Array, bias: Array | None, out: Array, cache: Cache | None) -> None:
    """a (M, K), b (K, P), bias (P,) -> out (M, P), or n of them with one bias."""
    ctype, kernel, pack = _BY_SIZE[out.itemsize]
    at = _from_buffer(ctype, b) if b.flags.c_contiguous else _address(ctype, b)
    if out.ndim == 2:
        n, (M, P), a_strides, b_strides = 1, out.shape, (0, *a.strides), (0, *b.strides)
        packed = _NULL if cache is None else _packed(cache, pack, ctype, b, at)
    else:
        (n, M, P), a_strides, b_strides, packed = out.shape, a.strides, b.strides, _NULL
    status = kernel(
        n,
        M,
        a.shape[-1],
        P,
        _from_buffer(ctype, a) if a.flags.c_contiguous else _address(ctype, a),
        *a_strides,
        at,
        *b_strides,
        packed,
        _NULL if bias is None else _from_buffer(ctype, bias),
        _from_buffer(ctype, out),
    )
    if status:
        check(status)


def _packed(cache: Cache, pack: Any, ctype: Any, b: Array, at: Any) -> Any:
    """b as panels, if this is at least its second use since the cache was emptied."""
    K, P = b.shape
    row, column = b.strides
    if column == b.itemsize and b.nbytes <= SMALL:
        return _NULL
    key = ("matmul", at, K, P, row, column, lib.ta_isa())
    packed = cache.get(key)
    if packed is None:
        packed = _NULL  # worth it only for weights that are used again
    elif packed == _NULL:
        packed = aligned(ctype, b.dtype, K * (P + 15 & ~15))
        check(pack(K, P, at, row, column, packed))
    else:
        return packed
    cache[key] = packed
    return packed


def aligned(ctype: Any, dtype: np.dtype[Any], count: int) -> Any:
    """Room for `count` numbers that starts at a cache line and lives as long as the pointer."""
    room = np.empty(count + 16, dtype)
    start = -int(ffi.cast("intptr_t", _from_buffer(ctype, room))) % 64 // room.itemsize
    return _from_buffer(ctype, room[start : start + count])
