"""The commands of `python -m tinyattn.learn`, line by line; the checks themselves are replaced."""

import json
from pathlib import Path

import pytest

from tinyattn.learn import __main__ as program
from tinyattn.learn import grading
from tinyattn.learn.apart import Verdict
from tinyattn.learn.checking import Report
from tinyattn.learn.exercise import exercises, load, names
from tinyattn.learn.folder import PROGRESS

PROGRAM = "python -m tinyattn.learn"
FIRST, SECOND, LAST = "03a_unbroadcast", "03b_matmul_backward", "14b_diagnose"


@pytest.fixture
def folder(tmp_path):
    assert program.main(["start", str(tmp_path)]) == 0
    return tmp_path


def run(capsys, *arguments):
    """The exit code, and what was printed."""
    capsys.readouterr()
    code = program.main([*map(str, arguments)])
    return code, capsys.readouterr().out


def finding(name, right, written=True):
    report = Report(load(name), "answer.py", ["It runs."], 2, "" if right else "It is right.")
    report.words, report.written = "" if right else "It is not.", written
    return report


@pytest.fixture
def found(monkeypatch):
    """The reports by name; what is not in it is not written."""
    reports = {}

    def report(folder, exercise):
        return reports.get(exercise.name) or finding(exercise.name, False, written=False)

    monkeypatch.setattr(program, "_report", report)
    return reports


def tried(folder, name):
    return json.loads((folder / PROGRESS).read_text(encoding="utf-8"))[name]


def test_start_says_what_it_has_written_and_what_comes_next(tmp_path, capsys):
    count = len(names())
    code, said = run(capsys, "start", tmp_path / "a")
    assert code == 0
    assert said.split("\n") == [
        f"{count} exercises written to {tmp_path / 'a'}.", "", f"    cd {tmp_path / 'a'}",
        f"    {PROGRAM} check 01", "",
        "Each file says what to write. `check` says what is wrong, `hint` helps.", "",
    ]  # fmt: skip
    (tmp_path / "a" / load(FIRST).file).unlink()
    said = run(capsys, "start", tmp_path / "a")[1]
    assert said.startswith(
        f"1 exercises written to {tmp_path / 'a'}, {count - 1} kept as they are."
    )


def test_one_exercise_is_checked(folder, capsys, found):
    found[LAST] = finding(LAST, True)
    assert run(capsys, "check", "14b", "--dir", folder) == (0, f"{found[LAST]}\n")
    assert (tried(folder, LAST)["tries"], tried(folder, LAST)["right"]) == (1, True)
    found[LAST] = finding(LAST, False)
    code, said = run(capsys, "check", "14b", "--dir", folder)
    assert (code, said) == (1, f"{found[LAST]}\n  A hint: {PROGRAM} hint 14b\n")
    assert (tried(folder, LAST)["tries"], tried(folder, LAST)["right"]) == (2, False)


def test_an_exercise_that_is_not_written_is_no_try(folder, capsys, found):
    code, said = run(capsys, "check", "14b", "--dir", folder)
    assert (code, said) == (1, f"{finding(LAST, False, written=False)}\n")
    assert not (folder / PROGRESS).exists()


def test_two_exercises_of_a_number_are_checked_up_to_the_first_failure(folder, capsys, found):
    found |= {FIRST: finding(FIRST, True), SECOND: finding(SECOND, True)}
    assert run(capsys, "check", "3", "--dir", folder) == (0, f"{found[FIRST]}\n{found[SECOND]}\n")
    found[FIRST] = finding(FIRST, False)
    code, said = run(capsys, "check", "3", "--dir", folder)
    assert (code, said) == (1, f"{found[FIRST]}\n  A hint: {PROGRAM} hint 03a\n")


def test_all_that_are_written_are_checked(folder, capsys, found):
    count = len(names())
    found |= {name: finding(name, True) for name in (FIRST, LAST)}
    code, said = run(capsys, "check", "--dir", folder)
    head, told = said.split("\n\n")
    assert head.split("\n") == [f"ok   {name}, 2 of 2 checks" for name in (FIRST, LAST)]
    others = ", ".join(name for name in names() if name not in found)
    lines = told.split("\n")
    assert lines[0] == f"2 of {count} exercises are right."
    assert " ".join(" ".join(lines[1:]).split()) == f"Not written yet: {others}."
    assert code == 1
    found |= {name: finding(name, True) for name in names()}
    code, said = run(capsys, "check", "--dir", folder)
    assert code == 0
    assert said.endswith(f"\n\n{count} of {count} exercises are right.\n")
    found[SECOND] = finding(SECOND, False)
    code, said = run(capsys, "check", "--dir", folder)
    assert code == 1
    assert said.endswith(f"{found[SECOND]}\n  A hint: {PROGRAM} hint 03b\n")


