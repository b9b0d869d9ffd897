"""How the alignment formed: which moments of a training are kept, and what they hold."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translator.forming import Watched, moments, weights_of, write_forming
from translator.scores import rendered
from translator.tracing import forced

import tinyattn as ta
from tinyattn.viz import Trace

from .test_model import PAIRS, tiny

KINDS = ["", "--query before", "--model transformer --heads 2 --feed-forward 6"]


def test_moments_are_even_on_a_logarithmic_axis_and_begin_and_end_with_the_training() -> None:
    assert moments(2048) == [2**i for i in range(12)]
    assert moments(1) == [1]
    assert moments(5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("options", KINDS)
def test_weights_of_many_pairs_are_those_of_each(options: str) -> None:
    model = tiny(options).eval()
    pairs = model.ids(PAIRS) * 60
    found = weights_of(model, pairs)
    assert [w.shape for w in found[:4]] == [(4, 3), (2, 1), (3, 2), (3, 2)]
    watched = Watched(model, pairs)
    for pair, weights in zip(pairs[:4], found, strict=False):
        seen = forced(model, watched.tokens(pair)[0], pair[1])
        trace = Trace.from_dict(watched.trace(pair, seen))
        last = trace.attention["cross"][-1].mean(0)
        np.testing.assert_allclose(weights, last, atol=1e-4)


def test_the_accuracy_is_the_share_of_words_that_look_at_what_they_render(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny("")
    watched = Watched(model, model.ids([("一二", "one two"), ("三", "three")]))
    looks = [np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]), np.array([[1.0], [1.0]])]
    monkeypatch.setattr("translator.forming.weights_of", lambda *_: looks)
    watched.gold = [[(0, {0}), (1, {1})], [(0, {0})]]
    assert watched.accuracy() == pytest.approx(2 / 3, abs=1e-4)
    watched.gold = [[], []]
    assert watched.accuracy() is None


def test_the_gold_is_what_the_lexicon_knows() -> None:
    model = tiny("")
    source, target = list("那位记者有三只猫。"), ["That", "reporter", "has", "three", "cats", "."]
    assert rendered(model, source, target) == [(1, {2, 3}), (3, {5}), (4, {7})]


@pytest.mark.parametrize("options", KINDS)
def test_a_moment_is_plain_and_makes_a_page(options: str, tmp_path: Path) -> None:
    model = tiny(options)
    watched = Watched(model, model.ids(PAIRS))
    seen = [watched.moment(step) for step in (1, 10)]
    assert json.loads(json.dumps(seen)) == seen
    write_forming(seen, tmp_path)
    text = (tmp_path / "forming.html").read_text(encoding="utf-8")
    assert '"steps":[1,10]' in text
    assert '"sentence":"一二三"' in text
    write_forming([], tmp_path / "nowhere")


def test_a_model_that_ran_away_has_no_moment() -> None:
    model = tiny("")
    model.model.decoder.out.weight.data[:] = np.inf
    assert Watched(model, model.ids(PAIRS)).moment(1) is None
    assert Watched(tiny(""), [([], [4])]).moment(1) is None


def test_sentences_that_are_shown_are_of_different_lengths_and_fit() -> None:
    model = tiny("")
    pairs = [([4] * n, [4] * 3) for n in range(1, 40)] + [([], [4])]
    lengths = [len(pair[0]) for pair in Watched(model, pairs).shown]
    assert lengths == [20, 14, 8]
    assert [len(pair[0]) for pair in Watched(model, pairs[30:32]).shown] == [31]
    assert Watched(model, []).shown == []


def test_looking_changes_nothing_of_a_training() -> None:
    model = tiny("--dropout 0.5")
    before, random = dict(model.state_dict()), ta.get_rng_state().numpy()
    Watched(model, model.ids(PAIRS)).moment(1)
    np.testing.assert_array_equal(ta.get_rng_state().numpy(), random)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), before[name].numpy())


def test_a_training_leaves_its_page(builtin: Any) -> None:
    text = (builtin.folder / "runs" / "translate" / "forming.html").read_text(encoding="utf-8")
    steps = json.loads(re.findall(r'"steps":(\[[\d,]+\])', text)[0])
    accuracy = json.loads(re.findall(r'"accuracy":(\[[\d.,]+\])', text)[0])
    assert steps[0] == 1
    assert len(accuracy) == len(steps) >= 5
    assert "forming.html" in builtin.stdout
