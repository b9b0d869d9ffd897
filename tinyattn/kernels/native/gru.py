"""The gated recurrent unit, native/gru.c. Where their owner lends a cache, the recurrent weights
are packed once until they change, not once a call.
"""

from typing import Any

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.matmul import SMALL, aligned

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_I64 = ffi.typeof("int64_t[]")
_at = ffi.from_buffer
_NULL = ffi.NULL


def _packed(cache: Cache | None, kind: str, pack: Any, w_hh: Array, w: Any, once: bool) -> Any:
    """The packed weights that the cache holds, or should hold from now on, else NULL."""
    if cache is None:
        return _NULL
    H = w_hh.shape[1]
    key = (kind, w, H, lib.ta_isa())
    packed = cache.get(key)
    if packed is None and once:
        packed = _NULL  # one use so far, and it has one step: packing may not pay
    elif packed is None or packed == _NULL:
        packed = aligned(ffi.typeof(w), w_hh.dtype, 3 * H * (H + 15 & ~15))
        check(pack(packed))
    else:
        return packed
    cache[key] = packed
    return packed


def gru(
    gx: Array,
    h0: Array,
    w_hh: Array,
    b_hh: Array | None,
    batch_sizes: Array,
    reverse: bool,
    y: Array,
    h_n: Array,
    saved: Array,
    cache: Cache | None,
) -> None:
    """gx (N, 3H), h0 (B, H), w_hh (3H, H), b_hh (3H,) -> y (N, H), h_n (B, H), saved (N, 4H)."""
    B, H = h0.shape
    T = batch_sizes.shape[0]
    if gx.itemsize == 4:
        ctype, kernel, pack = _F32, lib.ta_gru_f32, lib.ta_gru_pack_f32
    else:
        ctype, kernel, pack = _F64, lib.ta_gru_f64, lib.ta_gru_pack_f64
    w = _at(ctype, w_hh)
    check(
        kernel(
            _at(ctype, gx),
            _at(ctype, h0),
            w,
            _packed(cache, "gru", lambda out: pack(H, w, out), w_hh, w, T == 1),
            _NULL if b_hh is None else _at(ctype, b_hh),
            _at(_I64, batch_sizes),
            T,
            B,
            H,
            gx.shape[0],
            reverse,
            _at(ctype, y),
            _at(ctype, h_n),
            _at(ctype, saved),
        )
    )


def gru_backward(
    dy: Array | None,
    dh_n: Array | None,
    saved: Array,
    y: Array,
    h0: Array,
    w_hh: Array,
    batch_sizes: Array,
    reverse: bool,
    dgx: Array,
    dgh: Array,
    dh0: Array,
    cache: Cache | None,
) -> None:
    """dy (N, H), dh_n (B, H) and what gru had and saved -> dgx (N, 3H), dgh (N, 3H), dh0 (B, H)."""
    B, H = h0.shape
    T = batch_sizes.shape[0]
    if saved.itemsize == 4:
        ctype, kernel, pack = _F32, lib.ta_gru_backward_f32, lib.ta_pack_weights_f32
    else:
        ctype, kernel, pack = _F64, lib.ta_gru_backward_f64, lib.ta_pack_weights_f64
    size = saved.itemsize
    w = _at(ctype, w_hh)
    if w_hh.nbytes <= SMALL:
        cache = None
    check(
        kernel(
            _NULL if dy is None else _at(ctype, dy),
            _NULL if dh_n is None else _at(ctype, dh_n),
            _at(ctype, saved),
            _at(ctype, y),
            _at(ctype, h0),
            w,
            _packed(
                cache,
                "gru_backward",
                lambda out: pack(3 * H, H, w, H * size, size, out),
                w_hh,
                w,
                T == 1,
            ),
            _at(_I64, batch_sizes),
            T,
            B,
            H,
            saved.shape[0],
            reverse,
            _at(ctype, dgx),
            _at(ctype, dgh),
            _at(ctype, dh0),
        )
    )
