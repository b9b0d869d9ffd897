"""Marks for a class from verdicts that are given: the tables, line by line."""

import csv
from xml.etree import ElementTree

import pytest

from tinyattn.learn import grading
from tinyattn.learn.apart import Verdict
from tinyattn.learn.exercise import exercises, load
from tinyattn.learn.grading import COLUMNS, commonest, grade, table, write_csv, write_junit

SOFTMAX, DERIVATIVE, LAST = "04_softmax_backward", "01_derivative", "14b_diagnose"
WRONG = {name: load(name).wrong for name in (SOFTMAX, DERIVATIVE, LAST)}
LIBRARY = ["line 1: F.a", "line 2: F.b"]


def mistake(name, place):
    return Verdict(name, "x.py", mistake=WRONG[name][place].__name__, passed=2, total=9)


def message(name, place):
    return " ".join(WRONG[name][place].__doc__.split())


MARKS = {
    "bo": [
        Verdict(SOFTMAX, "a.py", True, passed=9, total=9, library=LIBRARY, seconds=1.256),
        Verdict(DERIVATIVE, "b.py", words="odd", report="NO odd", passed=1, total=8, seconds=2),
    ],
    "anastasia": [
        mistake(SOFTMAX, -1),
        Verdict(DERIVATIVE, "", written=False, words="There is no file."),
    ],
    "chen": [mistake(SOFTMAX, -1), mistake(DERIVATIVE, 0)],
}


def test_the_table_has_a_line_for_each_student_and_mistakes_below():
    room = " " * 11
    lines = table(MARKS).split("\n")
    assert lines[0] == "bo         1 of 2 right"
    assert lines[1] == f"{room}04_softmax_backward calls a library: line 1: F.a, line 2: F.b"
    assert lines[2] == f"{room}01_derivative: odd"
    assert lines[3] == "anastasia  0 of 2 right"
    end = lines.index("chen       0 of 2 right")
    told = " ".join(" ".join(lines[4:end]).split())
    assert told == f"{SOFTMAX}: {message(SOFTMAX, -1)}"
    assert all(line.startswith(room) for line in lines[4:end])
    at = lines.index("The commonest mistakes:")
    assert lines[at - 1] == lines[at + 1] == ""
    told = " ".join(" ".join(lines[at + 2 :]).split())
    assert told == (
        f"2 x {SOFTMAX}: {message(SOFTMAX, -1)} 1 x {DERIVATIVE}: {message(DERIVATIVE, 0)}"
    )


def test_without_mistakes_no_commonest_ones_are_told():
    assert table({"bo": [Verdict(SOFTMAX, "a.py", True)]}) == "bo  1 of 1 right"


def test_a_long_diagnosis_is_cut_in_its_middle():
    for length, cut in ((300, False), (301, True)):
        words = "b" * 100 + "c" * (length - 295) + "d" * 195
        told = "".join(table({"a": [Verdict(SOFTMAX, "a.py", words=words)]}).split())
        shown = "b" * 100 + "..." + "d" * 195 if cut else words
        assert told.endswith(f"{SOFTMAX}:{shown}")


def test_the_commonest_mistakes_are_ten_and_of_equal_ones_the_first_come_first():
    both = [(SOFTMAX, i) for i in range(6)] + [(DERIVATIVE, i) for i in range(6)]
    marks = {str(n): [mistake(*place)] for n, place in enumerate([*both, (SOFTMAX, 2)])}
    found = commonest(marks)
    assert found[0] == (2, SOFTMAX, message(SOFTMAX, 2))
    once = sorted((n, WRONG[n][i].__name__, i) for n, i in both if (n, i) != (SOFTMAX, 2))
    assert found[1:] == [(1, n, message(n, i)) for n, _, i in once][:9]
    assert len(commonest(marks, most=3)) == 3


