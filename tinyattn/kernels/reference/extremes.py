"""Extremes of x (A, n, C) along its middle axis: the first largest element, and the k largest in
order. The way back is scatter_add of indexing.py.

NaN counts as the largest. Among the k smallest it comes last; `extreme` takes it for the smallest,
too, as NumPy's min does.
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def extreme(x: Array, sign: float, value: Array, at: Array, ties: Array) -> None:
    """x (A, n, C) -> the first largest element (with sign -1 the smallest), its place on the axis,
    and how many are equal to it, each (A, C)."""
    at[...] = (np.argmax if sign > 0 else np.argmin)(x, axis=1)
    value[...] = np.take_along_axis(x, at[:, None], 1)[:, 0]
    best = value[:, None]
    ties[...] = np.count_nonzero((x == best) | ((x != x) & (best != best)), axis=1)


def topk(x: Array, largest: bool, value: Array, at: Array) -> None:
    """x (A, n, C) -> the k largest elements in order, or the smallest, and where they stand, each
    (A, k, C); of equals the first."""
    n, k = x.shape[1], value.shape[1]
    if largest:
        order = n - 1 - np.argsort(x[:, ::-1], axis=1, kind="stable")[:, ::-1]
    else:
        order = np.argsort(x, axis=1, kind="stable")
    at[...] = order[:, :k]
    value[...] = np.take_along_axis(x, at, 1)
