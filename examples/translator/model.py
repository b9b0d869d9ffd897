"""From text to text: a model with its vocabularies and tokenisers. Look first at `Translator`.

Letters: B sentences, Ts and Tt source and target tokens, V vocabulary.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from translator_rnn import RNN
from translator_transformer import Transformer

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.text import (
    EOS,
    PAD,
    TOKENISERS,
    UNK,
    Batch,
    DataError,
    Found,
    Tokeniser,
    Vocab,
    batches,
    learn_subwords,
    pieces_of,
    subword_tokeniser,
    word_starts,
)
from tinyattn.text.subwords import KINDS
from translator.searching import GREEDY, Scored, Search, search

MODELS: dict[str, type[RNN] | type[Transformer]] = {"rnn": RNN, "transformer": Transformer}

SIDES = ("source", "target")
NO_PIECES: Mapping[str, bytes] = {}
APOSTROPHES = "'’"
READ = ("source", "target_in")  # what a model reads of a batch

Pair = tuple[str, str]
TokenPair = tuple[list[str], list[str]]
IdPair = tuple[list[int], list[int]]


class Translation(NamedTuple):
    """What a model makes of a sentence."""

    text: str
    marked: str  # the text with ⟨ ⟩ around each word that is copied from the sentence
    source: list[str]  # its Ts tokens
    target: list[str]  # Tt tokens, without the end of the sentence
    weights: NDArray[Any]  # (Tt, Ts), and one more row if the end came
    finished: bool  # False: cut at the greatest length, before the end came
    score: float | None  # of beam search alone


class Translator(nn.Module):
    """A model with the vocabularies and tokenisers that lead in and out.

    `options` are those of `options.model_options`; `pieces` the subwords of those sides that have
    them, as `learn_subwords` gives them.
    """

    def __init__(
        self,
        options: dict[str, Any],
        source: Vocab,
        target: Vocab,
        pieces: Mapping[str, bytes] = NO_PIECES,
    ) -> None:
        super().__init__()
        self.pieces = pieces
        read, self.write = tokenisers(options, pieces)
        self.read = with_one_apostrophe(read, source)
        self.model = MODELS[options["model"]](options, len(source), len(target))
        self.options, self.source, self.target = options, source, target

    def forward(self, batch: Batch) -> ta.Tensor:
        """The scores (Tt, B, V) of the target tokens, each after the right ones before it."""
        return self.model(batch)

    def ids(self, pairs: Sequence[Pair]) -> list[IdPair]:
        """The ids of the tokens of pairs of text."""
        return self.encode(tokenize(pairs, self.options, self.pieces))

    def encode(self, pairs: Sequence[TokenPair]) -> list[IdPair]:
        """The ids of pairs of tokens."""
        return [(self.source.encode(s), self.target.encode(t)) for s, t in pairs]

    def words(self, side: str, tokens: Sequence[str]) -> tuple[list[int], list[str]]:
        """Where words begin among these tokens of a side, and their texts: pieces put together."""
        if side not in self.pieces:
            return list(range(len(tokens))), list(tokens)
        starts = word_starts(tokens)
        put_together = (self.read if side == "source" else self.write).detokenize
        return starts, [put_together(tokens[a:b]) for a, b in pairwise([*starts, None])]

    def translate(
        self, sentences: Sequence[str], how: Search = GREEDY, first: int = 0
    ) -> list[Translation]:
        """The best translation of each sentence; see `candidates`."""
        return [best for best, *_ in self.candidates(sentences, how, first)]

    def candidates(
        self, sentences: Sequence[str], how: Search = GREEDY, first: int = 0
    ) -> list[list[Translation]]:
        """The translations of each sentence, the best first: at least one, at most `how.n_best`.

        A sentence without tokens has an empty one. Where the model writes the unknown word, the
        word of the sentence that it looks at most stands in its place. `first` is the number of
        the first sentence, by which random draws are made.
        """
        tokens = [self.read.tokenize(sentence) for sentence in sentences]
        nothing = Scored(Found([], np.zeros((0, 0)), True), None)
        results = [[self.written(source, nothing)] for source in tokens]
        self.eval()
        for batch in batches([(self.source.encode(source), ()) for source in tokens], 64):
            found = search(self.model, batch, how, first)
            for place, candidates in zip(batch.index, found, strict=True):
                results[place] = [self.written(tokens[place], one) for one in candidates]
        return results

    def written(self, source: list[str], one: Scored) -> Translation:
        """What was found for a sentence of these tokens, as text."""
        (ids, weights, finished), score = one
        weights = weights[:, : len(source)]  # without padding
        target = self.target.decode(ids)
        marked = target.copy()
        for place, id in enumerate(ids):
            if id == UNK:
                target[place] = self.read.detokenize([source[weights[place].argmax()]])
                marked[place] = f"⟨{target[place]}⟩"
        texts = self.write.detokenize(target), self.write.detokenize(marked)
        return Translation(*texts, source, target, weights, finished, score)


def new_model(
    options: dict[str, Any], pairs: Sequence[TokenPair], pieces: Mapping[str, bytes] = NO_PIECES
) -> Translator:
    """A model with its first weights, and the vocabularies of these training pairs; of a side with
    subwords all of these."""
    sources, targets = (
        Vocab(pieces_of(pieces[side]))
        if side in pieces
        else Vocab.build((pair[place] for pair in pairs), options["min_count"])
        for place, side in enumerate(SIDES)
    )
    return Translator(options, sources, targets, pieces)


def learn_pieces(pairs: Sequence[Pair], options: dict[str, Any]) -> dict[str, bytes]:
    """The subwords of the sides of these pairs that shall have them."""
    kinds = {side: options[f"{side}_tokens"] for side in SIDES}
    try:
        return {
            side: learn_subwords([pair[place] for pair in pairs], kinds[side], options["pieces"])
            for place, side in enumerate(SIDES)
            if kinds[side] in KINDS
        }
    except ValueError as error:
        raise DataError(f"--pieces: {error}") from None


def tokenisers(options: dict[str, Any], pieces: Mapping[str, bytes]) -> list[Tokeniser]:
    """Those of the source and the target. A model that has read small letters alone reads capital
    ones as small ones."""
    read, write = (
        subword_tokeniser(pieces[side]) if side in pieces else TOKENISERS[options[f"{side}_tokens"]]
        for side in SIDES
    )
    if not options["lower"]:
        return [read, write]
    small = lower_turkish if options["dotless"] else str.lower
    return [Tokeniser(lambda text: read.tokenize(small(text)), read.detokenize), write]


def with_one_apostrophe(tokeniser: Tokeniser, vocab: Vocab) -> Tokeniser:
    """The tokeniser, which reads ’ as ' where the vocabulary has only the latter, and ' as ’ where
    it has only the former: a keyboard has the one, and a telephone writes the other."""
    known = [c for c in APOSTROPHES if any(c in token for token in vocab.to_list())]
    if len(known) != 1:
        return tokeniser
    table = str.maketrans(dict.fromkeys(APOSTROPHES, known[0]))
    return tokeniser._replace(tokenize=lambda text: tokeniser.tokenize(text.translate(table)))


def lower_turkish(text: str) -> str:
    """The text in small letters, as Turkish has them.

    >>> lower_turkish("IŞIK, İstanbul")
    'ışık, istanbul'
    """
    return text.replace("I", "ı").replace("İ", "i").lower()


def tokenize(
    pairs: Sequence[Pair], options: dict[str, Any], pieces: Mapping[str, bytes] = NO_PIECES
) -> list[TokenPair]:
    """The tokens of pairs of text. Equal tokens are one object, so that they need little memory."""
    read, write = (tokeniser.tokenize for tokeniser in tokenisers(options, pieces))
    return [
        ([sys.intern(token) for token in read(s)], [sys.intern(token) for token in write(t)])
        for s, t in pairs
    ]


def loss_of(model: Translator, batch: Batch, smoothing: float = 0.0) -> ta.Tensor:
    """The mean cross-entropy of the target tokens, padding left out."""
    scores = model(batch).flatten(0, 1)  # (Tt * B, V)
    gold = ta.from_numpy(batch.target_out.T.reshape(-1))  # (Tt * B,)
    return F.cross_entropy(scores, gold, ignore_index=PAD, label_smoothing=smoothing)


def drop_words(batch: Batch, share: float) -> Batch:
    """The batch with a share of the tokens that are read, drawn at random, as the unknown word."""
    if not share:
        return batch
    return replace(batch, **{name: without_some(getattr(batch, name), share) for name in READ})


def without_some(ids: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Ids of tokens, (B, T), of which a share drawn at random is the unknown word."""
    dropped = (ta.rand(*ids.shape).numpy() < share) & (ids > EOS)
    return np.where(dropped, UNK, ids)
