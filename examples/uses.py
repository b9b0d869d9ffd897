"""What the programs of uses (speech.py, caption.py, ...) share: the command line, the learning loop
and the report. Look first at `fit`."""

import argparse
import importlib.util
import io
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.text import DataError

Report = Callable[[str], None]


class Result(NamedTuple):
    """What a program found: a row of docs/uses.md."""

    use: str
    measure: str
    baseline: str
    ours: str
    attention: str  # what shows that attention looks where it should


def fit(
    model: nn.Module, loss_of: Callable[[], ta.Tensor], steps: int, lr: float, name: str = "model"
) -> None:
    """Take `steps` steps of Adam on `loss_of()`, which draws a batch and gives its loss.

    The learning rate rises to `lr` over the first tenth of the steps, then falls to 0."""
    optimizer = ta.optim.Adam(model.parameters(), lr=lr)
    warmup, total, started = max(steps // 10, 1), 0.0, time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = lr * min(step / warmup, (steps - step + 1) / steps * 1.1)
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        if step % max(steps // 8, 1) == 0:
            seconds = time.perf_counter() - started
            mean = total / max(steps // 8, 1)
            print(f"{name}: step {step}, loss {mean:.3f}, {seconds:.0f} s", file=sys.stderr)
            total = 0.0
    model.eval()


def edit_distance(a: str, b: str) -> int:
    """The fewest letters to insert, delete and change that turn a into b (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def need(package: str, module: str) -> None:
    """Raise DataError, with the command that helps, where a package is missing."""
    if importlib.util.find_spec(module) is None:
        raise DataError(f"{package} is not installed: pip install {package}")


def program(
    run: Callable[[argparse.Namespace], Iterable[Result]],
    doc: str | None,
    options: Callable[[argparse.ArgumentParser], Any] | None = None,
) -> None:
    """Run a use from the command line; wrong input and Ctrl-C end in one line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        args = arguments(sys.argv[1:], doc, options)
        for result in run(args):
            print(f"\n{result.use}, {result.measure}: {result.ours}")
            print(f"  baseline: {result.baseline}\n  attention: {result.attention}")
    except DataError as error:
        end(str(error))
    except OSError as error:
        end(f"{error.filename or 'output'}: expected to read or write it: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        end(message)  # one line, as for all other wrong input


def end(message: str) -> NoReturn:
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(2)


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def arguments(
    words: list[str],
    doc: str | None,
    options: Callable[[argparse.ArgumentParser], Any] | None = None,
) -> argparse.Namespace:
    parser = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--seed", type=whole, default=0, help="of data and weights (default 0)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the picture")
    if options:
        options(parser)
    args = parser.parse_args(words)
    args.out.mkdir(parents=True, exist_ok=True)
    ta.manual_seed(args.seed)
    need("matplotlib", "matplotlib")
    return args
