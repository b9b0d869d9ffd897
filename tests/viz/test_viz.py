"""Attention maps and learning curves: their text, their figures, and what they refuse."""

import unicodedata
from fractions import Fraction
from importlib import util
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

import tinyattn as ta
from tinyattn.viz import attention_figure, attention_text, curve_figure
from tinyattn.viz.figures import families
from tinyattn.viz.terminal import check_weights

WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.1, 0.5, 0.4]])  # (Tq, Tk) = (2, 3)


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# --- in the terminal ------------------------------------------------------------------------------


def test_a_row_a_target_token_and_a_shade_a_weight() -> None:
    assert attention_text(WEIGHTS, ["a", "b", "c"], ["x", "long"]).splitlines() == [
        "     a b c",
        "x    █",
        "long   ▒ ▒",
    ]


def test_five_shades_from_nothing_to_all() -> None:
    row = np.array([[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]])
    assert attention_text(row, list("abcdef"), ["x"]).splitlines()[1] == "x   ░ ▒ ▓ █ █"


def test_chinese_tokens_take_two_columns() -> None:
    text = attention_text(np.eye(3), ["我", "看", "书"], ["I", "read", "书"])
    head, *rows = text.splitlines()
    assert head == "     我 看 书"
    for i, (row, token) in enumerate(zip(rows, "我看书", strict=True)):
        assert columns(row[: row.index("██")]) == columns(head[: head.index(token)]), i


def test_columns_are_as_wide_as_the_widest_token_and_at_least_one() -> None:
    text = attention_text([[0.5, 1.0]], ["a", "long"], ["x"])
    assert text.splitlines() == ["  a    long", "x ▒▒▒▒ ████"]
    assert attention_text([[0.5]], [""], [""]) == "\n ▒"
    assert attention_text(np.zeros((0, 1)), ["a"], []) == " a"
    assert attention_text(np.zeros((1, 0)), [], ["x"]) == "\nx"


def test_weights_are_numbers_of_any_kind_up_to_a_thousandth_above_1() -> None:
    found = check_weights([[Fraction(1, 2), 1.001]], ["a", "b"], ["x"])
    assert (found.tolist(), found.dtype) == ([[0.5, 1.001]], np.float64)
    with pytest.raises(ValueError, match="weights: expected numbers from 0 to 1"):
        check_weights([[1.00105]], ["a"], ["x"])


def test_a_combining_accent_takes_no_column() -> None:
    text = attention_text(np.eye(2), ["e\u0301", "b"], ["x", "y"])
    assert text.splitlines()[0] == "  e\u0301 b"
    assert text.splitlines()[2] == "y   █"


@given(st.data())
def test_any_tokens_give_a_line_each(data: st.DataObject) -> None:
    token = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=5)
    source = data.draw(st.lists(token, min_size=1, max_size=5))
    target = data.draw(st.lists(token, max_size=5))
    weights = np.full((len(target), len(source)), 1 / len(source))
    assert len(attention_text(weights, source, target).split("\n")) == 1 + len(target)


@pytest.mark.parametrize("draw", [attention_text, attention_figure])
def test_tensors_are_taken(draw: Any) -> None:
    drawn = draw(ta.tensor(WEIGHTS), ["a", "b", "c"], ["x", "y"])
    if draw is attention_text:
        assert drawn == attention_text(WEIGHTS, ["a", "b", "c"], ["x", "y"])
    else:
        np.testing.assert_array_equal(drawn.axes[0].images[0].get_array(), WEIGHTS)


@pytest.mark.parametrize("draw", [attention_text, attention_figure])
@pytest.mark.parametrize("weights", [WEIGHTS.T, WEIGHTS[0], WEIGHTS[None], np.zeros((0, 3))])
def test_other_shapes_are_refused(draw: Any, weights: np.ndarray) -> None:
    with pytest.raises(ValueError) as error:
        draw(weights, ["a", "b", "c"], ["x", "y"])
    assert str(error.value) == (
        f"weights: expected (Tq, Tk) = (2, 3) for the target and source tokens, got {weights.shape}"
    )


@pytest.mark.parametrize("draw", [attention_text, attention_figure])
@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.5, np.inf])
def test_numbers_that_are_no_weights_are_refused(draw: Any, bad: float) -> None:
    with pytest.raises(ValueError, match=r"^weights: expected numbers from 0 to 1"):
        draw([[0.5, bad]], ["a", "b"], ["x"])


# --- figures --------------------------------------------------------------------------------------


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


