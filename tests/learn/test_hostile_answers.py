"""Answers that nobody expects: none passes, none gets a wrong name, none ends the check."""

import codecs
import inspect
import sys
import time

import numpy as np
import pytest

from tinyattn import learn
from tinyattn.learn import limiting
from tinyattn.learn.__main__ import main
from tinyattn.learn._exercises.e13_softmax_in_c import compiler, from_c
from tinyattn.learn.apart import judge
from tinyattn.learn.checking import examine
from tinyattn.learn.exercise import exercises, load
from tinyattn.learn.folder import PROGRESS, Unusable, answer_in, start
from tinyattn.learn.library_calls import library_calls

SOFTMAX = load("04_softmax_backward")
RIGHT = "    return y * (grad - (grad * y).sum(axis=-1, keepdims=True))\n"
CODE = f"import numpy as np\n\n\ndef softmax_backward(y, grad):\n{RIGHT}"


class Silent(Exception):
    def __str__(self):
        raise ValueError("no message")


class NoArray:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")


def never_ends(y, grad):
    while True:
        pass


def never_ends_later(y, grad):
    while y.shape != (2, 3):
        pass
    return 1.5 * SOFTMAX.solution(y, grad)


def calls_itself(y, grad):
    return calls_itself(y, grad)


def leaves(y, grad):
    sys.exit(0)


def interrupts(y, grad):
    raise KeyboardInterrupt


def interrupts_later(y, grad):
    if len(y) > 2:
        raise KeyboardInterrupt
    return 1.5 * SOFTMAX.solution(y, grad)


def raises_at_the_root(y, grad):
    raise BaseException("no")


def raises_without_a_message(y, grad):
    raise Silent


def floods(y, grad):
    for _ in range(2_000):
        print("softmax " * 20)
    return 1.5 * SOFTMAX.solution(y, grad)


def changes_large_arguments(y, grad):
    out = SOFTMAX.solution(y, grad)
    if y.size > 6:
        grad *= 2
    return out


def gives_no_array(y, grad):
    return NoArray()


def rounds(y, grad):
    return np.round(SOFTMAX.solution(y, grad), 3)


HOSTILE = {
    never_ends: "It was stopped",
    never_ends_later: "1.5 times",
    calls_itself: "more ...",
    leaves: "SystemExit",
    interrupts: "It was stopped",
    interrupts_later: "1.5 times",
    raises_at_the_root: "BaseException: no",
    raises_without_a_message: "Silent",
    floods: "and more lines",
    changes_large_arguments: "changes its argument `grad`",
    gives_no_array: "dx: expected an array, got a value of type NoArray, which says: no array",
    rounds: "numbers differ",
}


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: answer.__name__)
def test_a_hostile_answer_fails_in_few_lines_and_gets_no_name(answer):
    with limiting.time_limit(0.5):
        report = examine(SOFTMAX, answer)
    said = str(report)
    assert not report.right
    assert not report.mistake
    assert HOSTILE[answer] in said
    assert len(said) < 4000


def test_a_loop_that_never_ends_is_stopped():
    started = time.perf_counter()
    with limiting.time_limit(0.3):
        report = examine(SOFTMAX, never_ends)
    assert time.perf_counter() - started < 3
    assert "0.3 s are over: there may be a loop that never ends." in report.words
    assert f"{__file__}, line" in report.words


@pytest.mark.parametrize("number", ["03b", "04", "08a", "10a", "11c"])
@pytest.mark.parametrize("factor", [1.0001, 0.9999, 1.00003])
def test_yours_and_right_have_as_many_digits_as_show_the_difference(number, factor):
    (exercise,) = exercises(number)

    def answer(*inputs):
        got = exercise.solution(*inputs)
        return tuple(factor * x for x in got) if isinstance(got, tuple) else factor * got

    answer.__signature__ = inspect.signature(exercise.ask)
    report = examine(exercise, answer)
    lines = str(report).splitlines()
    assert not report.mistake
    assert f"is {factor:g} times the right one" in " ".join(str(report).split())
    for i, line in enumerate(lines):
        if "yours " in line:
            right = next(other for other in lines[i:] if "right " in other)
            assert line.split()[1:] != right.split()[1:]


def test_a_property_tells_a_wrong_shape_for_other_inputs():
    def answer(y, grad):
        got = SOFTMAX.solution(y, grad)
        return got if y.shape != (3, 6) else got[0]

    report = examine(SOFTMAX, answer)
    assert "For other inputs, dx: expected shape (3, 6), got (6,)." in report.words


