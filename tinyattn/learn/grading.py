"""Marks for a class: one folder for each student, one process for each answer."""

import csv
import io
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

from tinyattn._serialization import write_aside
from tinyattn.learn.apart import Verdict, check_apart
from tinyattn.learn.exercise import Exercise, exercises, load
from tinyattn.learn.showing import paragraph

WARNING = (
    "Each answer runs in a process of its own, with limits of time and memory. A process is no "
    "sandbox: answers can read and write files, and use the network. Grade answers that you do not "
    "trust on a machine, or in a container, that has nothing to lose."
)
COLUMNS = (
    "student",
    "exercise",
    "mark",
    "passed",
    "total",
    "mistake",
    "diagnosis",
    "library",
    "file",
)


def grade(
    folder: Path,
    chosen: list[Exercise],
    seconds: float = 20,
    megabytes: int = 4096,
    extra: Path | None = None,
) -> dict[str, list[Verdict]]:
    """The verdicts on all answers, by student: each folder with an exercise file in it is one."""
    files = {exercise.file for exercise in exercises()}
    students = sorted(
        place.name for place in folder.iterdir() if any((place / name).exists() for name in files)
    )
    if not students:
        raise ValueError(f"{folder}: no folder in it holds an exercise file, as 04_softmax_back...")

    def one(job: tuple[str, Exercise]) -> Verdict:
        student, exercise = job
        path = folder / student / exercise.file
        if not path.exists():
            return Verdict(exercise.name, str(path), written=False, words="There is no file.")
        return check_apart(path, exercise, seconds, megabytes, extra)

    jobs = [(student, exercise) for student in students for exercise in chosen]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(one, jobs))
    marks: dict[str, list[Verdict]] = {student: [] for student in students}
    for (student, _), verdict in zip(jobs, verdicts, strict=True):
        marks[student].append(verdict)
    return marks


def table(marks: dict[str, list[Verdict]]) -> str:
    """One line for each student, the mistakes below, and the commonest mistakes at the end."""
    width = max(map(len, marks)) + 2
    lines = []
    for student, verdicts in marks.items():
        right = sum(verdict.right for verdict in verdicts)
        lines.append(f"{student:{width}}{right} of {len(verdicts)} right")
        for verdict in verdicts:
            if verdict.written and not verdict.right:
                lines.append(paragraph(f"{verdict.exercise}: {_short(verdict)}", " " * width))
            if verdict.library:
                calls = ", ".join(verdict.library)
                text = f"{verdict.exercise} calls a library: {calls}"
                lines.append(paragraph(text, " " * width))
    common = commonest(marks)
    if common:
        lines += ["", "The commonest mistakes:", ""]
        lines += [paragraph(f"{count} x {exercise}: {text}") for count, exercise, text in common]
    return "\n".join(lines)


def _short(verdict: Verdict) -> str:
    """The diagnosis in one line."""
    if verdict.mistake:
        return _message(verdict.exercise, verdict.mistake)
    words = " ".join(verdict.words.split())
    return words if len(words) <= 300 else f"{words[:100]} ... {words[-195:]}"


def _message(exercise: str, mistake: str) -> str:
    wrong = next(w for w in load(exercise).wrong if w.__name__ == mistake)
    return " ".join((wrong.__doc__ or "").split())


def commonest(marks: dict[str, list[Verdict]], most: int = 10) -> list[tuple[int, str, str]]:
    """(how often, the exercise, what the mistake is), the commonest first."""
    counts = Counter(
        (verdict.exercise, verdict.mistake)
        for verdicts in marks.values()
        for verdict in verdicts
        if verdict.mistake
    )
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [(count, exercise, _message(exercise, name)) for (exercise, name), count in ordered]


def write_csv(marks: dict[str, list[Verdict]], path: Path) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for student, verdicts in marks.items():
        for v in verdicts:
            row = [student, v.exercise, int(v.right), v.passed, v.total, v.mistake]
            diagnosis = "" if v.right else _short(v) if v.written else "not written"
            writer.writerow([*map(_safe, [*row, diagnosis, "; ".join(v.library), v.file])])
    write_aside(path, table.getvalue().encode())


def _safe(value: object) -> object:
    """Spreadsheets take a text that begins with one of these characters for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def write_junit(marks: dict[str, list[Verdict]], path: Path) -> None:
    root = ElementTree.Element("testsuites", name="tinyattn.learn")
    for student, verdicts in marks.items():
        wrong = sum(not verdict.right for verdict in verdicts)
        suite = ElementTree.SubElement(
            root, "testsuite", name=student, tests=str(len(verdicts)), failures=str(wrong)
        )
        for verdict in verdicts:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=student,
                name=verdict.exercise,
                time=f"{verdict.seconds:.2f}",
            )
            if not verdict.right:
                short = _printable(_short(verdict))
                failure = ElementTree.SubElement(case, "failure", message=short)
                failure.text = _printable(verdict.report or verdict.words)
    write_aside(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
