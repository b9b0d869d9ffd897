"""Gates, gradients over time and Jacobians as figures, and what all figures have in common."""

import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine

import tinyattn as ta
from tinyattn import nn, viz
from tinyattn.viz.chart import LINES, Chart, heat_map, ticks

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


def test_cells_that_are_gone_keep_their_gates_apart():
    def run():
        for _ in range(9):
            nn.GRUCell(2, 3)(ta.ones(1, 2))

    with ta.no_grad():
        found = viz.gates_of(run)
    assert [gates["r"].shape for gates in found] == [(1, 1, 3)] * 9


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


# --- sizes, places and words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chart", "width", "height"),
    [
        (lambda: viz.attention_figure(np.eye(2, 3), ["a"] * 3, ["x"] * 2), 2.85, 2.0),
        (lambda: viz.attention_figure(np.zeros((1, 300)), ["a"] * 300, ["x"]), 100, 1.6),
        (lambda: viz.attention_figure(np.zeros((300, 1)), ["a"], ["x"] * 300), 1.95, 100),
        (lambda: viz.curve_figure([0], {"a": [1], "b": [2]}, "x"), 8, 3),
        (lambda: viz.gates({"r": np.ones((2, 3)), "z": np.ones((2, 3))}), 5, 3.5),
        (lambda: viz.gates({"r": np.ones((20, 3))}), 8.8, 2.2),
        (lambda: viz.gates({"r": np.ones((50, 3))}), 14, 2.2),
        (lambda: viz.gradient_norms([1.0]), 5.6, 3.2),
        (lambda: viz.jacobian(np.ones((2, 8))), 7.2, 3.2),
        (lambda: viz.jacobian(np.ones((8, 2))), 4.2, 6.2),
        (lambda: viz.jacobian(np.ones((20, 100))), 13, 4.2),
    ],
)
def test_the_size_of_a_figure_in_inches(chart, width, height):
    figure = chart().figure
    assert figure.get_size_inches().tolist() == pytest.approx([width, height])
    assert figure.dpi == 120


def test_the_panels_of_a_figure():
    first, second = viz.curve_figure([0], {"a": [1], "b": [2]}, "x").axes
    assert first.get_subplotspec().get_geometry() == (1, 2, 0, 0)
    assert second.get_subplotspec().get_geometry() == (1, 2, 1, 1)
    assert {axes.lines[0].get_color() for axes in (first, second)} == {LINES[0]["color"]}
    chart = viz.gates({"r": np.ones((3, 2)), "z": np.ones((3, 2))})
    assert chart.axes[0].get_shared_x_axes().joined(*chart.axes[:2])
    assert isinstance(chart.figure.get_layout_engine(), ConstrainedLayoutEngine)


@pytest.mark.parametrize("draw", [viz.jacobian, lambda x: viz.gates({"r": x})])
def test_numbers_of_any_kind_are_drawn(draw):
    half = Fraction(1, 2)
    drawn = draw([[half, half], [half, half]]).axes[0].images[0].get_array()
    np.testing.assert_array_equal(drawn, np.full((2, 2), 0.5))
    line = viz.gradient_norms([half, half]).axes[0].lines[0]
    assert line.get_ydata().dtype == np.float64


def test_gates_that_are_nothing_are_drawn_as_gates():
    assert viz.gates({"r": [[np.nan]]}).axes[0].images[0].get_clim() == (0, 1)


def test_a_title_stands_at_the_left():
    title = Chart(1, 1, "a title").figure._suptitle
    assert (title.get_position()[0], title.get_ha(), title.get_fontsize()) == (0.01, "left", 11)
    assert Chart(1, 1).figure._suptitle is None


@pytest.mark.parametrize(
    ("count", "most", "places"),
    [(5, 5, [0, 1, 2, 3, 4]), (6, 5, [0, 2, 4]), (7, 2, [0, 4]), (1, 5, [0]), (0, 5, [])],
)
def test_at_most_so_many_places_have_a_label(count, most, places):
    assert list(ticks(count, most)) == places


