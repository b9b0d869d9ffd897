"""The check of an answer, on a small exercise: which sentence fails, and what is told, word by
word."""

import numpy as np
import pytest

from tinyattn.kernels import backend
from tinyattn.learn import limiting
from tinyattn.learn.checking import Report, arrays_of, examine, more_inputs, recognised, stages
from tinyattn.learn.exercise import Exercise, call_unnamed

HAND = np.array([1.0, 2.0, 3.0])
MORE = [np.array([4.0, 5.0]), np.array([[6.0], [7.0]])]
ZEROS, HUGE = np.zeros(2), np.full(2, 1e300)


def ask(x, k):
    """The k-fold of x, and the sum of x."""
    raise NotImplementedError


def right(x, k):
    return k * x, x.sum()


def spoilt(place, factor=2.0):
    """A right answer but for the array that begins like `place`: there its sum is wrong."""

    def answer(x, k):
        wrong = x.shape == place.shape and x.flat[0] == place.flat[0]
        return k * x, x.sum() * (factor if wrong else 1) + wrong

    return answer


def forgets_k(x, k):
    """Yours is x, not k x."""
    return x, x.sum()


def means(x, k):
    """Yours is the mean."""
    return k * x, x.mean()


def overflows(x, k):
    """Yours overflows for large numbers."""
    return k * x, np.sqrt((x * x).sum()) if x[0:1].max() > 1e200 else x.sum()


def positive(plain, rng):
    """The total of positive numbers is positive."""
    return None if plain(np.ones(3), 1)[1] > 0 else "It is not."


def untold(plain, rng):
    return None if plain(np.full(4, 8.0), 1)[1] == 32 else "It is not 32."


def gradients(plain, rng):
    yield "dx", np.full(3, plain(np.full(3, 9.0), 1)[1] / 27), lambda x: x.sum(), np.ones(3)


def library(x, k):
    return k * x, x.sum()


def exercise(**changes):
    settings = {
        "ask": ask,
        "solution": right,
        "returns": ("y", "total"),
        "hand": (HAND, 2),
        "cases": lambda rng: [(x, 3) for x in MORE],
        "wrong": [forgets_k, means, overflows],
        "hints": ("", "", ""),
        "extremes": {"zeros": (ZEROS, 2), "huge numbers": (HUGE, 1)},
        "gradients": gradients,
        "properties": [positive, untold],
        "library": library,
    }
    return Exercise(**settings | changes)


SENTENCES = [
    "It takes (x, k), runs, and leaves its arguments as they were.",
    "The shape and the type of the result are right.",
    "A small case by hand gives the right numbers.",
    "The definition holds on 2 more inputs.",
    "It is the gradient that finite differences measure.",
    "The total of positive numbers is positive.",
    "untold",
    "It is right for zeros.",
    "It is right for huge numbers.",
    f"tinyattn's own operations agree (backend {backend().name}).",
]


def test_the_stages_stand_in_their_order():
    names = [sentence for sentence, _ in stages(exercise(), right)]
    assert names == [
        *SENTENCES[:-1],
        f"tinyattn's own operations agree (backend {backend().name}).",
    ]
    assert [n for n, _ in stages(exercise(gradients=None, library=None), right)] == names[:4] + (
        names[5:-1]
    )


def test_a_right_answer_passes_every_stage():
    report = examine(exercise(), right)
    assert (report.right, report.failed, report.words, report.mistake) == (True, "", "", "")
    assert report.written
    assert report.total == len(report.passed) == 10
    lines = str(report).splitlines()
    assert lines[0] == f"{exercise().name}   {__file__}, line {right.__code__.co_firstlineno}"
    assert lines[1:6] == ["", *[f"  ok   {sentence}" for sentence in SENTENCES[:4]]]
    assert lines[6] == f"  ok   {SENTENCES[4]}"
    assert lines[7].startswith("       (3 numbers differ from it by at most ")
    assert lines[8:13] == [f"  ok   {sentence}" for sentence in names_after()]
    assert lines[13:] == ["", "  10 of 10 checks passed."]
    assert more_inputs(exercise()) == [(x, 3) for x in MORE]


def names_after():
    return [*SENTENCES[5:9], f"tinyattn's own operations agree (backend {backend().name})."]


@pytest.mark.parametrize(
    ("place", "stage"),
    [
        (HAND, 2),
        (MORE[0], 3),
        (MORE[1], 3),
        (np.full(3, 9.0), 4),
        (np.full(4, 8.0), 6),
        (ZEROS, 7),
        (HUGE, 8),
    ],
)
def test_a_single_wrong_number_is_found_by_the_stage_that_looks_at_it(place, stage):
    report = examine(exercise(), spoilt(place))
    assert not report.right
    assert report.failed == SENTENCES[stage]
    assert len(report.passed) == stage
    assert report.mistake == ""


