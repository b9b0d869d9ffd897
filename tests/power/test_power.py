"""The command `python -m tests.power`: every operation has faults, each fault is a program, known
ones are caught, and the list of equivalent faults fits the code."""

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.power import equivalent
from tests.power.equivalent import gone, matches, reason
from tests.power.formulas import LINES, TABLES, formulas
from tests.power.forwards import function_faults
from tests.power.gradients import kernels, operation_faults, python_kernel_faults
from tests.power.mutants import mutants
from tests.power.operations import operations, subclasses
from tests.power.patching import Process, codes
from tests.power.source import Mutant, Python
from tests.power.warm import Measure, alarm_after, in_forks
from tinyattn.autograd.function import Function

ROOT = Path(__file__).parents[2]
FAULTS = mutants(ROOT)

UNKNOWN = """
class Twice(Function):
    def forward(self, x):
        return x + x

    def backward(self, grad):
        pass
"""


def fault(text: str, where: str = "Softmax.backward") -> Mutant:
    kind, _, code = text.partition(": ")
    old, _, new = code.partition(" -> ")
    return Mutant("tinyattn/ops/normalising.py", where, 1, kind, old, new, 0, 0)


CLOSURE = b"""
class Twice(Once):
    def outer(self, x, y):
        def inner():
            return x * y
        return inner

    def forward(self):
        return super().forward()
"""


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [(b"x * y", b"y", "Twice.outer.<locals>.inner"), (b"super().forward()", b"2", "Twice.forward")],
)
def test_a_fault_that_loses_an_outer_variable_still_fits_the_function(old, new, name):
    before = codes(CLOSURE)
    after = codes(CLOSURE.replace(old, new), before)
    (is_now,), (was,) = ([v for (n, _), [v] in c.items() if n == name] for c in (after, before))
    assert is_now.co_freevars == was.co_freevars
    assert is_now.co_code != was.co_code


UNKNOWN_KERNEL = """
def twice(x, out):
    write(x, out)


def thrice(x, out):
    out[...] = 3 * x
"""


def test_every_operation_has_faults():
    faulty = {m.where.split(".")[0] for m in FAULTS}
    assert {"Mul", "Softmax", "GRULayer", "CrossEntropy", "Embedding", "Tril", "Take"} <= faulty


@pytest.mark.parametrize(
    "folder", ["tinyattn/kernels/reference/", "tinyattn/kernels/jit/", "native/"]
)
def test_every_kernel_has_faults_in_every_backend(folder):
    faulty = {entry for m in FAULTS if m.path.startswith(folder) for entry in m.entries}
    stated = {name for names in kernels(ROOT).values() for name in names}
    without = {"attention_mask_gradient"}  # whose definition the other backends use, too
    if "jit" in folder:
        without |= {"convert", "normals"}  # the same
    assert stated - faulty == (without if "reference" not in folder else set())


def test_a_kernel_without_a_known_fault_is_refused(tmp_path):
    (tmp_path / "unknown.py").write_text(UNKNOWN_KERNEL)
    file = Python(tmp_path, "unknown.py")
    assert {m.where for m in python_kernel_faults(file, ["thrice"])} == {"thrice"}
    with pytest.raises(RuntimeError, match=r"unknown\.py: no fault is known for the kernel twice"):
        list(python_kernel_faults(file, ["twice", "thrice"]))


THREADS = """
def twice(x, out):
    alone = x.size < SMALL
    run(2 * x, out, alone=x.size < SMALL)
    for part in out:
        alone = len(part) < SMALL
        run(x, part, alone=alone)
"""


def test_on_how_many_threads_a_kernel_runs_is_no_fault(tmp_path):
    (tmp_path / "twice.py").write_text(THREADS)
    file = Python(tmp_path, "twice.py")
    found = [fault.text for fault in python_kernel_faults(file, ["twice"])]
    assert "dropped factor: 2 * x -> (2)" in found
    assert not any("SMALL" in text for text in found)


def test_every_operation_is_found_wherever_it_stands():
    found = {name for names in operations(ROOT).values() for name in names}
    loaded = {cls for cls in subclasses(Function) if cls.__module__.startswith("tinyattn.")}
    assert {cls.__qualname__ for cls in loaded} <= found
    assert len(found) > 80


def test_an_operation_without_a_known_fault_is_refused(tmp_path):
    (tmp_path / "unknown.py").write_text(UNKNOWN)
    with pytest.raises(RuntimeError, match=r"unknown\.py: no fault is known .* Twice"):
        operation_faults(Python(tmp_path, "unknown.py"), "Twice")


