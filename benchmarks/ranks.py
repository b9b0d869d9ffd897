"""Training by several processes: `python -m benchmarks.ranks` measures what two ranks cost on this
machine, and works out how far more of them go over a network.

The step is that of examples/translate.py with its defaults. Measured in turn, `--rounds` times: one
rank of two threads, two ranks of one thread, one rank of one thread. Look first at `step_time`.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import tinyattn as ta
from benchmarks.example import loss_of_part, prepare, train_options
from tinyattn import parallel
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.text import batches

RANKS = (2, 4, 8, 16, 32, 64)
NETWORKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8}  # bytes a second, each way
LATENCY = 50e-6  # seconds from rank to rank, usual for Ethernet
CAP = 1e6  # bytes of a bucket, the default of DistributedDataParallel


def step_time(compute: float, size: float, ranks: int, speed: float) -> float:
    """Seconds of a step of `ranks`, each on a machine of its own, whose own parts take `compute`.

    A rank sends and receives 2 (n - 1) / n of the bytes `size` of the gradients, and for each
    bucket two messages after each other. That goes on beside the backward pass, about two thirds of
    the computing, but for the last bucket, which is complete only at the end.
    """
    share = 2 * (ranks - 1) / ranks
    whole = share * size / speed + 2 * LATENCY * math.ceil(size / CAP)
    last = share * min(CAP, size) / speed + 2 * LATENCY
    return compute + max(last, whole - compute * 2 / 3)


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--rounds", type=int, default=3)
    top.add_argument("--steps", type=int, default=60)
    top.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = top.parse_args()
    if args.worker:
        worker(args.steps)
        return
    ways = {"one rank, two threads": (1, 2), "two ranks, one thread": (2, 1), "one, one": (1, 1)}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, (ranks, threads) in ways.items():
            found[way].append(measured(ranks, threads, args.steps))
    middle = {way: statistics.median(one["step"] for one in found[way]) for way in ways}
    some = found["two ranks, one thread"]
    size, pairs = some[0]["bytes"], int(some[0]["pairs"])
    whole, two, one = middle.values()
    print(report(whole, two, one, size, pairs, statistics.median(x["exchange"] for x in some)))


def report(whole: float, two: float, one: float, size: float, pairs: int, exchange: float) -> str:
    """The tables: seconds of a step in three ways, bytes of the gradients, pairs of a batch, and
    seconds for the gradients alone from rank to rank."""
    lines = [
        f"A step of {pairs} pairs, {size / 1e6:.1f} MB of gradients:",
        "",
        "| on this machine | ms a step |",
        "|---|---:|",
        f"| one rank of two threads | {1e3 * whole:.1f} |",
        f"| two ranks of one thread | {1e3 * two:.1f} ({two / whole:.2f} times that) |",
        f"| one rank of one thread | {1e3 * one:.1f} |",
        f"| the sum of the gradients of two ranks, alone | {1e3 * exchange:.1f} |",
        "",
        "Worked out for ranks of two threads, each on a machine of its own: steps a second, times",
        f"those of one. The same batch: {pairs} pairs in all. A larger one: {pairs} pairs each.",
        "",
        "| ranks | MB sent a step | " + " | ".join(
            f"{kind}, {name}" for name in NETWORKS for kind in ("same batch", "larger batch")
        ) + " |",
        "|---:|---:|" + "---:|" * 2 * len(NETWORKS),
    ]  # fmt: skip
    for ranks in RANKS:
        gains = []
        for speed in NETWORKS.values():
            gains.append(whole / step_time(whole / ranks, size, ranks, speed))
            gains.append(ranks * whole / step_time(whole, size, ranks, speed))
        sent = 2 * (ranks - 1) / ranks * size / 1e6
        lines.append(f"| {ranks} | {sent:.1f} | " + " | ".join(f"{x:.1f}" for x in gains) + " |")
    return "\n".join(lines)


def measured(ranks: int, threads: int, steps: int) -> dict[str, float]:
    """What `worker` finds in a run of its own."""
    command = [sys.executable, "-m", "benchmarks.ranks", "--worker", "--steps", str(steps)]
    if ranks > 1:
        beside = Path(sys.executable).with_name("mpiexec")
        mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
        if mpiexec is None:
            sys.exit("ranks: needs mpiexec: pip install 'tinyattn[distributed]'")
        command = [mpiexec, "-n", str(ranks), *command]
    env = {**os.environ, "TINYATTN_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def worker(steps: int) -> None:
    """Train for some steps, and print the seconds of one, and of the sum of gradients alone."""
    args = train_options("--pairs", "12000")
    model, data = prepare(args)
    optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
    shared = parallel.DistributedDataParallel(model)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        loss = loss_of_part(model, batch, args)
        loss.backward()
        clip_grad_norm_(shared.parameters(), 1.0)
        parallel.all_gather_object(loss.item())
        optimizer.step()

    model.train()
    few = list(islice(batches(data.training, args.batch, args.seed), steps + 10))
    for batch in few[:10]:
        step(batch)
    parallel.barrier()
    begun = time.perf_counter()
    for batch in few[10:]:
        step(batch)
    seconds = (time.perf_counter() - begun) / steps
    gradients = ta.zeros(sum(parameter.numel() for parameter in model.parameters()))
    sums = []
    for _ in range(20):
        begun = time.perf_counter()
        parallel.all_reduce(gradients)
        sums.append(time.perf_counter() - begun)
    if parallel.get_rank() == 0:
        size = gradients.numel() * 4
        exchange = statistics.median(sums)
        print(
            json.dumps({"step": seconds, "bytes": size, "pairs": args.batch, "exchange": exchange})
        )


if __name__ == "__main__":
    main()