@pytest.mark.parametrize("place", [HAND, *MORE])
def test_the_library_agrees_on_all_inputs(place):
    report = examine(exercise(library=spoilt(place)), right)
    assert report.failed.startswith("tinyattn's own operations agree")
    total = 2 * place.sum() + 1
    assert report.words.split("\n\n")[0].endswith(f"    total, right  {total:g}.")


def test_what_a_property_says_is_told():
    report = examine(exercise(), spoilt(np.full(4, 8.0)))
    assert report.words == "It is not 32."


def test_an_extreme_input_is_shown():
    report = examine(exercise(), spoilt(ZEROS))
    assert report.words.splitlines()[:2] == ["    x             [0. 0.]", "    k             2"]
    assert report.words.splitlines()[-2:] == ["    total, yours  1.", "    total, right  0."]


def test_an_error_on_more_inputs_is_told_as_one():
    def answer(x, k):
        return right(x, k) if len(x) == 3 else 1 / 0

    report = examine(exercise(), answer)
    assert report.failed == SENTENCES[3]
    assert report.words.startswith("Your code raised an error:")
    assert "ZeroDivisionError" in report.words


def test_a_wrong_number_is_shown_beside_the_right_one():
    def answer(x, k):
        print("now", x.size)
        return k * x, 2 * x.sum()

    report = examine(exercise(), answer)
    where = f"{__file__}, line {answer.__code__.co_firstlineno}"
    assert str(report).splitlines() == [
        f"{exercise().name}   {where}",
        "",
        "  ok   It takes (x, k), runs, and leaves its arguments as they were.",
        "  ok   The shape and the type of the result are right.",
        "  NO   A small case by hand gives the right numbers.",
        "",
        "         x             [1. 2. 3.]",
        "         k             2",
        "         y is right    [2. 4. 6.]",
        "         total, yours  12.",
        "         total, right  6.",
        "",
        "       It printed:",
        "",
        "         now 3",
        "",
        "  2 of 10 checks passed.",
    ]
    assert report.plain_words == f"{report.failed} {report.words}"


def one(answer, expected, **changes):
    """The report on an answer of an exercise with one result."""

    def ask(x):
        raise NotImplementedError

    def solution(x):
        return expected(x)

    changes = {"hand": (HAND,), "gradients": None, "properties": [], **changes}
    changes |= {"extremes": {}, "library": None, "wrong": [], "returns": ("y",)}
    made = exercise(ask=ask, solution=solution, cases=lambda rng: [], **changes)
    return examine(made, answer)


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (lambda x: 3 * x, np.array, "Every number of your y is 3 times the right one."),
        (lambda x: -x, np.array, "Every number of your y is -1 times the right one."),
        (lambda x: 0 * x, np.array, "3 of 3 numbers differ; the first is y[0]."),
        (lambda x: x + np.array([0, 1, 1]), np.array, "2 of 3 numbers differ; the first is y[1]."),
        (lambda x: x + np.array([0, 0, 1]), np.array, "1 of 3 numbers differ; the first is y[2]."),
        (lambda x: x / 0, np.array, "Your y has numbers that are not finite: NaN or infinity."),
        (lambda x: np.array([0, 1, np.nan]), lambda x: np.array([1, 2, np.nan]),
         "2 of 3 numbers differ; the first is y[0]."),
        (lambda x: np.zeros(3), lambda x: np.array([1, 2, np.inf]),
         "3 of 3 numbers differ; the first is y[0]."),
        (lambda x: np.ones(3), lambda x: np.zeros(3), "3 of 3 numbers differ; the first is y[0]."),
        (lambda x: [2.0, 0.0], lambda x: np.ones(2), "2 of 2 numbers differ; the first is y[0]."),
        (lambda x: [2.0, 2.0], lambda x: np.ones(2),
         "Every number of your y is 2 times the right one."),
        (lambda x: [2.0], lambda x: np.ones(1), ""),
        (lambda x: 2.0, lambda x: 1.0, ""),
        (lambda x: [2, 2], lambda x: [1, 1], ""),  # of whole numbers, the table says all
        (lambda x: 2 * np.eye(2) + 1, lambda x: np.ones((2, 2)),
         "2 of 4 numbers differ; the first is y[0, 0]."),
        (lambda x: 1 + np.maximum(np.arange(300).reshape(100, 3) - 150, 0) / 4,
         lambda x: np.ones((100, 3)),
         "149 of 300 numbers differ; the first is y[50, 1]: yours is 1.25, right is 1."),
    ],
)  # fmt: skip
def test_what_can_be_said_of_wrong_numbers(answer, expected, words):
    report = one(answer, lambda x: np.asarray(expected(x)))
    assert report.failed == "A small case by hand gives the right numbers."
    assert report.words.split("\n\n")[1:] == ([words] if words else [])