def test_every_fault_changes_its_file_and_is_python_where_that_is():
    sources: dict[str, bytes] = {}
    for m in FAULTS[::7]:
        source = sources.setdefault(m.path, (ROOT / m.path).read_bytes())
        patched = m.apply(source)
        assert patched != source
        assert source[m.start : m.end].decode() == m.old
        if m.path.endswith(".py"):
            ast.parse(patched)


def test_names_tell_faults_apart():
    names = {(str(m), m.start) for m in FAULTS}
    assert len(names) == len(FAULTS)


@pytest.mark.parametrize(
    ("kind", "new"), [("flipped sign", "((1) + (b * b))"), ("dropped term", "(1)")]
)
def test_faults_are_made_from_the_source(kind, new):
    for path in TABLES:
        found = [m.new for m in FAULTS if (m.path, m.where) == (path, "tanh_backward")]
        assert new in found
        assert kind in [m.fault for m in FAULTS if m.new == new]


def test_every_elementwise_operation_has_faults_in_all_backends():
    names = {*formulas(Python(ROOT, TABLES[0]))}
    for path in (*TABLES, LINES):
        without = names - {m.where for m in FAULTS if m.path == path}
        loops_in_c = {"pow", "pow_backward"}
        loops_in_c |= {"floor", "ceil", "trunc", "round", "fmod", "remainder"}
        assert without <= loops_in_c, path


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("Cos.forward", "another attribute: kernel = \"cos\" -> kernel = 'sin'"),
        (
            "Neg.forward",
            "another attribute: kernel = gradient = \"neg\" -> kernel = gradient = 'copy'",
        ),
        ("Tanh.forward", "another attribute: keeps = \"y\" -> keeps = 'x'"),
        (
            "Div.backward",
            'another kernel: elementwise("div_backward_other", grad, x, y) -> '
            "elementwise('pow_backward_exponent', grad, x, y)",
        ),
    ],
)
def test_an_operation_may_name_another_kernel(where, text):
    assert text in [m.text for m in FAULTS if m.where == where]


@pytest.mark.parametrize(
    ("part", "caught"),
    [
        ("Place.backward: factor 37", "test_packing.py::"),
        (" StepLR.__init__: another default: gamma", "tests/optim/test_lr_scheduler.py::"),
        ("StepLR._next: comparison flipped", "tests/optim/test_lr_scheduler.py::"),
        ("Cos.forward: another attribute", "tests/ops/test_elementwise.py::"),
    ],
)
def test_faults_are_caught_by_the_tests_of_their_file(part, caught):
    program = [sys.executable, "-m", "tests.power", "-j", "1", "--only", part]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert caught in done.stdout
    assert "1 of 1 faults caught" in done.stdout


FORWARD = """
def mean(values, scale=1.0):
    if not values:
        raise ValueError(f"values: expected some, got {len(values)}")
    total = 0.0
    for value in values[1:]:
        total = total + value
    return other(scale, total, exact=True) if len(values) > 1 else None
"""


def test_faults_of_forwards_are_of_every_kind(tmp_path):
    (tmp_path / "mean.py").write_text(FORWARD)
    file = Python(tmp_path, "mean.py")
    ((name, function),) = file.outermost()
    faults = [fault.text for fault in function_faults(file, name, function)]
    for expected in (
        "another default: scale=1.0 -> scale=1.1",
        "check lost: not values -> False",
        "another number: total = 0.0 -> total = 0.1",
        "last one lost: values[1:] -> list(values[1:])[:-1]",
        "order reversed: values[1:] -> list(values[1:])[::-1]",
        "off by one: values[1:] -> values[2:]",
        "wrong operator: total + value -> ((total) - (value))",
        "boundary: len(values) > 1 -> ((len(values)) >= (1))",
        "inverted: len(values) > 1 -> (not (len(values) > 1))",
        "order exchanged: scale, total -> total, scale",
        "argument dropped: other(scale, total, exact=True) -> other(scale, total)",
    ):
        assert expected in faults
    assert not any(text.startswith("off by one: len(values)}") for text in faults)


