"""Seeded faults in the solutions of exercises: the same kinds as in tests/power."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.power.forwards import function_faults
from tests.power.gradients import body_faults, return_faults
from tests.power.source import Mutant, Python
from tinyattn.learn.exercise import Exercise

ROOT = Path(__file__).parents[2]

WHOLE = "whole numbers, cut off"

# Faults that leave a right answer, by the name of the exercise, each with its reason.
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
}


def faulty_solutions(exercise: Exercise) -> Iterator[tuple[str, Any]]:
    """(what is wrong, the solution with this fault), without those that leave it right."""
    path = f"tinyattn/learn/_exercises/e{exercise.name}.py"
    file = Python(ROOT, path)
    known = EQUIVALENT.get(exercise.name, {})
    for fault in _faults(file):
        if fault.text not in known:
            names: dict[str, Any] = {"__name__": exercise.ask.__module__}
            exec(compile(fault.apply(file.source), path, "exec"), names)
            yield fault.text, names["solution"]


def gone(exercise: Exercise) -> set[str]:
    """The entries of EQUIVALENT that no fault of today's solution has."""
    file = Python(ROOT, f"tinyattn/learn/_exercises/e{exercise.name}.py")
    return EQUIVALENT.get(exercise.name, {}).keys() - {fault.text for fault in _faults(file)}


def _faults(file: Python) -> list[Mutant]:
    solution = file.functions["solution"]
    assert isinstance(solution, ast.FunctionDef)
    found: list[Mutant] = []
    for function in file.reached(solution).values():
        found += body_faults(file, function, function.name)
        found += return_faults(file, function, function.name)
        found += function_faults(file, function.name, function)
    once = {(m.start, m.end, m.new): m for m in found if m.new != m.old}
    return list(once.values())
