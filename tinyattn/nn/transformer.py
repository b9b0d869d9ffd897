"""The Transformer (Vaswani et al. 2017, arXiv:1706.03762), with PyTorch's arguments and names.

A layer consists of blocks, attention or a feed-forward network. The output of a block, after
dropout, is added to its input. Layer normalisation follows the sum or, with norm_first, comes
before the block (Xiong et al. 2020, arXiv:2002.04745). Look first at TransformerDecoderLayer.

Letters: T and S steps of target and source, B batch, E features. In all of these classes d_model is
E, nhead the number of heads, dim_feedforward the width between the two linear maps, activation
"relu", "gelu" or a function, and batch_first says that B is the first axis. Masks are those of
MultiheadAttention: True = ignore, floats are added to the scores.
"""

import copy
import math
from collections.abc import Callable

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.kernels.recording import constant
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
LayerCache = tuple[KeyValueCache, KeyValueCache]  # of self-attention, of that to the memory


class _Layer(Module):
    """What both layers share: self-attention, the feed-forward network and the order of a block."""

    attentions: tuple[str, ...]
    self_attn: MultiheadAttention

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
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, device=device, dtype=dtype
            )
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, device, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device, dtype)
        self.norm_first = norm_first
        numbers = range(1, len(self.attentions) + 2)
        for i in numbers:
            self.add_module(
                f"norm{i}",
                LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype),
            )
        for i in numbers:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _add(self, i: int, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """x + dropout(block(x)), with the i-th normalisation before the block or after the sum."""
        norm: LayerNorm = getattr(self, f"norm{i}")
        dropout: Dropout = getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps with an activation between them.

    src (S, B, E), with batch_first (B, S, E), or (S, E) -> the same shape. norm_first: normalise
    the input of each block, not the sum after it.

    >>> layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, batch_first=True)
    >>> padding = ta.tensor([[False, False, True]])
    >>> layer(ta.randn(1, 3, 8), src_key_padding_mask=padding).shape
    (1, 3, 8)
    """

    attentions = ("self_attn",)
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """src_mask (S, S) or (B h, S, S), src_key_padding_mask (B, S); is_causal states that
        src_mask is the causal mask.
        """

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )[0]

        return self._add(2, self._add(1, src, attend), self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the memory, which is the output of an encoder, then two linear
    maps with an activation between them.

    tgt (T, B, E), memory (S, B, E) -> (T, B, E); with batch_first (B, T, E) and so on, or all
    without B. norm_first: normalise the input of each block, not the sum after it.
    """

    attentions = ("self_attn", "multihead_attn")
    multihead_attn: MultiheadAttention
    norm1: LayerNorm
    norm2: LayerNorm
    norm3: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    dropout3: Dropout

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
        """tgt_mask (T, T), memory_mask (T, S), or one for each head (B h, T, T), (B h, T, S);
        tgt_key_padding_mask (B, T), memory_key_padding_mask (B, S). The is_causal flags state that
        a mask is the causal one. cache: tgt are the steps after those in the cache.
        """
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
    """num_layers copies of encoder_layer, one after the other, then norm, if there is one.

    enable_nested_tensor and mask_check exist so that code for PyTorch runs, where they choose a
    faster path. They change nothing here.
    """

    norm: Module | None

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
        """src (S, B, E) -> (S, B, E). is_causal None: find out whether mask is the causal mask."""
        causal = _is_causal(mask, is_causal)
        for layer in self.layers:
            src = layer(
                src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of decoder_layer, one after the other, then norm, if there is one.

    For decoding step by step, call decoder(step, memory, cache=cache) with one `cache =
    decoder.new_cache()` for all steps. The outputs are those of the whole sequence at once.

    >>> layer = nn.TransformerDecoderLayer(d_model=8, nhead=2, dropout=0.0)
    >>> decoder = nn.TransformerDecoder(layer, num_layers=2)
    >>> memory, cache = ta.randn(5, 1, 8), decoder.new_cache()
    >>> for step in ta.randn(3, 1, 1, 8):
    ...     output = decoder(step, memory, cache=cache)
    >>> output.shape
    (1, 1, 8)
    """

    norm: Module | None

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def new_cache(self) -> list[LayerCache]:
        """An empty cache for one batch and one memory. A mask that is given with a cache has a
        column for every step so far: tgt_mask (T, all steps), tgt_key_padding_mask (B, all steps).
        """
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
        tgt_mask is the causal mask. With a cache and no tgt_mask the target is causal.
        """
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
    """An encoder of the source and a decoder of the target, each with a final LayerNorm.

    custom_encoder, custom_decoder: modules to use instead. layer_norm_eps: eps of every LayerNorm.
    norm_first: normalise the input of each block, not the sum after it. Every matrix starts as in
    init.xavier_uniform_.

    >>> model = nn.Transformer(d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=1)
    >>> src, tgt = ta.randn(5, 3, 8), ta.randn(4, 3, 8)
    >>> mask = model.generate_square_subsequent_mask(4)
    >>> model(src, tgt, tgt_mask=mask).shape
    (4, 3, 8)
    """

    encoder: Module
    decoder: Module

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
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        sizes = d_model, nhead, dim_feedforward, dropout, activation
        rest = layer_norm_eps, batch_first, norm_first, bias

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*sizes, *rest, device=device, dtype=dtype)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm())
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*sizes, *rest, device=device, dtype=dtype)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all matrices anew."""
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
        """src (S, B, E), tgt (T, B, E) -> (T, B, E); with batch_first (B, S, E) and so on.

        src_mask (S, S), tgt_mask (T, T), memory_mask (T, S); src_key_padding_mask (B, S),
        tgt_key_padding_mask (B, T), memory_key_padding_mask (B, S). The is_causal flags state
        whether a mask is the causal mask; None: find out.
        """
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
        output: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return output

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: Device = None, dtype: DTypeLike | None = None
    ) -> Tensor:
        """The causal mask (sz, sz), to be added to the scores: -inf above the diagonal, else 0."""
        return full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The function of that name, or the function that was given."""
    if callable(activation):
        return activation
    named: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if activation not in named:
        raise RuntimeError(f"activation: activation should be relu/gelu, not {activation}")
    return named[activation]


def _is_causal(mask: Tensor | None, is_causal: bool | None) -> bool:
    """is_causal, or if it is None whether the mask hides exactly the later steps."""
    if is_causal is not None or mask is None:
        return bool(is_causal)
    with constant("mask", mask._array):
        later = Transformer.generate_square_subsequent_mask(mask.shape[-1], dtype=mask.dtype)
        return mask.shape == later.shape and bool((mask == later).all())
