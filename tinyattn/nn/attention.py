"""Attention as modules: `Attention` for any score, `MultiheadAttention` with PyTorch's arguments,
and the cache for decoding step by step. The functions are in ops/scores.py and ops/attention.py.
Look first at MultiheadAttention.forward.

Letters: B batch, Tq and Tk steps of queries and keys, E features, h heads of D = E / h features.
"""

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.compat.settings import SDPBackend as SDPBackend
from tinyattn.compat.settings import sdpa_kernel as sdpa_kernel
from tinyattn.nn import init
from tinyattn.nn.functional import attention, linear, scaled_dot_product_attention
from tinyattn.nn.linear import Linear
from tinyattn.nn.module import OverloadedForward
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.ops.attention import SplitHeads
from tinyattn.ops.creation import ones, zeros
from tinyattn.ops.shape import cat


class Attention(OverloadedForward):
    """`functional.attention` with the parameters of its score: query (..., Tq, query_size), key
    (..., Tk, key_size), value (..., Tk, Dv) -> (..., Tq, Dv).

    score: a name in functional.scores. Two scores have parameters: "general" weight (query_size,
    key_size); "additive" weight_q (hidden_size, query_size), weight_k (hidden_size, key_size), v
    (hidden_size,) and, with bias, bias (hidden_size,). They need query_size; key_size and
    hidden_size are equal to it unless given.
    dropout: probability with which a weight becomes 0 in training. options: further arguments of
    the score, such as scale or temperature.

    >>> attention = nn.Attention("additive", query_size=8, key_size=6, hidden_size=4)
    >>> query, key, value = ta.randn(3, 1, 8), ta.randn(3, 5, 6), ta.randn(3, 5, 7)
    >>> output, weights = attention(query, key, value, need_weights=True)
    >>> output.shape, weights.shape
    ((3, 1, 7), (3, 1, 5))
    """

    weight: Parameter
    weight_q: Parameter
    weight_k: Parameter
    v: Parameter
    bias: Parameter

    def __init__(
        self,
        score: str = "scaled_dot",
        query_size: int | None = None,
        key_size: int | None = None,
        hidden_size: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        device: Device = None,
        dtype: DTypeLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.score, self.dropout, self.options = score, dropout, options
        shapes: dict[str, tuple[int, ...]] = {}
        if score in ("general", "additive"):
            if query_size is None:
                raise ValueError(f"query_size: the score {score!r} has weights of that size")
            K, H = key_size or query_size, hidden_size or query_size
            if score == "general":
                shapes = {"weight": (query_size, K)}
            else:
                shapes = {"weight_q": (H, query_size), "weight_k": (H, K), "v": (H,)}
                shapes |= {"bias": (H,)} if bias else {}
        self.names = list(shapes)
        for name, shape in shapes.items():
            self.register_parameter(name, unset(*shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew; bias becomes zeros."""
        for name, param in self.named_parameters():
            if name == "bias":
                init.zeros_(param)
            elif name == "v":
                init.normal_(param, std=param.shape[0] ** -0.5)
            else:
                init.xavier_uniform_(param)

    @overload
    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: Literal[False] = False,
    ) -> Tensor: ...

    @overload
    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        *,
        need_weights: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The output (..., Tq, Dv); need_weights: the pair of it and the weights (..., Tq, Tk).

        mask broadcasts to (..., Tq, Tk): bool, True = attend, or float, added to the scores.
        """
        parameters = {name: getattr(self, name) for name in self.names}
        p = self.dropout if self.training else 0.0
        result: Tensor | tuple[Tensor, Tensor] = attention(
            query, key, value, self.score, mask, p, need_weights, **parameters, **self.options
        )
        return result

    def extra_repr(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.options.items()]
        return ", ".join([repr(self.score), *given])


class ShapeError(RuntimeError, AssertionError):
    """Arguments whose shapes do not fit together. It is also an AssertionError, which is what
    PyTorch raises.
    """


class KeyValueCache:
    """The keys and values (B, h, T, D) of the steps that one attention has seen, so that a later
    step is computed without those before it.

    grows False: for attention to a memory, which is the same at every step. Its keys and values
    are computed at the first step and then used again.
    """

    keys: Tensor | None = None
    values: Tensor | None = None

    def __init__(self, grows: bool = True) -> None:
        self.grows = grows

    def __len__(self) -> int:
        """How many steps are stored."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new steps; return those of all steps."""
        if self.keys is not None and self.values is not None:
            keys, values = cat([self.keys, keys], -2), cat([self.values, values], -2)
        self.keys, self.values = keys, values
        return keys, values

    def reorder(self, index: Tensor) -> None:
        """Row b of the batch becomes the old row index[b]: in beam search, the hypothesis that the
        new one continues.
        """
        if self.keys is not None and self.values is not None:
            self.keys = self.keys.index_select(0, index)
            self.values = self.values.index_select(0, index)


class MultiheadAttention(OverloadedForward):
    """concat_i(softmax(Q_i K_i^T / sqrt(D)) V_i) W_o^T + b_o, where each of the h heads i has
    linear maps Q_i, K_i, V_i of query, key and value (Vaswani et al. 2017, arXiv:1706.03762).

    query (Tq, B, E), key (Tk, B, kdim), value (Tk, B, vdim); batch_first: (B, Tq, E) and so on; a
    single sequence is given without B. Returns the output and the weights, see forward. Masks say
    what to ignore, as in PyTorch. PyTorch gives NaN for a query that may attend nothing; here its
    heads give zeros.

    embed_dim: E. num_heads: h, which must divide E. dropout: probability with which a weight
    becomes 0 in training. add_bias_kv: one more key and value, both learnt. add_zero_attn: one more
    key and value, both zero. kdim, vdim: features of key and value, E unless given.

    >>> attention = nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
    >>> x = ta.randn(3, 5, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise ShapeError(
                "embed_dim must be divisible by num_heads, got E = "
                f"{embed_dim} features and h = {num_heads} heads"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        E, together = embed_dim, self.kdim == self.vdim == embed_dim
        shapes: dict[str, tuple[int, ...] | None] = {
            "in_proj_weight": (3 * E, E) if together else None,
            "q_proj_weight": None if together else (E, E),
            "k_proj_weight": None if together else (E, self.kdim),
            "v_proj_weight": None if together else (E, self.vdim),
            "in_proj_bias": (3 * E,) if bias else None,
            "bias_k": (1, 1, E) if add_bias_kv else None,
            "bias_v": (1, 1, E) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(
                name, shape if shape is None else unset(*shape, device=device, dtype=dtype)
            )
        self.out_proj = Linear(E, E, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of the heads anew; the biases of the linear maps become zeros."""
        for name, param in self.named_parameters(recurse=False):
            if name.endswith("weight"):
                init.xavier_uniform_(param)
            elif name == "in_proj_bias":
                init.zeros_(param)
            else:
                init.xavier_normal_(param)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    @overload
    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: Literal[True] = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor]: ...

    @overload
    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]: ...

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, in the layout of query, and the attention weights: (B, Tq, Tk), the mean over
        the heads; (B, h, Tq, Tk) if average_attn_weights is False; None if need_weights is False.

        key_padding_mask (B, Tk), attn_mask (Tq, Tk) or (B h, Tq, Tk): bool, True = ignore, or
        float, added to the scores. is_causal states that attn_mask is the causal mask, so that it
        need not be read. cache: its keys and values are attended, too, and count in Tk; is_causal
        then needs no attn_mask. Shapes that do not fit raise ShapeError, a RuntimeError.
        """
        batched = self._check_inputs(query, key, value, key_padding_mask, attn_mask)
        if not batched:
            one = 0 if self.batch_first else 1
            # One tensor that is given several times must stay one: see _project.
            new = {id(x): x.unsqueeze(one) for x in {query, key, value}}
            query, key, value = (new[id(x)] for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        time = 1 if self.batch_first else 0
        fixed = cache is not None and not cache.grows
        before = 0 if cache is None else len(cache)
        B, Tq, h = query.shape[1 - time], query.shape[time], self.num_heads
        Tk = before if before and fixed else before + key.shape[time]
        if is_causal and cache is not None and not fixed:
            attn_mask = ones(Tq, Tk, dtype=bool).triu(before + 1) if Tq > 1 else None
            is_causal = before == 0 and Tq > 1
        elif is_causal and attn_mask is None:
            raise RuntimeError("is_causal: Need attn_mask if specifying the is_causal hint.")
        if is_causal and key_padding_mask is None and not need_weights:
            attn_mask = None
        else:
            is_causal = False
        mask = _allowed(key_padding_mask, attn_mask, (B, h, Tq, Tk), query.dtype)
        q, k, v = self._project(query, key, value, cache)
        extra = []
        if self.bias_k is not None and self.bias_v is not None:
            extra.append(
                [b.reshape(1, h, 1, -1).expand(B, h, 1, -1) for b in (self.bias_k, self.bias_v)]
            )
        if self.add_zero_attn:
            extra.append([zeros(B, h, 1, self.head_dim, dtype=q.dtype)] * 2)
        for more_k, more_v in extra:
            k, v = cat([k, more_k], 2), cat([v, more_v], 2)
            if mask is not None:  # no mask hides the added keys
                fill = ones if mask.dtype == bool else zeros
                mask = cat([mask, fill(*mask.shape[:-1], 1, dtype=mask.dtype)], -1)
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            out, weights = attention(q, k, v, "scaled_dot", mask, p, need_weights=True)
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        else:
            out = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
        out = out.permute(0, 2, 1, 3) if self.batch_first else out.permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(*out.shape[:2], h * self.head_dim))
        return out if batched else out.squeeze(one), weights

    def _project(
        self, query: Tensor, key: Tensor, value: Tensor, cache: KeyValueCache | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of all heads, (B, h, T, D), by one product for each different
        input: one for self-attention, two if key is value, else three.
        """
        kept = None
        if cache is not None and not cache.grows and cache.keys is not None:
            assert cache.values is not None
            kept = cache.keys, cache.values
        joint = self.in_proj_weight is not None
        if joint and query is key and key is value and kept is None:
            q, k, v = self._heads(self._maps(query, 0, 3), 3)
            return q, *(cache.append(k, v) if cache is not None else (k, v))
        (q,) = self._heads(self._maps(query, 0, 1), 1)
        if kept is not None:
            return q, *kept
        if joint and key is value:
            k, v = self._heads(self._maps(key, 1, 3), 2)
        else:
            (k,) = self._heads(self._maps(key, 1, 2), 1)
            (v,) = self._heads(self._maps(value, 2, 3), 1)
        return q, *(cache.append(k, v) if cache is not None else (k, v))

    def _maps(self, x: Tensor, first: int, end: int) -> Tensor:
        """x by the linear maps from `first` to `end` - 1 of those of the query (0), the key (1) and
        the value (2), side by side."""
        w, b = self.in_proj_weight, self.in_proj_bias
        rows = slice(first * self.num_heads * self.head_dim, end * self.num_heads * self.head_dim)
        if w is None:
            own = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)[first]
            assert own is not None
            return linear(x, own, b if b is None else b[rows])
        if end - first == 3:
            return linear(x, w, b)
        return linear(x, w[rows], b if b is None else b[rows])

    @property
    def _dtype(self) -> np.dtype[Any]:
        """The dtype that inputs must have."""
        return self.out_proj.weight.dtype

    def _heads(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """(T, B, count E), or with B first, as `count` tensors (B, h, T, D), which are views."""
        heads: tuple[Tensor, ...] = SplitHeads.apply(x, count, self.num_heads, self.batch_first)
        return heads

    def _check_inputs(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        attn_mask: Tensor | None,
    ) -> bool:
        """Whether there is a batch axis; errors name the argument and both sizes."""
        if query.ndim not in (2, 3):
            raise ShapeError(
                "query should be unbatched 2D or batched 3D tensor but received "
                f"{query.ndim}-D query tensor"
            )
        kind = "batched (3-D)" if query.ndim == 3 else "unbatched (2-D)"
        if not key.ndim == value.ndim == query.ndim:
            raise ShapeError(
                f"For {kind} `query`, expected `key` and `value` to be {query.ndim}-D but found "
                f"{key.ndim}-D and {value.ndim}-D tensors respectively"
            )
        if key_padding_mask is not None and key_padding_mask.ndim != query.ndim - 1:
            raise ShapeError(
                f"For {kind} `query`, expected `key_padding_mask` to be `None` or "
                f"{query.ndim - 1}-D but found {key_padding_mask.ndim}-D tensor instead"
            )
        if attn_mask is not None and attn_mask.ndim not in (2, 3):
            raise ShapeError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask.ndim}-D tensor instead"
            )
        sizes = (("query", self.embed_dim), ("key", self.kdim), ("value", self.vdim))
        for x, (name, size) in zip((query, key, value), sizes, strict=True):
            if x.shape[-1] != size:
                raise ShapeError(
                    f"{name}: was expecting embedding dimension of E = {size}, but got "
                    f"{x.shape[-1]} in {list(x.shape)}"
                )
            if x.dtype != self._dtype:
                raise RuntimeError(
                    f"{name}: expected {self._dtype} as the weights have, got {x.dtype}"
                )
        if key.shape[:-1] != value.shape[:-1]:
            raise ShapeError(
                f"value: expected the Tk and B of key {list(key.shape)}, got {list(value.shape)}"
            )
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and query.shape[batch] != key.shape[batch]:
            raise ShapeError(
                f"key: expected B = {query.shape[batch]} as in query {list(query.shape)}, got B = "
                f"{key.shape[batch]} in {list(key.shape)}"
            )
        return query.ndim == 3

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


