"""The translator in several processes: it learns what one process learns, goes on with another
number of processes, and ends as one program does."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translator.data import prepare
from translator.model import drop_words, loss_of
from translator.options import train_options
from translator.ranks import loss_of_part, part_of

import tinyattn as ta
from tests.parallel.launch import MPIEXEC, environment, needs_mpi, ranks, said
from tinyattn.text import BOS, PAD, UNK, batches

from .program import PROGRAM

TINY = (
    *("--pairs", "300", "--valid", "10", "--test", "10", "--hidden", "16", "--batch", "8"),
    *("--epochs", "2", "--warmup", "20", "--word-dropout", "0.1"),
)


def train(count: int, folder: Path, *arguments: str, **env: str) -> Any:
    return ranks(count, str(PROGRAM), "train", *arguments, folder=folder, **env)


def weights(path: Path) -> dict[str, Any]:
    return {name: x.numpy() for name, x in ta.load(path)["model"].items()}


def curve(folder: Path) -> Any:
    with open(folder / "curve.csv", encoding="utf-8") as file:
        return np.array([[float(x) for x in row.values()] for row in csv.DictReader(file)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any) -> Path:
    """A folder with the run of one process, `one`, and that of two, `two`."""
    folder: Path = tmp_path_factory.mktemp("runs")
    for count, name in ((1, "one"), (2, "two")):
        done = train(count, folder, *TINY, "--out", name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("trained in") == 1
        assert done.stderr.count("\r") < 400
    return folder


@needs_mpi
def test_two_processes_learn_what_one_learns(runs: Path) -> None:
    one, two = (weights(runs / name / "last.safetensors") for name in ("one", "two"))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(curve(runs / "two"), curve(runs / "one"), rtol=1e-4)


def killed(count: int, folder: Path, *arguments: str) -> None:
    """Train until there is a checkpoint, and kill all processes."""
    process = subprocess.Popen(
        [str(MPIEXEC), "-n", str(count), sys.executable, str(PROGRAM), "train", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process.stdout, process.stderr:  # type: ignore[union-attr]
        until = time.monotonic() + 60
        while not (folder / "run" / "checkpoint.safetensors").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)


@needs_mpi
def test_a_run_goes_on_with_another_number_of_processes(runs: Path, tmp_path: Path) -> None:
    killed(2, tmp_path, *TINY, "--save-every", "5", "--out", "run")
    done = train(3, tmp_path, "--resume", "run")
    assert done.returncode == 0, done.stderr
    one, three = (weights(run / "last.safetensors") for run in (runs / "one", tmp_path / "run"))
    for name in one:
        np.testing.assert_allclose(three[name], one[name], rtol=1e-3, atol=1e-4)


@needs_mpi
def test_with_as_many_processes_and_dropout_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    given = (*TINY, "--dropout", "0.2", "--save-every", "5")
    whole = train(2, tmp_path, *given, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    killed(2, tmp_path, *given, "--out", "run")
    done = train(2, tmp_path, "--resume", "run")
    assert done.returncode == 0, done.stderr
    first, resumed = (weights(tmp_path / name / "last.safetensors") for name in ("whole", "run"))
    for name in first:
        assert (resumed[name] == first[name]).all(), name


@needs_mpi
def test_ctrl_c_ends_all_at_one_step_with_a_checkpoint(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [str(MPIEXEC), "-n", "2", sys.executable, str(PROGRAM), "train", *TINY, "--epochs", "200",
         "--out", "run"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with process.stdout, process.stderr:  # type: ignore[union-attr]
        until = time.monotonic() + 60
        while not (tmp_path / "run" / "best.safetensors").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode().count("translate.py: stopped; the best model so far") == 1
    assert ta.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")["progress"]["step"] > 0


@needs_mpi
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "--data", "nowhere.txt"), "nowhere.txt: expected a text file"),
        (("train", "--lr", "-1"), "--lr: expected"),
        (("evaluate",), "mpiexec: expected the command train, got evaluate"),
    ],
)
def test_wrong_input_is_one_line_for_all(arguments: Any, says: str, tmp_path: Path) -> None:
    done = ranks(2, str(PROGRAM), *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert said(done).count("\n") == 1, done.stderr
    assert says in said(done)


@needs_mpi
def test_a_loss_that_is_not_finite_ends_all_with_one_message(tmp_path: Path) -> None:
    done = train(2, tmp_path, *TINY, "--lr", "1e38", "--out", "run", "--save-every", "1")
    assert done.returncode == 2
    assert done.stderr.count("expected a finite loss and gradient") == 1, done.stderr
    assert done.stderr.count("anomaly mode: ") == 1
    assert ta.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")["progress"]["step"] >= 1


def test_the_loss_of_a_part_is_that_of_a_batch_whose_words_are_dropped() -> None:
    args = train_options(*TINY)
    args.word_dropout = 1.0
    model, data = prepare(args)
    batch = next(batches(data.training, 8))
    hidden = drop_words(batch, 1.0)
    assert set(hidden.source.ravel()) <= {UNK, PAD}
    assert set(hidden.target_in.ravel()) <= {UNK, BOS, PAD}
    assert hidden.target_out is batch.target_out
    expected = loss_of(model, hidden).item()
    assert loss_of_part(model, batch, args, 1).item() == expected != loss_of(model, batch).item()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_parts_make_up_the_batch(count: int) -> None:
    pairs = [([4] * (i % 5 + 1), [5] * (i % 3)) for i in range(7)]
    (batch,) = batches(pairs, 8)
    parts = [part_of(batch, rank, count) for rank in range(count)]
    tokens = (batch.target_out != PAD).sum()
    used = [part for part, weight in parts if weight]
    assert sorted(np.concatenate([part.index for part in used])) == list(range(7))
    means = [(part.target_out != PAD).sum() for part, _ in parts]
    shares = [weight / count for _, weight in parts]
    assert np.isclose(sum(shares), 1)
    for (part, _), share, mean in zip(parts, shares, means, strict=True):
        assert share == 0 or np.isclose(share, mean / tokens)
        assert part.source.shape[1] == part.lengths.max() == part.lengths[0]
        assert part.target_in.shape == part.target_out.shape
        assert (part.target_out != PAD).any(0).all()
