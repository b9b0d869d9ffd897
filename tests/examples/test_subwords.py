"""The translator with subwords: trained, saved, loaded, its attention shown by words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translator.evaluation import by_words
from translator.files import load_model
from translator.paging import page_of, parts_of
from translator.searching import GREEDY
from translator.tracing import trace

import tinyattn as ta
from tinyattn.viz.pages import packed

from .program import LEARN, TOY, refused, run
from .test_paging import DIGITS, halved, in_node, needs_node

pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module")
def pieces(toy: Any) -> Path:
    """A model with subwords of both sides."""
    given = ("--tokens", "bpe", "--pieces", "300", "--out", "bpe", "--epochs", "20")
    done = run(toy.folder, *TOY, *LEARN, *given)
    assert done.returncode == 0, done.stderr
    assert "tok:13a" in done.stdout
    return toy.folder / "bpe"


def test_a_model_keeps_its_subwords_and_translates_any_text(toy: Any, pieces: Path) -> None:
    (pieces / "model.safetensors").rename(pieces.parent / "moved")
    use = ("translate", "--model", "moved")
    done = run(toy.folder, *use, stdin="一二三。\n猫 \U0001f600\nabc\n".encode())
    (pieces.parent / "moved").rename(pieces / "model.safetensors")
    first, second, third = done.stdout.splitlines()
    assert first == "three two one."
    assert second
    assert third
    assert done.returncode == 0


def test_attention_is_shown_by_words(pieces: Path) -> None:
    model = load_model(str(pieces)).model
    (one,) = model.translate(["五四三。"])
    source, target, weights = by_words(model, one)
    assert target == ["three", "four", "five", ".", "<eos>"]
    assert "".join(source) == "五四三。"
    assert weights.shape == (len(target), len(source))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    last = one.weights[-1].sum()
    assert weights[-1].sum() == pytest.approx(last, rel=1e-5)


def test_a_trace_shows_the_pieces_that_the_model_reads_and_writes(pieces: Path) -> None:
    model = load_model(str(pieces)).model
    (one,) = model.translate(["五四三。"])
    found = trace(model, "五四三。")
    assert (found.source, found.target) == (one.source, [*one.target, "<eos>"])
    assert found.translation == "three four five."
    np.testing.assert_allclose(found.attention["cross"][0, 0], one.weights, atol=1e-6)
    assert found.words is not None
    assert found.words["target"]["texts"] == ["three", "four", "five", ".", "<eos>"]
    assert "".join(found.words["source"]["texts"]) == "五四三。"
    starts = found.words["target"]["starts"]
    assert [found.target[start] for start in starts][-1] == "<eos>"
    assert all(found.target[start].startswith("▁") for start in starts[:3])


@needs_node
def test_a_page_translates_as_python_does(pieces: Path, tmp_path: Path) -> None:
    """200 sentences, of which some have characters that training has not seen."""
    model = halved(load_model(str(pieces)).model)
    draw = np.random.default_rng(1).integers(0, len(DIGITS), (200, 6))
    sentences = ["".join(DIGITS[i] for i in row[: 1 + n % 6]) + "。" for n, row in enumerate(draw)]
    sentences[::20] = [sentence + "猫é" for sentence in sentences[::20]]
    given = {"model": packed(parts_of(model)), "sentences": sentences}
    found = in_node(
        tmp_path,
        "const model = modelOf(given.model);"
        "return given.sentences.map((sentence) => model.trace(sentence));",
        given,
    )
    wanted = model.translate(sentences)
    assert [one["source"] for one in found] == [one.source for one in wanted]
    ends = [["<eos>"] * one.finished for one in wanted]
    targets = [[*one.target, *end] for one, end in zip(wanted, ends, strict=True)]
    assert [one["target"] for one in found] == targets
    assert [one["translation"] for one in found] == [one.text for one in wanted]
    for mine in found[:2]:
        assert mine["words"] == trace(model, mine["sentence"]).words
    page = page_of(model, sentences[:1], GREEDY, with_model=True).text
    assert page.count("const CUTS") == 1


def test_subwords_that_are_missing_or_too_few_are_a_line(toy: Any, pieces: Path) -> None:
    refused(toy.folder, *TOY, "--tokens", "bpe", "--pieces", "9", says="--pieces: size: expected")
    saved = ta.load(pieces / "model.safetensors")
    for wrong in ({}, {"source": 3}, {**saved["pieces"], "source": ta.zeros(3, dtype=ta.uint8)}):
        ta.save({**saved, "pieces": wrong}, toy.folder / "changed")
        says = "changed: expected a model that `train` saved"
        refused(toy.folder, "translate", "一", "--model", "changed", says=says)
