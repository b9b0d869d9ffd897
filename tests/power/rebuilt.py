"""Faults of C: for each, the core is compiled again, and a new process runs its tests.

The core is built for float64 and one instruction set, without optimising much. Look first at
`try_c`.
"""

import inspect
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from native import build
from tests.power.choosing import BACKENDS, Winners, in_order, kernel_tests, load_profile
from tests.power.source import Mutant
from tests.power.warm import Failure, Outcome, in_forks, outcome_of, too_long

LONGEST = 1.0  # processor seconds of a test that is run
LIMIT = 120  # seconds after which a fault counts as caught: it never ends
REFUSED = "does not compile"
FLAGS = ["-std=gnu11", "-O1", "-fPIC", "-shared", "-pthread", "-w"]
FLAGS += ["-fno-math-errno", "-fvisibility=hidden"]
CORE = "tinyattn/kernels/native/_core.abi3.so"


class Plan(NamedTuple):
    """What runs for a fault: test files, and the kernels that their tests must call."""

    files: tuple[str, ...]
    kernels: tuple[str, ...]


def try_c(
    faults: list[Mutant], processes: int, tree: Path, say: Callable[[Outcome], None]
) -> list[Outcome]:
    """Try faults of the kernel files; `tree` is a copy of the repository."""
    prepare_core(tree)
    plans = {fault: Plan(tuple(kernel_tests(fault, False)), fault.entries) for fault in faults}
    kinds = list(dict.fromkeys(plans.values()))
    times: dict[Plan, dict[str, float]] = {}
    baselines = [Run(tree, plan, None, None, {}) for plan in kinds]
    for i, result, _, seconds in in_forks(baselines, processes, tree, None):
        times[kinds[i]] = {} if isinstance(result, Failure) else result[0]
        told = f"{len(times[kinds[i]])} tests in {seconds:.0f} s"
        if not times[kinds[i]]:
            told += f": {result}"
        print(f"as it is, native, {' '.join(kinds[i].files)}: {told}", flush=True)

    winners: Winners = {}
    outcomes = []
    jobs = [Run(tree, plans[f], f, times[plans[f]], winners) for f in faults]
    for i, result, died, seconds in in_forks(jobs, processes, tree, LIMIT):
        failed = [] if died or isinstance(result, Failure) else result[1]
        by = outcome_of(" ".join(failed[:1]), result, died)
        if "::" in by:
            winners.setdefault(faults[i].path, []).append((faults[i].where, by))
        outcomes.append((faults[i], by, seconds))
        say(outcomes[-1])
    return outcomes


class Run:
    """A job: build the core with a fault, or as it is, and run tests on it."""

    def __init__(
        self,
        tree: Path,
        plan: Plan,
        fault: Mutant | None,
        times: dict[str, float] | None,
        winners: Winners,
    ) -> None:
        self.tree, self.plan, self.fault = tree, plan, fault
        self.times, self.winners = times, winners

    def __call__(self) -> tuple[dict[str, float], list[str]]:
        """The tests that pass, with their seconds, and those that fail."""
        names = None
        if self.fault:
            names = in_order(self.fault, self.times or {}, self.winners)
            if not names:
                return {}, []
        place = self.tree / f"run-{os.getpid()}"
        beside(self.tree, place)
        try:
            return self.tests(place, names)
        finally:
            os.chdir(self.tree)
            shutil.rmtree(place)

    def tests(self, place: Path, names: list[str] | None) -> tuple[dict[str, float], list[str]]:
        os.chdir(place)
        log = os.open(self.tree / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        if self.fault:
            path = place / self.fault.path
            path.write_bytes(self.fault.apply(path.read_bytes()))
        command = ["cc", *FLAGS, "-Inative", "core.o", "-x", "c", "core_f64.c", "-o", CORE, "-lm"]
        if subprocess.run(command, check=False).returncode:
            return {}, [REFUSED]
        os.environ |= {"TINYATTN_BACKEND": "native", "PYTHONPATH": str(place)}
        sys.path[0] = str(place)
        sys.modules["torch"] = sys.modules["numba"] = None  # type: ignore[assignment]
        sys.dont_write_bytecode = names is not None
        import pytest

        chosen = Chosen(self.plan, names)
        options = ["-q", "-p", "no:cacheprovider", "--tb=short", "-c", "pyproject.toml"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork
        pytest.main([*options, *(["-x"] if names else []), *self.plan.files], plugins=[chosen])
        assert sys.modules["tinyattn"].__file__ == str(place / "tinyattn/__init__.py")
        return chosen.passed, chosen.failed


class Chosen:
    """A pytest plugin: which tests run, in which order, and what became of them."""

    def __init__(self, plan: Plan, names: list[str] | None) -> None:
        self.plan, self.names = plan, names
        self.passed: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_configure(self) -> None:
        load_profile()

    def concerns(self, item: Any) -> bool:
        kernels, parameters = self.plan.kernels, getattr(item, "callspec", None)
        values = parameters.params if parameters else {}
        if "torch" in item.fixturenames:
            return False
        if any(values.get(name, "native") != "native" for name in BACKENDS):
            return False
        if getattr(values.get("dtype"), "__name__", values.get("dtype")) == "float32":
            return False
        if "tests/ops" in item.nodeid:
            return "backend" in values
        if item.path.stem.removeprefix("test_") in (kernel.split("_")[0] for kernel in kernels):
            return True
        return any(re.search(rf"\.{k}\(", inspect.getsource(item.function)) for k in kernels)

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


def beside(tree: Path, place: Path) -> None:
    """A tree that shares all files with `tree`, but has the core's and its wrappers for itself."""
    own = [Path("native"), Path("tinyattn/kernels/native")]
    others = {*own, Path("tinyattn"), Path("tinyattn/kernels")}
    for folder in (Path(), Path("tinyattn"), Path("tinyattn/kernels")):
        (place / folder).mkdir()
        for entry in (tree / folder).iterdir():
            name = entry.relative_to(tree)
            if name not in others and not entry.name.startswith("run-"):
                (place / name).symlink_to(entry)
    for folder in own:
        shutil.copytree(tree / folder, place / folder)


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
