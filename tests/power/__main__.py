"""The power of the tests: `python -m tests.power` puts one fault after another into the
gradients of every operation and kernel, and says which test caught it.

`--list` shows the faults (mutants.py makes them), `--only PART` those whose name holds PART,
`--sample N --seed S` tries N of them. Faults that change no result stand in equivalent.py.

All work is done in copies of the tree. A copy runs the tests once as they are; then, for each
fault, a fork of a process that has imported everything else patches one file and runs the tests
that concern it, in NumPy alone, in uncompiled Numba, or in C built for float64 and one level.
"""

import argparse
import gc
import inspect
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from native import build
from tests.power.equivalent import gone, reason
from tests.power.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
LONGEST = 1.0  # processor seconds of a test that is run
ENOUGH = 30.0  # processor seconds of tests for one fault
REFUSED = "does not compile"
LIMIT = 120  # seconds after which a fault counts as caught: it never ends
ENGINE = [f"tests/autograd/test_{name}.py" for name in ("backward", "function", "grad", "hooks")]
OPS = [f"tests/ops/test_{name}.py" for name in ("elementwise", "indexing", "products", "shape")]
# Where the tests aren't, or not only, those of the same name.
TESTS = {
    "tinyattn/autograd/engine.py": [*ENGINE, *OPS],
    "tinyattn/autograd/function.py": [*ENGINE, *OPS],
    "tinyattn/autograd/gradients.py": [*ENGINE, *OPS],
    "tinyattn/autograd/storage.py": ENGINE,
    "tinyattn/nn/utils/rnn.py": ["tests/nn/test_packing.py"],
    "tinyattn/ops/attention.py": ["tests/ops/test_attention_sdpa.py", "tests/nn/test_attention.py"],
}
FLAGS = [
    "-std=gnu11",
    "-O1",
    "-fPIC",
    "-shared",
    "-pthread",
    "-w",
    "-fno-math-errno",
    "-fvisibility=hidden",
]


# What Numba's compiler would put in the place of functions that only exist inside kernels.
UNCOMPILED = """

exp, tanh, bits, unbits = np.exp, np.tanh, lambda x: x, lambda x: x
np.seterr(all="ignore")
"""


class Plan(NamedTuple):
    """What runs for a fault: a backend, test files, and the kernels that their tests must call."""

    backend: str
    files: tuple[str, ...]
    kernels: tuple[str, ...]


def plan(mutant: Mutant) -> Plan:
    path = Path(mutant.path)
    if mutant.path in TESTS:
        return Plan("numpy", tuple(TESTS[mutant.path]), ())
    if path.parent.name == "ops":
        return Plan("numpy", mirrored(path.stem), ())
    backend = {"reference": "numpy", "jit": "numba", "native": "native"}[path.parent.name]
    calls = re.compile(rf"\.({'|'.join(mutant.entries)})\b")
    # The definition is held to mathematics, the other backends to the definition.
    measure = "definition" if backend == "numpy" else "agreement"
    stems = {measure, *(name.split("_")[0] for name in mutant.entries)}
    files = [ROOT / f"tests/kernels/test_{stem}.py" for stem in stems]
    files = [p for p in files if p.exists() and calls.search(p.read_text())]
    names = sorted(str(p.relative_to(ROOT)) for p in files)
    for p in sorted(ROOT.glob("tinyattn/ops/*.py")):
        if calls.search(p.read_text()):
            names += mirrored(p.stem)
    return Plan(backend, tuple(names), mutant.entries)


def mirrored(stem: str) -> tuple[str, ...]:
    """The tests of the operations of one file."""
    files = {ROOT / f"tests/ops/test_{stem}.py", *ROOT.glob(f"tests/ops/test_{stem}_*.py")}
    return tuple(sorted(str(p.relative_to(ROOT)) for p in files if p.exists()))


