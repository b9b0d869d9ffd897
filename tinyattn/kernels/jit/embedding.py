"""The gradient of an embedding: for each row of it, the rows of the gradient that belong to it are
added up, in order.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.reductions import add_one, whole


@exact
def by_value(index, V):
    """Where each of the values 0 to V - 1 stands in the index: those of v are
    places[starts[v] : starts[v + 1]]."""
    starts, places = np.zeros(V + 1, np.int64), np.empty(len(index), np.int64)
    for v in index:
        starts[v + 1] += 1
    for v in range(V):
        starts[v + 1] += starts[v]
    ends = starts.copy()
    for i in range(len(index)):
        v = index[i]
        places[ends[v]] = i
        ends[v] += 1
    return starts, places


@exact
def add_rows(grad, places, out):
    """out (D,) = the sum of the rows of grad (N, D) at these places. float64 has room for the sum
    of float32; what the rounding of float64 loses is kept."""
    sums, lost = np.zeros(len(out)), np.zeros(len(out))
    for i in places:
        row = grad[i]
        for j in range(len(row)):
            if grad.itemsize == 4:
                sums[j] += np.float64(row[j])
            else:
                add_one(sums, lost, j, np.float64(row[j]))
    for j in range(len(out)):
        out[j] = whole(sums[j], lost[j])


@kernel("r2 i1 int w2")
def run(grad, index, padding_idx, out):
    V = len(out)
    starts, places = by_value(index, V)
    for v in numba.prange(V):
        if starts[v] == starts[v + 1] or v == padding_idx:
            out[v] = 0
        else:
            add_rows(grad, places[starts[v] : starts[v + 1]], out[v])


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D); row padding_idx gets nothing."""
    run(grad, index, padding_idx, out, alone=grad.size < SMALL)