def test_numbers_in_cells_are_bright_on_dark_cells_and_dark_on_bright_ones():
    axes = viz.jacobian([[-1.0, 0.09, np.nan], [0.11, 1.0, -0.004]]).axes[0]
    white, black = "#ffffff", "#000000"
    assert [(t.get_text(), t.get_color(), t.get_position()) for t in axes.texts] == [
        ("-1.00", white, (0, 0)), ("0.09", white, (1, 0)), ("nan", black, (2, 0)),
        ("0.11", black, (0, 1)), ("1.00", black, (1, 1)), ("0.00", white, (2, 1)),
    ]  # fmt: skip
    assert {(t.get_ha(), t.get_va(), t.get_fontsize()) for t in axes.texts} == {
        ("center", "center", 8)
    }


def test_a_number_is_bright_up_to_55_hundredths_of_the_scale():
    axes = Chart(2, 2).figure.add_subplot()
    heat_map(axes, np.array([[0.55, 0.5501]]), 0, 1, "a scale", numbers=True)
    assert [text.get_color() for text in axes.texts] == ["#ffffff", "#000000"]
    assert axes.images[0].get_cmap().name == "cividis"
    assert (axes.images[0].get_interpolation(), axes.get_aspect()) == ("nearest", "auto")


def test_the_numbers_of_a_jacobian_are_written_up_to_ten_rows_and_columns():
    assert len(viz.jacobian(np.ones((10, 10))).axes[0].texts) == 100
    assert not viz.jacobian(np.ones((11, 1))).axes[0].texts
    assert not viz.attention_figure(np.eye(1), ["a"], ["x"]).axes[0].texts


def labels(axes):
    """The words at the axes, and at the ticks."""
    ticks = [[t.get_text() for t in get()] for get in (axes.get_xticklabels, axes.get_yticklabels)]
    return axes.get_xlabel(), axes.get_ylabel(), *ticks


def test_the_words_of_a_jacobian():
    axes, scale = viz.jacobian(np.ones((2, 3)), ["a", "b", "c"], ["x", "y"]).axes
    assert labels(axes) == ("input j", "output i", ["a", "b", "c"], ["x", "y"])
    assert scale.get_ylabel() == "dy_i / dx_j"
    axes = viz.jacobian(np.zeros((1, 21))).axes[0]
    assert labels(axes)[2:] == ([str(i) for i in range(0, 21, 2)], ["0"])
    assert axes.images[0].get_clim() == (-1, 1)
    axes = viz.jacobian(np.zeros((20, 1))).axes[0]
    assert labels(axes)[3] == [str(i) for i in range(20)]
    assert viz.jacobian([[np.inf]]).axes[0].images[0].get_clim() == (-1, 1)
    assert viz.jacobian([[np.inf, -2.0]]).axes[0].images[0].get_clim() == (-2, 2)


def test_the_words_of_gates():
    first, last, *scales = viz.gates({"r": np.ones((3, 6)), "n": -np.ones((3, 5))}).axes
    assert labels(first)[1] == "r, unit"
    assert labels(last)[:2] == ("step t", "n, unit")
    assert (first.get_yticks().tolist(), last.get_yticks().tolist()) == ([0, 2, 4], [0, 1, 2, 3, 4])
    assert [scale.get_ylabel() for scale in scales] == ["gate", "state"]
    for token, turn in (("abc", 0), ("abcd", 45)):
        axes = viz.gates({"r": np.ones((1, 2))}, [token]).axes[0]
        assert [t.get_rotation() for t in axes.get_xticklabels()] == [turn]
        assert axes.get_xlabel() == ""
    axes = viz.gates({"r": np.ones((41, 1, 2))}, ["a"] * 41).axes[0]
    assert axes.get_xticks().tolist() == list(range(0, 41, 2))


