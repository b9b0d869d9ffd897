"""Pooling over time, native/pooling.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, address, by_size
from tinyattn.kernels.windows import Windows, borders

_VERSIONS = by_size("max_pool", "max_pool_backward", "mean_pool", "mean_pool_backward")


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    real, kernel, _, _, _ = _VERSIONS[x.itemsize]
    begin, end = borders(windows)
    at, to = address(INT64, begin), address(INT64, end)
    sizes = *x.shape, windows.n, windows.dilation
    check(kernel(address(real, x), at, to, address(real, out), *sizes))


def max_pool_backward(grad: Array, x: Array, windows: Windows, out: Array) -> None:
    """grad (N, n), x (N, T) -> out (N, T)."""
    real, _, kernel, _, _ = _VERSIONS[x.itemsize]
    begin, end = borders(windows)
    at, to = address(INT64, begin), address(INT64, end)
    sizes = *x.shape, windows.n, windows.dilation
    check(kernel(address(real, grad), address(real, x), at, to, address(real, out), *sizes))


def mean_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    real, _, _, kernel, _ = _VERSIONS[x.itemsize]
    begin, end = borders(windows)
    at, to = address(INT64, begin), address(INT64, end)
    sizes = *x.shape, windows.n, windows.divisor
    check(kernel(address(real, x), at, to, address(real, out), *sizes))


def mean_pool_backward(grad: Array, windows: Windows, out: Array) -> None:
    """grad (N, n) -> out (N, T)."""
    real, _, _, _, kernel = _VERSIONS[grad.itemsize]
    begin, end = borders(windows)
    at, to = address(INT64, begin), address(INT64, end)
    sizes = *out.shape, windows.n, windows.divisor
    check(kernel(address(real, grad), at, to, address(real, out), *sizes))
