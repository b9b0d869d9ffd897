"""The Transformer as a translator (Vaswani et al. 2017, arXiv:1706.03762), normalised before each
block (Xiong et al. 2020, arXiv:2002.04745). Read EncoderLayer, DecoderLayer, then Transformer.

Letters: B sentences, N hypotheses that are followed (B in training), Ts and Tt source and target
tokens, H features, V vocabulary.
"""

from typing import Any, ClassVar, NamedTuple

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.nn.attention import KeyValueCache
from tinyattn.text import PAD, Batch, DataError


class EncoderLayer(nn.Module):
    """Every source token looks at all of them, then each is changed by itself."""

    def __init__(self, H: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(H), nn.LayerNorm(H)
        self.attention = nn.MultiheadAttention(H, heads, dropout)
        self.feed_forward = feed_forward_block(H, feed_forward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: ta.Tensor, padding: ta.Tensor) -> ta.Tensor:
        """x (Ts, B, H) to the same; padding (B, Ts), True where there is no token."""
        y = self.norm1(x)
        y, _ = self.attention(y, y, y, padding, need_weights=False)
        x = x + self.dropout(y)
        return x + self.dropout(self.feed_forward(self.norm2(x)))


class DecoderLayer(nn.Module):
    """Every target token looks at itself and those before it, then at the source, then each is
    changed by itself."""

    def __init__(self, H: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(H), nn.LayerNorm(H), nn.LayerNorm(H)
        self.attention = nn.MultiheadAttention(H, heads, dropout)
        self.source_attention = nn.MultiheadAttention(H, heads, dropout)
        self.feed_forward = feed_forward_block(H, feed_forward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: ta.Tensor,
        memory: ta.Tensor,
        padding: ta.Tensor,
        mask: ta.Tensor | None,
        cache: tuple[KeyValueCache, KeyValueCache] | None = None,
        need_weights: bool = False,
    ) -> tuple[ta.Tensor, ta.Tensor | None]:
        """x (Tt, B, H), memory (Ts, B, H) with its padding (B, Ts): the new x and, if wanted, the
        weights (B, Tt, Ts) of the source, the mean over the heads. mask (Tt, Tt), True at what
        comes later. With a cache x (1, N, H) holds one token more of N hypotheses, those of a
        sentence side by side, and the weights are (B, N / B, Ts)."""
        own, of_source = cache or (None, None)
        y = self.norm1(x)
        y, _ = self.attention(
            y, y, y, need_weights=False, attn_mask=mask, is_causal=True, cache=own
        )
        x = x + self.dropout(y)
        y = self.norm2(x)
        if cache:  # the hypotheses of a sentence look at one memory, as if they were its tokens
            y = y.reshape(memory.shape[1], -1, memory.shape[2]).transpose(0, 1)
        y, weights = self.source_attention(
            y, memory, memory, padding, need_weights=need_weights, cache=of_source
        )
        if cache:
            y = y.transpose(0, 1).reshape(x.shape)
        x = x + self.dropout(y)
        return x + self.dropout(self.feed_forward(self.norm3(x))), weights


def feed_forward_block(H: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(H, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, H))


class State(NamedTuple):
    """What a step of translating needs of those before it."""

    memory: ta.Tensor  # (Ts, B, H), the source as the encoder leaves it
    padding: ta.Tensor  # (B, Ts) bool, True at padding
    caches: list[tuple[KeyValueCache, KeyValueCache]]  # of the target and the source, a layer


class Transformer(nn.Module):
    """Encoder and decoder together, by the options of the command line."""

    options: ClassVar[dict[str, Any]] = {"layers": int, "heads": int, "feed_forward": int}
    defaults: ClassVar[dict[str, Any]] = {
        "layers": 2,
        "heads": 4,
        "feed_forward": 256,
        "epochs": 1,
        "lr": 5e-3,
        "warmup": 300,
    }

    def __init__(self, options: dict[str, Any], source_size: int, target_size: int) -> None:
        super().__init__()
        H, dropout = options["hidden"], options["dropout"]
        if H % options["heads"] or H % 2:
            raise DataError(
                "hidden: expected an even number that the heads divide, got "
                f"{H} for {options['heads']} heads"
            )
        sizes = H, options["heads"], options["feed_forward"], dropout
        self.source_embedding = nn.Embedding(source_size, H, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target_size, H, padding_idx=PAD)
        self.positions = nn.SinusoidalPositions(H)
        self.dropout = nn.Dropout(dropout)
        layers = range(options["layers"])
        self.encoder = nn.ModuleList([EncoderLayer(*sizes) for _ in layers])
        self.decoder = nn.ModuleList([DecoderLayer(*sizes) for _ in layers])
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(H), nn.LayerNorm(H)
        self.out = nn.Linear(H, target_size)

    def forward(self, batch: Batch) -> ta.Tensor:
        """The scores (Tt, B, V) of the target tokens, each after the right ones before it."""
        memory, padding = self.encode(batch)
        target = ta.from_numpy(batch.target_in.T)
        later = ta.ones(len(target), len(target), dtype=ta.bool).triu(1)
        x = self.dropout(self.positions(self.target_embedding(target)))
        for layer in self.decoder:
            x, _ = layer(x, memory, padding, later)
        return self.out(self.decoder_norm(x))

    def encode(self, batch: Batch) -> tuple[ta.Tensor, ta.Tensor]:
        """The source as the decoder looks at it (Ts, B, H), and its padding (B, Ts)."""
        padding = ta.from_numpy(batch.source == PAD)
        source = ta.from_numpy(batch.source.T)
        x = self.dropout(self.positions(self.source_embedding(source)))
        for layer in self.encoder:
            x = layer(x, padding)
        return self.encoder_norm(x), padding

    def start(self, batch: Batch) -> State:
        caches = [(KeyValueCache(), KeyValueCache(grows=False)) for _ in self.decoder]
        return State(*self.encode(batch), caches)

    def next(self, tokens: ta.Tensor, state: State) -> tuple[ta.Tensor, ta.Tensor, State]:
        """One step of translating, tokens (N,): scores (N, V), the last layer's weights (N, Ts),
        and the state, whose caches have grown by the step."""
        memory, padding, caches = state
        embedded = self.target_embedding(tokens.unsqueeze(0))
        x = self.positions(embedded, start=len(caches[0][0]))
        weights = None
        for layer, cache in zip(self.decoder, caches, strict=True):
            x, weights = layer(x, memory, padding, None, cache, need_weights=True)
        assert weights is not None  # there is at least one layer
        return self.out(self.decoder_norm(x)).squeeze(0), weights.flatten(0, 1), state

    def select(self, state: State, rows: ta.Tensor, sentences: ta.Tensor | None) -> State:
        """The state of these rows alone, in this order; of the memory, that of these sentences."""
        memory, padding, caches = state
        for own, of_source in caches:
            own.reorder(rows)
            if sentences is not None:
                of_source.reorder(sentences)
        if sentences is not None:
            memory, padding = memory.index_select(1, sentences), padding.index_select(0, sentences)
        return State(memory, padding, caches)
