"""What is told of a step of the backward pass, of its inputs, and of an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SHOWN = 12  # elements of an array that are told one by one


class Quantity:
    """What is told of an array: its shape, its norm (the root of the sum of its squares), its range
    and, of a small one, every element."""

    @np.errstate(over="ignore")
    def __init__(self, array: Any) -> None:
        array = np.asarray(array)
        self.shape = array.shape
        self.elements = array.tolist() if array.size <= SHOWN else None
        numbers = array.astype(np.float64).reshape(-1)
        finite = numbers[np.isfinite(numbers)]
        self.bad = numbers.size - finite.size
        self.norm = float(np.sqrt(np.sum(numbers * numbers)))
        self.low = float(finite.min()) if finite.size else 0.0  # of the finite ones
        self.high = float(finite.max()) if finite.size else 0.0

    def __str__(self) -> str:
        if self.elements is not None:
            return _listed(self.elements)
        bad = f", {self.bad} not finite" if self.bad else ""
        return f"norm {_number(self.norm)}, from {_number(self.low)} to {_number(self.high)}{bad}"

    def short(self) -> str:
        """At most about twenty characters, for a picture."""
        told = str(self)
        return told if len(told) <= 22 and self.elements is not None else f"|{_number(self.norm)}|"


@dataclass
class Input:
    """An input of a step that has a gradient: `step` made it, as its output `output`. `handed` is
    the gradient that the step hands on to it, as its backward gives it; `summed` are the axes over
    which the engine then adds it up, because the input was broadcast along them. A folded step may
    hand on to it several `times`; then `handed` is the largest of these gradients."""

    step: int
    output: int
    shape: tuple[int, ...]
    handed: Quantity | None = None
    summed: tuple[int, ...] = ()
    times: int = 1


@dataclass
class Step:
    """A step of the backward pass.

    operation: the class of the operation; "leaf" where the gradient stays, in `.grad`; of a folded
        step, the module.
    names: the variables of the program that hold the results, or the name of the parameter, by the
        number of the result.
    formula: the docstring of the operation; of a folded step, what is in it.
    outputs: the shape of each result; values: what it was, where that is known.
    arrived: the gradient of each result, None where none arrived.
    inputs: what it hands its gradients on to; constants: its inputs that have no gradient, by name,
        where a variable of the program holds them.
    module, line: where the operation ran, if that was watched.
    holds: of a folded step, how often each operation is in it.
    """

    number: int
    operation: str
    names: dict[int, str]
    formula: str
    outputs: list[tuple[int, ...]]
    values: dict[int, Quantity]
    inputs: list[Input]
    constants: dict[str, Quantity]
    module: str = ""
    line: str = ""
    arrived: list[Quantity | None] = field(default_factory=list)
    holds: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return ", ".join(self.names.values())

    @property
    def title(self) -> str:
        if self.operation == "leaf":
            return self.name or "a leaf"
        return f"{self.name} = {self.operation}" if self.names else self.operation


def with_shape(shape: tuple[int, ...], quantity: Quantity) -> str:
    return f"{shape_text(shape)} {quantity}" if shape else str(quantity)


def shape_text(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_listed, value))}]"
    return str(value) if isinstance(value, bool) else _number(value)


def _number(x: float) -> str:
    return f"{x:.4g}"
