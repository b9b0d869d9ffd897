"""Scores by hand: exact match and its interval, groups of one length, alignment."""

import math
from typing import Any

import numpy as np
import pytest
from translator.model import Translation
from translator.scores import Quality, alignment, bleu_tokeniser, by_length, interval, spans

from tinyattn.text import TOKENISERS


def said(source: str, text: str, rows: list[int]) -> Translation:
    """A translation whose tokens look at these source tokens; `source` a token a character."""
    tokens, target = list(source), text.replace(".", " .").split()
    weights = np.full((len(target), len(tokens)), 0.1)
    weights[np.arange(len(target)), rows] = 0.5
    return Translation(text, text, tokens, target, weights, True, None)


class Model:
    def __init__(self, source: str, target: str) -> None:
        self.read, self.write = TOKENISERS[source], TOKENISERS[target]


def test_alignment_counts_the_words_whose_equivalent_is_known() -> None:
    """reporter (记者, either character), three (三), cats (猫): the middle one looks elsewhere."""
    one = said("那位记者有三只猫。", "That reporter has three cats.", [0, 3, 4, 4, 7, 8])
    found = Quality({"那位记者有三只猫。": [one.text]}, [one], "13a", 1.0)
    model: Any = Model("char", "word")
    assert alignment(model, found) == (2, 3)
    found.references["那位记者有三只猫。"] = ["Something else."]
    assert alignment(model, found) == (0, 0)  # a wrong translation says nothing
    model = Model("word", "char")
    turned = Translation(
        "三只猫。", "", ["Three", "cats", "."], list("三只猫。"), np.eye(4, 3), True, None
    )
    found = Quality({"Three cats.": ["三只猫。"]}, [turned], "zh", 1.0)
    assert alignment(model, found) == (1, 2)  # 三 at Three, but 猫 at the full stop


def test_tokens_stand_where_their_characters_do() -> None:
    assert spans(["Don't", "␣,", "go", "‿go"], TOKENISERS["word"]) == (
        "Don't , gogo",
        [(0, 5), (6, 7), (8, 10), (10, 12)],
    )


def test_an_interval_holds_its_share_and_is_that_of_wilson() -> None:
    assert interval(0.5, 100) == pytest.approx((0.4038315, 0.5961685), abs=1e-6)
    assert interval(1.0, 10) == pytest.approx((0.7224672, 1.0), abs=1e-6)
    assert interval(0.0, 10)[0] == 0.0


def test_each_length_stands_in_one_group() -> None:
    lengths = [2, 2, 2, 3, 4, 4, 5, 9]
    found = [said("一" * n, "a b c d" if n < 5 else "x y z w", [0] * 4) for n in lengths]
    references = {f"{place}": ["a b c d"] for place in range(len(found))}
    rows = by_length(Quality(references, found, "13a", 1.0))
    assert [row[:2] for row in rows] == [("2", 3), ("3", 1), ("4", 2), ("5-9", 2)]
    assert [row[3] for row in rows] == [1.0, 1.0, 1.0, 0.0]
    assert [math.isclose(row[2], 100.0) for row in rows] == [True, True, True, False]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("我喜欢喝茶和OK。", "zh"),
        ("私は本を読みました。", "char"),
        ("ฉันไปโรงเรียน", "char"),
        ("ខ្ញុំទៅសាលា", "char"),
        ("저는 학교에 갑니다.", "13a"),
        ("نعم، قليلاً.", "13a"),
        ("123 !", "13a"),
    ],
)
def test_bleu_counts_pieces_of_the_script(target: str, kind: str) -> None:
    """A Japanese or Thai sentence of one "word" would have no four words in a row to count."""
    assert bleu_tokeniser([target, target]) == kind
    pytest.importorskip("sacrebleu")
    long = " ".join([target] * 3)
    found = Translation(long, long, [], [], np.zeros((0, 0)), True, None)
    assert 50 < Quality({"a": [f"{long} x"]}, [found], kind, 1.0).bleu < 100
