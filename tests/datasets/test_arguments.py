"""Wrong arguments of the data sets are named, with what was expected and what came."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyattn.datasets import canvas, everyday, morse, reviews, sessions, stories

DRAWN = {"canvas": canvas, "morse": morse, "sessions": sessions, "stories": stories}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    ("count", "seed", "error", "says"),
    [
        (-1, 0, ValueError, "count: expected a whole number from 0, got -1"),
        (1.5, 0, TypeError, "count: expected a whole number, got 1.5"),
        (1, -1, ValueError, "seed: expected a whole number from 0, got -1"),
        (1, "a", TypeError, "seed: expected a whole number, got 'a'"),
    ],
)
def test_a_number_and_a_seed_are_whole(
    name: str, count: int, seed: int, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(says)}$"):
        DRAWN[name].generate(count, seed)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: canvas.patches([], 0), "stride: expected a whole number from 1, got 0"),
        (lambda: canvas.on_digit((0, 0), -1), "stride: expected a whole number from 1, got -1"),
        (lambda: sessions.generate(1, 0, steps=0), "steps: expected a whole number from 1, got 0"),
        (
            lambda: sessions.movielens(Path("u.data"), steps=0),
            "steps: expected a whole number from 1, got 0",
        ),
        (
            lambda: morse.generate(1, 0, noise=(0.5, 0.1)),
            "noise: expected (least, most) with 0 <= least <= most, got (0.5, 0.1)",
        ),
        (
            lambda: morse.generate(1, 0, noise=(-0.1, 0.1)),
            "noise: expected (least, most) with 0 <= least <= most, got (-0.1, 0.1)",
        ),
        (
            lambda: morse.generate(1, 0, noise=(0.0, np.inf)),
            "noise: expected (least, most) with 0 <= least <= most, got (0.0, inf)",
        ),
        (
            lambda: morse.frames(np.zeros(80, np.float32)),
            "sounds: expected the shape (B, samples), got (80,)",
        ),
    ],
)
def test_other_arguments_are_named(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        call()


def test_a_seed_of_reviews_and_a_number_of_sentences_are_whole(tmp_path: Path) -> None:
    for name in ("neg.txt", "pos.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^seed: expected a whole number from 0, got -1$"):
        reviews.load(-1, tmp_path)
    with pytest.raises(TypeError, match=r"^n: expected a whole number, got 2\.0$"):
        everyday.generate(2.0, 0)  # type: ignore[arg-type]


def test_least_values_are_taken() -> None:
    assert len(sessions.generate(np.int64(1), 0, steps=1)[0].items) == 1
    assert morse.generate(0, 0, noise=(0.0, 0.0)) == stories.generate(0, 0) == []
    assert canvas.on_digit((0, 0), 1).shape == (17 * 17,)
