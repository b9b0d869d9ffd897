"""The product of matrices, batched.

    out[i, m, p] = sum_k a[i, m, k] b[i, k, p] + bias[p]

Its gradients are products again, da = dout b^T and db = a^T dout (from dout_mp da_mk = dout_mp
b_kp, summed over p), so there is no kernel for them: the operation calls this one on transposed
views.
"""

import numpy as np

from tinyattn.kernels._types import Array, Cache


@np.errstate(all="ignore")
def matmul(a: Array, b: Array, bias: Array | None, cache: Cache | None, out: Array) -> None:
    """a (M, K), b (K, P), bias (P,) -> out (M, P), or n of them. The cache stays empty."""
    np.matmul(a, b, out=out)
    if bias is not None:
        out += bias
