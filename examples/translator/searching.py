"""Which translations of a batch are looked for: the greedy ones, those of a beam, or random ones.
Look first at `search`."""

from typing import Any, NamedTuple

import tinyattn as ta
from tinyattn.text import Batch, Beam, Found, beam, greedy, sample


class Search(NamedTuple):
    """How translations are looked for: greedily, unless it asks for a beam or for sampling."""

    beam: int = 1
    n_best: int = 1  # translations of each sentence
    alpha: float = 0.6  # of the normalisation by length
    sample: bool = False
    top_k: int = 0
    top_p: float = 1.0
    temperature: float = 1.0
    seed: int = 0
    no_repeat: int = 0
    max_tokens: int | None = None  # None: 50 more than twice the tokens of the sentence


GREEDY = Search()


class Scored(NamedTuple):
    """A translation as the search found it, and its score, which only beam search has."""

    found: Found
    score: float | None


def search(model: Any, batch: Batch, how: Search, first: int = 0) -> list[list[Scored]]:
    """The translations of each sentence of a batch, at most `n_best`, the best first.

    `model` has `start`, `next` and `select`, as RNN and Transformer. `first` is the number of
    sentence 0 of those that the batch was made of; each number has random draws of its own.
    """
    limits = limits_of(how)

    def state() -> Any:
        with ta.no_grad():
            return model.start(batch)

    if how.sample:
        draws = []
        for number in range(how.n_best):
            numbers = batch.index + first + (number << 32)
            narrow = how.seed, numbers, how.temperature, how.top_k, how.top_p
            draws.append(sample(model.next, state(), batch.lengths, *narrow, **limits))
        return [[Scored(one, None) for one in each] for each in zip(*draws, strict=True)]
    if how.beam > 1:
        return [
            [Scored(one.found(i), h.score) for i, h in enumerate(one.ended[: how.n_best])]
            for one in beams(model, batch, how)
        ]
    return [[Scored(one, None)] for one in greedy(model.next, state(), batch.lengths, **limits)]


def beams(model: Any, batch: Batch, how: Search) -> list[Beam]:
    """What beam search does for each sentence of a batch."""
    widths = how.beam, how.n_best, how.alpha
    with ta.no_grad():
        state = model.start(batch)
    return beam(model.next, model.select, state, batch.lengths, *widths, **limits_of(how))


def limits_of(how: Search) -> dict[str, Any]:
    """How long a translation may be, as every search takes it."""
    factor, extra = (2.0, 50) if how.max_tokens is None else (0.0, how.max_tokens)
    return {"factor": factor, "extra": extra, "no_repeat": how.no_repeat}
