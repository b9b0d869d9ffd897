"""`python -m benchmarks.compare`: every row runs, and what is printed and kept is right.

PyTorch is not needed: without it there are no ratios, and the report says so.
"""

import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import tinyattn as ta
from benchmarks import models, speed
from benchmarks.compare import __main__ as command
from benchmarks.compare import report
from benchmarks.compare.case import there_and_back
from benchmarks.compare.report import Group, Ratio, Row
from benchmarks.compare.rows import CASES, GROUPS, kernels, operations, products, sizes, small
from benchmarks.compare.rows import models as steps

STEPS = {
    "seq2seq": {"B": 3, "T": 4, "H": 5, "V": 9},
    "documents": {"T": 3, "H": 4, "V": 9},
    "transformer": {
        "layers": 1,
        "width": 8,
        "heads": 2,
        "B": 2,
        "T": 3,
        "V": 9,
        "activation": "gelu",
        "causal": True,
    },
    "translator": {"V": 9, "H": 4, "B": 3, "shortest": 2, "longest": 4},
    "gpt": {"layers": 1, "width": 8, "heads": 2, "B": 2, "T": 4, "V": 9},
    "char_rnn": {"V": 9, "H": 4, "layers": 1, "B": 2, "T": 4},
}
OPERATIONS = operations.BOTH_WAYS | operations.FORWARD
SMALL = {
    "chain": lambda: small.chain(ta, 3),
    "softmax": lambda: small.softmax(ta, 4, 5, backward=True),
    "cross entropy": lambda: small.cross_entropy(ta, 4, 5, backward=False),
    "layer norm": lambda: kernels.layer_norm(ta, 4, 5),
    "gru": lambda: kernels.gru(ta, 2, 3, 4),
    "attention": lambda: kernels.attention(ta, 1, 2, 3, 4, causal=True),
    "adam": lambda: kernels.adam_alone(ta, [(3, 2)]),
    "gemm": lambda: kernels.gemm(2, 3, 4).setup(ta),
    "gemm in NumPy": lambda: kernels.gemm(2, 3, 4).own["numpy"](),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_runs(name):
    letters, apply = OPERATIONS[name]
    operations.operation(ta, letters, apply, 40, 20)()


@pytest.mark.parametrize("name", operations.BOTH_WAYS)
def test_a_gradient_reaches_every_leaf_of_an_operation(name):
    letters, apply = operations.BOTH_WAYS[name]
    operands = [operations.operand(ta, letter, 40, 20, i) for i, letter in enumerate(letters)]
    leaves = [x for x in operands if x.requires_grad]
    result = apply(ta, ta.nn.functional, *operands)
    there_and_back(leaves, lambda: result, ta.ones(*result.shape))()
    assert leaves
    assert all(leaf.grad is not None for leaf in leaves)


@pytest.mark.parametrize("name", operations.IDIOMS)
def test_every_idiom_runs(name):
    next(case for case in CASES if case.name == name).setup(ta)()


@pytest.mark.parametrize("name", STEPS)
def test_a_model_learns(name):
    step = models.load(name, "tinyattn").training_step(**STEPS[name])
    first = step().item()
    for _ in range(20):
        last = step().item()
    assert last < first


def test_every_model_is_tried_here():
    assert {path.stem for path in models.Path(models.__file__).parent.glob("*.py")} == {
        "__init__",
        "seq2seq_jax",
        *STEPS,
    }


@pytest.mark.parametrize("name", STEPS)
def test_a_model_trains_as_under_pytorch(name):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours, theirs = (models.load(name, library) for library in ("tinyattn", "torch"))
    assert vars(ours).keys() == vars(theirs).keys()
    assert np.isfinite(theirs.training_step(**STEPS[name])().item())


def test_letters_are_sampled():
    sample = models.load("char_rnn", "tinyattn").sampling(V=9, H=4, layers=1, count=7)
    assert len(sample()) == 7


def test_a_replayed_step_learns_as_the_written_one():
    sizes = STEPS["seq2seq"]
    replayed = steps.replayed(**sizes)
    written = models.load("seq2seq", "tinyattn").training_step(**sizes)
    for _ in range(4):
        assert replayed().item() == written().item()


def test_jax_takes_the_same_step():
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    step = steps.compiled(**STEPS["seq2seq"])
    first = float(step())
    assert np.isfinite(first)
    assert float(step()) != first


@pytest.mark.parametrize("name", SMALL)
def test_every_setup_runs(name):
    SMALL[name]()()


@pytest.mark.parametrize("way", products.WAYS)
def test_products_of_a_layer_are_those_of_numpy(way, monkeypatch):
    case = products._case((3, 4, 5), way)
    ours, numpys = case.setup(ta)(), case.own["numpy"]()()
    np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("panel", sizes.OPERATIONS)
def test_the_plot_compares_the_same_numbers(panel):
    case = sizes._case(panel, "", (6, 6))
    np.testing.assert_allclose(
        case.setup(ta)().numpy(), case.own["numpy"]()(), rtol=1e-4, atol=1e-5
    )


def test_a_row_has_one_name():
    names = [(case.group, case.name) for case in CASES]
    assert len(set(names)) == len(names)
    assert {group for group, _ in names} <= GROUPS.keys()


def test_the_readme_shows_rows_that_exist():
    assert set(speed.README_ROWS) <= {case.name for case in CASES}


# The command


def without_torch(side):
    return side in ("tinyattn", "numpy")


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(command, "installed", without_torch)
        monkeypatch.setattr(sys, "argv", ["compare", "--quick", "--rounds", "1", *arguments])
        command.main()
        return capsys.readouterr().out

    return run


def test_without_torch_ours_stands_alone(run, tmp_path):
    out = run("--group", "tape", "--csv", str(tmp_path / "a.csv"))
    assert "torch is not installed" in out
    assert re.search(r"\| 150 operations on 8x8 with backward \| [\d.]+ .s \|\n", out)
    _, rows = report.read(tmp_path / "a.csv")
    assert [row.name for row in rows] == ["150 operations on 8x8 with backward"]
    assert rows[0].ratios == {}


def test_memory_is_measured_in_new_processes(run):
    out = run("--group", "memory", "--only", "Seq2Seq.*H64")
    assert re.search(r"\| Seq2Seq step B32 T8 H64 V300 \| [\d.]+ MB \|\n", out)


def test_only_chooses_rows(run):
    out = run("--group", "sizes", "--only", "n x n: (16|32)$")
    assert "product n x n: 16" in out
    assert "numpy / tinyattn: geometric mean" in out
    assert "of 2 rows" in out


def test_a_row_that_fails_does_not_stop_the_others(run, monkeypatch, capsys):
    def measured(workers, case, *rest):
        if case.name.endswith(": 16"):
            raise RuntimeError("no memory")
        return a_row(case.name, 1.0, 2.0, group=case.group)

    monkeypatch.setattr(command, "measure", measured)
    with pytest.raises(SystemExit, match=r"not measured, .*: product n x n: 16"):
        run("--group", "sizes", "--only", "n x n: (16|32)$")
    out, err = capsys.readouterr()
    assert "sizes: product n x n: 16: no memory" in err
    assert "| product n x n: 32 | 1 s |" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group", "gem"], "invalid choice: 'gem'"),
        (["--only", "nothing like it"], "no row"),
        (["--rounds", "0"], "--rounds: expected at least 1, got 0"),
        (["--threads", "-1"], "--threads: expected at least 1, got -1"),
    ],
)
def test_wrong_options_are_refused(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    with pytest.raises(SystemExit):
        command.main()
    assert message in capsys.readouterr().err


# What is printed


def a_row(name, ours, torch, group="gemm", spread=0.1):
    ratio = torch / ours
    ratios = {"torch": Ratio(ratio, ratio - spread, ratio + spread)}
    return Row(group, name, 2, {"tinyattn": ours, "torch": torch}, ratios, 0.0)


def test_a_ratio_is_the_median_of_the_rounds_with_its_quartiles():
    case = CASES[0]
    values = {"tinyattn": [1.0, 2.0, 4.0, 1.0, 1.0], "torch": [1.0, 4.0, 12.0, 4.0, 5.0]}
    row = command.row(case, 2, values)
    assert row.values == {"tinyattn": 1.0, "torch": 4.0}
    assert row.ratios == {"torch": Ratio(3.0, 2.0, 4.0)}


def test_of_several_others_the_faster_counts_in_each_round():
    case = CASES[0]._replace(group="replay")
    values = {"replay": [1.0, 1.0, 2.0], "torch": [2.0, 5.0, 8.0], "jax": [3.0, 4.0, 6.0]}
    row = command.row(case, 2, values)
    assert row.ratios["the faster"] == Ratio(3.0, 2.5, 3.5)
    header = report.table([row]).splitlines()[0]
    assert header.startswith("|  | replay | torch | jax | torch / replay | jax / replay | the fas")


def test_a_summary_has_mean_worst_and_count():
    rows = [a_row("a", 1.0, 4.0), a_row("b", 1.0, 0.25), a_row("c", 1.0, 8.0)]
    assert report.summary(rows, Group("products", 1.5, 0.9)) == [
        "gemm, torch / tinyattn: geometric mean 2.00 (goal 1.5), worst 0.25 (goal 0.9): b; "
        "1 of 3 rows are slower than torch"
    ]


def test_rows_below_a_claim_are_named():
    rows = [a_row("a", 1.0, 4.0), a_row("b", 1.0, 0.5)]
    text = report.claims(rows, {"a": 3.9, "b": 0.8, "not measured": 7.0})
    assert text == "rows that the README claimed, below what it said: 1 of 2; b 0.50 (was 0.8)"


def test_a_table_shows_times_ratio_and_spread():
    assert report.table([a_row("a", 1e-3, 2.5e-3)]).splitlines() == [
        "|  | tinyattn | torch | torch / tinyattn |",
        "| --- | ---: | ---: | ---: |",
        "| a | 1 ms | 2.5 ms | **2.50** (2.40–2.60) |",
    ]


def test_figures_are_kept_and_replaced_by_row(tmp_path):
    path, order = tmp_path / "figures.csv", [("gemm", "a"), ("gemm", "b")]
    report.write(path, ["this machine"], [a_row("b", 1.0, 2.0), a_row("a", 1.0, 4.0)], order)
    report.write(path, ["this machine"], [a_row("b", 1.0, 3.0)], order)
    machine, rows = report.read(path)
    assert machine == ["this machine"]
    assert rows == [a_row("a", 1.0, 4.0), a_row("b", 1.0, 3.0)]


def test_a_ratio_without_a_time_is_kept(tmp_path):
    row = a_row("a", 1.0, 4.0)
    row.ratios["the faster"] = Ratio(3.0, 2.0, 4.0)
    report.write(tmp_path / "a.csv", [], [row], [("gemm", "a")])
    assert report.read(tmp_path / "a.csv") == ([], [row])


def test_figures_of_two_machines_are_not_mixed(tmp_path):
    path = tmp_path / "figures.csv"
    report.write(path, ["this machine"], [a_row("a", 1.0, 2.0)], [("gemm", "a")])
    with pytest.raises(ValueError, match="measured with"):
        report.write(path, ["another"], [a_row("a", 1.0, 2.0)], [("gemm", "a")])


def test_the_page_has_every_group_and_row():
    rows = [a_row("a", 1.0, 2.0), a_row("s", 1.0, 2.0, group="seq2seq")._replace(share=0.5)]
    text = speed.figures(["this machine"], rows, speed.ENGLISH)
    assert "Measured on this machine; 2 threads." in text
    assert "| Products alone | torch | **2.00** | 1.0 | 2.00 (a) | 1.0 | 0 of 1 |" in text
    assert "`--group seq2seq`" in text
    assert "|  | tinyattn | torch | torch / tinyattn | of the peak |" in text


def test_the_chinese_page_has_the_same_figures_under_chinese_heads():
    rows = [a_row("a", 1.0, 2.0), a_row("s", 1.0, 2.0, group="seq2seq")._replace(share=0.5)]
    text = speed.figures(["this machine"], rows, speed.CHINESE)
    assert "| 单独的矩阵乘积 | torch | **2.00** | 1.0 | 2.00 (a) | 1.0 | 0/1 |" in text
    assert "## 带注意力的 Seq2Seq 的训练步骤\n\n`--group seq2seq`\n\n" in text
    assert "|  | tinyattn | torch | torch / tinyattn | 占峰值 |" in text
    english = speed.figures(["this machine"], rows, speed.ENGLISH)
    figures = [re.findall(r"\d+\.\d+", printed) for printed in (english, text)]
    assert figures[0] == figures[1]


def test_every_group_has_a_chinese_title():
    assert speed.CHINESE.titles.keys() == GROUPS.keys()


@pytest.mark.skipif(not speed.FIGURES.exists(), reason="not measured yet")
def test_pages_plot_and_readme_are_printed_from_the_figures():
    machine, rows = report.read(speed.FIGURES)
    tables = {path: speed.figures(machine, rows, words) for path, words in speed.PAGES.items()}
    for path, table in (tables | {speed.README: speed.readme_table(machine, rows)}).items():
        text = path.read_text(encoding="utf-8")
        assert text == speed.put(text, table), path
    assert speed.PLOT.read_text(encoding="utf-8") == speed.plot(rows)


def test_the_plot_has_a_panel_for_each_operation_and_a_curve_for_each_side():
    rows = [
        a_row(f"{panel}: {n}", 1e-6 * n, 2e-6 * n, group="sizes")
        for panel in sizes.OPERATIONS
        for n in (10, 100, 1000)
    ]
    svg = ElementTree.fromstring(speed.plot(rows))
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert set(texts) >= {*sizes.OPERATIONS, "tinyattn", "torch", "elements", "1 ms", "100"}
    curves = [p.get("d") for p in svg.iter("{http://www.w3.org/2000/svg}path") if p.get("fill")]
    assert len(curves) == 2 * len(sizes.OPERATIONS)
    # Proportional to the size on logarithmic axes: both curves are straight, and torch's is higher.
    (x0, y0), (x1, y1), (x2, y2) = (map(float, at.split()) for at in curves[0][1:].split("L"))
    assert (x0 + x2) / 2 == pytest.approx(x1, abs=0.1)
    assert (y0 + y2) / 2 == pytest.approx(y1, abs=0.1)
    assert y0 > y1 > y2
    assert float(curves[1][1:].split("L")[0].split()[1]) < y0


def test_a_table_stands_between_the_marks_of_its_page():
    text = "before\n<!-- python -m benchmarks.speed -->\nold\n<!-- end -->\nafter\n"
    assert speed.put(speed.put(text, "one"), "new") == text.replace("old", "new")
