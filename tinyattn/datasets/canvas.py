"""Pictures of 24 x 24 points with two to four handwritten digits, and where each digit is. Look
first at `generate`.

**What it is.** The digits are the 1,797 real ones of scikit-learn (8 x 8 points, Alpaydin and
Kaynak 1998), which come with that package; no digit of a training picture is in a test picture.
They are put on an empty canvas at random and do not overlap. **What is decidable.** The order from
the upper left to the lower right, by x + y: two digits differ by 3 points or more. Of two digits
that follow each other, whether the first is left of the second or above it: the distance across
and the distance down differ by 3 points or more. **Origin and licence.** The digits are read from
the reader's own scikit-learn (BSD licence); none is shipped with tinyattn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinyattn.datasets._arguments import whole
from tinyattn.text import DataError

SIZE, DIGIT = 24, 8  # points on a side: of the canvas, of a digit
MARGIN = 3  # points by which an order has to be clear
NAMES = "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"


class Canvas(NamedTuple):
    """A picture, and its digits in order from the upper left to the lower right."""

    points: NDArray[np.float32]  # (24, 24), from 0 to 1
    digits: list[int]
    corners: list[tuple[int, int]]  # of each digit the upper left one: (row, column)


def relation(first: tuple[int, int], second: tuple[int, int]) -> str:
    """How a digit lies to the next one in order, by their corners: "left of" or "above".

    >>> relation((0, 0), (2, 12))
    'left of'
    """
    down, across = second[0] - first[0], second[1] - first[1]
    return "left of" if abs(across) > abs(down) else "above"


def caption(canvas: Canvas) -> str:
    """The sentence for a canvas, such as "a seven left of a three above an eight"."""
    words = []
    for place, digit in enumerate(canvas.digits):
        if place:
            words.append(relation(canvas.corners[place - 1], canvas.corners[place]))
        words += ["an" if digit == 8 else "a", NAMES[digit]]
    return " ".join(words)


def generate(count: int, seed: int, test: bool = False) -> list[Canvas]:
    """`count` canvases, the same for the same seed; with `test`, of digits that no other canvas
    has. Raises DataError where scikit-learn is not installed."""
    count, rng = whole("count", count), np.random.default_rng(whole("seed", seed))
    images, labels = _digits(test)
    canvases = []
    for _ in range(count):
        corners = _corners(rng, int(rng.integers(2, 5)))
        chosen = rng.integers(0, len(images), len(corners))
        points = np.zeros((SIZE, SIZE), dtype=np.float32)
        for (row, column), i in zip(corners, chosen, strict=True):
            points[row : row + DIGIT, column : column + DIGIT] = images[i]
        canvases.append(Canvas(points, [int(labels[i]) for i in chosen], corners))
    return canvases


def patches(pictures: list[Canvas], stride: int) -> NDArray[np.float32]:
    """All pieces of 8 x 8 points, `stride` points from one to the next, row by row: (B, P, 64).
    Raises ValueError for a picture of another size than 24 x 24."""
    stride = whole("stride", stride, least=1)
    for picture in pictures:
        if picture.points.shape != (SIZE, SIZE):
            raise ValueError(
                f"pictures: expected {SIZE} x {SIZE} points, got {list(picture.points.shape)}"
            )
    points = np.stack([picture.points for picture in pictures])
    view = np.lib.stride_tricks.sliding_window_view(points, (DIGIT, DIGIT), axis=(1, 2))
    return view[:, ::stride, ::stride].reshape(len(points), -1, DIGIT * DIGIT)


def on_digit(corner: tuple[int, int], stride: int) -> NDArray[np.bool_]:
    """Which patches (P,) have their middle on the digit at this corner."""
    middles = np.arange(0, SIZE - DIGIT + 1, whole("stride", stride, least=1)) + DIGIT // 2
    down, across = ((middles >= begin) & (middles < begin + DIGIT) for begin in corner)
    return np.outer(down, across).ravel()


def _corners(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """The corners of `count` digits in order; drawn again until the order is clear."""
    while True:
        drawn = rng.integers(0, SIZE - DIGIT + 1, (256, count, 2))
        order = np.argsort(drawn.sum(2), axis=1)
        drawn = np.take_along_axis(drawn, order[:, :, None], axis=1)
        step = np.diff(drawn, axis=1)
        clear = (step.sum(2) >= MARGIN).all(1)
        clear &= (np.abs(np.abs(step[..., 0]) - np.abs(step[..., 1])) >= MARGIN).all(1)
        apart = np.abs(drawn[:, :, None] - drawn[:, None]).max(3) >= DIGIT
        clear &= (apart | np.eye(count, dtype=bool)).all((1, 2))
        if clear.any():
            return [(int(row), int(column)) for row, column in drawn[clear.argmax()]]


def _digits(test: bool) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (N, 8, 8) from 0 to 1 and their labels (N,): every fifth one is for tests."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError("scikit-learn is not installed: pip install scikit-learn") from None
    data = load_digits()
    keep = (np.arange(len(data.target)) % 5 == 0) == test
    return (data.images[keep] / 16).astype(np.float32), data.target[keep].astype(np.int64)
