"""Derives the numbers in vmath.h: how e^x is reduced to a small interval, and its polynomial there.

With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2, we have e^x = 2^n (1 + p) where
p = e^r - 1 = r + r^2 Q(r). `remez` finds Q. Run it (it needs mpmath): it prints the table that
stands in vmath.h.
"""

from collections.abc import Callable

import numpy as np
from mpmath import (
    cos,
    erf,
    erfc,
    exp,
    fabs,
    factorial,
    linspace,
    log,
    lu_solve,
    matrix,
    mp,
    mpf,
    nint,
    pi,
    polyval,
    sin,
    sqrt,
)

mp.dps = 50
HALF = log(2) / 2


def target(r: mpf) -> mpf:
    """(e^r - 1 - r) / r^2, by its series: nothing cancels at 0."""
    return sum(r**k / factorial(k + 2) for k in range(40))


def weight(r: mpf) -> mpf:
    """An error of Q counts as a relative error of e^r - 1: tanh needs small results to be exact."""
    return fabs(r**2 / (exp(r) - 1)) if r else mpf(0)


def remez(f: Callable, w: Callable, degree: int, lo: mpf, hi: mpf) -> tuple[list[mpf], mpf]:
    """The polynomial, lowest power first, with the least max |w (f - Q)|; and that maximum.

    Remez's exchange: solve for a polynomial whose error alternates between +E and -E at degree + 2
    points, move every point to the largest error between two sign changes, repeat. The even number
    of grid points leaves 0 out, where the weight vanishes.
    """
    grid = linspace(lo, hi, 2000)
    values = [(f(x), w(x)) for x in grid]
    chebyshev = (1 - np.cos(np.pi * np.arange(degree + 2) / (degree + 1))) / 2
    points = np.rint((len(grid) - 1) * chebyshev).astype(int).tolist()
    for _ in range(20):
        rows = [
            [grid[i] ** k for k in range(degree + 1)] + [(-1) ** j / values[i][1]]
            for j, i in enumerate(points)
        ]
        *q, _ = lu_solve(matrix(rows), matrix([values[i][0] for i in points]))
        error = [wx * (fx - polyval(q[::-1], x)) for x, (fx, wx) in zip(grid, values, strict=True)]
        lobes: list[int] = []
        for i, e in enumerate(error):
            if not lobes or (e > 0) != (error[lobes[-1]] > 0):
                lobes.append(i)
            elif fabs(e) > fabs(error[lobes[-1]]):
                lobes[-1] = i
        if len(lobes) != degree + 2 or lobes == points:
            break
        points = lobes
    return q, max(fabs(e) for e in error)


def shortened(x: mpf, bits: int) -> mpf:
    """x rounded to so many significant bits: its product with a small integer is then exact."""
    scale = mpf(2) ** (bits - 1 - int(mp.floor(log(fabs(x), 2))))
    return nint(x * scale) / scale


def table(real: type[np.floating], degree: int) -> None:
    """Print the constants of one type."""
    info = np.finfo(real)
    digits = info.nmant + 1
    q, error = remez(target, weight, degree, -HALF, HALF)
    ln2_hi = shortened(log(2), digits - info.iexp - 1)
    overflow, underflow = info.maxexp * log(2), (info.minexp - info.nmant - 1) * log(2)
    off = float(error * 2**digits)
    print(f"{info.dtype}: e^r - 1 is off by at most {off:.2g} * 2^-{digits} of itself")
    print(f"  LOG2_E {real(1 / log(2))!s}")
    print(f"  LN2_HI {real(ln2_hi)!s}")
    print(f"  LN2_LO {real(log(2) - ln2_hi)!s}")
    print(f"  ROUND  {1.5 * 2.0**info.nmant!s}")
    print(f"  e^x is infinite from {float(overflow):.2f} and 0 below {float(underflow):.2f}")
    print("  EXP_Q ", ", ".join(str(real(c)) for c in q))


def log_target(z: mpf) -> mpf:
    """(log((1 + s) / (1 - s)) - 2 s) / s^3 with z = s^2."""
    s = sqrt(z)
    return (log((1 + s) / (1 - s)) - 2 * s) / s**3


def sin_target(z: mpf) -> mpf:
    """(sin r - r) / r^3 with z = r^2."""
    r = sqrt(z)
    return (sin(r) - r) / r**3


def cos_target(z: mpf) -> mpf:
    """(cos r - 1 + r^2 / 2) / r^4 with z = r^2."""
    return (cos(sqrt(z)) - 1 + z / 2) / z**2


def erf_target(z: mpf) -> mpf:
    """erf(x) / x - 1 with z = x^2."""
    return erf(sqrt(z)) / sqrt(z) - 1


def derivative(c: list[mpf], times: int) -> list[mpf]:
    """The coefficients, highest power first, of a polynomial's derivative."""
    for _ in range(times):
        c = [x * (len(c) - 1 - i) for i, x in enumerate(c[:-1])]
    return c


def more_tables(real: type[np.floating], degrees: dict[str, int]) -> None:
    """Print the constants of log, sin, cos and erf for one type."""
    digits = np.finfo(real).nmant + 1
    quarter = (pi / 4) ** 2
    last = mpf(4 if digits == 24 else 6)  # erf x is 1 from here on
    middle = (1 + last) / 2
    fits: dict[str, tuple[Callable, Callable, mpf, mpf]] = {
        "LOG_R": (log_target, lambda z: z / 2, mpf(0), ((sqrt(2) - 1) / (sqrt(2) + 1)) ** 2),
        "SIN_S": (sin_target, lambda z: z, mpf(0), quarter),
        "COS_C": (cos_target, lambda z: z**2, mpf(0), quarter),
        "ERF_P": (erf_target, lambda z: mpf(1), mpf(0), mpf(1)),
        "ERFC_Q": (
            lambda t: log(erfc(t + middle)),
            lambda t: erfc(t + middle),
            1 - middle,
            last - middle,
        ),
    }
    for name, (f, w, lo, hi) in fits.items():
        start = lo or hi / 10**6  # the series at 0 can't be evaluated there
        q, error = remez(f, w, degrees[name], start, hi)
        if name == "ERFC_Q":  # of |x| - 1, so that it is most exact where it counts most
            q = [polyval(derivative(q[::-1], k), 1 - middle) / factorial(k) for k in range(len(q))]
        print(f"{name}: off by at most {float(error * 2**digits):.2g} * 2^-{digits}")
        print("  {" + ", ".join(str(real(c)) for c in q) + "}")
    rest, parts = pi / 2, []
    for _ in range(4):
        parts.append(shortened(rest, 12 if digits == 24 else 33))
        rest -= parts[-1]
    print("PIO2", ", ".join(str(real(c)) for c in (*parts, rest)))


if __name__ == "__main__":
    table(np.float32, 4)
    more_tables(np.float32, {"LOG_R": 2, "SIN_S": 2, "COS_C": 2, "ERF_P": 6, "ERFC_Q": 6})
    table(np.float64, 10)
    more_tables(np.float64, {"LOG_R": 6, "SIN_S": 5, "COS_C": 5, "ERF_P": 12, "ERFC_Q": 18})
