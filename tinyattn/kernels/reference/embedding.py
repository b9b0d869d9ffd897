"""The gradient of an embedding: a row that was looked up several times gets the sum of its
gradients.

    y_i = weight[index_i]    so    dweight[v] = sum over i with index_i = v of dy_i

The sum runs in the order of `index`, so that it is the same on every run; and it does
not drift (reductions.py).
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import finer, rounded_away


@np.errstate(all="ignore")
def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D); row padding_idx gets nothing."""
    sums, lost = finer(np.zeros_like(out)), finer(np.zeros_like(out))
    for row, gradient in zip(index.tolist(), finer(grad), strict=True):
        if row != padding_idx:
            before = sums[row].copy()
            sums[row] += gradient
            lost[row] += rounded_away(before, gradient, sums[row])
    out[...] = sums + lost
