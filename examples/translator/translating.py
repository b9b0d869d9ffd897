"""The command `translate`: a sentence, a file, standard input, or a terminal."""

import argparse
import sys

from tinyattn.text import DataError
from translator.files import load_model
from translator.lines import sentences_of, translated
from translator.options import search_of
from translator.prompt import prompt


def translate(args: argparse.Namespace) -> None:
    """Translate a sentence, a file, or standard input line by line, which may be a terminal."""
    if args.sentence and args.file:
        raise DataError("expected a sentence or --file, got both")
    how = search_of(args)
    model = load_model(args.model).model
    if args.sentence:
        print(*translated(model, [("sentence", " ".join(args.sentence))], how), sep="\n")
    elif args.file:
        with open(args.file, "rb") as file:
            lines = list(sentences_of(file, args.file))
        print(*translated(model, lines, how), sep="\n")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        prompt(model, args)
    else:
        for number, line in enumerate(sentences_of(sys.stdin.buffer, "standard input")):
            print(*translated(model, [line], how, number), sep="\n")
