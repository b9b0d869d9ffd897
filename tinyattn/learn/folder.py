"""The student's folder: what `start` writes, how a file is loaded, what was tried so far."""

import hashlib
import importlib.util
import inspect
import json
import linecache
import sys
from pathlib import Path
from typing import Any

from tinyattn._serialization import write_aside
from tinyattn.learn.comparing import outcome
from tinyattn.learn.errors import last_line, told
from tinyattn.learn.exercise import Answer, Exercise, exercises
from tinyattn.learn.showing import block, table

PROGRESS = ".tinyattn-learn.json"


class Unusable(Exception):
    """The file of an answer can't be loaded; the message says why."""


def start(folder: Path) -> list[Path]:
    """Write the files of all exercises that are not in the folder yet; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for exercise in exercises():
        path = folder / exercise.file
        if not path.exists():
            path.write_text(stub(exercise), encoding="utf-8")
            written.append(path)
    return written


def stub(exercise: Exercise) -> str:
    """What the student starts from: nothing of the solution but what it gives in a small case."""
    if exercise.c:
        return (
            C_HEAD.format(
                name=exercise.name,
                lesson=exercise.lesson,
                number=exercise.number,
                case=worked_case(exercise),
            )
            + exercise.c
        )
    given = "".join(f"{inspect.getsource(part)}\n\n" for part in exercise.given)
    code = given + inspect.getsource(exercise.ask)
    return HEAD.format(
        name=exercise.name,
        lesson=exercise.lesson,
        number=exercise.number,
        case=worked_case(exercise),
        imports="from collections.abc import Callable\n\n" if "Callable" in code else "",
        code=code,
    )


HEAD = '''"""Exercise {name}. Lesson {lesson} explains what you need.

Write the body of the function, then run

    python -m tinyattn.learn check {number}
    python -m tinyattn.learn hint {number}

A small case:

{case}
"""

{imports}import numpy as np


{code}'''


C_HEAD = """/* Exercise {name}. Lesson {lesson} explains what you need.

   python -m tinyattn.learn check {number}
   python -m tinyattn.learn hint {number}

A small case (rows that are not asked for stay -1 here):

{case}
*/

"""


def worked_case(exercise: Exercise) -> str:
    """The arguments of the small case, and what is right."""
    right = outcome(exercise, exercise.solution, exercise.hand)
    given = list(zip(inspect.signature(exercise.ask).parameters, exercise.hand, strict=False))
    names = ["result"] if len(exercise.returns) == 1 else exercise.returns
    # Without a compiler, an exercise in C has no result here.
    return table([*given, *zip(names, right.parts, strict=False)], "    ")


def answer_in(path: Path, exercise: Exercise) -> Answer:
    """The function that a file defines. Raises Unusable if there is none."""
    if not path.is_file():
        raise Unusable(
            f"There is no file {path}. `python -m tinyattn.learn start {path.parent}` writes those "
            "that are missing."
        )
    if exercise.load is not None:
        return exercise.load(path)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(f"answer_{exercise.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[spec.name] = module  # a dataclass looks for its module there
    sys.path.append(str(path.parent))  # the answer may import a second file
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # sys.exit() in an answer must not end the check
        lines = told(error, str(path)) or last_line(error)
        raise Unusable(f"{path} can't be loaded:\n\n{block(lines)}") from error
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(path.parent))
    name = exercise.ask.__name__
    answer = getattr(module, name, None)
    if not callable(answer):
        raise Unusable(f"{path} has no function {name}. The exercise asks for this name.")
    return answer


class Progress:
    """What was tried in a folder: tries, hints and results by the name of the exercise."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PROGRESS
        self.table: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            try:
                self.table = dict(json.loads(self.path.read_text(encoding="utf-8")))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{self.path} keeps what you tried, and can't be read: {error}. Delete it; "
                    "your answers stay as they are."
                ) from error

    def of(self, exercise: Exercise) -> dict[str, Any]:
        new = {"tries": 0, "hints": 0, "right": False, "solution": False, "checked": ""}
        self.table[exercise.name] = new | self.table.get(exercise.name, {})
        return self.table[exercise.name]

    def checked(self, exercise: Exercise, right: bool) -> None:
        """Keep the result of a check, and which text of the file it was for."""
        entry = self.of(exercise)
        entry["tries"] += 1
        entry |= {"right": right, "checked": self._text(exercise)}

    def state(self, exercise: Exercise) -> str:
        entry = self.of(exercise)
        if not entry["tries"]:
            return "-"
        if entry["checked"] != self._text(exercise):
            return "changed"
        return "right" if entry["right"] else "not yet"

    def _text(self, exercise: Exercise) -> str:
        path = self.path.parent / exercise.file
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    def save(self) -> None:
        write_aside(self.path, (json.dumps(self.table, indent=1) + "\n").encode())
