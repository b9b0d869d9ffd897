"""The gradient of an embedding: every thread walks the whole index and adds up the rows it owns, in
order.
"""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel

OWNERS = 16


@exact
def add_rows(grad, index, padding_idx, owner, owners, out):
    for i in range(len(index)):
        v = index[i]
        if v % owners == owner and v != padding_idx:
            for j in range(grad.shape[1]):
                out[v, j] += grad[i, j]


@kernel("r2 i1 int int w2")
def run(grad, index, padding_idx, owners, out):
    for owner in numba.prange(owners):
        add_rows(grad, index, padding_idx, owner, owners, out)


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D), which comes zeroed; row padding_idx gets nothing."""
    alone = grad.size < SMALL
    run(grad, index, padding_idx, 1 if alone else OWNERS, out, alone=alone)
