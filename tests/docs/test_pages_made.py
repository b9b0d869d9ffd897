"""The pages that are made: operations with their kernels, the reference, links of the guides."""

import re
from pathlib import Path

import pytest

import tinyattn as ta
from benchmarks.accuracy import MEASURED
from docs.__main__ import inside
from docs.operations import operation_pages
from docs.reference import MODULES, reference_pages
from tests.ops.test_sums import PRODUCTS, SUMS
from tinyattn.kernels.table import STATEMENTS

ROOT = Path(__file__).parents[2]
PAGES = operation_pages(ROOT)


def part(page: str, operation: str) -> str:
    return re.search(rf"^## {operation}\n(.*?)(?=^## |\Z)", PAGES[page], re.M | re.S)[1]


def test_an_operation_stands_with_its_derivation_its_code_and_its_kernels_three_times():
    softmax = part("operations/normalising.md", "Softmax")
    assert r"$= y_j (g_j - \sum _i g_i y_i)$" in softmax
    assert "class Softmax(Function):" in softmax
    for kernel in ("softmax", "softmax_backward"):
        section = softmax[softmax.index(f"### The kernel {kernel}\n") :]
        assert section.index("NumPy: tinyattn/kernels/reference/softmax.py") < section.index(
            f"def {kernel}("
        )
        assert section.index("Numba: tinyattn/kernels/jit/softmax.py") < section.index(
            "C: native/softmax.c"
        )
        assert f"KERNEL({kernel})" in section


def test_an_elementwise_operation_has_the_lines_of_the_tables():
    exp = part("operations/elementwise.md", "Exp")
    assert '"exp": lambda' in exp
    assert "OPERATION(1, exp," in exp


@pytest.mark.parametrize("page", [page for page in PAGES if page != "operations.md"])
def test_each_operation_has_a_derivation(page):
    for section in PAGES[page].split("\n## ")[1:]:
        name, text = section.split("\n", 1)
        assert text.split("```")[0].strip(), name


@pytest.mark.parametrize("page", [page for page in PAGES if page != "operations.md"])
def test_each_kernel_stands_in_three_languages(page):
    for section in PAGES[page].split("\n### The kernel ")[1:]:
        name = section.split("\n", 1)[0]
        found = re.findall(r"^(?:<details><summary>)?(NumPy|Numba|C): ", section, re.M)
        assert found == ["NumPy", "Numba", "C"], name


def test_every_kernel_stands_on_a_page_but_those_that_no_gradient_needs():
    shown = set(re.findall(r"### The kernel (\w+)", "".join(PAGES.values())))
    kernels = {name for names in STATEMENTS.values() for name in names}
    no_gradient = {
        "adam",
        "sgd",
        "global_norm",
        "scale",
        "convert",
        "copy",
        "fill",
        "uniform",
        "normals",
        "gru_gates",
        "lstm_gates",
    }
    engine = {"place", "products"}  # by autograd/gradients.py, for gradients on their way
    assert kernels - shown == no_gradient | engine | {"elementwise"}  # which stands by operations


def test_the_reference_has_every_public_name():
    text = "".join(reference_pages().values())
    for name in ta.__all__:
        if callable(getattr(ta, name)):
            assert re.search(rf":: tinyattn\.{name}$", text, re.M), name


@pytest.mark.parametrize(
    ("page", "names"), [("reference", MODULES), ("operations", [*map(Path, PAGES)][1:])]
)
def test_the_chinese_page_links_to_each_english_one(page, names):
    text = (ROOT / f"docs/zh/{page}.md").read_text(encoding="utf-8")
    found = set(re.findall(rf"\(\.\./en/{page}/(\w+)\.html\)", text))
    assert found == {Path(name).stem for name in names}


def test_each_guide_is_listed():
    listed = (ROOT / "docs/guides.md").read_text(encoding="utf-8").split("\n")
    listed += (ROOT / "docs/index.md").read_text(encoding="utf-8").split("\n")
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages - {"index"} <= {*listed}


def test_the_tables_of_accuracy_have_a_row_for_each_kernel_and_each_sum():
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    tables = re.findall(r"^```\n.*?\n(.*?)^```", page, re.M | re.S)
    rows = [[re.split("  +", row)[0] for row in table.splitlines()] for table in tables]
    assert rows == [MEASURED, [*SUMS, *PRODUCTS]]


def test_links_to_files_that_are_not_on_the_site_are_code():
    text = "See [loop](../native/replay.c), [that](../../x.md) and [speed](speed.md)."
    assert inside(text) == "See `native/replay.c`, `x.md` and [speed](speed.md)."
    assert inside("[nn](../en/nn.html), 英") == '<a href="../en/nn.html">nn</a>, 英'


@pytest.mark.parametrize("path", sorted((ROOT / "lessons").glob("??/*.py")), ids=lambda p: p.stem)
def test_no_sentence_of_a_lesson_goes_on_with_what_is_a_list_to_markdown(path):
    found = re.findall(r"^# \S.*\n# 1[.)] .*", path.read_text(encoding="utf-8"), re.M)
    assert [x for x in found if not re.match(r"# \d", x)] == []
