"""Files that are no model, or one that does not fit."""

import errno
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from translator import files
from translator.files import write_config, write_curve
from translator.forming import write_forming
from translator.options import train_options

import tinyattn as ta
from tinyattn.viz import curve_figure

from .program import refused

Saved = dict[str, Any]


def option(name: str, value: Any) -> Callable[[Saved], Any]:
    return lambda saved: {**saved, "options": {**saved["options"], name: value}}


def without_option(saved: Saved) -> Saved:
    return {**saved, "options": {k: v for k, v in saved["options"].items() if k != "dropout"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (option("hidden", 16), "Error(s) in loading state_dict for Translator: size mismatch for"),
        (option("hidden", "32"), "expected hidden to be int, got '32'"),
        (option("score", "dots"), "expected score to be ('dot', 'scaled_dot', "),
        (option("model", "cnn"), "expected model to be ('rnn', 'transformer'), got 'cnn'"),
        (option("model", "transformer"), "expected 'heads' in it, found none"),
        (
            option("score", "dot"),
            "Error(s) in loading state_dict for Translator: Unexpected key(s) in state_dict",
        ),
        (option("source_tokens", None), "expected source_tokens to be ('char', "),
        (without_option, "expected 'dropout' in it, found none"),
        (lambda saved: saved["model"], "expected 'options' in it, found none"),
        (lambda saved: [saved], "expected a dict, got list"),
        (lambda saved: {**saved, "options": 3}, "expected options to be dict, got '3'"),
        (
            lambda saved: {**saved, "target": saved["target"][:-1]},
            "Error(s) in loading state_dict for Translator: size mismatch for",
        ),
        (lambda saved: {**saved, "target": [1]}, "tokens: expected strings, got int"),
        (
            lambda saved: {**saved, "model": {}},
            "Error(s) in loading state_dict for Translator: Missing key(s) in state_dict",
        ),
    ],
)
def test_a_model_that_does_not_fit(toy: Any, change: Callable[[Saved], Any], says: str) -> None:
    ta.save(change(ta.load(toy.folder / "toy" / "model.safetensors")), toy.folder / "changed")
    says = f"changed: expected a model that `train` saved: {says}"
    refused(toy.folder, "translate", "一", "--model", "changed", says=says)


def test_a_file_that_is_no_model(toy: Any) -> None:
    whole = (toy.folder / "toy" / "model.safetensors").read_bytes()
    (toy.folder / "half").write_bytes(whole[: len(whole) // 2])
    refused(toy.folder, "evaluate", "--model", "half", says="half: expected a model that `train`")
    for name in ("toy.txt", "toy/curve.png"):
        refused(toy.folder, "evaluate", "--model", name, says=f"{name}: expected a model that")
    refused(toy.folder, "evaluate", "--model", "gone", says="found no file")
    refused(toy.folder, "evaluate", "--model", ".", says="model.safetensors: expected a model")
    refused(toy.folder, "evaluate", says="runs/: expected a trained model, found none")


@pytest.mark.parametrize("values", [[math.inf], [math.inf, 5.0], [9.0, 2.0]])
def test_a_curve_is_drawn_whatever_its_perplexity(tmp_path: Path, values: list[float]) -> None:
    rows = [{"step": i, "loss": 1.0, "perplexity": value} for i, value in enumerate(values)]
    write_curve(rows, tmp_path)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == len(values) + 1


def test_curves_have_a_logarithmic_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = curve_figure([1, 2], {"loss": [0.1, 0.01], "perplexity": [100.0, 1.0]}, "step")
    monkeypatch.setattr(files, "curve_figure", lambda *_: drawn)
    rows = [{"step": step, "loss": 10.0**-step, "perplexity": 100.0 / step} for step in (1, 2)]
    write_curve(rows, tmp_path)
    assert [axes.get_yscale() for axes in drawn.axes] == ["log", "log"]


MOMENT = {
    "step": 1,
    "accuracy": None,
    "traces": [
        {
            "sentence": "看",
            "translation": "read",
            "source": ["看"],
            "target": ["read"],
            "attention": {"cross": [[[[1.0]]]]},
        }
    ],
}
WRITERS: dict[str, Callable[[Path], None]] = {
    "curve.csv": lambda folder: write_curve([{"step": 1, "loss": 1.0, "perplexity": 2.0}], folder),
    "config.toml": lambda folder: write_config(train_options(), folder),
    "forming.html": lambda folder: write_forming([MOMENT], folder),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_what_a_run_wrote_survives_what_interrupts_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise reason

    (tmp_path / name).write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(reason)):
        WRITERS[name](tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "old"}
    monkeypatch.undo()
    WRITERS[name](tmp_path)
    assert (tmp_path / name).read_text() != "old"
