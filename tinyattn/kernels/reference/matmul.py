"""The product of matrices, batched.

    out[i, m, p] = sum_k a[i, m, k] b[i, k, p] + bias[p]

Over many k the sums of blocks are added in float64, with what that rounds away: no sum drifts.

Its gradients are products again, da = dout b^T and db = a^T dout (from dout_mp da_mk = dout_mp
b_kp, summed over p), so there is no kernel for them: the operation calls this one on transposed
views.
"""

import numpy as np

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.reference.reductions import rounded_away

BLOCK, ROW_BLOCK = 4096, 512  # terms that BLAS adds; it adds those of a single row in order


@np.errstate(all="ignore")
def matmul(a: Array, b: Array, bias: Array | None, packings: Packings | None, out: Array) -> None:
    """a (M, K), b (K, P), bias (P,) -> out (M, P), or n of them. The packings stay empty."""
    K = a.shape[-1]
    length = ROW_BLOCK if 1 in out.shape[-2:] else BLOCK
    if length >= K:
        np.matmul(a, b, out=out)
    else:
        total = lost = np.zeros(out.shape, np.result_type(out.dtype, np.float64))
        for k in range(0, K, length):
            block = np.matmul(a[..., k : k + length], b[..., k : k + length, :])
            s = total + block
            lost = lost + rounded_away(total, block, s)
            total = s
        out[...] = total + lost
    if bias is not None:
        out += bias
