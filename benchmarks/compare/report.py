"""Tables of rows, a line that sums up each group, and the file that keeps figures."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))


class Ratio(NamedTuple):
    """Another side's time over the first's: the median of the rounds and their quartiles."""

    median: float
    low: float
    high: float


class Row(NamedTuple):
    group: str
    name: str
    threads: int
    values: dict[str, float]  # by side, the measured one first: seconds of a call, or MB
    ratios: dict[str, Ratio]  # by each other side, and "the faster" of several
    share: float  # of the machine's peak that its products reach, 0 if there are none


class Group(NamedTuple):
    """What a group has, and what is wanted of its ratios."""

    title: str
    mean: float  # the geometric mean, at least
    worst: float  # every row, at least


def amount(row: Row, side: str) -> str:
    value = row.values.get(side)
    if value is None:
        return ""
    if row.group == "memory":
        return f"{value:.0f} MB"
    unit, factor = next((u, f) for u, f in UNITS if value * f >= 1 or u == "µs")
    return f"{value * factor:.3g} {unit}"


def table(rows: list[Row]) -> str:
    """A table in Markdown."""
    first = next(iter(rows[0].values))
    sides = list(dict.fromkeys(side for row in rows for side in (first, *row.values)))
    others = list(dict.fromkeys(side for row in rows for side in row.ratios))
    shares = any(row.share for row in rows)
    head = ["", *sides, *(f"{side} / {first}" for side in others)]
    lines = [head + ["of the peak"] * shares]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    for row in rows:
        cells = [row.name, *(amount(row, side) for side in sides)]
        for side in others:
            ratio = row.ratios.get(side)
            spread = f"**{ratio.median:.2f}** ({ratio.low:.2f}–{ratio.high:.2f})" if ratio else ""
            cells.append(spread)
        if shares:
            cells.append(f"{100 * row.share:.0f} %" if row.share else "")
        lines.append(cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Total(NamedTuple):
    side: str
    mean: float  # the geometric mean of the ratios
    worst: float
    name: str  # of the worst row
    below: int  # so many rows are below 1
    count: int


def totals(rows: list[Row]) -> list[Total]:
    """What a group comes to, for each other side."""
    found = []
    for side in dict.fromkeys(side for row in rows for side in row.ratios):
        ratios = {row.name: row.ratios[side].median for row in rows if side in row.ratios}
        mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        worst = min(ratios, key=lambda name: ratios[name])
        below = sum(ratio < 1 for ratio in ratios.values())
        found.append(Total(side, mean, ratios[worst], worst, below, len(ratios)))
    return found


def summary(rows: list[Row], group: Group) -> list[str]:
    """The totals of a group in words, beside what is wanted."""
    first = next(iter(rows[0].values))
    verb = "need more than" if rows[0].group == "memory" else "are slower than"
    return [
        f"{rows[0].group}, {total.side} / {first}: geometric mean {total.mean:.2f} "
        f"(goal {group.mean}), worst {total.worst:.2f} (goal {group.worst}): {total.name}; "
        f"{total.below} of {total.count} rows {verb} {total.side}"
        for total in totals(rows)
    ]


def claims(rows: list[Row], claimed: dict[str, float]) -> str:
    """One line: which rows stand below what the README said of them."""
    found = {
        row.name: row.ratios["torch"].median
        for row in rows
        if row.group not in ("memory", "numba", "replay", "threads") and "torch" in row.ratios
    }
    below = [
        f"{name} {found[name]:.2f} (was {ratio})"
        for name, ratio in claimed.items()
        if name in found and found[name] < ratio
    ]
    count = sum(name in found for name in claimed)
    return f"rows that the README claimed, below what it said: {len(below)} of {count}" + "".join(
        f"; {text}" for text in below
    )


COLUMNS = ("group", "row", "threads", "side", "value", "ratio", "low", "high", "share")


def read(path: Path) -> tuple[list[str], list[Row]]:
    """The machine, a line each thing, and the rows of a file that `write` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    machine = [line[2:] for line in lines if line.startswith("# ")]
    rows: dict[tuple[str, str], Row] = {}
    for cell in csv.DictReader(lines[len(machine) :]):
        key = (cell["group"], cell["row"])
        row = rows.setdefault(key, Row(*key, int(cell["threads"]), {}, {}, float(cell["share"])))
        if cell["value"]:
            row.values[cell["side"]] = float(cell["value"])
        if cell["ratio"]:
            ratio = Ratio(float(cell["ratio"]), float(cell["low"]), float(cell["high"]))
            row.ratios[cell["side"]] = ratio
    return machine, list(rows.values())


def write(
    path: Path, machine: list[str], rows: list[Row], order: Sequence[tuple[str, str]]
) -> None:
    """Write rows in this order of (group, name); rows of the file that were not measured stay.

    ValueError if the file has figures of another machine or of other versions.
    """
    kept: dict[tuple[str, str], Row] = {}
    if path.exists():
        before, old = read(path)
        if before != machine:
            raise ValueError(f"{path} was measured with {before}, not {machine}; remove it first")
        kept = {(row.group, row.name): row for row in old}
    kept |= {(row.group, row.name): row for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}\n" for line in machine)
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for row in [kept[key] for key in order if key in kept]:
            for side in row.values | row.ratios:
                value = f"{row.values[side]:.5g}" if side in row.values else ""
                ratio = [f"{x:.4g}" for x in row.ratios.get(side, ())] or ["", "", ""]
                out.writerow([*row[:3], side, value, *ratio, f"{row.share:.3g}"])
