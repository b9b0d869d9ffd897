"""Gates, gradients over time and Jacobians as figures, and what all figures have in common."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn, viz
from tinyattn.viz.chart import LINES

CHARTS = {
    "attention": lambda: viz.attention_figure(np.eye(2), ["a", "b"], ["x", "y"], "Attention"),
    "curves": lambda: viz.curve_figure([0, 1], {"loss": [2.0, 1.0]}, "epoch"),
    "gates": lambda: viz.gates({"r": np.full((3, 2), 0.5)}, ["I", "read", "书"]),
    "norms": lambda: viz.gradient_norms([0.1, 0.5, 1.0]),
    "jacobian": lambda: viz.jacobian(np.eye(3)),
}


def drawn(chart):
    """The texts in the SVG."""
    root = ET.fromstring(chart._repr_svg_())
    return ["".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]


# --- what all of them have ------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHARTS)
def test_a_notebook_shows_svg_with_text_that_stays_text(name):
    assert drawn(CHARTS[name]())


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_figure_gives_the_same_bytes_without_a_date(name):
    first, second = CHARTS[name]()._repr_svg_(), CHARTS[name]()._repr_svg_()
    assert first == second


@pytest.mark.parametrize("name", CHARTS)
def test_a_figure_fits_into_a_page_and_has_a_title(name):
    svg = CHARTS[name]()._repr_svg_()
    assert svg.startswith("<svg")
    links = set(re.findall(r'http[^"<\s]*', svg))
    assert links == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    title = {
        "attention": "Attention",
        "curves": "loss",
        "gates": "Gates over time",
        "norms": "Gradient on its way back through time",
        "jacobian": "Jacobian: row i is the gradient of output i",
    }
    assert f"<title>{title[name]}</title>" in svg


@pytest.mark.parametrize("name", CHARTS)
def test_the_ending_of_the_name_says_the_format(name, tmp_path):
    CHARTS[name]().save(tmp_path / "a.svg")
    CHARTS[name]().save(tmp_path / "again.svg")
    CHARTS[name]().save(tmp_path / "a.png")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", CHARTS)
def test_axes_are_named(name):
    for axes in CHARTS[name]().axes:
        tokens = [label.get_text() for label in axes.get_xticklabels()]
        assert axes.get_xlabel() or axes.get_ylabel() or any(t.isalpha() for t in tokens)


@pytest.mark.parametrize("name", ["attention", "gates", "jacobian"])
def test_heat_maps_rise_in_lightness(name):
    colours = CHARTS[name]().axes[0].images[0].get_cmap()(np.linspace(0, 1, 50))[:, :3]
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_no_two_lines_have_the_same_colour_or_the_same_dashes():
    for what in ("color", "linestyle"):
        assert len({str(line[what]) for line in LINES}) == len(LINES)


# --- gates ----------------------------------------------------------------------------------------


def test_gates_of_a_gru_are_those_of_the_formula():
    ta.manual_seed(0)
    gru, x = nn.GRU(2, 3), ta.randn(4, 1, 2)
    (found,) = viz.gates_of(lambda: gru(x))
    w_ih, _, b_ih, b_hh = (p.detach().numpy() for p in gru.parameters())
    gx = w_ih @ x[0, 0].numpy() + b_ih
    z = 1 / (1 + np.exp(-(gx + b_hh)[3:6]))  # the state before step 0 is 0
    np.testing.assert_allclose(found["z"][0, 0], z, rtol=1e-5)
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys("rzn", (4, 1, 3))


def test_the_steps_of_a_cell_in_a_loop_are_joined():
    ta.manual_seed(0)
    gru, cell, x = nn.GRU(2, 3), nn.GRUCell(2, 3), ta.randn(5, 2, 2)
    for own, other in zip(cell.parameters(), gru.parameters(), strict=True):
        own.data = other.data

    def loop():
        h = ta.zeros(2, 3)
        for t in range(5):
            h = cell(x[t], h)

    (of_cell,), (of_layer,) = viz.gates_of(loop), viz.gates_of(lambda: gru(x))
    for name, values in of_layer.items():
        np.testing.assert_allclose(of_cell[name], values, rtol=1e-5, atol=1e-7)


def test_every_layer_and_direction_has_its_own_gates():
    lstm = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    found = viz.gates_of(lambda: lstm(ta.ones(4, 2, 2)))
    assert [sorted(gates) for gates in found] == [["f", "g", "i", "o"]] * 4


def test_after_the_end_of_a_shorter_sequence_there_is_nothing():
    packed = nn.utils.rnn.pack_padded_sequence(ta.ones(3, 2, 2), [3, 1])
    (found,) = viz.gates_of(lambda: nn.GRU(2, 4)(packed))
    assert np.isnan(found["r"][:, 1, 0]).tolist() == [False, True, True]
    assert not np.isnan(found["r"][:, 0]).any()
    viz.gates({"r": found["r"][:, 1]})._repr_svg_()


def test_a_gate_is_drawn_with_a_column_for_each_step():
    r = np.array([[0.0, 1.0], [0.25, 0.5], [1.0, 0.0]])  # (T, H)
    axes = viz.gates({"r": r}, ["I", "read", "it"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), r.T)
    assert axes.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["I", "read", "it"]


def test_a_state_with_negative_numbers_has_its_own_scale():
    chart = viz.gates({"z": [[0.5]], "n": [[-0.5]]})
    limits = [axes.images[0].get_clim() for axes in chart.axes if axes.images]
    assert limits == [(0, 1), (-1, 1)]


@pytest.mark.parametrize(
    ("values", "tokens", "message"),
    [
        ({}, (), "at least one gate"),
        ({"r": np.ones((3, 2, 4))}, (), r"r of shape \(T, H\), got \(3, 2, 4\)"),
        ({"r": np.ones((3, 2)), "z": np.ones((4, 2))}, (), "3 steps of z, got 4"),
        ({"r": np.ones((3, 2))}, ["a"], "tokens: expected 3"),
    ],
)
def test_what_gates_refuses(values, tokens, message):
    with pytest.raises(ValueError, match=message):
        viz.gates(values, tokens)


# --- gradients over time --------------------------------------------------------------------------


def test_norms_are_drawn_on_a_logarithmic_scale():
    axes = viz.gradient_norms({"a": [1e-6, 1e-3, 1.0], "b": [0.0, 1.0, 1.0]}).axes[0]
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1e-6, 1e-3, 1])
    assert np.isnan(axes.lines[1].get_ydata()[0])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_the_norms_of_the_doctor_are_drawn():
    report = ta.doctor(nn.GRU(2, 3), ta.randn(6, 1, 2))
    assert len(viz.gradient_norms(report.over_time).axes[0].lines[0].get_ydata()) == 6


@pytest.mark.parametrize("norms", [[], {}, {"a": []}, [-1.0], [[1.0, 2.0]]])
def test_what_gradient_norms_refuses(norms):
    with pytest.raises(ValueError, match=r"norms: expected"):
        viz.gradient_norms(norms)


# --- Jacobians ------------------------------------------------------------------------------------


def test_the_jacobian_of_softmax():
    y = np.exp([1.0, 2.0, 4.0]) / np.exp([1.0, 2.0, 4.0]).sum()
    found = viz.jacobian_of(lambda x: x.softmax(0), ta.tensor([1.0, 2.0, 4.0], dtype=ta.float64))
    np.testing.assert_allclose(found, np.diag(y) - np.outer(y, y), rtol=1e-12)


def test_a_jacobian_has_a_row_for_each_output():
    w = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    x = ta.tensor([[1.0, 1.0, 1.0]], dtype=ta.float64)
    with ta.no_grad():
        found = viz.jacobian_of(lambda x: x @ ta.tensor(w.T), x)
    np.testing.assert_array_equal(found, w)
    assert not x.requires_grad


def test_the_numbers_of_a_small_jacobian_stand_in_its_cells():
    texts = drawn(viz.jacobian([[1.0, -0.001], [-2.0, 0.5]], ["x", "y"], ["u", "v"]))
    assert {"1.00", "0.00", "-2.00", "0.50", "x", "y", "u", "v"} <= set(texts)
    assert not re.search(r"-0\.00", "".join(texts))


def test_the_scale_of_a_jacobian_is_even_on_both_sides_of_0():
    assert viz.jacobian([[1.0, -3.0]]).axes[0].images[0].get_clim() == (-3, 3)


@pytest.mark.parametrize(
    ("matrix", "names", "message"),
    [
        (np.ones(3), [], r"matrix: expected shape \(outputs, inputs\), got \(3,\)"),
        (np.ones((0, 3)), [], "matrix"),
        (np.ones((2, 3)), ["a"], "inputs: expected 3 names, got 1"),
    ],
)
def test_what_jacobian_refuses(matrix, names, message):
    with pytest.raises(ValueError, match=message):
        viz.jacobian(matrix, names)