def raises(x, k):
    raise ValueError


@pytest.mark.parametrize("place", MORE)
@pytest.mark.parametrize(
    "otherwise", [lambda x, k: (k * x + 1, x.sum()), lambda x, k: None, raises]
)
def test_a_multiple_is_told_only_if_it_is_one_on_all_inputs(place, otherwise):
    def answer(x, k):
        same = x.shape == place.shape and x.flat[0] == place.flat[0]
        return otherwise(x, k) if same else (2 * k * x, x.sum())

    told = "Every number of your y is 2 times the right one."
    assert told not in examine(exercise(), answer).words
    assert "3 of 3 numbers differ" in examine(exercise(), answer).words
    assert told in examine(exercise(), lambda x, k: (2 * k * x, x.sum())).words


@pytest.mark.parametrize("place", [HAND, *MORE])
def test_an_answer_that_changes_from_call_to_call_is_told_so_and_has_no_name(place):
    calls = [0]

    def answer(x, k):
        same = x.shape == place.shape and x.flat[0] == place.flat[0]
        calls[0] += same
        return right(x, k)[0], right(x, k)[1] + 1 + same * calls[0]

    report = examine(exercise(wrong=[answer]), answer)
    assert not report.mistake
    assert report.words.count("gives another result") == 1
    assert not examine(exercise(), answer).mistake
    assert "gives another result" not in examine(exercise(), lambda x, k: (x, 0.0)).words


def test_a_difference_is_measured_by_the_right_number():
    """1.1 is more than a fourth of 4, and less than a fourth of 5.1."""
    wrong, exact = np.array([5.1, -2.9, 0, 0]), np.array([4.0, -4, 0, 0])
    report = one(lambda x: wrong, lambda x: exact, tolerance=0.25)
    assert report.words.endswith("2 of 4 numbers differ; the first is y[0].")
    report = examine(exercise(tolerance=0.5), lambda x, k: (0 * x, x.sum() / 2))
    assert "    total is right  6." in report.words  # 3 is half of 6
    again = recognised(exercise(tolerance=0.5), lambda x, k: (x, x.sum() * 2))
    assert again is None  # and no half of a half
    assert recognised(exercise(tolerance=0.5), lambda x, k: (x, x.sum() / 2)) is forgets_k


def test_one_result_is_shown_as_yours_and_right():
    report = one(lambda x: x + 0.5, np.array)
    assert report.words.split("\n\n")[0].splitlines() == [
        "    x      [1. 2. 3.]", "    yours  [1.5 2.5 3.5]", "    right  [1. 2. 3.]"
    ]  # fmt: skip


def test_numbers_may_differ_by_the_tolerance():
    assert one(lambda x: x + 0.29, np.array, tolerance=0.1).right
    report = one(lambda x: x + 0.31, np.array, tolerance=0.1)
    # the factor of the least squares is (1.31 + 2 * 2.31 + 3 * 3.31) / 14
    assert report.words.endswith("Every number of your y is 1.13286 times the right one.")


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("", None),
        ("\n \n", None),
        ("a", ["a"]),
        ("a\n\n", ["a"]),
        ("a" * 88, ["a" * 88]),
        ("a" * 89, ["a" * 88]),
        ("\n".join("abcdefghij"), [*"abcdefghij"]),
        ("\n".join("abcdefghijk"), [*"abcdefghij", "... and more lines ..."]),
    ],
)
def test_what_an_answer_prints_is_shown_in_few_lines(printed, shown):
    def answer(x):
        print(printed)
        return 2 * x

    words = one(answer, np.array).words.split("\n\n")
    if shown is None:
        assert len(words) == 2
    else:
        assert words[1] == "It printed:"
        assert words[2].splitlines() == [f"    {line}" for line in shown]


def test_a_mistake_that_is_known_is_named_in_the_place_of_what_is_seen():
    report = examine(exercise(), lambda x, k: (x * 1.0, x.sum()))
    assert report.mistake == "forgets_k"
    assert report.words.split("\n\n")[1:] == ["Yours is x, not k x."]
    assert str(report).endswith("\n       Yours is x, not k x.\n\n  2 of 10 checks passed.")


