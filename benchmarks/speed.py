"""Prints the tables of docs/speed.md, docs/zh/speed.md and the README, and the plot, from
docs/speed.csv:

    python -m benchmarks.compare --csv docs/speed.csv   # measures all of it, about 20 minutes
    python -m benchmarks.speed                          # then this, in a moment

The first line takes `--group NAME`, too, and leaves the rows of other groups as they are.
"""

from pathlib import Path
from typing import NamedTuple

from benchmarks.compare import plot as plotting
from benchmarks.compare import report
from benchmarks.compare.report import Row
from benchmarks.compare.rows import GROUPS, sizes

ROOT = Path(__file__).parents[1]
FIGURES, PLOT = ROOT / "docs" / "speed.csv", ROOT / "docs" / "speed.svg"
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


class Words(NamedTuple):
    """What a page says around its figures, in one language."""

    measured: str
    columns: str  # of the first table
    below: str
    plot: str
    titles: dict[str, str]  # of the groups
    heads: dict[str, str]  # of the other tables' columns, where report.table has them in English


ENGLISH = Words(
    measured="Measured on {machine}; {threads} threads.",
    columns="rows | beside | geometric mean | wanted | worst row | wanted | rows below 1",
    below="{below} of {count}",
    plot="time against size: tinyattn, torch and NumPy",
    titles={name: group.title for name, group in GROUPS.items()},
    heads={},
)
CHINESE = Words(
    measured="测量环境：{machine}；{threads} 个线程。",
    columns="测量内容 | 比较对象 | 几何平均 | 目标 | 最差的一行 | 目标 | 小于 1 的行",
    below="{below}/{count}",
    plot="用时与规模的关系：tinyattn、torch 和 NumPy",
    titles={
        "operations-2000": "矩阵乘积以外的全部运算，2,000 个元素",
        "operations-200000": "矩阵乘积以外的全部运算，200,000 个元素",
        "operations-4M": "矩阵乘积以外的全部运算，4,000,000 个元素",
        "idioms": "程序的循环里常见的语句",
        "transformer": "Transformer 编码器的训练步骤",
        "seq2seq": "带注意力的 Seq2Seq 的训练步骤",
        "replay": "同样的步骤，录制后重放，与编译器比较",
        "translator": "翻译器的训练步骤，按用户的写法",
        "programs": "其他程序，按用户的写法",
        "products": "训练中常见大小的矩阵乘积",
        "documents": "教程里的循环",
        "tape": "许多小运算",
        "rows": "只有几行的 softmax 和交叉熵",
        "gemm": "单独的矩阵乘积",
        "softmax": "Softmax、交叉熵和层归一化",
        "gru": "GRU",
        "attention": "注意力",
        "optimiser": "Adam",
        "numba": "Numba 写的内核，与 C 写的比较",
        "memory": "训练步骤的内存峰值",
        "threads": "更多线程",
        "sizes": "用时与规模的关系，只有前向",
    },
    heads={"of the peak": "占峰值", "the faster": "较快者"},
)
PAGES = {
    ROOT / "docs" / "speed.md": ENGLISH,
    ROOT / "docs" / "zh" / "speed.md": CHINESE,
}


def figures(machine: list[str], rows: list[Row], words: Words) -> str:
    """What stands between the marks of a page: the groups in a table, the plot, and a table for
    each group."""
    groups = {g: [row for row in rows if row.group == g] for g in GROUPS}
    groups = {g: found for g, found in groups.items() if found}
    threads = next(iter(groups.values()))[0].threads
    parts = [words.measured.format(machine="; ".join(machine), threads=threads) + "\n"]
    parts.append(overview(groups, words))
    if "sizes" in groups:
        parts.append(f"![{words.plot}](speed.svg)\n")
    for group, found in groups.items():
        head, lines = report.table(found).split("\n", 1)
        for english, own in words.heads.items():
            head = head.replace(english, own)
        parts.append(f"## {words.titles[group]}\n\n`--group {group}`\n\n{head}\n{lines}\n")
    return "\n".join(parts)


def overview(groups: dict[str, list[Row]], words: Words) -> str:
    """A line for each group and each other side."""
    lines = [f"| {words.columns} |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for group, rows in groups.items():
        _, mean, worst = GROUPS[group]
        for total in report.totals(rows):
            side = words.heads.get(total.side, total.side)
            below = words.below.format(below=total.below, count=total.count)
            lines.append(
                f"| {words.titles[group]} | {side} | **{total.mean:.2f}** | {mean} "
                f"| {total.worst:.2f} ({total.name}) | {worst} | {below} |"
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
    """A page with this table between its two marks."""
    start, end = "<!-- python -m benchmarks.speed -->\n", "\n<!-- end -->"
    before, rest = text.split(start)
    return before + start + table + end + rest.split(end)[1]


def main() -> None:
    machine, rows = report.read(FIGURES)
    PLOT.write_text(plot(rows), encoding="utf-8")
    tables = {path: figures(machine, rows, words) for path, words in PAGES.items()}
    for path, table in (tables | {README: readme_table(machine, rows)}).items():
        path.write_text(put(path.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
