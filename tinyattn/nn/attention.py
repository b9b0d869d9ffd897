"""Attention as modules: `Attention` for any score, `MultiheadAttention` with PyTorch's arguments,
and the cache that lets it read a sequence step by step. The functions stand in ops/scores.py and
ops/attention.py. Look first at MultiheadAttention.forward.

Letters: B batch, Tq and Tk steps, E features, h heads of D = E / h features.
"""

from typing import Any

from tinyattn._tensor import Tensor
from tinyattn.nn import init
from tinyattn.nn.functional import attention, linear, scaled_dot_product_attention
from tinyattn.nn.linear import Linear
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import unset
from tinyattn.ops.attention import SplitHeads
from tinyattn.ops.creation import ones, zeros
from tinyattn.ops.shape import cat


class Attention(Module):
    """`attention` with a score's parameters: query (..., Tq, query_size), key (..., Tk, key_size).

    score "general" has weight (query_size, key_size), "additive" weight_q (hidden_size,
    query_size), weight_k (hidden_size, key_size), v and bias (hidden_size,); the others have none.
    Sizes not given are query_size. What is left over (temperature, scale, ...) goes to the score.
    """

    def __init__(
        self,
        score: str = "scaled_dot",
        query_size: int | None = None,
        key_size: int | None = None,
        hidden_size: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        dtype: Any = None,
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
            self.register_parameter(name, unset(*shape, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for name, param in self.named_parameters():
            if name == "bias":
                init.zeros_(param)
            elif name == "v":
                init.normal_(param, std=param.shape[0] ** -0.5)
            else:
                init.xavier_uniform_(param)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Any:
        """(..., Tq, Dv), with need_weights also the weights (..., Tq, Tk); mask: True = attend."""
        parameters = {name: getattr(self, name) for name in self.names}
        p = self.dropout if self.training else 0.0
        return attention(
            query, key, value, self.score, mask, p, need_weights, **parameters, **self.options
        )

    def extra_repr(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.options.items()]
        return ", ".join([repr(self.score), *given])


class ShapeError(RuntimeError, AssertionError):
    """Arguments that don't fit together; an AssertionError too, which is what PyTorch raises."""


class KeyValueCache:
    """The keys and values (B, h, T, D) that one attention has seen, so that the next step only
    brings its own. With `grows` false they are those of a memory, projected at the first step.
    """

    keys: Any = None
    values: Any = None

    def __init__(self, grows: bool = True) -> None:
        self.grows = grows

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add steps behind those seen; all of them."""
        if self.keys is not None:
            keys, values = cat([self.keys, keys], -2), cat([self.values, values], -2)
        self.keys, self.values = keys, values
        return keys, values

    def reorder(self, index: Tensor) -> None:
        """Row index[b] becomes row b of the batch: what beam search does to its hypotheses."""
        if self.keys is not None:
            self.keys = self.keys.index_select(0, index)
            self.values = self.values.index_select(0, index)


class MultiheadAttention(Module):
    """concat_i(softmax(Q_i K_i^T / sqrt(D)) V_i) W_o^T + b_o, Q_i, K_i, V_i linear in query, key
    and value for each of h heads (Vaswani et al. 2017, arXiv:1706.03762).

    query (Tq, B, E), key (Tk, B, kdim), value (Tk, B, vdim), with batch_first (B, T, E); one
    sequence comes without B. Masks say what to ignore, as in PyTorch, which gives NaN for a query
    that may attend nothing; here its heads give zeros.
    """

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
        dtype: Any = None,
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
            self.register_parameter(name, shape if shape is None else unset(*shape, dtype=dtype))
        self.out_proj = Linear(E, E, bias, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for name, param in self.named_parameters(recurse=False):
            if name.endswith("weight"):
                init.xavier_uniform_(param)
            elif name == "in_proj_bias":
                init.zeros_(param)
                init.zeros_(self.out_proj.bias)
            else:
                init.xavier_normal_(param)

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
        """The output in query's layout, and the weights (B, Tq, Tk), or (B, h, Tq, Tk) if they are
        not averaged, or None unless need_weights.

        key_padding_mask (B, Tk), attn_mask (Tq, Tk) or (B h, Tq, Tk): bool, True = ignore, or
        float, added to the scores. is_causal says that attn_mask is the causal one and need not be
        read. cache: keys and values of earlier steps go before the new ones and count in Tk;
        is_causal then needs no attn_mask.
        """
        batched = self._check_inputs(query, key, value, key_padding_mask, attn_mask)
        if not batched:
            one = 0 if self.batch_first else 1
            new = {id(x): x.unsqueeze(one) for x in (query, key, value)}  # what is one stays one
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
        if self.bias_k is not None:
            extra.append(
                [b.reshape(1, h, 1, -1).expand(B, h, 1, -1) for b in (self.bias_k, self.bias_v)]
            )
        if self.add_zero_attn:
            extra.append([zeros(B, h, 1, self.head_dim, dtype=q.dtype)] * 2)
        for more_k, more_v in extra:
            k, v = cat([k, more_k], 2), cat([v, more_v], 2)
            if mask is not None:  # what is added may always be attended
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
        out = self.out_proj(out.reshape(*out.shape[:2], self.embed_dim))
        return out if batched else out.squeeze(one), weights

    def _project(
        self, query: Tensor, key: Tensor, value: Tensor, cache: KeyValueCache | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values by heads, (B, h, T, D); one product for each different input."""
        E, w, b = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        kept = (None, None) if cache is None or cache.grows else (cache.keys, cache.values)
        if w is not None and query is key and key is value and kept[0] is None:
            q, k, v = self._heads(linear(query, w, b), 3)
            return q, *(cache.append(k, v) if cache is not None else (k, v))
        w_q = self.q_proj_weight if w is None else w[:E]
        (q,) = self._heads(linear(query, w_q, b if b is None else b[:E]), 1)
        if kept[0] is not None:
            return q, *kept
        if w is not None and key is value:
            k, v = self._heads(linear(key, w[E:], b if b is None else b[E:]), 2)
        else:
            w_k, w_v = (self.k_proj_weight, self.v_proj_weight) if w is None else w[E:].chunk(2)
            b_k, b_v = (None, None) if b is None else b[E:].chunk(2)
            (k,) = self._heads(linear(key, w_k, b_k), 1)
            (v,) = self._heads(linear(value, w_v, b_v), 1)
        return q, *(cache.append(k, v) if cache is not None else (k, v))

    def _heads(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """(T, B, count E), or with B first, as `count` tensors (B, h, T, D): views."""
        return SplitHeads.apply(x, count, self.num_heads, self.batch_first)

    def _check_inputs(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any, attn_mask: Any
    ) -> bool:
        """Whether there is a batch; errors name the argument and both sizes."""
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
            if x.dtype != self.out_proj.weight.dtype:
                raise RuntimeError(
                    f"{name}: expected {self.out_proj.weight.dtype} as the weights have, got "
                    f"{x.dtype}"
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


def _allowed(key_padding_mask: Any, attn_mask: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Both masks as one that broadcasts to (B, h, Tq, Tk): bool with True = attend if both are
    bool, else float to be added, in that dtype."""
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
