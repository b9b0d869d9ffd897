"""An answer in a process of its own: what is told of its end, and what is counted."""

import json
import os
import subprocess

import pytest

from tinyattn.learn import apart
from tinyattn.learn.apart import Verdict, check_apart, judge
from tinyattn.learn.exercise import load

resource = pytest.importorskip("resource")
SOFTMAX = load("04_softmax_backward")
RIGHT = "import numpy as np\n\n\ndef softmax_backward(y, grad):\n"
RIGHT += "    return y * (grad - (grad * y).sum(axis=-1, keepdims=True))\n"
WRONG = RIGHT.replace("(grad - (grad * y).sum(axis=-1, keepdims=True))", "grad")
EXTRA = '''
def check_04_a(answer):
    """It has a name."""
    return answer.__name__ == "softmax_backward" or "no name"

def check_04_b(answer):
    return None

def check_05a_c(answer):
    raise AssertionError
'''


@pytest.fixture
def path(tmp_path):
    path = tmp_path / SOFTMAX.file
    path.write_text(RIGHT, encoding="utf-8")
    return path


def extra(path, text):
    file = path.with_name("checks.py")
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "The check was ended after 2.5 s: there may be a loop that never ends."),
        (0, "The process ended with the exit code 0, before the check was done."),
        (3, "The process ended with the exit code 3, before the check was done."),
        (-9, "The process was ended by the signal SIGKILL."),
        (-11, "The process was ended by the signal SIGSEGV. Code in C that reads or writes "
              "outside of its arrays does that."),
    ],
)  # fmt: skip
def test_how_a_process_ended_is_told(code, words):
    assert apart._ending(code, 2.5) == words


def test_a_right_answer_has_passed_all_checks(path):
    verdict = judge(path, SOFTMAX, None)
    assert (verdict.right, verdict.written, verdict.mistake) == (True, True, "")
    assert (verdict.passed, verdict.total) == (11, 11)
    assert (verdict.words, verdict.library) == ("", [])
    assert verdict.report.endswith("11 of 11 checks passed.")
    assert verdict.report.startswith(f"04_softmax_backward   {path}, line 4\n")


def test_a_mistake_is_in_the_verdict(path):
    path.write_text(WRONG, encoding="utf-8")
    verdict = judge(path, SOFTMAX, extra(path, EXTRA))
    assert (verdict.right, verdict.written) == (False, True)
    assert verdict.mistake in {wrong.__name__ for wrong in SOFTMAX.wrong}
    assert (verdict.passed, verdict.total) == (2, 13)
    assert verdict.words.startswith("A small case by hand gives the right numbers.     y ")
    assert "NO   A small case" in verdict.report


def test_what_is_not_written_is_no_mistake(path):
    path.write_text("def softmax_backward(y, grad):\n    raise NotImplementedError\n")
    verdict = judge(path, SOFTMAX, None)
    assert (verdict.right, verdict.written, verdict.mistake, verdict.passed) == (
        (False, False, "", 0)
    )


def test_a_file_that_can_not_be_loaded_is_no_answer(path):
    path.write_text("x = 1 / 0\n", encoding="utf-8")
    verdict = judge(path, SOFTMAX, None)
    assert (verdict.right, verdict.passed, verdict.total) == (False, 0, 11)
    assert verdict.words.startswith(f"{path} can't be loaded:")
    assert "NO   The file can be loaded." in verdict.report
    assert verdict.report.endswith("0 of 11 checks passed.")


def test_checks_of_the_teacher_count_for_their_exercise(path):
    verdict = judge(path, SOFTMAX, extra(path, EXTRA))
    assert (verdict.right, verdict.passed, verdict.total) == (True, 13, 13)


@pytest.mark.parametrize(
    ("result", "words"),
    [("'odd'", "odd"), ("False", "False"), ("''", ""), ("0", "0")],
)
def test_a_check_of_the_teacher_that_fails_is_told(path, result, words):
    text = f'def check_04_a(answer):\n    """It is good."""\n    return {result}\n'
    text += "def check_04_b(answer):\n    raise AssertionError\n"
    verdict = judge(path, SOFTMAX, extra(path, text))
    assert (verdict.right, verdict.passed, verdict.total) == (False, 11, 13)
    assert verdict.words == f"check_04_a: {words}"
    assert verdict.report.endswith(f"\n  NO   It is good.\n       check_04_a: {words}")


def test_an_error_in_a_check_of_the_teacher_is_told(path):
    text = "def check_04_a(answer):\n    return answer.name\n"
    verdict = judge(path, SOFTMAX, extra(path, text))
    assert verdict.words == (
        "check_04_a: AttributeError: 'function' object has no attribute 'name'"
    )
    assert verdict.report.endswith(f"\n  NO   check_04_a\n       {verdict.words}")


