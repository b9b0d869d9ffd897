"""Sums of x (A, n, C) over its middle axis, their moments, and running sums along it.

    sum_i x_i,   sqrt(sum_i x_i^2),   sum_i |x_i|,   sum_i x_i y_i,   cumsum_i = sum_{j<=i} x_j,
    mean + rest = sum_i x_i / n,   squares = sum_i (x_i - mean - rest)^2

With v = sum_i (x_i - m)^2, m the mean, dv/dx_i = 2 (x_i - m): m depends on x_i, too, but
sum_i (x_i - m) = 0 leaves nothing of that. So the way back is slope (x_i - m).

No sum drifts, however long it is. Sums of float32 run in float64, whose rounding is too small to
see. Sums of float64 keep what every addition has rounded away, and add it at the end: of s = a + b
rounded, with b' = s - a, that is (a - (s - b')) + (b - b') exactly (Knuth 1969). Terms of one sign,
added by halves, lose no more than log2(n) / 2 ULP: there it is left out. Variance takes two passes:
sum x^2 / n - mean^2 would subtract two large numbers.
"""

import numpy as np

from tinyattn.kernels._types import Array


def finer(x: Array) -> Array:
    """x in the type that its sums run in."""
    return x.astype(np.float64) if x.dtype == np.float32 else x


def rounded_away(a: Array, b: Array, s: Array) -> Array:
    """What s = a + b has lost by rounding; 0 where s is not finite."""
    of_b = s - a
    error = (a - (s - of_b)) + (b - of_b)
    return np.where(np.isfinite(s), error, 0)


def total(x: Array) -> tuple[Array, Array]:
    """x (A, n, C) -> (A, C), its sum over the middle axis and what rounding has lost of it.

    The two halves are added until one row is left.
    """
    x = finer(x)
    lost = np.zeros((x.shape[0], x.shape[2]), x.dtype)
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        a, b, odd = x[:, :half], x[:, half : 2 * half], x[:, 2 * half :]
        s = a + b
        lost += rounded_away(a, b, s).sum(axis=1)
        x = np.concatenate([s, odd], axis=1) if odd.size else s
    return x.sum(axis=1), lost


def of_columns(x: Array) -> Array:
    """x (N, D) -> (D,), the sum of the rows, in the type that sums run in."""
    s, lost = total(x[None])
    return (s + lost)[0]


@np.errstate(all="ignore")
def sum(x: Array, divisor: float, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the sum over the middle axis divided by divisor; out is of x's
    type or of float64."""
    s, lost = total(x)
    out[...] = (s + lost) / divisor


@np.errstate(all="ignore")
def norm(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the root of the sum of the squares over the middle axis."""
    x = finer(x)
    out[...] = np.sqrt(total(x * x)[0])


@np.errstate(all="ignore")
def magnitudes(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C) in float64, the sum of |x| over the middle axis."""
    out[...] = total(np.abs(x))[0]


@np.errstate(all="ignore")
def products(x: Array, y: Array, out: Array) -> None:
    """x, y (A, n, C) -> out (A, C), the sum of the products over the middle axis."""
    s, lost = total(finer(x) * y)
    out[...] = s + lost


@np.errstate(all="ignore")
def moments(x: Array, mean: Array, rest: Array, squares: Array) -> None:
    """x (A, n, C) -> mean, what rounding has lost of it, and squares, (A, C) in float64."""
    x, n = finer(x), x.shape[1]
    s, lost = total(x)
    mean[...] = (s + lost) / np.asarray(n, s.dtype)
    # What the rounded mean lacks counts where the numbers lie far from 0 and close together.
    left = total(x - mean[:, None])[0] / n
    rest[...] = np.where(np.isfinite(left), left, 0)
    centred = (x - mean[:, None]) - rest[:, None]
    squares[...] = total(centred * centred)[0]


@np.errstate(all="ignore")
def moments_backward(slope: Array, x: Array, mean: Array, rest: Array, out: Array) -> None:
    """slope, mean, rest (A, C), x (A, n, C) -> out (A, n, C), slope (x - mean)."""
    out[...] = slope[:, None] * ((finer(x) - mean[:, None]) - rest[:, None])


@np.errstate(all="ignore")
def cumsum(x: Array, reverse: bool, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C), the sum of all up to each along the middle axis; `reverse`:
    from the last on."""
    x = finer(x)
    if reverse:
        x, out = x[:, ::-1], out[:, ::-1]
    s = np.cumsum(x, axis=1)
    before = np.zeros_like(s)
    before[:, 1:] = s[:, :-1]
    out[...] = s + np.cumsum(rounded_away(before, x, s), axis=1)