def test_a_fault_is_put_into_functions_that_are_already_bound(tmp_path, monkeypatch):
    (tmp_path / "tinyattn").mkdir()
    path = tmp_path / "tinyattn/bound.py"
    path.write_text("def half(x, by=2):\n    return x / by\n")
    monkeypatch.syspath_prepend(tmp_path / "tinyattn")
    import bound

    monkeypatch.setitem(sys.modules, "tinyattn.bound", bound)
    half, process = bound.half, Process(tmp_path)
    file = Python(tmp_path, "tinyattn/bound.py")
    ((name, function),) = file.outermost()
    faults = {fault.fault: fault for fault in function_faults(file, name, function)}
    assert process.places(faults["wrong operator"]) == [("tinyattn/bound.py", "half", 1)]
    process.patch(faults["wrong operator"])
    assert half(6) == 12
    process.patch(faults["another default"])
    assert half(6) == 18


def test_the_time_in_which_other_processes_run_does_not_count(monkeypatch):
    """On a busy machine a fault is not caught by the work of others."""
    times = iter([1.0, 1.2, 1.2, 1.2])
    monkeypatch.setattr("tests.power.warm.held_up", lambda: next(times))
    rung = []
    began = time.monotonic()
    before = signal.getsignal(signal.SIGALRM)
    alarm_after(0.05, lambda: rung.append(time.monotonic() - began))
    while not rung and time.monotonic() - began < 5:
        time.sleep(0.01)
    signal.signal(signal.SIGALRM, before)
    assert rung[0] >= 0.25


def test_a_fork_that_waits_inside_c_is_ended(tmp_path):
    """A fault can destroy the heap: then malloc waits for ever, and no handler in Python runs."""

    def hang():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(60)

    before = signal.getsignal(signal.SIGALRM)
    ((index, result, died, seconds),) = in_forks([hang], 1, tmp_path, 0.05)
    signal.signal(signal.SIGALRM, before)
    assert (index, result, died) == (0, None, signal.SIGKILL)
    assert 0.2 <= seconds < 30


def test_a_measurement_tells_only_what_it_has_skipped_itself(monkeypatch):
    """Each job is a fork of a process that knows what earlier jobs skipped: told again, that would
    double with every job."""
    monkeypatch.setattr("tests.power.warm.signal.signal", lambda *_: None)
    process = SimpleNamespace(live={}, place=lambda code: None)
    warm = SimpleNamespace(process=process, skipped=["earlier"], run=lambda *_: True)
    times, skipped = Measure(warm, ["one", "two"])()
    assert [*times] == ["one", "two"]
    assert skipped == []


def test_every_equivalent_fault_is_still_in_the_code():
    assert gone(FAULTS) == []


def test_an_equivalent_fault_whose_code_has_changed_is_reported(monkeypatch):
    monkeypatch.setitem(equivalent.EQUIVALENT, "Old.backward", {"dropped term: a + b": "no use"})
    assert gone(FAULTS) == ["Old.backward: dropped term: a + b"]


@pytest.mark.parametrize(
    ("entry", "text", "same"),
    [
        ("never: n.ndim == 2", "never: x.ndim == 2 -> False", True),  # another name
        ("never: n.ndim == 2", "never: x.size == 2 -> False", False),
        ("never: n.ndim == 2", "never: x.ndim == 2 and y -> False", False),
        ("never: n.ndim == 2 ...", "never: x.ndim == 2 and y -> False", True),
        ("never: smoothing", "never: weight -> False", False),  # a name alone stands as it is
        ("dropped term: a + b -> (a)", "dropped term: x + y -> (x)", True),
        ("dropped term: a + b -> (a)", "dropped term: x + y -> (y)", False),
        ("dropped term: a + b -> (a)", "dropped term: x + x -> (x)", False),
        ("wrong branch: ... -> (dx * grad)", "wrong branch: d if g else d * g -> (d * g)", True),
        ("wrong branch: f(x)", "wrong branch: g(x) -> x", False),
        ("flipped sign: `a` + b", "flipped sign: a + c -> a - c", True),
        ("flipped sign: `a` + b", "flipped sign: c + b -> c - b", False),
        ("order exchanged: a, b", "order exchanged: a, b -> b, a", True),
        ("order exchanged: a, b", "order exchanged: c, d -> d, c", False),
        ("another default: a...", "another default: a: int = 0 -> a: int = 1", True),
        ("another default: a...", "another default: b: int = 0 -> b: int = 1", False),
    ],
)
def test_an_entry_means_a_fault_whatever_its_variables_are_called(entry, text, same):
    assert matches(entry, fault(text)) == same


def test_an_entry_holds_wherever_its_function_stands(monkeypatch):
    monkeypatch.setattr(equivalent, "EQUIVALENT", {"Softmax.backward": {"dropped ...": "why"}})
    assert reason(fault("dropped term: a + b -> a")) == "why"
    assert reason(fault("dropped term: a + b -> a", "LogSoftmax.backward")) is None