FILES = {
    "a BOM": codecs.BOM_UTF8 + CODE.encode(),
    "CRLF": CODE.replace("\n", "\r\n").encode(),
    "tabs": CODE.replace("    ", "\t").encode(),
    "Latin-1": b"# -*- coding: latin-1 -*-\n# \xfcber\n" + CODE.encode(),
    "a dataclass": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n"
        f"@dataclass\nclass Pair:\n    y: float\n\n\n{CODE}"
    ).encode(),
    "a second file": CODE.replace("import numpy", "import beside\nimport numpy").encode(),
    "a default": CODE.replace("grad):", "grad, axis=-1):").encode(),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_right_answer_passes_in_a_file_of_any_kind(kind, tmp_path):
    path = tmp_path / SOFTMAX.file
    path.write_bytes(FILES[kind])
    (tmp_path / "beside.py").write_text("x = 1\n", encoding="utf-8")
    paths, modules = [*sys.path], {*sys.modules}
    verdict = judge(path, SOFTMAX, None)
    assert verdict.right, verdict.report
    assert sys.path == paths
    for name in {*sys.modules} - modules:
        del sys.modules[name]


BROKEN = {
    "half a line": (b"def softmax_backward(y, grad:\n", "SyntaxError"),
    "mixed tabs": (b"def softmax_backward(y, grad):\n    if 1:\n\tpass\n", "TabError"),
    "two zero bytes": (b"\0\0", "null bytes"),
    "another name": (CODE.replace("softmax_b", "soft_b").encode(), "no function softmax_backward"),
    "another argument": (CODE.replace("grad):", "grad, h):").encode(), "can't be called as"),
    "an exit": (b"import sys\nsys.exit()\n", "SystemExit"),
    "the root": (b"raise BaseException('no')\n", "BaseException: no"),
    "no bytes": (b"", "no function softmax_backward"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_broken_is_told(kind, tmp_path, capsys):
    text, words = BROKEN[kind]
    start(tmp_path)
    (tmp_path / SOFTMAX.file).write_bytes(text)
    assert main(["check", "04", "--dir", str(tmp_path)]) == 1
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path, capsys):
    start(tmp_path)
    (tmp_path / SOFTMAX.file).unlink()
    (tmp_path / SOFTMAX.file).mkdir()
    assert main(["check", "04", "--dir", str(tmp_path)]) == 1
    assert "There is no file" in capsys.readouterr().out
    assert main(["status", "--dir", str(tmp_path)]) == 0


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_record_of_tries_that_can_not_be_read_is_told(text, tmp_path, capsys):
    start(tmp_path)
    (tmp_path / PROGRESS).write_text(text, encoding="utf-8")
    assert main(["status", "--dir", str(tmp_path)]) == 2
    assert f"{PROGRESS} keeps what you tried, and can't be read" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["start", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err


def test_c_in_latin_1_is_read(tmp_path):
    exercise = load("13_softmax_in_c")
    path = tmp_path / exercise.file
    path.write_bytes(b"/* \xfcber: NOT WRITTEN YET */\n")
    with pytest.raises(NotImplementedError):
        answer_in(path, exercise)(np.zeros((1, 1), np.float32), 0, 1)


@pytest.mark.parametrize("value", [None, 3, "softmax_backward", lambda y, grad: y])
def test_what_is_no_answer_is_refused_in_a_notebook(value):
    with pytest.raises(ValueError, match="no exercise asks for a function"):
        learn.check(value)


@pytest.mark.parametrize(
    "line",
    [
        "from tinyattn.nn.functional import *",
        "from tinyattn.learn._exercises.e04_softmax_backward import solution as softmax_backward",
    ],
)
def test_an_import_that_brings_the_answer_is_reported(line, tmp_path):
    path = tmp_path / SOFTMAX.file
    path.write_text(f"{line}\n", encoding="utf-8")
    assert library_calls(path) == [f"line 1: {line}"]


def spoilt(value):
    """The arrays of a result, each with a last column that is 1 too large."""
    if isinstance(value, tuple):
        return tuple(map(spoilt, value))
    if isinstance(value, np.ndarray) and value.dtype.kind in "fi":
        value = value.copy()
        value[..., -1:] += 1
    return value


LARGE = sorted(
    exercise.name
    for exercise in exercises()
    if any(isinstance(part, np.ndarray) and part.size for part in exercise.hand)
)


@pytest.mark.parametrize("name", LARGE)
def test_an_answer_that_is_wrong_beyond_16_elements_does_not_pass(name):
    exercise = load(name)

    def answer(*inputs):
        sizes = [n for x in inputs if isinstance(x, np.ndarray) for n in x.shape]
        right = exercise.solution(*inputs)
        return spoilt(right) if max(sizes) > 16 else right

    answer.__signature__ = inspect.signature(exercise.ask)
    report = examine(exercise, answer)
    assert not report.right
    assert not report.mistake
    assert report.failed.startswith("The definition holds")
    assert len(str(report).splitlines()) < 150


def test_a_loop_that_never_ends_while_the_file_is_loaded_is_stopped(tmp_path):
    path = tmp_path / SOFTMAX.file
    path.write_text("while True:\n    pass\n", encoding="utf-8")
    with limiting.time_limit(0.3), pytest.raises(Unusable, match=r"0\.3 s are over"):
        answer_in(path, SOFTMAX)


def test_an_error_is_told_with_the_shapes_of_the_arguments():
    def softmax_backward(y, grad):
        return y @ grad

    report = examine(SOFTMAX, softmax_backward)
    assert "ValueError: matmul" in report.words
    shapes = [x.shape for x in SOFTMAX.hand]
    assert report.words.endswith(f"The shapes were y {shapes[0]}, grad {shapes[1]}.")


def compares(part):
    """A test of a backward that looks at a part of the result only."""
    rng = np.random.default_rng(0)
    y = rng.dirichlet(np.ones(8), 3)
    grad = rng.standard_normal((3, 8))

    def catch_faults(softmax_backward):
        return abs(part(softmax_backward(y, grad)) - part(SOFTMAX.solution(y, grad))).max() < 1e-5

    return catch_faults


@pytest.mark.parametrize(
    "part",
    [
        lambda dx: dx.max(), lambda dx: dx[:, 0], lambda dx: dx[:, :-1], lambda dx: dx[-1],
        lambda dx: np.linalg.norm(dx), np.abs, lambda dx: dx[1:],
        lambda dx: (dx - dx.mean()) / dx.std(),
    ],
)  # fmt: skip
def test_a_test_of_a_part_of_the_result_does_not_pass(part):
    report = examine(load("14a_catch_faults"), compares(part))
    assert not report.right
    assert not report.mistake, report.mistake


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("11b_is_causal", lambda model, T, D: model.__name__ in ("mean_so_far", "gives_back")),
        ("14a_catch_faults", lambda f: f.__name__ in ("definition", "jacobian", "single")),
        ("14b_diagnose", lambda f: f.__name__.replace("_", " ")),
    ],
)
def test_the_name_of_a_function_does_not_tell_what_it_does(name, answer):
    report = examine(load(name), answer)
    assert not report.right


