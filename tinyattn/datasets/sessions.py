"""What customers looked at, one session after another, with the cause of each step. Look first at
`generate`; `movielens` reads real ratings.

**What it is.** A shop has 30 series of 12 items. A customer follows three series at once: each step
goes on with one of them, to one of the two items that come next in it. So an item has one planted
cause: the last item of the same series, which may lie many steps back. **What is decidable.** Not
which series goes on, so six items are equally likely: a model that knows all causes always has the
next item among its ten best. **Origin and licence.** Computed by this file; tinyattn's licence.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinyattn.datasets._arguments import whole
from tinyattn.text import DataError
from tinyattn.text.data import lines_of

SERIES, LENGTH = 30, 12
ITEMS = SERIES * LENGTH


class Session(NamedTuple):
    """Items in order, and for each the place of its cause; -1 where it has none."""

    items: list[int]
    causes: list[int]


def generate(count: int, seed: int, steps: int = 20) -> list[Session]:
    """`count` sessions of `steps` items, the same for the same seed.

    >>> from tinyattn.datasets import sessions
    >>> sessions.generate(1, seed=0, steps=6)[0]
    Session(items=[164, 109, 149, 288, 234, 259], causes=[-1, 0, -1, 2, -1, 1])
    """
    count, steps = whole("count", count), whole("steps", steps, least=1)
    rng = np.random.default_rng(whole("seed", seed))
    # The items of a series in an order of its own: numbers say nothing about what follows.
    order = np.random.default_rng(12345).permutation(ITEMS).reshape(SERIES, LENGTH)
    found = []
    for _ in range(count):
        items: list[int] = []
        causes: list[int] = []
        place: dict[int, tuple[int, int]] = {}  # of a series: position in it, step of its last item
        followed = rng.choice(SERIES, 3, replace=False)
        for step in range(steps):
            series = int(rng.choice(followed))
            position, cause = place.get(series, (int(rng.integers(-1, 2)), -1))
            position = (position + int(rng.integers(1, 3))) % LENGTH
            items.append(int(order[series, position]))
            causes.append(cause)
            place[series] = position, step
        found.append(Session(items, causes))
    return found


def movielens(path: Path, steps: int = 20) -> tuple[list[Session], int]:
    """The sessions of a MovieLens file `u.data`, and the number of films: a line a rating, with
    user, film, rating and time between tabs. Each user's films stand in the order of time; longer
    sessions are cut into parts of `steps`. No causes are known. Raises DataError for a line that
    is not so, with its place."""
    steps = whole("steps", steps, least=1)
    ratings: dict[int, list[tuple[int, int]]] = {}
    numbers: dict[int, int] = {}
    with open(path, "rb") as file:
        for place, line in lines_of(file, str(path)):
            try:
                user, film, _, time = map(int, line.split("\t"))
            except ValueError:
                raise DataError(
                    f"{place}: expected user, film, rating and time, four whole numbers between "
                    f"tabs, got {line[:40]!r}"
                ) from None
            ratings.setdefault(user, []).append((time, numbers.setdefault(film, len(numbers))))
    found = []
    for seen in ratings.values():
        films = [film for _, film in sorted(seen)]
        for begin in range(0, len(films), steps):
            part = films[begin : begin + steps]
            if len(part) > 1:
                found.append(Session(part, [-1] * len(part)))
    if not found:
        raise DataError(f"{path}: expected ratings, got no user with two of them")
    return found, len(numbers)
