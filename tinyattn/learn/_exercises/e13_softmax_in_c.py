"""Softmax in C, on a part of the rows, as one of several threads would do it. The mistakes are at
the ends of rows and of parts."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.ops.creation import tensor
from tinyattn.ops.normalising import softmax

QUESTION = """\
/* The softmax of some rows of x, written to the same rows of y:

       y_j = exp(x_j) / sum over j of exp(x_j)    for each row.

   x, y: rows of `columns` numbers, one row behind the other: row i begins at x + i * columns.
   first, last: the rows first, first + 1, ..., last - 1 are yours. Other threads have the others,
       so leave those rows of y alone, and keep no state between two calls.
   x may hold large numbers: subtract the maximum of a row before expf. The number of columns need
   not be a multiple of 4 or 8. Nothing outside of x may be read, nothing outside of y written. */
"""
STUB = """\
#include <math.h>

void softmax_in_c(const float *x, float *y, long columns, long first, long last)
{
    /* NOT WRITTEN YET: put your code in the place of this line. */
}
"""
HEAD = "void softmax_in_c(const float *x, float *y, long columns, long first, long last)\n"
SOLUTION = f"""\
#include <math.h>

{HEAD}{{
    for (long row = first; row < last; row++) {{
        const float *from = x + row * columns;
        float *to = y + row * columns, top = -INFINITY, sum = 0;
        for (long j = 0; j < columns; j++)
            top = from[j] > top ? from[j] : top;
        for (long j = 0; j < columns; j++) {{
            to[j] = expf(from[j] - top);
            sum += to[j];
        }}
        for (long j = 0; j < columns; j++)
            to[j] /= sum;
    }}
}}
"""
# Floats beyond the ends; what stands there, which spoils any sum; what stands in other rows.
GUARD, FREE, OTHERS = 4096, np.inf, -1.0


class NoCompiler(Exception):
    """There is no C compiler, or it refuses the code; the message says which."""


def compiler() -> str | None:
    """The C compiler of this machine."""
    return next(filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "cc", "gcc"))), None)


class SharedVariable(Exception):
    """The code gives another result if another call runs in the midst of it."""


SHARED = (
    "yours keeps a variable between its calls (static, or global), or uses one that it never set. "
    "All threads share it, and another one changes it while you compute. Use variables inside of "
    "the function."
)
# Stands before the student's code: where `alone` is 0, each expf lets another call of her function
# run first, as another thread might. So a shared variable is noticed every time, not by chance.
BETWEEN = """\
#include <math.h>
void softmax_in_c(const float *x, float *y, long columns, long first, long last);
int alone;
static float expf_between(float x)
{
    if (!alone) {
        float other[256] = {9, 8, 7}, y[256];  // room for answers that go beyond the row
        alone = 1;
        softmax_in_c(other, y, 3, 0, 1);
        alone = 0;
    }
    return expf(x);
}
#define expf expf_between
#line 1 "<stdin>"
"""


@cache
def library(source: str, name: str) -> ctypes.CDLL:
    """A C file, compiled, with its function. `name` stands in the messages of the compiler."""
    program = compiler()
    if program is None:
        raise NoCompiler("this exercise needs a C compiler, and none was found (cc or gcc)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        out = f"{folder}/softmax.so"
        command = [program, "-O2", "-shared", "-fPIC", "-x", "c", "-o", out, "-", "-lm"]
        code = (BETWEEN + source).encode()
        done = subprocess.run(command, input=code, capture_output=True, check=False)
        if done.returncode:
            told = done.stderr.decode(errors="replace").replace("<stdin>", name)
            said = "\n    ".join(told.strip().splitlines())
            raise NoCompiler(f"the compiler says:\n\n    {said}")
        loaded = ctypes.CDLL(out)
    try:
        function = loaded.softmax_in_c
    except AttributeError:
        raise NoCompiler("it has no function softmax_in_c") from None
    function.restype, long = None, ctypes.c_long
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, long, long, long]
    return loaded


def from_c(source: str, name: str = "softmax_in_c", told: str = "", where: str = "") -> Answer:
    """The answer that a C file is: a Python function of x, first and last."""

    def answer(x: np.ndarray, first: int, last: int) -> tuple[np.ndarray, bool]:
        if "NOT WRITTEN YET" in source:
            raise NotImplementedError
        size, loaded = x.size, library(source, where or name)
        memory = np.full((2, 2, size + GUARD), FREE, np.float32)  # alone, or not; x and y
        memory[:, 0, :size], memory[:, 1, :size] = x.ravel(), OTHERS
        for alone, (given, out) in zip((1, 0), memory, strict=True):
            ctypes.c_int.in_dll(loaded, "alone").value = alone
            loaded.softmax_in_c(given.ctypes.data, out.ctypes.data, x.shape[1], first, last)
        if not np.array_equal(memory[0], memory[1], equal_nan=True):
            raise SharedVariable(SHARED)
        given, out = memory[0]
        same = np.array_equal(given[:size], x.ravel()) and (given[size:] == FREE).all()
        untouched = bool(same and (out[size:] == FREE).all())
        return out[:size].reshape(x.shape), untouched

    answer.__name__, answer.__doc__ = name, told
    vars(answer).update(source=source, where=where)
    return answer


def from_file(path: Path) -> Answer:
    return from_c(
        path.read_text(encoding="utf-8-sig", errors="replace"), "softmax_in_c", "", str(path)
    )


def softmax_in_c(x: np.ndarray, first: int, last: int) -> tuple[np.ndarray, bool]:
    """The C function, called from Python: x has the shape (B, V), and is float32.

    Returns (y, untouched): y has -1 in all rows but first ... last - 1; `untouched` is True if
    x, and the memory behind x and y, are as they were.
    """
    raise NotImplementedError("softmax_in_c is not written yet")


solution = from_c(SOLUTION, "solution")


def changed(name: str, told: str, *changes: tuple[str, str]) -> Answer:
    """A wrong answer: the solution with some text replaced."""
    source = SOLUTION
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return from_c(source, name, told)


WRONG = [
    changed(
        "tail_read",
        "The tail read past the row: yours works in blocks of 8 columns, and the last block "
        "reaches into the next row. Write a second loop for the columns that are left, or a "
        "mask.",
        ("float *to = y", "long whole = (columns + 7) / 8 * 8;\n        float *to = y"),
        ("j < columns; j++)\n            top", "j < whole; j++)\n            top"),
        (
            "to[j] = expf(from[j] - top);\n            sum += to[j];",
            "float e = expf(from[j] - top);\n            if (j < columns) to[j] = e;\n"
            "            sum += e;",
        ),
        ("j < columns; j++) {", "j < whole; j++) {"),
    ),
    changed(
        "tail_lost",
        "The tail is lost: yours works in blocks of 8 columns, and the columns behind the last "
        "whole block are left out. Write a second loop for them.",
        ("float *to = y", "long whole = columns / 8 * 8;\n        float *to = y"),
        ("j < columns", "j < whole"),
    ),
    changed(
        "tail_of_four_lost",
        "The tail is lost: yours works in blocks of 4 columns, and the columns behind the last "
        "whole block are left out. Write a second loop for them.",
        ("float *to = y", "long whole = columns / 4 * 4;\n        float *to = y"),
        ("j < columns", "j < whole"),
    ),
    changed(
        "first_ignored",
        "It differs with 3 threads: yours begins with row 0, where it should begin with row "
        "`first`. Each thread would do the work of those before it again.",
        ("row = first", "row = 0"),
    ),
    changed(
        "last_included",
        "Yours does the row `last`, too. It belongs to the next thread, and behind the last row "
        "of y there is other memory.",
        ("row < last", "row <= last"),
    ),
    changed(
        "number_of_rows",
        "Yours does `last` rows from `first` on. `last` is no number of rows: the rows end "
        "before row `last`.",
        ("row < last", "row < first + last"),
    ),
    changed(
        "sum_goes_on",
        "Your sum goes on from row to row. Set it to 0 at the beginning of each row.",
        ("    for (long row", "    float sum = 0;\n    for (long row"),
        (", sum = 0;", ";"),
    ),
    changed(
        "maximum_goes_on",
        "Your maximum goes on from row to row. In a row far below the one before, all terms are 0. "
        "Set it to -INFINITY at the beginning of each row.",
        ("    for (long row", "    float top = -INFINITY;\n    for (long row"),
        ("top = -INFINITY, sum = 0;", "sum = 0;"),
    ),
    changed(
        "one_column_more",
        "Your loops go one column too far: row i ends before column `columns`. Write j < columns, "
        "not j <= columns.",
        ("j < columns", "j <= columns"),
    ),
    changed(
        "reads_one_column_more",
        "Your loop for the maximum goes one column too far, into the next row. Write j < columns, "
        "not j <= columns.",
        ("j < columns; j++)\n            top", "j <= columns; j++)\n            top"),
    ),
    changed(
        "one_row_less",
        "Your last row is missing. The rows first ... last - 1 are yours: row < last.",
        ("row < last", "row < last - 1"),
    ),
    changed(
        "writes_to_x",
        "You write to x. Only y is yours to write to; other threads may still read x.",
        (
            "to[j] = expf(from[j] - top);",
            "to[j] = expf(from[j] - top);\n            ((float *)from)[j] = to[j];",
        ),
    ),
    changed(
        "divided_too_early",
        "You divide in the loop that adds up, by a sum that is not complete. Divide in a loop "
        "of its own, after it.",
        ("sum += to[j];", "sum += to[j];\n            to[j] /= sum;"),
        ("to[j] /= sum;\n    }\n}", "to[j] /= 1;\n    }\n}"),
    ),
    changed(
        "not_divided",
        "The division is missing: a row of yours has the sum of exp(x - maximum), not 1.",
        ("to[j] /= sum", "to[j] /= 1"),
    ),
    changed(
        "reads_the_first_rows",
        "Yours reads the rows of x from row 0 on, and writes to the right rows of y. Row i of x "
        "begins at x + i * columns.",
        ("x + row * columns", "x + (row - first) * columns"),
    ),
    changed(
        "writes_the_first_rows",
        "Yours reads the right rows of x, and writes to the rows of y from row 0 on. Row i of y "
        "begins at y + i * columns.",
        ("y + row * columns", "y + (row - first) * columns"),
    ),
    changed(
        "overflow",
        "With large numbers yours overflows: expf(1000) is infinity. Subtract the maximum of the "
        "row first.",
        ("from[j] - top", "from[j]"),
    ),
    changed(
        "maximum_from_zero",
        "Your maximum starts at 0, or at another number that a row can be below. Then it does not "
        "change in such a row, all terms are 0, and you divide by 0. Start with -INFINITY, or with "
        "the first number.",
        ("top = -INFINITY", "top = 0"),
    ),
]


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for rows, columns, first, last in (
        (2, 8, 0, 2), (3, 13, 1, 3), (5, 16, 2, 4), (4, 7, 0, 3), (3, 33, 0, 3), (6, 1, 2, 5),
        (40, 70, 1, 39),
    ):  # fmt: skip
        yield rng.standard_normal((rows, columns)).astype(np.float32), first, last
    yield np.ones((2, 5), np.float32), 0, 2


def in_parts(answer: Answer, rng: np.random.Generator) -> str | None:
    """Three calls that share the rows give the same as one."""
    x = rng.standard_normal((90, 37)).astype(np.float32)
    whole = answer(x, 0, 90)[0]
    for first, last in ((0, 30), (30, 40), (40, 90)):
        if not np.allclose(answer(x, first, last)[0][first:last], whole[first:last], atol=1e-5):
            return f"The rows {first} to {last - 1} differ."
    return None


def no_row(answer: Answer, rng: np.random.Generator) -> str | None:
    """With first = last, nothing is written."""
    y, untouched = answer(rng.standard_normal((3, 5)).astype(np.float32), 2, 2)
    return None if untouched and (y == OTHERS).all() else "Yours writes something."


def _library(x, first, last):
    y = np.full(x.shape, OTHERS, np.float32)
    y[first:last] = softmax(tensor(x[first:last]), -1).numpy()
    return y, True


EXERCISE = Exercise(
    ask=softmax_in_c,
    solution=solution,
    returns=["y", "untouched"],
    hand=(np.log(np.array([[1, 2, 1], [1, 1, 2], [3, 1, 4]], np.float32)), 0, 2),
    cases=cases,
    wrong=WRONG,
    properties=[in_parts, no_row],
    extremes={
        "numbers of 1000": (np.array([[1000, 999, -1000]], np.float32), 0, 1),
        "very small numbers": (np.array([[-1000, -1001, -1002]], np.float32), 0, 1),
        "rows of very different size": (
            np.array([[1000, 999], [-1000, -1001]], np.float32), 0, 2,
        ),
        "numbers that are -infinity": (np.array([[0, -np.inf, 0]], np.float32), 0, 1),
        "no columns": (np.zeros((2, 0), np.float32), 0, 2),
    },
    hints=(
        "One loop over the rows from first to last - 1; in it three loops over the columns: the "
        "maximum, the terms and their sum, the division.",
        "The pointers of a row are x + row * columns and y + row * columns. The maximum starts "
        "with -INFINITY (from math.h), the sum with 0, both anew for each row.",
        "to[j] = expf(from[j] - top); sum += to[j]; and, in a loop after it, to[j] /= sum.",
    ),
    library=_library,
    c=QUESTION + STUB,
    load=from_file,
)  # fmt: skip
