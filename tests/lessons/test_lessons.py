"""Every lesson runs on every backend, is short, and says the same in English and in Chinese.

The form of a lesson stands in lessons/cells.py. After a change of an English cell, look at its
Chinese twin and run `python -m lessons NAME`.
"""

import ast
import inspect
import math
import re
import runpy
import time
import unicodedata

import pytest

import tinyattn as ta
from lessons.cells import FOLDER, LESSONS, cells, stamp
from tinyattn.learn.exercise import exercises

ORDER = [
    "01_slope", "02_tape", "03_broadcasting", "04_softmax", "05_embedding_and_cross_entropy",
    "06_gru", "07_through_time", "08_additive_attention", "09_seq2seq", "10_scaled_dot_product",
    "11_transformer", "12_long_sequences", "13_kernels_in_c", "14_break_it",
]  # fmt: skip
WORDS = 1500  # of an English lesson
SECONDS = 30  # of processor time
COLUMNS = 75  # of code: what is wider is cut on a page of the site
PICTURES = {"_repr_svg_", "_repr_html_"}
ENDS = {
    "en": ("## Your turn", "## What you have learnt", "## Questions to try", "## In the source"),
    "zh": ("## 轮到你了", "## 学到了什么", "## 试一试", "## 源码在哪里"),
}
every_lesson = pytest.mark.parametrize("lesson", LESSONS)
both_languages = pytest.mark.parametrize("language", ["en", "zh"])


def text(language, lesson):
    return "\n\n".join(cell.content for cell in cells(language, lesson) if cell.is_text)


def code(language, lesson):
    return [cell.content for cell in cells(language, lesson) if not cell.is_text]


def test_every_lesson_has_its_place_and_its_chinese_twin():
    assert set(LESSONS) <= set(ORDER)
    assert sorted(path.stem for path in (FOLDER / "zh").glob("*.py")) == LESSONS


@every_lesson
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_the_lesson_runs(lesson, backend, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    seconds = seconds_of(lesson)
    if backend == "numba" and seconds >= SECONDS:  # a first run may have compiled the kernels
        seconds = seconds_of(lesson)
    assert seconds < SECONDS
    assert not list(tmp_path.iterdir()), "a lesson leaves no files behind"


def seconds_of(lesson):
    state, start = ta.get_rng_state(), time.process_time()
    try:
        run(FOLDER / "en" / f"{lesson}.py")
    finally:
        ta.set_rng_state(state)
        close_figures()
    return time.process_time() - start


def run(path):
    """Run the cells one by one, as a notebook does. It shows the value of a cell's last line, which
    is therefore a picture, a page, or None."""
    script = path.read_text(encoding="utf-8")
    openings = [i for i, line in enumerate(script.splitlines(), 1) if line.startswith("# %%")]
    statements = ast.parse(script).body
    names = {"__name__": "__main__", "__file__": str(path)}
    for number, statement in enumerate(statements):
        after = statements[number + 1].lineno if number + 1 < len(statements) else math.inf
        is_last = any(statement.lineno < opening < after for opening in [*openings, math.inf])
        if is_last and isinstance(statement, ast.Expr):
            shown = eval(compile(ast.Expression(statement.value), path, "eval"), names)
            line = f"{path.name}, line {statement.lineno}"
            assert shown is None or PICTURES & set(dir(shown)), f"{line}: shows {shown!r}"
        else:
            exec(compile(ast.Module([statement], []), path, "exec"), names)


def close_figures():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")


@every_lesson
def test_both_languages_have_the_same_code(lesson):
    assert code("zh", lesson) == code("en", lesson)
    english, chinese = cells("en", lesson), cells("zh", lesson)
    assert [cell.is_text for cell in english] == [cell.is_text for cell in chinese]


@every_lesson
def test_a_changed_english_cell_has_been_looked_at_in_chinese(lesson):
    english, chinese = cells("en", lesson), cells("zh", lesson)
    assert all(cell.source is None for cell in english)
    old = [
        (number, a.content.partition("\n")[0], a.hash())
        for number, (a, b) in enumerate(zip(english, chinese, strict=True), start=1)
        if b.source != (a.hash() if a.is_text else None)
    ]
    assert not old, f"look at these cells of zh/{lesson}.py, then `python -m lessons {lesson}`"


@both_languages
@every_lesson
def test_text_stands_in_comments(language, lesson):
    lines = text(language, lesson).splitlines()
    assert [line for line in lines if line and line != "#" and not line.startswith("# ")] == []


@both_languages
@every_lesson
def test_no_line_begins_a_list_inside_a_sentence(language, lesson):
    lines = re.sub(r"\$\$.*?\$\$", "", text(language, lesson), flags=re.S).splitlines()
    inside, before = 0, ""
    for line in lines:
        begins = re.match(r"# ([-+*>#] |\d+[.)] |=+$|-+$)", line)
        assert not (inside % 2 and begins), f"Markdown takes this line for something else: {line}"
        if re.match(r"# (\+|1[.)]) ", line):  # other numbers begin no list in a paragraph
            assert before in ("", "#"), f"Markdown begins a list here: {line}"
        inside = 0 if line.strip("# ") == "" else inside + line.count("$")
        before = line


@both_languages
@every_lesson
def test_the_first_cell_has_the_title_and_the_last_one_says_where_to_go_on(language, lesson):
    number = ORDER.index(lesson) + 1
    title = {"en": f"# # Lesson {number}. ", "zh": f"# # 第 {number} 课："}[language]
    first, last = cells(language, lesson)[0], cells(language, lesson)[-1]
    assert first.is_text
    assert first.content.startswith(title)
    assert last.is_text
    places = [text(language, lesson).find(f"# {heading}\n") for heading in ENDS[language]]
    assert -1 not in places, dict(zip(ENDS[language], places, strict=True))
    assert places == sorted(places)
    if number < len(ORDER):
        assert f"`{ORDER[number]}.py`" in last.content, "the next lesson is not named"


@every_lesson
def test_the_lesson_is_short(lesson):
    words = len([word for word in text("en", lesson).split() if word != "#"])
    assert words <= WORDS


@every_lesson
def test_code_fits_the_page(lesson):
    lines = "\n".join(code("en", lesson)).splitlines()
    assert [line for line in lines if width(line) > COLUMNS] == []


def width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@both_languages
@every_lesson
def test_every_file_that_is_named_exists(language, lesson):
    named = re.findall(r"`([\w/.]+\.(?:py|c|md))`", text(language, lesson))
    root = FOLDER.parent
    missing = [
        name
        for name in named
        if not (root / name).exists() and name.removesuffix(".py") not in ORDER
    ]
    assert missing == []


@both_languages
@every_lesson
def test_the_lesson_asks_for_its_own_exercises_with_their_arguments(language, lesson):
    written = text(language, lesson)
    named = re.findall(r"tinyattn\.learn (?:check|hint|solution) (\w+)", written)
    assert named, "a lesson has something to write"
    assert all(name.startswith(lesson[:2]) for name in named)
    there = {exercise.number: exercise for exercise in exercises()}
    for number in named:
        assert number in there
        ask = there[number].ask
        call = f"`{ask.__name__}({', '.join(inspect.signature(ask).parameters)})`"
        assert call in re.sub(r"\n# ", " ", written)


def test_a_line_that_looks_like_a_cell_but_opens_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lessons.cells.FOLDER", tmp_path)
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "x.py").write_text("# %% [markdwn]\n# Text\n")
    with pytest.raises(ValueError, match="markdwn"):
        cells("en", "x")


