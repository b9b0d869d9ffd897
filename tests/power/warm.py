"""Faults are tried in forks of one process that has collected the tests.

The tests run once as they are: which pass, how long each takes, and which functions it runs. For a
fault, a fork exchanges the code of a function (patching.py) or the whole C core (rebuilt.py), and
runs the tests that reach it, the likeliest first, until one fails. Look first at
`Warm.pytest_runtestloop`.
"""

import gc
import importlib
import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.power.choosing import (
    BACKENDS,
    ELSEWHERE,
    Winners,
    in_order,
    load_profile,
    prepare_hypothesis,
    test_files,
)
from tests.power.patching import Place, Process, module_name
from tests.power.rebuilt import Core, Refused, prepare_core
from tests.power.source import Mutant

LONGEST = 1.0  # processor seconds of a test that is run
REFUSED = "does not compile"
SHORT = 0.3  # the same, of tests of kernels in C and in uncompiled Numba
WAITING = 10.0  # seconds of one that waits for other processes, without those of a busy machine
LIMIT = 20  # processor seconds after which a fault counts as caught: it never ends
HANGING = 4  # so many limits, and no signal has reached Python: it waits inside C, as for malloc
Reaching = dict[Place, list[str]]  # the tests that run a function
Outcome = tuple[Mutant, str, float]  # a fault, the test that caught it ("" for none), seconds


def try_faults(
    faults: list[Mutant], backend: str, processes: int, tree: Path, say: Callable[[Outcome], None]
) -> list[Outcome]:
    """Try faults with one backend; `tree` is a copy of the repository."""
    if backend == "native":
        prepare_core(tree)
    warm = Warm(faults, backend, processes, tree, say)
    for _, result, _, _ in in_forks([warm.collect], 1, tree, None):
        if not isinstance(result, Failure):
            return [(faults[i], by, seconds) for i, by, seconds in result]
        print((tree / "log.txt").read_text(encoding="utf-8")[-3000:], result)
    raise RuntimeError(f"the tests of backend {backend} could not be run")


def in_forks(
    jobs: Sequence[Callable[[], Any]], processes: int, place: Path, limit: float | None
) -> Iterator[tuple[int, Any, int, float]]:
    """Run jobs in forks: the number of each, its result, the signal that ended it, its seconds."""
    waiting, running = list(enumerate(jobs)), {}

    def end_those_that_hang(*_: Any) -> None:
        for pid, (_, began) in running.items():
            if limit and time.monotonic() - began - held_up(pid) > HANGING * limit:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    if limit:
        signal.signal(signal.SIGALRM, end_those_that_hang)
        signal.setitimer(signal.ITIMER_REAL, limit, limit)
    while waiting or running:
        while waiting and len(running) < processes:
            index, job = waiting.pop(0)
            pid = os.fork()
            if not pid:
                run_and_exit(job, place, limit)
            running[pid] = (index, time.monotonic())
        pid, status = os.wait()
        if pid not in running:
            continue
        index, began = running.pop(pid)
        if limit:
            with suppress(ProcessLookupError):  # what the job has started and left
                os.killpg(pid, signal.SIGKILL)
        file, result = place / f"{pid}.pickle", None
        if file.exists():
            result = pickle.loads(file.read_bytes())
            file.unlink()
        yield index, result, status & 127, time.monotonic() - began
    signal.setitimer(signal.ITIMER_REAL, 0)


class Failure(str):
    """Where a job raised an error of its own."""


def outcome_of(by: str, result: Any, died: int) -> str:
    """What caught a fault: a test, or the signal that ended the process."""
    if died:
        return signal.Signals(died).name
    return f"INVALID {result}" if isinstance(result, Failure) else by


def run_and_exit(job: Callable[[], Any], place: Path, limit: float | None) -> None:
    try:
        if limit:
            os.setpgid(0, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, limit)
            alarm_after(2 * limit, lambda: os.kill(os.getpid(), signal.SIGALRM))  # for what waits
        try:
            result = job()
        except BaseException:
            result = Failure(traceback.format_exc())
        (place / f"{os.getpid()}.pickle").write_bytes(pickle.dumps(result))
    finally:
        os._exit(0)


class Without:
    """A finder that does not find some packages, as if they were not installed."""

    def __init__(self, names: set[str], finder: Any) -> None:
        self.names, self.finder = names, finder

    def find_spec(self, fullname: str, *arguments: Any) -> Any:
        if fullname.partition(".")[0] in self.names:
            return None
        return self.finder.find_spec(fullname, *arguments)


