"""y = x W^T + b with 8-bit integers. W comes as integers q from 1 to 255 with a scale s for each
row, W_fk = (q_fk - 128) s_f. Each row of x is rounded when it comes, to integers from -127 to 127:

    x_nk = p_nk t_n  with  t_n = max_k |x_nk| / 127
    y_nf = (sum_k p_nk (q_fk - 128)) t_n s_f + b_f

The sum is one of integers, so it is exact, in any order and at any instruction set.
"""

import numpy as np

from tinyattn.kernels._types import Array, Packings

SMALLEST = 1e-30  # a row whose numbers are all smaller counts as zeros


@np.errstate(all="ignore")
def int8_linear(
    x: Array, weight: Array, scale: Array, bias: Array | None, packings: Packings | None, out: Array
) -> None:
    """x (N, K), weight (F, K), scale (F,), bias (F,) -> out (N, F). A row of x that has a NaN or an
    infinity gives NaN."""
    most = np.abs(x).max(axis=1, initial=0)
    finite = np.isfinite(x).all(axis=1)
    used = finite & (most >= SMALLEST)
    inverse = np.where(used, 127 / most, 0).astype(x.dtype)
    rounded = np.rint(np.where(used[:, None], x, 0) * inverse[:, None])
    # Products of float64 are exact here: the sums stay below 2^53.
    sums = rounded.astype(np.float64) @ (weight.astype(np.float64) - 128).T
    step = np.where(finite, np.where(used, most, 0), np.nan).astype(x.dtype) / x.dtype.type(127)
    out[...] = sums.astype(x.dtype) * (step[:, None] * scale)
    if bias is not None:
        out += bias


def int8_rows(index: Array, weight: Array, scale: Array, out: Array) -> None:
    """The rows of (weight - 128) scale at the index: index (N,), weight (V, D), scale (V,) -> out
    (N, D)."""
    out[...] = (weight[index].astype(scale.dtype) - 128) * scale[index, None]
