"""An attention map as text: a row for each target token, a column for each source token; a darker
cell has a larger weight."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tinyattn.kernels._types import Array

_SHADES = " ░▒▓█"


def attention_text(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> str:
    """The weights (Tq, Tk) of target tokens over source tokens, drawn in five shades.

    Raises ValueError where the weights do not fit the tokens or are not between 0 and 1.
    """
    array = check_weights(weights, source, target)
    source, target = [*map(printable, source)], [*map(printable, target)]
    cell = max([1, *map(width, source)]) + 1
    margin = max([0, *map(width, target)]) + 1
    lines = [" " * margin + "".join(_pad(token, cell) for token in source)]
    for token, row in zip(target, array, strict=True):
        shades = (_SHADES[min(int(w * len(_SHADES)), len(_SHADES) - 1)] for w in row)
        drawn = "".join(_pad(shade * (cell - 1), cell) for shade in shades)
        lines.append(_pad(token, margin) + drawn)
    return "\n".join(line.rstrip() for line in lines)


def check_weights(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> Array:
    """The weights as an array (Tq, Tk); ValueError where they do not fit the tokens."""
    array = numbers("weights", weights)
    if array.shape != (len(target), len(source)):
        raise ValueError(
            f"weights: expected (Tq, Tk) = ({len(target)}, {len(source)}) for the target and "
            f"source tokens, got {array.shape}"
        )
    if not ((array >= 0) & (array <= 1 + 1e-3)).all():
        raise ValueError("weights: expected numbers from 0 to 1")
    return array


def numbers(name: str, values: ArrayLike) -> Array:
    """The values as an array; TypeError for what holds no numbers, or rows of unequal length."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected an array of numbers, got {values!r:.60}") from None


def printable(token: object) -> str:
    """The token as text. Characters that move the cursor, or that no file holds, become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(token))


def width(text: str) -> int:
    """The number of columns that a terminal needs: two for a Chinese character."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))
