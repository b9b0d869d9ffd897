"""Copies of any strides, one number in every element, triangles of matrices, rows placed between
zeros, native/copy.c.
"""

import functools
from typing import Any

from tinyattn.kernels._types import Array
from tinyattn.kernels.layouts import Sizes, walk
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import INT64, address, by_size

_COPY = by_size("copy")
_FILL = by_size("fill")
_TRIANGLE = by_size("triangle")
_PLACE = by_size("place")


def copy(x: Array, out: Array) -> None:
    """x -> out, of the same shape; both of any strides."""
    size = x.itemsize
    axes, layout = _layout(x.shape, x.strides, out.strides)
    _, kernel = _COPY[8 if size == 8 else 4]
    check(kernel(_start(x), _start(out), size, axes, layout))


def _start(x: Array) -> Any:
    """A pointer to the first element; CFFI takes contiguous arrays only."""
    return address(x if x.flags.c_contiguous else x[(slice(1),) * x.ndim])


@functools.lru_cache(4096)
def _layout(shape: Sizes, source: Sizes, target: Sizes) -> tuple[int, Any]:
    """What C reads: the number of axes, their sizes, and the steps of both arrays."""
    axes = walk(shape, source, target)
    return len(axes.shape), ffi.new(INT64, [*axes.shape, *axes.source, *axes.target])


def fill(y: Array, x: Array) -> None:
    """One number, x (), into every element of y."""
    real, kernel = _FILL[y.itemsize]
    check(kernel(address(real, x), address(real, y), y.size))


def triangle(x: Array, k: int, upper: bool, out: Array) -> None:
    """x (A, N, C) -> out, which is 0 above the diagonal k, or below it where `upper` is set."""
    real, kernel = _TRIANGLE[x.itemsize]
    check(kernel(address(real, x), k, upper, address(real, out), *x.shape))


def place(x: Array, start: int, step: int, out: Array) -> None:
    """x (A, m, C) -> out (A, n, C), which is x at start, start + step, ..., and 0 elsewhere."""
    real, kernel = _PLACE[x.itemsize]
    (A, m, C), n = x.shape, out.shape[1]
    check(kernel(address(real, x), start, step, address(real, out), A, m, n, C))
