"""The cells of a lesson, and the stamps that tie a Chinese cell to its English one.

A lesson is a Python file in jupytext's percent format: `# %%` opens a cell of code, and
`# %% [markdown]` a cell of text, whose lines are comments. A Chinese cell of text carries the hash
of the English cell that it says again: `# %% [markdown] source="0a1b2c3d"`.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LESSONS = sorted(path.stem for path in (FOLDER / "en").glob("*.py"))
_OPENING = re.compile(r"^# %%(?P<text> \[markdown\])?(?: source=\"(?P<source>\w*)\")?$", re.M)


@dataclass
class Cell:
    """One cell. source: the hash that stands in its opening line, or None."""

    is_text: bool
    content: str
    source: str | None

    def hash(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()[:8]


def cells(language: str, lesson: str) -> list[Cell]:
    """The cells of lessons/<language>/<lesson>.py. Raises ValueError where a line that begins with
    `# %%` does not open a cell, and where text stands before the first cell."""
    script = (FOLDER / language / f"{lesson}.py").read_text(encoding="utf-8")
    openings = list(_OPENING.finditer(script))
    strange = set(re.findall(r"^# %%.*$", script, re.M)) - {match[0] for match in openings}
    if strange or not openings or openings[0].start():
        place = f"{language}/{lesson}.py"
        raise ValueError(f"{place}: {strange or 'the file'} does not open with a cell")
    ends = [*(match.start() for match in openings[1:]), len(script)]
    return [
        Cell(bool(match["text"]), script[match.end() : end].strip("\n"), match["source"])
        for match, end in zip(openings, ends, strict=True)
    ]


def stamp(lesson: str) -> int:
    """Write the hashes of the English cells into the Chinese lesson; the number of new ones."""
    path = FOLDER / "zh" / f"{lesson}.py"
    english = [cell for cell in cells("en", lesson) if cell.is_text]
    chinese = [cell for cell in cells("zh", lesson) if cell.is_text]
    if len(english) != len(chinese):
        raise ValueError(
            f"zh/{lesson}.py: expected {len(english)} cells of text as in the English lesson, "
            f"got {len(chinese)}"
        )
    hashes = iter([cell.hash() for cell in english])
    script = path.read_text(encoding="utf-8")
    stamped = re.sub(
        r"^# %% \[markdown\].*$",
        lambda _: f'# %% [markdown] source="{next(hashes)}"',
        script,
        flags=re.M,
    )
    path.write_text(stamped, encoding="utf-8")
    return sum(a.hash() != b.source for a, b in zip(english, chinese, strict=True))
