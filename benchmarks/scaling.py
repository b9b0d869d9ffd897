"""How evenly work is cut for more threads than this machine has: `python -m benchmarks.scaling`.

It builds the C core once more, in a folder of its own (this takes a minute). There, the function
that gives parts to threads runs them one after the other and notes how long each takes (scaling.c).
So the parts are those that the core itself cuts for 4, 8, 16 and 32 threads. From them follows how
many times faster than on one thread a call could be: the time on one thread, divided by the time
outside of the parts plus the time until the last thread is done with its parts. A thread that is
free takes the next part; the share of their time that the threads have one stands beside it. What
threads cost each other is not counted: starting and joining them, waiting inside a part, shared
caches and memory. Look first at `speedup`.
"""

import argparse
import heapq
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.compare.case import Call, Case
from benchmarks.compare.rows import CASES

ROOT = Path(__file__).parent.parent
THREADS = (4, 8, 16, 32)
CORE = "tinyattn.kernels.native._core"
POOLS = r"^void ta_parallel\("  # where pool.c defines the function that scaling.c replaces

GROUPS = ("gemm", "gru", "attention", "softmax", "optimiser", "seq2seq", "transformer")


class Run(NamedTuple):
    """One call: the seconds of every part of every job, and the seconds outside of them."""

    jobs: list[list[float]]
    outside: float

    @property
    def total(self) -> float:
        return self.outside + sum(map(sum, self.jobs))


def build(folder: Path) -> Path:
    """The core with the function of scaling.c in place of the pool's."""
    shutil.copytree(ROOT / "native", folder / "native")
    pool, header = folder / "native/pool.c", folder / "native/tinyattn.h"
    text, found = re.subn(
        POOLS, "void ta_parallel_in_threads(", pool.read_text(), flags=re.MULTILINE
    )
    assert found == 1, f"expected {POOLS} once in pool.c, found {found}"
    pool.write_text(text + (ROOT / "benchmarks/scaling.c").read_text())
    header.write_text(header.read_text() + "\nlong ta_notes(double **numbers);\n")
    subprocess.run(
        [sys.executable, "native/build.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return next((folder / "tinyattn/kernels/native").glob("_core*.so"))


def load(core: Path) -> ModuleType:
    """tinyattn on this core."""
    spec = importlib.util.spec_from_file_location(CORE, core)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[CORE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[CORE])
    import tinyattn

    tinyattn.use_backend("native")
    return tinyattn


def run(call: Call, repeats: int) -> Run:
    """The least time of each part over several calls, which have the same parts."""
    core: Any = sys.modules[CORE]
    runs = []
    numbers = core.ffi.new("double **")
    for _ in range(repeats):
        core.lib.ta_notes(numbers)
        start = time.thread_time()
        call()
        spent = time.thread_time() - start
        count = core.lib.ta_notes(numbers)
        noted, jobs = core.ffi.unpack(numbers[0], count) if count else [], []
        while noted:
            parts = int(noted[0])
            jobs.append(noted[1 : parts + 1])
            noted = noted[parts + 1 :]
        runs.append(Run(jobs, spent - sum(map(sum, jobs))))
    jobs = [
        [min(times) for times in zip(*same, strict=True)]
        for same in zip(*(run.jobs for run in runs), strict=True)
    ]
    return Run(jobs, max(min(run.outside for run in runs), 0.0))


def until_done(parts: list[float], threads: int) -> float:
    """When the last thread is done, if the one that is free first takes the next part."""
    free = [0.0] * threads
    for seconds in parts:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def speedup(alone: Run, cut: Run, threads: int) -> tuple[float, float]:
    """How many times faster, and the share of their time that the threads have parts to do."""
    spans = sum(until_done(job, threads) for job in cut.jobs)
    share = sum(map(sum, cut.jobs)) / (threads * spans) if cut.jobs else 1 / threads
    return alone.total / (cut.outside + spans), share


def line(case: Case, lib: Any, repeats: int) -> str:
    call, cells, parts = case.setup(lib), [], 0
    for _ in range(3):  # until weights are packed and memory is there
        call()
    lib.set_num_threads(1)
    alone = run(call, repeats)
    for threads in THREADS:
        lib.set_num_threads(threads)
        cut = run(call, repeats)
        faster, share = speedup(alone, cut, threads)
        cells.append(f"{faster:.1f}, {100 * share:.0f} %")
        if threads == 16:
            parts = sum(map(len, cut.jobs))
    return " | ".join([f"| {case.name}", f"{1e3 * alone.total:.3g}", *cells, f"{parts} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--only", default="", help="rows with this in their name")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    args = parser.parse_args()
    rows = [case for case in CASES if case.group in (args.groups or GROUPS)]
    chosen = [case for case in rows if args.only in case.name]
    if not chosen:
        parser.error(f"no row of {args.groups or GROUPS} has {args.only!r} in its name")
    if args.repeats < 1:
        parser.error(f"--repeats: expected at least 1, got {args.repeats}")

    with tempfile.TemporaryDirectory() as folder:
        lib = load(build(Path(folder)))
        columns = [f"faster on {n}, busy |" for n in THREADS]
        print("| work | ms on one thread |", *columns, "parts for 16 |")
        print("| --- |", *["---: |"] * (len(THREADS) + 2))
        for case in chosen:
            print(line(case, lib, args.repeats), flush=True)


if __name__ == "__main__":
    main()
