"""`python -m tinyattn.learn`: exercises, their check, hints, solutions, and marks for a class."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from tinyattn._output import in_utf8
from tinyattn.learn import grading
from tinyattn.learn.apart import Verdict, check_apart
from tinyattn.learn.checking import Report, examine, stages
from tinyattn.learn.exercise import Exercise, exercises
from tinyattn.learn.folder import Progress, Unusable, answer_in, start
from tinyattn.learn.limiting import time_limit
from tinyattn.learn.showing import paragraph

FOLDER = "where `start` wrote to; if not given, the current folder"
PROGRAM = "python -m tinyattn.learn"


def start_command(options: argparse.Namespace) -> int:
    written = start(options.dir)
    kept = len(exercises()) - len(written)
    left = f", {kept} kept as they are." if kept else "."
    print(f"{len(written)} exercises written to {options.dir}{left}")
    print(f"\n    cd {options.dir}\n    {PROGRAM} check 01\n")
    print("Each file says what to write. `check` says what is wrong, `hint` helps.")
    return 0


def check_command(options: argparse.Namespace) -> int:
    progress, unwritten, right = Progress(options.dir), [], 0
    chosen = exercises(options.number)
    for exercise in chosen:
        report = _report(options.dir, exercise)
        if report.written:
            progress.checked(exercise, report.right)
            progress.save()
        else:
            unwritten.append(exercise.name)
            if not options.number:
                continue
        if report.right and not options.number:
            print(f"ok   {exercise.name}, {report.total} of {report.total} checks")
        else:
            print(report.report if isinstance(report, Verdict) else report)
        if not report.right:
            if report.written:
                print(f"  A hint: {PROGRAM} hint {exercise.number}")
            return 1
        right += 1
    if not options.number:
        print(f"\n{right} of {len(chosen)} exercises are right.")
    if unwritten:
        print(paragraph(f"Not written yet: {', '.join(unwritten)}."))
    return 1 if unwritten else 0


def _report(folder: Path, exercise: Exercise) -> Report | Verdict:
    """The check of a file. C can end the process that runs it, so it gets one of its own."""
    path = folder / exercise.file
    if exercise.c and path.exists():
        return check_apart(path, exercise, 20, 4096)
    try:
        with time_limit():
            return examine(exercise, answer_in(path, exercise))
    except Unusable as error:
        total = len(list(stages(exercise, exercise.solution)))
        words = str(error)
        return Report(exercise, str(path), [], total, "The file can be loaded.", words)


def hint_command(options: argparse.Namespace) -> int:
    progress = Progress(options.dir)
    for exercise in exercises(options.number):
        entry = progress.of(exercise)
        entry["hints"] = min(entry["hints"] + 1, len(exercise.hints))
        for i, hint in enumerate(exercise.hints[: entry["hints"]], 1):
            print(paragraph(f"{exercise.name}, hint {i} of {len(exercise.hints)}: {hint}"))
    progress.save()
    return 0


def solution_command(options: argparse.Namespace) -> int:
    progress = Progress(options.dir)
    for exercise in exercises(options.number):
        entry = progress.of(exercise)
        if not entry["tries"]:
            print(f"{exercise.name}: try it once first: {PROGRAM} check {exercise.number}")
            return 1
        entry["solution"] = True
        source = getattr(exercise.solution, "source", None)
        source = source or inspect.getsource(exercise.solution)
        print(source.replace("def solution", f"def {exercise.ask.__name__}"))
    progress.save()
    return 0


def status_command(options: argparse.Namespace) -> int:
    progress = Progress(options.dir)
    print(f"{'exercise':34} {'':10} tries  hints")
    for exercise in exercises():
        entry = progress.of(exercise)
        state = progress.state(exercise)
        seen = "  solution seen" if entry["solution"] else ""
        print(f"{exercise.name:34} {state:10} {entry['tries']:5}  {entry['hints']:5}{seen}")
    return 0


def grade_command(options: argparse.Namespace) -> int:
    chosen = [e for number in options.exercise or [""] for e in exercises(number)]
    print(paragraph(grading.WARNING) + "\n")
    marks = grading.grade(options.folder, chosen, options.seconds, options.memory, options.extra)
    print(grading.table(marks))
    if options.csv:
        grading.write_csv(marks, options.csv)
    if options.junit:
        grading.write_junit(marks, options.junit)
    return 0


def add_folder(command: argparse.ArgumentParser) -> None:
    """The option that says where the exercise files are."""
    command.add_argument("--dir", type=Path, default=Path(), metavar="FOLDER", help=FOLDER)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=PROGRAM, description="Exercises that say what is wrong.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, number: str | None
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        if number is not None:
            text = "as 04, 03 or 03b"
            if number == "?":
                added.add_argument("number", nargs="?", default="", metavar="NN", help=text)
            else:
                added.add_argument("number", metavar="NN", help=text)
            add_folder(added)
        return added

    text = "write the exercise files to DIR; files that are there stay as they are"
    command("start", start_command, text, None).add_argument("dir", type=Path, metavar="DIR")
    text = "check one exercise, or all that are written, up to the first that is not right"
    command("check", check_command, text, "?")
    command("hint", hint_command, "the next of three hints", "")
    command("solution", solution_command, "a solution, after one try", "")
    add_folder(command("status", status_command, "what is done", None))
    text = "marks for a class: FOLDER holds one folder of exercise files for each student"
    marks = command("grade", grade_command, text, None)
    marks.add_argument("folder", type=Path, metavar="FOLDER")
    marks.add_argument("--csv", type=Path, help="write the marks as a table")
    marks.add_argument("--junit", type=Path, help="write the marks as JUnit XML")
    marks.add_argument(
        "--extra", type=Path, metavar="FILE", help="your own checks: functions check_NN_...(answer)"
    )
    marks.add_argument(
        "--exercise", action="append", metavar="NN", help="only this one; may be repeated"
    )
    marks.add_argument("--seconds", type=float, default=20, help="limit for one answer (20)")
    marks.add_argument("--memory", type=int, default=4096, help="limit in megabytes (4096)")
    return top


IN_A_FOLDER = [check_command, hint_command, solution_command, status_command]


def _has_exercises(folder: Path) -> bool:
    return any((folder / exercise.file).exists() for exercise in exercises())


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.run in IN_A_FOLDER and not _has_exercises(options.dir):
            place = options.dir.resolve()
            print(f"{place} has no exercises. Go to their folder, add --dir, or write them:")
            print(f"\n    {PROGRAM} start FOLDER")
            return 2
        return int(options.run(options))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    in_utf8()
    sys.exit(main())
