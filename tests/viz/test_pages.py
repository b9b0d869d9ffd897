"""Pages: what stands in the file, what it refuses, and what a browser makes of it. The tests with a
browser need Chromium; those of `hindrances` need node and axe-core, too."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Tab, axe, chromium

from tinyattn.viz import Page, Trace, attention_page, forming_page, pages
from tinyattn.viz.pages import (
    as_text,
    asset,
    charts,
    drawn,
    encoded,
    packed,
    packed_array,
    page_of,
    safe,
    scripts_of,
    static_map,
    widest,
)

HOSTILE = [
    *("</script>", "<!--", "<img src=x onerror=hurt()>", "$", "$&", "a\0b", "\n", "", " "),
    *("\u202eabc", "שלום", "👩‍👩‍👧", "e\u0301", "&amp;", "'\"", "\\u003c", "\ufeff", "\u2028"),
]


def trace(source: list[str], target: list[str], layers: int = 1, heads: int = 1) -> Trace:
    """A trace of these tokens with all its fields: each word looks mostly at that of its place."""
    Tk, Tq = len(source), len(target)
    draw = np.random.default_rng(0).random

    def weights(queries: int, keys: int) -> Any:
        w = draw((layers, heads, queries, keys)) ** 3 + 3 * np.eye(queries, keys)
        return w / w.sum(-1, keepdims=True)

    attention = {"cross": weights(Tq, Tk)}
    gates = {}
    if layers * heads > 1:
        attention |= {"encoder": weights(Tk, Tk), "decoder": weights(Tq, Tq)}
    else:
        encoder = {name: draw((2, Tk, 3)) for name in ("reset", "update", "state")}
        decoder = {name: draw((1, Tq, 6)) for name in ("reset", "update", "state")}
        gates = {"encoder": encoder, "decoder": decoder}
    return Trace(
        "".join(source), " ".join(target), source, target, attention,
        probabilities=draw(Tq), entropies=draw(Tq), covered=draw((Tq, Tk)), gates=gates,
        alternatives=[[token, "another"] for token in target],
        alternative_probabilities=np.tile([0.75, 0.125], (Tq, 1)),
        beam={
            "tokens": [[token, "other" if t else ""] for t, token in enumerate(target)],
            "parents": np.array([[0, 0 if t else -1] for t in range(Tq)]),
            "sums": np.array([[-0.5 * t, -1.0 * t] for t in range(Tq)]),
            "score": np.array([-0.25]), "step": np.array([Tq - 1]), "slot": np.array([0]),
        },
    )  # fmt: skip


BOOK = trace(list("她买书"), ["She", "bought", "books", "<eos>"])
HEADS = trace(list("她买书"), ["She", "bought", "books", "<eos>"], layers=2, heads=3)


def data_of(page: Page) -> Any:
    """The JSON of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text, re.S)
    assert found
    return json.loads(found[1])


# --- what stands in the file ----------------------------------------------------------------------


def test_a_page_is_one_file_without_any_address() -> None:
    text = attention_page([BOOK, HEADS]).text
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<>]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert not re.search(r"<(link|img|script src|iframe)|@import|url\(", text)
    assert "default-src 'none'" in text


def test_a_page_holds_the_numbers_of_its_traces_to_four_places() -> None:
    (found,) = data_of(attention_page([BOOK]))["traces"]
    assert (found["source"], found["target"]) == (BOOK.source, BOOK.target)
    np.testing.assert_allclose(found["attention"]["cross"], BOOK.attention["cross"], atol=5.1e-5)
    np.testing.assert_allclose(found["covered"], BOOK.covered, atol=5.1e-5)
    assert found["alternatives"] == BOOK.alternatives
    assert BOOK.beam is not None
    assert found["beam"]["tokens"] == BOOK.beam["tokens"]