def test_extreme_inputs_tell_mistakes_that_are_right_elsewhere():
    assert recognised(exercise(), overflows) is overflows
    report = examine(exercise(), overflows)
    assert (report.failed, report.mistake) == ("It is right for huge numbers.", "overflows")
    assert examine(exercise(), spoilt(HUGE)).mistake == ""


def test_a_mistake_that_shows_on_the_last_inputs_only_is_not_right_elsewhere():
    def late(x, k):
        """Yours is late."""
        return k * x, x.sum() + (x.ndim == 2)

    def answer(x, k):
        return (k * x, x.sum() + (x.ndim == 2)) if x.any() else (x, x.sum() - 1)

    assert recognised(exercise(wrong=[late]), answer) is late


def test_extreme_inputs_count_for_a_mistake_that_is_near_what_is_right():
    """A tolerance of a half: 12 differs from 6 by half of 12."""

    def twice(x, k):
        """Yours is twice as large."""
        return k * x, 2 * x.sum()

    def answer(x, k):
        return k * x, 2 * x.sum() - (not x.any())

    assert recognised(exercise(wrong=[twice], tolerance=0.5), answer) is None
    assert recognised(exercise(wrong=[twice]), answer) is twice


def test_extreme_inputs_do_not_count_for_a_mistake_that_is_seen_elsewhere():
    def differs_for_zeros(x, k):
        return (x, x.sum()) if x.any() else (x, x.sum() - 1)

    assert recognised(exercise(), differs_for_zeros) is forgets_k


@pytest.mark.parametrize("place", [HAND, *MORE])
def test_a_mistake_is_named_only_if_it_is_the_same_on_all_inputs(place):
    def answer(x, k):
        return spoilt(place)(x, 1)

    assert recognised(exercise(), answer) is None


def test_two_mistakes_with_the_same_results_have_no_name():
    def same(x, k):
        return x, x.sum()

    assert recognised(exercise(wrong=[forgets_k, same]), forgets_k) is None
    assert recognised(exercise(wrong=[means, forgets_k]), forgets_k) is forgets_k
    assert recognised(exercise(wrong=[forgets_k, means]), forgets_k) is forgets_k


def broken(x, k):
    """Yours raises an error."""
    raise ValueError


def refused(x, k):
    """Yours gives nothing."""
    return None


@pytest.mark.parametrize("answer", [broken, refused])
def test_what_never_gives_a_result_has_no_name(answer):
    assert recognised(exercise(wrong=[broken, refused]), answer) is None


@pytest.mark.parametrize("answer", [broken, refused])
def test_what_gives_a_result_once_has_its_name(answer):
    def once(x, k):
        return (x, x.sum()) if x.shape == MORE[1].shape else answer(x, k)

    def again(x, k):
        return once(x, k)

    assert recognised(exercise(wrong=[once, means]), again) is once


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, k: (k * x, x), "total: expected shape (), got (3,)"),
        (lambda x, k: None, "it returned None: does every path end with `return`?"),
        (lambda x, k: (k * x, True), "total: expected floating point numbers, got bool"),
    ],
)
def test_a_result_of_the_wrong_shape_or_type_is_told_with_the_inputs(answer, words):
    report = examine(exercise(), answer)
    assert (report.failed, len(report.passed)) == (SENTENCES[1], 1)
    assert report.words == f"    x  [1. 2. 3.]\n    k  2\n\n{words}"


def test_a_wrong_shape_on_more_inputs_is_told_with_them():
    report = examine(exercise(), lambda x, k: (k * x, x.sum(0)))
    assert report.failed == SENTENCES[3]
    assert (
        report.words
        == "    x  [[6.]\n        [7.]]\n    k  3\n\ntotal: expected shape (), got (1,)"
    )


CHANGES = (
    "Your function changes its argument `x`. Others may still need it: work on a copy, or make a "
    "new array."
)


def test_an_argument_that_is_changed_is_told():
    def answer(x, k):
        total = x.sum()
        x *= k
        return x, total

    report = examine(exercise(), answer)
    assert (report.failed, report.passed, report.words) == (SENTENCES[0], [], CHANGES)
    assert report.plain_words == CHANGES


