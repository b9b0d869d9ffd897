"""Beam search: cases worked by hand, and the exhaustive search on tiny vocabularies."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.text.search import greedy
from tinyattn.text.search_beam import Beam, beam, most_probable, penalty
from tinyattn.text.vocab import BOS, EOS, PAD

A, B, C = 4, 5, 6  # tokens; V = 7 with the special ones
Table = dict[tuple[int, ...], dict[int, float]]


class Model:
    """Answers each beginning with the probabilities that a table or a function gives for it. Its
    state is the beginnings themselves, so that a wrong order of its rows shows in what it says."""

    def __init__(self, *answers: Any, width: int = 3) -> None:
        self.answers, self.width, self.rows = answers, width, 0

    def start(self) -> Any:
        return [(number, ()) for number in range(len(self.answers))]

    def step(self, tokens: ta.Tensor, state: Any) -> Any:
        self.rows += len(state)
        given = tokens.numpy().tolist()
        assert len(given) == len(state)
        state = [(n, (*path, token)) for (n, path), token in zip(state, given, strict=True)]
        scores = np.stack([self.scores(n, path[1:]) for n, path in state])
        weights = [[n, len(path), path[-1]] for n, path in state]
        return ta.from_numpy(scores), ta.tensor(weights, dtype=ta.float32), state

    def scores(self, number: int, path: Sequence[int]) -> Any:
        answer = self.answers[number]
        p = answer(path) if callable(answer) else answer.get(tuple(path), {EOS: 1.0})
        if isinstance(p, dict):
            p = [p.get(token, 0.0) for token in range(7)]
        with np.errstate(divide="ignore"):
            return np.log(np.array(p))

    def select(self, state: Any, rows: ta.Tensor, sentences: ta.Tensor | None) -> Any:
        chosen = [state[row] for row in rows.numpy()]
        kept = {number for number, _ in chosen}
        left_out = {number for number, _ in state} - kept
        assert (sentences is None) == (not left_out)
        if sentences is not None:
            numbers = sorted({number for number, _ in state})
            assert [numbers[place] for place in sentences.numpy()] == sorted(kept)
        return chosen


def search(*answers: Any, lengths: Any = None, **options: Any) -> list[Beam]:
    model = Model(*answers)
    lengths = [3] * len(answers) if lengths is None else lengths
    return beam(model.step, model.select, model.start(), lengths, **options)


def translations(one: Beam) -> list[list[int]]:
    return [one.found(place).ids for place in range(len(one.ended))]


# Greedy takes A (0.6) and then has only halves; B is worse at first and certain afterwards.
GARDEN_PATH: Table = {
    (): {A: 0.6, B: 0.4},
    (A,): {B: 0.5, C: 0.4, EOS: 0.1},
    (B,): {C: 1.0},
    (A, B): {EOS: 0.5, A: 0.5},
    (A, C): {EOS: 1.0},
    (B, C): {EOS: 1.0},
}


def test_a_beam_of_two_finds_what_greedy_misses() -> None:
    model = Model(GARDEN_PATH)
    (one,) = greedy(model.step, model.start(), [3])
    assert one.ids == [A, B]
    (found,) = search(GARDEN_PATH, size=2, n_best=2, alpha=0)
    assert translations(found) == [[B, C], [A, B]]
    np.testing.assert_allclose([h.log_prob for h in found.ended], np.log([0.4, 0.15]), rtol=1e-6)


def test_the_record_tells_every_slot_its_parent_and_its_probability() -> None:
    (found,) = search(GARDEN_PATH, size=2, n_best=2, alpha=0)
    assert found.tokens.tolist() == [[A, B], [C, B], [EOS, EOS]]
    assert found.parents.tolist() == [[0, 0], [1, 0], [0, 1]]
    sums = [[0.6, 0.4], [0.4, 0.3], [0.4, 0.15]]
    np.testing.assert_allclose(np.exp(found.sums), sums, rtol=1e-6)
    assert found.path(2, 0) == [1, 0, 0]
    assert found.path(2, 1) == [0, 1, 1]
    # What stood to choose from: after the empty beginning, after A and B, after B C and A B.
    assert found.choices.tolist() == [
        [[A, B], [-1, -1]],
        [[B, C], [C, -1]],
        [[EOS, -1], [EOS, A]],
    ]
    np.testing.assert_allclose(np.exp(found.log_probs[1]), [[0.5, 0.4], [1, 0]], rtol=1e-6)


def test_the_weights_are_those_of_the_beginning_that_was_continued() -> None:
    """The model's weights say how many tokens stand before, and which is the last."""
    (found,) = search(GARDEN_PATH, size=2, n_best=2, alpha=0)
    assert found.found(0).weights.tolist() == [[0, 1, BOS], [0, 2, B], [0, 3, C]]
    assert found.found(1).weights.tolist() == [[0, 1, BOS], [0, 2, A], [0, 3, B]]


