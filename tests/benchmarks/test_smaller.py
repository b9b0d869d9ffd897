"""`python -m benchmarks.smaller` runs through all it measures."""

import re
from pathlib import Path

import pytest

from benchmarks import smaller
from tests.examples.program import SMALL, run


def test_it_prints_size_quality_and_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("rnn", "transformer"):
        done = run(tmp_path, *SMALL, "--model", kind, "--out", kind)
        assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(smaller, "SHARES", (0.0, 0.5))
    smaller.main(["rnn", "transformer", "--steps", "2", "--rounds", "1", "--picture", "p.svg"])
    out = capsys.readouterr().out
    assert len(re.findall(r"^int8: BLEU \d+\.\d+, exact match \d+\.\d %$", out, re.M)) == 2
    assert len(re.findall(r"^ours int8: \d+ sentences/s, \d+\.\d\d$", out, re.M)) == 2
    assert re.search(r"^0\.5: \d+\.\d, \d+\.\d$", out, re.M)
    assert len(re.findall(r"^\d\d % of heads and units removed: \d+ numbers", out, re.M)) == 2
    assert Path("p.svg").read_text(encoding="utf-8").count("<svg") == 1