def test_charts_of_gates_are_means_over_units_and_changes_of_states() -> None:
    there, back, decoder = charts(BOOK)
    encoder = BOOK.gates["encoder"]
    assert [one["name"] for one in (there, back, decoder)] == [
        "encoder, layer 1, forwards", "encoder, layer 1, backwards", "decoder, layer 1"
    ]  # fmt: skip
    assert decoder["tokens"] == ["<bos>", "She", "bought", "books"]
    np.testing.assert_allclose(there["lines"]["reset"], encoder["reset"][0].mean(-1), atol=1e-4)
    states = encoder["state"]
    forwards = [states[0, 0], states[0, 1] - states[0, 0], states[0, 2] - states[0, 1]]
    backwards = [states[1, 0] - states[1, 1], states[1, 1] - states[1, 2], states[1, 2]]
    for chart, steps in ((there, forwards), (back, backwards)):
        np.testing.assert_allclose(chart["lines"]["change"], np.abs(steps).mean(-1), atol=1e-4)
    assert decoder["lines"]["change"][0] is None
    one_way = {**BOOK.gates, "encoder": {name: x[:1] for name, x in encoder.items()}}
    alone = Trace(BOOK.sentence, "", BOOK.source, BOOK.target, BOOK.attention, gates=one_way)
    assert [chart["name"] for chart in charts(alone)] == ["encoder, layer 1", "decoder, layer 1"]


def test_charts_of_several_layers_and_of_one_side_alone() -> None:
    draw = np.random.default_rng(1).random
    gates = {
        "encoder": {name: draw((4, 3, 2)) for name in ("reset", "state", "update")},
        "decoder": {name: draw((2, 4, 2)) for name in ("state", "reset", "update")},
    }
    found = charts(replace(BOOK, gates=gates))
    assert [one["name"] for one in found] == [
        "encoder, layer 1, forwards", "encoder, layer 1, backwards",
        "encoder, layer 2, forwards", "encoder, layer 2, backwards",
        "decoder, layer 1", "decoder, layer 2",
    ]  # fmt: skip
    for one in found:
        assert sorted(one["lines"]) == ["change", "reset", "update"]
        assert {len(line) for line in one["lines"].values()} == {len(one["tokens"])}
    states, change = gates["encoder"]["state"][2], found[2]["lines"]["change"]
    assert change == [
        round(float(np.abs(step).mean()), 4) for step in np.diff(states, axis=0, prepend=0)
    ]
    names = [one["name"] for one in charts(replace(BOOK, gates={"encoder": BOOK.gates["encoder"]}))]
    assert names == ["encoder, layer 1", "encoder, layer 2"]


def test_numbers_that_no_reader_of_json_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        attention_page([replace(BOOK, probabilities=np.full(4, np.nan))])


def test_no_token_ends_a_script_or_begins_a_tag() -> None:
    page = attention_page([trace(HOSTILE, HOSTILE)], title="</title><b>")
    assert data_of(page)["traces"][0]["source"] == HOSTILE
    assert page.text.count("</script>") == 2
    for raw in ("<img", "<!--", "<b>", "\0"):
        assert raw not in page.text


def test_a_saved_page_is_utf_8_even_with_half_a_character(tmp_path: Path) -> None:
    page = attention_page([trace(["书", "\ud83d"], ["x"])])
    page.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "书" in text
    assert '"?"' in text
    assert page._repr_html_().encode("utf-8")


def test_a_notebook_shows_the_page_in_a_frame_and_text_where_frames_are_removed() -> None:
    page = attention_page([BOOK])
    shown = page._repr_html_()
    (content,) = re.findall(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts"', shown)
    assert html.unescape(content) == page.text
    assert shown == (
        f'<iframe srcdoc="{content}" sandbox="allow-scripts" '
        'title="A page about attention" style="width: 100%; height: 760px; border: 0"></iframe>'
        f"<details><summary>As text</summary><pre>{html.escape(page.plain)}</pre></details>"
    )
    left = re.sub(r"<iframe.*?</iframe>", "", shown)
    assert "She" in left
    assert "█" in left or "▓" in left or "▒" in left


def test_without_a_trace_there_is_no_page() -> None:
    with pytest.raises(ValueError, match=r"^traces: expected at least one, got none$"):
        attention_page([])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: attention_page(BOOK), "traces: expected a list of Trace, got Trace"),
        (lambda: attention_page([BOOK, 3]), "traces: expected a list of Trace, got int in it"),
        (lambda: attention_page([BOOK], 3), "model: expected a mapping, got int"),
        (lambda: forming_page([1], [BOOK]), "moments: expected a list of Trace, got Trace"),
        (lambda: forming_page([1], [["a"]]), "moments: expected a list of Trace, got str in it"),
    ],
)
def test_what_is_no_trace_and_no_model_is_named(call: Callable[[], object], says: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(says)}$"):
        call()