def test_the_penalty_is_that_of_gnmt() -> None:
    assert penalty(1, 0.7) == 1
    assert penalty(7, 1.0) == 2
    assert penalty(7, 2.0) == 4
    assert penalty(7, 0.0) == 1


SHORT_OR_LONG: Table = {(): {A: 0.5, EOS: 0.5}, (A,): {B: 0.9, EOS: 0.1}, (A, B): {EOS: 1.0}}


def test_the_length_normalisation_decides_between_short_and_long() -> None:
    """log 0.5 at length 1 against log 0.45 over (8 / 6)^alpha at length 3: equal at alpha 0.49."""
    alpha = math.log(math.log(0.45) / math.log(0.5)) / math.log(8 / 6)
    for above, best in ((-0.01, []), (0.01, [A, B])):
        (found,) = search(SHORT_OR_LONG, size=2, alpha=alpha + above)
        assert found.found().ids == best
    score = found.ended[0].score
    assert score == pytest.approx(math.log(0.45) / (8 / 6) ** (alpha + 0.01), rel=1e-6)


def test_without_options_the_score_is_that_of_alpha_0_6() -> None:
    (found,) = search(SHORT_OR_LONG, size=2)
    assert found.ended[0].score == pytest.approx(math.log(0.45) / (8 / 6) ** 0.6, rel=1e-6)


def test_what_can_only_become_as_good_as_the_best_is_not_followed() -> None:
    model = Model({(): {A: 0.5, EOS: 0.5}, (A,): {EOS: 1.0}})
    (found,) = beam(model.step, model.select, model.start(), [3], size=2, alpha=0)
    assert translations(found) == [[]]
    assert model.rows == 1


def test_what_is_impossible_fills_no_place() -> None:
    (found,) = search(lambda path: {A: 1.0}, size=3, factor=0, extra=2)
    assert translations(found) == [[A, A]]
    assert found.tokens.tolist() == [[A, -1, -1]] * 2
    assert found.sums.tolist() == [[0.0, -math.inf, -math.inf]] * 2


def test_of_equal_hypotheses_the_first_are_followed() -> None:
    """The end keeps one of five places; of the 20 continuations the first four are those of 3."""
    (found,) = search({(): dict.fromkeys((EOS, 3, A, B, C), 0.2)}, size=5, factor=0, extra=1)
    assert found.tokens.tolist() == [[EOS, 3, A, B, C]]
    fifth = dict.fromkeys((EOS, 3, A, B, C), 0.2)
    (found,) = search(lambda path: fifth, size=5, n_best=5, alpha=0, factor=0, extra=2)
    assert found.tokens.tolist() == [[EOS, 3, A, B, C], [EOS, 3, A, B, -1]]
    assert found.parents[1].tolist() == [1, 1, 1, 1, -1]
    pairs = {A: 0.3, B: 0.3, C: 0.2, 3: 0.1, EOS: 0.1}
    answer: Any = lambda path: pairs if path else fifth  # noqa: E731
    (found,) = search(answer, size=5, n_best=5, alpha=0, factor=0, extra=2)
    assert found.tokens[1].tolist() == [A, B, A, B, -1]
    assert found.parents[1].tolist() == [1, 1, 2, 2, -1]


def test_a_hypothesis_that_ends_keeps_its_place_in_the_beam() -> None:
    table: Table = {
        (): {EOS: 0.5, A: 0.3, B: 0.2},
        (A,): {A: 0.5, B: 0.5},
        (B,): {C: 1.0},
    }
    (found,) = search(table, size=2, n_best=2, alpha=0)
    assert found.tokens[0].tolist() == [EOS, A]
    assert found.tokens[1].tolist() == [A, -1]  # one of the two places is taken for good
    assert translations(found) == [[], [A, A]]


