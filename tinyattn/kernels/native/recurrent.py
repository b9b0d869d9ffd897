"""What the recurrent kernels share: where their owner lends a cache, the recurrent weights are
packed once until they change, not once a call.
"""

from typing import Any

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, lib
from tinyattn.kernels.native.calling import NULL, by_size
from tinyattn.kernels.native.matmul import SMALL, aligned

_PACK = by_size("pack_gates", "pack_weights")


def packed(w_hh: Array, w: Any, T: int, backward: bool, cache: Cache | None) -> Any:
    """The packed weights (gates H, H) that the cache holds, or should hold from now on, else NULL.

    A first use for a single step is only noted, since packing may not pay.
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
        real, pack_gates, pack_weights = _PACK[size]
        out = cache[key] = aligned(real, w_hh.dtype, K * (H + 15 & ~15))
        if backward:
            check(pack_weights(K, H, w, H * size, size, out))
        else:
            check(pack_gates(K // H, H, w, out))
    return out
