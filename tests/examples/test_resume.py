"""Runs of examples/translate.py that are stopped, killed or spoilt, and go on to the bit.

pytest -m slow tests/examples/test_resume.py      kills a training 100 times
"""

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.datasets.everyday import generate

PROGRAM = Path(__file__).parents[2] / "examples" / "translate.py"
# Steps of a few milliseconds, and checkpoints so often that a kill may well fall into a save.
TINY = (
    *("--pairs", "300", "--valid", "10", "--test", "10", "--hidden", "16", "--dropout", "0.2"),
    *("--batch", "8", "--epochs", "4", "--warmup", "20", "--save-every", "5"),
)
EVERY = ("--save-every", "1")
# Weights that are kept for their mean, words that are dropped: all of that goes on, too.
MODELS = {
    "rnn": ("--model", "rnn", "--word-dropout", "0.1", "--average", "3"),
    "lstm": ("--model", "rnn", "--cell", "lstm", "--score", "dot"),
    "transformer": ("--model", "transformer", "--heads", "2", "--layers", "1"),
}


def start(folder: Path, *arguments: str, **env: str) -> Any:
    settings = {"PYTHONPATH": str(Path(ta.__file__).parents[1]), "TINYATTN_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "train", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **settings, **env},
    )


def finish(process: Any) -> tuple[int, str]:
    with process.stdout, process.stderr:
        _, error = process.communicate(timeout=300)
    return process.returncode, error.decode()


def finished(folder: Path, *arguments: str, **env: str) -> None:
    code, error = finish(start(folder, *arguments, **env))
    assert code == 0, error


def stop(process: Any, sign: int, after: int, wait: float = 0.0) -> tuple[int, str]:
    """Send the signal once that many steps are shown, and some seconds later."""
    seen = b""
    while not ((shown := re.findall(rb" (\d+)/\d+ \[", seen)) and int(shown[-1]) >= after):
        byte = process.stderr.read(1)
        assert byte, seen
        seen += byte
    time.sleep(wait)
    process.send_signal(sign)
    return finish(process)


def result(folder: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "last.safetensors", "curve.csv")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with runs that were never stopped, one a model, made when asked for."""
    folder = tmp_path_factory.mktemp("whole")

    def of(name: str) -> dict[str, bytes]:
        if not (folder / name).exists():
            finished(folder, *TINY, *MODELS[name], "--out", name)
        return result(folder / name)

    return of


@pytest.mark.parametrize("name", MODELS)
def test_a_run_stopped_by_ctrl_c_goes_on_to_the_bit(tmp_path: Path, whole: Any, name: str) -> None:
    code, error = stop(start(tmp_path, *TINY, *MODELS[name], "--out", name), signal.SIGINT, 30)
    assert code == 130
    assert error.endswith(f"go on with: {PROGRAM} train --resume {name}\n")
    code, _ = stop(start(tmp_path, "--resume", name), signal.SIGINT, 60)
    assert code == 130
    finished(tmp_path, *TINY, *MODELS[name], "--resume", "--out", name, TINYATTN_NUM_THREADS="2")
    assert result(tmp_path / name) == whole(name)
    left = {path.name for path in (tmp_path / name).iterdir()}
    assert not left & {"checkpoint.safetensors", "best.safetensors"}


def killed_often(folder: Path, kills: int, epochs: int) -> dict[str, bytes]:
    """The result of a run that is killed again and again, some steps after it goes on; each time
    its checkpoint is found whole, and never older than before."""
    draw = random.Random(kills)
    path = folder / "rnn" / "checkpoint.safetensors"
    process = start(folder, *TINY, "--epochs", str(epochs), "--out", "rnn")
    steps = [0]
    for _ in range(kills):
        wait = draw.uniform(0.0, 0.02)  # about a step, of which a good part goes into a checkpoint
        code, error = stop(process, signal.SIGKILL, steps[-1] + draw.randint(6, 9), wait)
        assert code == -signal.SIGKILL, error
        steps.append(ta.load_checkpoint(path)["progress"]["step"])
        process = start(folder, "--resume", "rnn")
    code, error = finish(process)
    assert code == 0, error
    assert all(later > earlier for earlier, later in itertools.pairwise(steps))
    return result(folder / "rnn")


def test_a_run_that_is_killed_goes_on_to_the_bit(tmp_path: Path) -> None:
    finished(tmp_path, *TINY, "--epochs", "6", "--out", "rnn")
    (tmp_path / "again").mkdir()
    assert killed_often(tmp_path / "again", 4, epochs=6) == result(tmp_path / "rnn")
    assert not list((tmp_path / "again" / "rnn").glob(".*.tmp"))


@pytest.mark.slow
def test_a_run_that_is_killed_100_times_goes_on_to_the_bit(tmp_path: Path) -> None:
    finished(tmp_path, *TINY, "--epochs", "100", "--out", "rnn")
    (tmp_path / "again").mkdir()
    assert killed_often(tmp_path / "again", 100, epochs=100) == result(tmp_path / "rnn")


# --- a loss that runs away ------------------------------------------------------------------------


def test_a_nan_says_step_sentences_and_operation_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    code, error = finish(start(tmp_path, *TINY, *EVERY, "--lr", "1e38", "--out", "run"))
    assert code == 2
    assert "Traceback" not in error
    lines = [line.removeprefix("translate.py: ") for line in error.splitlines()]
    found = re.match(r"step (\d+) of 140: expected a finite loss and gradient, got loss", lines[-1])
    assert found is not None, error
    path = Path("run") / "checkpoint.safetensors"
    assert lines[-2] == f"the checkpoint before it is kept: {path}"
    saved = ta.load(tmp_path / path)
    assert saved["rest"]["progress"]["step"] == int(found[1]) - 1
    assert all(np.isfinite(weight.numpy()).all() for weight in saved["model"].values())
    assert any(re.match(r"anomaly mode: .*(forward|backward)", line) for line in lines)
    assert any(re.search(r"examples/[\w/]+\.py:\d+: ", line) for line in lines)
    sources = {source for source, _ in generate(300, seed=0)}
    shown = [line.split("\t")[0].replace(" ", "") for line in lines if "\t" in line]
    assert len(shown) == 8
    assert sources.issuperset(shown)


# --- what can't be gone on with -------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on a file of its own, killed after some steps."""
    folder = tmp_path_factory.mktemp("stopped")
    lines = [f"{source}\t{target}\n" for source, target in generate(300, seed=0)]
    (folder / "pairs.txt").write_text("".join(lines), encoding="utf-8")
    stop(start(folder, *TINY, "--data", "pairs.txt", "--out", "run"), signal.SIGKILL, 9)
    return folder


