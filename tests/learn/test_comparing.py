"""What an answer gives, and whether two results are the same: every check rests on these rules."""

import warnings

import numpy as np
import pytest

from tinyattn.learn.comparing import Outcome, close, outcome, places, quiet, same, shapes_differ
from tinyattn.learn.exercise import Exercise

INF, NAN = np.inf, np.nan


def ask(x, k):
    raise NotImplementedError


def exercise(*returns, tolerance=0.5):
    return Exercise(ask, ask, returns, (), lambda rng: [], [], ("", "", ""), tolerance=tolerance)


ONE, TWO = exercise("y"), exercise("y", "total")


@pytest.mark.parametrize(
    ("mine", "right", "agree"),
    [
        ([1.0, 3.0], [2.0, 4.0], [True, True]),  # 0.25 times 4, the largest one, is 1
        ([0.75, 5.25], [2.0, 4.0], [False, False]),
        ([-2.0], [2.0], [False]),
        ([-3.0, 2.0], [-4.0, 2.0], [True, True]),  # the largest one without its sign
        ([INF, -INF, 1.0, 1.25], [INF, -INF, 1.0, 1.0], [True] * 4),  # infinities have no size
        ([INF, 1.0], [-INF, INF], [False, False]),
        ([NAN, NAN, 1.0], [NAN, 1.0, NAN], [True, False, False]),
        ([INF, NAN], [INF, NAN], [True, True]),
        ([0.00025], [0.0], [True]),  # numbers below 0.001 are compared with 0.001
        ([0.00026], [0.0], [False]),
        ([0.001, 0.0126], [0.0, 0.01], [True, False]),
        ([], [], []),
        ([True, False], [True, True], [True, False]),
        (np.array([200], np.uint8), np.array([100], np.uint8), [False]),
        (np.array([100], np.uint8), np.array([120], np.uint8), [True]),
    ],
)
def test_numbers_agree_up_to_a_part_of_the_largest_one(mine, right, agree):
    mine, right = np.array(mine), np.array(right)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert places(mine, right, 0.25).tolist() == agree
        assert close(mine, right, 0.25) is all(agree)


@pytest.mark.parametrize(
    ("mine", "right", "agree"),
    [
        (np.ones(2), np.ones((2, 1)), False),
        (np.ones((2, 1)), np.ones((2, 1)), True),
        (np.array("a"), np.array("a"), True),
        (np.array("a"), np.array("b"), False),
        (np.array(["a", "b"]), np.array(["a", "c"]), False),
        (np.array("1"), np.array(1), False),
        (np.array(1), np.array("1"), False),
    ],
)
def test_shapes_and_texts_are_equal_or_not(mine, right, agree):
    assert close(mine, right, 10.0) is agree


A, B = np.array([1.0, 2.0]), np.array([1.0, 4.0])


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (Outcome((A,)), Outcome((A,)), True),
        (Outcome((A,)), Outcome((A + 0.5,)), True),  # 0.5 times the largest one are allowed
        (Outcome((A,)), Outcome((B,)), True),  # 2 away from 4
        (Outcome((B,)), Outcome((A,)), False),  # 2 away from 2
        (Outcome((A, A)), Outcome((A, -A)), False),
        (Outcome((A, A)), Outcome((A, A)), True),
        (Outcome((A,)), Outcome((A.astype(int),)), False),
        (Outcome((A.astype(int),)), Outcome((A.astype(int),)), True),
        (Outcome((A,)), Outcome((A[:1],)), False),
        (Outcome((A,), changed="x"), Outcome((A,)), False),
        (Outcome((A,), changed="x"), Outcome((A,), changed="x"), True),
        (Outcome((-A,), changed="x"), Outcome((A,), changed="x"), False),
        (Outcome(refused="none"), Outcome(refused="none"), True),
        (Outcome(refused="none"), Outcome(refused="two"), False),
        (Outcome((A,)), Outcome(refused="two"), False),
        (Outcome(refused="two"), Outcome((A,)), False),
        (Outcome(error=ValueError("a")), Outcome(error=ValueError("b")), True),
        (Outcome(error=ValueError("a")), Outcome(error=TypeError("a")), False),
        (Outcome((A,)), Outcome(error=ValueError()), False),
        (Outcome(error=ValueError()), Outcome((A,)), False),
        (Outcome(error=ValueError()), Outcome(refused="none"), False),
    ],
)
def test_outcomes_are_the_same_or_not(one, other, equal):
    assert same(ONE if len(one.parts) < 2 else TWO, one, other) is equal


@pytest.mark.parametrize(
    ("mine", "right", "words"),
    [
        (A, A, ""),
        (A[:1], A, "y: expected shape (2,), got (1,)"),
        (A.astype(np.float32), A, ""),
        (A.astype(int), A + 0.5, "y: expected floating point numbers, got int64"),
        (A.astype(int), A, ""),  # the right numbers
        (np.array(3), np.array(2.5), ""),  # what is wrong with one number, its value tells
        (A, A.astype(int), "y: expected integers, got float64"),
        (A, A.astype(np.uint8), "y: expected integers, got float64"),
        (A.astype(np.uint8), A.astype(int), ""),
        (A.astype(int), A.astype(np.uint8), ""),
        (A > 0, A > 0, ""),
        (A, A > 0, "y: expected True or False, got float64"),
        (A > 0, A.astype(int), "y: expected integers, got bool"),
        (A, np.array(["a", "b"]), "y: expected a string, got float64"),
        (np.array(["a", "b"]), np.array(["a", "c"]), ""),
    ],
)
def test_what_is_wrong_with_a_shape_or_a_type(mine, right, words):
    assert shapes_differ(ONE, Outcome((mine,)), Outcome((right,))) == words