@both_languages
def test_every_exercise_is_named_by_its_lesson(language):
    for exercise in exercises():
        lesson = next(name for name in ORDER if name.startswith(exercise.lesson))
        named = re.findall(r"tinyattn\.learn check (\w+)", text(language, lesson))
        assert exercise.number in named


@pytest.fixture
def two_languages(tmp_path, monkeypatch):
    """One lesson, x, in place of the real ones. Both Chinese cells carry old hashes."""
    english = "# %% [markdown]\n# A\n\n# %%\nx = 1\n\n# %% [markdown]\n# B\n"
    chinese = '# %% [markdown] source="0"\n# 甲\n\n# %%\nx = 1\n\n# %% [markdown]\n# 乙\n'
    for language, script in (("en", english), ("zh", chinese)):
        (tmp_path / language).mkdir()
        (tmp_path / language / "x.py").write_text(script, encoding="utf-8")
    monkeypatch.setattr("lessons.cells.FOLDER", tmp_path)
    monkeypatch.setattr("lessons.cells.LESSONS", ["x"])


@pytest.mark.usefixtures("two_languages")
def test_the_stamp_of_a_chinese_cell_follows_the_english_one():
    assert stamp("x") == 2
    assert stamp("x") == 0
    sources = [cell.source for cell in cells("zh", "x")]
    assert sources == [cells("en", "x")[0].hash(), None, cells("en", "x")[2].hash()]
    assert [cell.content for cell in cells("zh", "x")] == ["# 甲", "x = 1", "# 乙"]


@pytest.mark.usefixtures("two_languages")
def test_the_command_names_the_cells_to_look_at_until_it_is_told_that_they_are_right(
    monkeypatch, capsys
):
    def said(*arguments):
        monkeypatch.setattr("sys.argv", ["lessons", *arguments])
        runpy.run_module("lessons", run_name="__main__")
        return capsys.readouterr().out.splitlines()

    first, last = cells("en", "x")[0].hash(), cells("en", "x")[2].hash()
    assert said() == [
        f'zh/x.py, cell 1 ("A"): source="{first}"',
        f'zh/x.py, cell 3 ("B"): source="{last}"',
    ]
    assert said("x") == ["zh/x.py: 2 new hashes"]
    assert said() == []


@pytest.mark.usefixtures("two_languages")
def test_a_chinese_cell_too_few_is_refused(tmp_path):
    (tmp_path / "zh" / "x.py").write_text("# %% [markdown]\n# 甲\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected 2 cells of text"):
        stamp("x")


def test_a_lesson_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["lessons", "04_softmax", "15_none"])
    with pytest.raises(
        SystemExit, match=r"^lessons: expected names among 01_slope, .* got 15_none"
    ):
        runpy.run_module("lessons", run_name="__main__")