class Chosen:
    """A pytest plugin: which tests run, in which order, and what became of them."""

    def __init__(self, plan: Plan, names: list[str] | None) -> None:
        self.plan, self.names = plan, names
        self.passed: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_configure(self, config: Any) -> None:
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "faults",
            database=None,
            derandomize=True,
            deadline=None,
            max_examples=10,
            phases=(Phase.explicit, Phase.generate),  # no shrinking
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("faults")

    def concerns(self, item: Any) -> bool:
        kernels, parameters = self.plan.kernels, getattr(item, "callspec", None)
        values = parameters.params if parameters else {}
        if "torch" in item.fixturenames:
            return False
        if any(values.get(name, self.plan.backend) != self.plan.backend for name in BACKENDS):
            return False
        if not kernels:
            return True
        if getattr(values.get("dtype"), "__name__", values.get("dtype")) == "float32":
            return False
        if "tests/ops" in item.nodeid:
            return "backend" in values
        if item.path.stem.removeprefix("test_") in (kernel.split("_")[0] for kernel in kernels):
            return True
        return any(f".{kernel}(" in inspect.getsource(item.function) for kernel in kernels)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.names is None:
            items[:] = [item for item in items if self.concerns(item)]
        else:
            known = {item.nodeid: item for item in items}
            items[:] = [known[name] for name in self.names if name in known]

    def pytest_runtest_call(self, item: Any) -> None:
        self.began = time.process_time()
        if self.names is None:
            signal.signal(signal.SIGPROF, too_long)
            signal.setitimer(signal.ITIMER_PROF, LONGEST)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.names is None:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed[report.nodeid] = time.process_time() - self.began

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid} (import)")


BACKENDS = ("backend", "kernels")


class TooLong(BaseException):
    pass


def too_long(*_: Any) -> None:
    raise TooLong


