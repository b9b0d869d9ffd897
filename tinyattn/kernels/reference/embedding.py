"""The gradient of an embedding: a row that was looked up several times gets the sum of its
gradients.

    y_i = weight[index_i]    so    dweight[v] = sum over i with index_i = v of dy_i

The sum runs in the order of `index`, so that it is the same on every run.
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D), which comes zeroed; row padding_idx gets nothing."""
    for row, gradient in zip(index.tolist(), grad, strict=True):
        if row != padding_idx:
            out[row] += gradient
