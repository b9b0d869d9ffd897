"""examples/translate.py run as a program: what it prints, what it writes, and that wrong input ends
in one line with nothing written.

Most tests share `toy`, a model that has learned to turn number words around; look there first.
"""

import importlib.util
import itertools
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

import tinyattn as ta
from tinyattn.text import read_pairs, split_by_source

PROGRAM = Path(__file__).parents[2] / "examples" / "translate.py"
SMALL = ("--pairs", "400", "--hidden", "16", "--epochs", "1", "--valid", "20", "--test", "40")
TOY = ("--data", "toy.txt", "--swap", "--out", "toy", "--valid", "20", "--test", "40")
LEARN = ("--hidden", "32", "--epochs", "15", "--batch", "16", "--lr", "0.01", "--warmup", "20")


def environment(**changes: str) -> dict[str, str]:
    found = str(Path(ta.__file__).parents[1])  # the package under test, installed or not
    path = os.pathsep.join([*filter(None, [changes.pop("PYTHONPATH", "")]), found])
    settings = {"PYTHONPATH": path, "TINYATTN_BACKEND": ta.backend().name}
    return {**os.environ, **settings, **changes}


def run(folder: Path, *arguments: str, stdin: bytes = b"", **env: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=environment(**env),
        timeout=120,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def refused(folder: Path, *arguments: str, says: str, stdin: bytes = b"", **env: str) -> None:
    """The program ends with code 2 and one line that holds `says`; the folder is as before."""
    before = contents(folder)
    done = run(folder, *arguments, stdin=stdin, **env)
    assert done.stdout == ""
    assert re.fullmatch(r"translate\.py: [^\n]+\n", done.stderr), done.stderr
    assert says in done.stderr
    assert done.returncode == 2
    assert contents(folder) == before


def report_of(output: str) -> str:
    return output[output.index("\non ") : output.index("attention map: ")]


def toy_lines() -> list[str]:
    """ "one two" TAB 二一 TAB attribution; one source in four has a second reference, in words that
    nothing else has."""
    chinese = "一二三四五六七八"
    english = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    lines = []
    for digits in itertools.product(range(8), repeat=3):
        source = "".join(chinese[i] for i in reversed(digits)) + "。"
        words = " ".join(english[i] for i in digits)
        lines.append(f"{words}.\t{source}\tCC-BY 2.0 (somebody)")
        if sum(digits) % 4 == 0:
            lines.append(f"Say {words}!\t{source}\tCC-BY 2.0 (somebody else)")
    Random(0).shuffle(lines)
    return lines


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with toy.txt and a model in toy/ that has learned it; its train run."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.txt").write_text("\n".join(toy_lines()) + "\n", encoding="utf-8")
    done = run(folder, *TOY, *LEARN)
    assert done.returncode == 0, done.stderr
    done.folder = folder
    return done


