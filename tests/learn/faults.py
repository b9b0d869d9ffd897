"""Seeded faults in the solutions of exercises: the same kinds as in tests/power."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.power.c_kernels import CFunction, c_faults
from tests.power.forwards import function_faults
from tests.power.gradients import body_faults, return_faults
from tests.power.source import Mutant, Python
from tinyattn.learn.checking import examine
from tinyattn.learn.comparing import outcome, same
from tinyattn.learn.exercise import Exercise, load

ROOT = Path(__file__).parents[2]

INPUTS = "a test with other inputs, which are as good"
WHOLE = "whole numbers, cut off"

# Faults that leave a right answer, by the name of the exercise, each with its reason. "..." at the
# end of an entry stands for any text.
EQUIVALENT: dict[str, dict[str, str]] = {
    "02_backward": {
        "last one lost: reversed(order) -> list(reversed(order))[:-1]": "the first has no parents",
    },
    "07_backward_through_time": {
        "off by one: h[0] -> h[1]": "only its shape is used",
    },
    "08b_context": {
        "another number: kept.max(axis=-1, keepdims=True, initial=-1e30) -> "
        "kept.max(axis=-1, keepdims=True, initial=(-1e30 * 1.1))": "any very small number",
        "off by one: total > 0 -> total > 1": "it is 0, or at least 1",
        "off by one: np.where(total > 0, total, 1) -> np.where(total > 0, total, 2)": "0 stays 0",
    },
    "09a_shift_targets": {
        "factor 1.001: start -> 1.001 * (start)": WHOLE,
        "factor 1.001: targets[:, :-1] -> 1.001 * (targets[:, :-1])": WHOLE,
        "off by one: inputs[:, :1] -> inputs[:, :2]": "the second is written again",
    },
    "10a_attention": {
        "another number: scores.max(axis=-1, keepdims=True, initial=-1e30) -> "
        "scores.max(axis=-1, keepdims=True, initial=(-1e30 * 1.1))": "any very small number",
        "off by one: total > 0 -> total > 1": "it is 0, or at least 1",
        "off by one: np.where(total > 0, total, 1) -> np.where(total > 0, total, 2)": "0 stays 0",
    },
    "11b_is_causal": {
        f"factor {factor}: rng.standard_normal((T - t, D)) -> "
        f"{factor} * (rng.standard_normal((T - t, D)))": "other random numbers"
        for factor in ("37", "1.001", "-1")
    }
    | {
        "off by one: np.random.default_rng(0) -> np.random.default_rng(1)": "another seed",
        "boundary: np.abs(model(other)[:t] - before[:t]).max() > 1e-6 -> "
        "((np.abs(model(other)[:t] - before[:t]).max()) >= (1e-6))": "it is 0, or much larger",
        "another number: np.abs(model(other)[:t] - before[:t]).max() > 1e-6 -> "
        "np.abs(model(other)[:t] - before[:t]).max() > 1.1e-06": "it is 0, or much larger",
    },
    "12a_online_softmax": {
        "off by one: np.where(np.isfinite(top), top, 0) -> np.where(np.isfinite(top), top, 1)": (
            "any finite number"
        ),
    },
    "13_softmax_in_c": {
        f"factor {factor}: to[j] = expf(from[j] - top);...": "the division takes it out again"
        for factor in ("37", "1.001", "-1")
    },
    "14a_catch_faults": {
        "swapped: x, grad...": INPUTS,
        "order exchanged: x, grad -> grad, x": INPUTS,
        "without exp: np.exp(x) -> (x)": INPUTS,
        "dropped factor: e / e.sum(axis=1, keepdims=True) -> (e)": INPUTS,
        "mean for sum: e.sum -> (e).mean": INPUTS,
        "argument dropped: e.sum(axis=1, keepdims=True) -> e.sum(keepdims=True)": INPUTS,
        "off by one: np.random.default_rng(0)...": INPUTS,
        "off by one: rng.standard_normal((2, 3, 8)) -> ...": INPUTS,
        "boundary: np.abs(softmax_backward...": "no difference is 1e-5",
        "another number: np.abs(softmax_backward...": "no difference is near 1e-5",
    },
    "14b_diagnose": {
        "off by one: [...": INPUTS,
        "flag inverted: [...": INPUTS,
        "order exchanged: q, k -> k, q": INPUTS,
        "off by one: q[:1] -> q[:2]": INPUTS,
        "off by one: np.ones((1, 3), bool) -> np.ones((2, 3), bool)": INPUTS,
    },
}


def faulty_solutions(exercise: Exercise) -> Iterator[tuple[str, Any]]:
    """(what is wrong, the solution with this fault), without those that leave it right."""
    path = f"tinyattn/learn/_exercises/e{exercise.name}.py"
    file = Python(ROOT, path)
    known = EQUIVALENT.get(exercise.name, {})
    for fault in _faults(exercise, file):
        if any(_fits(fault, entry) for entry in known):
            continue
        if exercise.c:
            from_c = sys.modules[exercise.ask.__module__].from_c
            source = vars(exercise.solution)["source"]
            yield fault.text, from_c(fault.apply(source.encode()).decode())
        else:
            names: dict[str, Any] = {"__name__": exercise.ask.__module__}
            exec(compile(fault.apply(file.source), path, "exec"), names)
            yield fault.text, names["solution"]


def unnoticed(exercise: Exercise) -> tuple[int, list[str]]:
    """How many faults there are, and those that pass the check or get a wrong name."""
    if exercise.c:
        return _unnoticed_apart(exercise)
    faults = list(faulty_solutions(exercise))
    return len(faults), [
        f"{text}{_name(exercise, answer)}"
        for text, answer in faults
        if _name(exercise, answer) is not None
    ]


def _name(exercise: Exercise, answer: Any) -> str | None:
    """None for an answer that the check refuses, and does not call by a wrong name."""
    report = examine(exercise, answer)
    if report.right:
        return " survived"
    for wrong in exercise.wrong:
        if wrong.__name__ == report.mistake:
            for inputs in exercise.cases(np.random.default_rng(99)):
                theirs = outcome(exercise, wrong, inputs)
                if not same(exercise, outcome(exercise, answer, inputs), theirs):
                    return f" is called {report.mistake}"
    return None


def _unnoticed_apart(exercise: Exercise) -> tuple[int, list[str]]:
    """The same in other processes: a fault in C may end the process, which counts as noticed."""
    count, found = len(list(faulty_solutions(exercise))), []
    start = 0
    while start < count:
        command = [sys.executable, "-m", "tests.learn.faults", exercise.name, str(start)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        tried = [line for line in done.stdout.splitlines() if line.startswith("tried ")]
        found += [line for line in tried if line != "tried None"]
        start += len(tried) + (done.returncode != 0)
        assert done.returncode <= 0, done.stderr
    return count, found


def gone(exercise: Exercise) -> set[str]:
    """The entries of EQUIVALENT that no fault of today's solution has."""
    file = Python(ROOT, f"tinyattn/learn/_exercises/e{exercise.name}.py")
    faults, known = _faults(exercise, file), EQUIVALENT.get(exercise.name, {})
    return {entry for entry in known if not any(_fits(fault, entry) for fault in faults)}


def _fits(fault: Mutant, entry: str) -> bool:
    start = entry.removesuffix("...")
    return fault.text.startswith(start) if start != entry else fault.text == entry


def _faults(exercise: Exercise, file: Python) -> list[Mutant]:
    if exercise.c:
        source = vars(exercise.solution)["source"]
        at = source.index(")\n{\n") + 4
        return list(c_faults(CFunction("", source, "softmax_in_c", "", source[at:], at), ()))
    solution = file.functions["solution"]
    assert isinstance(solution, ast.FunctionDef)
    found: list[Mutant] = []
    for function in file.reached(solution).values():
        found += body_faults(file, function, function.name)
        found += return_faults(file, function, function.name)
        found += function_faults(file, function.name, function)
    once = {(m.start, m.end, m.new): m for m in found if m.new != m.old}
    return list(once.values())


if __name__ == "__main__":
    asked = load(sys.argv[1])
    for text, answer in list(faulty_solutions(asked))[int(sys.argv[2]) :]:
        name = _name(asked, answer)
        print("tried", None if name is None else text + name, flush=True)