def test_attention_figure_has_the_weights_and_the_tokens() -> None:
    figure = attention_figure(WEIGHTS, ["a", "$b", "$\\c$"], ["x", "y"], title="an alignment")
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "$b", "$\\c$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y"]
    assert figure.figure.get_suptitle() == "an alignment"
    assert axes.images[0].get_clim() == (0, 1)
    assert png(figure).startswith(b"\x89PNG")


def test_long_sentences_still_make_a_picture() -> None:
    figure = attention_figure(np.zeros((1, 2000)), ["a"] * 2000, ["x"])
    assert max(figure.figure.get_size_inches() * figure.figure.dpi) < 2**16


def test_chinese_labels_get_a_font_that_has_them() -> None:
    figure = attention_figure(np.eye(2), ["我", "书"], ["I", "read"], title="看")
    png(figure)  # a missing glyph would be a warning, which is an error here
    axes = figure.axes[0]
    for text in (*axes.get_xticklabels(), *figure.figure.texts):
        path = font_manager.findfont(text.get_fontproperties(), fallback_to_default=False)
        assert ord(text.get_text()) in FT2Font(path).get_charmap()


def test_without_a_system_font_the_package_mplfonts_serves(monkeypatch: Any) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", latin_fonts())
    figure = attention_figure(np.eye(2), ["我", "书"], ["I", "read"])
    path = font_manager.findfont(figure.axes[0].get_xticklabels()[0].get_fontproperties())
    assert "mplfonts" in Path(path).parts


def test_without_any_chinese_font_it_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", latin_fonts())
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match=r"no installed font holds Chinese.*CJK.*mplfonts"):
        attention_figure(np.eye(2), ["我", "书"], ["I", "read"])
    attention_figure(np.eye(2), ["a", "b"], ["I", "read"])


def test_the_last_font_that_is_known_serves(monkeypatch: Any) -> None:
    latin, wanted = latin_fonts(), ord("ᶁ")
    fonts = fonts_named("STIXGeneral")
    stix = next(font for font in fonts if wanted in FT2Font(font.fname).get_charmap())
    known = [*latin, SimpleNamespace(name="SimSun", fname="")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", known)
    assert families(["书"]) == ["SimSun", "DejaVu Sans"]
    known.append(SimpleNamespace(name="SimHei", fname=""))
    assert families(["书"]) == ["SimHei", "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*latin, stix])
    assert families(["ᶁ"]) == ["DejaVu Sans", "STIXGeneral"]


def fonts_named(*beginnings: str) -> list[Any]:
    known = font_manager.fontManager.ttflist
    return [font for font in known if font.name.startswith(beginnings)]


def test_letters_of_any_script_get_a_font_that_has_them(monkeypatch: Any) -> None:
    """ᶁ is in STIXGeneral, which comes with Matplotlib; DejaVu Sans does not have it."""
    fonts = fonts_named("DejaVu", "STIXGeneral")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts)
    figure = attention_figure(np.eye(2), ["ᶁ", "a"], ["I", "read"])
    png(figure)  # a missing glyph would be a warning, which is an error here
    assert "STIXGeneral" in figure.axes[0].get_xticklabels()[0].get_fontfamily()
    for usual in ("a", "é", "ж", "\u2e7f"):  # no character has this number
        assert families([usual]) == ["DejaVu Sans"]
    assert families(["\u2e80"])[0] != "DejaVu Sans"  # the first Chinese radical


@pytest.mark.parametrize("texts", [["a", "क"], ["a क", "b"]])
def test_letters_that_no_font_has_are_named(monkeypatch: Any, texts: Any) -> None:
    fonts = fonts_named("DejaVu", "Last Resort")  # the latter has a box for every character
    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts)
    wanted = r"^no installed font holds क \(DEVANAGARI LETTER KA\): install one such as Noto Sans$"
    with pytest.raises(RuntimeError, match=wanted):
        families(texts)


def latin_fonts() -> list[Any]:
    return fonts_named("DejaVu")


def test_curve_figure_has_a_panel_a_curve() -> None:
    figure = curve_figure([1, 2, 3], {"loss": [3, 2, 1], "perplexity": [9, 4, 2]}, "step")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "perplexity"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["step", "step"]
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xydata(), [[1, 9], [2, 4], [3, 2]])
    assert png(figure).startswith(b"\x89PNG")


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^loss: expected 2 values, one for each step, got 3$"):
        curve_figure([1, 2], {"loss": [1, 2, 3]}, "step")
    with pytest.raises(ValueError, match=r"^curves: expected at least one, got none$"):
        curve_figure([1, 2], {}, "step")
