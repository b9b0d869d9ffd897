"""examples/attention.py: it learns, its map shows where it looks, and the README quotes it."""

import re
import subprocess
import sys

import attention
import numpy as np
import pytest

import tinyattn as ta

from .program import PROGRAM, environment

README = (PROGRAM.parents[1] / "README.md").read_text(encoding="utf-8")
FILE = PROGRAM.parent / "attention.py"


@pytest.fixture(scope="module")
def output() -> str:
    done = subprocess.run(
        [sys.executable, str(FILE)],
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),  # UTF-8 comes in spite of it
        timeout=30,
        check=True,
    )
    return done.stdout.decode()


def test_it_learns_and_writes_a_word_backwards(output: str) -> None:
    losses = [float(loss) for loss in re.findall(r"loss (\d+\.\d+)", output)]
    assert len(losses) > 3
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.1 < losses[0]
    assert "\nbackward -> drawkcab\n" in output


def test_the_map_has_its_heaviest_weight_where_the_letter_was_read(output: str) -> None:
    header, *rows = output.split("\n\n")[-1].splitlines()
    assert header.split() == list("backward")
    assert [row[0] for row in rows] == list("drawkcab")
    columns = [i for i, letter in enumerate(header) if letter != " "]
    assert [row.index("█") for row in rows] == columns[::-1]
    assert all(row.count("█") == 1 for row in rows)


def test_other_words_are_read_from_the_end_too() -> None:
    ta.manual_seed(1)
    model = attention.train()
    words = ta.randint(0, 26, (500, attention.LENGTH))
    scores, weights = model(words)
    right = scores.argmax(-1).numpy() == words.numpy()[:, ::-1]
    assert right.mean() > 0.99
    heaviest = weights.detach().numpy().argmax(-1)
    assert (heaviest == np.arange(attention.LENGTH)[::-1]).mean() > 0.99


def test_it_is_small_and_plain() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    lines = ("optimizer.zero_grad()", "loss.backward()", "optimizer.step()")
    assert re.search(r"\s+".join(map(re.escape, lines)), text)


def test_the_readme_shows_its_heart_and_what_it_prints(output: str) -> None:
    forward, loop = re.findall(r"^```py\n(.*?)^```", README, re.M | re.S)
    assert "softmax" in forward
    assert "backward" in loop
    assert forward in FILE.read_text(encoding="utf-8")
    assert loop in FILE.read_text(encoding="utf-8")
    assert output[output.index("backward -> drawkcab") :] in README
