"""What happens between the steps: Ctrl-C and full disks."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translator.model import without_some
from translator.options import train_options
from translator.progress import Run
from translator.training import schedule, train

import tinyattn as ta
from tinyattn.text import BOS, EOS, PAD, UNK

from .program import LEARN, PROGRAM, TOY, contents, environment, run


@pytest.mark.parametrize("times", [1, 4])
def test_ctrl_c_saves_a_whole_model_and_says_where(toy: Any, times: int) -> None:
    out = f"stopped-{times}"
    before = contents(toy.folder)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *TOY, "--out", out, "--epochs", "100000", "--hidden", "32"],
        cwd=toy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        seen = b""
        while not re.search(rb" [1-9]\d*/\d+ \[", seen):
            seen += process.stderr.read(1)
            assert process.poll() is None, seen
        for _ in range(times):
            process.send_signal(signal.SIGINT)  # does nothing once the process has ended
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)  # apart enough to come one by one
        error = process.stderr.read().decode()
    assert process.wait(timeout=60) == 130, error
    step = ta.load_checkpoint(toy.folder / out / "checkpoint.safetensors")["progress"]["step"]
    assert error.endswith(
        f"translate.py: stopped; the best model so far, of step {step}, is in "
        f"{out}/model.safetensors; go on with: {PROGRAM} train --resume {out}\n"
    ), error
    assert "Traceback" not in error
    assert contents(toy.folder).items() >= before.items()
    assert {"curve.csv", "curve.png"} <= {p.name for p in (toy.folder / out).iterdir()}
    assert run(toy.folder, "translate", "一二三。", "--model", out).returncode == 0


@pytest.mark.parametrize("step", [1, 2, 3])
def test_ctrl_c_just_after_a_step_loses_nothing(
    toy: Any, step: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Between a step's own work and the next one; the curve has no row before step 3."""
    after_step = Run.after_step

    def interrupted(run: Run, *args: Any) -> None:
        after_step(run, *args)
        if run.progress.step == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr(Run, "after_step", interrupted)
    monkeypatch.setattr("translator.progress.ROWS", 2)
    out = f"between-{step}"
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit, match="130"):
            train(train_options(*TOY, "--out", out, "--epochs", "1", "--hidden", "8"))
    finally:
        signal.signal(signal.SIGINT, handler)
    saved = ta.load_checkpoint(f"{out}/checkpoint.safetensors")["progress"]
    assert saved["step"] == step
    assert f"of step {step}, is in {out}" in capfd.readouterr().err


def test_ctrl_c_after_the_last_step_ends_with_a_whole_model(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the files are written; only the report is left out."""
    monkeypatch.chdir(toy.folder)

    def interrupted(*args: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("translator.training.write_curve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(train_options(*TOY, "--out", "late", "--epochs", "1", "--hidden", "8"))
    files = {p.name for p in Path("late").iterdir()}
    assert {"model.safetensors", "last.safetensors", "config.toml"} <= files
    assert "checkpoint.safetensors" not in files


@pytest.mark.skipif(os.name == "nt", reason="a limit on the size of files is set by a POSIX shell")
def test_a_full_disk_is_a_line_and_leaves_nothing(toy: Any) -> None:
    before = contents(toy.folder)
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", sys.executable, str(PROGRAM)]
    done = subprocess.run(
        [*limited, *TOY, "--epochs", "1", "--out", "full"],
        cwd=toy.folder,
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    error = done.stderr.decode()
    assert done.returncode == 2, error
    last = error.splitlines()[-1]
    assert last.startswith("translate.py: full/best.safetensors: expected to read or write it: ")
    assert "Traceback" not in error
    assert contents(toy.folder) == before


# --- when a run ends, and with which weights ------------------------------------------------------


def test_a_run_stops_when_its_patience_is_at_an_end(toy: Any) -> None:
    """The rate spoils what was learnt; nothing gets better, and 2 validations later it ends."""
    given = ("--lr", "0.5", "--schedule", "inverse-sqrt", "--epochs", "30", "--patience", "2")
    done = run(toy.folder, *TOY, *LEARN, *given, "--out", "patient")
    assert done.returncode == 0, done.stderr
    rows = (toy.folder / "patient" / "curve.csv").read_text().splitlines()[1:]
    values = [float(row.split(",")[2]) for row in rows]
    assert values.index(min(values)) == len(values) - 3
    assert (
        f"stopped at step {rows[-1].split(',')[0]}: no better validation for 2 times" in done.stdout
    )
    assert f"those of step {rows[-3].split(',')[0]} of" in done.stdout
    page = (toy.folder / "patient" / "forming.html").read_text(encoding="utf-8")
    assert re.search(rf'"steps":\[1,.*,{rows[-1].split(",")[0]}\]', page)


def test_the_mean_of_the_last_weights_is_taken_if_it_is_better(toy: Any) -> None:
    """At a rate that is still high the mean of several weights is better than each of them."""
    given = ("--lr", "0.02", "--schedule", "inverse-sqrt", "--epochs", "6", "--average", "4")
    done = run(toy.folder, *TOY, *LEARN, *given, "--out", "mean")
    assert done.returncode == 0, done.stderr
    found = re.search(
        r"are the mean of the last 4 of \d+ \(validation perplexity (\S+)\)", done.stdout
    )
    assert found, done.stdout
    rows = (toy.folder / "mean" / "curve.csv").read_text().splitlines()[1:]
    assert float(found[1]) < min(float(row.split(",")[2]) for row in rows)
    assert not list((toy.folder / "mean").glob("weights-*"))


def test_a_mean_that_is_worse_is_left(toy: Any) -> None:
    """The last weights have been learning from nothing: their mean with earlier ones is worse."""
    done = run(toy.folder, *TOY, *LEARN, "--epochs", "8", "--average", "20", "--out", "worse")
    assert "the best weights are those of step" in done.stdout
    assert not list((toy.folder / "worse").glob("weights-*"))


def test_the_rate_falls_to_zero_or_with_the_square_root() -> None:
    shares = [schedule(step, 100, 10) for step in (1, 10, 55, 100)]
    assert shares == pytest.approx([0.1, 1.0, 46 / 90, 1 / 90])
    shares = [schedule(step, 100, 10, "inverse-sqrt") for step in (1, 10, 40, 90)]
    assert shares == pytest.approx([0.1, 1.0, 0.5, 1 / 3])


def test_word_dropout_hides_words_that_are_read_and_nothing_else() -> None:
    ta.manual_seed(0)
    ids = np.array([[BOS, 5, 6, 7] * 500, [EOS, PAD, UNK, 8] * 500])
    dropped = without_some(ids, 0.25)
    changed = dropped != ids
    assert (dropped[changed] == UNK).all()
    assert not changed[ids <= UNK].any()
    assert changed[ids > UNK].mean() == pytest.approx(0.25, abs=0.04)