def _allowed(
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    shape: tuple[int, int, int, int],
    dtype: np.dtype,
) -> Tensor | None:
    """Both masks as one that broadcasts to shape (B, h, Tq, Tk): bool, True = attend, if both are
    bool; else floats of that dtype, to be added to the scores.
    """
    B, h, Tq, Tk = shape
    masks = []
    letters: str
    expected: tuple[int, ...]
    to: tuple[int, ...]
    for name, mask in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        if mask is None:
            continue
        if mask.dtype != bool and mask.dtype.kind != "f":
            raise ShapeError(
                f"{name}: only bool and floating types are supported, got {mask.dtype}"
            )
        if name == "key_padding_mask":
            letters, expected, to = "(B, Tk)", (B, Tk), (B, 1, 1, Tk)
        elif mask.ndim == 2:
            letters, expected, to = "(Tq, Tk)", (Tq, Tk), (1, 1, Tq, Tk)
        else:
            letters, expected, to = "(B h, Tq, Tk)", (B * h, Tq, Tk), shape
        if mask.shape != expected:
            hint = "; padding, (B, Tk), has its own argument: key_padding_mask"
            raise ShapeError(
                f"{name}: The shape of the {mask.ndim}D {name} is {list(mask.shape)}, but should "
                f"be {letters} = {list(expected)}" + (hint if letters == "(Tq, Tk)" else "")
            )
        masks.append(mask.reshape(to))
    if not masks:
        return None
    if all(mask.dtype == bool for mask in masks):
        whole = masks[0] if len(masks) == 1 else masks[0].logical_or(masks[1])
        return whole.logical_not()
    added = [
        zeros(*mask.shape, dtype=dtype).masked_fill(mask, float("-inf"))
        if mask.dtype == bool
        else mask.to(dtype)
        for mask in masks
    ]
    return added[0] if len(added) == 1 else added[0] + added[1]
