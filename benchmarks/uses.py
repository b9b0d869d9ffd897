"""The table of docs/uses.md: `python -m benchmarks.uses`, or of some: `python -m benchmarks.uses
speech caption`. Each program of examples/ trains with its defaults; its pictures go to runs/.
Time is that of the processor, all threads together."""

import argparse
import contextlib
import importlib
import sys
import time
from pathlib import Path

import tinyattn as ta
from tinyattn.text import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import uses

COMMANDS = (
    "speech", "caption", "question", "summary", "recommend", "sentiment", "sentiment --adversarial",
    "gradients_through_time",
)  # fmt: skip
HEAD = """| use | what is counted | baseline | ours | attention's own check | processor seconds |
|---|---|---|---|---|---:|"""


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("names", nargs="*", help="programs of examples/ (default: all uses)")
    ours, rest = top.parse_known_args()
    sys.stdout.reconfigure(encoding="utf-8")
    print(f"backend {ta.backend().name}, {ta.get_num_threads()} threads\n")
    print(HEAD, flush=True)
    chosen = [c for c in COMMANDS if c.split()[0] in ours.names] if ours.names else COMMANDS
    for command in chosen:
        name, *more = command.split()
        program = importlib.import_module(name)
        options = getattr(program, "options", None)
        started = time.process_time()
        try:
            args = uses.arguments([*more, *rest], program.__doc__, options)
            with contextlib.redirect_stdout(sys.stderr):  # its progress is not part of the table
                results = list(program.run(args))
        except DataError as error:  # a package is missing that other rows do without
            print(f"{command}: {error}", file=sys.stderr)
            continue
        seconds = time.process_time() - started
        for result in results:
            print(f"| {' | '.join(result)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
