"""`train --config FILE`: what a file may say, and that a run writes the one it ran with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from translator import files
from translator.options import complete, config_options, parsed

from tinyattn.text import DataError

from .program import SMALL, TOY, refused, run


def options(folder: Path, text: str, *arguments: str) -> Any:
    (folder / "run.toml").write_text(text, encoding="utf-8")
    return complete(parsed(["train", "--config", str(folder / "run.toml"), *arguments]))


def test_a_file_says_what_the_command_line_does_not(tmp_path: Path) -> None:
    text = "epochs = 3\nlr = 1e-3\nbidirectional = false\nswap = true\ndata = 'a \"b\".txt'\n"
    args = options(tmp_path, text + "max_length = 7\n", "--lr", "0.5", "--hidden", "8")
    assert (args.epochs, args.lr, args.hidden, args.max_length) == (3, 0.5, 8, 7)
    assert (args.bidirectional, args.swap, args.data) == (False, True, 'a "b".txt')
    assert options(tmp_path, "swap = false\n").swap is False
    assert options(tmp_path, "bidirectional = false\n", "--bidirectional").bidirectional is True


def test_tokens_of_both_sides_are_those_of_each_unless_a_later_option_differs(
    tmp_path: Path,
) -> None:
    def sides(text: str, *arguments: str) -> tuple[str, str]:
        args = options(tmp_path, text, *arguments)
        return args.source_tokens, args.target_tokens

    assert sides("tokens = 'bpe'") == ("bpe", "bpe")
    assert sides("tokens = 'bpe'", "--source-tokens", "char") == ("char", "bpe")
    assert sides("source-tokens = 'char'", "--tokens", "bpe") == ("bpe", "bpe")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch = 3", "run.toml: expected options of train, got 'epoch'"),
        ("config = 'a'", "run.toml: expected options of train, got 'config'"),
        ("[train]\nepochs = 3", "run.toml: expected options of train, got 'train'"),
        ("epochs = '3'", "run.toml: epochs: expected a number, got '3'"),
        ("epochs = true", "run.toml: epochs: expected a number, got True"),
        ("epochs = 1.5", "run.toml: argument --epochs: expected a whole number from 1, got '1.5'"),
        ("lr = nan", "run.toml: argument --lr: expected a number above 0, got 'nan'"),
        ("swap = 1", "run.toml: swap: expected true or false, got 1"),
        ("model = 3", "run.toml: model: expected text, got 3"),
        ("model = 'cnn'", "run.toml: argument --model: invalid choice: 'cnn'"),
        ("data = ['a']", "run.toml: data: expected text, got ['a']"),
        ("epochs = ", "run.toml: expected a TOML file: "),
        ("max-length = 5\nmax_length = 6", "run.toml: expected max-length once, got it twice"),
    ],
)
def test_a_file_with_other_things_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    refused(tmp_path, "--config", "run.toml", says=says)


def test_a_file_that_is_missing_or_not_utf8_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "--config", "gone.toml", says="gone.toml: ")
    (tmp_path / "run.toml").write_bytes(b"data = '\xff'")
    refused(tmp_path, "--config", "run.toml", says="run.toml: expected a TOML file: ")


def test_the_file_that_a_run_writes_makes_the_same_run(toy: Any) -> None:
    path = toy.folder / "toy" / "config.toml"
    done = run(toy.folder, "--config", str(path), "--out", "again")
    assert done.returncode == 0, done.stderr
    for name in ("model.safetensors", "curve.csv", "config.toml"):
        first = (toy.folder / "toy" / name).read_bytes()
        assert (toy.folder / "again" / name).read_bytes() == first
    assert {"--swap", "--hidden=32", "--query=after"} <= set(config_options(str(path)))
    assert not any("--out" in option or "resume" in option for option in config_options(str(path)))


def test_a_run_begins_with_another_ones_weights_and_vocabularies(toy: Any) -> None:
    given = ("--from", "toy", "--out", "more", "--epochs", "1", "--lr", "1e-4")
    done = run(toy.folder, *TOY, *given)
    assert done.returncode == 0, done.stderr
    curve = (toy.folder / "more" / "curve.csv").read_text().splitlines()
    learnt = (toy.folder / "toy" / "curve.csv").read_text().splitlines()
    assert float(curve[1].split(",")[2]) < 1.2 * float(learnt[-1].split(",")[2])
    assert "on 40 sentences never trained on:" in done.stdout


def test_a_model_that_does_not_fit_is_not_begun_with(toy: Any, tmp_path: Path) -> None:
    model = ("--from", str(toy.folder / "toy"))
    use = ("--data", str(toy.folder / "toy.txt"), "--swap", "--valid", "20", "--test", "40")
    refused(tmp_path, *use, *model, "--hidden", "16", says="--hidden: expected 32, as in ")
    refused(tmp_path, *use, *model, "--tokens", "bpe", says="--source-tokens: expected char, as in")
    refused(tmp_path, *SMALL[:2], *SMALL[4:], *model, says="--from: expected a vocabulary that has")
    refused(tmp_path, *use, *model, "--seed", "1", "--test", "1", "--valid", "1",
            says="--from: expected a model that has not seen all 1 test sources")  # fmt: skip
    refused(tmp_path, *use, "--from", "gone", says="gone: expected a model that `train` saved")


def test_an_option_of_another_model_is_refused_even_if_it_is_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = SimpleNamespace(options={"model": "transformer", "pieces": 300})
    monkeypatch.setattr(files, "load_tested", lambda _: SimpleNamespace(path=Path("t"), model=own))

    def begun(*given: str) -> Any:
        args = parsed(["train", "--from", "t", *given])
        files.begun_from(args)
        return args

    with pytest.raises(DataError, match=r"^--model: expected transformer, as in t, got rnn$"):
        begun("--model", "rnn")
    with pytest.raises(DataError, match=r"^--pieces: expected 300, as in t, got 4000$"):
        begun("--pieces", "4000")
    args = begun("--model", "transformer")
    assert (args.model, args.pieces) == ("transformer", 300)