def leave_out(names: set[str]) -> None:
    """Let no import find these packages from now on."""
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    sys.meta_path[:] = [Without(names, finder) for finder in sys.meta_path]


class TooLong(BaseException):
    """A test takes too long to be run for every fault."""


def too_long(*_: Any) -> None:
    raise TooLong


def held_up(pid: int | str = "self") -> float:
    """The seconds for which a process could have run, and other processes ran in its place."""
    file = Path(f"/proc/{pid}/schedstat")  # on Linux
    return int(file.read_text(encoding="ascii").split()[1]) / 1e9 if file.exists() else 0.0


def alarm_after(seconds: float, end: Callable[[], Any]) -> None:
    """Call `end` after `seconds`. On a busy machine a process waits for its turn, too: that does
    not count, or a fault would be caught by the work of others."""
    over = time.monotonic() - held_up() + seconds

    def ring(*_: Any) -> None:
        left = over - (time.monotonic() - held_up())
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.01))
            return
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        end()

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)


class Warm:
    """A pytest plugin that tries faults where pytest would run the tests."""

    def __init__(
        self,
        faults: list[Mutant],
        backend: str,
        processes: int,
        tree: Path,
        say: Callable[[Outcome], None],
    ) -> None:
        self.faults, self.backend, self.processes = faults, backend, processes
        self.tree, self.say = tree, say
        self.measuring = False
        self.failed: list[str] = []
        self.outcomes: list[tuple[int, str, float]] = []

    def collect(self) -> list[tuple[int, str, float]]:
        """In a process that has not imported the package: import it from the copy, and try."""
        os.chdir(self.tree)
        self.told = os.fdopen(os.dup(1), "w", buffering=1)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        os.environ |= {"TINYATTN_BACKEND": self.backend, "PYTHONPATH": str(self.tree)}
        sys.path[0] = str(self.tree)
        leave_out({"torch"} | {"numba"} - {self.backend})

        files = sorted({name for fault in self.faults for name in test_files(fault)})
        if not files:
            raise RuntimeError(f"no tests are known for {self.faults[0].path}: see choosing.py")
        options = ["-q", "-s", "-p", "no:cacheprovider", "-c", "pyproject.toml", "--tb=short"]
        options += ["--continue-on-collection-errors", "--basetemp", str(self.tree / "tmp")]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork
        pytest.main([*options, *files], plugins=[self])
        if len(self.outcomes) < len(self.faults):
            raise RuntimeError("pytest ended before all faults were tried")
        return self.outcomes

    def pytest_configure(self) -> None:
        load_profile()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if self.concerns(item)]

    def concerns(self, item: Any) -> bool:
        parameters = getattr(item, "callspec", None)
        values = parameters.params if parameters else {}
        if "torch" in item.fixturenames:
            return False
        if any(values.get(name, self.backend) != self.backend for name in BACKENDS):
            return False
        if self.backend == "numpy":
            return True
        # Uncompiled kernels are slow, and the core is built for float64: one type of numbers, and
        # of the operations' tests those that are for every backend.
        if getattr(values.get("dtype"), "__name__", values.get("dtype")) == "float32":
            return False
        return "tests/kernels" in item.nodeid or "backend" in values

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            print(f"LEFT OUT {report.nodeid}: {report.longreprtext[-500:]}", file=self.told)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Iterator[None]:
        """The function of a test ends when it takes too long; pytest around it is not disturbed."""
        if not self.measuring:
            return (yield)
        signal.setitimer(signal.ITIMER_PROF, LONGEST if self.backend == "numpy" else SHORT)
        alarm_after(WAITING, too_long)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_runtestloop(self, session: Any) -> bool:
        session.config._tmp_path_factory.getbasetemp()  # empties it: once, before all forks
        self.items = {item.nodeid: item for item in session.items}
        assert sys.modules["tinyattn"].__file__ == str(self.tree / "tinyattn/__init__.py")
        prepare_hypothesis()
        for path in sorted({fault.path for fault in self.faults}):  # some are imported when used
            if path.endswith(".py"):
                importlib.import_module(module_name(path))
        importlib.import_module("tinyattn.kernels").backend()  # loads the wrappers, too
        self.process = (Core if self.backend == "native" else Process)(self.tree)
        gc.freeze()
        began = time.monotonic()
        times, reaching = self.measure()
        told = f"{len(times)} tests pass in {time.monotonic() - began:.0f} s"
        left = sorted(self.items.keys() - times.keys() - {*self.skipped})
        told += f", {len(left)} are left out: {' '.join(left)}"[:600] if left else ""
        print(f"as it is, {self.backend}: {told}", file=self.told)

        winners: Winners = {}
        jobs = [Attempt(self, fault, times, reaching, winners) for fault in self.faults]
        for i, result, died, seconds in in_forks(jobs, self.processes, self.tree, LIMIT):
            by = outcome_of(result, result, died)
            if "::" in by:
                fault = self.faults[i]
                winners.setdefault(fault.path, []).append((fault.where, by))
            self.outcomes.append((i, by, seconds))
            self.say((self.faults[i], by, seconds))
        return True

    skipped: list[str]

    def measure(self) -> tuple[dict[str, float], Reaching]:
        """The seconds of every test that passes, and the tests that run each function."""
        self.skipped = []
        modules: dict[str, list[str]] = {}
        for name in self.items:
            modules.setdefault(name.split("::")[0], []).append(name)
        # Long modules first, in pieces: the forks end at about the same time.
        pieces = [
            names[i : i + 200] for names in modules.values() for i in range(0, len(names), 200)
        ]
        pieces.sort(key=len, reverse=True)
        times: dict[str, float] = {}
        reaching: Reaching = {}
        places = list(self.process.live)
        while pieces:
            jobs = [Measure(self, names) for names in pieces]
            again: list[list[str]] = []
            for i, result, died, _ in in_forks(jobs, self.processes, self.tree, None):
                names = pieces[i]
                if died or not isinstance(result, tuple):  # a test has ended the process
                    half = len(names) // 2
                    again += [names[:half], names[half:]] if half else []
                    if not half:
                        print(f"LEFT OUT {names[0]}: {died} {result}", file=self.told)
                    continue
                measured, skipped = result
                self.skipped += skipped
                for name, (seconds, reached) in measured.items():
                    times[name] = seconds
                    for place in reached:
                        reaching.setdefault(places[place], []).append(name)
            pieces = again
        return times, reaching

    def run(self, name: str, following: str | None) -> bool:
        """Run one test; whether it passes."""
        self.failed = []
        item, then = self.items[name], self.items.get(following or "")
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=then)
        return not self.failed


