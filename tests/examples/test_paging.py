"""Pages of translations: the command, and the model inside a page, which node and Chromium run."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Tab, axe, chromium
from translator.files import load_model, quantized
from translator.model import Translator, with_one_apostrophe
from translator.paging import page_of, parts_of
from translator.searching import GREEDY, Search
from translator.tracing import trace

import tinyattn as ta
from tinyattn.datasets import everyday
from tinyattn.text import (
    TOKENISERS,
    DataError,
    Vocab,
    learn_subwords,
    pieces_of,
    subword_tokeniser,
    word_starts,
)
from tinyattn.text.subwords import scores_of
from tinyattn.viz.pages import asset, drawn, packed

from .program import contents, refused, run
from .test_model import SCORES, tiny
from .test_prompt import typed

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
DIGITS = "一二三四五六七八"


SCRIPTS = ("text.js", "subwords.js", "model.js", "recurrent.js", "transformer.js")


def in_node(folder: Path, script: str, given: Any) -> Any:
    """What a script returns that has the model's scripts and `given`, as JSON."""
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    program = (
        "\n".join(map(asset, SCRIPTS)) + 'const files = require("fs");'
        'const given = JSON.parse(files.readFileSync("given.json", "utf8"));'
        f"const found = (() => {{ {script} }})();"
        'files.writeFileSync("found.json", JSON.stringify(found));'
    )
    (folder / "program.js").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [str(NODE), "program.js"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def halved(model: Translator) -> Translator:
    """The model with weights of 16 bits, as a page has them."""
    weights = model.state_dict().items()
    half = {name: ta.tensor(x.numpy().astype(np.float16).astype(np.float32)) for name, x in weights}
    model.load_state_dict(half)
    return model


# --- the command ----------------------------------------------------------------------------------


def test_translate_writes_a_page_beside_the_translation(toy: Any) -> None:
    page = toy.folder / "one.html"
    done = run(toy.folder, "translate", "一二三。", "--model", "toy", "--page", "one.html")
    assert (done.stdout, done.stderr) == ("three two one.\n", "")
    text = page.read_text(encoding="utf-8")
    assert '"translation":"three two one."' in text
    assert "class Model" not in text
    lines = "一二三。\n\n八七。\nxyz\n".encode()
    use = ("translate", "--model", "toy", "--page", "more.html", "--with-model", "--beam", "3")
    done = run(toy.folder, *use, stdin=lines)
    plain = run(toy.folder, "translate", "--model", "toy", "--beam", "3", stdin=lines)
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    assert done.stdout.count("\n") == 4
    text = (toy.folder / "more.html").read_text(encoding="utf-8")
    assert text.count('"translation":') == 2
    assert "class Model" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("一", "--page", "no/page.html"), "no/page.html: expected a file to write to: No such"),
        (
            ("一", "--page", "no\n/page.html"),
            "no\\n/page.html: expected a file to write to: No such",
        ),
        (("一", "--page", "."), ".: expected a file to write to: "),
        (("一", "--with-model"), "--with-model: expected --page with it"),
        (("xyz", "--page", "x.html"), "--page: expected a sentence with words of the training"),
        (("--file", "many", "--page", "x.html"), "--page: expected at most 100 sentences, got 101"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused(
    toy: Any, arguments: tuple[str, ...], says: str
) -> None:
    (toy.folder / "many").write_text("一。\n" * 101, encoding="utf-8")
    refused(toy.folder, "translate", *arguments, "--model", "toy", says=says)


def test_a_model_that_a_page_cannot_run_is_refused_by_its_option() -> None:
    model = tiny("").float()
    model.options["source_tokens"] = "syllable"
    with pytest.raises(DataError, match=r"^--with-model: expected source tokens that a page can"):
        page_of(model, ["一"], GREEDY, with_model=True)
    assert '"cross":' in page_of(model, ["一"], GREEDY, with_model=False).text


def test_a_quantised_model_is_not_put_into_a_page() -> None:
    model = quantized(tiny("").float())
    with pytest.raises(DataError, match=r"^--with-model: expected weights in floating point, got"):
        page_of(model, ["一"], GREEDY, with_model=True)


def test_the_prompt_writes_a_page_of_its_sentences(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    model = load_model(str(toy.folder / "toy")).model
    lines = (":page", "一二。", "三。", ":page", ":page", ":page my page.html", ":page no/x.html")
    typed(model, monkeypatch, *lines)
    out, error = capsys.readouterr()
    assert out.splitlines()[-4:-1] == ["page.html", "page-2.html", "my page.html"]
    assert error.splitlines() == [
        "translate.py: --page: expected a sentence with words of the training data, got none",
        "translate.py: no/x.html: expected a file to write to: No such file or directory",
    ]
    assert sorted(Path(path).name for path in contents(tmp_path)) == [
        "my page.html",
        "page-2.html",
        "page.html",
    ]
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count('"translation":') == 2


# --- the model in JavaScript ----------------------------------------------------------------------

TEXTS = [
    *("我有3本书。", "Don't learn C++!", "the students' room", '"red" and "blue"', "“红”“黄”"),
    *("a  b\t c", "caf\u0065\u0301", "l’eau, d’abord", "U.S.A. 3.5 10:30 a-b", "‿ ␣x y‿", "？ ! ?"),
    *("👩‍👩‍👧 ok", "🇨🇳🇫🇷", "สวัสดี hello", "नमस्ते दुनिया", "می‌خواهم", "a\u200bb", "x²", "_a b_", ""),
    *("“Hello”, he said.", "100%,no", "ǅ ß İ", "一 二", "C# F# (a) [b]", "don’t I'll we've"),
    "ﾃﾚﾋﾞを見る Tom",
]


@needs_node
@pytest.mark.parametrize("name", TOKENISERS)
def test_text_is_cut_and_put_together_as_in_python(name: str, tmp_path: Path) -> None:
    cut, joined = in_node(
        tmp_path,
        f"const {'{'} tokenize, detokenize {'}'} = TOKENISERS.{name};"
        "const cut = given.map(tokenize); return [cut, cut.map(detokenize)];",
        TEXTS,
    )
    tokeniser = TOKENISERS[name]
    assert cut == [tokeniser.tokenize(text) for text in TEXTS]
    assert joined == [tokeniser.detokenize(tokens) for tokens in cut]


@needs_node
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_text_is_cut_into_subwords_as_by_sentencepiece(kind: str, tmp_path: Path) -> None:
    """Of the built-in corpus and of ManyThings-like texts; bytes in any order are text again."""
    pytest.importorskip("sentencepiece")
    learnt = [text for pair in everyday.generate(600, seed=0) for text in pair]
    model = learn_subwords(learnt, kind, 900)
    texts = [text for pair in everyday.generate(100, seed=1) for text in pair]
    texts += [*TEXTS, "▁ a▁b", "a\0b", "ĳ ﬁ", "\u2028 x", "zzzzzzzz" * 9, "他" * 70]
    tokens = ["<0xE4>", "<0xBB>", "<0x96>", "a", "<0xE4>", "<0xBB>", "▁b", "<0xFF>", "<0xF0>"]
    tokens += ["<0xC0>", "<0x80>", "<0xED>", "<0xA0>", "<0x80>", "<0x0A>", "\uf8ff", "<0xF0>"]
    mixed = [tokens, tokens[1:], tokens[4:7], tokens[5:], tokens[::-1]]
    pieces = {"pieces": pieces_of(model), "scores": scores_of(model)}
    cut, joined, words, text = in_node(
        tmp_path,
        f'const {{ tokenize, detokenize, words }} = subwords("{kind}", given.pieces, given.scores);'
        "const cut = given.texts.map(tokenize);"
        "return [cut, cut.map(detokenize), cut.map(words), given.mixed.map(detokenize)];",
        {**pieces, "texts": texts, "mixed": mixed},
    )
    tokeniser = subword_tokeniser(model)
    assert cut == [tokeniser.tokenize(text) for text in texts]
    assert joined == [tokeniser.detokenize(tokens) for tokens in cut]
    assert [one["starts"] for one in words] == [word_starts(tokens) for tokens in cut]
    assert text == [tokeniser.detokenize(tokens) for tokens in mixed]


@needs_node
def test_every_number_of_16_bits_is_read(tmp_path: Path) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    found = in_node(
        tmp_path, "return Array.from({ length: 65536 }, (_, i) => String(float16(i)));", None
    )
    values = np.array([float(x.replace("Infinity", "inf")) for x in found])
    np.testing.assert_array_equal(values, bits.view(np.float16).astype(np.float64))


OPTIONS = [
    *(f"--score {score}" for score in SCORES),
    "--query before",
    "--query before --cell lstm --layers 2 --score general",
    "--layers 2 --no-bidirectional",
    "--cell lstm",
    "--model transformer --heads 2 --feed-forward 6",
]


@needs_node
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("beam", [1, 4])
def test_a_trace_in_javascript_is_the_trace_in_python(
    options: str, beam: int, tmp_path: Path
) -> None:
    """Each option, with first weights: all numbers, not only the tokens."""
    model = tiny(options).float()
    out = model.model.out if "transformer" in options else model.model.decoder.out
    out.bias.data[2] = 0.4  # some sentences end
    halved(model)
    sentences = ["一二三", "四", "猫三"]
    found = in_node(
        tmp_path,
        "const model = modelOf(given.model);"
        "return given.sentences.map((sentence) => "
        "  { const one = model.trace(sentence, { beam: given.beam });"
        "    one.covered = one.cover(); return one; });",
        {"model": packed(parts_of(model)), "sentences": sentences, "beam": beam},
    )
    for sentence, mine in zip(sentences, found, strict=True):
        wanted = drawn(trace(model, sentence, Search(beam=beam)))
        assert mine.keys() == wanted.keys()
        for name in ("sentence", "translation", "source", "target"):
            assert mine[name] == wanted[name], name
        for name in ("probabilities", "entropies", "alternativeProbabilities", "covered"):
            np.testing.assert_allclose(mine[name], wanted[name], atol=2e-4, err_msg=name)
        assert mine["attention"].keys() == wanted["attention"].keys()
        for name, weights in wanted["attention"].items():
            np.testing.assert_allclose(mine["attention"][name], weights, atol=2e-4, err_msg=name)
        for one, other in zip(mine["gates"], wanted["gates"], strict=True):
            assert one["name"] == other["name"]
            assert one["tokens"] == other["tokens"]
            for line, values in other["lines"].items():
                start = 1 if values[0] is None else 0
                np.testing.assert_allclose(one["lines"][line][start:], values[start:], atol=2e-4)
        if beam > 1:
            assert mine["beam"]["tokens"] == wanted["beam"]["tokens"]
            assert mine["beam"]["parents"] == wanted["beam"]["parents"]
            for name in ("sums", "score", "step", "slot"):
                np.testing.assert_allclose(mine["beam"][name], wanted["beam"][name], atol=5e-4)


@needs_node
def test_a_translation_goes_on_from_another_word(toy: Any, tmp_path: Path) -> None:
    model = load_model(str(toy.folder / "toy")).model
    found = in_node(
        tmp_path,
        "const model = modelOf(given);"
        'return [[], ["one"], ["three", "<eos>"]].map((prefix) =>'
        '  model.trace("一二三。", { beam: 2, prefix }).target);',
        packed(parts_of(model)),
    )
    assert found[0] == ["three", "two", "one", ".", "<eos>"]
    assert found[1][0] == "one"
    assert found[2] == ["three", "<eos>"]


@needs_node
def test_a_page_reads_capital_letters_as_small_ones_where_python_does(tmp_path: Path) -> None:
    model = tiny("")
    given = packed(parts_of(model))
    read = "return modelOf(given).read.tokenize('EIN Mann');"
    assert in_node(tmp_path, read, given) == ["EIN", "Mann"]
    given["options"]["lower"] = True
    assert in_node(tmp_path, read, given) == ["ein", "mann"]
    given["options"]["dotless"] = True
    read = read.replace("EIN Mann", "IŞIK İzmir")
    assert in_node(tmp_path, read, given) == ["ışık", "izmir"]


@needs_node
@pytest.mark.parametrize("words", [["don't"], ["don’t"], ["don't", "l’eau"], ["dont"]])
def test_a_page_reads_apostrophes_as_python_does(tmp_path: Path, words: list[str]) -> None:
    model = tiny("")
    tokens = [*words, *model.source.to_list()[len(words) :]]
    given = {**packed(parts_of(model)), "source": tokens}
    found = in_node(tmp_path, "return modelOf(given).read.tokenize('don’t l\\'eau');", given)
    read = with_one_apostrophe(model.read, Vocab(tokens)).tokenize
    assert found == read("don’t l'eau")
    one = {("don't",): "'", ("don’t",): "’"}.get(tuple(words))
    assert found == [f"don{one or '’'}t", f"l{one or chr(39)}eau"]


@needs_node
@pytest.mark.parametrize(("bits", "least"), [(16, 200), (8, 198)])
def test_tokens_equal_pythons_on_200_sentences(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, least: int
) -> None:
    """Weights of 16 bits are compared with the same weights, those of 8 bits with the full ones."""
    if bits == 8:
        monkeypatch.setattr("tinyattn.viz.pages.INT8_FROM", 0)
    model = load_model(str(toy.folder / "toy")).model
    draw = np.random.default_rng(1).integers(0, len(DIGITS), (200, 6))
    sentences = ["".join(DIGITS[i] for i in row[: 1 + n % 6]) + "。" for n, row in enumerate(draw)]
    given = {"model": packed(parts_of(model)), "sentences": sentences}
    if bits == 16:
        halved(model)
    found = in_node(
        tmp_path,
        "const model = modelOf(given.model);"
        "return [1, 5].map((beam) => given.sentences.map((sentence) =>"
        "  model.trace(sentence, { beam }).translation));",
        given,
    )
    for beam, mine in zip((1, 5), found, strict=True):
        wanted = [one.text for one in model.translate(sentences, Search(beam=beam))]
        assert sum(a == b for a, b in zip(mine, wanted, strict=True)) >= least


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as tab:
        yield tab


@needs_chromium
def test_a_sentence_is_typed_and_translated_in_the_page(toy: Any, tab: Tab, tmp_path: Path) -> None:
    model = load_model(str(toy.folder / "toy")).model
    page_of(model, ["八。"], GREEDY, with_model=True).save(tmp_path / "page.html")
    tab.open(tmp_path / "page.html")
    tab.run("document.getElementById('text').select(); document.getElementById('text').focus()")
    tab.type("一二三。")
    tab.press("Enter")
    sentences = "[...document.querySelectorAll('.sentence')].map((one) => one.textContent)"
    assert tab.run(sentences) == ["一二三。", "→ three two one."]
    assert re.fullmatch(r"Translated in \d+ ms\.", tab.run("state.message"))
    # What hiding words changes comes after the translation.
    tab.wait("document.querySelector('#step').innerText.includes('probability when hidden')")
    assert tab.run("document.querySelectorAll('#sentence option').length") == 2
    tab.run("[...document.querySelectorAll('#step button')].at(1).click()")  # the second best word
    second = tab.run("current().alternatives[0]")
    assert tab.run("current().target[0]") in second[:2]
    assert tab.run("document.querySelectorAll('#sentence option').length") == 3
    if axe() is not None:
        assert tab.hindrances() == []
    for text, says in (
        (" ", "Type a sentence first."),
        ("xyz", "The model knows none of these words."),
    ):
        tab.run(f"document.getElementById('text').value = '{text}'")
        tab.run("document.getElementById('translate').click()")
        assert tab.run("state.message") == says
    assert tab.faults == []
