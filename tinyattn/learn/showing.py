"""How numbers and sentences are shown in a terminal."""

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

WIDTH = 88
LARGE = 60  # arrays with more elements are shown by their shape and their first numbers


def shown(value: Any) -> str:
    """A number, an array or a function, short enough for one look."""
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return f"an array of shape {value.shape}"
        text = np.array2string(
            value, precision=4, suppress_small=True, threshold=LARGE, max_line_width=WIDTH - 20
        )
        return text if value.size <= LARGE else f"{text}\n(shape {value.shape})"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        inside = ", ".join(map(shown, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if callable(value):
        return str(value.__doc__ or value.__name__).strip()
    return repr(value)


def table(rows: Iterable[tuple[str, Any]], indent: str = "") -> str:
    """Names on the left, values on the right."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *more = shown(value).split("\n")
        lines += [
            f"{indent}{name:{width}}{first}",
            *(f"{indent}{'':{width}}{line}" for line in more),
        ]
    return "\n".join(line.rstrip() for line in lines)


def paragraph(text: str, indent: str = "") -> str:
    """Text in lines of at most WIDTH characters; lines that are indented stay as they are."""
    done = []
    for part in text.strip("\n").split("\n\n"):
        lines = textwrap.dedent(part).strip("\n")
        if "\n " in lines or part.startswith("    "):
            done.append(textwrap.indent(textwrap.dedent(part), indent + "  "))
        else:
            done.append(
                textwrap.fill(
                    " ".join(lines.split()), WIDTH, initial_indent=indent, subsequent_indent=indent
                )
            )
    return "\n\n".join(done)
