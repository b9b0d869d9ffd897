"""Exercises that say what is wrong with an answer: `python -m tinyattn.learn`.

In a notebook, `learn.check(function)` prints the same as `check` in a terminal. exercise.py says
what an exercise is, checking.py how an answer is checked.
"""

from collections.abc import Callable
from typing import Any

from tinyattn.learn.checking import examine
from tinyattn.learn.exercise import of_function
from tinyattn.learn.limiting import time_limit

__all__ = ["check"]


def check(function: Callable[..., Any]) -> bool:
    """Check the answer to an exercise, print what was found, and return whether it is right.

    function: has the name that the exercise asks for, as `softmax_backward`.
    Raises ValueError if no exercise asks for a function of this name.

    On Linux and macOS the check is stopped after 20 seconds.
    """
    exercise = of_function(getattr(function, "__name__", repr(function)))
    with time_limit():
        report = examine(exercise, function)
    print(report)
    return report.right
