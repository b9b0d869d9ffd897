"""Memory over time in training: `python -m benchmarks.memory_over_time FILE --minutes 30`.

Trains examples/translate.py on lines of source TAB target, again from the start whenever its epochs
are done, with validation and checkpoints; options of its `train` are taken, too. The resident set
rises and falls with the batches: each row has the mean and the highest since the row before, and
the last lines those of each third of the time, which are what has to stay.
"""

import argparse
import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import tinyattn as ta
from benchmarks.example import translate
from benchmarks.memory import resident
from tinyattn.text import split_by_source

ROWS = 30


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("file")
    top.add_argument("--minutes", type=float, default=30.0)
    ours, rest = top.parse_known_args()
    given = ["train", "--data", ours.file, *rest]
    args = translate.complete(translate.parser().parse_args(given))
    pairs = translate.all_pairs(args.data, args.swap, args.pairs)
    parts = split_by_source(pairs, args.valid, args.test, seed=args.seed)
    ta.manual_seed(args.seed)
    options = {**translate.options_of(args, parts[0]), "fingerprint": translate.fingerprint(pairs)}
    model = translate.new_model(options, parts[0])
    training, validation = map(model.ids, parts[:2])
    print(f"{len(training)} pairs, {ta.get_num_threads()} threads, backend {ta.backend().name}")
    print("| minute | steps | mean MB | highest MB |\n|---:|---:|---:|---:|", flush=True)
    over: list[bool] = []  # what ends `fit`, as Ctrl-C does
    done, progress = 0, translate.Progress()
    means: list[float] = []
    highest: list[float] = []

    def watch() -> None:
        started = time.perf_counter()
        for row in range(1, ROWS + 1):
            seen = [resident(peak=False)]
            while (elapsed := time.perf_counter() - started) < row * ours.minutes * 60 / ROWS:
                time.sleep(0.05)
                seen.append(resident(peak=False))
            means.append(sum(seen) / len(seen))
            highest.append(max(seen))
            steps = done + progress.step
            print(
                f"| {elapsed / 60:.1f} | {steps} | {means[-1]:.0f} | {highest[-1]:.0f} |",
                flush=True,
            )
        over.append(True)

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:

        def save(name: str) -> None:
            translate.save_checkpoint(Path(folder) / name, model, optimizer, args, progress)

        while not over:
            done, progress = done + progress.step, translate.Progress()
            optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
            with contextlib.redirect_stderr(nowhere):  # the progress bar
                translate.fit(model, optimizer, args, training, validation, progress, save, over)
    thirds = [slice(i, i + ROWS // 3) for i in range(0, ROWS, ROWS // 3)]
    print("\nmean in each third:", *(f"{sum(means[i]) / (ROWS // 3):.0f} MB" for i in thirds))
    print("highest in each third:", *(f"{max(highest[i]):.0f} MB" for i in thirds))


if __name__ == "__main__":
    main()
