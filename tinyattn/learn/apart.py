"""An answer checked in a process of its own, with limits of time and memory.

Such a process keeps an endless loop or a crash away from the others. It is no sandbox: what the
answer may read, write or send is not limited.
"""

import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinyattn.learn.checking import Report, examine, stages
from tinyattn.learn.exercise import Answer, Exercise, load
from tinyattn.learn.folder import Unusable, answer_in
from tinyattn.learn.library_calls import library_calls

# Several answers are checked at once, so each gets one thread.
ONE_THREAD = {"TINYATTN_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass
class Verdict:
    """What is known of one answer after its check."""

    exercise: str
    file: str
    right: bool = False
    written: bool = True
    passed: int = 0
    total: int = 0
    mistake: str = ""  # the name of the wrong answer that this is
    words: str = ""  # why it is not right
    report: str = ""  # all that `check` prints
    library: list[str] = field(default_factory=list)  # calls of libraries that know the answer
    seconds: float = 0.0


def check_apart(
    path: Path, exercise: Exercise, seconds: float, megabytes: int, extra: Path | None = None
) -> Verdict:
    """Check the answer in a file, in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "verdict.json"
        job = {"path": str(path), "exercise": exercise.name, "megabytes": megabytes}
        job |= {"out": str(out), "extra": str(extra) if extra else ""}
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tinyattn.learn.apart", json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **ONE_THREAD},
        )
        try:
            code: int | None = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        if code == 0 and out.exists():
            verdict = Verdict(**json.loads(out.read_text(encoding="utf-8")))
        else:
            verdict = Verdict(exercise.name, str(path), total=_total(exercise))
            verdict.words = _ending(code, seconds)
            verdict.report = str(
                Report(exercise, str(path), [], verdict.total, "The check ends.", verdict.words)
            )
        verdict.seconds = time.perf_counter() - start
        return verdict


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process, and those it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _ending(code: int | None, seconds: float) -> str:
    if code is None:
        return f"The check was ended after {seconds:g} s: there may be a loop that never ends."
    if code < 0:
        name = signal.Signals(-code).name
        text = f"The process was ended by the signal {name}."
        if name in ("SIGSEGV", "SIGBUS", "SIGABRT"):
            text += " Code in C that reads or writes outside of its arrays does that."
        return text
    return f"The process ended with the exit code {code}, before the check was done."


def _total(exercise: Exercise) -> int:
    return len(list(stages(exercise, exercise.solution)))


def judge(path: Path, exercise: Exercise, extra: Path | None) -> Verdict:
    """Check the answer in a file, in this process."""
    verdict = Verdict(exercise.name, str(path), total=_total(exercise))
    try:
        answer = answer_in(path, exercise)
    except Unusable as error:
        verdict.words = str(error)
        verdict.report = str(
            Report(exercise, str(path), [], verdict.total, "The file can be loaded.", str(error))
        )
        return verdict
    report = examine(exercise, answer)
    verdict.library = library_calls(path)
    verdict.passed, verdict.total = len(report.passed), report.total
    verdict.right, verdict.written, verdict.mistake = report.right, report.written, report.mistake
    verdict.words, verdict.report = report.plain_words, str(report)
    for check in _extra_checks(extra, exercise):
        verdict.total += 1
        words = None if not verdict.right else _extra(check, answer)
        if words is not None:
            verdict.right, verdict.words = False, words
            verdict.report += f"\n  NO   {inspect.getdoc(check) or check.__name__}\n       {words}"
        elif verdict.right:
            verdict.passed += 1
    return verdict


def _extra_checks(path: Path | None, exercise: Exercise) -> list[Callable[[Answer], Any]]:
    """The functions of a teacher's file that are named check_NN_..., in their order."""
    if path is None:
        return []
    spec = importlib.util.spec_from_file_location("extra_checks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    start = f"check_{exercise.number}_"
    return [value for name, value in vars(module).items() if name.startswith(start)]


def _extra(check: Callable[[Answer], Any], answer: Answer) -> str | None:
    try:
        words = check(answer)
    except Exception as error:
        return f"{check.__name__}: {type(error).__name__}: {error}"
    return None if words is None or words is True else f"{check.__name__}: {words}"


def _limit_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # on Windows there is no such limit
        return
    used = 0  # what Python and NumPy have reserved already; much of it is never touched
    pages = Path("/proc/self/statm")
    if pages.exists():
        used = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limit = used + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _main(job: dict[str, Any]) -> None:
    exercise = load(job["exercise"])
    _limit_memory(job["megabytes"])
    extra = Path(job["extra"]) if job["extra"] else None
    verdict = judge(Path(job["path"]), exercise, extra)
    Path(job["out"]).write_text(json.dumps(asdict(verdict)), encoding="utf-8")
    if threading.active_count() > 1:  # a thread of the answer must not keep the process
        os._exit(0)


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
