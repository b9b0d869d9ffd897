"""benchmarks.roofline: every row runs, and its operations and bytes are those of its arrays."""

import tinyattn as ta
from benchmarks import roofline


def test_rows_count_their_operations_and_bytes(monkeypatch):
    monkeypatch.setattr(roofline, "D", 4)
    monkeypatch.setattr(roofline, "N", 12)
    rows = {row.name: row for row in roofline.rows()}
    assert rows["x + y"][2:] == (12, 12 * 12)
    assert rows["x W^T, B = 2"][2:] == (2 * 2 * 4 * 4, 4 * (4 * 4 + 2 * 4 + 2 * 4))


def test_rows_run(monkeypatch):
    monkeypatch.setattr(roofline, "D", 4)
    monkeypatch.setattr(roofline, "N", 12)
    with ta.no_grad():
        shapes = {row.name: row.call().shape for row in roofline.rows()}
    assert shapes["layer norm"] == (3, 4)
    assert shapes["x W^T, B = 16"] == (16, 4)
