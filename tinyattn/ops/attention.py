"""Attention. Look first at ScaledDotProductAttention: the kernel is kernels/*/attention.

Letters: query (..., Tq, D), key (..., Tk, D), value (..., Tk, Dv) give (..., Tq, Dv); h heads are
the axis before T.
"""

import math
from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.random import generator


class ScaledDotProductAttention(Function):
    """o_i = sum_j p_ij v_j,  p_ij = e^s_ij / sum_j e^s_ij,  s_ij = c q_i . k_j + mask_ij.

    With g = dL/do:  dv_j = sum_i p_ij g_i  and  dp_ij = g_i . v_j.  Softmax's derivative turns that
    into  ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij) = p_ij (dp_ij - g_i . o_i),  so
    dq_i = c sum_j ds_ij k_j,  dk_j = c sum_i ds_ij q_i,  dmask = ds.

    Only l_i = log sum_j e^s_ij is kept; p_ij = e^(s_ij - l_i) is computed again, block by block.
    Dropout multiplies p by its factors in o, dv and dp. (Vaswani et al. 2017, arXiv:1706.03762;
    Dao et al. 2022, arXiv:2205.14135)
    """

    fresh = True

    def forward(
        self,
        q: Any,
        k: Any,
        v: Any,
        mask: Any = None,
        causal: bool = False,
        scale: float | None = None,
        dropout_p: float = 0.0,
        group: int = 1,
    ) -> Any:
        self.kernels = backend()
        if scale is None:
            scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
        key = int(generator.integers(2**64, dtype=np.uint64)) if dropout_p else 0
        self.options = causal, scale, dropout_p, key
        self.group = group  # heads of q that share one of k and v
        self.batch = _batch(q, k, v, group)
        out, lse = self.kernels.attention(*self._as_heads(q, k, v, mask), *self.options)
        y = out if len(self.batch) == 2 else out.reshape(*self.batch, *out.shape[2:])
        self.save(q=q, k=k, v=v, mask=mask, y=y, lse=lse)
        return y

    def backward(self, grad: Any) -> Any:
        q, k, v, mask, y, lse = (
            self.saved["q"],
            self.saved["k"],
            self.saved["v"],
            self.saved["mask"],
            self.saved["y"],
            self.saved["lse"],
        )
        q, k, v, whole = self._as_heads(q, k, v, mask)
        rest = (_as_four(grad), q, k, v, _as_four(y), lse, whole, *self.options)
        grads = self.kernels.attention_backward(*rest)
        dq, dk, dv = (
            d.reshape(*batch, *d.shape[2:])
            for d, batch in zip(grads, (self.batch, *2 * (self._for_keys(),)), strict=True)
        )
        dmask = None
        if mask is not None and mask.dtype.kind == "f" and self.needs(3):
            dmask = self.kernels.attention_mask_gradient(*rest)
            dmask = dmask.reshape(*self.batch, *dmask.shape[2:])
        return dq, dk, dv, dmask

    def _for_keys(self) -> tuple[int, ...]:
        batch = self.batch
        return batch if self.group == 1 else (*batch[:-1], batch[-1] // self.group)

    def _as_heads(self, q: Any, k: Any, v: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
        """All as the kernel takes them, (B, h, T, D), views where strides allow."""
        if q.ndim == 4 and q.shape[:2] == k.shape[:-2] == v.shape[:-2]:
            return q, k, v, mask
        if mask is not None and len(self.batch) > 2:
            mask = _as_four(np.broadcast_to(mask, (*self.batch, q.shape[-2], k.shape[-2])))
        of_keys = self._for_keys()
        return _spread(q, self.batch), _spread(k, of_keys), _spread(v, of_keys), mask


def _spread(x: Any, batch: tuple[int, ...]) -> Any:
    """(..., T, D) with its first axes broadcast to `batch`, as (B, h, T, D)."""
    if x.shape[:-2] != batch:
        x = np.broadcast_to(x, batch + x.shape[-2:])
    return _as_four(x)


def _batch(q: Any, k: Any, v: Any, group: int) -> tuple[int, ...]:
    """The axes before T, broadcast; RuntimeError where they don't."""
    mine, *theirs = (x.shape[:-2] for x in (q, k, v))
    if group > 1:
        theirs = [(*batch[:-1], batch[-1] * group) for batch in theirs]
    if theirs == [mine, mine]:
        return mine
    try:
        return np.broadcast_shapes(mine, *theirs)
    except ValueError:
        raise RuntimeError(
            f"scaled_dot_product_attention: the axes before T of query {list(q.shape)}, key "
            f"{list(k.shape)} and value {list(v.shape)} don't broadcast"
        ) from None


def _as_four(x: Any) -> Any:
    """(..., T, D) as (B, h, T, D): missing axes are 1, those before h are folded into B."""
    if x.ndim == 4:
        return x
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


class SplitHeads(Function):
    """x (T, B, count h D), with batch_first (B, T, ...), as `count` views (B, h, T, D): projections
    side by side, each by heads;  dx has their gradients side by side.
    """

    view = True
    fresh = True

    def forward(self, x: Any, count: int, h: int, batch_first: bool) -> Any:
        self.folded = x.shape
        self.shape = *x.shape[:2], count, h, x.shape[2] // (count * h)
        self.order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
        return tuple(x.reshape(self.shape).transpose(self.order))

    def backward(self, *grads: Any) -> Any:
        dx = np.empty(self.shape, next(grad.dtype for grad in grads if grad is not None))
        for part, grad in zip(dx.transpose(self.order), grads, strict=True):
            part[...] = 0 if grad is None else grad
        return dx.reshape(self.folded)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale query key^T + attn_mask) value: query (..., Tq, D), key (..., Tk, D), value
    (..., Tk, Dv) -> (..., Tq, Dv), in memory linear in T. scale is 1 / sqrt(D) unless given.

    attn_mask broadcasts to (..., Tq, Tk): bool (True = attend) or float (added to the scores). A
    query that may attend nothing gives zeros. enable_gqa: h / h_kv heads of query share one of key.
    """
    name = "scaled_dot_product_attention"
    q = as_tensor(query, "query")._array
    k, v = as_tensor(key, "key")._array, as_tensor(value, "value")._array
    _check_inputs(name, q, k, v)
    group = _group(name, q, k, v) if enable_gqa else 1
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(
            f"{name}: dropout_p: dropout probability has to be between 0 and 1, but got {dropout_p}"
        )
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError(
                f"{name}: attn_mask: Explicit attn_mask should not be set when is_causal=True"
            )
        attn_mask = _as_mask(name, attn_mask, q, k, _batch(q, k, v, group))
    return ScaledDotProductAttention.apply(
        query,
        key,
        value,
        attn_mask,
        causal=bool(is_causal),
        scale=scale,
        dropout_p=float(dropout_p),
        group=group,
    )


def _check_inputs(name: str, q: Any, k: Any, v: Any) -> None:
    """RuntimeError, naming the argument and both sizes, where the three don't fit together."""
    if q.dtype.kind != "f" or q.dtype != k.dtype or q.dtype != v.dtype:
        raise RuntimeError(
            f"{name}: Expected query, key, and value to have the same dtype, float32 or float64, "
            f"but got query {q.dtype}, key {k.dtype} and value {v.dtype}"
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            f"{name}: Expected query, key, and value to be at least 2-D, (..., T, D), got shapes "
            f"{list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    if q.shape[-1] != k.shape[-1]:
        raise RuntimeError(
            f"{name}: key: expected D = {q.shape[-1]} features as in query {list(q.shape)}, got "
            f"D = {k.shape[-1]} in {list(k.shape)}"
        )
    if k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"{name}: value: expected Tk = {k.shape[-2]} steps as in key {list(k.shape)}, got "
            f"Tk = {v.shape[-2]} in {list(v.shape)}"
        )


def _group(name: str, q: Any, k: Any, v: Any) -> int:
    """How many heads of the query share one of the key."""
    if min(q.ndim, k.ndim, v.ndim) < 3:
        raise IndexError(
            f"{name}: enable_gqa: expected (..., h, T, D), got query {list(q.shape)}, key "
            f"{list(k.shape)} and value {list(v.shape)}"
        )
    h, h_k, h_v = q.shape[-3], k.shape[-3], v.shape[-3]
    if h == h_k == h_v:
        return 1
    if h_k != h_v or not h_k or h % h_k:
        raise RuntimeError(
            f"{name}: enable_gqa: Number of heads in key and value must divide the number of heads "
            f"in query, got h = {h} in query, {h_k} in key and {h_v} in value"
        )
    return h // h_k


def _as_mask(name: str, attn_mask: Any, q: Any, k: Any, batch: tuple[int, ...]) -> Any:
    """The mask in the query's dtype if it is added, once its shape is known to fit."""
    mask = as_tensor(attn_mask, "attn_mask")._array
    if mask.dtype != np.bool_ and mask.dtype != q.dtype:
        if mask.dtype != np.float32:
            raise RuntimeError(
                f"{name}: Expected attn_mask dtype to be bool or float or to match query dtype, "
                f"but got attn_mask {mask.dtype} and query {q.dtype}"
            )
        attn_mask = attn_mask.to(q.dtype)
    scores = (*batch, q.shape[-2], k.shape[-2])
    fits = mask.ndim <= len(scores) and all(
        size in (1, whole) for size, whole in zip(mask.shape[::-1], scores[::-1], strict=False)
    )
    if not fits:
        message = (
            f"{name}: attn_mask: The size of tensor attn_mask {list(mask.shape)} must broadcast to "
            f"(..., Tq, Tk) = {list(scores)}"
        )
        if mask.ndim == 2 and mask.shape[1] == k.shape[-2] and mask.shape[0] in batch[:1]:
            message += (
                "; a 2-D attn_mask is (Tq, Tk): give a padding mask (B, Tk) as (B, 1, 1, Tk), or "
                "as key_padding_mask where a module takes one"
            )
        raise RuntimeError(message)
    return attn_mask
