"""The check of one answer, in order, up to the first failure. Look at `examine` first.

Every exercise has the same stages: it runs; shape and type; a small case by hand; the definition on
more inputs; the gradient, measured; properties; extreme values; tinyattn's own operations.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.learn.comparing import Outcome, close, outcome, places, quiet, same, shapes_differ
from tinyattn.learn.errors import last_line, told
from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.learn.limiting import TookTooLong
from tinyattn.learn.measuring import compare
from tinyattn.learn.showing import WIDTH, apart, block, paragraph, table, whole


class Finding(NamedTuple):
    """What one stage has found. Without words, nothing is wrong."""

    words: str = ""
    seen: str = ""  # what can be said of any wrong numbers; a name for the mistake says more
    note: str = ""  # what is said if nothing is wrong
    multiple: int | None = None  # the part that is a multiple of the right one on these inputs
    otherwise: str = ""  # what is said in place of `seen`, if it is none on other inputs


Stage = tuple[str, Callable[[], Finding | str | None]]  # a sentence, and why it does not hold


@dataclass
class Report:
    """What a check found. `words` says what is wrong; it is empty if the answer is right."""

    exercise: Exercise
    where: str  # file and line of the answer
    passed: list[str] = field(default_factory=list)
    total: int = 0
    failed: str = ""  # the sentence that does not hold
    words: str = ""
    mistake: str = ""  # the name of the wrong answer that this is
    written: bool = True  # whether there is an answer at all

    @property
    def right(self) -> bool:
        return not self.failed

    @property
    def plain_words(self) -> str:
        """Why the answer is not right, with the sentence that does not hold, if it runs at all;
        "" if it is right."""
        return f"{self.failed} {self.words}".strip() if self.passed else self.words

    def __str__(self) -> str:
        lines = [f"{self.exercise.name}   {self.where}", ""]
        lines += [f"  ok   {sentence}" for sentence in self.passed]
        if self.failed:
            lines += [f"  NO   {self.failed}", "", paragraph(self.words, "       "), ""]
        else:
            lines.append("")
        lines.append(f"  {len(self.passed)} of {self.total} checks passed.")
        return "\n".join(lines)


class Unwritten(Exception):
    """The function still raises NotImplementedError."""


class Refused(Exception):
    """The result is not what was asked for."""


CHANGING = (
    "Called again with the same arguments, your function gives another result. Does it keep "
    "something from one call to the next, or use random numbers?"
)
PRINTED = 10  # lines of what an answer prints


def examine(exercise: Exercise, answer: Answer) -> Report:
    """Check an answer, up to the first failure."""
    code = getattr(answer, "__code__", None)
    file, line = (code.co_filename, code.co_firstlineno) if code else ("?", 0)
    where = f"{file}, line {line}"
    if hasattr(answer, "where"):  # it is no Python code
        file = where = answer.where
    report = Report(exercise, where)
    checks = list(stages(exercise, answer))
    report.total = len(checks)
    found: Finding | str | None
    for sentence, check in checks:
        try:
            with quiet():
                found = check()
        except Unwritten:
            report.written = False
            found = "It is not written yet. Edit the file above."
        except Refused as refused:
            found = f"For other inputs, {refused}."
        except KeyboardInterrupt as error:
            words = f"It was stopped while it ran:\n\n{block(told(error, file) or file)}"
            if isinstance(error, TookTooLong):
                words = f"{error}: there may be a loop that never ends. {words}"
            report.failed, report.words = sentence, words
            return report
        except BaseException as error:
            lines = told(error, file)
            found = f"It can't be used: {last_line(error)}"
            if lines is not None:
                found = f"Your code raised an error:\n\n{block(lines)}"
                shapes = getattr(error, "shapes", "")
                found += f"\n\nThe shapes were {shapes}." if shapes else ""
            found += _printed(getattr(error, "printed", ""))
        found = found if isinstance(found, Finding) else Finding(found or "")
        words, seen, note, multiple, otherwise = found
        if words:
            mistake = None
            with contextlib.suppress(KeyboardInterrupt):  # it may be slow on other inputs
                if report.written and not repeats(exercise, answer):
                    seen = "" if words == CHANGING else CHANGING
                elif report.written:
                    mistake = recognised(exercise, answer)
                    if multiple is not None and not _is_multiple(exercise, answer, multiple):
                        seen = otherwise
            if mistake is not None:
                report.mistake, seen = mistake.__name__, inspect.getdoc(mistake) or ""
            report.failed, report.words = sentence, "\n\n".join(filter(None, (words, seen)))
            return report
        report.passed.append(sentence + note)
    return report


def stages(exercise: Exercise, answer: Answer) -> Iterator[Stage]:
    """All stages of the check of an answer; none has run."""
    arguments = ", ".join(inspect.signature(exercise.ask).parameters)

    def runs() -> str | None:
        wrong = _signature(exercise, answer)
        hers = outcome(exercise, answer, exercise.hand)
        if isinstance(hers.error, NotImplementedError):
            raise Unwritten
        if wrong:
            return wrong
        if hers.error is not None:
            raise hers.error
        again = outcome(exercise, answer, exercise.hand)
        return _changes(hers) or ("" if same(exercise, hers, again) else CHANGING)

    def shape() -> str | None:
        hers, right = (outcome(exercise, f, exercise.hand) for f in (answer, exercise.solution))
        words = hers.refused or shapes_differ(exercise, hers, right)
        return _with_inputs(exercise, exercise.hand, words) if words else None

    def by_hand() -> Finding | None:
        return _difference(exercise, answer, exercise.hand)

    def definition() -> Finding | None:
        for inputs in more_inputs(exercise):
            found = _difference(exercise, answer, inputs)
            if found:
                return found
        return None

    yield f"It takes ({arguments}), runs, and leaves its arguments as they were.", runs
    yield "The shape and the type of the result are right.", shape
    yield "A small case by hand gives the right numbers.", by_hand
    count = len(more_inputs(exercise))
    yield f"The definition holds on {count} more inputs.", definition
    plain = arrays_of(exercise, answer)
    gradients = exercise.gradients
    if gradients is not None:

        def measured() -> Finding:
            words, note = compare(gradients(plain, np.random.default_rng(2)), exercise.tolerance)
            return Finding(words, note=note)

        yield "It is the gradient that finite differences measure.", measured
    for property_ in exercise.properties:

        def holds(property_: Callable[..., str | None] = property_) -> str | None:
            return property_(plain, np.random.default_rng(3))

        yield inspect.getdoc(property_) or property_.__name__, holds
    for what, inputs in exercise.extremes.items():

        def extreme(inputs: Inputs = inputs) -> Finding | None:
            return _difference(exercise, answer, inputs)

        yield f"It is right for {what}.", extreme
    library = exercise.library
    if library is not None:

        def agrees() -> Finding | None:
            for inputs in usual_inputs(exercise):
                found = _difference(exercise, answer, inputs, library)
                if found:
                    return found
            return None

        yield f"tinyattn's own operations agree (backend {backend().name}).", agrees


def arrays_of(exercise: Exercise, answer: Answer) -> Answer:
    """The answer, called as the exercise says; its results are arrays."""

    def plain(*inputs: Any) -> Any:
        got = outcome(exercise, answer, inputs)
        if got.error is not None:
            raise got.error
        right = outcome(exercise, exercise.solution, inputs)
        words = got.refused or shapes_differ(exercise, got, right) or _changes(got)
        if words:
            raise Refused(words.removesuffix("."))
        return got.parts[0] if len(got.parts) == 1 else got.parts

    return plain


def more_inputs(exercise: Exercise) -> list[Inputs]:
    """The same ones in every check."""
    return list(exercise.cases(np.random.default_rng(1)))


def usual_inputs(exercise: Exercise) -> list[Inputs]:
    """The small case by hand, and the others; not the extreme ones."""
    return [exercise.hand, *more_inputs(exercise)]


def repeats(exercise: Exercise, answer: Answer) -> bool:
    """Whether the answer gives the same when it is called again."""
    return all(
        same(exercise, outcome(exercise, answer, inputs), outcome(exercise, answer, inputs))
        for inputs in usual_inputs(exercise)
    )


def recognised(exercise: Exercise, answer: Answer) -> Answer | None:
    """The wrong answer that gives the same as this one, on all inputs; None if none or several do.

    What a wrong answer does with extreme inputs depends on how it is written. So extreme inputs
    count only for those that are right everywhere else.
    """
    usual = usual_inputs(exercise)
    hers = [outcome(exercise, answer, inputs) for inputs in usual]
    right = [outcome(exercise, exercise.solution, inputs) for inputs in usual]
    found = []
    for wrong in exercise.wrong:
        theirs = [outcome(exercise, wrong, inputs) for inputs in usual]
        equal = all(same(exercise, a, b) for a, b in zip(hers, theirs, strict=True))
        if equal and all(same(exercise, a, b) for a, b in zip(right, theirs, strict=True)):
            for inputs in exercise.extremes.values():
                equal &= same(
                    exercise, outcome(exercise, answer, inputs), outcome(exercise, wrong, inputs)
                )
        if equal and any(not o.error and not o.refused for o in hers):
            found.append(wrong)
    return found[0] if len(found) == 1 else None


def _changes(hers: Outcome) -> str:
    if not hers.changed:
        return ""
    return (
        f"Your function changes its argument `{hers.changed}`. Others may still need it: work on a "
        "copy, or make a new array."
    )


def _signature(exercise: Exercise, answer: Answer) -> str:
    try:
        inspect.signature(answer).bind(*inspect.signature(exercise.ask).parameters)
    except TypeError as error:
        return f"Your function can't be called as {inspect.signature(exercise.ask)}: {error}."
    return ""


def _difference(
    exercise: Exercise, answer: Answer, inputs: Inputs, other: Answer | None = None
) -> Finding | None:
    """What is wrong with the answer on these inputs, or None."""
    hers = outcome(exercise, answer, inputs)
    right = outcome(exercise, other or exercise.solution, inputs)
    if hers.error is not None:
        raise hers.error
    words = hers.refused or shapes_differ(exercise, hers, right) or _changes(hers)
    if not words and all(
        close(a, b, exercise.tolerance) for a, b in zip(hers.parts, right.parts, strict=True)
    ):
        return None
    if words:
        return Finding(_with_inputs(exercise, inputs, words))
    rows: list[tuple[str, object]] = []
    for name, mine, part in zip(exercise.returns, hers.parts, right.parts, strict=True):
        yours, exact = apart(mine, part)
        if len(exercise.returns) == 1:
            rows += [("yours", yours), ("right", exact)]
        elif close(mine, part, exercise.tolerance):
            rows.append((f"{name} is right", part))
        else:
            rows += [(f"{name}, yours", yours), (f"{name}, right", exact)]
    shown = _with_inputs(exercise, inputs, "", rows) + _printed(hers.printed)
    i = next(
        i
        for i, (mine, part) in enumerate(zip(hers.parts, right.parts, strict=True))
        if not close(mine, part, exercise.tolerance)
    )
    name, mine, part = exercise.returns[i], hers.parts[i], right.parts[i]
    seen, factor = _seen(exercise, name, mine, part), _factor(exercise, mine, part)
    if part.size > 1 and factor:
        told = f"Every number of your {name} is {apart(factor, 1.0)[0]} times the right one."
        return Finding(shown, told, multiple=i, otherwise=seen)
    return Finding(shown, seen)


def _printed(text: str) -> str:
    if not text.strip():
        return ""
    lines = [line[:WIDTH] for line in text.rstrip().split("\n")]
    if len(lines) > PRINTED:
        lines[PRINTED:] = ["... and more lines ..."]
    return "\n\nIt printed:\n\n" + block("\n".join(lines))


def _with_inputs(
    exercise: Exercise, inputs: Inputs, words: str, rows: list[tuple[str, object]] | None = None
) -> str:
    given = list(zip(inspect.signature(exercise.ask).parameters, inputs, strict=False))
    shown = block(table([*given, *(rows or [])]))
    return f"{shown}\n\n{words}" if words else shown


def _seen(exercise: Exercise, name: str, mine: Array, part: Array) -> str:
    """What can be said of any wrong numbers. Of a single one, the table says all."""
    if part.dtype.kind != "f" or not part.size:
        return ""
    if not np.isfinite(mine).all() and np.isfinite(part).all():
        return f"Your {name} has numbers that are not finite: NaN or infinity."
    if part.size == 1:
        return ""
    wrong = np.argwhere(~places(mine, part, exercise.tolerance))
    at = ", ".join(map(str, wrong[0]))
    told = f"{len(wrong)} of {part.size} numbers differ; the first is {name}[{at}]"
    if whole(part):
        return f"{told}."
    place = tuple(wrong[0])  # it may be among those that are not shown
    yours, exact = apart(mine[place], part[place])
    return f"{told}: yours is {yours}, right is {exact}."


def _factor(exercise: Exercise, mine: Array, part: Array) -> float | None:
    """By what `part` is multiplied in `mine`; None if it is no multiple."""
    if mine.shape != part.shape or part.dtype.kind != "f":
        return None
    size = float(np.vdot(part, part))
    factor = float(np.vdot(part, mine)) / size if size else 0.0
    equal = np.isfinite(factor) and close(mine, factor * part, exercise.tolerance)
    return factor if equal else None


def _is_multiple(exercise: Exercise, answer: Answer, i: int) -> bool:
    """Whether part i is a multiple of the right one on all inputs, not by chance on one of them."""
    for inputs in usual_inputs(exercise):
        hers, right = (outcome(exercise, f, inputs) for f in (answer, exercise.solution))
        if hers.error or hers.refused or _factor(exercise, hers.parts[i], right.parts[i]) is None:
            return False
    return True
