"""A training run as a program: what it prints and writes, and that it is the same every time."""

import itertools
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from translator.data import prepare
from translator.evaluation import perplexity, shorten
from translator.files import load_model
from translator.options import train_options

import tinyattn as ta

from .program import LEARN, PROGRAM, SMALL, TOY, contents, environment, report_of, run


def test_files_of_a_run(toy: Any) -> None:
    folder = toy.folder / "toy"
    names = {"model.safetensors", "last.safetensors", "curve.csv", "curve.png", "attention.png"}
    assert names <= {path.name for path in folder.iterdir()}
    assert "checkpoint.safetensors" not in {path.name for path in folder.iterdir()}
    for picture in ("curve.png", "attention.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    header, *rows = (folder / "curve.csv").read_text().splitlines()
    assert header == "step,loss,perplexity"
    steps, losses, perplexities = np.array([row.split(",") for row in rows], float).T
    assert (np.diff(steps) > 0).all()
    assert losses[-1] < losses[0] / 5
    assert perplexities[-1] < perplexities[0] / 2


def test_the_best_weights_are_saved_and_the_last_kept(tmp_path: Path) -> None:
    """Targets that can only be learnt by heart: validation is at its best long before the end."""
    draw = Random(0)
    lines = [f"a {i} b\t{' '.join(draw.choices('uvwxyz', k=4))}\n" for i in range(60)]
    (tmp_path / "noise.txt").write_text("".join(lines), encoding="utf-8")
    given = ("--data", "noise.txt", "--valid", "10", "--test", "10", "--out", "run")
    learn = ("--hidden", "128", "--lr", "1e-2", "--dropout", "0", "--smoothing", "0")
    done = run(tmp_path, *given, *learn, "--epochs", "40", "--batch", "8", "--warmup", "20")
    _, *rows = (tmp_path / "run" / "curve.csv").read_text().splitlines()
    steps, _, perplexities = np.array([row.split(",") for row in rows], float).T
    best, last = perplexities.min(), perplexities[-1]
    assert last > 2 * best
    step = int(steps[perplexities.argmin()])
    said = f"the best weights are those of step {step} of 200 (validation perplexity {best:.3f})"
    assert said in done.stdout, done.stderr
    found = prepare(train_options("--data", str(tmp_path / "noise.txt"), *given[2:]))[1]
    for name, value in (("model", best), ("last", last)):
        model = load_model(str(tmp_path / "run" / f"{name}.safetensors")).model
        assert perplexity(model, found.validation) == value


def test_progress_bar_has_loss_and_speed(toy: Any) -> None:
    assert re.search(r"loss \d+\.\d+, valid ppl \d+\.\d+, \d+ tokens/s", toy.stderr)


def test_the_same_for_any_number_of_threads_and_a_run_is_never_overwritten(builtin: Any) -> None:
    before = contents(builtin.folder)
    done = run(builtin.folder, *SMALL, TINYATTN_NUM_THREADS="2")
    assert report_of(done.stdout) == report_of(builtin.stdout)
    assert contents(builtin.folder).items() >= before.items()
    first, second = (builtin.folder / "runs" / name for name in ("translate", "translate-2"))
    assert (first / "curve.csv").read_bytes() == (second / "curve.csv").read_bytes()
    saved, again = (ta.load(folder / "model.safetensors")["model"] for folder in (first, second))
    assert all((saved[name].numpy() == again[name].numpy()).all() for name in saved)


def test_another_seed_is_another_model(builtin: Any) -> None:
    done = run(builtin.folder, *SMALL, "--seed", "1", "--out", "seed1")
    assert report_of(done.stdout) != report_of(builtin.stdout)


@pytest.mark.parametrize(
    "options",
    [
        "--score dot",
        "--score uniform",
        "--score cosine --cell lstm --layers 2 --bidirectional --dropout 0.1",
        "--model transformer --heads 2 --layers 1 --feed-forward 24",
    ],
)
def test_other_models(tmp_path: Path, options: str) -> None:
    done = run(tmp_path, "train", *SMALL, *options.split())
    assert re.search(r"^exact match: ", done.stdout, re.M), done.stderr
    source, meant = re.findall(r"^  (\S+)  ->  (.+?)(?:   \(meant: .*)?$", done.stdout, re.M)[0]
    translation = run(tmp_path, "translate", source).stdout.removesuffix("\n")
    assert shorten(translation) == meant


def test_western_text_is_cut_into_words_on_both_sides(tmp_path: Path) -> None:
    numbers = [("un", "ein"), ("deux", "zwei"), ("trois", "drei"), ("quatre", "vier")]
    lines = [
        f"L'été, {' '.join(f for f, _ in row)}.\tIm Sommer: {' '.join(g for _, g in row)}.\n"
        for row in itertools.product(numbers, repeat=3)
    ]
    (tmp_path / "fra-deu.txt").write_text("".join(lines), encoding="utf-8")
    options = ("--hidden", "8", "--epochs", "1", "--valid", "5", "--test", "5")
    done = run(tmp_path, "--data", "fra-deu.txt", *options)
    assert "vocabulary 11 x 12" in done.stdout, done.stderr
    assert "tok:13a" in done.stdout
    swapped = run(tmp_path, "--data", "fra-deu.txt", "--swap", *options)
    assert "vocabulary 12 x 11" in swapped.stdout


def test_many_unknown_words_are_counted(tmp_path: Path) -> None:
    rows = itertools.product(("one", "two", "three"), repeat=3)
    lines = [f"{' '.join(row)}\t{' '.join(row).upper()}\n" for row in rows]
    (tmp_path / "train.txt").write_text("".join(lines))
    (tmp_path / "valid.txt").write_text("one six one six\tONE SIX ONE TWO\n")
    options = ("--data", "train.txt", "--hidden", "8", "--epochs", "1", "--test", "5")
    done = run(tmp_path, *options, "--valid-data", "valid.txt")
    said = (
        "unknown in validation: 50.0 % of the source tokens, 25.0 % of the target's; "
        "--tokens bpe reads and writes rare words in pieces\n"
    )
    assert said in done.stdout, done.stdout + done.stderr
    (tmp_path / "valid.txt").write_text("one one one one\tONE ONE ONE TWO\n")
    assert (
        "unknown in validation" not in run(tmp_path, *options, "--valid-data", "valid.txt").stdout
    )


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_training_whose_output_nobody_reads_still_saves(tmp_path: Path, lines: int) -> None:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *SMALL],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    saved = {path.name for path in (tmp_path / "runs" / "translate").iterdir()}
    assert saved >= {"model.safetensors", "curve.csv", "curve.png"}


def test_a_loss_that_runs_away_stops_training_at_its_step(toy: Any) -> None:
    before = contents(toy.folder)
    done = run(toy.folder, *TOY, *LEARN, "--lr", "1e38")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert re.match(r"translate\.py: step \d+ of \d+: expected a finite loss and gradient", last)
    assert "Traceback" not in done.stderr
    assert contents(toy.folder) == before
