"""Canvases of digits: what the caption says is what lies on them."""

import hashlib

import numpy as np
import pytest

from tinyattn.datasets import canvas
from tinyattn.text import DataError

pytest.importorskip("sklearn")


@pytest.mark.parametrize("test", [False, True])
def test_a_canvas_is_its_digits_at_their_corners_and_nothing_else(test: bool) -> None:
    images, labels = canvas._digits(test)
    for picture in canvas.generate(50, seed=1, test=test):
        assert 2 <= len(picture.digits) == len(picture.corners) <= 4
        rest = picture.points.copy()
        for digit, (row, column) in zip(picture.digits, picture.corners, strict=True):
            found = rest[row : row + 8, column : column + 8]
            same = (images == found).all((1, 2))
            assert digit in labels[same]
            found[:] = 0  # a digit that overlapped another would be missed next
        assert not rest.any()


def test_orders_and_relations_are_clear() -> None:
    for picture in canvas.generate(200, seed=2):
        sums = [row + column for row, column in picture.corners]
        assert min(np.diff(sums)) >= 3
        for (row, column), (below, right) in zip(
            picture.corners, picture.corners[1:], strict=False
        ):
            assert abs(abs(below - row) - abs(right - column)) >= 3


def test_no_digit_of_training_is_in_a_test() -> None:
    training, test = (canvas._digits(part)[0].reshape(-1, 64) for part in (False, True))
    assert len(training) + len(test) == 1797
    assert not {row.tobytes() for row in training} & {row.tobytes() for row in test}


def test_the_caption_reads_from_the_upper_left_to_the_lower_right() -> None:
    picture = canvas.Canvas(np.zeros((24, 24)), [7, 8, 2], [(0, 0), (2, 12), (14, 10)])  # type: ignore[arg-type]
    assert canvas.caption(picture) == "a seven left of an eight above a two"


def test_the_same_seed_gives_the_same_canvases() -> None:
    one, two, other = (canvas.generate(2, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.points, two.points)
    assert (one.digits, one.corners) == (two.digits, two.corners)
    assert not np.array_equal(one.points, other.points)


@pytest.mark.parametrize(
    ("options", "digest"), [({}, "4bb0e89186a2e68b"), ({"test": True}, "f65cfc58db8b4ba4")]
)
def test_the_canvases_are_what_they_always_were(options: dict[str, bool], digest: str) -> None:
    """Results that were printed for them hold only while each of them stays."""
    found = canvas.generate(200, 0, **options)
    assert {picture.points.dtype for picture in found} == {np.dtype("f4")}
    told = repr([(picture.digits, picture.corners) for picture in found])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == digest


def test_every_fifth_digit_is_for_tests() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = canvas._digits(True)
    np.testing.assert_array_equal(images, (data.images[::5] / 16).astype("f4"))
    np.testing.assert_array_equal(labels, data.target[::5])
    images, labels = canvas._digits(False)
    np.testing.assert_array_equal(images[:5], (data.images[[1, 2, 3, 4, 6]] / 16).astype("f4"))
    np.testing.assert_array_equal(labels[:5], data.target[[1, 2, 3, 4, 6]])


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [((9, 1), (2, 12), "left of"), ((1, 9), (12, 4), "above"), ((5, 0), (8, 3), "above")],
)
def test_the_larger_distance_decides_how_two_digits_lie(
    first: tuple[int, int], second: tuple[int, int], told: str
) -> None:
    assert canvas.relation(first, second) == told


def test_a_patch_is_on_a_digit_if_its_middle_is() -> None:
    for stride in (1, 3):
        begins = range(0, 17, stride)
        found = canvas.on_digit((9, 2), stride).reshape(len(begins), len(begins))
        expected = [[9 <= r + 4 < 17 and 2 <= c + 4 < 10 for c in begins] for r in begins]
        np.testing.assert_array_equal(found, expected)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match="scikit-learn is not installed: pip install scikit-learn"):
        canvas.generate(1, 0)


def test_patches_are_the_pieces_and_know_their_digit() -> None:
    points = np.arange(24 * 24, dtype=np.float32).reshape(24, 24)
    picture = canvas.Canvas(points, [3], [(9, 2)])
    pieces = canvas.patches([picture, picture], stride=4)
    assert pieces.shape == (2, 25, 64)
    np.testing.assert_array_equal(pieces[1, 7].reshape(8, 8), points[4:12, 8:16])
    # Middles stand at 4, 8, 12, 16, 20: of these 12 and 16 are in rows 9 to 16, 4 and 8 in columns
    # 2 to 9.
    np.testing.assert_array_equal(np.flatnonzero(canvas.on_digit((9, 2), 4)), [10, 11, 15, 16])


def test_a_picture_of_another_size_is_refused() -> None:
    picture = canvas.Canvas(np.zeros((28, 28), dtype=np.float32), [], [])
    with pytest.raises(ValueError, match=r"pictures: expected 24 x 24 points, got \[28, 28\]"):
        canvas.patches([picture], 2)
