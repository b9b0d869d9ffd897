"""Elements picked, written and added up by an index along the middle axis:

    gather       y[a, i, c] = x[a, index[a, i, c], c]
    scatter      y[a, index[a, i, c], c] = x[a, i, c];  of several the last one stays
    scatter_add  y[a, j, c] = sum of x[a, i, c] over all i with index[a, i, c] = j

scatter_add is the gradient of gather, and gather that of scatter_add. The index may have one row
for every a, and one column for every c. The sums run in the order of i, so that they are the same
on every run; and they do not drift (reductions.py).
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import rounded_away


def in_range(index: Array, n: int) -> bool:
    return not index.size or bool(index.min() >= 0 and index.max() < n)


def _whole(index: Array, A: int, C: int) -> Array:
    return np.broadcast_to(index, (A, index.shape[1], C))


def gather(x: Array, index: Array, out: Array) -> bool:
    """x (A, n, C), index (A or 1, N, C or 1) -> out (A, N, C); whether all indices are in range."""
    A, n, C = x.shape
    if not in_range(index, n):
        return False
    out[...] = np.take_along_axis(x, _whole(index, A, C), 1)
    return True


def scatter(x: Array, index: Array, out: Array) -> bool:
    """x (A, N, C) or (1, 1, 1), index (A or 1, N, C or 1) -> written into out (A, n, C); whether
    all indices are in range."""
    A, n, C = out.shape
    if not in_range(index, n):
        return False
    np.put_along_axis(out, _whole(index, A, C), x, 1)
    return True


@np.errstate(all="ignore")
def scatter_add(x: Array, index: Array, onto: Array | None, out: Array) -> bool:
    """x (A, N, C), index (A or 1, N, C or 1) -> out (A, n, C), added to `onto`, or to 0; whether
    all indices are in range."""
    A, n, C = out.shape
    if not in_range(index, n):
        return False
    sums, lost = np.zeros((A, n, C)), np.zeros((A, n, C))
    if onto is not None:
        sums[...] = onto
    a, c = np.arange(A)[:, None], np.arange(C)
    if x.dtype == np.float32:  # whose sums lose nothing that float32 could hold
        np.add.at(sums, (a[:, None], _whole(index, A, C), c), x)
    else:
        for i in range(x.shape[1]):
            at = a, _whole(index, A, C)[:, i], c
            before = sums[at]
            sums[at] += x[:, i]
            lost[at] += rounded_away(before, x[:, i], sums[at])
    out[...] = sums + lost
    return True
