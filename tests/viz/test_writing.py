"""What is drawn is written to a file as a whole: until then the old file stands there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import viz
from tinyattn.viz import Trace


def trace() -> Trace:
    return Trace("看书", "read", ["看"], ["read"], attention={"cross": np.ones((1, 1, 1, 1))})


def chart(path: Path) -> None:
    viz.attention_figure([[1.0]], ["看"], ["read"]).save(path)


SAVERS: dict[str, Callable[[Path], None]] = {
    "page.html": lambda path: viz.attention_page([trace()]).save(path),
    "trace.json": lambda path: trace().save(path),
    "trace.npz": lambda path: trace().save(path),
    "graph.svg": lambda path: viz.graph(ta.ones(2, requires_grad=True) * 2).save(path),
    "chart.svg": chart,
    "chart.png": chart,
    "chart.pdf": lambda path: viz.attention_figure([[1.0]], ["x"], ["y"]).savefig(path),
}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", SAVERS)
def test_the_old_file_survives_what_interrupts_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: BaseException, step: str
) -> None:
    def fail(*_: object) -> None:
        raise reason

    path = tmp_path / name
    SAVERS[name](path)
    old = path.read_bytes()
    path.write_bytes(old + b" and more")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(reason)) as error:
        SAVERS[name](path)
    if isinstance(error.value, OSError):
        assert error.value.filename == str(path)
    assert path.read_bytes() == old + b" and more"
    assert os.listdir(tmp_path) == [name]


def test_the_name_of_a_figure_is_completed_as_matplotlib_does(tmp_path: Path) -> None:
    figure = viz.attention_figure([[1.0]], ["x"], ["y"])
    for name, options in (("plain", {}), ("a.b.PNG", {}), ("given", {"format": "svg"})):
        figure.savefig(tmp_path / name, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"plain.png", "a.b.PNG", "given"}
    for name in ("plain.png", "a.b.PNG"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "given").read_bytes()
    with pytest.raises(ValueError, match="supported"):
        figure.savefig(tmp_path / "a.b")
