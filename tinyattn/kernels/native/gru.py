"""Calls the gated recurrent unit in C, native/gru.c: pointers, sizes and the packed recurrent
weights, which recurrent.py keeps."""

from tinyattn.kernels._types import Array, Recurrence
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size
from tinyattn.kernels.native.recurrent import packed

_VERSIONS = by_size("gru", "gru_backward")


def gru(
    gx: Array,
    h0: Array,
    layer: Recurrence,
    y: Array,
    h_n: Array,
    saved: Array,
) -> None:
    """gx (N, 3H), h0 (B, H) -> y (N, H), h_n (B, H), saved (N, 4H)."""
    w_hh, b_hh, batch_sizes, reverse, packings = layer
    real, kernel, _ = _VERSIONS[gx.itemsize]
    w, T = address(real, w_hh), len(batch_sizes)
    check(
        kernel(
            address(real, gx),
            address(real, h0),
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
            address(real, saved),
        )
    )


def gru_backward(
    dy: Array | None,
    dh_n: Array | None,
    saved: Array,
    y: Array,
    h0: Array,
    layer: Recurrence,
    dgx: Array,
    dgh: Array,
    dh0: Array,
) -> None:
    """dy (N, H), dh_n (B, H) and gru's own arrays -> dgx (N, 3H), dgh (N, 3H), dh0 (B, H)."""
    w_hh, _, batch_sizes, reverse, packings = layer
    real, _, kernel = _VERSIONS[saved.itemsize]
    w, T = address(real, w_hh), len(batch_sizes)
    check(
        kernel(
            NULL if dy is None else address(real, dy),
            NULL if dh_n is None else address(real, dh_n),
            address(real, saved),
            address(real, y),
            address(real, h0),
            w,
            packed(w_hh, w, T, True, packings),
            address(INT64, batch_sizes),
            T,
            *h0.shape,
            len(saved),
            reverse,
            address(real, dgx),
            address(real, dgh),
            address(real, dh0),
        )
    )
