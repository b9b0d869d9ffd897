"""The gated recurrent unit, native/gru.c."""

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.recurrent import INTEGERS, address, packed, pointer

# By the size of a number: the type of a pointer to it, and the kernels.
_BY_SIZE = {
    4: (ffi.typeof("float[]"), lib.ta_gru_f32, lib.ta_gru_backward_f32),
    8: (ffi.typeof("double[]"), lib.ta_gru_f64, lib.ta_gru_backward_f64),
}


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
    ctype, kernel, _ = _BY_SIZE[gx.itemsize]
    w, T = address(ctype, w_hh), len(batch_sizes)
    check(
        kernel(
            address(ctype, gx),
            address(ctype, h0),
            w,
            packed(w_hh, w, T, False, cache),
            pointer(ctype, b_hh),
            address(INTEGERS, batch_sizes),
            T,
            *h0.shape,
            len(gx),
            reverse,
            address(ctype, y),
            address(ctype, h_n),
            address(ctype, saved),
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
    ctype, _, kernel = _BY_SIZE[saved.itemsize]
    w, T = address(ctype, w_hh), len(batch_sizes)
    check(
        kernel(
            pointer(ctype, dy),
            pointer(ctype, dh_n),
            address(ctype, saved),
            address(ctype, y),
            address(ctype, h0),
            w,
            packed(w_hh, w, T, True, cache),
            address(INTEGERS, batch_sizes),
            T,
            *h0.shape,
            len(saved),
            reverse,
            address(ctype, dgx),
            address(ctype, dgh),
            address(ctype, dh0),
        )
    )
