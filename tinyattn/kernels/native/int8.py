"""Products with 8-bit integers, native/int8.c. The C function reads packed weights only."""

from typing import Any

import numpy as np

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.native import check, lib
from tinyattn.kernels.native.calling import BOOL, INT64, NULL, address, by_size
from tinyattn.kernels.native.matmul import aligned

_VERSIONS = by_size("int8_linear", "pack_int8", "int8_rows")


def int8_linear(
    x: Array, weight: Array, scale: Array, bias: Array | None, packings: Packings | None, out: Array
) -> None:
    """x (N, K), weight (F, K), scale (F,), bias (F,) -> out (N, F)."""
    real, kernel, pack, _ = _VERSIONS[x.itemsize]
    (N, K), F = x.shape, len(weight)
    key = ("int8", address(BOOL, weight), F, K, lib.ta_isa())
    packed: Any = None if packings is None else packings.get(key)
    if packed is None:
        packed = aligned(BOOL, np.dtype(np.uint8), 2 * (K + 3 & ~3) * (F + 15 & ~15))
        check(pack(key[1], F, K, packed))
        if packings is not None:
            packings[key] = packed
    biases = NULL if bias is None else address(real, bias)
    status = kernel(
        address(real, x), packed, address(real, scale), biases, address(real, out), N, K, F
    )
    check(status)


def int8_rows(index: Array, weight: Array, scale: Array, out: Array) -> None:
    """index (N,), weight (V, D), scale (V,) -> out (N, D)."""
    real, _, _, kernel = _VERSIONS[out.itemsize]
    check(
        kernel(
            address(INT64, index),
            address(BOOL, weight),
            address(real, scale),
            address(real, out),
            *out.shape,
        )
    )
