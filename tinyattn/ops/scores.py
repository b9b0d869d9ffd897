"""Attention by any score: `attention`, over the dictionary `scores` of plain functions.

A score says how much query i wants key j: query (..., Tq, D), key (..., Tk, D) -> (..., Tq, Tk).
Only `additive` has a kernel of its own, kernels/*/additive; the others are products.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels import backend
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.attention import scaled_dot_product_attention
from tinyattn.ops.normalising import softmax
from tinyattn.ops.products import linear, matmul
from tinyattn.ops.random import dropout
from tinyattn.ops.reductions import norm


def dot(query: Any, key: Any) -> Any:
    """s_ij = q_i . k_j;  ds: dq_i = sum_j g_ij k_j, dk_j = sum_i g_ij q_i.

    (Luong, Pham, Manning 2015, arXiv:1508.04025)"""
    _same_width("dot", query, key)
    return matmul(query, key.transpose(-2, -1))


def scaled_dot(query: Any, key: Any, scale: float | None = None) -> Any:
    """s_ij = c q_i . k_j with c = 1 / sqrt(D) unless given: a sum of D products of independent
    numbers of variance 1 has variance D, and softmax of large scores has no gradient.

    (Vaswani et al. 2017, arXiv:1706.03762)"""
    _same_width("scaled_dot", query, key)
    if scale is None:
        scale = 1 / math.sqrt(max(query._array.shape[-1], 1))
    return dot(query * scale, key)


def general(query: Any, key: Any, weight: Any) -> Any:
    """s_ij = q_i^T W k_j, weight (Dq, Dk): a dot product of W^T q_i and k_j, so dW = sum_ij g_ij
    q_i k_j^T.

    (Luong, Pham, Manning 2015, arXiv:1508.04025, "general")"""
    expected = query._array.shape[-1], key._array.shape[-1]
    if as_tensor(weight, "weight")._array.shape != expected:
        raise RuntimeError(
            f"general: weight: expected (Dq, Dk) = {list(expected)}, got {list(weight.shape)}"
        )
    return dot(matmul(query, weight), key)


def additive(
    query: Any,
    key: Any,
    weight_q: Any = None,
    weight_k: Any = None,
    v: Any = None,
    bias: Any = None,
) -> Any:
    """s_ij = v . tanh(W_q q_i + W_k k_j + b): weight_q (H, Dq), weight_k (H, Dk), v, bias (H,).

    Without a weight its side is taken as projected, (..., T, H): keys that many steps look at are
    projected once. The gradient stands in AdditiveScores, whose memory is (..., Tq, Tk), never
    (..., Tq, Tk, H). (Bahdanau, Cho, Bengio 2014, arXiv:1409.0473)"""
    q = query if weight_q is None else linear(query, weight_q, bias)
    if weight_q is None and bias is not None:
        q = q + bias
    k = key if weight_k is None else linear(key, weight_k)
    H = as_tensor(v, "v")._array.shape
    if len(H) != 1 or q._array.shape[-1:] != H or k._array.shape[-1:] != H:
        raise RuntimeError(
            f"additive: expected query (..., Tq, H), key (..., Tk, H), once projected, and v (H,), "
            f"got {list(q._array.shape)}, {list(k._array.shape)} and {list(H)}"
        )
    return AdditiveScores.apply(q, k, v)


def cosine(query: Any, key: Any, temperature: float = 1.0, eps: float = 1e-8) -> Any:
    """s_ij = q_i . k_j / (|q_i| |k_j| temperature), norms below eps taken as eps.

    With u = x / |x|, du/dx = (I - u u^T) / |x|: the gradient at q_i is at right angles to q_i.
    Scores within [-1, 1] over n keys let no weight pass e^2 / (n - 1 + e^2): sharp attention needs
    a temperature well below 1. (Graves, Wayne, Danihelka 2014, arXiv:1410.5401)"""
    _same_width("cosine", query, key)
    if not temperature > 0:
        raise ValueError(f"cosine: temperature: expected a positive number, got {temperature}")
    return dot(query / (_norms(query, eps) * temperature), key / _norms(key, eps))


def neg_sq_distance(query: Any, key: Any, scale: float = 1.0) -> Any:
    """s_ij = -scale |q_i - k_j|^2 = scale (2 q_i . k_j - |q_i|^2 - |k_j|^2), so that no array
    (..., Tq, Tk, D) is made;  dq_i = -2 scale sum_j g_ij (q_i - k_j), and dk_j likewise.

    Where norms are far larger than distances, the difference of large numbers costs digits. Softmax
    of it is Nadaraya-Watson regression with a Gaussian kernel."""
    _same_width("neg_sq_distance", query, key)
    of_q = (query * query).sum(-1, keepdim=True)
    of_k = (key * key).sum(-1, keepdim=True).transpose(-2, -1)
    return (dot(query * 2, key) - of_q - of_k) * scale


def geometric_mean(query: Any, key: Any, eps: float = 1e-8) -> Any:
    """s_ij = q_i . k_j / sqrt(|q_i| |k_j|): the cosine times the geometric mean of the norms, half
    way between cosine and dot. Norms below eps are taken as eps.

    With n = |x|, d(x / sqrt n)/dx = (I - u u^T / 2) / sqrt n, u = x / n."""
    _same_width("geometric_mean", query, key)
    return dot(query / _norms(query, eps).sqrt(), key / _norms(key, eps).sqrt())


scores: dict[str, Callable[..., Any]] = {
    "dot": dot,
    "scaled_dot": scaled_dot,
    "general": general,
    "additive": additive,
    "cosine": cosine,
    "neg_sq_distance": neg_sq_distance,
    "geometric_mean": geometric_mean,
}

# The scores that scaled_dot_product_attention computes itself: their parameters to its scale.
_PRODUCTS: dict[Any, Callable[..., Any]] = {dot: lambda: 1.0, scaled_dot: lambda scale=None: scale}


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: str | Callable[..., Any] = "scaled_dot",
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    need_weights: bool = False,
    **parameters: Any,
) -> Any:
    """The mean of the values, weighted by the softmax of the scores over the keys: query
    (..., Tq, D), key (..., Tk, D), value (..., Tk, Dv) -> (..., Tq, Dv).

    score: a name in `scores`, or a function of its own, score(query, key, **parameters) ->
    (..., Tq, Tk). mask broadcasts to (..., Tq, Tk): bool (True = attend), or float, added to the
    scores. A query that may attend nothing gives zeros, and zero gradients. dropout_p acts on the
    weights. need_weights: (output, weights (..., Tq, Tk)).

    Without weights, dot and scaled_dot take memory linear in T.
    """
    _check_inputs(query, key, value, mask)
    if not callable(score) and score not in scores:
        raise ValueError(f"score: expected a function or one of {', '.join(scores)}, got {score!r}")
    function = score if callable(score) else scores[score]
    if not need_weights and function in _PRODUCTS:
        scale = _PRODUCTS[function](**parameters)
        return scaled_dot_product_attention(query, key, value, mask, dropout_p, scale=scale)
    s = function(query, key, **parameters)
    shape = query._array.shape[-2], key._array.shape[-2]
    if as_tensor(s, "score")._array.shape[-2:] != shape:
        raise RuntimeError(
            f"score: expected (..., Tq, Tk) = (..., {shape[0]}, {shape[1]}), got "
            f"{list(s._array.shape)}"
        )
    weights = dropout(masked_softmax(s, mask), dropout_p)
    output = matmul(weights, value)
    return (output, weights) if need_weights else output


class AdditiveScores(Function):
    """s_ij = sum_h v_h t_ijh,  t_ijh = tanh(q_ih + k_jh).

    tanh' = 1 - t^2, so with d_ijh = g_ij v_h (1 - t_ijh^2):  dq_i = sum_j d_ij,  dk_j = sum_i d_ij,
    dv_h = sum_ij g_ij t_ijh.  Backward computes t again: nothing (Tq, Tk, H) is kept.
    """

    fresh = True

    def forward(self, q: Any, k: Any, v: Any) -> Any:
        self.kernels = backend()
        self.save(q=q, k=k, v=v)
        q3, k3 = self._three(q, k)
        s = self.kernels.additive(q3, k3, v)
        return s.reshape(*self.batch, *s.shape[1:])

    def backward(self, grad: Any) -> Any:
        q, k, v = self.saved["q"], self.saved["k"], self.saved["v"]
        grad = grad.reshape(math.prod(self.batch), *grad.shape[-2:])
        q3, k3 = self._three(q, k)
        dq, dk, dv = self.kernels.additive_backward(grad, q3, k3, v)
        dq, dk = (d.reshape(*self.batch, *d.shape[1:]) for d in (dq, dk))
        return dq, dk, dv

    def _three(self, *both: Any) -> list[Any]:
        """(..., T, H) as (B, T, H), the batch axes broadcast."""
        batches = [x.shape[:-2] for x in both]
        self.batch = batch = np.broadcast_shapes(*batches)
        if len(batch) == 1 and batches == [batch, batch]:
            return list(both)
        B = math.prod(batch)
        return [np.broadcast_to(x, batch + x.shape[-2:]).reshape(B, *x.shape[-2:]) for x in both]


class MaskedSoftmax(Function):
    """Softmax over the keys j that the mask lets through; a row without any is zero.

    y_ij = 0 elsewhere, so softmax's own  dx_j = y_j (g_j - sum_i g_i y_i)  is zero there too.
    """

    fresh = True

    def forward(self, x: Any, mask: Any) -> Any:
        self.kernels = backend()
        y = self.kernels.softmax(x, mask)
        self.save(y=y)
        return y

    def backward(self, grad: Any) -> Any:
        y = self.saved["y"]
        return self.kernels.softmax_backward(y, grad), None


def masked_softmax(scores: Any, mask: Any = None) -> Any:
    """The weights of scores (..., Tq, Tk): softmax over the keys. mask as `attention` takes it."""
    if mask is None:
        return softmax(scores, -1)
    if mask._array.dtype != np.bool_:
        scores = scores + mask
        mask = results.wrap(mask._array != -np.inf)
    return MaskedSoftmax.apply(scores, mask)


def _norms(x: Any, eps: float) -> Any:
    return norm(x, 2, -1, True).clamp(min=eps)


def _same_width(name: str, query: Any, key: Any) -> None:
    q, k = as_tensor(query, "query")._array.shape, as_tensor(key, "key")._array.shape
    if q[-1:] != k[-1:]:
        raise RuntimeError(
            f"{name}: key: expected D = {q[-1]} features as in query {list(q)}, got D = {k[-1]} in "
            f"{list(k)}"
        )


def _check_inputs(query: Any, key: Any, value: Any, mask: Any) -> None:
    """RuntimeError, naming the argument and both sizes, where they don't fit together."""
    named = {"query": query, "key": key, "value": value}
    q, k, v = (as_tensor(x, name)._array for name, x in named.items())
    for name, x in (("query", q), ("key", k), ("value", v)):
        if x.dtype.kind != "f" or x.dtype != q.dtype:
            raise RuntimeError(
                f"attention: {name}: expected query, key and value of one dtype, float32 or "
                f"float64, got {q.dtype}, {k.dtype} and {v.dtype}"
            )
        if x.ndim < 2:
            raise RuntimeError(
                f"attention: {name}: expected at least 2 axes, (..., T, D), got {list(x.shape)}"
            )
    if k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"attention: value: expected Tk = {k.shape[-2]} steps as in key {list(k.shape)}, got "
            f"Tk = {v.shape[-2]} in {list(v.shape)}"
        )
    try:
        np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    except ValueError:
        raise RuntimeError(
            f"attention: the axes before T of query {list(q.shape)}, key {list(k.shape)} and value "
            f"{list(v.shape)} don't broadcast"
        ) from None
    if mask is None:
        return
    m = as_tensor(mask, "mask")._array
    if m.dtype != np.bool_ and m.dtype != q.dtype:
        raise RuntimeError(
            f"attention: mask: expected bool (True = attend) or {q.dtype} as the query, got "
            f"{m.dtype}"
        )
    whole = (*np.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2])
    fits = m.ndim <= len(whole) and all(
        a in (1, b) for a, b in zip(m.shape[::-1], whole[::-1], strict=False)
    )
    if not fits:
        raise RuntimeError(
            f"attention: mask: expected a shape that broadcasts to (..., Tq, Tk) = {list(whole)}, "
            f"got {list(m.shape)}; a padding mask (B, Tk) goes in as (B, 1, Tk)"
        )