@pytest.mark.parametrize(
    ("steps", "moments", "accuracy", "says"),
    [
        ([], [], None, "steps: expected numbers above 0 that grow, got []"),
        ([0, 1], [[BOOK], [BOOK]], None, "steps: expected numbers above 0 that grow, got [0, 1]"),
        ([2, 2], [[BOOK], [BOOK]], None, "steps: expected numbers above 0 that grow, got [2, 2]"),
        ([1, 2], [[BOOK]], None, "for each of 2 steps, got [1]"),
        ([1, 2], [[BOOK], [BOOK, HEADS]], None, "for each of 2 steps, got [1, 2]"),
        ([1], [[]], None, "for each of 1 steps, got [0]"),
        ([1], [[BOOK]], [0.5, 0.6], "accuracy: expected 1 numbers, got 2"),
    ],
)
def test_moments_that_do_not_fit_are_refused(
    steps: Any, moments: Any, accuracy: Any, says: str
) -> None:
    with pytest.raises(ValueError) as error:
        forming_page(steps, moments, accuracy)
    assert says in str(error.value)


RNN = {"model": "rnn", "source_tokens": "char", "target_tokens": "word"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "lm"}, "model: expected one that a page can run, rnn or transformer, got 'lm'"),
        ({"target_tokens": "auto"}, "model: expected target tokens that a page can cut"),
        ({"target_tokens": "bpe"}, "model: expected 2 scores of the target tokens (bpe), got 0"),
    ],
)
def test_a_model_that_a_page_cannot_run_is_refused(options: dict[str, str], says: str) -> None:
    model = {"options": {**RNN, **options}, "source": [], "target": ["a", "b"], "weights": {}}
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        attention_page([BOOK], model)


def test_a_model_that_lacks_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model: expected 'source' in it, got \['options'\]$"):
        attention_page([BOOK], {"options": RNN})
    with pytest.raises(ValueError, match="model: expected 'weights' in it"):
        packed({"options": RNN, "source": [], "target": []})


def test_weights_are_in_16_bits_up_to_a_million_and_in_8_beyond() -> None:
    for rows, bits in ((1000, 16), (1001, 8)):
        weights = {"w": np.ones((rows, 1000), np.float32), "b": np.ones(0, np.float32)}
        found = packed({"options": RNN, "source": ["书"], "target": ["book"], "weights": weights})
        assert found["bits"] == bits
        assert found["weights"].keys() == weights.keys()
        assert (found["source"], found["target"]) == (["书"], ["book"])


def test_an_array_in_8_bits_has_a_scale_for_each_row() -> None:
    x = np.array([[1.0, -2.0, 0.03], [0.0, 0.0, 0.0]], np.float32)
    found = packed_array(x, 8)
    whole = np.frombuffer(base64.b64decode(found["int8"]), np.int8)
    scale = np.frombuffer(base64.b64decode(found["scale"]), "<f4")
    assert found["shape"] == (2, 3)
    assert whole.tolist() == [64, -127, 2, 0, 0, 0]  # 63.5 is rounded to the even number
    np.testing.assert_allclose(scale, [2 / 127, 1e-12 / 127], rtol=1e-6)
    for array, bits in ((x, 16), (x[0], 8)):
        found = packed_array(array, bits)
        halves = np.frombuffer(base64.b64decode(found["float16"]), "<f2").reshape(found["shape"])
        np.testing.assert_array_equal(halves, array.astype("f2"))


