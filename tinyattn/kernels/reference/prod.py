"""Products of x (A, n, C) over its middle axis, running products along it, and their gradients.

    prod      y = prod_j x_j            dx_i = dy prod_{j<i} x_j prod_{j>i} x_j
    cumprod   y_i = x_0 x_1 ... x_i     dx_i = s_i prod_{j<i} x_j,   s_i = dy_i + x_{i+1} s_{i+1}

The second is sum_{k>=i} dy_k prod_{j<=k, j!=i} x_j: the factors before i stand in every term, and
s_i collects the rest from the other end. Nothing is divided by x_i, which may be 0. Products of
float32 run in float64.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import finer


@np.errstate(all="ignore")
def prod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    out[...] = np.prod(finer(x), axis=1)


@np.errstate(all="ignore")
def prod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, n, C) -> out (A, n, C)."""
    x = finer(x)
    before, after = np.ones_like(x), np.ones_like(x)
    np.cumprod(x[:, :-1], axis=1, out=before[:, 1:])
    after[:, :-1] = np.cumprod(x[:, :0:-1], axis=1)[:, ::-1]
    out[...] = before * (after * grad[:, None])


@np.errstate(all="ignore")
def cumprod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C)."""
    out[...] = np.cumprod(finer(x), axis=1)


@np.errstate(all="ignore")
def cumprod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad, x (A, n, C) -> out (A, n, C)."""
    x, s = finer(x), np.zeros((x.shape[0], x.shape[2]), finer(x).dtype)
    before = np.ones_like(x)
    np.cumprod(x[:, :-1], axis=1, out=before[:, 1:])
    for i in range(x.shape[1] - 1, -1, -1):
        s += grad[:, i]
        out[:, i] = before[:, i] * s
        s *= x[:, i]
