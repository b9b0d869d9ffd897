"""One step of a GRU and of an LSTM from both of its sums, native/gates.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size

_VERSIONS = by_size("gru_gates", "lstm_gates")


def gru_gates(gx: Array, gh: Array, h: Array, out: Array) -> None:
    """gx, gh (N, 3H), h (N, H) -> out (N, H)."""
    real, kernel, _ = _VERSIONS[h.itemsize]
    check(kernel(*(address(real, x) for x in (gx, gh, h, out)), *h.shape))


def lstm_gates(gx: Array, gh: Array, c: Array, out: Array, c_n: Array) -> None:
    """gx, gh (N, 4H), c (N, H) -> out (N, H), c_n (N, H)."""
    real, _, kernel = _VERSIONS[c.itemsize]
    check(kernel(*(address(real, x) for x in (gx, gh, c, out, c_n)), *c.shape))
