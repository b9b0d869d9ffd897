"""Scaled dot-product attention. Read ScaledDotProductAttention first.

The kernel that computes it is kernels/*/attention. Letters: query (..., Tq, D), key (..., Tk, D)
and value (..., Tk, Dv) give (..., Tq, Dv). Where there are h heads, they are the axis before T.
"""

import math
from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import AttentionOptions, backend
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.parts import local
from tinyattn.ops.random import generator

_NAME = "scaled_dot_product_attention"


class ScaledDotProductAttention(Function):
    """o_i = sum_j p_ij v_j,  p_ij = e^s_ij / sum_j e^s_ij,  s_ij = c q_i . k_j + mask_ij.

    With g = dL/do:  dv_j = sum_i p_ij g_i  and  dp_ij = g_i . v_j.  Softmax's derivative turns that
    into  ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij) = p_ij (dp_ij - g_i . o_i),  so
    dq_i = c sum_j ds_ij k_j,  dk_j = c sum_i ds_ij q_i,  dmask = ds.

    Forward keeps l_i = log sum_j e^s_ij and not p; backward computes p_ij = e^(s_ij - l_i) again,
    block by block. Dropout multiplies p by its factors, in o, dv and dp alike.
    (Vaswani et al. 2017, arXiv:1706.03762; Dao et al. 2022, arXiv:2205.14135)
    """

    kernels_only = True
    fresh = True
    attends = True

    def forward(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None = None,
        causal: bool = False,
        scale: float | None = None,
        dropout_p: float = 0.0,
        group: int = 1,
    ) -> Array:
        self.kernels = backend()
        if scale is None:
            scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
        key = int(generator.integers(2**64, dtype=np.uint64)) if dropout_p else 0
        self.group = group  # so many heads of q share one head of k and v
        self.batch = batch_of(_NAME, q, k, v, group)
        numbers = None
        if dropout_p and local.part is not None:
            places, _ = local.part.of_weights((*self.batch, q.shape[-2], k.shape[-2]))
            h = math.prod(self.batch[1:])
            numbers = (places[:, None] * h + np.arange(h)).reshape(-1)
        self.options = AttentionOptions(causal, scale, dropout_p, key, numbers)
        out, lse = self.kernels.attention(*self._as_heads(q, k, v, mask), self.options)
        y = out if len(self.batch) == 2 else out.reshape(*self.batch, *out.shape[2:])
        self.save(q=q, k=k, v=v, mask=mask, y=y, lse=lse)
        return y

    def backward(self, grad: Array) -> tuple[Array, Array, Array, Array | None]:
        q, k, v, mask, y, lse = (self.saved[name] for name in ("q", "k", "v", "mask", "y", "lse"))
        q, k, v, whole = self._as_heads(q, k, v, mask)
        given = _as_four(grad), q, k, v, _as_four(y), lse
        grads = self.kernels.attention_backward(*given, whole, self.options)
        dq, dk, dv = (
            d.reshape(*batch, *d.shape[2:])
            for d, batch in zip(grads, (self.batch, *2 * (self._for_keys(),)), strict=True)
        )
        dmask = None
        if whole is not None and whole.dtype.kind == "f" and self.needs(3):
            dmask = self.kernels.attention_mask_gradient(*given, whole, self.options)
            dmask = dmask.reshape(*self.batch, *dmask.shape[2:])
        return dq, dk, dv, dmask

    def attention_weights(self, inputs: tuple[Any, ...], output: Array) -> tuple[Array, Array]:
        """The weights p (B, h, Tq, Tk), or (B, Tq, Tk) without heads, and the masks, both computed
        in float64: the kernel keeps neither."""
        q, k, _, mask = self._as_heads(*inputs)
        causal, scale, *_ = self.options
        s = scale * (q.astype(np.float64) @ np.repeat(k, self.group, 1).swapaxes(-1, -2))
        masks = np.zeros(s.shape)
        if mask is not None:
            masks += np.where(mask, 0, -np.inf) if mask.dtype == bool else mask
        if causal:
            masks[..., np.tri(*s.shape[-2:]) == 0] = -np.inf
        s += masks
        top = s.max(-1, keepdims=True)
        p = np.exp(s - np.where(top == -np.inf, 0, top))
        p /= np.maximum(p.sum(-1, keepdims=True), 1e-300)
        return (p, masks) if len(self.batch) > 1 else (p[0], masks[0])

    def _for_keys(self) -> tuple[int, ...]:
        batch = self.batch
        return batch if self.group == 1 else (*batch[:-1], batch[-1] // self.group)

    def _as_heads(
        self, q: Array, k: Array, v: Array, mask: Array | None
    ) -> tuple[Array, Array, Array, Array | None]:
        """All in the form that the kernel takes, (B, h, T, D): views where strides allow it."""
        if q.ndim == 4 and q.shape[:2] == k.shape[:-2] == v.shape[:-2]:
            return q, k, v, mask
        if mask is not None and len(self.batch) > 2:
            mask = _as_four(np.broadcast_to(mask, (*self.batch, q.shape[-2], k.shape[-2])))
        of_keys = self._for_keys()
        q, k, v = (
            _as_four(x if x.shape[:-2] == batch else np.broadcast_to(x, batch + x.shape[-2:]))
            for x, batch in ((q, self.batch), (k, of_keys), (v, of_keys))
        )
        return q, k, v, mask


def batch_of(name: str, q: Array, k: Array, v: Array, group: int = 1) -> tuple[int, ...]:
    """The axes before T, broadcast; RuntimeError where they do not broadcast."""
    mine, *theirs = (x.shape[:-2] for x in (q, k, v))
    if group > 1:
        theirs = [(*batch[:-1], batch[-1] * group) for batch in theirs]
    if theirs == [mine, mine]:
        return mine
    try:
        return np.broadcast_shapes(mine, *theirs)
    except ValueError:
        raise RuntimeError(
            f"{name}: the axes before T of query {list(q.shape)}, key {list(k.shape)} and value "
            f"{list(v.shape)} don't broadcast"
        ) from None


def _as_four(x: Array) -> Array:
    """(..., T, D) as (B, h, T, D): missing axes have size 1, and all axes before h become B."""
    if x.ndim == 4:
        return x
    if x.ndim < 4:
        return x[(None,) * (4 - x.ndim)]
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


class SplitHeads(Function):
    """y_c[b, i, t] = x[t, b, (c h + i) D : (c h + i + 1) D]:  the `count` projections that stand
    side by side in the last axis of x (T, B, count h D), each split into heads, (B, h, T, D).

    Every element of x stands in one y_c, so dx has the dy_c side by side. Attention's backward
    writes them so: then dx is the array that they are views of. With batch_first, x is
    (B, T, count h D). The y_c are views.
    """

    kernels_only = True
    view = True  # and not fresh: who holds a dy_c may hold a part of dx

    def forward(self, x: Array, count: int, h: int, batch_first: bool) -> tuple[Array, ...]:
        self.folded = x.shape
        self.shape = *x.shape[:2], count, h, x.shape[2] // (count * h)
        self.order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
        return tuple(x.reshape(self.shape).transpose(self.order))

    def backward(self, *grads: Array | None) -> Array:
        if (whole := self.whole(grads)) is not None:
            return whole.reshape(self.folded)
        dx = np.empty(self.shape, next(grad.dtype for grad in grads if grad is not None))
        for part, grad in zip(dx.transpose(self.order), grads, strict=True):
            part[...] = 0 if grad is None else grad
        return dx.reshape(self.folded)

    def whole(self, grads: tuple[Array | None, ...]) -> Array | None:
        """The array that the gradients are parts of, side by side; None if there is none."""
        whole = None if grads[0] is None else grads[0].base
        if type(whole) is not np.ndarray or whole.shape != self.shape:
            return None
        for part, grad in zip(whole.transpose(self.order), grads, strict=True):
            if grad is None or grad.base is not whole or grad.strides != part.strides:
                return None
            if grad.__array_interface__["data"] != part.__array_interface__["data"]:
                return None
        return whole


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
    """softmax(scale query key^T + attn_mask) value, in memory linear in T.

    query (..., Tq, D), key (..., Tk, D), value (..., Tk, Dv) -> (..., Tq, Dv). The axes before T
    broadcast.

    attn_mask: broadcasts to (..., Tq, Tk); bool (True = attend), or float, added to the scores. A
    query that may attend to no key gives zeros.
    dropout_p: the probability with which a weight is set to 0.
    is_causal: query i attends to the keys j <= i only.
    scale: 1 / sqrt(D), unless given.
    enable_gqa: h heads of query share h_kv heads of key and value, h / h_kv at a time.

    Raises RuntimeError where dtypes or shapes do not fit together.
    (Vaswani et al. 2017, arXiv:1706.03762)

    >>> query, key = ta.tensor([[1.0, 0.0]]), ta.tensor([[9.0, 0.0], [0.0, 9.0]])
    >>> F.scaled_dot_product_attention(query, key, ta.tensor([[1.0], [2.0]]))
    tensor([[1.0017]])
    """
    q = as_tensor(query, "query")._array
    k, v = as_tensor(key, "key")._array, as_tensor(value, "value")._array
    check_inputs(_NAME, q, k, v)
    if q.shape[-1] != k.shape[-1]:
        raise RuntimeError(
            f"{_NAME}: key: expected D = {q.shape[-1]} features as in query {list(q.shape)}, got "
            f"D = {k.shape[-1]} in {list(k.shape)}"
        )
    group = _group(_NAME, q, k, v) if enable_gqa else 1
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(
            f"{_NAME}: dropout_p: dropout probability has to be between 0 and 1, but got "
            f"{dropout_p}"
        )
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError(
                f"{_NAME}: attn_mask: Explicit attn_mask should not be set when is_causal=True"
            )
        attn_mask = as_mask(_NAME, "attn_mask", attn_mask, q, k, batch_of(_NAME, q, k, v, group))
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


def check_inputs(name: str, q: Array, k: Array, v: Array) -> None:
    """RuntimeError where query, key and value of an attention do not fit together.

    The score decides what their features D have to be: that is not checked here."""
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
    if k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"{name}: value: expected Tk = {k.shape[-2]} steps as in key {list(k.shape)}, got "
            f"Tk = {v.shape[-2]} in {list(v.shape)}"
        )