def test_arrays_are_in_base64() -> None:
    assert encoded(np.array([[1, 3], [2, 4]], np.int8).T) == "AQIDBA=="
    css = Path(pages.__file__).parent / "web" / "page.css"
    assert asset("page.css") == css.read_text(encoding="utf-8")


def test_the_scores_of_subwords_are_in_32_bits() -> None:
    options = {"model": "transformer", "source_tokens": "char", "target_tokens": "bpe"}
    model = {"options": options, "source": [], "target": ["a", "b"], "weights": {}}
    model["scores"] = {"target": [0.5, -3.0]}
    found = packed(model)["scores"]["target"]
    assert np.frombuffer(base64.b64decode(found), "<f4").tolist() == [0.5, -3.0]
    assert scripts_of(model) == ["text.js", "subwords.js", "model.js", "transformer.js"]
    assert scripts_of({"options": RNN}) == ["text.js", "model.js", "recurrent.js"]
    for weights in (np.ones((2, 2), np.int8), np.ones(2, bool)):
        with pytest.raises(ValueError, match=r"expected weights in floating point, got .* for w"):
            packed({"options": RNN, "source": [], "target": [], "weights": {"w": weights}})


def test_the_map_without_scripts() -> None:
    heads = [[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]]
    found = static_map(Trace("书店", "a shop", ["书", "店"], ["a", "<eos>"], {"cross": [heads]}))
    a, b = "\u2068", "\u2069"

    def cell(x: int, y: int, colour: str, row: str, column: str, share: int) -> str:
        title = f"{a}{row}{b} looks at {a}{column}{b}: {share} %"
        return (
            f'<rect x="{x}" y="{y}" width="25" height="25" fill="#{colour}">'
            f"<title>{title}</title></rect>"
        )

    text = f"{a}书店{b} → {a}a shop{b}"
    assert found == (
        '<figure class="scrolls"><svg xmlns="http://www.w3.org/2000/svg" width="115" height="83" '
        f'viewBox="0 0 115 83" role="img" aria-label="Attention: {text}">'
        f'<text x="66.0" y="15" transform="rotate(-60 66.0 15)">{a}书{b}</text>'
        f'<text x="92.0" y="15" transform="rotate(-60 92.0 15)">{a}店{b}</text>'
        f'<text x="47" y="39" text-anchor="end">{a}a{b}</text>'
        + cell(53, 21, "fee838", "a", "书", 100)
        + cell(79, 21, "00224e", "a", "店", 0)
        + f'<text x="47" y="65" text-anchor="end">{a}&lt;eos&gt;{b}</text>'
        + cell(53, 47, "3b496c", "&lt;eos&gt;", "书", 25)
        + cell(79, 47, "c3b369", "&lt;eos&gt;", "店", 75)
        + f"</svg><figcaption>{text}</figcaption></figure>"
    )


def test_texts_of_the_map_are_cut_and_made_harmless() -> None:
    assert safe("a" * 60) == "\u2068" + "a" * 60 + "\u2069"
    assert safe("a" * 61) == "\u2068" + "a" * 59 + "…\u2069"
    assert safe("<\0>") == "\u2068&lt;\ufffd&gt;\u2069"
    assert (widest([]), widest(["a", "abc"]), widest(["a" * 30])) == (1, 3, 20)


def test_the_map_as_text() -> None:
    cross = [[[[1.001, 0.0]]] * 24]  # the mean is rounded to a little more than 1.001
    assert as_text(Trace("", "", ["a\0", "b"], ["x"], {"cross": cross})) == "  a\ufffd b\nx ██"


