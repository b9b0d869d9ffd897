"""Greedy search over a step that reads its answers from a table."""

from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.text.search import greedy, permitted
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
    found = greedy(says([5, 6, EOS], [EOS], [4, 4, 4, 4]), 0, [TK, TK, TK])
    assert [one.ids for one in found] == [[5, 6], [], [4, 4, 4, 4]]
    assert [one.weights.shape for one in found] == [(3, TK), (1, TK), (5, TK)]
    assert all(one.finished for one in found)


def test_weights_are_of_their_sentence_and_step() -> None:
    found = greedy(says([5, 6], [7]), 0, [TK, TK])
    assert [[tuple(row[:2]) for row in one.weights] for one in found] == [
        [(0, 0), (0, 1), (0, 2)],
        [(1, 0), (1, 1)],
    ]


def test_what_follows_the_end_of_a_sentence_is_left_out() -> None:
    found = greedy(says([EOS, 5, 6], [7, 7, 7]), 0, [TK, TK])
    assert found[0].ids == []
    assert len(found[0].weights) == 1


def test_a_sentence_without_end_is_cut_and_says_so() -> None:
    found = greedy(says([5] * 50, [6], [7] * 50), 0, [2, 3, 1], factor=1.5, extra=2)
    assert [one.ids for one in found] == [[5] * 5, [6], [7] * 3]
    assert [one.finished for one in found] == [False, True, False]
    assert [len(one.weights) for one in found] == [5, 2, 3]


def test_without_options_the_room_is_twice_the_source_and_50_more() -> None:
    (found,) = greedy(says([5] * 99), 0, [4])
    assert found.ids == [5] * 58


def test_a_sentence_that_fills_its_room_is_not_finished_before_its_end() -> None:
    end_in_time, end_too_late = greedy(says([5, 6], [5, 6, 7]), 0, [1, 1], factor=0, extra=3)
    assert end_in_time.finished
    assert end_in_time.ids == [5, 6]
    assert not end_too_late.finished
    assert end_too_late.ids == [5, 6, 7]


def test_a_long_source_has_room_for_a_long_translation() -> None:
    (found,) = greedy(says([5] * 200), 0, np.array([100]))
    assert found.ids == [5] * 200
    assert found.finished


def test_it_stops_when_all_have_ended() -> None:
    steps = []
    step = says([5], [6, 7])

    def counted(tokens: ta.Tensor, t: int) -> Any:
        steps.append(t)
        return step(tokens, t)

    greedy(counted, 0, [TK, TK])
    assert steps == [0, 1, 2]


def test_no_step_follows_the_last_token_that_there_is_room_for() -> None:
    steps = []
    step = says([5] * 9, [5] * 9)

    def counted(tokens: ta.Tensor, t: int) -> Any:
        steps.append(t)
        return step(tokens, t)

    greedy(counted, 0, [1, 3], factor=1, extra=0)
    assert steps == [0, 1, 2]


def test_padding_and_begin_of_sentence_are_never_taken() -> None:
    def step(tokens: ta.Tensor, t: int) -> Any:
        scores = ta.zeros(1, V)
        scores[:, PAD], scores[:, BOS], scores[:, 5] = 3.0, 2.0, 1.0
        return scores, ta.ones(1, TK), t + 1

    assert greedy(step, 0, [1], factor=0, extra=3)[0].ids == [5, 5, 5]


def test_no_gradients_are_recorded() -> None:
    weight = ta.ones(1, V, requires_grad=True)
    seen = []

    def step(tokens: ta.Tensor, t: int) -> Any:
        scores = weight * 2
        seen.append(scores.requires_grad)
        return scores, ta.ones(1, TK), t + 1

    greedy(step, 0, [1], factor=0, extra=2)
    assert seen[0] is False
    assert ta.is_grad_enabled()


def test_nothing_to_search_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^lengths: expected at least 1 sentence, got 0$"):
        greedy(says([5]), 0, [])
    with pytest.raises(ValueError, match=r"^factor, extra: expected room for at least 1 token"):
        greedy(says([5]), 0, [TK], factor=0, extra=0)


def test_a_translation_may_have_twice_the_tokens_of_its_source_and_50_more() -> None:
    (found,) = greedy(says([5] * 90), 0, [10])
    assert len(found.ids) == 70
    assert not found.finished


def test_room_for_one_token_is_enough() -> None:
    (found,) = greedy(says([5, 6]), 0, [3], factor=0, extra=1)
    assert found.ids == [5]


def test_no_run_of_tokens_comes_twice() -> None:
    """5 is always best, then 6, then 7; what would complete a run once more is passed by."""

    def step(tokens: ta.Tensor, t: int) -> Any:
        scores = ta.zeros(2, V)
        scores[:, 5], scores[:, 6], scores[:, 7], scores[:, EOS] = 3.0, 2.0, 1.0, -1.0
        return scores, ta.ones(2, TK), t + 1

    def found(n: int) -> list[int]:
        (one, other) = greedy(step, 0, [1, 1], factor=0, extra=9, no_repeat=n)
        assert one.ids == other.ids
        return one.ids

    assert found(1) == [5, 6, 7, 3, 4]  # then nothing but the end is left
    assert found(2) == [5, 5, 6, 5, 7, 5, 3, 5, 4]
    assert found(3) == [5, 5, 5, 6, 5, 5, 7, 5, 5]
    assert found(0) == [5] * 9


def test_the_scores_that_are_left_are_those_of_the_model() -> None:
    """After 5, 3, 5 no 3 may follow, where runs of two may not come twice. The end always may, also
    the second one of a sentence that is over."""
    scores = ta.tensor([[9.0, 9.0, 0.5, -1.0, 2.0, 0.0, 3.0]])
    before = np.array([[5], [3], [5]])
    assert permitted(scores, before, 0).tolist() == [[0.5, -1.0, 2.0, 0.0, 3.0]]
    assert permitted(scores, before, 2).tolist() == [[0.5, -np.inf, 2.0, 0.0, 3.0]]
    ended = np.array([[5], [EOS], [EOS]])
    assert permitted(scores, ended, 1).tolist() == [[0.5, -1.0, 2.0, -np.inf, 3.0]]
    assert permitted(scores, ended, 2).tolist() == [[0.5, -1.0, 2.0, 0.0, 3.0]]


def test_a_negative_length_of_runs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no_repeat: expected at least 0, got -1$"):
        greedy(says([5]), 0, [TK], no_repeat=-1)
