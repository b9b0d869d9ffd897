"""Scaled dot-product attention in memory linear in T: a block of queries at a time. Look first at
`_scores`, then `attention`.

With scores s_ij = c q_i . k_j + mask_ij (-inf where key j may not be attended) and the row's
logarithm l_i = log sum_j e^s_ij, which is all that is kept for the backward,

    p_ij = e^(s_ij - l_i)         o_i = sum_j p_ij d_ij v_j

where dropout's d_ij is 0 or 1 / (1 - p). For a gradient g_i at o_i

    dv_j = sum_i p_ij d_ij g_i    dp_ij = d_ij g_i . v_j

and, the rows of p being softmaxes, ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij), whose sum is g_i . o_i:

    ds_ij = p_ij (dp_ij - g_i . o_i)    dq_i = c sum_j ds_ij k_j    dk_j = c sum_i ds_ij q_i.

(Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135)
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array, AttentionOptions

BLOCK = 1 << 20  # scores in memory at a time


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    options: AttentionOptions,
    out: Array,
    lse: Array,
) -> None:
    """q (B, h, Tq, D), k (B, h_kv, Tk, D), v (B, h_kv, Tk, Dv), mask (B, h, Tq, Tk) bool (True =
    attend) or float (added) -> out (B, h, Tq, Dv), lse (B, h, Tq).
    """
    with np.errstate(all="ignore"):
        for rows in _blocks(q, k):
            s = _scores(q, k, mask, options, rows)
            top = s.max(axis=-1, keepdims=True)
            p = np.exp(s - np.where(top == -np.inf, 0, top))
            total = p.sum(axis=-1, keepdims=True)
            lse[:, :, rows] = (top + np.log(total))[..., 0]
            p /= np.where(total == 0, 1, total)
            if options.dropout_p:
                p *= kept(s.shape, rows.start, options, s.dtype)
            _heads(out, k)[..., rows, :] = _grouped(p, k) @ v[:, :, None]


def attention_backward(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    options: AttentionOptions,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """grad (B, h, Tq, Dv) and the forward's own arrays -> dq, dk, dv like q, k, v."""
    dk[...] = 0
    dv[...] = 0
    with np.errstate(all="ignore"):
        for rows in _blocks(q, k):
            weights, ds = _weight_gradients(grad, q, k, v, out, lse, mask, options, rows)
            weights, ds = _grouped(weights, k), _grouped(ds, k) * ds.dtype.type(options.scale)
            _heads(dq, k)[..., rows, :] = ds @ k[:, :, None]
            dk += (ds.swapaxes(-1, -2) @ _heads(q, k)[..., rows, :]).sum(axis=2)
            dv += (weights.swapaxes(-1, -2) @ _heads(grad, k)[..., rows, :]).sum(axis=2)


def attention_mask_gradient(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array,
    options: AttentionOptions,
    dmask: Array,
) -> None:
    """The gradient ds of a float mask before it is summed over broadcast axes: (B, h, Tq, Tk)."""
    with np.errstate(all="ignore"):
        for rows in _blocks(q, k):
            dmask[:, :, rows] = _weight_gradients(grad, q, k, v, out, lse, mask, options, rows)[1]


def _weight_gradients(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    options: AttentionOptions,
    rows: slice,
) -> tuple[Array, Array]:
    """The weights p d of these queries and the gradients ds at their scores."""
    s = _scores(q, k, mask, options, rows)
    log_sum = lse[:, :, rows, None]
    p = np.exp(s - np.where(log_sum == -np.inf, np.inf, log_sum))  # zeros where nothing is attended
    g = _heads(grad, k)[..., rows, :]
    dp = (g @ v[:, :, None].swapaxes(-1, -2)).reshape(p.shape)
    weights = p
    if options.dropout_p:
        d = kept(s.shape, rows.start, options, s.dtype)
        weights, dp = p * d, dp * d
    return weights, p * (dp - (grad[:, :, rows] * out[:, :, rows]).sum(axis=-1, keepdims=True))


def _blocks(q: Array, k: Array) -> Iterator[slice]:
    B, h, Tq, _ = q.shape
    step = max(1, BLOCK // (B * h * k.shape[2]))
    return (slice(first, min(first + step, Tq)) for first in range(0, Tq, step))


def _heads(x: Array, k: Array) -> Array:
    """(B, h, T, D) with the heads that share a key beside each other: (B, h_kv, h / h_kv, T, D)."""
    B, h, T, D = x.shape
    shape = B, k.shape[1], h // k.shape[1], T, D
    return x.reshape(shape, copy=False)  # the caller may write to it


def _grouped(s: Array, k: Array) -> Array:
    return s.reshape(s.shape[0], k.shape[1], -1, *s.shape[2:])


def _scores(
    q: Array, k: Array, mask: Array | None, options: AttentionOptions, rows: slice
) -> Array:
    """The scores of these queries, masked: (B, h, rows, Tk)."""
    B, h = q.shape[:2]
    Tk = k.shape[2]
    s = _heads(q, k)[..., rows, :] @ k[:, :, None].swapaxes(-1, -2)
    s = s.reshape(B, h, -1, Tk) * s.dtype.type(options.scale)
    if mask is not None and mask.dtype == np.bool_:
        s = np.where(mask[:, :, rows], s, -np.inf)
    elif mask is not None:
        added = mask[:, :, rows]
        s = np.where(added == -np.inf, added, s + added)
    if options.causal:
        s = np.where(np.arange(Tk) <= np.arange(rows.start, rows.stop)[:, None], s, -np.inf)
    return s


def kept(shape: tuple[int, ...], first: int, options: AttentionOptions, dtype: Any) -> Array:
    """Dropout's factors for (B, h, rows, Tk) from row `first` on: 0, or 1 / (1 - p) where the
    element's own 32 random bits, read as a fraction, are at least p.

    They are word j mod 4 of Philox4x32-10 at the counter (j div 4, i, number of the head, 0). The
    heads have the numbers 0, 1, 2, ..., or those of options.numbers.
    """
    B, h, rows, Tk = shape
    j = np.arange((Tk + 3) // 4, dtype=np.uint64)
    i = np.arange(first, first + rows, dtype=np.uint64)[:, None]
    heads = np.arange(B * h) if options.numbers is None else options.numbers
    head = heads.astype(np.uint64)[:, None, None] & np.uint64(0xFFFFFFFF)
    words = np.stack(np.broadcast_arrays(*philox(j, i, head, options.key)), axis=-1)
    words = words.reshape(B, h, rows, -1)[..., :Tk]
    p = options.dropout_p
    factor = 1 / (1 - p) if p < 1 else 0
    return (words >= int(p * 2**32)) * dtype.type(factor)


def philox(c0: Any, c1: Any, c2: Any, key: int) -> tuple[Any, Any, Any, Any]:
    """Four words of 32 bits (in uint64) for the counter (c0, c1, c2, 0) and a key of 64 bits.

    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
    """
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c3 = np.uint64(0)
    for r in range(10):
        k0 = np.uint64(((key & 0xFFFFFFFF) + r * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = np.uint64(((key >> 32) + r * 0xBB67AE85) & 0xFFFFFFFF)
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ k0, p1 & low, (p0 >> shift) ^ c3 ^ k1, p0 & low
    return c0, c1, c2, c3
