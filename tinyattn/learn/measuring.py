"""A gradient beside the one that finite differences measure, with an estimate of their error."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from tinyattn._gradcheck import EPS, _derivative
from tinyattn.kernels._types import Array
from tinyattn.learn.exercise import Gradient


def compare(gradients: Iterable[Gradient], tolerance: float) -> tuple[str, str]:
    """What is wrong with the gradients, and what can be said of right ones; one of them is empty.

    The worst elements stand in a table.
    """
    count, furthest, uncertain = 0, 0.0, 0.0
    for name, given, function, x in gradients:
        x = np.asarray(x, np.float64)
        given = np.asarray(given)
        if given.shape != x.shape:
            return f"{name}: expected shape {x.shape}, got {given.shape}", ""
        numeric, error = measured(function, x)
        allowed = error + tolerance * max(float(np.abs(numeric).max(initial=0.0)), 1e-3)
        wrong = ~(np.abs(given - numeric) <= allowed)
        if wrong.any():
            return _table(name, given, numeric, error, wrong), ""
        count += x.size
        furthest = max(furthest, float(np.abs(given - numeric).max(initial=0.0)))
        uncertain = max(uncertain, float(error.max(initial=0.0)))
    note = f"{count} numbers differ from it by at most {furthest:.0e}"
    return "", f"\n       ({note}; its own error is at most {uncertain:.0e}.)"


def measured(function: Callable[[Array], float], x: Array) -> tuple[Array, Array]:
    """The derivative at every element of x, and an estimate of its error."""
    numeric, error = np.zeros(x.shape), np.zeros(x.shape)
    start = function(x)

    def difference(index: tuple[int, ...], step: float) -> float:
        moved = x.copy()
        moved[index] += step
        return function(moved) - start

    for index in np.ndindex(x.shape):
        step = EPS * max(1.0, abs(float(x[index])))
        numeric[index], error[index] = _derivative(partial(difference, index), step)
    return numeric, error


def _table(name: str, given: Array, numeric: Array, error: Array, wrong: Array) -> str:
    worst = np.argwhere(wrong)
    size = np.nan_to_num(np.abs(given - numeric), nan=np.inf)
    order = sorted(map(tuple, worst), key=lambda index: -size[index])[:5]
    lines = [f"    {'':12}{'yours':>12} {'measured':>12} {'error of it':>12}"]
    for index in order:
        place = f"{name}[{', '.join(map(str, index))}]"
        lines.append(
            f"    {place:12}{given[index]:12.6g} {numeric[index]:12.6g} {error[index]:12.1g}"
        )
    return (
        f"{len(worst)} of {given.size} elements of {name} differ from the measured slope. The "
        "worst are:\n\n" + "\n".join(lines)
    )
