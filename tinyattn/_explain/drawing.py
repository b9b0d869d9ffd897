"""The picture of the steps: a box for each, and lines between them. Look first at `boxes`."""

from collections import Counter
from typing import Any

import numpy as np

from tinyattn._explain.step import Input, Step, shape_text

MANY = 4  # uses, up to which each has a line of its own


def boxes(steps: list[Step], backward: bool) -> list[Any]:
    """A box for each step, and one for each constant that has a name. What more than MANY steps use
    has a line from the last of them in this order only; the others have a box that names it."""
    from tinyattn.viz.boxes import Box, Line

    left = Counter(to.step for step in steps for to in step.inputs)  # uses that are still to come
    many = {number for number, uses in left.items() if uses > MANY}
    norms = [to.handed.norm for step in steps for to in step.inputs if to.handed is not None]
    largest = max((n for n in norms if np.isfinite(n)), default=0.0)
    drawn: list[Box] = []
    ends: list[Box] = []

    def end(kind: str, text: list[str], step: int) -> int:
        ends.append(Box(len(steps) + len(ends) + 1, kind, text, step=step))
        return ends[-1].key

    for step in steps:
        leaf = step.operation == "leaf"
        kind = "leaf" if leaf else "result" if step.number == 1 else "module" if step.holds else ""
        box = Box(step.number, kind or "operation", _labels(step, backward), step=step.number)
        (ends if leaf else drawn).append(box)
        for to in step.inputs:
            key, source = to.step, steps[to.step - 1]
            left[key] -= 1
            if key in many and left[key] and source.operation == "leaf":
                key = end("leaf", _labels(source, backward), to.step)
            elif key in many and left[key]:
                key = end("reference", [_cut(source.title), f"step {to.step}"], to.step)
            strength = _strength(to.handed.norm, largest) if to.handed is not None else None
            box.lines_in.append(Line(key, _label(to, backward), strength))
        for name, constant in step.constants.items():
            text = [name, shape_text(constant.shape) if constant.shape else str(constant)]
            box.lines_in.append(Line(end("constant", text, 0)))
    return drawn + ends


def _label(to: Input, backward: bool) -> str:
    if not backward:
        return shape_text(to.shape) if to.shape else ""
    if to.handed is None:
        return "nothing"
    summed = f" {shape_text(to.handed.shape)} → {shape_text(to.shape)}" if to.summed else ""
    return (f"{to.times} up to " if to.times > 1 else "") + to.handed.short() + summed


def _strength(norm: float, largest: float) -> float:
    """How thick a line is: 1 for the largest gradient, 0 for one that is 10^-4 of it or less."""
    if not norm or not largest or not np.isfinite(norm):
        return 0.0
    return float(min(1.0, max(0.0, 1 + np.log10(norm / largest) / 4)))


def _labels(step: Step, backward: bool) -> list[str]:
    lines = [_cut(step.title)]
    if step.holds:
        lines.append(f"{sum(step.holds.values())} steps")
    told = backward or step.operation == "leaf" or step.number == 1  # else the lines have the shape
    for i, shape in enumerate(step.outputs[:3]):
        small = step.values[i].short() if i in step.values else ""
        shown = shape_text(shape) if shape and told else ""
        lines.append(f"{shown} {'' if small.startswith('|') else small}".strip())
        if backward and i < len(step.arrived):
            grad = step.arrived[i]
            lines.append("no gradient" if grad is None else f"grad {grad.short()}")
    return [line for line in lines if line]


def _cut(name: str) -> str:
    """A long name of a parameter or a module without its beginning."""
    return name if len(name) <= 28 else f"…{name[-27:]}"
