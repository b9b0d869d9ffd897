"""How near a result must come to the definition computed in float64, in units of the float type's
eps; and `slope`, the derivative by differences.

A bound is eps x (a count of roundings) x (the magnitude of what is rounded): derived, not tuned.
Sums of n terms in several accumulators err by well under sqrt(n) + 8 roundings of their absolute
sum; products are held to the classic K + 2.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def assert_within(got: np.ndarray, want: np.ndarray, magnitude: Any, roundings: Any) -> None:
    """|got - want| <= eps * roundings * magnitude everywhere; infinities and NaN at the same
    places.
    """
    dtype = got.dtype
    assert got.shape == want.shape
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)])
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        room = info.eps * np.asarray(roundings * np.asarray(magnitude)) + 4 * info.tiny
        error = np.abs(got.astype(np.float64) - want)
    room = np.broadcast_to(room, want.shape)
    bad = finite & ~(error <= room)
    if bad.any():
        worst = np.unravel_index(np.argmax(np.where(bad, error / room, 0)), want.shape)
        raise AssertionError(
            f"{bad.sum()} of {want.size} elements too far; worst at {worst}: got {got[worst]!r}, "
            f"want {want[worst]!r}, error {error[worst]:.3g}, allowed {room[worst]:.3g}"
        )


def summing(n: int) -> float:
    return 8 + n**0.5


def slope(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """df/dx by central differences, extrapolated once (error h^4)."""
    out = np.empty_like(x)
    for i in np.ndindex(x.shape):

        def at(h: float, i: Any = i) -> float:
            moved = x.copy()
            moved[i] += h
            return f(moved)

        coarse, fine = (at(2e-3) - at(-2e-3)) / 4e-3, (at(1e-3) - at(-1e-3)) / 2e-3
        out[i] = (4 * fine - coarse) / 3
    return out
