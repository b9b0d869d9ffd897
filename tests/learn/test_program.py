"""`python -m tinyattn.learn`: what it writes, what it prints, what it returns."""

import json

import numpy as np
import pytest

from tinyattn import learn
from tinyattn.learn.__main__ import main
from tinyattn.learn.exercise import names
from tinyattn.learn.folder import PROGRESS
from tinyattn.learn.showing import block, paragraph, table

FILE = "04_softmax_backward.py"


@pytest.fixture
def folder(tmp_path):
    assert main(["start", str(tmp_path)]) == 0
    return tmp_path


def answer(folder, line):
    """Write `line` as the body of softmax_backward, and return the number of that line."""
    path = folder / FILE
    text = path.read_text(encoding="utf-8")
    head = text[: text.rindex('"""') + 4]
    path.write_text(f"{head}    {line}\n", encoding="utf-8")
    return head.count("\n") + 1


def run(capsys, *arguments):
    capsys.readouterr()
    code = main([*map(str, arguments)])
    return code, " ".join(capsys.readouterr().out.split())


RIGHT = "return y * (grad - np.einsum('bv,bv->b', y, grad)[:, None])"


def test_start_writes_every_exercise_and_keeps_what_is_there(folder, capsys):
    assert sorted(path.stem for path in folder.iterdir()) == names()
    answer(folder, RIGHT)
    code, said = run(capsys, "start", folder)
    assert code == 0
    assert f"0 exercises written to {folder}, {len(names())} kept" in said
    assert RIGHT in (folder / FILE).read_text(encoding="utf-8")


def test_a_right_answer_passes_however_it_is_written(folder, capsys):
    answer(folder, RIGHT)
    code, said = run(capsys, "check", "04", "--dir", folder)
    assert code == 0
    assert "11 of 11 checks passed" in said
    assert "8 numbers differ from it by at most" in said
    assert str(folder / FILE) in said


def test_a_known_mistake_is_named_and_shown_beside_what_is_right(folder, capsys):
    answer(folder, "return y * grad")
    code, said = run(capsys, "check", "4", "--dir", folder)
    assert code == 1
    assert "the sum over i is missing" in said
    assert "yours" in said
    assert "right" in said
    assert "2 of 11 checks passed" in said


def test_an_unknown_mistake_gets_no_name(folder, capsys):
    answer(folder, "return 1.5 * y * (grad - (grad * y).sum(-1, keepdims=True))")
    code, said = run(capsys, "check", "4", "--dir", folder)
    assert code == 1
    assert "Every number of your dx is 1.5 times the right one." in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return y @ grad", "ValueError"),
        ("return (y * grad", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("return undefined", "NameError"),
    ],
)
def test_an_error_shows_the_file_and_the_line(folder, capsys, line, words):
    at = answer(folder, line)
    code, said = run(capsys, "check", "04", "--dir", folder)
    assert code == 1
    assert f"line {at}" in said
    assert words in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return None", "it returned None"),
        ("return y > 0", "dx: expected floating point numbers, got bool"),
        ("return y.T @ grad", "dx: expected shape (2, 3), got (3, 3)"),
        ("return 'text'", "dx: expected"),
        ("grad *= y; return grad", "changes its argument `grad`"),
        ("return y * np.nan", "not finite"),
    ],
)
def test_a_result_of_the_wrong_kind_is_told(folder, capsys, line, words):
    answer(folder, line)
    code, said = run(capsys, "check", "04", "--dir", folder)
    assert code == 1
    assert words in " ".join(said.split())


def test_check_alone_takes_what_is_written_and_stops_at_the_first_failure(folder, capsys):
    code, said = run(capsys, "check", "--dir", folder)
    assert code == 1
    assert f"0 of {len(names())} exercises are right" in said
    answer(folder, RIGHT)
    code, said = run(capsys, "check", "--dir", folder)
    assert code == 1
    assert f"1 of {len(names())} exercises are right" in said
    answer(folder, "return y")
    code, said = run(capsys, "check", "--dir", folder)
    assert code == 1
    assert "NO" in said