def test_what_a_page_draws_of_a_trace() -> None:
    found = drawn(HEADS)
    assert [*found] == [
        "sentence", "translation", "source", "target", "attention", "probabilities", "entropies",
        "alternatives", "alternativeProbabilities", "covered", "gates", "words", "beam",
    ]  # fmt: skip
    for name in ("probabilities", "entropies", "covered"):
        assert found[name] == np.round(getattr(HEADS, name), 4).tolist()
    assert found["alternativeProbabilities"] == [[0.75, 0.125]] * 4
    assert (found["gates"], found["words"]) == ([], None)
    assert found["beam"]["parents"] == [[0, -1], [0, 0], [0, 0], [0, 0]]
    assert found["beam"].keys() == HEADS.beam.keys()  # type: ignore[union-attr]
    bare = drawn(Trace("", "", ["a"], ["x"], {"cross": [[[[1.0]]]]}))
    assert (bare["beam"], bare["probabilities"]) == (None, None)


def test_the_whole_text_of_a_page() -> None:
    page = page_of({"title": "a < b", "n": ["</script>", "书"]}, [BOOK, HEADS], ["text.js"])
    scripts = "\n".join(map(asset, ["text.js", "drawing.js", "pictures.js", "view.js"]))
    head, rest = page.text.split("<style>\n", 1)
    style, rest = rest.split("</style>", 1)
    body, script = rest.split("<script>\n", 1)
    assert "<title>a &lt; b</title>" in head
    assert style == asset("page.css")
    assert script == scripts + "</script>\n</body>\n</html>\n"
    assert body == (
        '\n</head>\n<body>\n<main>\n<div class="static">\n<h1>a &lt; b</h1>\n'
        f"{static_map(BOOK)}\n{static_map(HEADS)}\n"
        '</div>\n<div id="view"></div>\n</main>\n'
        '<script type="application/json" id="data">'
        '{"title":"a \\u003c b","n":["\\u003c/script>","书"]}</script>\n'
    )
    assert page.plain == f"{as_text(BOOK)}\n\n{as_text(HEADS)}"


def test_the_data_of_moments_go_by_sentence() -> None:
    moments = [[BOOK, HEADS], [HEADS, BOOK]]
    found = data_of(forming_page([10, 20], moments, [0.123456, 1]))
    assert found["title"] == "How the alignment formed"
    assert found["traces"] == [[drawn(BOOK), drawn(HEADS)], [drawn(HEADS), drawn(BOOK)]]
    assert (found["steps"], found["accuracy"]) == ([10, 20], [0.1235, 1])
    assert data_of(forming_page([1], [[BOOK]]))["accuracy"] is None
    page = forming_page([10, 20], moments, title="Other")
    assert data_of(page)["title"] == "Other"
    assert page.plain == f"{as_text(HEADS)}\n\n{as_text(BOOK)}"
    assert data_of(attention_page([BOOK]))["title"] == "Attention"


# --- in a browser ---------------------------------------------------------------------------------

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
needs_axe = pytest.mark.skipif(axe() is None, reason="needs node and axe-core, found by NODE_PATH")


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def opened(tab: Tab, tmp_path: Path) -> Any:
    """A function that opens a page; nothing may go wrong on it."""

    def open(page: Page, **window: Any) -> Tab:
        page.save(tmp_path / "page.html")
        tab.open(tmp_path / "page.html", **window)
        return tab

    yield open
    assert tab.faults == []


def label(tab: Tab) -> Any:
    return tab.run("document.activeElement.ariaLabel || document.activeElement.textContent")


