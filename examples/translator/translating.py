"""The command `translate`: a sentence, a file, standard input, or a terminal."""

import argparse
import sys

from tinyattn.text import DataError
from translator.files import load_model, quantized
from translator.lines import sentences_of, translated
from translator.options import search_of
from translator.paging import write_page
from translator.prompt import prompt


def translate(args: argparse.Namespace) -> None:
    """Translate a sentence, a file, or standard input line by line, which may be a terminal."""
    if args.sentence and args.file:
        raise DataError("expected a sentence or --file, got both")
    how = search_of(args)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if args.with_model and not (args.page or at_terminal):
        raise DataError("--with-model: expected --page with it")
    if args.with_model and args.quantize:
        raise DataError("--quantize: expected no --with-model: a page holds the whole numbers")
    model = load_model(args.model).model
    if args.quantize:
        model = quantized(model)
    if args.sentence:
        lines = [("sentence", " ".join(args.sentence))]
    elif args.file:
        with open(args.file, "rb") as file:
            lines = list(sentences_of(file, args.file))
    elif at_terminal:
        if args.page:
            raise DataError(
                "--page: expected a sentence or --file with it; see :page at the prompt"
            )
        prompt(model, args)
        return
    elif args.page:
        lines = list(sentences_of(sys.stdin.buffer, "standard input"))
    else:
        for number, line in enumerate(sentences_of(sys.stdin.buffer, "standard input")):
            print(*translated(model, [line], how, number), sep="\n")
        return
    if args.page:
        write_page(args.page, model, [text for _, text in lines], how, args.with_model)
    print(*translated(model, lines, how), sep="\n")
