"""How numbers, sentences and errors are shown."""

import math

import numpy as np
import pytest

from tinyattn.learn.errors import last_line, told
from tinyattn.learn.showing import Text, apart, block, paragraph, shown, table, whole


def named(x):
    """What it does."""


def bare(x):
    return x


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Text("as it is"), "as it is"),
        (np.zeros((0, 3)), "an array of shape (0, 3)"),
        (np.array([7]), "[7]"),
        (np.array(math.pi), "3.1416"),
        (np.array([math.pi, 1e-9]), "[3.1416 0.    ]"),
        (np.arange(60), "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21\n"
                        " 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43\n"
                        " 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59]"),
        (np.arange(61), "[ 0  1 ... 59 60]\n(shape (61,))"),
        (np.arange(13).reshape(13, 1),
         "[[ 0]\n [ 1]\n ...\n [11]\n [12]]\n(shape (13, 1))"),
        (np.arange(72).reshape(2, 6, 6),
         "[[[ 0 ...  5]\n  ...\n  [30 ... 35]]\n\n [[36 ... 41]\n  ...\n  [66 ... 71]]]"
         "\n(shape (2, 6, 6))"),
        (math.pi, "3.14159"),
        (np.float32(0.25), "0.25"),
        ([math.pi, 1], "[3.14159, 1]"),
        ((math.pi, (1, "a")), "(3.14159, (1, 'a'))"),
        (named, "What it does."),
        (bare, "bare"),
        (None, "None"),
        (True, "True"),
        ("a", "'a'"),
    ],
)  # fmt: skip
def test_a_value_is_short_enough_for_one_look(value, text):
    assert shown(value) == text


def test_lines_of_an_array_have_room_beside_their_name():
    row = np.full(24, 11)
    assert shown(row).splitlines()[0] == "[" + " ".join(["11"] * 22)
    assert len(max(shown(np.full(60, 1)).splitlines(), key=len)) == 66
    assert len(shown(np.full((1, 59), 1111)).splitlines()[0]) == 66


def test_more_digits_where_they_are_asked_for():
    assert shown([math.pi, (math.pi,)], 6) == "[3.1415927, (3.1415927)]"
    assert shown(np.array([math.pi]), 6) == "[3.141593]"


@pytest.mark.parametrize(
    ("shape", "is_whole"),
    [
        ((60,), True), ((61,), False), ((12, 1), True), ((13, 1), False), ((12, 5), True),
        ((2, 3, 4), True), ((12, 2), True), ((13, 2), False), ((), True), ((0,), True),
    ],
)  # fmt: skip
def test_arrays_of_60_numbers_in_12_rows_are_whole(shape, is_whole):
    assert whole(np.zeros(shape)) is is_whole


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (1.0, 2.0, ("1", "2")),
        (1.0, 1.000001, ("1", "1.000001")),
        (np.array([1.0]), np.array([1.00001]), ("[1.]", "[1.00001]")),
        (1.0, 1.0, ("1", "1")),
        (1.0, 1 + 2.0**-52, ("1", "1.0000000000000002")),
        (np.array([0.0]), np.array([1e-16]), ("[0.]", "[0.0000000000000001]")),
        (np.array([0.0]), np.array([2e-17]), ("[0.]", "[0.]")),
        (math.pi, 4.0, ("3.14159", "4")),
    ],
)
def test_two_values_have_as_many_digits_as_tell_them_apart(one, other, texts):
    assert apart(one, other) == texts


def test_a_table_has_its_names_on_the_left():
    rows = [("x", np.array([[1, 2], [3, 4]])), ("right", Text("a\n\n b \n")), ("y", 1)]
    assert table(iter(rows), "..").splitlines() == [
        "..x      [[1 2]", "..        [3 4]]", "..right  a", "..        b", "..y      1",
    ]  # fmt: skip


def test_the_last_name_of_a_table_has_room():
    assert table([("x", 1), ("right", 2)]) == "x      1\nright  2"


def test_a_paragraph_has_lines_of_88_characters_and_keeps_its_blocks():
    text = "\n" + "word " * 18 + "and\nmore\n\n" + block("a\nb") + "\n\nend\n"
    assert paragraph(text, "> ").split("\n") == [
        ">" + " word" * 17, "> word and more", "", ">   a", ">   b", "", "> end",
    ]  # fmt: skip
    assert paragraph("  a\n    b") == "a b"
    assert paragraph("    a\n b") == "a b"
    assert len(paragraph("ab " * 60).split("\n")[0]) == 86


def failing(depth):
    if depth:
        return failing(depth - 1)
    raise ValueError("odd")


def error_of(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error


@pytest.mark.parametrize("depth", [0, 1, 4, 5, 6, 9])
def test_an_error_is_told_with_its_six_most_telling_calls(depth):
    lines = told(error_of(failing, depth), __file__).split("\n")
    assert lines[-1] == "ValueError: odd"
    first = failing.__code__.co_firstlineno
    end = [f"{__file__}, line {first + 3}, in failing", '    raise ValueError("odd")']
    again = [f"{__file__}, line {first + 2}, in failing", "    return failing(depth - 1)"]
    calls = lines[2:-1]  # after error_of
    if depth < 5:
        assert calls == again * depth + end
    else:
        assert calls == [*again * 3, f"... {depth + 2 - 6} more ...", *again, *end]


def test_an_error_that_started_elsewhere_is_not_told():
    error = error_of(int, "a")
    assert told(error, "answer.py") is None
    assert told(error, __file__).split("\n")[1] == "    function(*args)"


def test_a_syntax_error_is_told_as_python_tells_it():
    error = error_of(compile, "x = (1\n", "answer.py", "exec")
    assert told(error, "answer.py").split("\n") == [
        '  File "answer.py", line 1', "    x = (1", "        ^",
        "SyntaxError: '(' was never closed",
    ]  # fmt: skip
    assert told(error, "other.py") is None
    assert told(error, __file__).split("\n")[-1].startswith("SyntaxError: ")


class Silent(Exception):
    def __str__(self):
        raise ValueError


def test_the_last_line_of_an_error():
    assert last_line(ValueError("odd")) == "ValueError: odd"
    assert last_line(Silent()) == "Silent, whose message can't be shown"
