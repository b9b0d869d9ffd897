"""`python -m tinyattn.learn grade`: marks for a class, whatever the answers do."""

import csv
from xml.etree import ElementTree

import pytest

from tinyattn.learn.__main__ import main
from tinyattn.learn.apart import Verdict, check_apart
from tinyattn.learn.exercise import exercises, load
from tinyattn.learn.grading import grade, write_csv, write_junit
from tinyattn.learn.library_calls import library_calls

HEAD = "import os\nimport sys\nimport numpy as np\n\n\ndef softmax_backward(y, grad):\n    "
RIGHT = "return y * (grad - (grad * y).sum(-1, keepdims=True))\n"
ANSWERS = {
    "ana": RIGHT,
    "bo": "return y * grad\n",
    "chen": "return grad * y\n",
    "dora": "import time\n    time.sleep(1000)\n",
    "emil": "os._exit(0)\n",
    "finn": "return np.ones(400_000_000)\n",
    "gul": "from tinyattn.nn import functional as F\n    F.softmax\n    " + RIGHT,
    "hana": "print(1, file=sys.stderr)\n    return undefined\n",
    "ivo": "raise NotImplementedError\n",
}
EXTRA = '''
import inspect

def check_04_imports_nothing(answer):
    """The function imports nothing."""
    return "there is an import" if "import" in inspect.getsource(answer) else None

def check_05a_is_not_asked(answer):
    raise AssertionError
'''


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """(what is printed, the rows of the table, the XML) of a class whose answers are ANSWERS."""
    folder = tmp_path_factory.mktemp("class")
    for student, body in ANSWERS.items():
        (folder / student).mkdir()
        (folder / student / "04_softmax_backward.py").write_text(HEAD + body, encoding="utf-8")
    (folder / "no student").mkdir()
    (folder / "checks.py").write_text(EXTRA, encoding="utf-8")
    table, junit = folder / "marks.csv", folder / "marks.xml"
    options = ["--csv", table, "--junit", junit, "--extra", folder / "checks.py"]
    options += ["--exercise", "04", "--seconds", 8, "--memory", 2048]
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert main(["grade", *map(str, [folder, *options])]) == 0
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    return "\n".join(said), rows, ElementTree.parse(junit).getroot()


def test_each_student_has_a_mark(marks):
    _, rows, _ = marks
    assert {student: row["mark"] for student, row in rows.items()} == {
        student: "1" if student == "ana" else "0" for student in ANSWERS
    }


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ("bo", "the sum over i is missing"),
        ("dora", "ended after 8 s"),
        ("emil", "exit code 0, before the check was done"),
        ("finn", "MemoryError"),
        ("gul", "check_04_imports_nothing: there is an import"),
        ("hana", "NameError"),
        ("ivo", "not written"),
    ],
)
def test_the_diagnosis_says_what_happened(marks, student, words):
    _, rows, _ = marks
    assert words in rows[student]["diagnosis"]


def test_calls_of_the_librarys_own_answer_are_reported(marks):
    said, rows, _ = marks
    assert rows["gul"]["library"] == "line 8: F.softmax"
    assert "calls a library: line 8: F.softmax" in said


def test_the_commonest_mistakes_come_last(marks):
    said, _, _ = marks
    assert "2 x 04_softmax_backward: Yours is y * grad" in said.split("The commonest mistakes")[1]


def test_it_says_that_a_process_is_no_sandbox(marks):
    assert "no sandbox" in " ".join(marks[0].split())


def test_junit_has_one_case_for_each_student(marks):
    _, _, root = marks
    failed = {case.get("classname"): case.find("failure") for case in root.iter("testcase")}
    assert failed.keys() == ANSWERS.keys()
    assert [student for student, failure in failed.items() if failure is None] == ["ana"]
    assert "NO" in failed["bo"].text


def test_a_folder_without_students_is_refused(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 2
    assert "holds an exercise file" in capsys.readouterr().err


def test_an_answer_that_is_missing_gets_no_mark(tmp_path, capsys):
    (tmp_path / "ana").mkdir()
    (tmp_path / "ana/01_derivative.py").write_text("", encoding="utf-8")
    table = tmp_path / "marks.csv"
    assert main(["grade", str(tmp_path), "--exercise", "03", "--csv", str(table)]) == 0
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["exercise"] for row in rows] == ["03a_unbroadcast", "03b_matmul_backward"]
    assert [row["mark"] for row in rows] == ["0", "0"]


def test_a_crash_in_c_is_told(tmp_path):
    path = tmp_path / "13_softmax_in_c.c"
    head = "void softmax_in_c(const float *x, float *y, long columns, long first, long last)"
    path.write_text(f"{head}\n{{ *(volatile float *)8 = 0; }}\n", encoding="utf-8")
    verdict = check_apart(path, load("13_softmax_in_c"), 20, 4096)
    assert not verdict.right
    assert "SIGSEGV" in verdict.words or "C compiler" in verdict.words


def test_a_table_holds_no_formula_and_xml_no_control_characters(tmp_path):
    verdict = Verdict("04_softmax_backward", "a.py", words="=1+1", report="\x00=1+1")
    marks = {"@ana": [verdict], "": [Verdict("04_softmax_backward", "-b.py", words="-", total=-1)]}
    write_csv(marks, tmp_path / "marks.csv")
    with (tmp_path / "marks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["student"] for row in rows] == ["'@ana", ""]
    assert [row["diagnosis"] for row in rows] == ["'=1+1", "'-"]
    assert rows[1]["file"] == "'-b.py"
    assert rows[1]["total"] == "-1"
    write_junit(marks, tmp_path / "marks.xml")
    failures = [f.text for f in ElementTree.parse(tmp_path / "marks.xml").iter("failure")]
    assert failures == ["=1+1", "-"]


def test_library_calls_are_found_under_any_name(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text(
        "import tinyattn as ta, torch.nn.functional as G\n"
        "from scipy.special import softmax as s\nimport numpy as np\n"
        "a = ta.softmax\nb = G.softmax(s(1))\nc = np.exp(1)\nd = __import__('torch')\n",
        encoding="utf-8",
    )
    assert library_calls(path) == [
        "line 4: ta.softmax", "line 5: G.softmax", "line 5: s", "line 7: __import__",
    ]  # fmt: skip


def test_a_student_is_a_folder_with_any_file_of_an_exercise(tmp_path):
    (tmp_path / "notes").mkdir()
    for exercise in exercises():
        (tmp_path / exercise.name).mkdir()
        (tmp_path / exercise.name / exercise.file).touch()
    assert grade(tmp_path, []) == {exercise.name: [] for exercise in exercises()}
