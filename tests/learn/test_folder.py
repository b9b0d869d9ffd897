"""The student's folder, the names of exercises, and the calls of libraries in a file."""

import hashlib
import json
import sys

import pytest

from tests.learn.test_checking import exercise as made
from tinyattn.learn.exercise import Exercise, exercises, load, names, of_function, only
from tinyattn.learn.folder import PROGRESS, Progress, Unusable, answer_in, start, stub, worked_case
from tinyattn.learn.library_calls import library_calls

SOFTMAX = load("04_softmax_backward")


def test_an_exercise_has_a_name_a_number_a_lesson_and_a_file():
    exercise, in_c = load("09a_shift_targets"), load("13_softmax_in_c")
    assert (exercise.name, exercise.number, exercise.lesson) == ("09a_shift_targets", "09a", "09")
    assert (exercise.file, in_c.file) == ("09a_shift_targets.py", "13_softmax_in_c.c")
    assert names()[0] == "01_derivative"
    assert names()[-1] == "14b_diagnose"
    assert isinstance(load.__wrapped__("14b_diagnose"), Exercise)


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("3", ["03a_unbroadcast", "03b_matmul_backward"]),
        ("03", ["03a_unbroadcast", "03b_matmul_backward"]),
        ("3b", ["03b_matmul_backward"]),
        ("14b", ["14b_diagnose"]),
        ("14", ["14a_catch_faults", "14b_diagnose"]),
        ("01_derivative", ["01_derivative"]),
        ("", names()),
    ],
)
def test_exercises_are_found_by_their_number(number, found):
    assert [exercise.name for exercise in exercises(number)] == found


def test_exercises_are_found_by_their_function():
    assert of_function("diagnose").name == "14b_diagnose"
    assert of_function("derivative").name == "01_derivative"
    assert list(only([1, (2, 3)])) == [(1,), ((2, 3),)]


def test_start_makes_the_folder_and_says_what_it_has_written(tmp_path):
    folder = tmp_path / "a/b"
    files = [exercise.file for exercise in exercises()]
    assert start(folder) == [folder / name for name in files]
    (folder / files[3]).unlink()
    assert start(folder) == [folder / files[3]]
    assert start(folder) == []


def test_a_file_begins_with_its_name_its_lesson_and_a_small_case():
    text = stub(load("09a_shift_targets"))
    assert text.startswith('"""Exercise 09a_shift_targets. Lesson 09 explains what you need.\n')
    assert "learn check 09a\n" in text
    assert worked_case(load("09a_shift_targets")) in text
    exercise = load("13_softmax_in_c")
    assert stub(exercise).startswith("/* Exercise 13_softmax_in_c. Lesson 13 explains")
    assert "learn check 13\n" in stub(exercise)
    assert stub(exercise).endswith(exercise.c)


def test_the_small_case_shows_arguments_and_results():
    assert worked_case(made()).splitlines() == [
        "    x      [1. 2. 3.]", "    k      2", "    y      [2. 4. 6.]", "    total  6.",
    ]  # fmt: skip
    single = made(returns=("y",), solution=lambda x, k: k * x)
    assert worked_case(single).splitlines()[-1] == "    result  [2. 4. 6.]"


def test_only_a_file_that_needs_callable_imports_it():
    imports = "from collections.abc import Callable\n\nimport numpy as np\n"
    needed = [imports in stub(exercise) for exercise in exercises() if not exercise.c]
    assert needed == ["Callable" in stub(exercise) for exercise in exercises() if not exercise.c]
    assert 0 < sum(needed) < len(needed)


def test_an_answer_is_loaded_as_it_is_now_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / SOFTMAX.file
    (tmp_path / "beside_it.py").write_text("", encoding="utf-8")
    for line in ("1 / 0", "[][1]"):
        path.write_text(f"import beside_it\n{line}\n", encoding="utf-8")
        with pytest.raises(Unusable, match=r"can't be loaded") as told:
            answer_in(path, SOFTMAX)
        assert f"line 2, in <module>\n        {line}\n" in str(told.value)
    assert sys.dont_write_bytecode is False
    assert sorted(p.name for p in tmp_path.iterdir()) == [SOFTMAX.file, "beside_it.py"]
    assert str(tmp_path) not in sys.path
    del sys.modules["beside_it"]


def test_what_was_tried_is_kept(tmp_path):
    path = tmp_path / SOFTMAX.file
    path.write_text("é", encoding="utf-8")
    progress = Progress(tmp_path)
    new = {"tries": 0, "hints": 0, "right": False, "solution": False, "checked": ""}
    assert progress.of(SOFTMAX) == new
    assert progress.state(SOFTMAX) == "-"
    progress.checked(SOFTMAX, False)
    assert progress.state(SOFTMAX) == "not yet"
    progress.checked(SOFTMAX, True)
    assert progress.state(SOFTMAX) == "right"
    text = hashlib.sha256("é".encode()).hexdigest()
    tried = {"tries": 2, "hints": 0, "right": True, "solution": False, "checked": text}
    assert progress.of(SOFTMAX) == tried
    progress.save()
    written = (tmp_path / PROGRESS).read_text(encoding="utf-8")
    assert written == json.dumps({SOFTMAX.name: tried}, indent=1) + "\n"
    again = Progress(tmp_path)
    assert again.of(SOFTMAX) == tried
    path.unlink()
    assert again.state(SOFTMAX) == "changed"
    again.checked(SOFTMAX, False)
    assert again.of(SOFTMAX)["checked"] == ""


def test_an_older_record_gets_what_is_new(tmp_path):
    (tmp_path / PROGRESS).write_text(f'{{"{SOFTMAX.name}": {{"tries": 4}}}}', encoding="utf-8")
    entry = Progress(tmp_path).of(SOFTMAX)
    assert (entry["tries"], entry["hints"], entry["solution"]) == (4, 0, False)


def test_calls_of_libraries(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text(
        "import tinyattn.nn, numpy as np\nfrom torch import softmax as s, exp\n"
        "from . import other\nfrom numpy import tanh\n"
        "a = tinyattn.nn.functional.softmax(s)\nb = np.exp(tanh(other))\nc = [exp, eval]\n",
        encoding="utf-8",
    )
    assert library_calls(path) == [
        "line 5: s", "line 5: tinyattn.nn.functional.softmax", "line 7: eval", "line 7: exp",
    ]  # fmt: skip
    assert library_calls(path.with_suffix(".c")) == []
