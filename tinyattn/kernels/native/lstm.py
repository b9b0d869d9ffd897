"""Long short-term memory, native/lstm.c."""

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.recurrent import INTEGERS, address, packed, pointer

# By the size of a number: the type of a pointer to it, and the kernels.
_BY_SIZE = {
    4: (ffi.typeof("float[]"), lib.ta_lstm_f32, lib.ta_lstm_backward_f32),
    8: (ffi.typeof("double[]"), lib.ta_lstm_f64, lib.ta_lstm_backward_f64),
}


def lstm(
    gx: Array,
    h0: Array,
    c0: Array,
    w_hh: Array,
    b_hh: Array | None,
    batch_sizes: Array,
    reverse: bool,
    y: Array,
    h_n: Array,
    c_n: Array,
    saved: Array,
    cache: Cache | None,
) -> None:
    """gx (N, 4H), h0, c0 (B, H), w_hh (4H, H), b_hh (4H,) -> y (N, H), h_n, c_n (B, H), saved (N,
    5H).
    """
    ctype, kernel, _ = _BY_SIZE[gx.itemsize]
    w, T = address(ctype, w_hh), len(batch_sizes)
    check(
        kernel(
            address(ctype, gx),
            address(ctype, h0),
            address(ctype, c0),
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
            address(ctype, c_n),
            address(ctype, saved),
        )
    )


def lstm_backward(
    dy: Array | None,
    dh_n: Array | None,
    dc_n: Array | None,
    saved: Array,
    c0: Array,
    w_hh: Array,
    batch_sizes: Array,
    reverse: bool,
    dgates: Array,
    dh0: Array,
    dc0: Array,
    cache: Cache | None,
) -> None:
    """dy (N, H), dh_n, dc_n (B, H) and what lstm had and saved -> dgates (N, 4H), dh0, dc0 (B,
    H).
    """
    ctype, _, kernel = _BY_SIZE[saved.itemsize]
    w, T = address(ctype, w_hh), len(batch_sizes)
    check(
        kernel(
            pointer(ctype, dy),
            pointer(ctype, dh_n),
            pointer(ctype, dc_n),
            address(ctype, saved),
            address(ctype, c0),
            w,
            packed(w_hh, w, T, True, cache),
            address(INTEGERS, batch_sizes),
            T,
            *c0.shape,
            len(saved),
            reverse,
            address(ctype, dgates),
            address(ctype, dh0),
            address(ctype, dc0),
        )
    )