class Measure:
    """A job: the tests `names` as they are, the seconds and the functions of each that passes."""

    def __init__(self, warm: Warm, names: list[str]) -> None:
        self.warm, self.names = warm, names

    def __call__(self) -> tuple[dict[str, tuple[float, list[int]]], list[str]]:
        numbers = {place: i for i, place in enumerate(self.warm.process.live)}
        known: dict[int, int | None] = {}
        reached: dict[int, Any] = {}

        def note(frame: Any, event: str, _: Any) -> None:
            if event == "call":
                reached[id(frame.f_code)] = frame.f_code

        found = {}
        self.warm.measuring, self.warm.skipped = True, []  # not those of earlier jobs, too
        signal.signal(signal.SIGPROF, too_long)
        for name, following in zip(self.names, [*self.names[1:], None], strict=True):
            reached.clear()
            began = time.process_time()
            threading.setprofile(note)
            sys.setprofile(note)
            passed = self.warm.run(name, following)
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
            for key, code in reached.items():
                if key not in known:
                    known[key] = numbers.get(self.warm.process.place(code))  # type: ignore[arg-type]
            if passed and name not in self.warm.skipped:
                places = sorted({n for n in map(known.get, reached) if n is not None})
                found[name] = (time.process_time() - began, places)
        return found, self.warm.skipped


class Attempt:
    """A job: one fault, and its tests until one fails. The name of that test, "" for none."""

    def __init__(
        self,
        warm: Warm,
        fault: Mutant,
        times: dict[str, float],
        reaching: Reaching,
        winners: Winners,
    ) -> None:
        self.warm, self.fault, self.winners = warm, fault, winners
        self.times, self.reaching = times, reaching

    def __call__(self) -> str:
        # Chosen in the fork: the tests of thousands of faults at once would take gigabytes.
        places = self.warm.process.places(self.fault)
        starter = self.fault.path, ELSEWHERE.get(self.fault.path)
        places += [place for place in self.reaching if place[:2] == starter]
        names = {name for place in places for name in self.reaching.get(place, ())}
        if not names:
            return ""
        chosen = in_order(self.fault, {name: self.times[name] for name in names}, self.winners)
        try:
            self.warm.process.patch(self.fault)
        except Refused:
            return REFUSED
        for name, following in zip(chosen, [*chosen[1:], None], strict=True):
            if not self.warm.run(name, following):
                return name
        return ""
