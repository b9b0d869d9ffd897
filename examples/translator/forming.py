"""How the alignment formed: what attention did at a few moments of training. Look first at
`moments`, then at `moment`. The run keeps them with its curve; `write_forming` makes the page."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn.text import batches
from tinyattn.viz import Trace, forming_page
from translator.model import IdPair, Translator
from translator.scores import rendered
from translator.tracing import forced

PAGE = "forming.html"
MOMENTS = 12
SHOWN = 3  # sentences on the page
MEASURED = 200  # sentences by which the accuracy is measured
LONGEST = 20  # tokens a side of a sentence that is shown


def moments(total: int) -> list[int]:
    """The steps, of `total`, at which attention is looked at: even on a logarithmic axis.

    >>> moments(1000)
    [1, 2, 4, 7, 12, 23, 43, 81, 152, 285, 534, 1000]
    """
    return sorted(set(np.geomspace(1, total, MOMENTS).round().astype(int).tolist()))


class Watched:
    """The validation pairs that are looked at, and what the built-in lexicon knows of them."""

    def __init__(self, model: Translator, pairs: Sequence[IdPair]) -> None:
        self.model, self.measured = model, [pair for pair in pairs if all(pair)][:MEASURED]
        by_length = sorted(self.measured, key=lambda pair: -len(pair[0]))
        fitting = [pair for pair in by_length if max(map(len, pair)) <= LONGEST] or by_length[-1:]
        # Long ones have the most to show; no two are about the same length.
        self.shown = fitting[:: max(len(fitting) // SHOWN, 1)][:SHOWN]

    def tokens(self, pair: IdPair) -> tuple[list[str], list[str]]:
        return self.model.source.decode(pair[0]), self.model.target.decode(pair[1])

    @cached_property
    def gold(self) -> list[list[tuple[int, set[int]]]]:
        return [rendered(self.model, *self.tokens(pair)) for pair in self.measured]

    def moment(self, step: int) -> dict[str, Any] | None:
        """What attention does now: plain data, which a checkpoint can hold. None without a
        sentence, and for a model that ran away: its numbers are not finite."""
        self.model.eval()
        seen = [forced(self.model, self.tokens(pair)[0], pair[1]) for pair in self.shown]
        if not seen or not all(np.isfinite(one["covered"]).all() for one in seen):
            return None
        traces = [*map(self.trace, self.shown, seen)]
        return {"step": step, "accuracy": self.accuracy(), "traces": traces}

    def accuracy(self) -> float | None:
        """The share of the content words that look most at the word that they render, given the
        right words before; None where the lexicon knows none of them."""
        if not any(self.gold):
            return None
        right = [
            weights[t].argmax() in places
            for gold, weights in zip(self.gold, weights_of(self.model, self.measured), strict=True)
            for t, places in gold
        ]
        return round(sum(right) / len(right), 4)

    def trace(self, pair: IdPair, seen: dict[str, Any]) -> dict[str, Any]:
        """The trace of a sentence that is given its right translation, to four places."""
        source, target = self.tokens(pair)
        seen = {**seen, "attention": {"cross": seen["attention"]["cross"]}, "gates": {}}
        texts = self.model.read.detokenize(source), self.model.write.detokenize(target)
        return rounded(Trace(*texts, source, [*target, "<eos>"], **seen).to_dict())


def rounded(value: Any) -> Any:
    """Plain data with its numbers to four places."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def weights_of(model: Translator, pairs: Sequence[IdPair]) -> list[NDArray[Any]]:
    """The attention (Tt + 1, Ts) of each pair, the right words given: of a Transformer that of its
    last layer, the mean over the heads."""
    inner: Any = model.model
    found: list[Any] = [None] * len(pairs)
    with ta.no_grad():
        for batch in batches(pairs, 100):
            state, rows = inner.start(batch), []
            for tokens in batch.target_in.T:
                _, weights, state = inner.next(ta.from_numpy(tokens), state)
                rows.append(weights.numpy())
            stacked = np.stack(rows, 1)  # (B, Tt + 1, Ts)
            for place, weights in zip(batch.index, stacked, strict=True):
                source, target = pairs[place]
                found[place] = weights[: len(target) + 1, : len(source)]  # without padding
    return found


def write_forming(seen: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write the page of these moments, if there are any."""
    if seen:
        accuracy = None if seen[0]["accuracy"] is None else [one["accuracy"] for one in seen]
        traces = [[Trace.from_dict(one) for one in moment["traces"]] for moment in seen]
        page = forming_page([one["step"] for one in seen], traces, accuracy)
        page.save(folder / PAGE)
