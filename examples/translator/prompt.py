"""Translating by hand: a sentence typed, its translation below it, and commands that begin with a
colon. Look first at `prompt`."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from tinyattn.text import DataError
from translator.files import unused
from translator.lines import translated
from translator.model import Translator
from translator.options import Parser, say, search_of, search_options
from translator.paging import MOST, write_page
from translator.searching import Search

HELP = """A sentence is translated. A line that begins with a colon is a command:
  :beam 5       follow 5 hypotheses; also :n-best 3, :alpha 1, :no-repeat 3, :max-tokens 40
  :sample       draw at random; also :temperature 0.7, :top-k 10, :top-p 0.9, :seed 1
  :page FILE    write an HTML page of the sentences so far (default: page.html)
  :greedy       take the most probable token each time, as at first
  :help         this text
  :quit         the end, as Ctrl-D"""


def prompt(model: Translator, options: argparse.Namespace) -> None:
    """Read sentences and commands from the terminal until its end."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # arrow keys and a history, where Python has them
    print("a sentence, or :help")
    sentences: list[str] = []
    inside = getattr(options, "with_model", False)
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        if line.strip() == ":quit":
            return
        if line.startswith(":"):
            try:
                if line.split()[0] == ":page":
                    write(line.removeprefix(":page").strip(), model, sentences, options, inside)
                else:
                    options = changed(options, line[1:].split())
            except DataError as error:
                say(str(error))
        elif line.strip():
            found = translated(model, [("sentence", line)], search_of(options), len(sentences))
            print(*found, sep="\n")
            sentences.append(line)


def write(
    name: str,
    model: Translator,
    sentences: Sequence[str],
    options: argparse.Namespace,
    with_model: bool,
) -> None:
    """Write a page of these sentences, the last ones if they are many, and say where it is."""
    path = Path(name) if name else unused(Path("page"), ".html")
    write_page(path, model, sentences[-MOST:], search_of(options), with_model)
    print(path)


def changed(options: argparse.Namespace, command: list[str]) -> argparse.Namespace:
    """The options of the search after a command; DataError for one that there is not."""
    name, *values = command or ["help"]
    if name == "help":
        print(HELP)
        return options
    if name == "greedy":
        return argparse.Namespace()
    reader = Parser(add_help=False, allow_abbrev=False)
    search_options(reader.add_argument, n_best=True)
    if name.replace("-", "_") not in vars(reader.parse_args([])):
        raise DataError(f":{name}: expected a command that :help lists")
    read = vars(reader.parse_args([f"--{name}", *values]))
    given = {k: v for k, v in read.items() if v is not None}
    before = {k: v for k, v in vars(options).items() if k in Search._fields}
    if "beam" in given or "sample" in given:  # one or the other
        before = {k: v for k, v in before.items() if k in ("no_repeat", "max_tokens")}
    options = argparse.Namespace(**{**before, **given})
    search_of(options)
    return options