def refused(folder: Path, *arguments: str) -> str:
    """The one line that says why; nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, error = finish(start(folder, *arguments))
    assert code == 2, error
    assert re.fullmatch(r"translate\.py: [^\n]+\n", error), error
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return error


def test_a_cut_altered_or_missing_checkpoint_is_named(stopped: Path) -> None:
    path = stopped / "run" / "checkpoint.safetensors"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1])
        assert f"{path}: expected a whole safetensors file" in refused(
            stopped, "--resume", str(path)
        )
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        says = refused(stopped, "--resume", "run")
        assert "run/checkpoint.safetensors: altered since it was written" in says
        ta.save({"x": ta.ones(2)}, path)
        says = refused(stopped, "--resume", "run")
        assert "run/checkpoint.safetensors: expected a checkpoint, got another" in says
        ta.save_checkpoint(path, ta.nn.Linear(1, 1), step=1)
        assert "expected 'arguments' in it, found none" in refused(stopped, "--resume", "run")
    finally:
        path.write_bytes(content)
    says = refused(stopped, "--resume", "gone")
    assert "gone: expected a checkpoint, found no file" in says
    says = refused(stopped, "--resume", "--out", "other")
    assert "other: expected a run that was stopped, found none with a checkpoint" in says


@pytest.mark.skipif(os.name == "nt", reason="a limit on the size of files is set by a POSIX shell")
def test_a_disk_that_is_full_leaves_the_old_checkpoint(stopped: Path) -> None:
    before = (stopped / "run" / "checkpoint.safetensors").read_bytes()
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", sys.executable, str(PROGRAM)]
    done = subprocess.run(
        [*limited, "train", "--resume", "run"],
        cwd=stopped,
        env={**os.environ, "PYTHONPATH": str(Path(ta.__file__).parents[1])},
        capture_output=True,
    )
    last = done.stderr.decode().splitlines()[-1]
    expected = r"translate\.py: run/(checkpoint|best)\.safetensors: expected to read or write it: "
    assert re.match(expected, last)
    assert done.returncode == 2
    assert (stopped / "run" / "checkpoint.safetensors").read_bytes() == before
    assert not list((stopped / "run").glob(".*.tmp"))


def test_other_options_or_other_pairs_are_refused(stopped: Path) -> None:
    says = refused(stopped, "--resume", "run", "--lr", "0.5")
    assert "--lr: expected 0.003, as in run/checkpoint.safetensors, got 0.5" in says
    lines = (stopped / "pairs.txt").read_text(encoding="utf-8").splitlines()
    (stopped / "less.txt").write_text("\n".join(lines[1:]), encoding="utf-8")
    says = refused(stopped, "--resume", "run", "--data", "less.txt")
    assert "run/checkpoint.safetensors: expected the pairs it was trained on, got others" in says


def test_the_pairs_may_have_moved(stopped: Path, tmp_path: Path) -> None:
    for name in ("pairs.txt", "run/checkpoint.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((stopped / name).read_bytes())
    (tmp_path / "pairs.txt").rename(tmp_path / "moved.txt")
    finished(tmp_path, "--resume", "run", "--data", "moved.txt")


def test_a_checkpoint_translates(stopped: Path) -> None:
    for name in ("checkpoint.safetensors", "best.safetensors"):
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "translate", "--model", f"run/{name}", "他看书。"],
            cwd=stopped,
            env={**os.environ, "PYTHONPATH": str(Path(ta.__file__).parents[1])},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
