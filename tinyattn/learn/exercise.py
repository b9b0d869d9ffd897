"""What an exercise is: `Exercise`, one for each file of _exercises/, and how they are found."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.kernels._types import Array
from tinyattn.learn import _exercises
from tinyattn.ops.creation import tensor

Answer = Callable[..., Any]
Inputs = tuple[Any, ...]
# A name, the gradient that the answer gives, and the function of x whose derivative it should be.
Gradient = tuple[str, Any, Callable[[Array], float], Array]


def call(answer: Answer, *inputs: Any) -> Any:
    return answer(*inputs)


def call_unnamed(answer: Answer, function: Callable[..., Any], *rest: Any) -> Any:
    """The function, without its name: an answer shall find out what it does."""
    return answer(lambda *inputs: function(*inputs), *rest)


@dataclass(frozen=True)
class Exercise:
    """One exercise: the data and functions of one file."""

    ask: Answer  # the function that the student completes; `start` writes its source
    solution: Answer
    returns: Sequence[str]  # the names of what it returns
    hand: Inputs  # the arguments of a small case, shown in full
    cases: Callable[[np.random.Generator], Iterable[Inputs]]  # more arguments, for the definition
    wrong: Sequence[Answer]  # typical wrong answers; the docstring says what each has forgotten
    hints: tuple[str, str, str]
    extremes: Mapping[str, Inputs] = field(default_factory=dict)  # what is extreme, the arguments
    gradients: Callable[[Answer, np.random.Generator], Iterable[Gradient]] | None = None
    properties: Sequence[Callable[[Answer, np.random.Generator], str | None]] = ()
    library: Answer | None = None  # the same by tinyattn's own operations
    run: Callable[..., Any] = call  # how an answer is called with the inputs
    given: Sequence[Any] = ()  # functions and classes that the student's file shows, too
    c: str = ""  # the text that the student starts from, if it is C
    load: Callable[[Path], Answer] | None = None  # the answer in a file that is not Python
    tolerance: float = 2e-5  # of the largest number; float32 rounding is well below it

    @property
    def name(self) -> str:
        """04_softmax_backward"""
        return self.ask.__module__.rpartition(".e")[2]

    @property
    def number(self) -> str:
        """04"""
        return self.name.partition("_")[0]

    @property
    def lesson(self) -> str:
        return self.number[:2]

    @property
    def file(self) -> str:
        return f"{self.name}.c" if self.c else f"{self.name}.py"


def names() -> list[str]:
    """The names of all exercises, in order."""
    return sorted(module.name[1:] for module in pkgutil.iter_modules(_exercises.__path__))


@cache
def load(name: str) -> Exercise:
    module = importlib.import_module(f"{_exercises.__name__}.e{name}")
    exercise = module.EXERCISE
    assert isinstance(exercise, Exercise)
    return exercise


def exercises(number: str = "") -> list[Exercise]:
    """All exercises, or those of a number: "03" gives 03a and 03b; "3b" and "03b_..." give one."""
    found = names()
    if number:
        wanted = number if number[1:2].isdigit() else f"0{number}"
        heads = [(name, name.partition("_")[0]) for name in found]
        found = [name for name, head in heads if wanted in (name, head, head.rstrip("abc"))]
    if not found:
        raise ValueError(f"there is no exercise {number!r}; the exercises are {', '.join(names())}")
    return [load(name) for name in found]


def of_function(name: str) -> Exercise:
    """The exercise that asks for a function of this name."""
    table = {exercise.ask.__name__: exercise for exercise in exercises()}
    if name not in table:
        raise ValueError(f"no exercise asks for a function {name!r}; they ask for {list(table)}")
    return table[name]


def by_tinyattn(
    function: Callable[..., Tensor], inputs: Sequence[Any], grad: Any
) -> tuple[Array, ...]:
    """The gradients of tinyattn's own operations: those of sum(grad * function(*inputs))."""
    leaves = [tensor(x, requires_grad=True) for x in inputs]
    function(*leaves).backward(tensor(grad))
    return tuple(_gradient(leaf) for leaf in leaves)


def _gradient(leaf: Tensor) -> Array:
    assert leaf.grad is not None
    return leaf.grad.numpy()


def only(values: Iterable[Any]) -> Iterator[Inputs]:
    """Inputs of a function with one argument."""
    return ((value,) for value in values)
