"""What every picture here can do: a notebook shows it, and `save(path)` writes it to a file.

`Picture` holds a drawing of our own. `Chart`, in chart.py, is a figure of Matplotlib that has the
same two methods.
"""

from os import PathLike
from pathlib import Path

from tinyattn._serialization import write_aside


class Picture:
    """A drawing. `svg` is its text; `save(path)` writes it to a file whose name ends in .svg."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to a file. ValueError if its name does not end in .svg."""
        write(path, {".svg": self.svg})


def write(path: str | PathLike[str], texts: dict[str, str]) -> None:
    """Write the text that `texts` has for the ending of the file's name. ValueError if it has none
    for it."""
    ending = Path(path).suffix.lower()
    if ending not in texts:
        raise ValueError(f"path: expected a name that ends in {' or '.join(texts)}, got {path}")
    write_aside(path, texts[ending].encode())
