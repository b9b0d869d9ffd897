"""Sampling: what may be drawn, how often, and that a seed says everything."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.text.search import Found
from tinyattn.text.search_sample import narrowed, sample
from tinyattn.text.vocab import BOS, EOS, PAD

P = {EOS: 0.1, 4: 0.5, 5: 0.25, 6: 0.15}  # the same at every step
WITH_PAD = np.array([3.0, 3.0, 0.1, 0.0, 0.5, 0.25, 0.15])


def drawn(sentences: int, p: Any = WITH_PAD, **options: Any) -> list[Found]:
    with np.errstate(divide="ignore"):
        scores = np.log(p)

    def step(tokens: ta.Tensor, state: int) -> Any:
        rows = len(tokens)
        return ta.tensor(np.tile(scores, (rows, 1))), ta.ones(rows, 2), state

    return sample(step, 0, [1] * sentences, **{"factor": 0, "extra": 20, **options})


def test_without_options_the_room_is_twice_the_source_and_50_more() -> None:
    def step(tokens: ta.Tensor, state: int) -> Any:
        return ta.tensor([[-np.inf] * 5 + [0.0]] * len(tokens)), ta.ones(len(tokens), 2), state

    (found,) = sample(step, 0, [10])
    assert found.ids == [5] * 70


def shares(found: list[Found]) -> dict[int, float]:
    """How often each token comes, the ends included."""
    tokens = [token for one in found for token in [*one.ids, *[EOS] * one.finished]]
    return {token: tokens.count(token) / len(tokens) for token in set(tokens)}


def test_tokens_come_as_often_as_their_probabilities_say() -> None:
    """About 4,000 draws: four standard deviations are 0.03."""
    got = shares(drawn(500))
    assert got.keys() == P.keys()  # neither padding nor the begin of a sentence
    for token, p in P.items():
        assert got[token] == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))


def test_a_temperature_sharpens_or_flattens() -> None:
    squares = {token: p**2 for token, p in P.items()}
    got = shares(drawn(500, temperature=0.5))
    for token, p in squares.items():
        assert got[token] == pytest.approx(p / sum(squares.values()), abs=0.03)
    assert shares(drawn(20, temperature=1e-6)) == {4: 1.0}
    assert shares(drawn(500, temperature=1e6))[6] == pytest.approx(0.25, abs=0.04)


def test_only_the_k_most_probable_are_drawn() -> None:
    assert set(shares(drawn(100, top_k=2))) == {4, 5}
    assert shares(drawn(100, top_k=2))[4] == pytest.approx(2 / 3, abs=0.05)
    assert set(shares(drawn(20, top_k=1))) == {4}


def test_only_the_nucleus_is_drawn() -> None:
    assert set(shares(drawn(100, top_p=0.7))) == {4, 5}
    assert set(shares(drawn(100, top_p=0.8))) == {4, 5, 6}
    assert set(shares(drawn(20, top_p=1e-9))) == {4}


def test_top_p_is_a_share_of_what_top_k_leaves() -> None:
    p = np.array([[0.5, 0.25, 0.15, 0.1]])
    assert narrowed(p, 2, 0.6).tolist() == [[0.5, 0, 0, 0]]  # 0.5 of 0.75 is more than 0.6
    assert narrowed(p, 2, 0.7).tolist() == [[0.5, 0.25, 0, 0]]
    assert narrowed(p, 0, 0.6).tolist() == [[0.5, 0.25, 0, 0]]
    assert narrowed(p, 9, 1.0).tolist() == p.tolist()


def test_of_equally_probable_tokens_the_first_are_kept() -> None:
    p = np.full((2, 4), 0.25)
    assert narrowed(p, 2, 1.0).tolist() == [[0.25, 0.25, 0, 0]] * 2
    assert narrowed(p, 0, 0.5).tolist() == [[0.25, 0.25, 0, 0]] * 2


def test_of_many_equally_probable_tokens_the_first_are_kept() -> None:
    p = np.tile([0.1, 0.2], 50)[None]
    assert np.flatnonzero(narrowed(p, 3, 1.0)).tolist() == [1, 3, 5]


def test_a_share_of_1_leaves_nothing_out() -> None:
    assert narrowed(np.array([[1.0, 1e-20]]), 0, 1.0).tolist() == [[1.0, 1e-20]]


def test_the_smallest_number_that_is_drawn_takes_no_impossible_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = SimpleNamespace(random=lambda: 0.0)
    monkeypatch.setattr(np.random, "Generator", lambda bits: generator)
    assert ids(drawn(1, p=np.array([0, 0, 0, 0, 0.5, 0.5, 0]), extra=2)) == [[4, 4]]


def ids(found: list[Found]) -> list[list[int]]:
    return [one.ids for one in found]


def test_a_seed_says_everything_and_the_number_of_a_sentence_its_own_part() -> None:
    first = ids(drawn(6, seed=3))
    assert ids(drawn(6, seed=3)) == first
    assert ids(drawn(6)) == ids(drawn(6, seed=0))
    assert ids(drawn(6, seed=4)) != first
    assert len({tuple(one) for one in first}) > 1
    assert ids(drawn(2, seed=3, numbers=[5, 1])) == [first[5], first[1]]


def test_no_run_of_tokens_comes_twice() -> None:
    for one in drawn(20, no_repeat=1):
        assert len(one.ids) == len(set(one.ids))
        assert one.finished
        assert set(one.ids) <= {4, 5, 6}


def test_a_sample_without_end_is_cut() -> None:
    (one,) = drawn(1, p=np.array([0, 0, 0, 0, 0.5, 0.5, 0]), extra=5)
    assert (len(one.ids), one.finished, one.weights.shape) == (5, False, (5, 2))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0.0}, r"^temperature: expected a number above 0, got 0.0$"),
        ({"temperature": math.nan}, r"^temperature: expected a number above 0, got nan$"),
        ({"temperature": math.inf}, r"^temperature: expected a number above 0, got inf$"),
        ({"seed": -1}, r"^seed: expected a whole number from 0, got -1$"),
        ({"top_k": -1}, r"^top_k: expected at least 0 \(0 for all tokens\), got -1$"),
        ({"top_p": 0.0}, r"^top_p: expected a share above 0, at most 1, got 0.0$"),
        ({"top_p": 1.1}, r"^top_p: expected a share above 0, at most 1, got 1.1$"),
        ({"top_p": math.nan}, r"^top_p: expected a share above 0, at most 1, got nan$"),
        ({"no_repeat": -1}, r"^no_repeat: expected at least 0, got -1$"),
    ],
)
def test_wrong_arguments_are_named(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        drawn(1, **options)


def test_padding_is_never_drawn() -> None:
    assert not {PAD, BOS} & set(shares(drawn(100)))
