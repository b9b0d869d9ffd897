"""Extremes along the middle axis, native/extremes.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, address, by_size

_VERSIONS = by_size("extreme", "topk")


def extreme(x: Array, sign: float, value: Array, at: Array, ties: Array) -> None:
    """x (A, n, C) -> the first largest element (with sign -1 the smallest), its place on the axis,
    and how many are equal to it, each (A, C)."""
    real, kernel, _ = _VERSIONS[x.itemsize]
    results = address(real, value), address(INT64, at), address(real, ties)
    check(kernel(address(real, x), sign, *results, *x.shape))


def topk(x: Array, largest: bool, value: Array, at: Array) -> None:
    """x (A, n, C) -> the k largest elements in order, or the smallest, and where they stand, each
    (A, k, C); of equals the first."""
    real, _, kernel = _VERSIONS[x.itemsize]
    results = address(real, value), address(INT64, at)
    check(kernel(address(real, x), largest, *results, *x.shape, value.shape[1]))
