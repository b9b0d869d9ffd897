"""`Chart`: a figure of Matplotlib that a notebook shows as SVG, in the one style of all figures.

This file imports Matplotlib, so it is itself imported when the first figure is made.
"""

from collections.abc import Sequence
from html import escape
from io import BytesIO, StringIO
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinyattn._extras import missing
from tinyattn._serialization import write_aside
from tinyattn.kernels._types import Array

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise missing(error, "examples") from None

# From dark to light in even steps, also in grey and for the colour-blind.
MAP = "cividis"
# Colours that the colour-blind can tell apart (Okabe and Ito 2008); the dashes tell them in grey.
LINES: list[dict[str, Any]] = [
    {"color": "#0072b2", "linestyle": "-"},
    {"color": "#d55e00", "linestyle": "--"},
    {"color": "#009e73", "linestyle": "-."},
    {"color": "#cc79a7", "linestyle": ":"},
    {"color": "#000000", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
]
# Text stays text; and the same figure gives the same file.
_SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "tinyattn"}
_NO_METADATA: Any = dict.fromkeys(["Creator", "Date", "Format", "Type"])


class Chart:
    """A figure that a notebook shows as SVG. `save(path)` writes it: .svg, .png, .pdf and what else
    Matplotlib knows. `figure` is Matplotlib's own, to be changed as any figure; `axes` are its
    panels. Their types are Any, since not every type checker finds those of Matplotlib."""

    figure: Any

    def __init__(self, width: float, height: float, title: str = "", **style: Any) -> None:
        """A figure of this size in inches."""
        self.figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        if title:
            self.figure.suptitle(title, x=0.01, ha="left", fontsize=11, **style)

    @property
    def axes(self) -> list[Any]:
        return list(self.figure.axes)

    def _repr_svg_(self) -> str:
        """The figure as an element of a page: without a header, with a title for those who hear
        the page."""
        file = StringIO()
        with mpl.rc_context(_SVG):
            self.figure.savefig(file, format="svg", metadata=_NO_METADATA)
        text = file.getvalue()
        head, rest = text[text.index("<svg") :].split(">", 1)
        titles = [self.figure.get_suptitle(), *(axes.get_title() for axes in self.axes)]
        name = escape(", ".join(filter(None, titles)) or "figure")
        return f'{head} role="img">\n<title>{name}</title>{rest}'

    def save(self, path: str | PathLike[str]) -> None:
        """Write the figure to a file; the ending of its name says in which format."""
        with mpl.rc_context(_SVG):
            metadata = _NO_METADATA if str(path).endswith(".svg") else None
            self.savefig(path, metadata=metadata)

    def savefig(self, file: str | PathLike[str] | IO[bytes], **options: Any) -> None:
        """Write the figure as Matplotlib's method of this name does, with its options. Where that
        fails, the old file is unchanged."""
        if not isinstance(file, (str, PathLike)):
            self.figure.savefig(file, **options)
            return
        path, content = Path(file), BytesIO()
        if not (path.suffix[1:] or options.get("format")):
            path = path.with_name(f"{path.name.rstrip('.')}.{mpl.rcParams['savefig.format']}")
        self.figure.savefig(content, **{"format": path.suffix[1:], **options})
        write_aside(path, content.getvalue())


def heat_map(
    axes: Any, array: Array, low: float, high: float, label: str, numbers: bool = False
) -> None:
    """An array as cells, whose colours stand beside it under `label`. NaN stays white.

    numbers: write each number into its cell.
    """
    image = axes.imshow(
        array, cmap=MAP, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    if axes.figure is not None:
        axes.figure.colorbar(image, label=label)
    for (i, j), x in np.ndenumerate(array) if numbers else ():
        dark = (x - low) / (high - low) <= 0.55  # False for NaN, whose cell is white
        ink = "#ffffff" if dark else "#000000"
        told = f"{round(x, 2) + 0.0:.2f}"  # never -0.00
        axes.text(j, i, told, ha="center", va="center", color=ink, fontsize=8)


def ticks(count: int, most: int) -> Sequence[int]:
    """At most `most` of the places 0 to count - 1, evenly."""
    return range(0, count, max(1, -(-count // most)))


def whole_numbers() -> Any:
    """What places ticks along an axis at whole numbers only."""
    return MaxNLocator(integer=True)
