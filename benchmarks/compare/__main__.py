"""Speed and memory beside PyTorch and NumPy: `python -m benchmarks.compare`.

Every side runs in a process of its own with the same number of threads, and they are asked in turn:
tinyattn, torch, numpy, tinyattn, ... A row gives medians over the rounds, of the time of a call and
of the ratio within a round, with the quartiles of the ratio; above 1, tinyattn is the faster. The
first calls are not counted. `measure` is the measurement.
"""

import argparse
import math
import os
import platform
import re
import sys
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from benchmarks.compare import report
from benchmarks.compare.case import OURS, Case, cores
from benchmarks.compare.report import Ratio, Row
from benchmarks.compare.rows import CASES, GROUPS
from benchmarks.compare.workers import Worker, installed, peak

PAUSE, BLAS = 0.02, 0.3  # seconds until a side's threads are asleep, and those of NumPy's products
LONG = 8.0  # seconds after which a row of slow calls is content with fewer rounds
FEWEST = 5


def row(case: Case, threads: int, values: dict[str, list[float]]) -> Row:
    """`values` has what each side measured, round by round; the first is the one that counts."""
    first, *others = values
    compared = {side: values[side] for side in others}
    if len(compared) > 1 and case.group == "replay":
        compared["the faster"] = [min(times) for times in zip(*compared.values(), strict=True)]
    ratios = {}
    for side, times in compared.items():
        each = [b / a for a, b in zip(values[first], times, strict=True)]
        low, _, high = quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
        ratios[side] = Ratio(median(each), low, high)
    medians = {side: median(times) for side, times in values.items()}
    rate = case.flops / 1e9 / medians[first] if case.flops and not case.memory else 0.0
    share = rate / (peak(threads) or math.inf) if rate else 0.0
    return Row(case.group, case.name, threads, medians, ratios, share)


def measure(
    workers: dict[str, Worker], case: Case, threads: int, rounds: int, seconds: float
) -> Row:
    """`rounds` batches of calls on every side, each of about `seconds`, in turn."""
    times: dict[str, list[float]] = {side: [] for side in workers}
    pauses = {side: BLAS if side == "numpy" and case.flops else PAUSE for side in workers}
    for side, worker in workers.items():
        worker.ask("prepare", CASES.index(case), seconds)
        time.sleep(pauses[side])
    started = time.perf_counter()
    for done in range(rounds):
        if done >= FEWEST and time.perf_counter() - started > LONG:
            break
        for side, worker in workers.items():
            times[side].append(worker.ask("measure"))
            time.sleep(pauses[side])
    return row(case, threads, times)


def memory(sides: list[str], case: Case, threads: int) -> Row:
    """The peak on every side, in new processes."""
    found = {}
    for side in sides:
        worker = Worker(side, threads)
        found[side] = [worker.ask("memory", CASES.index(case))]
        worker.close()
    return row(case, threads, found)


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(ours: str) -> list[str]:
    """What a reader has to know of this machine and of what is installed, in lines."""
    lines = [f"{processor()}, {cores()} cores, Python {platform.python_version()}"]
    lines.append(f"{OURS} {ours}")
    return lines + [f"{s} {version(s)}" for s in ("torch", "numpy", "numba", "jax") if installed(s)]


def chosen(groups: list[str], pattern: str) -> list[Case]:
    """The cases of these groups whose names have the pattern."""
    search = re.compile(pattern, re.IGNORECASE).search
    return [case for case in CASES if case.group in groups and search(case.name)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--group",
        nargs="+",
        metavar="NAME",
        choices=list(GROUPS),
        default=list(GROUPS),
        help=f"of {', '.join(GROUPS)}; default: all",
    )
    parser.add_argument("--only", metavar="PATTERN", default="", help="rows whose name has it")
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="3 rounds of short batches")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="put the figures into this file")
    args = parser.parse_args()
    for name in ("rounds", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(args, name)}")
    args.cases = chosen(args.group, args.only)
    if not args.cases:
        parser.error(
            f"no row of {', '.join(args.group)} has {args.only!r} in its name; threads has rows "
            "where there are at least 4 cores"
        )
    return args


def main() -> None:
    args = arguments()
    sys.stdout.reconfigure(encoding="utf-8")
    rounds, seconds = (3, 0.005) if args.quick else (args.rounds, 0.02)
    workers: dict[tuple[str, int], Worker] = {}

    def started(side: str, threads: int) -> Worker:
        if (side, threads) not in workers:
            workers[side, threads] = Worker(side, threads)
        return workers[side, threads]

    about = machine(started(OURS, args.threads or cores()).ask("about"))
    print("\n".join(about))
    for side in ("torch", "numba"):
        if not installed(side):
            print(f"{side} is not installed: there are no figures of it, and no ratios")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3 * cores():
        print(f"the machine is busy (load {load:.1f}): figures will be wrong")

    begin = time.perf_counter()
    rows: list[Row] = []
    failed: list[str] = []
    for case in args.cases:
        threads = case.threads or args.threads or cores()
        sides = list(filter(installed, dict.fromkeys((*case.sides, *case.own))))
        if case.sides[0] not in sides:
            continue
        try:
            if case.memory:
                rows.append(memory(sides, case, threads))
            else:
                asked = {side: started(side, threads) for side in sides}
                rows.append(measure(asked, case, threads, rounds, seconds))
        except RuntimeError as error:  # of one side: the other rows can still be measured
            print(f"{case.group}: {case.name}: {error}", file=sys.stderr)
            failed.append(f"{case.group}: {case.name}")
            continue
        if args.csv:  # after every row, since a run that is stopped has measured, too
            report.write(args.csv, about, rows[-1:], [(case.group, case.name) for case in CASES])
        found = ", ".join(f"{side} {ratio.median:.2f}" for side, ratio in rows[-1].ratios.items())
        value = report.amount(rows[-1], next(iter(rows[-1].values)))
        print(f"{case.group}: {case.name}: {value}; {found}", file=sys.stderr)
    for worker in workers.values():
        worker.close()
    show(rows)
    print(f"took {timedelta(seconds=round(time.perf_counter() - begin))}")
    if failed:
        sys.exit(f"not measured, for the errors above: {'; '.join(failed)}")


def show(rows: list[Row]) -> None:
    """Print a table for each group, then a line for each, and what became of the README's rows."""
    for group in dict.fromkeys(row.group for row in rows):
        print(f"\n{group}\n")
        print(report.table([row for row in rows if row.group == group]))
    print()
    for group in dict.fromkeys(row.group for row in rows):
        for line in report.summary([row for row in rows if row.group == group], GROUPS[group]):
            print(line)
    print(report.claims(rows, {case.name: case.claimed for case in CASES if case.claimed}))


if __name__ == "__main__":
    main()
