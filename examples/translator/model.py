"""From text to text: a model with its vocabularies and tokenisers. Look first at `Translator`.

Letters: B sentences, Ts and Tt source and target tokens, V vocabulary.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from translator_rnn import RNN
from translator_transformer import Transformer

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.text import PAD, TOKENISERS, Batch, Vocab, batches, greedy

MODELS: dict[str, type[RNN] | type[Transformer]] = {"rnn": RNN, "transformer": Transformer}

Pair = tuple[str, str]
TokenPair = tuple[list[str], list[str]]
IdPair = tuple[list[int], list[int]]


class Translation(NamedTuple):
    """What a model makes of a sentence."""

    text: str
    source: list[str]  # its Ts tokens
    target: list[str]  # Tt tokens, without the end of the sentence
    weights: NDArray[Any]  # (Tt, Ts), and one more row if the end came
    finished: bool  # False: cut at the greatest length, before the end came


class Translator(nn.Module):
    """A model with the vocabularies and tokenisers that lead in and out.

    `options` are those of `options.model_options`.
    """

    def __init__(self, options: dict[str, Any], source: Vocab, target: Vocab) -> None:
        super().__init__()
        self.model = MODELS[options["model"]](options, len(source), len(target))
        self.options, self.source, self.target = options, source, target

    def forward(self, batch: Batch) -> ta.Tensor:
        """The scores (Tt, B, V) of the target tokens, each after the right ones before it."""
        return self.model(batch)

    def ids(self, pairs: Sequence[Pair]) -> list[IdPair]:
        """The ids of the tokens of pairs of text."""
        return self.encode(tokenize(pairs, self.options))

    def encode(self, pairs: Sequence[TokenPair]) -> list[IdPair]:
        """The ids of pairs of tokens."""
        return [(self.source.encode(s), self.target.encode(t)) for s, t in pairs]

    def translate(
        self, sentences: Sequence[str], max_tokens: int | None = None
    ) -> list[Translation]:
        """The translation of each sentence; a sentence without tokens has an empty one.

        A translation is cut at `max_tokens` tokens; if that is not given, at 50 more than twice
        those of its sentence.
        """
        tokens = tokenize([(sentence, "") for sentence in sentences], self.options)
        results = [Translation("", source, [], np.zeros((0, 0)), True) for source, _ in tokens]
        write = TOKENISERS[self.options["target_tokens"]].detokenize
        step: Callable[..., Any] = self.model.next
        factor, extra = (2.0, 50) if max_tokens is None else (0.0, max_tokens)
        self.eval()
        for batch in batches(self.encode(tokens), 64):
            with ta.no_grad():
                state = self.model.start(batch)
            found = greedy(step, state, batch.lengths, factor, extra)
            for place, one, length in zip(batch.index, found, batch.lengths, strict=True):
                source, target = tokens[place][0], self.target.decode(one.ids)
                weights = one.weights[:, :length]
                results[place] = Translation(write(target), source, target, weights, one.finished)
        return results


def new_model(options: dict[str, Any], pairs: Sequence[TokenPair]) -> Translator:
    """A model with its first weights, and the vocabularies of these training pairs."""
    sources, targets = (
        Vocab.build((pair[side] for pair in pairs), options["min_count"]) for side in (0, 1)
    )
    return Translator(options, sources, targets)


def tokenize(pairs: Sequence[Pair], options: dict[str, Any]) -> list[TokenPair]:
    """The tokens of pairs of text. Equal tokens are one object, so that they need little memory."""
    read = TOKENISERS[options["source_tokens"]].tokenize
    write = TOKENISERS[options["target_tokens"]].tokenize
    return [
        ([sys.intern(token) for token in read(s)], [sys.intern(token) for token in write(t)])
        for s, t in pairs
    ]


def loss_of(model: Translator, batch: Batch, smoothing: float = 0.0) -> ta.Tensor:
    """The mean cross-entropy of the target tokens, padding left out."""
    scores = model(batch).flatten(0, 1)  # (Tt * B, V)
    gold = ta.from_numpy(batch.target_out.T.reshape(-1))  # (Tt * B,)
    return F.cross_entropy(scores, gold, ignore_index=PAD, label_smoothing=smoothing)
