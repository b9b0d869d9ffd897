"""How numbers and sentences are shown in a terminal."""

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

WIDTH = 88
BLOCK = "    "  # how the lines of a block begin
ELEMENTS, ROWS = 60, 12  # arrays with more are shown by their shape and their corners


class Text(str):
    """What a value looks like already."""


def shown(value: Any, digits: int = 4) -> str:
    """A number, an array or a function, short enough for one look.

    digits: how many stand behind the point, at most.
    """
    if isinstance(value, Text):
        return value
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return f"an array of shape {value.shape}"
        text = np.array2string(
            value,
            precision=digits,
            suppress_small=True,
            threshold=value.size if whole(value) else 0,
            edgeitems=1 if value.ndim > 2 else 2,
            max_line_width=WIDTH - 20,
        )
        return text if whole(value) else f"{text}\n(shape {value.shape})"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits + 2}g}"
    if isinstance(value, tuple | list):
        inside = ", ".join(shown(item, digits) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if callable(value):
        return str(value.__doc__ or value.__name__).strip()
    return repr(value)


def whole(value: np.ndarray) -> bool:
    """Whether every number of an array is shown."""
    return value.size <= ELEMENTS and value.size <= ROWS * max(value.shape[-1:], default=1)


def apart(one: Any, other: Any) -> tuple[Text, Text]:
    """Two values that differ, with as many digits as show it: 4, or more."""
    pairs = ((Text(shown(one, d)), Text(shown(other, d))) for d in range(4, 17))
    first = next(pairs)
    return first if first[0] != first[1] else next((p for p in pairs if p[0] != p[1]), first)


def table(rows: Iterable[tuple[str, Any]], indent: str = "") -> str:
    """Names on the left, values on the right."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *more = [line for line in shown(value).split("\n") if line]
        lines += [
            f"{indent}{name:{width}}{first}",
            *(f"{indent}{'':{width}}{line}" for line in more),
        ]
    return "\n".join(line.rstrip() for line in lines)


def paragraph(text: str, indent: str = "") -> str:
    """Text in lines of at most WIDTH characters. The lines of a block stay as they are."""
    done = []
    for part in text.strip("\n").split("\n\n"):
        lines = part.split("\n")
        if all(line.startswith(BLOCK) for line in lines):
            done += [f"{indent}  {line.removeprefix(BLOCK)}".rstrip() for line in lines]
        else:
            text = " ".join(part.split())
            done += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
        done.append("")
    return "\n".join(done[:-1])


def block(text: str) -> str:
    """Lines that paragraph() leaves as they are, all in one block."""
    return "\n".join(f"{BLOCK}{line}" for line in text.split("\n"))
