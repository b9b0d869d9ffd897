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
from benchmarks.example import Progress, Run, fit, prepare, train_options
from benchmarks.memory import resident

ROWS = 30


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("file")
    top.add_argument("--minutes", type=float, default=30.0)
    ours, rest = top.parse_known_args()
    small = ("--hidden", "128", "--dropout", "0", "--smoothing", "0", "--lr", "1e-2")
    args = train_options("--data", ours.file, *small, *rest)
    model, data = prepare(args)
    print(
        f"{len(data.training)} pairs, {ta.get_num_threads()} threads, backend {ta.backend().name}"
    )
    print("| minute | steps | mean MB | highest MB |\n|---:|---:|---:|---:|", flush=True)
    over: list[bool] = []  # what ends `fit`, as Ctrl-C does
    done, progress = 0, Progress()
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
        while not over:
            done, progress = done + progress.step, Progress()
            optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
            with contextlib.redirect_stderr(nowhere):  # the progress bar
                run = Run(model, optimizer, args, data, Path(folder), progress, over)
                fit(model, optimizer, args, run)
    thirds = [slice(i, i + ROWS // 3) for i in range(0, ROWS, ROWS // 3)]
    print("\nmean in each third:", *(f"{sum(means[i]) / (ROWS // 3):.0f} MB" for i in thirds))
    print("highest in each third:", *(f"{max(highest[i]):.0f} MB" for i in thirds))


if __name__ == "__main__":
    main()
