"""The command line of translate.py: every option with its default, and the checks of their values.
Look first at `parser`; `complete` fills in the defaults that depend on the model."""

import argparse
import importlib
import math
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NoReturn

from translator_rnn import RNN

import tinyattn as ta
from tinyattn.text import TOKENISERS, DataError, guess_tokeniser
from tinyattn.text.subwords import KINDS
from translator.model import MODELS, Pair
from translator.searching import Search

# What has to be known to build a model again and to use it, beside the options of its own kind: for
# each name a type, or the choices.
OPTIONS: dict[str, Any] = {
    "model": tuple(MODELS),
    "hidden": int,
    "dropout": float,
    "source_tokens": (*TOKENISERS, *KINDS),
    "target_tokens": (*TOKENISERS, *KINDS),
    "min_count": int,
    "swap": bool,
}


SCHEDULES = ("linear", "inverse-sqrt")

# Defaults, unless the model that a run goes on from has other values.
USUAL: dict[str, Any] = {"model": "rnn", "pieces": 4000}
# Defaults for the built-in corpus, and for pairs of one's own. Those were chosen for 28,447 pairs:
# so few need much dropout, and they have words to come that training has not seen.
BUILT_IN: dict[str, Any] = {"hidden": 128, "dropout": 0.0, "smoothing": 0.0, "min_count": 1}
OWN: dict[str, Any] = {
    "hidden": 256, "epochs": 12, "lr": 3e-3, "dropout": 0.35, "smoothing": 0.1, "min_count": 2,
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise DataError(message)  # one line, as for all other wrong input


class OnBothSides(argparse.Action):
    """What an option says of tokens holds for source and target, unless a later one differs."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        namespace.source_tokens = namespace.target_tokens = values


def parser(description: str | None = None) -> argparse.ArgumentParser:
    """The commands. Options of `train` that depend on the model are None until `complete`."""
    top = Parser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    commands = top.add_subparsers(dest="command")
    add = commands.add_parser(
        "train", help="train a model and report on held-out pairs"
    ).add_argument
    add("--data", type=place, metavar="FILE",
        help="lines of source TAB target (default: the built-in corpus)")  # fmt: skip
    add("--valid-data", type=place, metavar="FILE", help="such lines, to choose weights by")
    add("--test-data", type=place, metavar="FILE", help="such lines, to report on")
    add("--swap", action="store_true", help="the second column is the source")
    add("--out", type=place, default="runs/translate",
        help="folder for the results (default: %(default)s)")  # fmt: skip
    add("--model", choices=tuple(MODELS), help=f"default: {USUAL['model']}")
    add("--hidden", type=positive, help=f"hidden size ({usual('hidden')})")
    add("--layers", type=positive, help=usual("layers"))
    add("--score", choices=RNN.options["score"], help=usual("score"))
    add("--query", choices=RNN.options["query"],
        help=f"look before or after reading the last word ({usual('query')})")  # fmt: skip
    add("--cell", choices=RNN.options["cell"], help=usual("cell"))
    both = argparse.BooleanOptionalAction
    add("--bidirectional", action=both, help=f"read both ways ({usual('bidirectional')})")
    add("--heads", type=positive, help=usual("heads"))
    add("--feed-forward", type=positive, help=usual("feed_forward"))
    add("--max-length", type=positive, default=100, metavar="N",
        help="leave out training pairs of more tokens a side (default: %(default)s)")  # fmt: skip
    add("--epochs", type=positive, help=usual("epochs"))
    add("--batch", type=positive, default=64, help="pairs a batch (default: %(default)s)")
    add("--lr", type=rate, help=f"peak learning rate ({usual('lr')})")
    add("--warmup", type=positive, help=f"steps to the peak ({usual('warmup')})")
    add("--schedule", choices=SCHEDULES, default="linear",
        help="how the learning rate falls after it (default: %(default)s)")  # fmt: skip
    add("--patience", type=positive, metavar="N",
        help="stop after N validations without a better one (default: never)")  # fmt: skip
    add("--average", type=positive, metavar="N",
        help="try the mean of the weights at the last N validations, too")  # fmt: skip
    add("--dropout", type=share, help=usual("dropout"))
    add("--word-dropout", type=share, default=0.0,
        help="words that are read as <unk> in training (default: %(default)s)")  # fmt: skip
    add("--smoothing", type=share, help=f"label smoothing ({usual('smoothing')})")
    add("--min-count", type=positive, metavar="N",
        help=f"rarer words are <unk> ({usual('min_count')})")  # fmt: skip
    names = ("auto", *TOKENISERS, *KINDS)
    add("--tokens", action=OnBothSides, choices=names,
        help="--source-tokens and --target-tokens at once")  # fmt: skip
    add("--pieces", type=positive, metavar="N",
        help=f"subwords a side, for unigram and bpe (default: {USUAL['pieces']})")  # fmt: skip
    add("--source-tokens", choices=names, default="auto", help="default: by the script")
    add("--target-tokens", choices=names, default="auto", help="default: by the script")
    add("--pairs", type=positive, default=100_000, help="of the built-in corpus (%(default)s)")
    add("--valid", type=positive, metavar="N",
        help="without --valid-data: how many sources of the data (default: 1000)")  # fmt: skip
    add("--test", type=positive, metavar="N",
        help="without --test-data: how many sources of the data (default: 2000)")  # fmt: skip
    add("--seed", type=natural, default=0, help="default: %(default)s")
    add("--save-every", type=positive, default=500, metavar="STEPS",
        help="steps from one checkpoint to the next (default: %(default)s)")  # fmt: skip
    add("--from", type=place, metavar="RUN",
        help="begin with the weights and vocabularies of a trained model")  # fmt: skip
    add("--config", type=place, metavar="FILE",
        help="a TOML file with options; those given beside it count")  # fmt: skip
    add("--resume", nargs="?", const="", metavar="RUN",
        help="go on with a run that was stopped (default: the newest with this --out)")  # fmt: skip
    add = commands.add_parser("evaluate", help="report on a trained model").add_argument
    add("--model", type=place, help="its file or folder (default: the newest in runs/)")
    add("--data", type=place, metavar="FILE",
        help="pairs to use where training has not seen them (default: its test pairs)")  # fmt: skip
    add("--swap", action=both, help="the second column is the source (default: as in training)")
    add("--quantize", action="store_true",
        help="with weights of 8 bits; they are written to model-int8.safetensors")  # fmt: skip
    search_options(add, n_best=False)
    add = commands.add_parser("compare", help="say which of two models is better").add_argument
    add("run1", type=place, help="a model: its file or folder")
    add("run2", type=place, help="another one, with the same test pairs")
    search_options(add, n_best=False)
    add = commands.add_parser("translate", help="translate with a trained model").add_argument
    add("sentence", nargs="*", help="default: standard input, a sentence a line")
    add("--file", type=place, help="a text file, a sentence a line")
    add("--model", type=place, help="its file or folder (default: the newest in runs/)")
    add("--page", type=place, metavar="FILE",
        help="write an HTML page, too, that shows what attention did")  # fmt: skip
    add("--with-model", action="store_true", help="put the model itself into the page")
    add("--quantize", action="store_true", help="with weights of 8 bits")
    search_options(add, n_best=True)
    return top


def search_options(add: Callable[..., Any], n_best: bool) -> None:
    """The options that say how translations are searched for."""
    add("--beam", type=narrow, metavar="N", help="hypotheses to follow (default: 1, greedy)")
    if n_best:
        add("--n-best", type=positive, metavar="N", help="translations of each sentence")
    add("--alpha", type=at_least_0, help="normalisation by length in beam search (default: 0.6)")
    add("--sample", action="store_true", default=None, help="draw the tokens at random")
    add("--top-k", type=positive, metavar="N", help="draw from the N most probable tokens")
    add(
        "--top-p",
        type=probability,
        metavar="P",
        help="draw from those that make up this probability",
    )
    add("--temperature", type=rate, help="below 1: draw more of the probable (default: 1)")
    add("--seed", type=natural, help="of the draws (default: 0)")
    add("--no-repeat", type=positive, metavar="N", help="never the same N tokens in a row twice")
    add("--max-tokens", type=positive, metavar="N",
        help="cut a translation here (default: at 50 more than twice its source)")  # fmt: skip


# What these options need beside them.
NEEDS = {"alpha": "beam", **dict.fromkeys(("top_k", "top_p", "temperature", "seed"), "sample")}


def search_of(args: argparse.Namespace) -> Search:
    """The search that the options ask for."""
    given: dict[str, Any] = {name: getattr(args, name, None) for name in Search._fields}
    given = {name: value for name, value in given.items() if value is not None}
    for name, needed in NEEDS.items():
        if name in given and needed not in given:
            raise DataError(f"--{name.replace('_', '-')}: expected --{needed} with it")
    if "sample" in given and "beam" in given:
        raise DataError("--sample: expected no --beam with it: a beam draws nothing")
    search = Search(**given)
    if not search.sample and search.n_best > search.beam:
        raise DataError(f"--n-best: expected at most --beam = {search.beam}, got {search.n_best}")
    return search


def parsed(arguments: Sequence[str], description: str | None = None) -> argparse.Namespace:
    """The options on the command line, and those of its `--config` where they are not given."""
    args = parser(description).parse_args(arguments)
    path = getattr(args, "config", None)
    if path is None:
        return args
    more = config_options(path)
    try:
        parser().parse_args(["train", *more])
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    at = list(arguments).index("train") + 1
    return parser(description).parse_args([*arguments[:at], *more, *arguments[at:]])


def config_options(path: str) -> list[str]:
    """The options of a TOML file, as they are written on the command line."""
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a TOML file: {error}") from None
    known = {action.dest: action for action in train_actions()}
    written = []
    seen = set()
    for key, value in table.items():
        name = key.replace("-", "_")
        action = known.get(name)
        if action is None or name in ("help", "config", "resume"):
            raise DataError(f"{path}: expected options of train, got {key!r}")
        if name in seen:
            raise DataError(f"{path}: expected {action.option_strings[0][2:]} once, got it twice")
        seen.add(name)
        is_text = action.type in (None, place)
        kind = "true or false" if action.nargs == 0 else "text" if is_text else "a number"
        fits: Any = {"true or false": bool, "text": str, "a number": (int, float)}[kind]
        if not isinstance(value, fits) or (kind == "a number" and isinstance(value, bool)):
            raise DataError(f"{path}: {key}: expected {kind}, got {value!r}")
        option = "--" + action.dest.replace("_", "-")
        if not isinstance(value, bool):
            written.append(f"{option}={value}")
        elif value or isinstance(action, argparse.BooleanOptionalAction):
            written.append(option if value else f"--no-{option[2:]}")
    return written


def train_actions() -> Sequence[argparse.Action]:
    """What argparse knows of each option of `train`."""
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    actions: Sequence[argparse.Action] = commands.choices["train"]._actions
    return actions


def usual(name: str) -> str:
    """What an option is unless given, by model, score and data."""
    values = [(kind, MODELS[kind].defaults.get(name)) for kind in MODELS]
    values += [(score, options.get(name)) for score, options in RNN.by_score.items()]
    values += [("built-in corpus", BUILT_IN.get(name)), ("--data", OWN.get(name))]
    return "default: " + ", ".join(f"{kind} {value}" for kind, value in values if value is not None)


def complete(args: argparse.Namespace) -> argparse.Namespace:
    """The options of `train` with the defaults of its data and model; those of another model are
    an error."""
    for name, count in (("valid", 1000), ("test", 2000)):
        file = getattr(args, f"{name}_data")
        if file and not args.data:
            raise DataError(f"--{name}-data: expected --data with it")
        if getattr(args, name) is None:
            setattr(args, name, count)
    for name, value in {**USUAL, **(OWN if args.data else BUILT_IN)}.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    mine = {**MODELS[args.model].defaults, **RNN.by_score.get(args.score, {})}
    for name in {name for model in MODELS.values() for name in model.defaults}:
        if getattr(args, name) is None:
            setattr(args, name, mine.get(name))
        elif name not in mine:
            option = name.replace("_", "-")
            raise DataError(f"--{option}: expected a model that has it, got --model {args.model}")
    return args


def train_options(*given: str) -> argparse.Namespace:
    """The options of `train` where these are given."""
    return complete(parsed(["train", *given]))


def model_options(args: argparse.Namespace, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The options of the model, for these training pairs."""
    names = (*OPTIONS, *MODELS[args.model].options)
    options = {name: getattr(args, name) for name in names} | {"pieces": args.pieces}
    options["lower"] = all_lower(source for source, _ in pairs)
    options["dotless"] = options["lower"] and is_turkish(source for source, _ in pairs)
    for side, name in enumerate(("source_tokens", "target_tokens")):
        if options[name] == "auto":
            options[name] = guess_tokeniser(pair[side] for pair in pairs)
        elif options[name] in KINDS:
            require("sentencepiece")
    return options


def all_lower(texts: Iterable[str]) -> bool:
    """Whether these texts have small letters and no capital ones."""
    any_small = False
    for text in texts:
        if text != text.lower():
            return False
        any_small = any_small or text != text.upper()
    return any_small


def is_turkish(texts: Iterable[str]) -> bool:
    """Whether these texts of small letters are Turkish, where I becomes ı and İ becomes i.

    Then ı is frequent. Rules that are not for Turkish make an i with a second dot of İ, and i of I.
    """
    counts = Counter(chain.from_iterable(texts))
    return 3 * counts["ı"] > counts["i"] and not counts["\N{COMBINING DOT ABOVE}"]


def number(kind: type, wanted: str, fits: Callable[[Any], bool]) -> Callable[[str], Any]:
    """A type for argparse: an int or a float within limits."""

    def read(text: str) -> Any:
        try:
            if fits(value := kind(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")

    return read


place = number(str, "a name", bool)  # of a file or a folder; an empty one is a mistake
positive = number(int, "a whole number from 1", lambda n: n >= 1)
# What was searched is kept for all pairs of hypotheses, and wide beams translate worse.
narrow = number(int, "a whole number from 1 to 100", lambda n: 1 <= n <= 100)
natural = number(int, "a whole number from 0", lambda n: 0 <= n < 2**63)
rate = number(float, "a number above 0", lambda x: 0 < x < math.inf)
share = number(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)
probability = number(float, "a number above 0, at most 1", lambda x: 0 < x <= 1)
at_least_0 = number(float, "a number from 0", lambda x: 0 <= x < math.inf)


def require(*packages: str) -> None:
    """Raise DataError, which says how to install it, for a package that is missing."""
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            extra = "subwords" if name == "sentencepiece" else "examples"
            raise DataError(f"{name} is missing: pip install 'tinyattn[{extra}]'") from None


def say(message: str) -> None:
    """A line on standard error; of several processes the first says it."""
    if ta.parallel.get_rank() == 0:
        print(a_line(message), file=sys.stderr)


def print_nowhere() -> None:
    """From here on, what is printed is read by nobody."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def end(message: str, code: int) -> NoReturn:
    """End the program, in all of its processes, with a line on standard error."""
    ta.parallel.abort(a_line(message), code)


def a_line(message: str) -> str:
    """A message as one line: the name of a file may hold line ends."""
    return "translate.py: " + "\\n".join(message.splitlines())
