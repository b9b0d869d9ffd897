"""Greedy search over a step that reads its answers from a table."""

from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.text.search import greedy
from tinyattn.text.vocab import BOS, EOS, PAD

V, TK = 8, 3


def says(*answers: list[int]) -> Any:
    """A step whose row b takes the tokens answers[b] in turn; its state is the number of steps, its
    weights tell row and step. It checks that it is given the token it took last."""

    def step(tokens: ta.Tensor, t: int) -> tuple[ta.Tensor, ta.Tensor, int]:
        scores = np.zeros((len(answers), V), np.float32)
        weights = np.zeros((len(answers), TK), np.float32)
        for b, answer in enumerate(answers):
            if t <= len(answer):
                assert tokens[b].item() == (BOS if t == 0 else answer[t - 1])
            scores[b, answer[t] if t < len(answer) else EOS] = 1
            weights[b] = b, t, 0
        return ta.from_numpy(scores), ta.from_numpy(weights), t + 1

    return step


def test_each_sentence_ends_at_its_own_end_of_sentence() -> None:
    ids, weights = greedy(says([5, 6, EOS], [EOS], [4, 4, 4, 4]), 0, size=3, max_length=10)
    assert ids == [[5, 6], [], [4, 4, 4, 4]]
    assert [w.shape for w in weights] == [(3, TK), (1, TK), (5, TK)]


def test_weights_are_of_their_sentence_and_step() -> None:
    _, weights = greedy(says([5, 6], [7]), 0, size=2, max_length=10)
    assert [[tuple(row[:2]) for row in w] for w in weights] == [
        [(0, 0), (0, 1), (0, 2)],
        [(1, 0), (1, 1)],
    ]


def test_what_follows_the_end_of_a_sentence_is_left_out() -> None:
    ids, weights = greedy(says([EOS, 5, 6], [7, 7, 7]), 0, size=2, max_length=10)
    assert ids[0] == []
    assert len(weights[0]) == 1


def test_max_length_ends_a_sentence_that_does_not() -> None:
    ids, weights = greedy(says([5] * 50, [6]), 0, size=2, max_length=4)
    assert ids == [[5] * 4, [6]]
    assert [len(w) for w in weights] == [4, 2]


def test_it_stops_when_all_have_ended() -> None:
    steps = []
    step = says([5], [6, 7])

    def counted(tokens: ta.Tensor, t: int) -> Any:
        steps.append(t)
        return step(tokens, t)

    greedy(counted, 0, size=2, max_length=100)
    assert steps == [0, 1, 2]


def test_padding_and_begin_of_sentence_are_never_taken() -> None:
    def step(tokens: ta.Tensor, t: int) -> Any:
        scores = ta.zeros(1, V)
        scores[:, PAD], scores[:, BOS], scores[:, 5] = 3.0, 2.0, 1.0
        return scores, ta.ones(1, TK), t + 1

    assert greedy(step, 0, size=1, max_length=3)[0] == [[5, 5, 5]]


def test_no_gradients_are_recorded() -> None:
    weight = ta.ones(1, V, requires_grad=True)
    seen = []

    def step(tokens: ta.Tensor, t: int) -> Any:
        scores = weight * 2
        seen.append(scores.requires_grad)
        return scores, ta.ones(1, TK), t + 1

    greedy(step, 0, size=1, max_length=2)
    assert seen[0] is False
    assert ta.is_grad_enabled()


@pytest.mark.parametrize("name", ["size", "max_length"])
def test_nothing_to_search_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected at least 1, got 0$"):
        greedy(says([5]), 0, **{"size": 1, "max_length": 1, name: 0})
