"""Prints docs/speed.md, its plot and the README's table from docs/speed.csv:

    python -m benchmarks.compare --csv docs/speed.csv   # measures all of it, about 20 minutes
    python -m benchmarks.speed                          # then this, in a moment

The first line takes `--group NAME`, too, and leaves the rows of other groups as they are.
"""

from pathlib import Path

from benchmarks.compare import plot as plotting
from benchmarks.compare import report
from benchmarks.compare.report import Row
from benchmarks.compare.rows import GROUPS, sizes

ROOT = Path(__file__).parents[1]
FIGURES, PAGE = ROOT / "docs" / "speed.csv", ROOT / "docs" / "speed.md"
README = ROOT / "README.md"
README_ROWS = (
    "Seq2Seq step B32 T8 H64 V300",
    "Seq2Seq step B64 T12 H256 V4000",
    "translator by hand, step B64 H256 V5921",
    "one sentence, a token at a time, T10 H256 V3000",
    "Transformer step 2 x 128 B32 T24 V1000 gelu",
    "Transformer step 4 x 256 B16 T64 V4000 gelu, causal",
    "GPT by hand, step 4 x 128 B32 T64 V65",
    "LSTM over letters, sampling 100, H128",
    "GRU forward+backward B64 T32 H256",
    "attention forward+backward B2 h8 T512 D64",
    "cross entropy forward+backward 768x8000",
    "matmul 1024³",
)
INTRO = """# Speed

`python -m benchmarks.compare --csv docs/speed.csv` measures these figures, and
`python -m benchmarks.speed` prints this page from them.

Each library runs in a process of its own with {threads} threads, and they are asked in turn. Times
are medians over the rounds. A ratio is the time of the other library over that of the first column:
its median over the rounds, and its quartiles. Above 1, the first column is the faster. Rows are
forward and backward unless they say otherwise, in float32; a training step includes clipping and
the optimiser. Peaks of memory are what five steps need beyond the import. In the first table
"wanted" is this project's goal for the number to its left.

Measured on {machine}.
"""


def page(machine: list[str], rows: list[Row]) -> str:
    """docs/speed.md: the groups in a table, the plot, and a table for each group."""
    groups = {g: [row for row in rows if row.group == g] for g in GROUPS}
    groups = {g: found for g, found in groups.items() if found}
    threads = next(iter(groups.values()))[0].threads
    parts = [INTRO.format(threads=threads, machine="; ".join(machine)), overview(groups)]
    if "sizes" in groups:
        parts.append("![time against size: tinyattn, torch and NumPy](speed.svg)\n")
    for group, found in groups.items():
        parts.append(f"## {GROUPS[group].title}\n\n`--group {group}`\n\n{report.table(found)}\n")
    return "\n".join(parts)


def overview(groups: dict[str, list[Row]]) -> str:
    """A line for each group and each other side."""
    lines = ["| rows | beside | geometric mean | wanted | worst row | wanted | rows below 1 |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for group, rows in groups.items():
        title, mean, worst = GROUPS[group]
        for total in report.totals(rows):
            lines.append(
                f"| {title} | {total.side} | **{total.mean:.2f}** | {mean} "
                f"| {total.worst:.2f} ({total.name}) | {worst} | {total.below} of {total.count} |"
            )
    return "\n".join(lines) + "\n"


def plot(rows: list[Row]) -> str:
    """Time against size, a panel for each operation, a curve for each side."""
    panels: dict[str, dict[str, plotting.Points]] = {}
    for row in rows:
        if row.group == "sizes":
            title, _, size = row.name.partition(": ")
            for side, seconds in row.values.items():
                curve = panels.setdefault(title, {}).setdefault(side, [])
                curve.append((float(size.replace(",", "")), seconds))
    units = {title: "n" if title == sizes.SQUARE else "elements" for title in panels}
    return plotting.figure(panels, units)


def readme_table(machine: list[str], rows: list[Row]) -> str:
    """The dozen rows that a user decides by, and what the operations come to."""
    by_name = {
        row.name: row._replace(
            values={side: row.values[side] for side in ("tinyattn", "torch")},
            ratios={"torch": row.ratios["torch"]},
            share=0.0,
        )
        for row in rows
        if row.name in README_ROWS
        and {"tinyattn", "torch"} <= {*row.values}
        and row.group != "memory"
    }
    shown = [by_name[name] for name in README_ROWS if name in by_name]
    lines = ["; ".join(machine) + ":", "", report.table(shown), ""]
    for name, group in GROUPS.items():
        if name.startswith("operations"):
            for total in report.totals([row for row in rows if row.group == name]):
                size = group.title.split(", ", 1)[1]
                lines.append(
                    f"- {total.count} operations that are not products, {size}: "
                    f"**{total.mean:.2f}** in the geometric mean"
                )
    return "\n".join(lines)


def put(text: str, table: str) -> str:
    """The README with this table between its two marks."""
    start, end = "<!-- python -m benchmarks.speed -->\n", "\n<!-- end -->"
    before, rest = text.split(start)
    return before + start + table + end + rest.split(end)[1]


def main() -> None:
    machine, rows = report.read(FIGURES)
    PAGE.write_text(page(machine, rows), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(plot(rows), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(put(text, readme_table(machine, rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