def test_the_second_result_has_a_shape_too():
    words = shapes_differ(TWO, Outcome((A, A[:1])), Outcome((A, A)))
    assert words == "total: expected shape (2,), got (1,)"


class NoArray:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")


def given(result):
    return outcome(ONE, lambda x, k: result, (A, 2))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "it returned None: does every path end with `return`?"),
        ([[1], [1, 2]], "y: expected an array, got a list whose rows have unequal lengths"),
        (np.array([None]), "y: expected an array of numbers, got an array of object"),
        ({}, "y: expected an array of numbers, got a value of type dict"),
        (NoArray(), "y: expected an array, got a value of type NoArray, which says: no array"),
        (1j, "y: expected an array of numbers, got a value of type complex"),
    ],
)
def test_a_result_that_is_no_array_is_refused(result, words):
    got = given(result)
    assert (got.parts, got.refused) == ((), words)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (1.0, "expected a tuple (y, total), got a value of type float"),
        (A, "expected a tuple (y, total), got an array of float64"),
        ((A,), "expected 2 results (y, total), got 1"),
        ((A, A, A), "expected 2 results (y, total), got 3"),
        ((A, {}), "total: expected an array of numbers, got a value of type dict"),
    ],
)
def test_two_results_are_a_tuple_of_two(result, words):
    got = outcome(TWO, lambda x, k: result, (A, 2))
    assert (got.parts, got.refused) == ((), words)


@pytest.mark.parametrize("result", [(A, 3), [A, 3]])
def test_two_results_are_arrays_in_their_order(result):
    got = outcome(TWO, lambda x, k: result, (A, 2))
    assert [part.tolist() for part in got.parts] == [[1.0, 2.0], 3]
    assert (got.error, got.refused, got.changed, got.printed) == (None, "", "", "")


def test_a_tuple_is_one_result_where_one_is_asked_for():
    assert [part.tolist() for part in given((1, 2)).parts] == [[1, 2]]
    assert [part.tolist() for part in given("text").parts] == ["text"]
    assert [part.tolist() for part in given(True).parts] == [True]
    assert [part.tolist() for part in given(np.uint8(3)).parts] == [3]


def test_a_result_is_kept_as_it_was_when_it_was_returned():
    kept = A.copy()
    got = outcome(ONE, lambda x, k: kept, (A, 2))
    kept[0] = 7
    assert got.parts[0].tolist() == [1.0, 2.0]


def double(x, k):
    print("so far")
    x *= k
    return x


def test_an_argument_that_was_changed_is_named_and_the_input_is_not_changed():
    x = A.copy()
    got = outcome(ONE, double, (x, 2))
    assert (got.changed, got.printed, got.parts[0].tolist()) == ("x", "so far\n", [2.0, 4.0])
    assert x.tolist() == [1.0, 2.0]


def last_one_changed(x, k):
    k[-1] = 0
    return x


def reshaped(x, k):
    k.shape = (2, 1)
    return x


@pytest.mark.parametrize(
    ("answer", "k", "changed"),
    [
        (last_one_changed, np.array([1, 2]), "k"),
        (last_one_changed, np.array([1, 0]), ""),
        (last_one_changed, np.array(["a", "b"]), "k"),
        (last_one_changed, [1, 2], ""),  # only arrays are looked at
        (reshaped, np.array([1.0, 2.0]), "k"),
        (lambda x, k: x, np.array([NAN, 1.0]), ""),
        (lambda x, k: x, np.array(["a"]), ""),
        (lambda x, k: x, np.array([1]), ""),
    ],
)
def test_which_argument_an_answer_has_changed(answer, k, changed):
    assert outcome(ONE, answer, (A, k)).changed == changed


def test_an_error_is_kept_with_what_was_printed_and_the_shapes():
    def answer(x, k):
        print("so far")
        raise ValueError(k)

    got = outcome(ONE, answer, (np.ones((2, 3)), np.ones(4)))
    assert type(got.error) is ValueError
    assert got.printed == got.error.printed == "so far\n"
    assert got.error.shapes == "x (2, 3), k (4,)"
    assert outcome(ONE, answer, (A, 2)).error.shapes == "x (2,)"
    assert (got.parts, got.refused, got.changed) == ((), "", "")


def test_the_shapes_are_those_of_arguments_and_of_no_variable():
    def with_a_variable(x):
        other = x
        return other

    asked = Exercise(with_a_variable, ask, "y", (), lambda rng: [], [], ("", "", ""))
    error = outcome(asked, lambda *x: x[9], (A, A)).error
    assert error.shapes == "x (2,)"


def test_the_beginning_of_what_is_printed_is_kept():
    def answer(x, k):
        for _ in range(3):
            print("a" * 4999)  # 5000 with the end of the line
        return print("b", end="")

    assert outcome(ONE, answer, (A, 2)).printed == 2 * ("a" * 4999 + "\n")

    def long(x, k):
        print("a" * 9999, end="")
        print("b", end="")
        return print("c", end="")

    assert outcome(ONE, long, (A, 2)).printed == "a" * 9999 + "b"


def test_print_says_how_much_it_has_written():
    import sys

    def answer(x, k):
        return sys.stdout.write("four")

    assert outcome(ONE, answer, (A, 2)).parts[0] == 4


def test_warnings_of_an_answer_are_not_shown():
    def answer(x, k):
        warnings.warn("odd", stacklevel=1)
        return np.array([1.0]) / 0

    with warnings.catch_warnings(record=True) as seen, np.errstate(all="raise"):
        assert outcome(ONE, answer, (A, 2)).parts[0].tolist() == [INF]
        with quiet():
            warnings.warn("odd", stacklevel=1)
            assert (np.array([1.0]) / 0).tolist() == [INF]
    assert not seen
