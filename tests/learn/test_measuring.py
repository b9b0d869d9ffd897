"""A gradient beside the one that is measured: what is right, what is wrong, and what is told."""

import numpy as np
import pytest

from tinyattn.learn.measuring import compare, measured

INF, NAN = np.inf, np.nan


def flat(x):
    return 3.0


def test_a_right_gradient_is_told_with_its_distance():
    gradients = [
        ("dx", [0.0, -2e-4], flat, np.zeros(2)),
        ("dw", [[1e-4], [0.0], [0.0]], flat, np.zeros((3, 1))),
        ("db", np.zeros(0), flat, np.zeros(0)),
    ]
    words, note = compare(gradients, 1.0)
    assert words == ""
    assert note == (
        "\n       (5 numbers differ from it by at most 2e-04; its own error is at most 0e+00.)"
    )


def test_no_gradient_at_all_is_right():
    assert compare([], 1.0)[1].startswith("\n       (0 numbers differ from it by at most 0e+00;")


def test_the_first_wrong_gradient_is_told():
    wrong = [(name, np.ones(1), flat, np.zeros(1)) for name in ("dx", "dw")]
    right = ("da", np.zeros(1), flat, np.zeros(1))
    assert "1 of 1 elements of dx differ" in compare([right, *wrong], 1e-3)[0]
    assert "1 of 1 elements of dw differ" in compare([right, wrong[1]], 1e-3)[0]


@pytest.mark.parametrize(
    ("given", "slope", "right"),
    [
        (0.0005, 0.0, True),  # half of 0.001, below which no number counts as large
        (0.00051, 0.0, False),
        (-0.0005, 0.0, True),
        (14.5, 10.0, True),  # half of 10
        (15.5, 10.0, False),
        (-10.0, 10.0, False),
        (0.016, 0.01, False),
        (NAN, 0.0, False),
        (INF, 0.0, False),
    ],
)
def test_a_gradient_may_differ_by_a_part_of_the_largest_slope(given, slope, right):
    words, note = compare([("dx", [given], lambda x: slope * x[0], np.zeros(1))], 0.5)
    assert (words == "") is right
    assert (note == "") is not right


def test_the_worst_elements_are_told_the_worst_first():
    given = np.array([[0.0, 2.0, -7.0], [3.0, NAN, 5.0], [1.0, 6.0, 0.0]])
    words, note = compare([("dx", given, flat, np.zeros((3, 3)))], 1.0)
    assert note == ""
    assert words == "\n".join([
        "7 of 9 elements of dx differ from the measured slope. The worst are:",
        "",
        "                       yours     measured  error of it",
        "    dx[1, 1]             nan            0            0",
        "    dx[0, 2]              -7            0            0",
        "    dx[2, 1]               6            0            0",
        "    dx[1, 2]               5            0            0",
        "    dx[1, 0]               3            0            0",
    ])  # fmt: skip


def test_what_is_measured_stands_beside_what_is_given():
    def steep(x):
        return float((10 * x).sum())

    words, _ = compare([("dx", [1.0, 15.0, 10.0], steep, np.zeros(3))], 1e-3)
    rows = [line.split() for line in words.splitlines()[-2:]]
    assert [row[:3] for row in rows] == [["dx[0]", "1", "10"], ["dx[1]", "15", "10"]]
    assert all(float(row[3]) < 1e-9 for row in rows)
    note = compare([("dx", [10.0], steep, np.zeros(1))], 1e-3)[1]
    assert note.startswith("\n       (1 numbers differ from it by at most 0e+00;")


def test_a_gradient_has_the_shape_of_its_argument():
    words, note = compare([("dx", np.zeros(3), flat, np.zeros((3, 1)))], 1.0)
    assert (words, note) == ("dx: expected shape (3, 1), got (3,)", "")


def test_the_slope_is_measured_at_every_element():
    x = np.array([[1.0, -2.0], [0.0, 3.0]])
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    numeric, error = measured(lambda x: float((weights * x * x).sum()), x)
    np.testing.assert_allclose(numeric, 2 * weights * x, rtol=1e-9, atol=1e-9)
    assert error.shape == x.shape
    assert (np.abs(numeric - 2 * weights * x) <= error + 1e-9).all()
    assert 0 <= error.max() < 1e-5
    assert x.tolist() == [[1.0, -2.0], [0.0, 3.0]]


def test_the_step_grows_with_a_large_number():
    numeric, error = measured(lambda x: float(x[0] * x[0]), np.array([1e6]))
    assert numeric[0] == pytest.approx(2e6, rel=1e-12)
    assert error[0] < 1e-5


def test_whole_numbers_are_measured_as_floats():
    assert compare([("dx", [2], lambda x: float(x[0] * x[0]), np.array([1]))], 1e-6)[0] == ""
