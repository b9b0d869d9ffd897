"""What the recurrent kernels share: the recurrent weights are packed once until they change, not
once a call, if their owner has a place for packings.
"""

from typing import Any

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.native import check, lib
from tinyattn.kernels.native.calling import NULL, by_size
from tinyattn.kernels.native.matmul import SMALL, aligned

_PACK = by_size("pack_gates", "pack_weights")


def packed(w_hh: Array, w: Any, T: int, backward: bool, packings: Packings | None) -> Any:
    """The packed weights (gates H, H) that packings hold, or from now on should hold, else NULL.

    A first use for a single step is only noted, since packing may not pay.
    """
    if packings is None or not w_hh.size or (backward and w_hh.nbytes <= SMALL):
        return NULL
    K, H = w_hh.shape
    key = ("recurrent", backward, w, K, lib.ta_isa())
    out = packings.get(key)
    if out is None and T == 1:
        packings[key] = NULL
        return NULL
    if out is None or out == NULL:
        size = w_hh.itemsize
        real, pack_gates, pack_weights = _PACK[size]
        out = packings[key] = aligned(real, w_hh.dtype, K * (H + 15 & ~15))
        if backward:
            check(pack_weights(K, H, w, H * size, size, out))
        else:
            check(pack_gates(K // H, H, w, out))
    return out