def test_three_hints_come_one_after_another(folder, capsys):
    said = [run(capsys, "hint", "04", "--dir", folder)[1] for _ in range(4)]
    assert [text.count("hint ") for text in said] == [1, 2, 3, 3]


def test_the_solution_is_shown_after_one_try(folder, capsys):
    code, said = run(capsys, "solution", "04", "--dir", folder)
    assert code == 1
    assert "try it once first" in said
    run(capsys, "check", "04", "--dir", folder)  # of the stub, which is no try
    assert run(capsys, "solution", "04", "--dir", folder)[0] == 1
    answer(folder, "return y")
    run(capsys, "check", "04", "--dir", folder)
    code, said = run(capsys, "solution", "04", "--dir", folder)
    assert code == 0
    assert "def softmax_backward" in said


def test_status_says_what_is_done(folder, capsys):
    answer(folder, RIGHT)
    run(capsys, "check", "04", "--dir", folder)
    run(capsys, "hint", "06a", "--dir", folder)
    code, said = run(capsys, "status", "--dir", folder)
    assert code == 0
    assert "04_softmax_backward right 1 0" in said
    assert "06a_gru_step - 0 1" in said
    assert json.loads((folder / PROGRESS).read_text(encoding="utf-8"))


def test_a_file_that_changed_after_its_check_is_not_called_right(folder, capsys):
    answer(folder, RIGHT)
    run(capsys, "check", "04", "--dir", folder)
    answer(folder, "return y")
    assert "04_softmax_backward changed 1 0" in run(capsys, "status", "--dir", folder)[1]


def test_what_an_answer_prints_is_shown_when_it_fails(folder, capsys):
    answer(folder, "print('sums'); print(); print(y.sum()); return y")
    assert "It printed: sums 2.0" in run(capsys, "check", "04", "--dir", folder)[1]
    answer(folder, "print('so far'); return y / {}")
    assert "It printed: so far" in run(capsys, "check", "04", "--dir", folder)[1]


def test_a_folder_without_exercises_is_told(tmp_path, capsys):
    for command in (["check", "04"], ["hint", "04"], ["solution", "04"], ["status"]):
        code, said = run(capsys, *command, "--dir", tmp_path)
        assert code == 2
        assert "has no exercises" in said
    assert not list(tmp_path.iterdir())


def test_arrays_with_several_axes_stand_below_each_other():
    shown = paragraph(block(table([("x", np.arange(8.0).reshape(2, 2, 2))])), "  ")
    assert shown.splitlines() == [
        "    x  [[[0. 1.]",
        "         [2. 3.]]",
        "        [[4. 5.]",
        "         [6. 7.]]]",
    ]


def test_a_missing_file_or_function_is_told(folder, capsys):
    (folder / FILE).write_text("def other(y, grad):\n    return y\n", encoding="utf-8")
    assert "no function softmax_backward" in run(capsys, "check", "04", "--dir", folder)[1]
    (folder / FILE).unlink()
    assert "There is no file" in run(capsys, "check", "04", "--dir", folder)[1]


def test_a_function_that_calls_itself_without_end_is_told_in_few_lines(folder, capsys):
    answer(folder, "return softmax_backward(y, grad)")
    said = run(capsys, "check", "04", "--dir", folder)[1]
    assert "RecursionError" in said
    assert "more ..." in said
    assert said.count("in softmax_backward") == 6


def test_an_answer_that_is_stopped_shows_where_it_was(folder, capsys):
    at = answer(folder, "raise KeyboardInterrupt")
    code, said = run(capsys, "check", "04", "--dir", folder)
    assert code == 1
    assert "It was stopped while it ran" in said
    assert f"line {at}" in said


def test_a_number_that_no_exercise_has_is_refused(folder, capsys):
    assert main(["check", "99", "--dir", str(folder)]) == 2
    assert "there is no exercise '99'" in capsys.readouterr().err


def test_check_in_a_notebook_prints_the_same(capsys):
    def softmax_backward(y, grad):
        return y * grad

    assert not learn.check(softmax_backward)
    assert "the sum over i is missing" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no exercise asks for a function 'run'"):
        learn.check(run)
