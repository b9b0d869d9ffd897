"""Sums over the middle axis, moments and running sums, native/reductions.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import DOUBLE, address, by_size

_SUM = by_size("sum")
_VERSIONS = by_size("norm", "magnitudes", "moments", "moments_backward", "cumsum")
_PRODUCTS = by_size("products")


def sum(x: Array, divisor: float, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the sum over the middle axis divided by divisor; out is of x's
    type or of float64."""
    real, kernel = _SUM[x.itemsize]
    if status := kernel(address(real, x), divisor, address(out), out.itemsize == 8, *x.shape):
        check(status)


def norm(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the root of the sum of the squares over the middle axis."""
    real, kernel, *_ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), address(real, out), *x.shape))


def magnitudes(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C) in float64, the sum of |x| over the middle axis."""
    real, _, kernel, *_ = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), address(DOUBLE, out), *x.shape))


def products(x: Array, y: Array, out: Array) -> None:
    """x, y (A, n, C) -> out (A, C), the sum of the products over the middle axis."""
    real, kernel = _PRODUCTS[x.itemsize]
    check(kernel(address(real, x), address(real, y), address(real, out), *x.shape))


def moments(x: Array, mean: Array, rest: Array, squares: Array) -> None:
    """x (A, n, C) -> mean, what rounding has lost of it, and squares, (A, C) in float64."""
    real, _, _, kernel, *_ = _VERSIONS[x.itemsize]
    results = [address(DOUBLE, out) for out in (mean, rest, squares)]
    check(kernel(address(real, x), *results, *x.shape))


def moments_backward(slope: Array, x: Array, mean: Array, rest: Array, out: Array) -> None:
    """slope, mean, rest (A, C), x (A, n, C) -> out (A, n, C), slope (x - mean)."""
    real, *_, kernel, _ = _VERSIONS[x.itemsize]
    reals = address(real, slope), address(real, x)
    doubles = address(DOUBLE, mean), address(DOUBLE, rest)
    check(kernel(*reals, *doubles, address(real, out), *x.shape))


def cumsum(x: Array, reverse: bool, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C), the sum of all up to each along the middle axis; `reverse`:
    from the last on."""
    real, *_, kernel = _VERSIONS[x.itemsize]
    check(kernel(address(real, x), reverse, address(real, out), *x.shape))
