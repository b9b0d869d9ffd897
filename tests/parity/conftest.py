"""The count of comparisons with torch, printed per name at the end; a line if torch is missing."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    try:
        from .harness import COUNTS
    except ModuleNotFoundError:
        terminalreporter.write_line("parity with torch: skipped, torch is not installed")
        return
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
