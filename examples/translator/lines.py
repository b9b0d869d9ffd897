"""Lines in, lines out: as many as came in, in their order. Look first at `translated`."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tinyattn.text import DataError, lines_of
from translator.model import Translator
from translator.options import say
from translator.searching import GREEDY, Search

Line = tuple[str, str]  # its place, name:number, and its text


def translated(
    model: Translator, lines: Sequence[Line], how: Search = GREEDY, first: int = 0
) -> list[str]:
    """The lines to print for these lines, of which the first has the number `first`.

    One for each: its translation, with ⟨ ⟩ around words that are copied. With `n_best` above 1 one
    for each translation: the number of its sentence, from 1, its score and the text, between tabs.

    A line that has no words, or none that the model knows, has an empty translation. It is named
    on standard error, and so is a line whose translation was cut.
    """
    results = []
    found = model.candidates([text for _, text in lines], how, first)
    for number, ((place, text), candidates) in enumerate(
        zip(lines, found, strict=True), start=first + 1
    ):
        best = candidates[0]
        known = any(token in model.source for token in best.source)
        if not best.source:
            say(f"{place}: left empty: expected a sentence, got an empty line")
        elif not known:
            say(f"{place}: left empty: expected words of the training data, got {text.strip()!r}")
        elif not best.finished:
            say(
                f"{place}: the translation is cut after {len(best.target)} tokens; see --max-tokens"
            )
        texts = [one.marked for one in candidates] if known else [""]
        if how.n_best > 1:
            scores = ["" if one.score is None else f"{one.score:.3f}" for one in candidates]
            texts = [
                f"{number}\t{score}\t{text}" for score, text in zip(scores, texts, strict=False)
            ]
        results += texts
    return results


def sentences_of(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a file, each with its place; at least one."""
    lines = lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{name}: expected a sentence a line, got nothing")
    yield first
    yield from lines
