"""Sums over the middle axis, moments and running sums, native/reductions.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import DOUBLE, NULL, address, by_size

_VERSIONS = by_size("sum", "moments", "cumsum")


def sum(x: Array, divisor: float, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the sum over the middle axis divided by divisor; out is of x's
    type or of float64."""
    real, kernel, _, _ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), divisor, address(out), out.itemsize == 8, *x.shape))


def moments(x: Array, mean: Array | None, squares: Array) -> None:
    """x (A, n, C) -> mean and squares (A, C) in float64; without mean, the squares of x itself."""
    real, _, kernel, _ = _VERSIONS[x.itemsize]
    check(
        kernel(
            address(real, x),
            NULL if mean is None else address(DOUBLE, mean),
            address(DOUBLE, squares),
            *x.shape,
        )
    )


def squares(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C) in float64, the sum of the squares over the middle axis."""
    moments(x, None, out)


def cumsum(x: Array, reverse: bool, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C), the sum of all up to each along the middle axis; `reverse`:
    from the last on."""
    real, _, _, kernel = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), reverse, address(real, out), *x.shape))
