"""Speed beside PyTorch and NumPy: `python -m benchmarks.compare [group ...]`.

Every side runs in a process of its own with as many threads as there are cores, and they are asked
in turn: tinyattn, torch, numpy, tinyattn, ... A row gives medians over the rounds, of the time of a
call and of the ratio within a round; above 1, tinyattn is the faster. `compare` is the measurement,
`table` the report.
"""

import argparse
import importlib.util
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.cases import CASES, GROUPS, Case
from benchmarks.workers import BACKENDS, Worker, cores, installed, peak

OURS = "tinyattn"


class Row(NamedTuple):
    case: Case
    seconds: dict[str, float]  # median time of a call, by side
    ratios: dict[str, float]  # median of a side's time over ours


def compare(workers: dict[str, Worker], case: Case, rounds: int, seconds: float) -> Row:
    """`rounds` batches of calls on every side, each of about `seconds`, in turn."""
    times: dict[str, list[float]] = {side: [] for side in workers}
    for worker in workers.values():
        worker.ask("prepare", CASES.index(case), seconds)
    for _ in range(rounds):
        for side, worker in workers.items():
            time.sleep(0.3)  # until the last side's threads are asleep
            times[side].append(worker.ask("measure"))
    ratios = {
        side: median(other / own for other, own in zip(times[side], times[OURS], strict=True))
        for side in workers
        if side != OURS
    }
    return Row(case, {side: median(t) for side, t in times.items()}, ratios)


def table(rows: list[Row], peak_rate: float) -> str:
    sides = list(dict.fromkeys(side for row in rows for side in row.seconds))
    others = [side for side in sides if side != OURS]
    lines = [["work", *sides, *(f"{side} / {OURS}" for side in others), "wanted", "of the peak"]]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    for case, seconds, ratios in rows:
        times = [_time(seconds[side]) if side in seconds else "" for side in sides]
        shown = [f"**{ratios[side]:.2f}**" if side in ratios else "" for side in others]
        wanted = f"≥ {case.goal}" if "torch" in ratios or "numpy" in ratios else ""
        if others == ["numba"]:
            wanted = f"≤ {case.numba}"
        share = case.flops / seconds[OURS] / 1e9 / peak_rate
        lines.append([case.name, *times, *shown, wanted, f"{100 * share:.0f} %" if share else ""])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def plot(rows: list[Row], path: Path) -> None:
    """A bar for each ratio."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    bars = [(f"{row.case.name}, {side}", r) for row in rows for side, r in row.ratios.items()]
    figure, axes = plt.subplots(figsize=(9, 1 + 0.25 * len(bars)), layout="constrained")
    colors = ["tab:blue" if ratio >= 1 else "tab:red" for _, ratio in bars]
    axes.barh([name for name, _ in bars], [ratio for _, ratio in bars], color=colors)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.invert_yaxis()
    axes.set_xlabel(f"time of the other / time of {OURS}")
    figure.savefig(path, dpi=120)


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def verdict(about: dict[str, Any]) -> str:
    """Whether this installation is fast."""
    if about["backend"] == "native":
        return f"fast: native, {about['isa']}, {about['threads']} threads"
    return f"slow: no compiled core; {OURS} stands below for its {about['backend']} backend"


def measured_peak(rows: list[Row]) -> tuple[float, str]:
    """GFLOP/s of the whole machine, and how it was found."""
    if (rate := peak()) is not None:
        return rate, f"peak: {rate:.0f} GFLOP/s in float32 multiply-adds on {cores()} cores"
    rates = [row.case.flops / min(row.seconds.values()) / 1e9 for row in rows if row.case.flops]
    rate = max(rates, default=1.0)
    return rate, f"peak: taken to be the best rate of any row, {rate:.0f} GFLOP/s; no C compiler"


def main() -> None:
    everything = [*GROUPS, "numba"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(everything))
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="3 rounds of short batches")
    parser.add_argument("--backends", action="store_true", help="tinyattn's other backends too")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="%(default)s")
    args = parser.parse_args()
    groups = args.groups or everything
    for group in groups:
        if group not in everything:
            parser.error(f"group: expected some of {', '.join(everything)}, got {group!r}")
    if args.rounds < 1:
        parser.error(f"--rounds: expected at least 1, got {args.rounds}")
    rounds, seconds = (3, 0.005) if args.quick else (args.rounds, 0.02)

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    workers = {OURS: Worker(OURS)}
    about = {OURS: workers[OURS].ask("about")}
    backends = [
        s for s, b in BACKENDS.items() if b and b != about[OURS]["backend"] and installed(s)
    ]
    sides = [OURS, *(["torch"] if installed("torch") else []), "numpy"]
    if args.backends or "torch" not in sides:
        sides += backends
    plan = [
        (case, [side for side in sides if side != "numpy" or case.numpy])
        for case in CASES
        if case.group in groups
    ]
    if "numba" in groups and "numba" in backends:
        plan += [(case, [OURS, "numba"]) for case in CASES if case.numba]

    rows = []
    for case, asked in plan:
        for side in asked:
            if side not in workers:
                workers[side] = Worker(side)
                about[side] = workers[side].ask("about")
        rows.append(compare({side: workers[side] for side in asked}, case, rounds, seconds))
        found = ", ".join(f"{side} {ratio:.2f}" for side, ratio in rows[-1].ratios.items())
        print(f"{case.name}: {_time(rows[-1].seconds[OURS])}, over ours: {found}", file=sys.stderr)
    for worker in workers.values():
        worker.close()

    rate, origin = measured_peak(rows)
    lines = [verdict(about[OURS])]
    if load is not None and load > 0.3 * cores():
        lines.append(f"the machine was busy (load {load:.1f} at the start): measure again")
    lines += [f"processor: {processor()}; {origin}"]
    lines += [f"{side}: {a['version']}, {a['threads']} threads" for side, a in about.items()]
    twins = [row for row in rows if list(row.ratios) == ["numba"]]
    for part in ([row for row in rows if row not in twins], twins):
        lines += ["", table(part, rate)] if part else []
    lines += [
        "",
        "wanted: against torch, and for products against NumPy too; against Numba, at most",
    ]
    report = "\n".join(lines)
    print(report)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "compare.md").write_text(report + "\n", encoding="utf-8")
    if importlib.util.find_spec("matplotlib"):
        plot(rows, args.out / "compare.png")
        print(f"\nplot: {args.out / 'compare.png'}")
    else:
        print("\nno plot: matplotlib is not installed")


if __name__ == "__main__":
    main()
