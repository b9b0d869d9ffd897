"""Processes that measure. Each side has its own, and the sides are measured in turn, so that the
threads of one library never disturb another. Look first at `Worker`, which starts a process and
asks it; `main` runs inside (`python -m benchmarks.compare.workers SIDE THREADS`), reads questions
as lines of JSON and answers in JSON. A side is tinyattn, numba (tinyattn on that backend), torch or
numpy.
"""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.compare.case import Call
from benchmarks.compare.rows import CASES
from benchmarks.memory import resident

ROOT = Path(__file__).parents[2]
NEEDS = {"torch": ("torch",), "numba": ("numba",), "jax": ("jax", "optax")}  # packages
BACKENDS = {"tinyattn": None, "numba": "numba"}
STEPS = 5  # over which the peak of memory is taken
THREADS = ("TINYATTN", "OPENBLAS", "OMP", "MKL", "NUMBA")


def installed(side: str) -> bool:
    return all(map(importlib.util.find_spec, NEEDS.get(side, ())))


def environment(side: str, threads: int) -> dict[str, str]:
    """The threads, and the backend where the side is one."""
    env = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    backend = BACKENDS.get(side)
    return env | {"TINYATTN_BACKEND": backend} if backend else env


class Worker:
    """The process of one side."""

    def __init__(self, side: str, threads: int) -> None:
        self.side = side
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.compare.workers", side, str(threads)],
            cwd=ROOT,
            env=environment(side, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: str, *arguments: Any) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps([question, *arguments]), file=stdin, flush=True)
        line = stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(f"{self.side}, {question} {arguments}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        self.process.communicate()  # the end of its questions is the end of the process


@cache
def peak(threads: int) -> float | None:
    """The machine's multiply-adds in GFLOP/s (float32), None without a C compiler."""
    return measured("peak.c", threads)


def measured(name: str, *args: int) -> float | None:
    """The number that a C program of benchmarks/ prints, None without a C compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        return None
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-pthread"]
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/program"
        command = [*compiler.split(), *flags, str(ROOT / "benchmarks" / name), "-o", program]
        if subprocess.run(command, capture_output=True).returncode:
            return None
        return float(subprocess.run([program, *map(str, args)], capture_output=True).stdout)


# Inside the process


class Side:
    """Answers a question by the method of its name."""

    def __init__(self, side: str, threads: int) -> None:
        self.side = side
        self.lib: ModuleType | None = None
        self.call: Call | None = None
        self.repeats = 1
        if side == "torch":
            import torch

            torch.set_num_threads(threads)
            self.lib = torch
        elif side in BACKENDS:
            warnings.simplefilter("ignore", RuntimeWarning)  # the report says which backend it is
            import tinyattn

            self.lib = tinyattn

    def about(self) -> str:
        """The version of tinyattn, its backend, and the instruction set that it uses."""
        import tinyattn
        from tinyattn.kernels import instruction_set

        return f"{tinyattn.__version__} ({tinyattn.backend().name}, {instruction_set()})"

    def prepare(self, index: int, seconds: float) -> int:
        """Set a case up, warm it up, and find how many calls take `seconds`."""
        self.call = None  # the last case's memory first
        self.call = self._set_up(index)
        self.call()
        self.call()
        self.repeats, spent = 1, 0.0
        while (spent := self._run()) < seconds:
            self.repeats = max(self.repeats + 1, math.ceil(self.repeats * seconds / spent))
        return self.repeats

    def _set_up(self, index: int) -> Call:
        case = CASES[index]
        return case.own[self.side]() if self.side in case.own else case.setup(self.lib)

    def memory(self, index: int) -> float:
        """MB at the peak of a few calls, beyond what the process has now."""
        before = resident(peak=False)
        call = self._set_up(index)
        for _ in range(STEPS):
            call()
        return resident(peak=True) - before

    def measure(self) -> float:
        """Seconds a call takes, over one batch of calls."""
        return self._run() / self.repeats

    def _run(self) -> float:
        call = self.call
        assert call is not None
        start = time.perf_counter()
        for _ in range(self.repeats):
            call()
        return time.perf_counter() - start


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints doesn't disturb the answers
    side = Side(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        try:
            answer = {"value": getattr(side, question)(*arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
