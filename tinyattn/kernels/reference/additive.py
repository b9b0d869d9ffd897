"""Additive attention scores (Bahdanau, Cho, Bengio 2014) from projected queries and keys.

    s_ij = sum_h v_h t_ijh   with   t_ijh = tanh(q_ih + k_jh)

Backward, for a gradient g at s: tanh' = 1 - t^2, and q_i and k_j are only ever seen added, so

    d_ijh = g_ij v_h (1 - t_ijh^2),   dq_i = sum_j d_ij,   dk_j = sum_i d_ij
    dv_h = sum over batch, i and j of g_ij t_ijh

t is computed again, one query at a time, since an array (B, Tq, Tk, H) would be too large.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import finer


@np.errstate(all="ignore")
def additive(q: Array, k: Array, v: Array, out: Array) -> None:
    """q (B, Tq, H), k (B, Tk, H), v (H,) -> out (B, Tq, Tk)."""
    for i in range(q.shape[1]):
        out[:, i] = np.tanh(q[:, i, None] + k) @ v


@np.errstate(all="ignore")
def additive_backward(
    grad: Array, q: Array, k: Array, v: Array, dq: Array, dk: Array, dv: Array
) -> None:
    """grad (B, Tq, Tk), q (B, Tq, H), k (B, Tk, H), v (H,) -> dq, dk, dv of their shapes."""
    of_k, of_v = finer(np.zeros_like(k)), finer(np.zeros_like(v))
    for i in range(q.shape[1]):
        t = np.tanh(q[:, i, None] + k)
        g = grad[:, i, :, None]
        d = g * v * (1 - t * t)
        dq[:, i] = d.sum(axis=1, dtype=of_k.dtype)
        of_k += d
        of_v += (g * t).sum(axis=(0, 1), dtype=of_v.dtype)
    dk[...], dv[...] = of_k, of_v
