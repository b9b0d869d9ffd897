"""Calls the long short-term memory in C, native/lstm.c: pointers, sizes and the packed recurrent
weights, which recurrent.py keeps."""

from tinyattn.kernels._types import Array, Recurrence
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size
from tinyattn.kernels.native.recurrent import packed

_VERSIONS = by_size("lstm", "lstm_backward")


def lstm(
    gx: Array,
    h0: Array,
    c0: Array,
    layer: Recurrence,
    y: Array,
    h_n: Array,
    c_n: Array,
    saved: Array,
) -> None:
    """gx (N, 4H), h0, c0 (B, H) -> y (N, H), h_n, c_n (B, H), saved (N, 5H)."""
    w_hh, b_hh, batch_sizes, reverse, packings = layer
    real, kernel, _ = _VERSIONS[gx.itemsize]
    w, T = address(real, w_hh), len(batch_sizes)
    check(
        kernel(
            address(real, gx),
            address(real, h0),
            address(real, c0),
            w,
            packed(w_hh, w, T, False, packings),
            NULL if b_hh is None else address(real, b_hh),
            address(INT64, batch_sizes),
            T,
            *h0.shape,
            len(gx),
            reverse,
            address(real, y),
            address(real, h_n),
            address(real, c_n),
            address(real, saved),
        )
    )


def lstm_backward(
    dy: Array | None,
    dh_n: Array | None,
    dc_n: Array | None,
    saved: Array,
    c0: Array,
    layer: Recurrence,
    dgates: Array,
    dh0: Array,
    dc0: Array,
) -> None:
    """dy (N, H), dh_n, dc_n (B, H) and lstm's own arrays -> dgates (N, 4H), dh0, dc0 (B,
    H).
    """
    w_hh, _, batch_sizes, reverse, packings = layer
    real, _, kernel = _VERSIONS[saved.itemsize]
    w, T = address(real, w_hh), len(batch_sizes)
    check(
        kernel(
            NULL if dy is None else address(real, dy),
            NULL if dh_n is None else address(real, dh_n),
            NULL if dc_n is None else address(real, dc_n),
            address(real, saved),
            address(real, c0),
            w,
            packed(w_hh, w, T, True, packings),
            address(INT64, batch_sizes),
            T,
            *c0.shape,
            len(saved),
            reverse,
            address(real, dgates),
            address(real, dh0),
            address(real, dc0),
        )
    )
