"""Pictures of input that nobody expects: a picture that opens, or a ValueError that says why."""

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn, viz

HALF = np.full((2, 2), 0.5)
GATES = {"r": np.full((2, 3), 0.5)}
TOKENS = ["a\nb", "\x00"], ["\x1b[0m", "\ud800"], ["<b>&", "$x_{"], [1, 2]

PICTURES = {
    "attention": lambda names: viz.attention_figure(HALF, names, names),
    "gates": lambda names: viz.gates(GATES, names),
    "jacobian": lambda names: viz.jacobian(HALF, names, names),
}


@pytest.mark.parametrize("names", TOKENS, ids=ascii)
@pytest.mark.parametrize("kind", PICTURES)
def test_any_token_gives_a_picture_that_opens(kind, names):
    ElementTree.fromstring(PICTURES[kind](names)._repr_svg_())


def test_a_token_cannot_move_the_cursor_of_a_terminal():
    drawn = viz.attention_text(HALF, ["a\nb", "\x1b[2J"], ["\r", 7])
    assert len(drawn.splitlines()) == 3
    assert "\x1b" not in drawn


CHINESE = {
    "curves": lambda: viz.curve_figure([1, 2], {"损失": [1, 2]}, "步"),
    "gates": lambda: viz.gates({"门": HALF}),
    "norms": lambda: viz.gradient_norms({"前": [1, 2], "后": [2, 1]}, title="梯度"),
}


@pytest.mark.parametrize("kind", CHINESE)
def test_chinese_names_have_a_font(kind):
    try:
        chart = CHINESE[kind]()
    except RuntimeError as error:  # it says which fonts would do
        pytest.skip(str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart._repr_svg_()


def test_dollars_are_no_mathematics():
    names = {"$a_{": [1, 2], "_b": [1, 2]}
    for chart in (viz.curve_figure([1, 2], names, "$step"), viz.gradient_norms(names, "$x_{")):
        assert "$a_{" in chart._repr_svg_()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_jacobian_shows_numbers_that_are_not_finite(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart = viz.jacobian([[1.0, value], [-2.0, 0.5]])
        drawn = chart._repr_svg_()
    assert f"{value:.2f}" in drawn
    (image,) = chart.axes[0].images
    assert image.get_clim() == (-2, 2)
    ink = {text.get_text(): text.get_color() for text in chart.axes[0].texts}
    if np.isnan(value):  # its cell is white
        assert ink["nan"] == "#000000"


def test_hundreds_of_tokens_have_a_hundred_labels_at_most():
    chart = viz.attention_figure(np.full((3, 300), 0.1), [f"w{i}" for i in range(300)], "abc")
    labels = [label.get_text() for label in chart.axes[0].get_xticklabels()]
    assert labels[:2] == ["w0", "w3"]
    assert len(labels) == 100


@pytest.mark.parametrize("norms", [5.0, {"a": 5.0}, [[1.0]], [], {}, [-1.0]])
def test_norms_of_another_shape_are_refused(norms):
    with pytest.raises(ValueError, match="norms: expected"):
        viz.gradient_norms(norms)


def test_a_jacobian_needs_tensors():
    with pytest.raises(TypeError, match="x: expected a Tensor, got ndarray"):
        viz.jacobian_of(lambda x: x, np.ones(2))
    with pytest.raises(TypeError, match="function: expected it to return a Tensor, got tuple"):
        viz.jacobian_of(lambda x: (x, x), ta.ones(2))


def test_gates_of_two_batches_in_one_layer_are_refused():
    gru = nn.GRU(3, 4)
    with pytest.raises(ValueError, match=r"run: expected one batch, got batches of \[1, 2\]"):
        viz.gates_of(lambda: (gru(ta.ones(5, 1, 3)), gru(ta.ones(5, 2, 3))))
