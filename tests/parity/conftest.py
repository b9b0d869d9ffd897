"""The count of comparisons with torch, printed per name at the end; a line if torch is missing."""

import importlib.util

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line("parity with torch: skipped, torch is not installed")
        return
    from .harness import COUNTS

    if not COUNTS:
        return
    terminalreporter.section("parity with torch: comparisons per name")
    cells = [f"{name} {count}" for name, count in sorted(COUNTS.items())]
    width = max(map(len, cells)) + 2
    columns = max(1, 100 // width)
    for i in range(0, len(cells), columns):
        row = "".join(cell.ljust(width) for cell in cells[i : i + columns])
        terminalreporter.write_line(row.rstrip())
    terminalreporter.write_line(f"{len(cells)} names, {sum(COUNTS.values())} comparisons")