def test_what_is_cut_is_not_dropped() -> None:
    """At the greatest length nothing has ended: all of the beam is given, and says so."""
    (found,) = search(lambda path: {A: 0.6, B: 0.4}, size=3, n_best=3, factor=0, extra=2)
    assert translations(found) == [[A, A], [A, B], [B, A]]
    assert [one.finished for one in found.ended] == [False] * 3
    assert found.found().weights.shape == (2, 3)


def test_without_options_the_room_is_twice_the_source_and_50_more() -> None:
    (found,) = search(lambda path: {A: 0.9, B: 0.1}, lengths=[10], size=2)
    assert found.found().ids == [A] * 70


def test_a_finished_and_a_cut_hypothesis_are_ranked_by_their_score() -> None:
    table: Table = {(): {A: 0.7, B: 0.3}, (A,): {A: 0.9, EOS: 0.1}, (B,): {EOS: 1.0}}
    (found,) = search(table, size=3, n_best=3, alpha=0, factor=0, extra=2)
    assert translations(found) == [[A, A], [B], [A]]
    assert [one.finished for one in found.ended] == [False, True, True]


def test_a_search_ends_when_nothing_followed_can_become_one_of_the_best() -> None:
    sure: Table = {(): {A: 0.99, B: 0.01}, (A,): {EOS: 1.0}, (B,): {B: 1.0}}

    def rows(n_best: int) -> tuple[int, list[list[int]]]:
        model = Model(lambda path: {B: 1.0} if path and path[0] == B else sure[tuple(path)])
        (found,) = beam(
            model.step, model.select, model.start(), [3], size=2, n_best=n_best, factor=0, extra=40
        )
        return model.rows, translations(found)

    # 1 row at first, then 2; B B ... has log 0.01 at best over (45 / 6)^0.6, log 0.99 is better.
    assert rows(1) == (3, [[A]])
    assert rows(2) == (3 + 38, [[A], [B] * 40])


# --- against greedy and the exhaustive search -----------------------------------------------------


def any_table(seed: int, spread: float = 1.5) -> Any:
    """A probability for each of the 7 tokens after any beginning, drawn by seed and beginning."""

    def answer(path: Sequence[int]) -> Any:
        draw = np.random.default_rng([seed, *path])
        p = np.exp(spread * draw.normal(size=7))
        return p / p.sum()

    return answer