class Process:
    """One that ends at once, with the code `code` (None: it never ends), and writes `verdict`."""

    pid = 4321
    code: int | None = 0
    verdict: str | None = None

    def __init__(self, command, **options):
        self.command, self.options, self.waits = command, options, []
        type(self).last = self
        job = json.loads(command[-1])
        if self.verdict is not None:
            with open(job["out"], "w", encoding="utf-8") as file:
                file.write(self.verdict)

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if self.code is None and timeout is not None:
            raise subprocess.TimeoutExpired("python", timeout)
        return self.code


@pytest.fixture
def process(monkeypatch):
    ended = []
    kind = type("Kind", (Process,), {"ended": ended})
    monkeypatch.setattr(apart.subprocess, "Popen", kind)
    monkeypatch.setattr(apart.os, "killpg", lambda pid, signal: ended.append((pid, signal)))
    return kind


def test_the_process_is_started_apart_and_ended_with_all_that_it_has_started(path, process):
    process.verdict = json.dumps({"exercise": "é", "file": "b", "right": True, "passed": 3})
    verdict = check_apart(path, SOFTMAX, 7.0, 99, path)
    assert (verdict.exercise, verdict.right, verdict.passed) == ("é", True, 3)
    assert 0 <= verdict.seconds < 60
    assert process.ended == [(4321, apart.signal.SIGKILL)]
    assert process.last.waits == [7.0, None]
    job = json.loads(process.last.command[-1])
    assert os.path.basename(job.pop("out")) == "verdict.json"
    name = SOFTMAX.name
    assert job == {"path": str(path), "exercise": name, "megabytes": 99, "extra": str(path)}
    options = process.last.options
    env = options.pop("env")
    assert {name: env[name] for name in apart.ONE_THREAD} == apart.ONE_THREAD
    assert env.keys() >= os.environ.keys()
    nowhere = subprocess.DEVNULL
    assert options == {
        "stdin": nowhere, "stdout": nowhere, "stderr": nowhere, "start_new_session": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "written", "words"),
    [
        (0, False, "exit code 0, before the check was done"),
        (1, True, "exit code 1, before the check was done"),
        (None, False, "after 0.25 s"),
        (-9, True, "the signal SIGKILL"),
    ],
)
def test_a_process_that_did_not_end_well_has_no_verdict(path, process, code, written, words):
    process.code = code
    process.verdict = json.dumps({"exercise": "a", "file": "b", "right": True})
    if not written:
        process.verdict = None
    verdict = check_apart(path, SOFTMAX, 0.25, 99)
    assert (verdict.right, verdict.passed, verdict.total) == (False, 0, 11)
    assert words in verdict.words
    assert words in " ".join(verdict.report.split())
    assert "NO   The check ends." in verdict.report
    assert json.loads(process.last.command[-1])["extra"] == ""


def test_a_process_that_has_no_group_is_ended_itself(monkeypatch):
    done = []
    process = type("P", (), {"pid": 7, "kill": lambda s: done.append("kill")})()
    process.wait = lambda: done.append("wait")

    def killpg(pid, signal):
        raise ProcessLookupError

    monkeypatch.setattr(apart.os, "killpg", killpg)
    apart._end(process)
    assert done == ["kill", "wait"]


def test_the_limit_of_memory_is_that_of_what_is_added(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append((kind, limit)))
    apart._limit_memory(100)
    ((kind, (soft, hard)),) = limits
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    assert kind == resource.RLIMIT_AS
    assert soft == hard
    assert abs(soft - used - 100 * 2**20) < 20 * 2**20


@pytest.mark.parametrize("threads", [0, 1])
def test_a_thread_of_an_answer_does_not_keep_the_process(path, monkeypatch, threads):
    limits, exits = [], []
    monkeypatch.setattr(apart, "_limit_memory", limits.append)
    monkeypatch.setattr(apart.os, "_exit", exits.append)
    monkeypatch.setattr(apart.threading, "active_count", lambda: 1 + threads)
    out = path.with_name("out.json")
    job = {"path": str(path), "exercise": SOFTMAX.name, "megabytes": 5, "out": str(out)}
    apart._main(job | {"extra": str(extra(path, EXTRA)) if threads else ""})
    assert limits == [5]
    assert exits == [0] * threads
    verdict = Verdict(**json.loads(out.read_text(encoding="utf-8")))
    assert (verdict.right, verdict.total) == (True, 11 + 2 * threads)
