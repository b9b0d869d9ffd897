"""What happens in a recurrent layer over time: its gates, and the gradients on their way back.

`gates` and `gradient_norms` draw; `gates_of` runs a model and gives the gates in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinyattn.autograd.modes import watching
from tinyattn.kernels._types import Array
from tinyattn.viz.terminal import numbers, printable

if TYPE_CHECKING:
    from tinyattn.viz.chart import Chart


def gates_of(run: Callable[[], Any]) -> list[dict[str, Array]]:
    """The gates of every GRU and LSTM that `run()` uses, by name: each (T, B, H).

    run: a function without arguments, such as `lambda: model(x)`.

    There is one dict for each layer and direction, in the order in which they run; the steps of a
    cell in a loop are joined to one. A GRU has r, z and the new state n, an LSTM has i, f, o and g.
    After the end of a shorter sequence stands NaN.

    >>> found = gates_of(lambda: nn.GRU(3, 4)(ta.ones(5, 1, 3)))
    >>> {name: values.shape for name, values in found[0].items()}
    {'r': (5, 1, 4), 'z': (5, 1, 4), 'n': (5, 1, 4)}
    """
    found: dict[int, list[dict[str, Array]]] = {}
    weights = []  # kept, so that no other array gets the id of one of them

    def watch(node: Any, inputs: tuple[Any, ...], options: Any, outputs: Any) -> None:
        named = {**node.gates(), **node.candidates()}
        if named:
            weights.append(inputs[3])
            steps = {name: _padded(values, node.sizes) for name, values in named.items()}
            found.setdefault(id(inputs[3]), []).append(steps)

    with watching(watch):
        run()
    for parts in found.values():
        batches = {next(iter(part.values())).shape[1] for part in parts}
        if len(batches) > 1:
            raise ValueError(f"run: expected one batch, got batches of {sorted(batches)} sequences")
    return [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in found.values()
    ]


def _padded(values: Array, sizes: Sequence[int]) -> Array:
    """The rows (N, H) of a packed batch as (T, B, H), with NaN after the end of a sequence."""
    out = np.full((len(sizes), sizes[0], values.shape[-1]), np.nan, values.dtype)
    start = 0
    for t, size in enumerate(sizes):
        out[t, :size] = values[start : start + size]
        start += size
    return out


def gates(
    values: Mapping[str, ArrayLike], tokens: Sequence[str] = (), title: str = "Gates over time"
) -> "Chart":
    """Gates as heat maps, one below the other: a column for each step, a row for each unit.

    values: by the name of the gate, its values (T, H) or (T, 1, H), each from 0 to 1. A new state,
        such as n of a GRU, may be among them; where there are negative numbers the scale is -1
        to 1.
    tokens: what was read at each step.

    Raises ValueError where the shapes are others, or where there is not one token for each step.
    """
    from tinyattn.viz.chart import Chart, heat_map, ticks
    from tinyattn.viz.figures import families

    arrays = {name: _sequence(name, gate) for name, gate in values.items()}
    if not arrays:
        raise ValueError("values: expected at least one gate, got none")
    steps = len(next(iter(arrays.values())))
    for name, array in arrays.items():
        if len(array) != steps:
            raise ValueError(f"values: expected {steps} steps of {name}, got {len(array)}")
    if len(tokens) not in (0, steps):
        raise ValueError(f"tokens: expected {steps}, one for each step, got {len(tokens)}")
    tokens = [*map(printable, tokens)]
    style: dict[str, Any] = {"family": families([*tokens, *arrays, title]), "parse_math": False}
    width = min(max(5.0, 1.8 + 0.35 * steps), 14.0)
    chart = Chart(width, 0.9 + 1.3 * len(arrays), title, **style)
    rows = chart.figure.subplots(len(arrays), 1, sharex=True, squeeze=False)
    for axes, (name, array) in zip(rows[:, 0], arrays.items(), strict=True):
        signed = (array < 0).any()
        heat_map(axes, array.T, -1 if signed else 0, 1, "state" if signed else "gate")
        axes.set_ylabel(f"{name}, unit", **style)
        axes.set_yticks(ticks(array.shape[1], 5))
    places = list(ticks(steps, 40))
    turn = 45 if any(len(token) > 3 for token in tokens) else 0
    if tokens:
        rows[-1, 0].set_xticks(places, [tokens[t] for t in places], rotation=turn, **style)
    else:
        rows[-1, 0].set_xlabel("step t")
    return chart


def _sequence(name: str, values: ArrayLike) -> Array:
    array = numbers(f"values: {name}", values)
    if array.ndim == 3 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"values: expected {name} of shape (T, H), got {np.shape(values)}; of a batch "
            "(T, B, H), draw one sequence: [:, b]"
        )
    return array


def gradient_norms(
    norms: Mapping[str, Sequence[float]] | Sequence[float],
    title: str = "Gradient on its way back through time",
) -> "Chart":
    """|dL/dh_t| at every step t, on a logarithmic scale: a straight line that falls to the left is
    a gradient that vanishes.

    norms: of step 0, 1, ...; several curves by name, as `ta.doctor(...).over_time` has them. Zeros
        are not drawn. Raises ValueError where there is no norm, or a negative one.
    """
    from tinyattn.viz.chart import LINES, Chart, whole_numbers
    from tinyattn.viz.figures import families

    given = norms if isinstance(norms, Mapping) else {"": norms}
    curves = {name: numbers("norms", curve) for name, curve in given.items()}
    if not any(curve.size for curve in curves.values()):
        raise ValueError("norms: expected at least one number, got none")
    style: dict[str, Any] = {"family": families([*curves, title]), "parse_math": False}
    chart = Chart(5.6, 3.2, title, **style)
    axes = chart.figure.subplots()
    for number, (name, heights) in enumerate(curves.items()):
        if heights.ndim != 1 or (heights < 0).any():
            raise ValueError(
                f"norms: expected numbers of at least 0 for each step, got {given[name]}"
            )
        heights = np.where(heights > 0, heights, np.nan)
        marker = "o" if len(heights) <= 40 else ""
        axes.plot(heights, label=name, marker=marker, markersize=3, **LINES[number % len(LINES)])
    axes.set_yscale("log")
    axes.set_xlabel("step t")
    axes.xaxis.set_major_locator(whole_numbers())
    axes.set_ylabel("|dL/dh_t|")
    axes.grid(alpha=0.3)
    if any(curves):
        legend = axes.legend(prop={"family": style["family"], "size": 8})
        for text in legend.get_texts():
            text.set_parse_math(False)
    return chart
