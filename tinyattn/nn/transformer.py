"""The Transformer (Vaswani et al. 2017, arXiv:1706.03762), with PyTorch's arguments and names.

A layer is attention and a feed-forward network, each with dropout, added to its input and followed
by layer normalisation, or preceded by it (norm_first; Xiong et al. 2020, arXiv:2002.04745). Look
first at TransformerDecoderLayer. Letters: T, S steps of target and source, B batch, E features.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

from tinyattn._tensor import Tensor
from tinyattn.nn import functional as F
from tinyattn.nn import init
from tinyattn.nn.attention import KeyValueCache, MultiheadAttention
from tinyattn.nn.containers import ModuleList
from tinyattn.nn.dropout import Dropout
from tinyattn.nn.linear import Linear
from tinyattn.nn.module import Module
from tinyattn.nn.normalization import LayerNorm
from tinyattn.ops.creation import full

Activation = str | Callable[[Tensor], Tensor]
LayerCache = tuple[KeyValueCache, KeyValueCache]  # of the target so far, of the memory


class _Layer(Module):
    """What both layers share: self-attention, the feed-forward network, and their order."""

    attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype
            )
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype)
        self.norm_first = norm_first
        numbers = range(1, len(self.attentions) + 2)
        for i in numbers:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
        for i in numbers:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _add(self, i: int, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """x + dropout(block(x)) with the i-th normalisation before the block or after the sum."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps with an activation between; (T, B, E) to the same, with
    batch_first (B, T, E)."""

    attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Masks as MultiheadAttention's attn_mask and key_padding_mask: True = ignore."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )[0]

        return self._add(2, self._add(1, src, attend), self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's memory, then two linear maps with an activation
    between."""

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """tgt (T, B, E), memory (S, B, E) -> (T, B, E). cache: tgt follows the steps it holds."""
        own, of_memory = cache or (None, None)

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal, cache=own
            )[0]

        def attend_to_memory(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x,
                memory,
                memory,
                memory_key_padding_mask,
                False,
                memory_mask,
                is_causal=memory_is_causal,
                cache=of_memory,
            )[0]

        x = self._add(1, tgt, attend)
        x = self._add(2, x, attend_to_memory)
        return self._add(3, x, self._feed_forward)


class TransformerEncoder(Module):
    """num_layers copies of encoder_layer in a row, then norm. PyTorch's nested tensors, which its
    last two arguments are about, change no number but those of padding."""

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """src (S, B, E) -> the same. is_causal None: find out whether mask is the causal one."""
        causal = _is_causal(mask, is_causal)
        for layer in self.layers:
            src = layer(
                src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of decoder_layer in a row, then norm.

    Step by step: `cache = decoder.new_cache()`, then decoder(step, memory, cache=cache) gives for
    each new step what the whole sequence at once gives there.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def new_cache(self) -> list[LayerCache]:
        """For one batch of targets over one memory; a step's tgt_key_padding_mask is (B, all steps
        so far), its tgt_mask (T, all steps so far)."""
        return [(KeyValueCache(), KeyValueCache(grows=False)) for _ in range(self.num_layers)]

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """tgt (T, B, E), memory (S, B, E) -> (T, B, E). tgt_is_causal None: find out whether
        tgt_mask is the causal one; with a cache and without a mask it is."""
        causal = _is_causal(tgt_mask, tgt_is_causal)
        if cache is not None and tgt_mask is None and tgt_is_causal is None:
            causal = True
        for i, layer in enumerate(self.layers):
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
                **({} if cache is None else {"cache": cache[i]}),
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder; every matrix starts by Glorot's uniform rule."""

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = d_model, nhead, dim_feedforward, dropout, activation
        rest = layer_norm_eps, batch_first, norm_first, bias, dtype

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*sizes, *rest)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm())
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*sizes, *rest)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for param in self.parameters():
            if param.ndim > 1:
                init.xavier_uniform_(param)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """src (S, B, E), tgt (T, B, E) -> (T, B, E); masks (S, S), (T, T), (T, S), padding (B, S),
        (B, T), (B, S)."""
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(
                f"tgt: the batch number of src and tgt must be equal, got B = {src.shape[batch]} "
                f"in src {list(src.shape)} and {tgt.shape[batch]} in tgt {list(tgt.shape)}"
            )
        for name, x in (("src", src), ("tgt", tgt)):
            if x.shape[-1] != self.d_model:
                raise RuntimeError(
                    f"{name}: the feature number of src and tgt must be equal to d_model, expected "
                    f"E = {self.d_model}, got {x.shape[-1]} in {list(x.shape)}"
                )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: Any = None) -> Tensor:
        """(sz, sz): -inf above the diagonal, 0 elsewhere; to be added to the scores."""
        return full((sz, sz), -math.inf, dtype=dtype).triu(1)


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if callable(activation):
        return activation
    named: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if activation not in named:
        raise RuntimeError(f"activation: activation should be relu/gelu, not {activation}")
    return named[activation]


def _is_causal(mask: Tensor | None, is_causal: bool | None) -> bool:
    """What the caller says, or else whether the mask hides exactly the later steps."""
    if is_causal is not None or mask is None:
        return bool(is_causal)
    later = Transformer.generate_square_subsequent_mask(mask.shape[-1], mask.dtype)
    return mask.shape == later.shape and bool((mask == later).all())
