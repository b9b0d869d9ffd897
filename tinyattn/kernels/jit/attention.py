"""Scaled dot-product attention, ROWS queries at a time against all keys of their head. The formulas
are in reference/attention.py. Look first at `attention`: its products are those of matmul.py.
"""

from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array, AttentionOptions
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel, sums
from tinyattn.kernels.jit.matmul import matmul
from tinyattn.kernels.jit.vmath import bits, exp, unbits
from tinyattn.kernels.reference.attention import (
    attention_mask_gradient as attention_mask_gradient,
)

ROWS = 128  # queries whose scores are in memory at a time
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
NO_MASK = {np.dtype(t): np.empty((0, 0, 0, 0), t) for t in (np.float32, np.float64)}


@exact
def multiply(x, factor):
    for j in range(len(x)):
        x[j] *= factor


@exact
def scale_and_mask(s, mask, b, h, i, causal, scale):
    """s (n,) of query i in place; what lies behind the causal bound becomes -inf."""
    multiply(s, scale)
    if mask.size:
        for j in range(len(s)):
            added = mask[b, h, i, j]
            s[j] = added if added == -np.inf else s[j] + added
    if causal:
        s[i + 1 :] = -np.inf


@exact
def largest(s):
    """The maximum of s (n,), or NaN if it contains NaN; -inf if there is nothing."""
    top = bits(s.dtype.type(-np.inf))
    for j in range(len(s)):
        top = max(top, bits(s[j]))
    return unbits(top)


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
def drop_row(number, i, n, p, key, factors):
    """factors (Tk,): 0, or 1 / (1 - p) where the element's own word is at least p."""
    threshold = np.uint64(p * 4294967296.0)
    factor = 1 / (1 - p) if p < 1 else 0.0
    for j in range(0, n, 4):
        words = philox(np.uint64(j // 4), np.uint64(i), np.uint64(number) & LOW, np.uint64(key))
        for w in range(min(4, n - j)):
            factors[j + w] = factor if words[w] >= threshold else 0.0


@sums
def exponentials(s, shift):
    """e^(s - shift) of s (n,) in place; their sum."""
    total = s.dtype.type(0)
    for j in range(len(s)):
        s[j] = exp(s[j] - shift)
        total += s[j]
    return total


@exact
def weigh(s, mask, b, h, i, causal, scale, p, key, number):
    """The scores s (Tk,) of query i become its weights; the logarithm of the sum of their
    exponentials."""
    scale_and_mask(s, mask, b, h, i, causal, scale)
    top = largest(s)
    shift = s.dtype.type(0) if top == -np.inf else top
    total = exponentials(s, shift)
    multiply(s, s.dtype.type(0 if total == 0 else 1 / total))
    if p > 0:
        factors = np.empty_like(s)
        drop_row(number, i, len(s), p, key, factors)
        for j in range(len(s)):
            s[j] *= factors[j]
    return shift + np.log(total)


@kernel("w3 v4 int int bool float float int i1 w2")
def run_weights(s, mask, heads, first, causal, scale, p, key, numbers, lse):
    """s (B h, M, Tk), the scores of M queries from `first` on, in place; lse (B h, Tq)."""
    n, M, _ = s.shape
    real = s.dtype.type
    for unit in numba.prange(n * M):
        number, i = unit // M, first + unit % M
        lse[number, i] = weigh(
            s[number, unit % M], mask, number // heads, number % heads, i,
            causal, real(scale), p, key, numbers[number],
        )  # fmt: skip


@sums
def rows_sum(s, factors, ds):
    """The sum of s factors ds (n,): the row of the gradient at the output times the output itself.
    Where a query has one key, the gradient at the weight is exactly this."""
    total = s.dtype.type(0)
    for j in range(len(s)):
        total += s[j] * factors[j] * ds[j]
    return total


@exact
def slope(s, ds, log_sum, mask, b, h, i, causal, scale, p, key, number):
    """The scores s (Tk,) become the weights, ds (Tk,), the gradient at the weights, that at the
    scores."""
    scale_and_mask(s, mask, b, h, i, causal, scale)
    total = exponentials(s, s.dtype.type(np.inf) if log_sum == -np.inf else log_sum)
    # It is 1 but for the rounding of log_sum, which would show where the gradients cancel.
    multiply(s, s.dtype.type(0 if total == 0 else 1 / total))
    factors = np.empty_like(s)
    if p > 0:
        drop_row(number, i, len(s), p, key, factors)
    else:
        factors[:] = 1
    whole = rows_sum(s, factors, ds)
    for j in range(len(s)):
        ds[j] = s[j] * (ds[j] * factors[j] - whole) * scale
        s[j] *= factors[j]


@kernel("w3 w3 r2 v4 int int bool float float int i1")
def run_slopes(s, ds, lse, mask, heads, first, causal, scale, p, key, numbers):
    """s, ds (B h, M, Tk) of M queries from `first` on, in place; lse (B h, Tq)."""
    n, M, _ = s.shape
    real = s.dtype.type
    for unit in numba.prange(n * M):
        number, i = unit // M, first + unit % M
        slope(
            s[number, unit % M], ds[number, unit % M], lse[number, i],
            mask, number // heads, number % heads, i,
            causal, real(scale), p, key, numbers[number],
        )  # fmt: skip


def _added(mask: Array | None, dtype: Any) -> Array:
    """The mask as numbers to add. A broadcast axis of a bool mask stays broadcast (stride 0)."""
    if mask is None:
        return NO_MASK[dtype]
    if mask.dtype != np.bool_:
        return mask
    own = mask[tuple(slice(None) if step else slice(1) for step in mask.strides)]
    return np.broadcast_to(np.where(own, dtype.type(0), dtype.type(-np.inf)), mask.shape)


def _by_heads(x: Array, heads: int) -> Array:
    """x (B, h_kv, T, D) -> (B heads, T, D), contiguous; the heads of queries that share one of x
    get it each."""
    B, own, T, D = x.shape
    if own != heads:
        x = x.repeat(heads // own, axis=1)
    return np.ascontiguousarray(x).reshape(B * heads, T, D)


def _dropout(options: AttentionOptions, count: int) -> tuple[np.int64, Array]:
    """The key of dropout as a signed number, and the numbers of the heads."""
    numbers = np.arange(count) if options.numbers is None else options.numbers
    return np.uint64(options.key).view(np.int64), numbers


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
    (B, heads, Tq, _), Tk, real = q.shape, k.shape[2], q.dtype
    added = _added(mask, real)
    causal, scale, p, *_ = options
    key, numbers = _dropout(options, B * heads)
    queries, keys, values = (_by_heads(x, heads) for x in (q, k, v))
    of_all = lse.reshape(B * heads, Tq)
    for first in range(0, Tq, ROWS):
        some = slice(first, first + ROWS)
        n = min(Tk, first + ROWS) if causal else Tk  # no query here looks further
        rows = queries[:, some]
        s = empty((*rows.shape[:2], n), real)
        matmul(rows, keys[:, :n].swapaxes(1, 2), None, None, s)
        alone = s.size < SMALL
        run_weights(
            s, added, heads, first, causal, scale, p, key, numbers, of_all, alone=alone
        )  # fmt: skip
        result = empty((*rows.shape[:2], v.shape[3]), real)
        matmul(s, values[:, :n], None, None, result)
        of_some = out[:, :, some]
        of_some[...] = result.reshape(of_some.shape)


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
    (B, heads, Tq, _), (_, shared, Tk, _), real = q.shape, k.shape, q.dtype
    added = _added(mask, real)
    causal, scale, p, *_ = options
    key, numbers = _dropout(options, B * heads)
    grads, queries, keys, values = (_by_heads(x, heads) for x in (grad, q, k, v))
    of_all = lse.reshape(B * heads, Tq)
    of_keys, of_values = np.zeros_like(keys), np.zeros_like(values)
    for first in range(0, Tq, ROWS):
        some = slice(first, first + ROWS)
        n = min(Tk, first + ROWS) if causal else Tk
        rows, g = queries[:, some], grads[:, some]
        s, ds = (empty((*rows.shape[:2], n), real) for _ in range(2))
        matmul(rows, keys[:, :n].swapaxes(1, 2), None, None, s)
        matmul(g, values[:, :n].swapaxes(1, 2), None, None, ds)
        run_slopes(
            s, ds, of_all, added, heads, first, causal, scale, p, key, numbers,
            alone=s.size < SMALL,
        )  # fmt: skip
        of_queries = empty(rows.shape, real)
        matmul(ds, keys[:, :n], None, None, of_queries)
        of_some = dq[:, :, some]
        of_some[...] = of_queries.reshape(of_some.shape)
        for a, b, total in ((ds, rows, of_keys), (s, g, of_values)):
            whole = not first and n == Tk  # there is nothing to add it to
            more = total if whole else empty((B * heads, n, b.shape[2]), real)
            matmul(a.swapaxes(1, 2), b, None, None, more)
            if not whole:
                total[:, :n] += more
    for total, to in ((of_keys, dk), (of_values, dv)):
        if shared == heads:
            to[...] = total.reshape(to.shape)
        else:
            to[...] = total.reshape(B, shared, heads // shared, *to.shape[2:]).sum(axis=2)