@needs_chromium
def test_a_request_or_an_error_would_be_noticed(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<img src='other.png'><script>nothing.here</script>")
    tab.open(tmp_path / "bad.html")
    tab.run("0")
    assert any("other.png" in fault for fault in tab.faults)
    assert any("nothing is not defined" in fault for fault in tab.faults)


@needs_chromium
def test_the_map_has_every_weight_with_words(opened: Any) -> None:
    tab = opened(attention_page([BOOK]))
    assert tab.run("document.querySelectorAll('[role=grid] td[role=gridcell]').length") == 12
    weight = 100 * BOOK.attention["cross"][0, 0, 1, 1]
    cell = 'document.querySelector(\'td[data-row="1"][data-column="1"]\')'
    assert tab.run(f"{cell}.ariaLabel") == f"bought looks at 买: {weight:.0f} %"
    assert tab.run(f"{cell}.textContent") == f"{weight:.0f}"
    assert tab.run("document.querySelector('thead .token').lang") == "zh"
    assert tab.run("document.querySelector('.static')") is None


@needs_chromium
def test_arrow_keys_walk_through_the_map_and_tab_leaves_it(opened: Any) -> None:
    tab = opened(attention_page([BOOK]))
    tab.run("document.querySelector('td[tabindex=\"0\"]').focus()")
    assert label(tab).startswith("She looks at 她: ")
    tab.press("ArrowRight", "ArrowDown", "ArrowDown")
    assert label(tab).startswith("books looks at 买: ")
    assert tab.run("document.querySelector('#step h2').textContent") == "Step 3 of 4: books"
    tab.press("End", "ArrowRight")
    assert label(tab).startswith("books looks at 书: ")
    tab.press("Home", "ArrowUp", "ArrowUp", "ArrowUp")
    assert label(tab).startswith("She looks at 她: ")
    assert tab.run("document.querySelectorAll('td[tabindex=\"0\"]').length") == 1
    tab.press("Tab")
    assert tab.run("document.activeElement.tagName") != "TD"


@needs_chromium
def test_tab_and_arrow_keys_reach_every_word_of_the_pair(opened: Any) -> None:
    tab = opened(attention_page([BOOK]))
    seen = []
    for _ in range(5):
        tab.press("Tab")
        seen.append(tab.run("document.activeElement.dataset.column || ''"))
        if seen[-1] == "0":
            break
    tab.press("ArrowDown", "ArrowDown")
    assert label(tab) == "书"
    bright = "document.querySelectorAll('.pair path:not(.dim)')"
    assert tab.run(f"[...{bright}].every((path) => path.dataset.column === '2')")
    tab.press("Tab")
    assert label(tab) == "She"
    tab.press("End")
    assert label(tab) == "<eos>"
    assert tab.run("document.querySelector('#step h2').textContent") == "Step 4 of 4: <eos>"


@needs_chromium
def test_the_step_tells_probability_alternatives_and_what_hiding_does(opened: Any) -> None:
    tab = opened(attention_page([BOOK]))
    text = tab.run("document.querySelector('#step').innerText")
    weights = BOOK.attention["cross"][0, 0, 0]
    assert BOOK.probabilities is not None
    assert BOOK.entropies is not None
    assert BOOK.covered is not None
    assert f"looks at\n{BOOK.effective_words()[0]:.1f} words" in text
    assert f"hesitates between\n{np.exp(BOOK.entropies[0]):.1f} words" in text
    assert "another\t\n13 %" in text
    change = 100 * (BOOK.covered[0, 0] - BOOK.probabilities[0])
    assert f"{change:+.1f}".replace("-", "−") in text
    assert f"{100 * weights[0]:.1f} %" in text  # near 100 % tenths are shown


@needs_chromium
def test_all_layers_and_heads_can_be_chosen_and_shifted(opened: Any) -> None:
    tab = opened(attention_page([HEADS]))
    names = tab.run("[...document.querySelectorAll('#map option')].map((one) => one.textContent)")
    assert len(names) == 3 * (1 + 2 * (1 + 3)) + 1
    assert names[0] == "translation → source: mean of all"
    assert tab.run("document.querySelectorAll('.heads canvas').length") == 27
    first = 'document.querySelector(\'td[data-row="0"][data-column="1"]\').ariaLabel'
    mean = HEADS.attention["cross"].mean((0, 1))
    assert tab.run(first) == f"She looks at 买: {100 * mean[0, 1]:.0f} %"
    tab.run("document.getElementById('shift').click()")
    assert tab.run(first) == f"She looks at 买: {100 * mean[1, 1]:.0f} %"
    tab.run("document.getElementById('shift').click()")
    place = names.index("source → source: layer 2, head 3")
    tab.run(f"document.getElementById('map{place}').click()")
    weight = 100 * HEADS.attention["encoder"][1, 2, 0, 1]
    assert tab.run(first) == f"她 looks at 买: {weight:.0f} %"
    place = names.index("translation → source: layer 1, mean")
    tab.run(f"document.getElementById('map{place}').click()")
    assert "head 3" in tab.run("document.querySelector('.pair').parentNode.innerText")
    assert tab.run("new Set([...document.querySelectorAll('.pair path')].map("
                   "(path) => path.style.stroke)).size") == 3  # fmt: skip


@needs_chromium
def test_arrow_keys_go_from_head_to_head(opened: Any) -> None:
    tab = opened(attention_page([HEADS]))
    tab.run("document.getElementById('map0').focus()")
    tab.press("ArrowRight", "ArrowRight")
    assert label(tab) == "translation → source: L1 H1"
    assert tab.run("document.activeElement.ariaPressed") == "true"
    tab.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert label(tab) == "translation → translation: L2 H3"
    assert tab.run("document.querySelectorAll('.heads [tabindex=\"0\"]').length") == 1


@needs_chromium
def test_pieces_are_put_together_to_words(opened: Any) -> None:
    plain = trace(["▁un", "known", "▁书"], ["▁ne", "w", "▁book", "<eos>"], layers=1, heads=2)
    words = {
        "source": {"starts": [0, 2], "texts": ["unknown", "书"]},
        "target": {"starts": [0, 2, 3], "texts": ["new", "book", "<eos>"]},
    }
    tab = opened(attention_page([replace(plain, words=words)]))
    cells = "[...document.querySelectorAll('td[role=gridcell]')].map((one) => one.ariaLabel)"
    cross, encoder, decoder = (
        plain.attention[name].mean((0, 1)) for name in ("cross", "encoder", "decoder")
    )
    new, book, end = (cross[:2].mean(0), cross[2], cross[3])
    wanted = [
        f"{word} looks at {other}: {100 * weight:.0f} %"
        for word, row in zip(("new", "book", "<eos>"), (new, book, end), strict=True)
        for other, weight in (("unknown", row[0] + row[1]), ("书", row[2]))
    ]
    assert tab.run(cells) == wanted
    tab.run("document.querySelector('td[data-row=\"1\"]').click()")
    assert tab.run("document.querySelector('#step h2').textContent") == "Step 3 of 4: ▁book"
    names = tab.run("[...document.querySelectorAll('#map option')].map((one) => one.textContent)")
    # The decoder looks from <bos> on, and reads "new" in two steps, of which both look.
    place = names.index("translation → translation: mean of all")
    tab.run(f"document.getElementById('map{place}').click()")
    weight = decoder[1:3, 0].mean()
    assert f"new looks at <bos>: {100 * weight:.0f} %" in tab.run(cells)
    tab.run(f"document.getElementById('map{names.index('source → source: mean of all')}').click()")
    weight = encoder[:2, :2].sum(1).mean()
    assert tab.run(cells)[0] == f"unknown looks at unknown: {100 * weight:.0f} %"
    tab.run("document.getElementById('map0').click(); document.getElementById('pieces').click()")
    assert len(tab.run(cells)) == 12


@needs_chromium
def test_a_trace_of_attention_alone_is_drawn(opened: Any) -> None:
    cross = {"cross": BOOK.attention["cross"]}
    bare = Trace("她买书", "She bought books", BOOK.source, BOOK.target, cross)
    tab = opened(attention_page([bare]))
    assert tab.run("document.querySelectorAll('td[role=gridcell]').length") == 12
    assert "probability" not in tab.run("document.querySelector('#step').innerText")


@needs_chromium
def test_hostile_tokens_are_shown_and_do_nothing(opened: Any) -> None:
    tab = opened(attention_page([trace(HOSTILE, HOSTILE), BOOK]))
    shown = tab.run("[...document.querySelectorAll('tbody th .token')].map((x) => x.textContent)")
    pictures = {"a\0b": "a␀b", "\n": "␊", "": "∅"}
    assert shown[: len(HOSTILE)] == [pictures.get(token, token) for token in HOSTILE]
    assert tab.run("document.querySelectorAll('img, b').length") == 0
    assert tab.run("getComputedStyle(document.querySelector('.token')).unicodeBidi") == "isolate"


@needs_chromium
def test_colours_follow_the_reader(opened: Any) -> None:
    colours = [
        opened(attention_page([BOOK]), scheme=scheme).run(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


@needs_chromium
def test_nothing_moves_for_those_who_want_no_motion(opened: Any) -> None:
    seen = "getComputedStyle(document.querySelector('.pair path')).transitionDuration"
    page = attention_page([BOOK])
    assert [opened(page, motion=motion).run(seen) for motion in (True, False)] == ["0.15s", "0s"]


@needs_chromium
def test_sixty_tokens_fit_on_a_phone_and_on_a_desk(opened: Any) -> None:
    words = [f"word{i}" for i in range(60)]
    for width in (360, 1280):
        tab = opened(attention_page([trace(words, words)]), width=width)
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("document.querySelectorAll('td[role=gridcell]').length") == 3600


@needs_chromium
def test_without_scripts_the_alignment_stands_there(opened: Any) -> None:
    tab = opened(attention_page([BOOK]), scripts=False)
    assert tab.run("document.querySelectorAll('.static rect').length") == 12
    box = tab.run("document.querySelector('.static svg').getBoundingClientRect().height")
    assert box > 4 * 26
    title = tab.run("document.querySelector('.static rect title').textContent")
    assert re.sub("[\u2068\u2069]", "", title).startswith("She looks at 她: ")


@needs_chromium
def test_a_slider_goes_through_the_moments_of_training(opened: Any) -> None:
    moments = [[trace(list("她买书"), ["She", token, "<eos>"])] for token in ("a", "b", "c")]
    tab = opened(forming_page([1, 10, 100], moments, [0.1, 0.4, 0.9]))
    heads = "[...document.querySelectorAll('tbody th .token')].map((x) => x.textContent)[1]"
    assert tab.run(heads) == "c"
    tab.run("document.getElementById('moment').focus()")
    tab.press("ArrowLeft")
    assert tab.run(heads) == "b"
    assert tab.run("document.activeElement.id") == "moment"
    assert "step 10: 40 %" in tab.run("document.activeElement.ariaValueText")
    tab.press("Home")
    assert tab.run(heads) == "a"
    tab.run("document.getElementById('play').click()")
    assert tab.run("document.getElementById('play').textContent") == "Pause"
    tab.wait("document.getElementById('play').textContent === 'Play'")
    assert tab.run(heads) == "c"


@needs_chromium
def test_two_pages_in_one_notebook_do_not_disturb_each_other(tab: Tab, tmp_path: Path) -> None:
    both = [attention_page([one])._repr_html_() for one in (BOOK, HEADS)]
    (tmp_path / "notebook.html").write_text("<!DOCTYPE html>" + "".join(both), encoding="utf-8")
    tab.open(tmp_path / "notebook.html")
    counts = []
    for frame in tab.call("Page.getFrameTree")["frameTree"]["childFrames"]:
        world = tab.call("Page.createIsolatedWorld", frameId=frame["frame"]["id"])
        expression = "document.querySelectorAll('canvas').length"
        context = world["executionContextId"]
        found = tab.call("Runtime.evaluate", expression=expression, contextId=context)
        counts.append(found["result"]["value"])
    assert counts == [0, 27]
    assert tab.faults == []


@needs_chromium
@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["recurrent", "heads", "forming", "no scripts", "phone"])
def test_nothing_hinders_people(opened: Any, kind: str, scheme: str) -> None:
    if kind == "forming":
        page = forming_page([1, 10], [[BOOK], [BOOK]], [0.1, 0.9])
    else:
        page = attention_page([HEADS if kind == "heads" else BOOK, BOOK])
    width = 360 if kind == "phone" else 1280
    tab = opened(page, scheme=scheme, scripts=kind != "no scripts", width=width)
    assert tab.hindrances() == []
