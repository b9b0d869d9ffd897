"""The power of the tests: `python -m tests.power` puts one fault after another into the gradients
of every operation and kernel, and into modules, optimisers, schedules, text, files, exercises, data
sets, ranks and pictures, and says which test caught it.

`--list` shows the faults, `--only PART` takes those whose name holds PART, `--sample N --seed S`
tries N of them. Faults that change no result stand in equivalent.py, each with its reason. All work
is done in a copy of the tree (warm.py): in NumPy, in uncompiled Numba, in C built for float64 and
one instruction set. Tests that need torch are not used. Replays need the compiled core, whichever
backend is used: it is copied, too, and without one their faults are left out.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.power.choosing import ROOT
from tests.power.equivalent import gone, reason
from tests.power.mutants import mutants
from tests.power.source import Mutant
from tests.power.warm import REFUSED, Outcome, try_faults

# What Numba's compiler would put in the place of functions that only exist inside kernels, and of
# what it makes of an elementwise operation: a function of C that is called by its address.
UNCOMPILED = {
    "compiling.py": """

def _without_warnings(self, *arguments, call=Kernel.__call__, **options):
    with np.errstate(all="ignore"):
        return call(self, *arguments, **options)

Kernel.__call__ = _without_warnings
""",
    "vmath.py": """

import scipy.special
exp, expm1, log, log1p, tanh = np.exp, np.expm1, np.log, np.log1p, np.tanh
erf, normal, power = scipy.special.erf, scipy.special.ndtr, np.power
bits, unbits = lambda x: x, lambda x: x
np.seterr(all="ignore")
""",
    "elementwise.py": """

import ctypes
import scipy.special
from types import SimpleNamespace
from numba.np.numpy_support import as_dtype
names = ("pi", "sqrt", "expm1", "log1p", "log", "log2", "copysign", "sin", "cos")
same = {name: getattr(np, name) for name in names}
math = SimpleNamespace(**same, erf=scipy.special.erf, erfc=scipy.special.erfc)

def cfunc(signature, **options):
    return lambda loop: SimpleNamespace(address=(loop, signature.args))

numba = SimpleNamespace(prange=numba.prange, from_dtype=numba.from_dtype, cfunc=cfunc)

def _call(loop, n, *given):
    function, kinds = loop
    def as_declared(value, kind):
        if not isinstance(kind, types.CPointer):
            return value
        dtype = as_dtype(kind.dtype)
        memory = (ctypes.c_char * (n * dtype.itemsize)).from_address(value)
        return np.frombuffer(memory, dtype)
    function(n, *map(as_declared, given, kinds[1:]))
""",
}


def backend(fault: Mutant) -> str:
    """Where a fault is tried: kernels by their folder, all else in NumPy alone."""
    if fault.path.startswith("native/"):
        return "native"
    return "numba" if fault.path.startswith("tinyattn/kernels/jit/") else "numpy"


REPLAYS = "tinyattn/_replay.py"  # whose tests need the compiled core
CORE = "tinyattn/kernels/native/_core.abi3.so"


def copy_tree(place: Path, kind: str) -> Path:
    """A copy of the repository; what is compiled only for faults that are tried in NumPy."""
    compiled = [] if kind == "numpy" else ["*.so"]
    ignored = shutil.ignore_patterns(*compiled, "__pycache__", "_core.c")
    for path in ROOT.iterdir():
        if path.name in ("tinyattn", "tests", "native", "benchmarks", "examples", "docs"):
            shutil.copytree(path, place / path.name, ignore=ignored)
        elif path.is_file():
            shutil.copy2(path, place)
    for name, code in UNCOMPILED.items():
        with (place / "tinyattn/kernels/jit" / name).open("a") as file:
            file.write(code)
    return place


def say(outcome: Outcome) -> None:
    fault, by, seconds = outcome
    word = "caught" if by else "SURVIVED"
    print(f"{word}  {seconds:.1f} s  {fault.line}: {fault}  {by}", file=OUT, flush=True)


OUT = os.fdopen(os.dup(1), "w")  # forks write their logs elsewhere


def attempt(faults: list[Mutant], processes: int) -> list[Outcome]:
    done: list[Outcome] = []
    for kind in ("numpy", "numba", "native"):
        its = [fault for fault in faults if backend(fault) == kind]
        if not its:
            continue
        with tempfile.TemporaryDirectory() as place:
            tree = copy_tree(Path(place).resolve(), kind)
            done += try_faults(its, kind, processes, tree, say)
    return done


def report(done: list[Outcome], equivalent: list[Mutant], minutes: float) -> bool:
    """Say what was caught, by folder; whether all was."""
    refused = [row for row in done if row[1] == REFUSED]
    done = [row for row in done if row not in refused]
    survivors = [fault for fault, by, _ in done if not by or "INVALID" in by]
    for fault in survivors:
        print(f"SURVIVED  {fault.line}: {fault}")
    tried = Counter(str(Path(fault.path).parent) for fault, *_ in done)
    survived = Counter(str(Path(fault.path).parent) for fault in survivors)
    for name in sorted(tried):
        print(f"{name}: {tried[name] - survived[name]} of {tried[name]} caught")
    print(
        f"{len(done) - len(survivors)} of {len(done)} faults caught, {len(equivalent)} equivalent, "
        f"{len(refused)} do not compile, {minutes:.1f} min in all"
    )
    return not survivors


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--list", action="store_true", help="only say which faults there are")
    parser.add_argument("--only", action="append", default=[], metavar="PART")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-j", "--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()

    found = mutants(ROOT)
    for entry in gone(found):
        print(f"in equivalent.py, but no fault any more: {entry}")
    if options.only:
        found = [m for m in found if any(part in str(m) for part in options.only)]
    if not (ROOT / CORE).exists():
        print(f"without {CORE}, the faults of {REPLAYS} are left out")
        found = [m for m in found if m.path != REPLAYS]
    equivalent = [m for m in found if reason(m)]
    todo = [m for m in found if not reason(m)]
    if options.sample is not None:
        todo = random.Random(options.seed).sample(todo, min(options.sample, len(todo)))
    if options.list:
        for m in todo:
            print(f"{m.line}: {m}")
        for m in equivalent:
            print(f"equivalent: {m} ({reason(m)})")
        print(f"{len(todo)} faults, {len(equivalent)} equivalent")
        return 0

    os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "TINYATTN_NUM_THREADS": "1"}
    import cffi  # noqa: F401 - what every fork would import again
    import hypothesis  # noqa: F401
    import numba  # noqa: F401
    import pytest  # noqa: F401
    import safetensors.numpy  # noqa: F401
    import scipy.special  # noqa: F401

    began = time.monotonic()
    done = attempt(todo, options.processes)
    return 0 if report(done, equivalent, (time.monotonic() - began) / 60) else 1


if __name__ == "__main__":
    sys.exit(main())