def test_the_csv_has_a_row_for_each_answer(tmp_path):
    path = tmp_path / "marks.csv"
    marks = MARKS | {"é": [Verdict(SOFTMAX, "+a", words="\r=", passed=-1)]}
    write_csv(marks, path)
    assert path.read_bytes().count(b"\r\n") == 8
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    wrong = [f.__name__ for f in (WRONG[SOFTMAX][-1], WRONG[DERIVATIVE][0])]
    first, second = message(SOFTMAX, -1), message(DERIVATIVE, 0)
    assert rows[1:] == [
        ["bo", SOFTMAX, "1", "9", "9", "", "", "; ".join(LIBRARY), "a.py"],
        ["bo", DERIVATIVE, "0", "1", "8", "", "odd", "", "b.py"],
        ["anastasia", SOFTMAX, "0", "2", "9", wrong[0], first, "", "x.py"],
        ["anastasia", DERIVATIVE, "0", "0", "0", "", "not written", "", ""],
        ["chen", SOFTMAX, "0", "2", "9", wrong[0], first, "", "x.py"],
        ["chen", DERIVATIVE, "0", "2", "9", wrong[1], second, "", "x.py"],
        ["é", SOFTMAX, "0", "-1", "0", "", "'=", "", "'+a"],
    ]


def test_the_xml_has_a_suite_for_each_student_and_a_case_for_each_answer(tmp_path):
    path = tmp_path / "marks.xml"
    write_junit({"é": MARKS["bo"], "chen": MARKS["chen"]}, path)
    assert path.read_bytes().startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    assert "é".encode() in path.read_bytes()
    root = ElementTree.parse(path).getroot()
    assert (root.tag, root.attrib) == ("testsuites", {"name": "tinyattn.learn"})
    assert [suite.attrib for suite in root] == [
        {"name": "é", "tests": "2", "failures": "1"},
        {"name": "chen", "tests": "2", "failures": "2"},
    ]
    right, wrong = root[0]
    assert (right.tag, len(right)) == ("testcase", 0)
    assert right.attrib == {"classname": "é", "name": SOFTMAX, "time": "1.26"}
    assert wrong.attrib == {"classname": "é", "name": DERIVATIVE, "time": "2.00"}
    assert [(f.tag, f.get("message"), f.text) for f in wrong] == [("failure", "odd", "NO odd")]


def test_what_xml_can_not_hold_is_left_out():
    assert grading._printable("a\x00\nb\tc\x1b") == "a\nb\tc"
    assert grading._printable("é") == "é"


@pytest.fixture
def asked(monkeypatch):
    """The arguments of the checks, in whose place these verdicts stand: right."""
    asked = []

    def check(path, *options):
        asked.append((path, *options))
        return Verdict(options[0].name, str(path), True)

    monkeypatch.setattr(grading, "check_apart", check)
    return asked


def test_each_answer_of_each_student_is_checked(tmp_path, asked):
    chosen = [load(SOFTMAX), load(LAST)]
    for student, name in (("bo", SOFTMAX), ("ana", LAST), ("ana", SOFTMAX)):
        (tmp_path / student).mkdir(exist_ok=True)
        (tmp_path / student / load(name).file).write_text("")
    (tmp_path / "zoe").mkdir()
    marks = grade(tmp_path, chosen, 3, 99, tmp_path)
    assert list(marks) == ["ana", "bo"]
    paths = [tmp_path / "ana" / chosen[0].file, tmp_path / "ana" / chosen[1].file]
    assert [(v.exercise, v.file, v.right) for v in marks["ana"]] == [
        (SOFTMAX, str(paths[0]), True), (LAST, str(paths[1]), True)
    ]  # fmt: skip
    missing = marks["bo"][1]
    assert missing == Verdict(
        LAST, str(tmp_path / "bo" / chosen[1].file), written=False, words="There is no file."
    )
    paths.append(tmp_path / "bo" / chosen[0].file)
    wanted = zip(paths, [*chosen, chosen[0]], strict=True)
    assert sorted(asked, key=lambda one: one[0]) == [(p, e, 3, 99, tmp_path) for p, e in wanted]


@pytest.mark.parametrize("exercise", [exercises()[0], exercises()[-1]], ids=lambda e: e.number)
def test_a_folder_with_one_exercise_file_is_a_student_with_20_seconds(tmp_path, asked, exercise):
    (tmp_path / "bo").mkdir()
    (tmp_path / "bo" / exercise.file).write_text("")
    assert list(grade(tmp_path, [exercise])) == ["bo"]
    assert asked == [(tmp_path / "bo" / exercise.file, exercise, 20, 4096, None)]


def test_a_folder_without_students_is_named(tmp_path):
    with pytest.raises(ValueError, match="no folder in it holds an exercise file"):
        grade(tmp_path, exercises())
