"""Scaled dot-product attention, one query at a time against all keys of its head. The formulas are
in reference/attention.py. Look first at `scores`, then at `run_attention`.
"""

from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array, AttentionOptions
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel, sums
from tinyattn.kernels.jit.matmul import dot
from tinyattn.kernels.jit.vmath import exp
from tinyattn.kernels.reference.attention import (
    attention_mask_gradient as attention_mask_gradient,
)

ROWS = 64  # queries that one task computes
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
NO_MASK = {np.dtype(t): np.empty((0, 0, 0, 0), t) for t in (np.float32, np.float64)}


@exact
def scores(q, k, mask, b, h, i, causal, scale, s):
    """s (Tk,) of query i; returns how many keys lie before the causal bound."""
    n = min(len(k), i + 1) if causal else len(k)
    for j in range(n):
        s[j] = dot(q, k[j]) * scale
    if mask.size:
        for j in range(n):
            added = mask[b, h, i, j]
            s[j] = added if added == -np.inf else s[j] + added
    return n


@exact
def add_row(factor, x, out):
    for d in range(len(out)):
        out[d] += factor * x[d]


@exact
def philox(c0, c1, c2, key):
    """The four words at the counter (c0, c1, c2, 0)."""
    c3 = np.uint64(0)
    k0, k1 = key & LOW, key >> HALF
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & LOW, (k1 + np.uint64(0xBB67AE85)) & LOW
    return c0, c1, c2, c3


@exact
def drop_row(head, i, n, p, key, factors):
    """factors (Tk,): 0, or 1 / (1 - p) where the element's own word is at least p."""
    threshold = np.uint64(p * 4294967296.0)
    factor = 1 / (1 - p) if p < 1 else 0.0
    for j in range(0, n, 4):
        words = philox(np.uint64(j // 4), np.uint64(i), np.uint64(head), np.uint64(key))
        for w in range(min(4, n - j)):
            factors[j + w] = factor if words[w] >= threshold else 0.0


@sums
def exponentials(s, n, shift):
    """e^(s - shift) in place; their sum."""
    total = s.dtype.type(0)
    for j in range(n):
        s[j] = exp(s[j] - shift)
        total += s[j]
    return total


@kernel("r4 r4 r4 v4 bool float float int w4 w3")
def run_attention(q, k, v, mask, causal, scale, p, key, out, lse):
    """The forward kernel; a task is ROWS queries of one head."""
    B, heads, Tq, _ = q.shape
    group = heads // k.shape[1]
    pieces = (Tq + ROWS - 1) // ROWS
    real = out.dtype.type
    for task in numba.prange(B * heads * pieces):
        number = task // pieces
        b, h = number // heads, number % heads
        keys, values = k[b, h // group], v[b, h // group]
        s, factors = np.empty(len(keys), out.dtype), np.empty(len(keys), out.dtype)
        for row in range(min(ROWS, Tq - task % pieces * ROWS)):
            i = task % pieces * ROWS + row
            n = scores(q[b, h, i], keys, mask, b, h, i, causal, real(scale), s)
            top = real(-np.inf)
            for j in range(n):
                if s[j] > top:
                    top = s[j]
            shift = real(0) if top == -np.inf else top
            total = exponentials(s, n, shift)
            lse[b, h, i] = shift + np.log(total)
            inverse = real(0) if total == 0 else real(1) / total
            if p > 0:
                drop_row(number, i, n, p, key, factors)
                for j in range(n):
                    s[j] *= factors[j]
            out[b, h, i] = 0
            for j in range(n):
                add_row(s[j] * inverse, values[j], out[b, h, i])


@kernel("r4 r4 r4 r4 r4 r3 v4 bool float float int w4 w4 w4")
def run_backward(grad, q, k, v, out, lse, mask, causal, scale, p, key, dq, dk, dv):
    """The backward kernel; a task is a head of k and v, with all heads of q that share it. The
    weights are computed again, from the logarithm of their sum."""
    B, heads, Tq, _ = q.shape
    shared, Tk = k.shape[1:3]
    group = heads // shared
    real = out.dtype.type
    for task in numba.prange(B * shared):
        b, h_kv = task // shared, task % shared
        keys, values, dkeys, dvalues = k[b, h_kv], v[b, h_kv], dk[b, h_kv], dv[b, h_kv]
        s, factors = np.empty(Tk, out.dtype), np.ones(Tk, out.dtype)
        dkeys[:] = 0
        dvalues[:] = 0
        for row in range(group * Tq):
            h, i = h_kv * group + row // Tq, row % Tq
            query, g, dquery = q[b, h, i], grad[b, h, i], dq[b, h, i]
            n = scores(query, keys, mask, b, h, i, causal, real(scale), s)
            log_sum = lse[b, h, i]
            exponentials(s, n, real(np.inf) if log_sum == -np.inf else log_sum)
            if p > 0:
                drop_row(b * heads + h, i, n, p, key, factors)
            whole = dot(g, out[b, h, i])
            dquery[:] = 0
            for j in range(n):
                add_row(s[j] * factors[j], g, dvalues[j])
                ds = s[j] * (dot(g, values[j]) * factors[j] - whole) * real(scale)
                add_row(ds, keys[j], dquery)
                add_row(ds, query, dkeys[j])


def _added(mask: Array | None, dtype: Any) -> Array:
    """The mask as numbers to add. A broadcast axis of a bool mask stays broadcast (stride 0)."""
    if mask is None:
        return NO_MASK[dtype]
    if mask.dtype != np.bool_:
        return mask
    own = mask[tuple(slice(None) if step else slice(1) for step in mask.strides)]
    return np.broadcast_to(np.where(own, dtype.type(0), dtype.type(-np.inf)), mask.shape)


def _signed(key: int) -> int:
    return key - (1 << 64) if key >> 63 else key


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
    inputs = (np.ascontiguousarray(x) for x in (q, k, v))
    whole = np.empty(out.shape, out.dtype)
    alone = whole.size * k.shape[2] < SMALL
    causal, scale, dropout_p, key = options
    run_attention(
        *inputs,
        _added(mask, q.dtype),
        causal,
        scale,
        dropout_p,
        _signed(key),
        whole,
        lse,
        alone=alone,
    )
    out[...] = whole


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
    inputs = (np.ascontiguousarray(x) for x in (grad, q, k, v, out))
    whole = [np.empty(x.shape, x.dtype) for x in (dq, dk, dv)]
    alone = out.size * k.shape[2] < SMALL
    causal, scale, dropout_p, key = options
    run_backward(
        *inputs,
        lse,
        _added(mask, q.dtype),
        causal,
        scale,
        dropout_p,
        _signed(key),
        *whole,
        alone=alone,
    )
    for x, result in zip((dq, dk, dv), whole, strict=True):
        x[...] = result
