"""The picture of a graph: where its boxes and lines stand, to the tenth of a pixel."""

import re
from pathlib import Path

import pytest

from tinyattn.viz.boxes import Box, Line, _apart, _curve, _layers, _order, _place, _share, draw
from tinyattn.viz.picture import Picture

HERE = Path(__file__).parent


def graph() -> list[Box]:
    """Boxes of every kind; lines that cross, that skip layers, and with every sort of label."""
    return [
        Box(1, "result", ["loss = Sum", "grad 1"], [Line(2, "(2, 3)", 1.0)], step=1),
        Box(2, "operation", ["Mul"], [Line(13, "|2.5|", 0.5), Line(4, "3 up to |7|", 0.0)], step=2),
        Box(
            13,
            "module",
            ["encoder.layer", "12 steps"],
            [Line(5, "used"), Line(6, "x", 0.25)],
            step=3,
        ),
        Box(4, "operation", ["Add"], [Line(7, "nothing"), Line(5, "a < b", 0.1), Line(8)], step=4),
        Box(9, "operation", ["Exp"], [Line(5, "last", 1.0)], step=9),
        Box(6, "reference", ["Tanh", "step 9"], step=9),
        Box(7, "constant", ["x", "(2,)"], [Line(5, "again"), Line(8), Line(5)]),
        Box(5, "leaf", ["编码器.weight", "(2, 3)", "grad |3|"], step=5),
        Box(8, "leaf", [], step=8),
    ]


@pytest.mark.parametrize("backward", [True, False])
def test_the_whole_picture(backward: bool) -> None:
    name = "graph_backward.svg" if backward else "graph_forward.svg"
    boxes = graph()
    boxes[1].lines_in.append(Line(9, "", 0.9))
    drawn = draw(boxes, "A <graph> & its title", backward)
    assert drawn == (HERE / name).read_text(encoding="utf-8")


def test_a_picture_is_as_wide_as_its_title() -> None:
    for title in ("t" * 200, "书" * 100):
        width = re.search(r'width="(\d+)"', draw([Box(1, "leaf", ["w"])], title, True))
        assert width is not None
        assert int(width[1]) == round(200 * 6.65 * 1.1 + 12)


def test_a_picture_is_as_wide_as_its_boxes() -> None:
    drawn = draw([Box(1, "leaf", ["w" * 200])], "w", True)
    assert f'width="{12 + 200 * 6.65 + 2 * 7 + 12:.0f}"' in drawn


def test_a_notebook_shows_a_picture_as_it_is() -> None:
    assert Picture("<svg/>")._repr_svg_() == "<svg/>"


def test_a_box_stands_above_all_that_use_it_and_lines_bend_in_each_layer_between() -> None:
    boxes = [
        Box(1, "", [], [Line(2), Line(3), Line(4)]),
        Box(2, "", [], [Line(3)]),
        Box(3, "", [], [Line(4)]),
        Box(4, "", []),
    ]
    layers, chains = _layers(boxes)
    bends = (1, 1, 1), (1, 2, 1), (1, 2, 2)
    assert layers == [[1], [bends[0], bends[1], 2], [bends[2], 3], [4]]
    assert chains == {
        (1, 0): [1, 2],
        (1, 1): [1, bends[0], 3],
        (1, 2): [1, bends[1], bends[2], 4],
        (2, 0): [2, 3],
        (3, 0): [3, 4],
    }


def test_a_layer_is_sorted_so_that_lines_do_not_cross() -> None:
    layers = [[1, 2, 3], [4, 5, 6]]
    chains = {(1, 0): [1, 6], (2, 0): [2, 5], (3, 0): [3, 4]}
    _order(layers, chains)
    assert layers == [[1, 2, 3], [6, 5, 4]]


@pytest.mark.parametrize(("user", "order"), [(2, [5, 6]), (4, [6, 5])])
def test_what_is_joined_to_nothing_keeps_its_place_in_proportion(
    user: int, order: list[int]
) -> None:
    layers = [[1, 2, 3, 4], [5, 6]]
    _order(layers, {(user, 0): [user, 5]})
    assert layers[1] == order


def size(key: object) -> tuple[float, float]:
    return 10.0, 5.0


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([0.0, 100.0], [0.0, 100.0]),  # there is room
        ([0.0, 0.0], [-16.0, 16.0]),  # 10 wide, with a gap of 22
        ([100.0, 0.0], [34.0, 66.0]),
        ([0.0, 32.0, 64.0], [0.0, 32.0, 64.0]),
        ([0.0, 0.0, 0.0], [-32.0, 0.0, 32.0]),
        ([0.0, 200.0, 200.0], [0.0, 184.0, 216.0]),
        ([60.0, 30.0, 0.0, 300.0], [-2.0, 30.0, 62.0, 300.0]),
        ([-95.0, 30.0, 0.0], [-95.0, -1.0, 31.0]),
        ([], []),
    ],
)
def test_neighbours_keep_a_gap_and_stand_as_near_as_can_be(
    wanted: list[float], found: list[float]
) -> None:
    assert _apart(wanted, [*range(len(wanted))], size) == pytest.approx(found)


def test_layers_stand_below_each_other_from_the_inputs_to_the_result() -> None:
    layers = [[1], [(1, 0, 1), 2], [3]]
    chains = {(1, 0): [1, (1, 0, 1), 3], (1, 1): [1, 2], (2, 0): [2, 3]}
    places = _place(layers, chains, {1: (20.0, 9.0), 2: (40.0, 30.0), 3: (60.0, 11.0)})
    tops = {key: y - h / 2 for key, (_, y, _, h) in places.items()}
    assert tops == {3: 46, 2: 46 + 11 + 50, (1, 0, 1): 107, 1: 107 + 30 + 50}
    assert {key: (w, h) for key, (_, _, w, h) in places.items()} == {
        1: (20, 9), 2: (40, 30), (1, 0, 1): (6, 30), 3: (60, 11)
    }  # fmt: skip
    assert min(x - w / 2 for x, _, w, _ in places.values()) == pytest.approx(12)
    bend, box = places[1, 0, 1], places[2]
    assert (box[0] - box[2] / 2) - (bend[0] + bend[2] / 2) == pytest.approx(22)


def test_a_curve_is_bent_between_layers_and_straight_inside_one() -> None:
    points = [(0.0, 100.0), (10.0, 60.0), (10.0, 40.0), (5.0, 0.0)]
    assert _curve(points) == (
        "M0.0 100.0C0.0 80.0 10.0 80.0 10.0 60.0L10.0 40.0C10.0 20.0 5.0 20.0 5.0 0.0"
    )


def test_lines_share_the_side_of_a_box() -> None:
    assert [_share([*"abc"], name) for name in "abc"] == [-0.25, 0, 0.25]
    assert _share(["a"], "a") == 0
