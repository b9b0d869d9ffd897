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
from translator.ranks import loss_of_part, rows_of, share_of_tokens

import tinyattn as ta
from tests.parallel.launch import MPIEXEC, ROOT, environment, needs_mpi, ranks, said
from tinyattn.text import BOS, PAD, UNK, batches

from .program import PROGRAM

TINY = (
    *("--pairs", "300", "--valid", "10", "--test", "10", "--hidden", "16", "--batch", "8"),
    *("--epochs", "2", "--warmup", "20", "--word-dropout", "0.1", "--dropout", "0.3"),
    *("--layers", "2"),
)


def train(count: int, folder: Path, *arguments: str, **env: str) -> Any:
    return ranks(count, str(PROGRAM), "train", *arguments, folder=folder, **env)


def weights(path: Path) -> dict[str, Any]:
    """Those of a model, but for the keys' bias: a softmax does not depend on it, so its gradient is
    nothing but rounding, of which Adam makes steps of full size."""
    found = {name: x.numpy() for name, x in ta.load(path)["model"].items()}
    for name, x in found.items():
        if name.endswith("in_proj_bias"):
            found[name] = np.delete(x, np.arange(len(x) // 3, 2 * len(x) // 3))
    return found


def curve(folder: Path) -> Any:
    with open(folder / "curve.csv", encoding="utf-8") as file:
        return np.array([[float(x) for x in row.values()] for row in csv.DictReader(file)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any) -> Path:
    """A folder with the run of one process, `one`, and that of two, `two`; `one-t` and `two-t` are
    those of a Transformer."""
    folder: Path = tmp_path_factory.mktemp("runs")
    small = "--model", "transformer", "--heads", "2", "--feed-forward", "24", "--pairs", "100"
    for kind, more in (("", ()), ("-t", small)):
        for count, name in ((1, "one"), (2, "two")):
            done = train(count, folder, *TINY, *more, "--out", name + kind)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("trained in") == 1
            assert done.stderr.count("\r") < 400
    return folder


@needs_mpi
@pytest.mark.parametrize("kind", ["", "-t"])
def test_two_processes_learn_what_one_learns(runs: Path, kind: str) -> None:
    one, two = (weights(runs / (name + kind) / "last.safetensors") for name in ("one", "two"))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(curve(runs / f"two{kind}"), curve(runs / f"one{kind}"), rtol=1e-4)


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
def test_with_as_many_processes_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    given = (*TINY, "--save-every", "5")
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
    model.eval()
    batch = next(batches(data.training, 8))
    hidden = drop_words(batch, 1.0)
    assert set(hidden.source.ravel()) <= {UNK, PAD}
    assert set(hidden.target_in.ravel()) <= {UNK, BOS, PAD}
    assert hidden.target_out is batch.target_out
    expected = loss_of(model, hidden).item()
    assert loss_of_part(model, batch, args).item() == expected != loss_of(model, batch).item()


EXACT = """
import sys
from itertools import islice
import numpy as np
import tinyattn as ta
from tinyattn.text import batches
from translator.data import prepare
from translator.options import train_options
from translator.ranks import loss_of_part

found = []
for options in sys.argv[2:]:
    args = train_options(*options.split())
    model, data = prepare(args)
    shared = ta.parallel.DistributedDataParallel(model.double())
    optimizer = ta.optim.SGD(model.parameters(), lr=0.1)
    ta.manual_seed(1)
    for size in (7, 2):
        for batch in islice(batches(data.training, size, 0), 3):
            optimizer.zero_grad()
            loss_of_part(model, batch, args).backward()
            ta.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    found += [x.numpy() for x in model.state_dict().values()]
if ta.parallel.get_rank() == 0:
    np.savez(f"{sys.argv[1]}-{ta.parallel.get_world_size()}.npz", *found)
"""
KINDS = (
    "--query before",
    "--query before --cell lstm --score dot",
    "--score general --no-bidirectional",
    "--model transformer --heads 2 --feed-forward 24",
)


@needs_mpi
def test_every_kind_of_model_learns_with_dropout_what_one_process_learns(tmp_path: Path) -> None:
    (tmp_path / "exact.py").write_text(EXACT)
    path = f"{ROOT}:{PROGRAM.parent}"
    for count in (1, 2, 3):
        options = [" ".join((*TINY, kind)) for kind in KINDS]
        done = ranks(count, "exact.py", "out", *options, folder=tmp_path, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
    one, two, three = (np.load(tmp_path / f"out-{count}.npz") for count in (1, 2, 3))
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(three[name], one[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_parts_make_up_the_batch(count: int) -> None:
    pairs = [([4] * (i % 5 + 1), [5] * (i % 3)) for i in range(7)]
    (batch,) = batches(pairs, 8)
    parts = [rows_of(batch, slice(rank, 7, count)) for rank in range(count)]
    assert sorted(np.concatenate([part.index for part in parts])) == list(range(7))
    assert np.isclose(sum(share_of_tokens(part, batch) for part in parts), 1)
    for rank, part in enumerate(parts):
        assert (part.lengths == batch.lengths[rank::count]).all()
        assert (part.source == batch.source[rank::count]).all()  # padded as the batch is
        assert (part.target_in == batch.target_in[rank::count]).all()
