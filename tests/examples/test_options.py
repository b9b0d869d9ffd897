"""The command line: defaults, and wrong arguments."""

from pathlib import Path

import pytest
from translator.model import MODELS
from translator.options import train_options

from .program import SMALL, refused


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


@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("matplotlib", "examples"),
        ("tqdm", "examples"),
        ("sacrebleu", "examples"),
        ("sentencepiece", "subwords"),
    ],
)
def test_a_missing_package_is_said_before_training(
    tmp_path: Path, package: str, extra: str
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{package}.py").write_text("raise ImportError('hidden')")
    says = f"{package} is missing: pip install 'tinyattn[{extra}]'"
    words = (*SMALL, "--tokens", "bpe") if package == "sentencepiece" else SMALL
    refused(tmp_path, *words, says=says, PYTHONPATH=str(hidden), PYTHONDONTWRITEBYTECODE="1")


def test_what_is_not_given_is_the_models_own() -> None:
    def epochs(*given: str) -> int:
        return train_options(*given).epochs

    own = {kind: model.defaults["epochs"] for kind, model in MODELS.items()}
    assert epochs() == own["rnn"]
    assert epochs("--model", "transformer") == own["transformer"]
    assert epochs("--score", "dot") == 2
    assert epochs("--score", "dot", "--epochs", "5") == 5
