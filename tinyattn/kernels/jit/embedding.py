"""The gradient of an embedding: every thread walks the whole index and adds up the rows it owns, in
order.
"""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import exact, kernel

OWNERS = 16
SMALL = 16 * 1024


@exact
def add_rows(grad, index, padding_idx, owner, owners, out):
    for i in range(len(index)):
        v = index[i]
        if v % owners == owner and v != padding_idx:
            for j in range(grad.shape[1]):
                out[v, j] += grad[i, j]


@kernel("r2 i1 int w2")
def run(grad, index, padding_idx, out):
    if grad.size < SMALL:
        add_rows(grad, index, padding_idx, 0, 1, out)
    else:
        for owner in numba.prange(OWNERS):
            add_rows(grad, index, padding_idx, owner, OWNERS, out)


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D), which comes zeroed; row padding_idx gets nothing."""
    run(grad, index, padding_idx, out)