def _group(name: str, q: Array, k: Array, v: Array) -> int:
    """How many heads of the query share one head of the key."""
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


def as_mask(
    name: str, argument: str, given: Tensor, q: Array, k: Array, batch: tuple[int, ...]
) -> Tensor:
    """The mask of an attention, once its dtype and shape are known to fit.

    A mask that is added to the scores is given back in the dtype of the query."""
    mask = as_tensor(given, argument)._array
    if mask.dtype != np.bool_ and mask.dtype != q.dtype:
        if mask.dtype != np.float32:
            raise RuntimeError(
                f"{name}: Expected {argument} dtype to be bool or float or to match query dtype, "
                f"but got {argument} {mask.dtype} and query {q.dtype}"
            )
        given = given.to(q.dtype)
    scores = (*batch, q.shape[-2], k.shape[-2])
    fits = mask.ndim <= len(scores) and all(
        size in (1, whole) for size, whole in zip(mask.shape[::-1], scores[::-1], strict=False)
    )
    if not fits:
        message = (
            f"{name}: {argument}: The size of tensor {argument} {list(mask.shape)} must broadcast "
            f"to (..., Tq, Tk) = {list(scores)}"
        )
        if mask.ndim == 2 and mask.shape[1] == k.shape[-2] and mask.shape[0] in batch[:1]:
            padding = ["B", *"1" * len(batch), "Tk"]
            message += (
                f"; a 2-D {argument} is (Tq, Tk): give a padding mask (B, Tk) as "
                f"({', '.join(padding)}), or as key_padding_mask where a module takes one"
            )
        raise RuntimeError(message)
    return given
