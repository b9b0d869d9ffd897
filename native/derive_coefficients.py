"""Derives the numbers in vmath.h: how e^x is reduced to a small interval, and its polynomial there.

With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2, we have e^x = 2^n (1 + p) where
p = e^r - 1 = r + r^2 Q(r). `remez` finds Q. Run it (it needs mpmath): it prints the table that
stands in vmath.h.
"""

from collections.abc import Callable

import numpy as np
from mpmath import exp, fabs, factorial, linspace, log, lu_solve, matrix, mp, mpf, nint, polyval

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


if __name__ == "__main__":
    table(np.float32, 4)
    table(np.float64, 10)
