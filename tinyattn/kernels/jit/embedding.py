"""The gradient of an embedding: every thread walks the whole index and adds up the rows it owns, in
order.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.reductions import add_one

OWNERS = 16


@exact
def add_rows(grad, index, padding_idx, owner, owners, sums, lost):
    """Add to sums (V, D) the rows of grad (N, D) whose index belongs to this owner, in order."""
    for i in range(len(index)):
        v = index[i]
        if v % owners == owner and v != padding_idx:
            for j in range(grad.shape[1]):
                add_one(sums[v], lost[v], j, np.float64(grad[i, j]))


@kernel("r2 i1 int int s2 s2")
def run(grad, index, padding_idx, owners, sums, lost):
    """One task for each owner. Row v of sums belongs to owner v % owners, so no two tasks meet."""
    for owner in numba.prange(owners):
        add_rows(grad, index, padding_idx, owner, owners, sums, lost)


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D); row padding_idx gets nothing."""
    alone = grad.size < SMALL
    sums, lost = np.zeros(out.shape), np.zeros(out.shape)
    run(grad, index, padding_idx, 1 if alone else OWNERS, sums, lost, alone=alone)
    out[...] = np.where(np.isfinite(sums), sums + lost, sums)
