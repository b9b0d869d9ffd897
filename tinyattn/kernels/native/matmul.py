"""The product of matrices, native/matmul.c. What stands here is what a call costs before the first
multiplication, so it is kept short: `address` and the cache of packed weights.
"""

from typing import Any

import numpy as np

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_from_buffer = ffi.from_buffer
_NULL = ffi.NULL

# Rows of b as they lie are as good as packed ones up to this many bytes.
SMALL = 1 << 18


def address(ctype: Any, x: Array) -> Any:
    """A pointer to x's first element that keeps x alive; from_buffer takes contiguous arrays only."""
    flags = x.flags
    if flags.c_contiguous:
        return _from_buffer(ctype, x)
    if flags.f_contiguous:
        return _from_buffer(ctype, x.T)
    return _from_buffer(ctype, x[:1, :1, :1])


def matmul(a: Array, b: Array, bias: Array | None, out: Array, cache: Cache | None) -> None:
    """a (n, M, K), b (n, K, P), bias (P,) -> out (n, M, P)."""
    n, M, P = out.shape
    K = a.shape[2]
    if out.itemsize == 4:
        ctype, kernel, pack = _F32, lib.ta_matmul_f32, lib.ta_pack_weights_f32
    else:
        ctype, kernel, pack = _F64, lib.ta_matmul_f64, lib.ta_pack_weights_f64
    at = address(ctype, b)
    packed = _NULL
    if cache is not None and n == 1:
        packed = _packed(cache, pack, ctype, b, at)
    status = kernel(
        n,
        M,
        K,
        P,
        address(ctype, a),
        *a.strides,
        at,
        *b.strides,
        packed,
        _NULL if bias is None else _from_buffer(ctype, bias),
        _from_buffer(ctype, out),
    )
    if status:
        check(status)


def _packed(cache: Cache, pack: Any, ctype: Any, b: Array, at: Any) -> Any:
    """b as panels, if this is at least its second use since the cache was emptied."""
    _, K, P = b.shape
    _, row, column = b.strides
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