@pytest.fixture(scope="session")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A short run on the built-in corpus, on one thread."""
    folder = tmp_path_factory.mktemp("builtin")
    done = run(folder, *SMALL, TINYATTN_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    done.folder = folder
    return done


def toy_test_pairs(toy: Any) -> dict[str, list[str]]:
    """The references of each source held out for the test."""
    pairs = read_pairs(toy.folder / "toy.txt", swap=True)
    references = defaultdict(list)
    for source, target in split_by_source(pairs, 20, 40, seed=0)[2]:
        references[source].append(target)
    return references


# --- what a run prints and writes -----------------------------------------------------------------


def test_report_has_its_lines(toy: Any) -> None:
    text = toy.stdout
    assert re.search(r"^gold-prefix perplexity: \d+\.\d+$", text, re.M)
    assert re.search(
        r"^BLEU: \d+\.\d  \(nrefs:\S*\|tok:13a\|smooth:exp\|version:\S+\)$", text, re.M
    )
    assert re.search(r"^exact match: \d+\.\d %$", text, re.M)
    assert len(re.findall(r"^  \S.*  ->  ", text, re.M)) == 10
    assert re.search("[░▒▓█]", text)


def test_ten_translations_are_of_held_out_sources(toy: Any) -> None:
    shown = re.findall(r"^  (\S+)  ->  ", toy.stdout, re.M)
    assert set(shown) <= set(toy_test_pairs(toy))
    assert len(set(shown)) == 10


def test_fewer_translations_only_with_fewer_test_sources(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--test", "3")
    assert len(re.findall(r"^  \S.*  ->  ", done.stdout, re.M)) == 3


def test_files_of_a_run(toy: Any) -> None:
    folder = toy.folder / "toy"
    names = {"model.safetensors", "curve.csv", "curve.png", "attention.png"}
    assert names <= {path.name for path in folder.iterdir()}
    for picture in ("curve.png", "attention.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    header, *rows = (folder / "curve.csv").read_text().splitlines()
    assert header == "step,loss,perplexity"
    steps, losses, perplexities = np.array([row.split(",") for row in rows], float).T
    assert (np.diff(steps) > 0).all()
    assert losses[-1] < losses[0] / 5
    assert perplexities[-1] < perplexities[0] / 2


def test_progress_bar_has_loss_and_speed(toy: Any) -> None:
    assert re.search(r"loss \d+\.\d+, valid ppl \d+\.\d+, \d+ tokens/s", toy.stderr)


def test_any_reference_is_an_exact_match_and_bleu_has_them_all(toy: Any) -> None:
    references = toy_test_pairs(toy)
    (toy.folder / "sources.txt").write_text("\n".join(references), encoding="utf-8")
    done = run(toy.folder, "translate", "--file", "sources.txt", "--model", "toy")
    hypotheses = done.stdout.splitlines()
    exact = sum(h in r for h, r in zip(hypotheses, references.values(), strict=True))
    second = sum(h in r[1:] for h, r in zip(hypotheses, references.values(), strict=True))
    assert f"exact match: {100 * exact / len(references):.1f} %" in toy.stdout
    assert exact >= 0.8 * len(references)
    assert second > 0  # some match only the second reference, whichever of the two that is
    assert any(h == r[0] for h, r in zip(hypotheses, references.values(), strict=True))
    streams = [[r[i] if i < len(r) else None for r in references.values()] for i in range(2)]
    score = BLEU().corpus_score(hypotheses, streams).score  # type: ignore[arg-type]
    assert f"BLEU: {score:.1f}  (nrefs:var|" in toy.stdout


def test_evaluate_prints_the_report_of_training_and_overwrites_nothing(toy: Any) -> None:
    before = contents(toy.folder)
    done = run(toy.folder, "evaluate", "--model", "toy")
    assert report_of(done.stdout) == report_of(toy.stdout)
    assert contents(toy.folder).items() >= before.items()


def test_evaluate_takes_other_pairs(toy: Any) -> None:
    (toy.folder / "other.txt").write_text("一二三。\tnothing like it\n", encoding="utf-8")
    before = contents(toy.folder)
    done = run(toy.folder, "evaluate", "--model", "toy", "--data", "other.txt")
    assert contents(toy.folder).items() > before.items()  # one more attention map
    assert "on 1 sentences of other.txt:" in done.stdout
    assert "exact match: 0.0 %" in done.stdout


def test_the_model_trained_last_is_the_default(builtin: Any) -> None:
    done = run(builtin.folder, "evaluate")
    assert report_of(done.stdout) == report_of(builtin.stdout)


def test_the_same_for_any_number_of_threads_and_a_run_is_never_overwritten(builtin: Any) -> None:
    before = contents(builtin.folder)
    done = run(builtin.folder, *SMALL, TINYATTN_NUM_THREADS="2")
    assert report_of(done.stdout) == report_of(builtin.stdout)
    assert contents(builtin.folder).items() >= before.items()
    first, second = (builtin.folder / "runs" / name for name in ("translate", "translate-2"))
    assert (first / "curve.csv").read_bytes() == (second / "curve.csv").read_bytes()
    saved, again = (ta.load(folder / "model.safetensors")["model"] for folder in (first, second))
    assert all((saved[name].numpy() == again[name].numpy()).all() for name in saved)


def test_another_seed_is_another_model(builtin: Any) -> None:
    done = run(builtin.folder, *SMALL, "--seed", "1", "--out", "seed1")
    assert report_of(done.stdout) != report_of(builtin.stdout)


@pytest.mark.parametrize(
    "options",
    [
        "--score dot",
        "--score uniform",
        "--score cosine --cell lstm --layers 2 --bidirectional --dropout 0.1",
        "--model transformer --heads 2 --layers 1 --feed-forward 24",
    ],
)
def test_other_models(tmp_path: Path, options: str) -> None:
    done = run(tmp_path, "train", *SMALL, *options.split())
    assert re.search(r"^exact match: ", done.stdout, re.M), done.stderr
    source, meant = re.findall(r"^  (\S+)  ->  (.+?)(?:   \(meant: .*)?$", done.stdout, re.M)[0]
    assert run(tmp_path, "translate", source).stdout == f"{meant}\n"


def test_western_text_is_cut_into_words_on_both_sides(tmp_path: Path) -> None:
    numbers = [("un", "ein"), ("deux", "zwei"), ("trois", "drei"), ("quatre", "vier")]
    lines = [
        f"L'été, {' '.join(f for f, _ in row)}.\tIm Sommer: {' '.join(g for _, g in row)}.\n"
        for row in itertools.product(numbers, repeat=3)
    ]
    (tmp_path / "fra-deu.txt").write_text("".join(lines), encoding="utf-8")
    options = ("--hidden", "8", "--epochs", "1", "--valid", "5", "--test", "5")
    done = run(tmp_path, "--data", "fra-deu.txt", *options)
    assert "vocabulary 11 x 12" in done.stdout, done.stderr
    assert "tok:13a" in done.stdout
    swapped = run(tmp_path, "--data", "fra-deu.txt", "--swap", *options)
    assert "vocabulary 12 x 11" in swapped.stdout


def test_the_built_in_corpus_is_swapped_too(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--swap")
    assert "tok:zh" in done.stdout
    assert run(tmp_path, "evaluate").returncode == 0


def test_output_is_utf8_wherever_it_goes(builtin: Any) -> None:
    done = run(builtin.folder, "evaluate", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert report_of(done.stdout) == report_of(builtin.stdout)


# --- translate ------------------------------------------------------------------------------------


def test_a_sentence_a_file_and_standard_input_agree_in_order(toy: Any) -> None:
    sentences = ["一二三。", "八。", "七七七。", "五四三二一五四三二一。", "六 二。"] * 14
    content = "\ufeff" + "\r\n".join(sentences) + "\r\n"
    (toy.folder / "some.txt").write_bytes(content.encode())
    file = run(toy.folder, "translate", "--file", "some.txt", "--model", "toy").stdout
    stdin = run(toy.folder, "translate", "--model", "toy", stdin=content.encode()).stdout
    assert file == stdin
    lines = file.splitlines()
    assert len(lines) == len(sentences)
    assert lines[:5] * 14 == lines
    assert len(set(lines[:5])) == 5
    for sentence, line in list(zip(sentences, lines, strict=True))[:2]:
        assert run(toy.folder, "translate", sentence, "--model", "toy").stdout == line + "\n"


def test_a_long_sentence_ends_somewhere(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "一二三" * 300)
    assert done.returncode == 0
    assert 0 < len(done.stdout.split()) <= 60


def test_unknown_words_beside_known_ones_are_no_error(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "猫一二。")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_a_reader_that_has_enough_ends_the_program_quietly(toy: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "translate", "--model", "toy"],
        cwd=toy.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdin, process.stderr:
        process.stdin.write("一二。\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().strip()
        process.stdout.close()
        process.stdin.write("一二。\n".encode() * 9)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


def test_training_whose_output_nobody_reads_still_saves(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *SMALL],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    saved = {path.name for path in (tmp_path / "runs" / "translate").iterdir()}
    assert saved >= {"model.safetensors", "curve.csv", "curve.png"}


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (b"", "standard input: expected a sentence a line, got nothing"),
        (b"\n", "standard input:1: expected a sentence, got an empty line"),
        ("猫狗\n".encode(), "standard input:1: expected words of the training data, got '猫狗'"),
        (b"\xff\n", "standard input:1: expected UTF-8, got byte 0xff"),
    ],
)
def test_standard_input_that_cannot_be_translated(toy: Any, stdin: bytes, says: str) -> None:
    refused(toy.folder, "translate", "--model", "toy", stdin=stdin, says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "in.txt: expected a sentence a line, got nothing"),
        ("一二。\n\n一。\n".encode(), "in.txt:2: expected a sentence, got an empty line"),
        ("一二。\n\u3000\n".encode(), "in.txt:2: expected a sentence, got an empty line"),
        (
            "一\u2028二。\nxyz\n".encode(),
            "in.txt:2: expected words of the training data, got 'xyz'",
        ),
        ("一二。\n一\n".encode("gb18030"), "in.txt:1: expected UTF-8, got byte 0xb6"),
    ],
)
def test_a_file_that_cannot_be_translated(toy: Any, content: bytes, says: str) -> None:
    (toy.folder / "in.txt").write_bytes(content)
    refused(toy.folder, "translate", "--file", "in.txt", "--model", "toy", says=says)


def test_sentences_that_cannot_be_translated(toy: Any) -> None:
    use = ("--model", "toy")
    refused(toy.folder, "translate", "", *use, says="sentence: expected a sentence, got an empty")
    refused(toy.folder, "translate", "xyz", *use, says="expected words of the training data")
    refused(toy.folder, "translate", "--file", "nowhere", *use, says="nowhere: ")
    refused(toy.folder, "translate", "一", "--file", "toy.txt", says="a sentence or --file")


# --- wrong input to training ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "pairs.txt: expected a text file that can be read: no such file"),
        (b"", "pairs.txt: expected lines of source TAB target, got an empty file"),
        (b"a\tb\nc d\n", "pairs.txt:2: expected source TAB target, got one column: 'c d'"),
        (b"a\tb\nc\t\n", "pairs.txt:2: expected source TAB target, got an empty second column"),
        (b"a\tb\n\xff\tb\n", "pairs.txt:2: expected UTF-8, got byte 0xff"),
        (
            b"a\tb\n" * 9,
            "pairs.txt: expected more than valid + test = 3000 distinct sources, got 1 in 9 pairs; "
            "lower --valid and --test",
        ),
    ],
)
def test_pairs_that_cannot_be_trained_on(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "pairs.txt").write_bytes(content)
    refused(tmp_path, "--data", "pairs.txt", says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--data", "."), ".: expected a text file that can be read: is a directory"),
        (("--lr", "nan"), "--lr: expected a number above 0, got 'nan'"),
        (("--lr", "-0.1"), "--lr: expected a number above 0, got '-0.1'"),
        (("--lr", "inf"), "--lr: expected a number above 0, got 'inf'"),
        (("--dropout", "2"), "--dropout: expected a number from 0 to below 1, got '2'"),
        (("--smoothing", "x"), "--smoothing: expected a number from 0 to below 1, got 'x'"),
        (("--valid", "0"), "--valid: expected a whole number from 1, got '0'"),
        (("--test", "1.5"), "--test: expected a whole number from 1, got '1.5'"),
        (("--seed", "-1"), "--seed: expected a whole number from 0, got '-1'"),
        (("--score", "dots"), "--score: invalid choice: 'dots' (choose from 'dot', 'scaled_dot', "),
        (("--model", "cnn"), "--model: invalid choice: 'cnn' (choose from 'rnn', 'transformer')"),
        (("--layers", "0"), "--layers: expected a whole number from 1, got '0'"),
        (("--heads", "2"), "--heads: expected a model that has it, got --model rnn"),
        (
            ("--model", "transformer", "--bidirectional"),
            "--bidirectional: expected a model that has it, got --model transformer",
        ),
        (
            (*SMALL, "--bidirectional", "--hidden", "15"),
            "hidden: expected an even number for two directions, got 15",
        ),
        (
            (*SMALL, "--model", "transformer", "--heads", "3"),
            "hidden: expected an even number that the heads divide, got 16 for 3 heads",
        ),
        (("--nothing",), "unrecognized arguments: --nothing"),
        (("trian",), "invalid choice: 'trian'"),
        ((*SMALL, "--out", "file/run"), "file/run: expected a folder to write to: Not a directory"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "file").write_text("kept")
    refused(tmp_path, *arguments, says=says)


@pytest.mark.parametrize("package", ["matplotlib", "tqdm", "sacrebleu"])
def test_a_missing_package_is_said_before_training(tmp_path: Path, package: str) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{package}.py").write_text("raise ImportError('hidden')")
    says = f"{package} is missing: pip install 'tinyattn[examples]'"
    refused(tmp_path, *SMALL, says=says, PYTHONPATH=str(hidden), PYTHONDONTWRITEBYTECODE="1")


def test_a_loss_that_runs_away_stops_training_at_its_step(toy: Any) -> None:
    before = contents(toy.folder)
    done = run(toy.folder, *TOY, *LEARN, "--lr", "1e38")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert re.match(r"translate\.py: step \d+ of \d+: expected a finite loss and gradient", last)
    assert "Traceback" not in done.stderr
    assert contents(toy.folder) == before


# --- Ctrl-C, full disks, missing fonts ------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 4])
def test_ctrl_c_saves_a_whole_model_and_says_where(toy: Any, times: int) -> None:
    out = f"stopped-{times}"
    before = contents(toy.folder)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *TOY, "--out", out, "--epochs", "100000", "--hidden", "32"],
        cwd=toy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        seen = b""
        while not re.search(rb" [1-9]\d*/\d+ \[", seen):
            seen += process.stderr.read(1)
            assert process.poll() is None, seen
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            # Apart enough to come one by one, close enough to come before the end.
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.005)
        error = process.stderr.read().decode()
    assert process.wait(timeout=60) == 130
    assert error.endswith(
        f"translate.py: stopped; the model so far is in {out}/model.safetensors; "
        f"go on with: {PROGRAM} train --resume {out}\n"
    ), error
    assert "Traceback" not in error
    assert contents(toy.folder).items() >= before.items()
    assert {"curve.csv", "curve.png"} <= {p.name for p in (toy.folder / out).iterdir()}
    assert run(toy.folder, "translate", "一二三。", "--model", out).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="a limit on the size of files is set by a POSIX shell")
def test_a_full_disk_is_a_line_and_leaves_nothing(toy: Any) -> None:
    before = contents(toy.folder)
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", sys.executable, str(PROGRAM)]
    done = subprocess.run(
        [*limited, *TOY, "--epochs", "1", "--out", "full"],
        cwd=toy.folder,
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    error = done.stderr.decode()
    assert done.returncode == 2, error
    last = error.splitlines()[-1]
    assert last.startswith("translate.py: full/best.safetensors: expected to read or write it: ")
    assert "Traceback" not in error
    assert contents(toy.folder) == before


@pytest.fixture
def example(monkeypatch: Any) -> Any:
    monkeypatch.syspath_prepend(PROGRAM.parent)  # as Python does for a program
    spec = importlib.util.spec_from_file_location("translate_example", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_chinese_font_only_the_picture_is_missing(
    toy: Any, example: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    def fontless(*_: Any) -> None:
        raise RuntimeError("no installed font holds Chinese characters")

    monkeypatch.setattr(example, "attention_figure", fontless)
    model, _ = example.load_model(str(toy.folder / "toy"))
    example.report(model, [("一二三。", "three two one.")], tmp_path)
    out, error = capsys.readouterr()
    assert "exact match: " in out
    assert "attention map" not in out
    assert "no attention map: no installed font holds Chinese characters" in error
    assert list(tmp_path.iterdir()) == []


# --- the models -----------------------------------------------------------------------------------

SCORES = (
    *("dot", "scaled_dot", "general", "additive"),
    *("cosine", "neg_sq_distance", "geometric_mean", "uniform"),
)
MODELS = [
    *(f"--score {score}" for score in SCORES),
    "--cell lstm",
    "--layers 2",
    "--bidirectional",
    "--cell lstm --layers 2 --bidirectional --score general",
    "--model transformer --heads 2 --feed-forward 6",
]
PAIRS = [("一二三", "one two three"), ("四", "four"), ("二一", "two one"), ("三三", "three three")]


def tiny(example: Any, options: str) -> Any:
    """A model of the given options with its first weights, in float64."""
    given = ("train", "--hidden", "4", "--valid", "1", "--test", "1", *options.split())
    args = example.complete(example.parser().parse_args(given))
    ta.manual_seed(0)
    settings = {**example.options_of(args, PAIRS), "fingerprint": ""}
    return example.new_model(settings, PAIRS).double()


@pytest.mark.parametrize("options", MODELS)
def test_the_whole_translator_passes_gradcheck(example: Any, options: str) -> None:
    """Sources of unequal length in one batch, masked attention, loss without padding."""
    model = tiny(example, options)
    (batch,) = example.batches(model.ids(PAIRS[:3]), 3)
    gold = ta.from_numpy(batch.target_out.T.reshape(-1))

    def loss(scores: ta.Tensor) -> ta.Tensor:
        return example.F.cross_entropy(scores.flatten(0, 1), gold, ignore_index=example.PAD)

    assert ta.gradcheck_module(model, (batch,), loss, samples=3)


@pytest.mark.parametrize("options", MODELS)
def test_step_by_step_is_the_whole_sentence_and_padding_changes_nothing(
    example: Any, options: str
) -> None:
    """What is kept between steps, a state or the keys and values, loses nothing."""
    model = tiny(example, options).eval()
    (batch,) = example.batches(model.ids(PAIRS), len(PAIRS))
    with ta.no_grad():
        whole = model(batch).numpy()
        state = model.model.start(batch)
        for t, tokens in enumerate(batch.target_in.T):
            scores, weights, state = model.model.next(ta.from_numpy(tokens), state)
            np.testing.assert_allclose(scores.numpy(), whole[t], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(weights.numpy().sum(axis=1), 1)
            assert not weights.numpy()[batch.source == example.PAD].any()
        for row, place in enumerate(batch.index):
            (alone,) = example.batches(model.ids([PAIRS[place]]), 1)
            scores = model(alone).numpy()[:, 0]
            np.testing.assert_allclose(scores, whole[: len(scores), row], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", MODELS)
def test_a_saved_model_translates_the_same(example: Any, options: str, tmp_path: Path) -> None:
    model = tiny(example, options)
    example.save_model(model, tmp_path)
    again, _ = example.load_model(str(tmp_path))
    assert again.options == model.options
    sentences = ["三二一", "一", "四四四四"]
    both = model.translate(sentences), again.double().translate(sentences)
    for before, after in zip(*both, strict=True):
        assert before[0] == after[0]
        np.testing.assert_array_equal(before[1], after[1])


@pytest.mark.parametrize("options", MODELS)
def test_training_lowers_the_loss(example: Any, options: str) -> None:
    model = tiny(example, options)
    (batch,) = example.batches(model.ids(PAIRS), len(PAIRS))
    optimizer = ta.optim.Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(30):
        loss, _ = example.loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None for p in model.parameters())


def test_what_is_not_given_is_the_models_own(example: Any) -> None:
    def epochs(*given: str) -> int:
        return example.complete(example.parser().parse_args(["train", *given])).epochs

    own = {kind: model.defaults["epochs"] for kind, model in example.MODELS.items()}
    assert epochs() == own["rnn"]
    assert epochs("--model", "transformer") == own["transformer"]
    assert epochs("--score", "dot") == 2
    assert epochs("--score", "dot", "--epochs", "5") == 5


def test_a_score_is_the_libraries_or_uniform(example: Any) -> None:
    assert example.MODELS["rnn"].options["score"] == SCORES


# --- models that can't be used --------------------------------------------------------------------

Saved = dict[str, Any]


def option(name: str, value: Any) -> Callable[[Saved], Any]:
    return lambda saved: {**saved, "options": {**saved["options"], name: value}}


def without_option(saved: Saved) -> Saved:
    return {**saved, "options": {k: v for k, v in saved["options"].items() if k != "dropout"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (option("hidden", 16), "Error(s) in loading state_dict for Translator: size mismatch for"),
        (option("hidden", "32"), "expected hidden to be int, got '32'"),
        (option("score", "dots"), "expected score to be ('dot', 'scaled_dot', "),
        (option("model", "cnn"), "expected model to be ('rnn', 'transformer'), got 'cnn'"),
        (option("model", "transformer"), "expected 'heads' in it, found none"),
        (
            option("score", "dot"),
            "Error(s) in loading state_dict for Translator: Unexpected key(s) in state_dict",
        ),
        (option("source_tokens", None), "expected source_tokens to be ('char', "),
        (without_option, "expected 'dropout' in it, found none"),
        (lambda saved: saved["model"], "expected 'options' in it, found none"),
        (lambda saved: [saved], "expected a dict, got list"),
        (lambda saved: {**saved, "options": 3}, "expected options to be dict, got '3'"),
        (
            lambda saved: {**saved, "target": saved["target"][:-1]},
            "Error(s) in loading state_dict for Translator: size mismatch for",
        ),
        (lambda saved: {**saved, "target": [1]}, "tokens: expected strings, got int"),
        (
            lambda saved: {**saved, "model": {}},
            "Error(s) in loading state_dict for Translator: Missing key(s) in state_dict",
        ),
    ],
)
def test_a_model_that_does_not_fit(toy: Any, change: Callable[[Saved], Any], says: str) -> None:
    ta.save(change(ta.load(toy.folder / "toy" / "model.safetensors")), toy.folder / "changed")
    says = f"changed: expected a model that `train` saved: {says}"
    refused(toy.folder, "translate", "一", "--model", "changed", says=says)


def test_a_file_that_is_no_model(toy: Any) -> None:
    whole = (toy.folder / "toy" / "model.safetensors").read_bytes()
    (toy.folder / "half").write_bytes(whole[: len(whole) // 2])
    refused(toy.folder, "evaluate", "--model", "half", says="half: expected a model that `train`")
    for name in ("toy.txt", "toy/curve.png"):
        refused(toy.folder, "evaluate", "--model", name, says=f"{name}: expected a model that")
    refused(toy.folder, "evaluate", "--model", "gone", says="found no file")
    refused(toy.folder, "evaluate", "--model", ".", says="model.safetensors: expected a model")
    refused(toy.folder, "evaluate", says="runs/: expected a trained model, found none")


def test_evaluate_wants_the_pairs_of_training(toy: Any, tmp_path: Path) -> None:
    lines = toy_lines()[:400]
    (tmp_path / "toy.txt").write_text("\n".join(lines), encoding="utf-8")
    assert run(tmp_path, *TOY, "--epochs", "1", "--hidden", "8").returncode == 0
    (tmp_path / "toy.txt").write_text("\n".join(lines[1:]), encoding="utf-8")
    says = "toy.txt: expected the pairs that toy/model.safetensors was trained on, got others"
    refused(tmp_path, "evaluate", "--model", "toy", says=says)
    (tmp_path / "toy.txt").unlink()
    refused(tmp_path, "evaluate", "--model", "toy", says="toy.txt: expected a text file")
