"""What the recurrent kernels share: where their owner lends a cache, the recurrent weights are
packed once until they change, not once a call.
"""

from typing import Any

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.matmul import SMALL, aligned

# By the size of a number: the type of a pointer to it, and the functions that pack.
_BY_SIZE = {
    4: (ffi.typeof("float[]"), lib.ta_pack_gates_f32, lib.ta_pack_weights_f32),
    8: (ffi.typeof("double[]"), lib.ta_pack_gates_f64, lib.ta_pack_weights_f64),
}
INTEGERS = ffi.typeof("int64_t[]")
NULL = ffi.NULL
address = ffi.from_buffer


def pointer(ctype: Any, x: Array | None) -> Any:
    return NULL if x is None else address(ctype, x)


def packed(w_hh: Array, w: Any, T: int, backward: bool, cache: Cache | None) -> Any:
    """The packed weights (gates H, H) that the cache holds, or should hold from now on, else NULL.

    One use for one step is only noted: packing may not pay.
    """
    if cache is None or not w_hh.size or (backward and w_hh.nbytes <= SMALL):
        return NULL
    K, H = w_hh.shape
    key = ("recurrent", backward, w, K, lib.ta_isa())
    out = cache.get(key)
    if out is None and T == 1:
        cache[key] = NULL
        return NULL
    if out is None or out == NULL:
        size = w_hh.itemsize
        ctype, pack_gates, pack_weights = _BY_SIZE[size]
        out = cache[key] = aligned(ctype, w_hh.dtype, K * (H + 15 & ~15))
        if backward:
            check(pack_weights(K, H, w, H * size, size, out))
        else:
            check(pack_gates(K // H, H, w, out))
    return out
