"""Lines in, lines out. Look first at `translate`."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from tinyattn.text import UNK, DataError, lines_of
from translator.files import load_model
from translator.model import Translator


def translate(args: argparse.Namespace) -> None:
    if args.sentence and args.file:
        raise DataError("expected a sentence or --file, got both")
    model, _ = load_model(args.model)
    if args.sentence:
        print(*checked_translations(model, [("sentence", " ".join(args.sentence))]))
    elif args.file:
        with open(args.file, "rb") as file:
            print(*checked_translations(model, sentences_of(file, args.file)), sep="\n")
    else:
        for line in sentences_of(sys.stdin.buffer, "standard input"):
            print(*checked_translations(model, [line]))


def sentences_of(file: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a file, each with its place (name:number); at least one."""
    lines = lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{name}: expected a sentence a line, got nothing")
    yield first
    yield from lines


def checked_translations(model: Translator, lines: Iterable[tuple[str, str]]) -> list[str]:
    """The translations of sentences that come with their places; all are checked first."""
    sentences = []
    for place, sentence in lines:
        ((ids, _),) = model.ids([(sentence, "")])
        if not ids:
            raise DataError(f"{place}: expected a sentence, got an empty line")
        if all(i == UNK for i in ids):
            raise DataError(
                f"{place}: expected words of the training data, got {sentence.strip()!r:.40}"
            )
        sentences.append(sentence)
    return [found.text for found in model.translate(sentences)]