def test_an_exercise_in_c_is_checked_in_a_process_with_20_seconds(folder, capsys, monkeypatch):
    asked = []

    def check(*args):
        asked.append(args)
        return Verdict(args[1].name, str(args[0]), True, report="All is right.")

    monkeypatch.setattr(program, "check_apart", check)
    exercise = load("13_softmax_in_c")
    assert run(capsys, "check", "13", "--dir", folder) == (0, "All is right.\n")
    assert asked == [(folder / exercise.file, exercise, 20, 4096)]
    (folder / exercise.file).unlink()
    code, said = run(capsys, "check", "13", "--dir", folder)
    assert code == 1
    assert "NO   The file can be loaded." in said
    assert said.endswith(f"  0 of 12 checks passed.\n  A hint: {PROGRAM} hint 13\n")
    assert len(asked) == 1


def test_hints_come_one_after_another(folder, capsys):
    hints = load(LAST).hints
    for count in (1, 2, 3, 3):
        code, said = run(capsys, "hint", "14b", "--dir", folder)
        wanted = [f"{LAST}, hint {i} of 3: {hint}" for i, hint in enumerate(hints[:count], 1)]
        assert code == 0
        assert " ".join(said.split()) == " ".join(" ".join(wanted).split())
        assert tried(folder, LAST)["hints"] == count
    said = run(capsys, "hint", "3", "--dir", folder)[1]
    assert said.count("hint 1 of 3") == 2


def test_a_solution_is_shown_after_a_try(folder, capsys, found):
    code, said = run(capsys, "solution", "3", "--dir", folder)
    assert (code, said) == (1, f"{FIRST}: try it once first: {PROGRAM} check 03a\n")
    found |= {FIRST: finding(FIRST, False), SECOND: finding(SECOND, False)}
    run(capsys, "check", "3a", "--dir", folder)
    run(capsys, "check", "3b", "--dir", folder)
    code, said = run(capsys, "solution", "3", "--dir", folder)
    assert code == 0
    assert said.index("def unbroadcast(") < said.index("def matmul_backward(")
    assert "def solution" not in said
    assert tried(folder, FIRST)["solution"] is True
    found["13_softmax_in_c"] = finding("13_softmax_in_c", False)
    run(capsys, "check", "13", "--dir", folder)
    assert (
        run(capsys, "solution", "13", "--dir", folder)[1]
        == f"{load('13_softmax_in_c').solution.source}\n"
    )


def test_status_has_a_line_for_each_exercise(folder, capsys, found):
    found[LAST] = finding(LAST, True)
    run(capsys, "check", "14b", "--dir", folder)
    run(capsys, "solution", "14b", "--dir", folder)
    code, said = run(capsys, "status", "--dir", folder)
    lines = said.split("\n")
    assert (code, len(lines)) == (0, len(names()) + 2)
    assert lines[0] == f"{'exercise':34} {'':10} tries  hints"
    assert lines[1] == f"{'01_derivative':34} {'-':10} {0:5}  {0:5}"
    assert lines[-2] == f"{LAST:34} {'right':10} {1:5}  {0:5}  solution seen"


