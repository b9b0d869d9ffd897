"""Lines in, lines out: as many as came in, in their order. Look first at `translated`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tinyattn.text import DataError, lines_of
from translator.files import load_model
from translator.model import Translator
from translator.options import say

Line = tuple[str, str]  # its place, name:number, and its text


def translate(args: argparse.Namespace) -> None:
    """Translate a sentence, a file, or standard input line by line."""
    if args.sentence and args.file:
        raise DataError("expected a sentence or --file, got both")
    model = load_model(args.model).model
    if args.sentence:
        print(*translated(model, [("sentence", " ".join(args.sentence))], args.max_tokens))
    elif args.file:
        with open(args.file, "rb") as file:
            lines = list(sentences_of(file, args.file))
        print(*translated(model, lines, args.max_tokens), sep="\n")
    else:
        for line in sentences_of(sys.stdin.buffer, "standard input"):
            print(*translated(model, [line], args.max_tokens))


def translated(model: Translator, lines: Sequence[Line], max_tokens: int | None) -> list[str]:
    """The translation of each line, each of at most `max_tokens` tokens if that is given.

    A line that has no words, or none that the model knows, has an empty translation. It is named
    on standard error, and so is a line whose translation was cut.
    """
    results = []
    found = model.translate([text for _, text in lines], max_tokens)
    for (place, text), one in zip(lines, found, strict=True):
        known = any(token in model.source for token in one.source)
        if not one.source:
            say(f"{place}: left empty: expected a sentence, got an empty line")
        elif not known:
            say(f"{place}: left empty: expected words of the training data, got {text.strip()!r}")
        elif not one.finished:
            say(f"{place}: the translation is cut after {len(one.target)} tokens; see --max-tokens")
        results.append(one.text if known else "")
    return results


def sentences_of(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a file, each with its place; at least one."""
    lines = lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{name}: expected a sentence a line, got nothing")
    yield first
    yield from lines