@pytest.mark.parametrize(
    "changes",
    [
        {", sum = 0;": "; static float sum; sum = 0;"},
        {", sum = 0;": "; sum = 0;", "#include": "float sum;\n#include"},
        {", top = -INFINITY, sum = 0;": "; static float top, sum; top = -INFINITY; sum = 0;"},
    ],
)
def test_a_variable_that_all_threads_share_is_noticed_in_c(changes):
    exercise = load("13_softmax_in_c")
    if compiler() is None:
        pytest.skip("no C compiler")
    source = exercise.solution.source
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    report = examine(exercise, from_c(source))
    assert "yours keeps a variable between its calls" in report.words
    assert not report.mistake


@pytest.mark.parametrize("broken", ["", " float"])
def test_c_is_read_as_utf_8_on_every_machine(broken, monkeypatch):
    exercise = load("13_softmax_in_c")
    if compiler() is None:
        pytest.skip("no C compiler")
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")  # as on a machine without UTF-8
    source = exercise.solution.source
    source = source.replace("float *to", f"/* 每行 {broken or 1} */ float{broken} *to")
    report = examine(exercise, from_c(source))
    assert report.right == (not broken)
    if broken:
        assert "NoCompiler: the compiler says:" in report.words


def test_what_is_printed_after_a_check_is_seen(capsys):
    exercise = load("13_softmax_in_c")
    if compiler() is None:
        pytest.skip("no C compiler")
    print(examine(exercise, exercise.solution).right)
    assert capsys.readouterr().out == "True\n"