def in_child(tree: Path, plan: Plan, names: list[str] | None, build: bool) -> None:
    """Run the tests in this process, a fork, and write what came of them to report.json."""
    os.chdir(tree)
    log = os.open(tree / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    if plan.backend == "native" and build and not build_core(tree):
        (tree / "report.json").write_text(json.dumps({"failed": [REFUSED]}))
        return
    os.environ["TINYATTN_BACKEND"] = plan.backend
    os.environ["PYTHONPATH"] = str(tree)
    sys.path[0] = str(tree)
    for missing in ["torch"] + ["numba"] * (plan.backend != "numba"):
        sys.modules[missing] = None  # type: ignore[assignment]
    sys.dont_write_bytecode = names is not None
    import pytest

    chosen = Chosen(plan, names)
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", "-c", "pyproject.toml"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork
    pytest.main([*options, *(["-x"] if names else []), *plan.files], plugins=[chosen])
    tinyattn = sys.modules.get("tinyattn")
    assert tinyattn is None or str(tinyattn.__file__).startswith(str(tree))
    result = {"passed": chosen.passed, "failed": chosen.failed}
    (tree / "report.json").write_text(json.dumps(result))


def build_core(tree: Path) -> bool:
    here = "tinyattn/kernels/native/_core.abi3.so"
    command = ["cc", *FLAGS, "-Inative", "core.o", "-x", "c", "core_f64.c", "-o", here, "-lm"]
    return subprocess.run(command, cwd=tree, check=False).returncode == 0


def prepare_core(tree: Path) -> None:
    """core_f64.c, the core without float32 and without levels, and core.o, the module around it."""

    def edit(name: str, old: str, new: str) -> None:
        path = tree / "native" / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise RuntimeError(f"native/{name}: expected {old!r} to leave out what isn't tested")
        path.write_text(text.replace(old, new), encoding="utf-8")

    edit("core.c", "#define TA_X86 1", "#define TA_X86 0")
    levels = (tree / "native/level.inc").read_text(encoding="utf-8")
    edit("level.inc", levels[: levels.index("#define REAL_BITS 64")], "")
    edit("dispatch.c", "ENTRY(name, f32, parameters, arguments)",
         "int ta_##name##_f32 parameters { return 1; }")  # fmt: skip
    core = f'#include "core.c"\n{build.entry_points()}'
    (tree / "core_f64.c").write_text(core, encoding="utf-8")
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(build.interface())
    source = f"#include <stdint.h>\n{build.interface()}"
    ffi.set_source("tinyattn.kernels.native._core", source, py_limited_api=True)
    ffi.emit_c_code(str(tree / "core_module.c"))
    command = ["cc", *[flag for flag in FLAGS if flag != "-shared"], "-c", "core_module.c"]
    command += ["-Inative", f"-I{sysconfig.get_paths()['include']}", "-o", "core.o"]
    subprocess.run(command, cwd=tree, check=True)


class Slot:
    """A copy of the tree and the process that works in it."""

    def __init__(self, place: Path, native: bool) -> None:
        self.tree, self.native, self.pid = place, native, 0
        for name in ("tinyattn", "tests", "native", "benchmarks", "examples"):
            ignored = shutil.ignore_patterns("*.so", "__pycache__", "_core.c")
            shutil.copytree(ROOT / name, place / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy2(ROOT / name, place)
        with (place / "tinyattn/kernels/jit/vmath.py").open("a") as vmath:
            vmath.write(UNCOMPILED)
        if native:
            prepare_core(place)

    def start(self, plan: Plan, names: list[str] | None, mutant: Mutant | None) -> None:
        self.mutant, self.plan, self.began = mutant, plan, time.monotonic()
        built = self.tree / "tinyattn/kernels/native/_core.abi3.so"
        if plan.backend != "native":
            built.unlink(missing_ok=True)
        if mutant:
            self.path = self.tree / mutant.path
            self.right, self.stat = self.path.read_bytes(), self.path.stat()
            self.path.write_bytes(mutant.apply(self.right))
        (self.tree / "report.json").unlink(missing_ok=True)
        self.pid = os.fork()
        if not self.pid:
            try:
                signal.alarm(LIMIT)
                in_child(self.tree, plan, names, bool(mutant) or not built.exists())
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)

    def finish(self, status: int) -> dict[str, Any]:
        if self.mutant:
            self.path.write_bytes(self.right)
            os.utime(self.path, ns=(self.stat.st_atime_ns, self.stat.st_mtime_ns))
            if self.plan.backend == "native":
                (self.tree / "tinyattn/kernels/native/_core.abi3.so").unlink(missing_ok=True)
        self.pid, self.seconds = 0, time.monotonic() - self.began
        if status & 127:
            return {"failed": [signal.Signals(status & 127).name]}
        report = self.tree / "report.json"
        if report.exists():
            return dict(json.loads(report.read_text()))
        return {"invalid": (self.tree / "log.txt").read_text(encoding="utf-8")[-2000:]}


def order(mutant: Mutant, times: dict[str, float], winners: list[str]) -> list[str]:
    """The tests for a fault, the likeliest to catch it first."""
    recent = {name: i for i, name in enumerate(winners)}
    about = re.sub(r"\W|_", "", mutant.where.split(".")[0]).lower()

    def key(name: str) -> tuple:
        gradient = "gradient" in name or "difference" in name or "backward" in name
        return (
            about not in name.lower().replace("_", ""),
            -recent.get(name, -1),
            not gradient,
            times[name],
        )

    chosen, total = [], 0.0
    for name in sorted(times, key=key):
        total += times[name]
        if total < ENOUGH:
            chosen.append(name)
    return chosen


def run(todo: list[Mutant], processes: int, place: Path) -> list[tuple[Mutant, str, float]]:
    """Every fault with the test that caught it ("" for none) and the seconds it took."""
    native = any(plan(m).backend == "native" for m in todo)
    slots = [Slot(place / str(i), native) for i in range(processes)]
    waiting = {m: plan(m) for m in todo}
    times: dict[Plan, dict[str, float]] = {p: {} for p in waiting.values() if not p.files}
    baselines = [p for p in dict.fromkeys(waiting.values()) if p.files]
    winners: dict[str, list[str]] = {}
    done: list[tuple[Mutant, str, float]] = []
    while len(done) < len(todo):
        for slot in slots:
            ready = next((m for m in waiting if waiting[m] in times), None)
            if slot.pid:
                continue
            if ready and times[waiting[ready]]:
                its = waiting.pop(ready)
                slot.start(its, order(ready, times[its], winners.get(ready.path, [])), ready)
            elif ready:
                waiting.pop(ready)
                done.append((ready, "", 0.0))
            elif baselines:
                slot.start(baselines.pop(0), None, None)
        if not any(slot.pid for slot in slots):
            continue
        pid, status = os.wait()
        slot = next((s for s in slots if s.pid == pid), None)
        if slot is None:
            continue
        result = slot.finish(status)
        if slot.mutant is None:
            times[slot.plan] = result.get("passed", {})
            told = f"{len(times[slot.plan])} tests in {slot.seconds:.0f} s"
            if left := result.get("failed"):
                told += f", {len(left)} left out: {' '.join(left)}"[:300]
            if not times[slot.plan]:
                told += "\n" + (slot.tree / "log.txt").read_text(encoding="utf-8")[-2000:]
            print(f"as it is: {slot.plan.backend}, {' '.join(slot.plan.files)}: {told}", flush=True)
            continue
        by = (
            f"INVALID {result['invalid']}"
            if "invalid" in result
            else " ".join(result["failed"][:1])
        )
        if "::" in by:
            winners.setdefault(slot.mutant.path, []).append(by)
        done.append((slot.mutant, by, slot.seconds))
        line = f"{slot.mutant.line}: {slot.mutant}"
        print(f"{'caught' if by else 'SURVIVED'}  {slot.seconds:.1f} s  {line}  {by}", flush=True)
    return done


def group(path: str) -> str:
    return str(Path(path).parent)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--list", action="store_true", help="only say which faults there are")
    parser.add_argument("--only", action="append", default=[], metavar="PART")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()

    found = mutants(ROOT)
    for entry in gone(found):
        print(f"in equivalent.py, but no fault any more: {entry}")
    if options.only:
        found = [m for m in found if any(part in str(m) for part in options.only)]
    equivalent = [m for m in found if reason(m)]
    todo = [m for m in found if not reason(m)]
    if options.sample is not None:
        todo = random.Random(options.seed).sample(todo, min(options.sample, len(todo)))
        todo.sort(key=lambda m: plan(m))
    if options.list:
        for m in todo:
            print(f"{m.line}: {m}")
        for m in equivalent:
            print(f"equivalent: {m} ({reason(m)})")
        print(f"{len(todo)} faults, {len(equivalent)} equivalent")
        return 0

    os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "TINYATTN_NUM_THREADS": "1"}
    sys.dont_write_bytecode = False
    import cffi  # noqa: F401 - what every fork would import again
    import hypothesis  # noqa: F401
    import numba  # noqa: F401
    import numpy as np  # noqa: F401
    import pytest  # noqa: F401
    import safetensors.numpy  # noqa: F401
    import scipy.special  # noqa: F401

    gc.freeze()  # no collection in a fork looks at all this
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        done = run(todo, options.processes, Path(place))
    refused = [m for m, by, _ in done if by == REFUSED]
    done = [row for row in done if row[1] != REFUSED]
    survivors = [m for m, by, _ in done if not by or "INVALID" in by]
    tested = {m.path for m, by, _ in done if by}
    for path in sorted({m.path for m in survivors} - tested):
        print(f"NO TESTS for {path}: none of its faults was caught")
    for m in survivors:
        if m.path in tested:
            print(f"SURVIVED  {m.line}: {m}")
    counts, bad = (
        Counter(group(m.path) for m, *_ in done),
        Counter(group(m.path) for m in survivors),
    )
    for name in sorted(counts):
        print(f"{name}: {counts[name] - bad[name]} of {counts[name]} caught")
    seconds = sum(s for *_, s in done) / max(len(done), 1)
    print(
        f"{len(done) - len(survivors)} of {len(done)} faults caught, {len(equivalent)} equivalent, "
        f"{len(refused)} don't compile, {seconds:.1f} s each, "
        f"{(time.monotonic() - began) / 60:.1f} min in all"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