def test_grade_prints_the_table_and_writes_what_is_asked_for(tmp_path, capsys, monkeypatch):
    asked, written = [], []
    marks = {"bo": [Verdict(LAST, "a.py", True)]}

    def grade(*args):
        asked.append(args)
        return marks

    monkeypatch.setattr(grading, "grade", grade)
    monkeypatch.setattr(grading, "write_csv", lambda *args: written.append(("csv", *args)))
    monkeypatch.setattr(grading, "write_junit", lambda *args: written.append(("junit", *args)))
    code, said = run(capsys, "grade", tmp_path)
    assert code == 0
    assert said.split("\n\n") == [program.paragraph(grading.WARNING), "bo  1 of 1 right\n"]
    assert asked == [(tmp_path, exercises(), 20.0, 4096, None)]
    assert written == []
    options = ["--exercise", "3", "--exercise", "14b", "--seconds", "1.5", "--memory", "9"]
    options += ["--extra", "x.py", "--csv", "a.csv", "--junit", "b.xml"]
    run(capsys, "grade", tmp_path, *options)
    chosen = [load(name) for name in (FIRST, SECOND, LAST)]
    assert asked[1] == (tmp_path, chosen, 1.5, 9, Path("x.py"))
    assert written == [("csv", marks, Path("a.csv")), ("junit", marks, Path("b.xml"))]


def test_the_folder_is_the_current_one_unless_it_is_said(folder, capsys, found, monkeypatch):
    monkeypatch.chdir(folder)
    found[LAST] = finding(LAST, True)
    assert run(capsys, "check", "14b") == (0, f"{found[LAST]}\n")
    assert run(capsys, "status")[0] == 0
    monkeypatch.chdir("/")
    code, said = run(capsys, "status")
    assert code == 2
    assert said == (
        "/ has no exercises. Go to their folder, add --dir, or write them:\n\n"
        f"    {PROGRAM} start FOLDER\n"
    )


@pytest.mark.parametrize("arguments", [[], ["check", "1", "2"], ["hint"], ["solution"], ["grade"]])
def test_a_command_that_is_not_whole_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"usage: {PROGRAM}")


def test_help_tells_every_command(capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Exercises that say what is wrong." in said
    for words in ("COMMAND", "start write the exercise files", "check check one exercise, or all",
                  "hint the next of three hints", "solution a solution, after one try",
                  "status what is done", "grade marks for a class"):  # fmt: skip
        assert words in said
    with pytest.raises(SystemExit):
        program.main(["check", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "[--dir FOLDER] [NN]" in said
    assert "NN as 04, 03 or 03b" in said
    assert f"--dir FOLDER {program.FOLDER}" in said


def arguments(parser):
    """Of each argument but --help: how it is given, in which words, its default, type and help."""
    return [
        (" ".join(a.option_strings) or a.dest, a.metavar, a.default, a.type, a.help)
        for a in parser._actions
        if a.dest not in ("help", "command")
    ]


def test_the_commands_and_their_arguments():
    (commands,) = program.parser()._subparsers._group_actions
    helps = {choice.dest: choice.help for choice in commands._choices_actions}
    assert commands.metavar == "COMMAND"
    assert helps == {name: parser.description for name, parser in commands.choices.items()}
    assert helps == {
        "start": "write the exercise files to DIR; files that are there stay as they are",
        "check": "check one exercise, or all that are written, up to the first that is not right",
        "hint": "the next of three hints",
        "solution": "a solution, after one try",
        "status": "what is done",
        "grade": "marks for a class: FOLDER holds one folder of exercise files for each student",
    }
    place = "where `start` wrote to; if not given, the current folder"
    where = ("--dir", "FOLDER", Path(), Path, place)
    which = ("number", "NN", None, None, "as 04, 03 or 03b")
    assert {name: arguments(parser) for name, parser in commands.choices.items()} == {
        "start": [("dir", "DIR", None, Path, None)],
        "check": [("number", "NN", "", None, "as 04, 03 or 03b"), where],
        "hint": [which, where],
        "solution": [which, where],
        "status": [where],
        "grade": [
            ("folder", "FOLDER", None, Path, None),
            ("--csv", None, None, Path, "write the marks as a table"),
            ("--junit", None, None, Path, "write the marks as JUnit XML"),
            ("--extra", "FILE", None, Path, "your own checks: functions check_NN_...(answer)"),
            ("--exercise", "NN", None, None, "only this one; may be repeated"),
            ("--seconds", None, 20, float, "limit for one answer (20)"),
            ("--memory", None, 4096, int, "limit in megabytes (4096)"),
        ],
    }


def test_any_file_of_an_exercise_makes_a_folder_of_exercises(tmp_path):
    assert not program._has_exercises(tmp_path)
    for exercise in exercises():
        (tmp_path / exercise.file).touch()
        assert program._has_exercises(tmp_path)
        (tmp_path / exercise.file).unlink()