def every_hypothesis(answer: Any, limit: int, alpha: float) -> list[tuple[float, list[int], bool]]:
    """All translations of at most `limit` tokens, the end included, with scores, the best first."""
    found = []
    for length in range(1, limit + 1):
        for path in itertools.product((EOS, 3, A, B, C), repeat=length):
            if EOS in path[:-1] or (path[-1] != EOS and length < limit):
                continue
            p = math.prod(answer(path[:t])[path[t]] for t in range(length))
            ended = path[-1] == EOS
            ids = list(path[: length - ended])
            found.append((math.log(p) / ((5 + length) / 6) ** alpha, ids, ended))
    return sorted(found, key=lambda one: -one[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("n_best", [1, 20])
def test_a_wide_beam_is_the_exhaustive_search(alpha: float, n_best: int) -> None:
    """Up to 4 tokens of 5 there are 4^4 + 4^3 + 4^2 + 4 + 1 = 341 hypotheses: a beam of 341."""
    answers = [any_table(seed) for seed in range(4)]
    found = search(*answers, size=341, n_best=n_best, alpha=alpha, factor=0, extra=4)
    for one, answer in zip(found, answers, strict=True):
        wanted = every_hypothesis(answer, 4, alpha)[:n_best]
        assert translations(one)[:n_best] == [ids for _, ids, _ in wanted]
        ended = one.ended[:n_best]
        assert [h.finished for h in ended] == [finished for _, _, finished in wanted]
        np.testing.assert_allclose([h.score for h in ended], [s for s, _, _ in wanted], rtol=1e-9)


@pytest.mark.parametrize("no_repeat", [0, 2])
def test_a_beam_of_one_is_greedy(no_repeat: int) -> None:
    answers = [any_table(seed) for seed in range(30)]
    lengths = np.arange(30) % 7 + 1
    options: Any = {"factor": 1.5, "extra": 2, "no_repeat": no_repeat}
    model = Model(*answers)
    wanted = greedy(model.step, model.start(), lengths, **options)
    for one, other in zip(
        search(*answers, lengths=lengths, size=1, **options), wanted, strict=True
    ):
        assert one.found().ids == other.ids
        assert one.found().finished == other.finished
        np.testing.assert_array_equal(one.found().weights, other.weights)
        assert len(one.ended) == 1


@pytest.mark.parametrize("size", [2, 5])
def test_sentences_of_a_batch_do_not_know_of_each_other(size: int) -> None:
    answers = [any_table(seed, 1 + seed % 3) for seed in range(12)]
    lengths = [1 + seed % 5 for seed in range(12)]
    options: Any = {"size": size, "n_best": 2, "factor": 2, "extra": 1}
    together = search(*answers, lengths=lengths, **options)
    for one, answer, length in zip(together, answers, lengths, strict=True):
        (alone,) = search(answer, lengths=[length], **options)
        assert one.ended == alone.ended
        for mine, its in zip(one[:6], alone[:6], strict=True):
            if mine is one.weights:  # they name the sentence
                mine, its = mine[..., 1:], its[..., 1:]
            np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("seed", range(5))
def test_no_two_hypotheses_are_the_same_and_the_beam_is_never_overfull(seed: int) -> None:
    (found,) = search(any_table(seed), size=4, n_best=4, factor=0, extra=6)
    given = translations(found)
    assert len(given) == 4
    assert len({tuple(ids) for ids in given}) == 4
    scores = [one.score for one in found.ended]
    assert scores == sorted(scores, reverse=True)
    ended_before = np.array(
        [sum(h.step < t for h in found.ended) for t in range(len(found.tokens))]
    )
    assert ((found.tokens >= 0).sum(1) + ended_before <= 4).all()


@pytest.mark.parametrize("size", [1, 3])
def test_no_run_of_tokens_comes_twice(size: int) -> None:
    def repeats(path: Sequence[int]) -> dict[int, float]:
        return {A: 0.5, B: 0.3, C: 0.19, EOS: 0.01}

    for n in (1, 2, 3):
        (found,) = search(repeats, size=size, n_best=size, no_repeat=n, factor=0, extra=30)
        for ids in translations(found):
            runs = list(zip(*(ids[i:] for i in range(n)), strict=False))
            assert len(runs) == len(set(runs))
            assert len(ids) > n


def test_padding_and_begin_of_sentence_are_never_taken() -> None:
    (found,) = search(lambda path: {PAD: 0.5, BOS: 0.3, A: 0.2}, size=2, factor=0, extra=2)
    assert found.found().ids == [A, A]
    assert found.ended[0].log_prob == pytest.approx(2 * math.log(0.2), rel=1e-6)


def test_of_equal_tokens_the_first_is_taken() -> None:
    scores = ta.tensor([[9.0, 9.0, 0.0, 1.0, 2.0, 2.0, 1.0]])
    tokens, log_probs = most_probable(scores, np.zeros((0, 1), np.int64), 0, 5)
    assert tokens.tolist() == [[A, B, 3, C, EOS]]
    wanted = scores.log_softmax(-1)[:, [A, B, 3, C, EOS]].numpy()
    np.testing.assert_allclose(log_probs, wanted, rtol=1e-6)


def test_no_gradients_are_recorded() -> None:
    weight = ta.ones(1, 7, requires_grad=True)
    seen = []

    def step(tokens: ta.Tensor, state: int) -> Any:
        seen.append((weight * 2).requires_grad)
        return ta.zeros(len(tokens), 7), ta.ones(len(tokens), 2), state

    beam(step, lambda state, rows, sentences: state, 0, [1], size=2, factor=0, extra=2)
    assert seen == [False, False]
    assert ta.is_grad_enabled()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 0}, r"^size: expected a beam of at least 1, got 0$"),
        ({"n_best": 0}, r"^n_best: expected 1 to 5, the size of the beam, got 0$"),
        ({"n_best": 6}, r"^n_best: expected 1 to 5, the size of the beam, got 6$"),
        ({"alpha": -0.1}, r"^alpha: expected a number from 0, got -0.1$"),
        ({"alpha": math.nan}, r"^alpha: expected a number from 0, got nan$"),
        ({"alpha": math.inf}, r"^alpha: expected a number from 0, got inf$"),
        ({"no_repeat": -1}, r"^no_repeat: expected at least 0, got -1$"),
        ({"factor": 0, "extra": 0}, r"^factor, extra: expected room for at least 1 token"),
        ({"lengths": []}, r"^lengths: expected at least 1 sentence, got 0$"),
    ],
)
def test_wrong_arguments_are_named(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        search(GARDEN_PATH, **options)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^scores: expected finite numbers"):
        search(lambda path: [math.nan] * 7)