def test_the_words_and_lines_of_gradient_norms():
    (axes,) = viz.gradient_norms([1.0] * 40).axes
    assert labels(axes)[:2] == ("step t", "|dL/dh_t|")
    assert axes.get_legend() is None
    assert (axes.lines[0].get_marker(), axes.lines[0].get_markersize()) == ("o", 3)
    assert viz.gradient_norms([1.0] * 41).axes[0].lines[0].get_marker() == ""
    curves = {f"${i}": [1.0, 2.0] for i in range(6)}
    (axes,) = viz.gradient_norms(curves).axes
    assert [line.get_color() for line in axes.lines] == [LINES[i % 5]["color"] for i in range(6)]
    assert {t.get_fontsize() for t in axes.get_legend().get_texts()} == {8}
    assert not any(t.get_parse_math() for t in axes.get_legend().get_texts())
    assert axes.xaxis.get_major_locator()._integer


def test_the_words_of_an_attention_map():
    axes, scale = viz.attention_figure(np.zeros((1, 101)), ["a"] * 101, ["x"]).axes
    assert labels(axes)[2:] == (["a"] * 51, ["x"])
    assert axes.get_xticks().tolist() == list(range(0, 101, 2))
    assert axes.xaxis.get_ticks_position() == "top"
    assert scale.get_ylabel() == "attention weight"


def test_the_lines_of_a_grid_are_faint():
    for chart in (viz.curve_figure([0, 1], {"a": [1, 2]}, "x"), viz.gradient_norms([1.0, 2.0])):
        assert {line.get_alpha() for line in chart.axes[0].get_xgridlines()} == {0.3}


def test_a_batch_of_one_cell_and_another_of_several_are_told_apart():
    cell = nn.GRUCell(2, 3)
    with pytest.raises(ValueError, match=r"run: expected one batch, got batches of \[1, 2\]"):
        viz.gates_of(lambda: [cell(ta.ones(n, 2)) for n in (2, 1)])


def test_what_a_jacobian_is_made_of():
    with pytest.raises(TypeError, match="x: expected a Tensor, got list"):
        viz.jacobian_of(lambda x: x, [1.0])
    with pytest.raises(TypeError, match="function: expected it to return a Tensor, got float"):
        viz.jacobian_of(lambda x: 1.0, ta.ones(1))


def test_a_dollar_begins_no_formula():
    curves = viz.curve_figure([0, 1], {"$a$": [1, 2]}, "$x$").axes[0]
    jacobian = viz.jacobian(np.eye(1), ["$a$"], ["$b$"], "$c$")
    gates = viz.gates({"$r$": np.eye(1)}, ["$a$"], "$c$")
    attention = viz.attention_figure(np.eye(1), ["$a$"], ["$b$"], "$c$")
    norms = viz.gradient_norms([1.0], "$c$")
    texts = [curves.title, curves.xaxis.label, jacobian.figure._suptitle, gates.figure._suptitle]
    texts += [*jacobian.axes[0].get_xticklabels(), *jacobian.axes[0].get_yticklabels()]
    texts += [*gates.axes[0].get_xticklabels(), gates.axes[0].yaxis.label]
    texts += [*attention.axes[0].get_xticklabels(), *attention.axes[0].get_yticklabels()]
    texts += [attention.figure._suptitle, norms.figure._suptitle]
    assert [text.get_parse_math() for text in texts] == [False] * 12


@pytest.mark.parametrize("wrong", ["x", {}, [object()], [[1.0], [1.0, 2.0]]])
@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda x: viz.attention_figure(x, ["a"], ["b"]), "weights"),
        (lambda x: viz.attention_text(x, ["a"], ["b"]), "weights"),
        (lambda x: viz.gates({"r": x}), "values: r"),
        (lambda x: viz.gradient_norms({"a": x, "b": [1.0]}), "norms"),
        (viz.jacobian, "matrix"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(draw, name, wrong):
    with pytest.raises(TypeError, match=f"^{name}: expected an array of numbers, got "):
        draw(wrong)