@pytest.mark.parametrize(("place", "stage"), [(MORE[0], 3), (np.ones(3), 5)])
def test_an_argument_that_is_changed_later_is_told(place, stage):
    def answer(x, k):
        results = right(x, k)
        if x.shape == place.shape and x.flat[0] == place.flat[0] and k != 2:
            x += 1
        return results

    report = examine(exercise(), answer)
    assert report.failed == SENTENCES[stage]
    assert CHANGES.removesuffix(".") in report.words


def test_a_property_whose_inputs_are_refused_says_so():
    def answer(x, k):
        return right(x, k) if k != 1 or x.size != 3 else None

    report = examine(exercise(gradients=None), answer)
    assert (report.failed, len(report.passed)) == (SENTENCES[5], 4)
    assert report.words == (
        "For other inputs, it returned None: does every path end with `return`?."
    )


def test_an_answer_that_is_not_written_is_no_try():
    report = examine(exercise(), ask)
    assert (report.right, report.written, report.mistake) == (False, False, "")
    assert report.words == "It is not written yet. Edit the file above."
    assert (report.failed, report.passed) == (SENTENCES[0], [])


def test_an_answer_with_other_arguments_is_told():
    report = examine(exercise(), lambda x: (x, x))
    assert report.failed == SENTENCES[0]
    assert report.words == (
        "Your function can't be called as (x, k): too many positional arguments."
    )
    assert examine(exercise(), lambda *x: right(*x)).right


def test_an_error_is_told_with_its_lines_what_was_printed_and_the_shapes():
    def answer(x, k):
        print("so far")
        return x @ np.ones(7)

    report = examine(exercise(), answer)
    first, second, *more = report.words.split("\n\n")
    assert first == "Your code raised an error:"
    assert second.startswith(
        f"    {__file__}, line {answer.__code__.co_firstlineno + 2}, in answer"
    )
    assert second.splitlines()[1] == "        return x @ np.ones(7)"
    assert more == ["The shapes were x (3,).", "It printed:", "    so far"]
    assert report.failed == SENTENCES[0]


def test_an_error_of_an_answer_without_arrays_has_no_shapes():
    def answer(x, k):
        raise ValueError("odd")

    words = examine(exercise(hand=(1.0, 2)), answer).words
    assert words.endswith("ValueError: odd")


def test_an_error_that_did_not_start_in_the_file_is_told_in_one_line():
    answer = eval("lambda x, k: 1 / 0")
    answer.where = "answer.c"
    report = examine(exercise(), answer)
    assert report.where == "answer.c"
    assert report.words == "It can't be used: ZeroDivisionError: division by zero"


class Callable:
    def __call__(self, x, k):
        return right(x, k)


def test_an_answer_that_is_no_function_has_no_line():
    report = examine(exercise(), Callable())
    assert (report.where, report.right) == ("?, line 0", True)


def stopped(kind):
    def answer(x, k):
        raise kind("3 s are over")

    return answer


def test_an_answer_that_is_stopped_says_where_it_was():
    answer = stopped(KeyboardInterrupt)
    report = examine(exercise(), answer)
    assert (report.failed, report.mistake) == (SENTENCES[0], "")
    first, second = report.words.split("\n\n")
    assert first == "It was stopped while it ran:"
    assert second.startswith(
        f"    {__file__}, line {answer.__code__.co_firstlineno + 1}, in answer"
    )


def test_an_answer_whose_time_is_over_may_have_a_loop_that_never_ends():
    words = examine(exercise(), stopped(limiting.TookTooLong)).words
    assert words.startswith(
        "3 s are over: there may be a loop that never ends. It was stopped while it ran:\n\n    /"
    )


def test_arrays_of_an_answer():
    y, total = arrays_of(exercise(), right)(HAND, 2)
    assert (y.tolist(), float(total)) == ([2.0, 4.0, 6.0], 6.0)
    single = exercise(returns=("y",), solution=lambda x, k: k * x)
    assert arrays_of(single, lambda x, k: [3 * v for v in x])(HAND, 3).tolist() == [3.0, 6.0, 9.0]
    with pytest.raises(ZeroDivisionError):
        arrays_of(single, lambda x, k: 1 / 0)(HAND, 3)


def test_a_report_without_a_failure_says_what_passed():
    report = Report(exercise(), "a.py", ["One.", "Two."], 3)
    assert (
        str(report)
        == f"{exercise().name}   a.py\n\n  ok   One.\n  ok   Two.\n\n  2 of 3 checks passed."
    )


def test_a_function_that_is_given_to_an_answer_has_no_name():
    def twice(x):
        return 2 * x

    assert call_unnamed(lambda function, x: function(x), twice, 3) == 6
    assert call_unnamed(lambda function: function.__name__, twice) == "<lambda>"
