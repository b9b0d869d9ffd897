"""Elements picked, written and added up by an index, native/indexing.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size, in_range

_VERSIONS = by_size("gather", "scatter", "scatter_add")


def gather(x: Array, index: Array, out: Array) -> bool:
    """x (A, n, C), index (A or 1, N, C or 1) -> out (A, N, C); whether all indices are in range."""
    real, kernel, _, _ = _VERSIONS[x.itemsize]
    A, n, C = x.shape
    own, N, columns = index.shape
    at, to = address(INT64, index), address(real, out)
    return in_range(kernel(address(real, x), at, to, A, n, N, C, own, columns))


def scatter(x: Array, index: Array, out: Array) -> bool:
    """x (A, N, C) or (1, 1, 1), index (A or 1, N, C or 1) -> written into out (A, n, C); whether
    all indices are in range."""
    real, _, kernel, _ = _VERSIONS[x.itemsize]
    A, n, C = out.shape
    own, N, columns = index.shape
    at, to = address(INT64, index), address(real, out)
    single = x.size == 1
    return in_range(kernel(address(real, x), at, to, A, n, N, C, own, columns, single))


def scatter_add(x: Array, index: Array, onto: Array | None, out: Array) -> bool:
    """x (A, N, C), index (A or 1, N, C or 1) -> out (A, n, C), added to `onto`, or to 0; whether
    all indices are in range."""
    real, _, _, kernel = _VERSIONS[x.itemsize]
    A, n, C = out.shape
    own, N, columns = index.shape
    at, to = address(INT64, index), address(real, out)
    begin = NULL if onto is None else address(real, onto)
    return in_range(kernel(address(real, x), at, begin, to, A, n, N, C, own, columns))
