"""Attention with any score: `attention`, and the dictionary `scores` of the functions it can use.

A score says how well key j fits query i: query (..., Tq, D), key (..., Tk, D) -> (..., Tq, Tk).
The others are made of products and norms; `additive` is the one with a kernel of its own. Read
`dot`, then `attention`.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.attention import as_mask, batch_of, check_inputs, scaled_dot_product_attention
from tinyattn.ops.normalising import softmax
from tinyattn.ops.products import linear, matmul
from tinyattn.ops.random import dropout_of
from tinyattn.ops.reductions import norm

# score(query, key, **parameters) -> the scores, (..., Tq, Tk)
Score: TypeAlias = Callable[..., Tensor]


def dot(query: Tensor, key: Tensor) -> Tensor:
    """s_ij = q_i . k_j.  With g = dL/ds:  dq_i = sum_j g_ij k_j,  dk_j = sum_i g_ij q_i.

    (Luong, Pham, Manning 2015, arXiv:1508.04025)"""
    _same_width("dot", query, key)
    return matmul(query, key.transpose(-2, -1))


def scaled_dot(query: Tensor, key: Tensor, scale: float | None = None) -> Tensor:
    """s_ij = c q_i . k_j, where c is `scale`, or 1 / sqrt(D) if scale is not given.

    The sum of D products of independent numbers with variance 1 has variance D, and the gradient of
    softmax is close to 0 where scores are large: 1 / sqrt(D) gives them variance 1.

    (Vaswani et al. 2017, arXiv:1706.03762)"""
    _same_width("scaled_dot", query, key)
    if scale is None:
        scale = 1 / math.sqrt(max(query._array.shape[-1], 1))
    return dot(query * scale, key)


def general(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """s_ij = q_i^T W k_j, the dot product of W^T q_i and k_j, with weight W (Dq, Dk).

    With g = dL/ds:  dW = sum_ij g_ij q_i k_j^T.

    (Luong, Pham, Manning 2015, arXiv:1508.04025, "general")"""
    expected = query._array.shape[-1], key._array.shape[-1]
    if as_tensor(weight, "weight")._array.shape != expected:
        raise RuntimeError(
            f"general: weight: expected (Dq, Dk) = {list(expected)}, got {list(weight.shape)}"
        )
    return dot(matmul(query, weight), key)


def additive(
    query: Tensor,
    key: Tensor,
    weight_q: Tensor | None = None,
    weight_k: Tensor | None = None,
    v: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """s_ij = v . tanh(W_q q_i + W_k k_j + b): weight_q (H, Dq), weight_k (H, Dk), v and bias (H,).

    A query or key without a weight counts as projected already, (..., T, H): a decoder projects its
    keys once and uses them at every step. The gradient stands in AdditiveScores, which needs memory
    for (..., Tq, Tk), but not for (..., Tq, Tk, H).

    (Bahdanau, Cho, Bengio 2014, arXiv:1409.0473)"""
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


def cosine(query: Tensor, key: Tensor, temperature: float = 1.0, eps: float = 1e-8) -> Tensor:
    """s_ij = q_i . k_j / (|q_i| |k_j| temperature). A norm below eps counts as eps.

    With u = x / |x|,  du/dx = (I - u u^T) / |x|: the gradient at q_i is orthogonal to q_i.
    With temperature 1 the scores of n keys lie within [-1, 1], and so no weight is larger than
    e^2 / (n - 1 + e^2): sharp attention needs a temperature well below 1.

    (Graves, Wayne, Danihelka 2014, arXiv:1410.5401)"""
    _same_width("cosine", query, key)
    if not temperature > 0:
        raise ValueError(f"cosine: temperature: expected a positive number, got {temperature}")
    return dot(query / (_norms(query, eps) * temperature), key / _norms(key, eps))


def neg_sq_distance(query: Tensor, key: Tensor, scale: float = 1.0) -> Tensor:
    """s_ij = -scale |q_i - k_j|^2 = scale (2 q_i . k_j - |q_i|^2 - |k_j|^2).

    With g = dL/ds:  dq_i = -2 scale sum_j g_ij (q_i - k_j),  dk_j = 2 scale sum_i g_ij (q_i - k_j).
    The second form needs no array (..., Tq, Tk, D). It loses digits where the norms are much larger
    than the distances. Attention with this score is Nadaraya-Watson regression with a Gaussian
    kernel."""
    _same_width("neg_sq_distance", query, key)
    of_q = (query * query).sum(-1, keepdim=True)
    of_k = (key * key).sum(-1, keepdim=True).transpose(-2, -1)
    return (dot(query * 2, key) - of_q - of_k) * scale


def geometric_mean(query: Tensor, key: Tensor, eps: float = 1e-8) -> Tensor:
    """s_ij = q_i . k_j / sqrt(|q_i| |k_j|): the cosine times the geometric mean of the two norms.

    With n = |x| and u = x / n,  d(x / sqrt n)/dx = (I - u u^T / 2) / sqrt n. A norm below eps
    counts as eps."""
    _same_width("geometric_mean", query, key)
    return dot(query / _norms(query, eps).sqrt(), key / _norms(key, eps).sqrt())


scores: dict[str, Score] = {
    "dot": dot,
    "scaled_dot": scaled_dot,
    "general": general,
    "additive": additive,
    "cosine": cosine,
    "neg_sq_distance": neg_sq_distance,
    "geometric_mean": geometric_mean,
}

# The scores that scaled_dot_product_attention computes: from their parameters, its scale.
_PRODUCTS: dict[Score, Callable[..., float | None]] = {
    dot: lambda: 1.0,
    scaled_dot: lambda scale=None: scale,
}


@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: str | Score = ...,
    mask: Tensor | None = ...,
    dropout_p: float = ...,
    need_weights: Literal[False] = ...,
    **parameters: Any,
) -> Tensor: ...
@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: str | Score = ...,
    mask: Tensor | None = ...,
    dropout_p: float = ...,
    *,
    need_weights: Literal[True],
    **parameters: Any,
) -> tuple[Tensor, Tensor]: ...
@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: str | Score = ...,
    mask: Tensor | None = ...,
    dropout_p: float = ...,
    need_weights: bool = ...,
    **parameters: Any,
) -> Tensor | tuple[Tensor, Tensor]: ...
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: str | Score = "scaled_dot",
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    need_weights: bool = False,
    **parameters: Any,
) -> Tensor | tuple[Tensor, Tensor]:
    """The mean of the values, weighted by the softmax of the scores over the keys.

    query (..., Tq, D), key (..., Tk, D), value (..., Tk, Dv) -> (..., Tq, Dv).

    score: a name in `scores`, or a function score(query, key, **parameters) -> (..., Tq, Tk).
    mask: broadcasts to (..., Tq, Tk); bool (True = attend), or float, added to the scores. A query
    that may attend to no key gives zeros, and has zero gradients.
    dropout_p: the probability with which a weight is set to 0.
    need_weights: give (output, weights) with the weights (..., Tq, Tk). Without them, the scores
    dot and scaled_dot need memory linear in T.
    parameters: of the score, such as `weight` or `temperature`.

    Raises RuntimeError where dtypes or shapes do not fit together, ValueError for an unknown score.

    >>> query, key = ta.tensor([[1.0, 0.0]]), ta.tensor([[9.0, 0.0], [0.0, 9.0]])
    >>> ta.attention(query, key, ta.tensor([[1.0], [2.0]]), "cosine", need_weights=True)
    (tensor([[1.2689]]), tensor([[0.7311, 0.2689]]))
    """
    q = as_tensor(query, "query")._array
    k, v = as_tensor(key, "key")._array, as_tensor(value, "value")._array
    check_inputs("attention", q, k, v)
    batch_of("attention", q, k, v)
    if mask is not None:
        batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        mask = as_mask("attention", "mask", mask, q, k, batch)
    if not callable(score) and score not in scores:
        raise ValueError(f"score: expected a function or one of {', '.join(scores)}, got {score!r}")
    function = score if callable(score) else scores[score]
    if not need_weights and function in _PRODUCTS:
        scale = _PRODUCTS[function](**parameters)
        return scaled_dot_product_attention(query, key, value, mask, dropout_p, scale=scale)
    s = function(query, key, **parameters)
    shape = q.shape[-2], k.shape[-2]
    if as_tensor(s, "score")._array.shape[-2:] != shape:
        raise RuntimeError(
            f"score: expected (..., Tq, Tk) = (..., {shape[0]}, {shape[1]}), got "
            f"{list(s._array.shape)}"
        )
    weights = masked_softmax(s, mask)
    weights = dropout_of(weights, dropout_p, lambda part: part.of_weights(weights.shape))
    output = matmul(weights, value)
    return (output, weights) if need_weights else output


class AdditiveScores(Function):
    """s_ij = sum_h v_h t_ijh,  t_ijh = tanh(q_ih + k_jh).

    tanh' = 1 - t^2, so with g = dL/ds and d_ijh = g_ij v_h (1 - t_ijh^2):
        dq_i = sum_j d_ij,  dk_j = sum_i d_ij,  dv_h = sum_ij g_ij t_ijh.
    Backward computes t again, so that no array (Tq, Tk, H) is kept.
    """

    kernels_only = True
    fresh = True

    def forward(self, q: Array, k: Array, v: Array) -> Array:
        self.kernels = backend()
        self.save(q=q, k=k, v=v)
        q3, k3 = self._three(q, k)
        s = self.kernels.additive(q3, k3, v)
        return s.reshape(*self.batch, *s.shape[1:])

    def backward(self, grad: Array) -> tuple[Array, Array, Array]:
        q, k, v = self.saved["q"], self.saved["k"], self.saved["v"]
        grad = grad.reshape(math.prod(self.batch), *grad.shape[-2:])
        q3, k3 = self._three(q, k)
        dq, dk, dv = self.kernels.additive_backward(grad, q3, k3, v)
        dq, dk = (d.reshape(*self.batch, *d.shape[1:]) for d in (dq, dk))
        return dq, dk, dv

    def _three(self, *both: Array) -> list[Array]:
        """Both (..., T, H) as (B, T, H), their first axes broadcast and made one."""
        batches = [x.shape[:-2] for x in both]
        self.batch = batch = np.broadcast_shapes(*batches)
        if len(batch) == 1 and batches == [batch, batch]:
            return list(both)
        B = math.prod(batch)
        return [np.broadcast_to(x, batch + x.shape[-2:]).reshape(B, *x.shape[-2:]) for x in both]


class MaskedSoftmax(Function):
    """y_ij = e^x_ij / sum_k e^x_ik over the keys k that the mask allows; y_ij = 0 for the others.

    The gradient of softmax,  dx_ij = y_ij (g_ij - sum_k g_ik y_ik),  holds for the masked keys too:
    it is 0 where y is 0. A row whose keys are all masked is 0, and so is its gradient.
    """

    kernels_only = True
    fresh = True
    attends = True

    def forward(self, x: Array, mask: Array) -> Array:
        self.kernels = backend()
        y = self.kernels.softmax(x, mask)
        self.save(y=y)
        return y

    def backward(self, grad: Array) -> tuple[Array, None]:
        y = self.saved["y"]
        return self.kernels.softmax_backward(y, grad), None

    def attention_weights(self, inputs: tuple[Any, ...], output: Array) -> tuple[Array, Array]:
        x, mask = inputs
        return output, np.where(mask, x, -np.inf)


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """The attention weights of scores (..., Tq, Tk): softmax over the keys that mask allows.

    mask: as for `attention`."""
    if mask is None:
        return softmax(scores, -1)
    if mask._array.dtype != np.bool_:
        scores = scores + mask
        mask = results.wrap(mask._array != -np.inf)
    return MaskedSoftmax.apply(scores, mask)


def _norms(x: Tensor, eps: float) -> Tensor:
    return norm(x, 2, -1, True).clamp(min=eps)


def _same_width(name: str, query: Tensor, key: Tensor) -> None:
    q, k = as_tensor(query, "query")._array.shape, as_tensor(key, "key")._array.shape
    if q[-1:] != k[-1:]:
        raise RuntimeError(
            f"{name}: key: expected D = {q[-1]} features as in query {list(q)}, got D = {k[-1]} in "
            f"{list(k)}"
        )
