"""The product of matrices, native/matmul.c. This code runs before every product, also before small
ones, so it is kept short. Look next at `_packed`, which keeps packed weights.
"""

from typing import Any

import numpy as np

from tinyattn.kernels import blocks
from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.calling import NULL, address, by_size

_VERSIONS = by_size("matmul", "pack_weights")

# Up to this many bytes, packed rows of b are not faster to read than the rows as they are.
SMALL = 1 << 18


def _first_element(real: Any, x: Array) -> Any:
    """A pointer to the first element of an array with gaps or exchanged axes. (from_buffer takes
    contiguous arrays only.)
    """
    return address(real, x.T if x.flags.f_contiguous else x[(slice(1),) * x.ndim])


def matmul(a: Array, b: Array, bias: Array | None, packings: Packings | None, out: Array) -> None:
    """a (M, K), b (K, P), bias (P,) -> out (M, P), or n of them with one bias."""
    real, kernel, pack = _VERSIONS[out.itemsize]
    at = address(real, b) if b.flags.c_contiguous else _first_element(real, b)
    if out.ndim == 2:
        n, (M, P), a_strides, b_strides = 1, out.shape, (0, *a.strides), (0, *b.strides)
        packed = NULL if packings is None else _packed(packings, pack, real, b, at)
    else:
        (n, M, P), a_strides, b_strides, packed = out.shape, a.strides, b.strides, NULL
    status = kernel(
        n,
        M,
        a.shape[-1],
        P,
        address(real, a) if a.flags.c_contiguous else _first_element(real, a),
        *a_strides,
        at,
        *b_strides,
        packed,
        NULL if bias is None else address(real, bias),
        address(real, out),
    )
    if status:
        check(status)


def _packed(packings: Packings, pack: Any, real: Any, b: Array, at: Any) -> Any:
    """b as panels, if this is at least its second use since the packings were emptied."""
    K, P = b.shape
    row, column = b.strides
    if P == 1 or (column == b.itemsize and b.nbytes <= SMALL):
        return NULL
    key = ("matmul", at, K, P, row, column, lib.ta_isa())
    packed = packings.get(key)
    if packed is None:
        packed = NULL  # noted; packing pays only for weights that are used again
    elif packed == NULL:
        packed = aligned(real, b.dtype, K * (P + 15 & ~15))
        check(pack(K, P, at, row, column, packed))
    else:
        return packed
    packings[key] = packed
    return packed


def aligned(real: Any, dtype: np.dtype[Any], count: int) -> Any:
    """Memory for `count` numbers that starts at a cache line and lives as long as the pointer."""
    room = blocks.small((count + 64 // dtype.itemsize,), dtype)
    start = -int(ffi.cast("intptr_t", address(real, room))) % 64 // room.itemsize
    return address(real, room[start : start + count])
