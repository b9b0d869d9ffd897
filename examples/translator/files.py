"""What a run writes and reads again: models, checkpoints, the learning curve. Look first at
`save_model` and `load_model`."""

import argparse
import csv
import io
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinyattn as ta
from tinyattn.text import DataError, Vocab
from tinyattn.utils import write_aside
from tinyattn.viz import curve_figure
from translator.data import Data
from translator.model import MODELS, Pair, Translator
from translator.options import OPTIONS, parser, require

MODEL = "model.safetensors"
SMALL = "model-int8.safetensors"  # a model to translate with, its weights of 8 bits
CHECKPOINT = "checkpoint.safetensors"  # the last of a run on its way, to go on with
BEST = "best.safetensors"  # that of the lowest perplexity in validation so far
EVERY = "weights-*.safetensors"  # those of the last validations, for their mean
CONFIG = "config.toml"  # the options of the run
LAST = "last.safetensors"  # the last weights of a run that is done
FILES = ("data", "valid_data", "test_data")  # options that name files of pairs


# Options that models and runs did not have from the beginning, by model, with what they were then.
OLD: dict[str, dict[str, Any]] = {"rnn": {"query": "before"}}


@dataclass
class Progress:
    """Where training stands, beside weights, optimiser and random numbers."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # since the curve's last row
    curve: list[dict[str, Any]] = field(default_factory=list)  # step, loss, perplexity
    forming: list[dict[str, Any]] = field(default_factory=list)  # moments, as forming.py has them

    def best(self) -> dict[str, Any]:
        """The row of the curve with the lowest perplexity in validation; the first of equals."""
        return min(self.curve, key=lambda row: row["perplexity"])


class Loaded(NamedTuple):
    """A trained model, and what a report needs to know of its training."""

    model: Translator
    path: Path
    test: list[Pair]  # held out for the report
    seen: set[int]  # sources of training and validation, as `data.digest` gives them


def unused(name: Path, suffix: str = "") -> Path:
    """The first of name, name-2, name-3, ... (with the suffix) that doesn't exist."""
    path, number = Path(f"{name}{suffix}"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}{suffix}")
    return path


def new_folder(wanted: Path) -> Path:
    """A folder of its own for every run, so that none overwrites another."""
    if wanted.name in ("", ".."):  # as Path("."): there is nothing that "-2" could follow
        raise DataError(f"--out: expected the name of a folder, got {str(wanted)!r}")
    folder = unused(wanted)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder to write to: {error.strerror}") from None
    return folder


def contents(model: Translator, data: Data) -> dict[str, Any]:
    """What a model and a checkpoint have in common."""
    return {
        "options": model.options,
        "source": model.source.to_list(),
        "target": model.target.to_list(),
        "pieces": {
            side: ta.tensor(np.frombuffer(content, np.uint8))
            for side, content in model.pieces.items()
        },
        "test": data.test,
        "seen": ta.tensor(data.seen),
    }


CONTENTS = {"options": dict, "source": list, "target": list, "test": list, "seen": ta.Tensor}


def places(args: argparse.Namespace) -> dict[str, str | None]:
    """Where the files of the data are, from any folder."""
    given = {name: getattr(args, name) for name in FILES}
    return {name: str(Path(file).resolve()) if file else None for name, file in given.items()}


def save_checkpoint(
    path: Path,
    model: Translator,
    optimizer: ta.optim.Optimizer,
    args: argparse.Namespace,
    data: Data,
    progress: Progress,
) -> None:
    """Write all that is needed to go on, or to translate."""
    ta.save_checkpoint(
        path,
        model,
        optimizer,
        arguments={**vars(args), **places(args), "resume": None, "config": None},
        fingerprint=data.fingerprint,
        progress=asdict(progress),
        **contents(model, data),
    )


def resumed(args: argparse.Namespace) -> Path:
    """The checkpoint to go on with, whose arguments become ours; others that are given must be
    the same, but for those that change no number."""
    path = Path(args.resume) if args.resume else newest_checkpoint(args.out)
    if path.is_dir():
        path = path / CHECKPOINT
    saved = read_checkpoint(path)["arguments"]
    usual = vars(parser().parse_args(["train"]))
    if not saved.keys() <= usual.keys():
        raise DataError(f"{path}: expected a checkpoint of this program, of this version")
    saved = {**usual, **OLD.get(saved["model"], {}), **saved}
    for name, value in vars(args).items():
        if value == usual[name]:
            setattr(args, name, saved[name])
        elif name not in (*FILES, "out", "resume", "config", "save_every"):
            require_same(name, value, saved[name], path)
    return path


def require_same(name: str, value: Any, wanted: Any, path: Path) -> None:
    if value != wanted:
        option = name.replace("_", "-")
        raise DataError(f"--{option}: expected {wanted}, as in {path}, got {value}")


def begun_from(args: argparse.Namespace) -> Loaded | None:
    """The model of `--from`, whose options become ours; others that are given must be the same."""
    name = getattr(args, "from")
    if name is None:
        return None
    base = load_tested(name)
    setattr(args, "from", str(base.path.resolve()))
    usual = vars(parser().parse_args(["train"]))
    for option, wanted in base.model.options.items():
        if option not in usual:
            continue  # the data said it
        if getattr(args, option) != usual[option]:
            require_same(option, getattr(args, option), wanted, base.path)
        setattr(args, option, wanted)
    return base


def write_config(args: argparse.Namespace, folder: Path) -> None:
    """Write the options of the run, for `--config`."""
    every = {**vars(args), **places(args)}
    given = {name: value for name, value in every.items() if value is not None}
    for name in ("command", "out", "config", "resume"):
        given.pop(name, None)
    # Strings, numbers, true and false are written alike in JSON and TOML, but for one character.
    lines = [
        f"{name.replace('_', '-')} = {json.dumps(value, ensure_ascii=False)}\n".replace(
            "\x7f", "\\u007f"
        )
        for name, value in given.items()
    ]
    write_aside(folder / CONFIG, "".join(lines).encode())


def read_checkpoint(path: Path, *states: Any) -> dict[str, Any]:
    """What a checkpoint holds, once the states of model and optimiser, if given, are put back."""
    wanted = {"arguments": dict, "fingerprint": str, "progress": dict, **CONTENTS}
    try:
        return checked(ta.load_checkpoint(path, *states), wanted)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a checkpoint, found no file") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def go_on(path: Path, model: Translator, optimizer: ta.optim.Optimizer, data: Data) -> Progress:
    """Put model, optimiser and random numbers where the checkpoint has them."""
    if read_checkpoint(path)["fingerprint"] != data.fingerprint:
        raise DataError(f"{path}: expected the pairs it was trained on, got others")
    saved = read_checkpoint(path, model, optimizer)
    try:
        kinds = {"step": int, "losses": list, "curve": list}
        progress = Progress(**checked(saved["progress"], kinds))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    for left in path.parent.glob(".*.tmp"):  # of a save that was killed
        left.unlink(missing_ok=True)  # another process may have done so
    return progress


def use_best(model: Translator, progress: Progress, folder: Path) -> dict[str, Any]:
    """Give a model its best weights of the run: its own, or those of the checkpoint at the best
    validation. Returns their row of the curve."""
    best = progress.best()
    if best["step"] == progress.step:
        return best
    return read_checkpoint(folder / BEST, model)["progress"]["curve"][-1]


def save_model(model: Translator, data: Data, folder: Path) -> None:
    """Write what is needed to translate and to report."""
    ta.save({**contents(model, data), "model": dict(model.state_dict())}, folder / MODEL)


def quantized(model: Translator) -> Translator:
    """The model itself, with weights of 8 bits from now on."""
    ta.quantization.quantize_dynamic(model, inplace=True)
    return model


def save_quantized(model: Translator, folder: Path) -> Path:
    """Write a quantised model as a file to translate with. The test pairs, and what says which
    sentences training has seen, are not in it: they would be half of it."""
    nothing = Data([], [], [], 0, np.zeros(0, np.int64), "")
    state = dict(model.state_dict())
    ta.save({**contents(model, nothing), "model": state, "quantized": True}, folder / SMALL)
    return folder / SMALL


def load_tested(name: str | None) -> Loaded:
    """The same as load_model, for a report or more training: a quantised file is refused."""
    loaded = load_model(name)
    if not loaded.seen:
        raise DataError(
            f"{loaded.path}: expected a model as `train` saves it, got weights of 8 bits without "
            "test pairs; use the model that they were made of (evaluate --quantize)"
        )
    return loaded


def load_model(name: str | None) -> Loaded:
    """The model of a file or a folder, by default the one that was trained last."""
    path = Path(name) if name else newest_model()
    if path.is_dir():
        path = path / MODEL
    try:
        saved = ta.load(path)
        if isinstance(saved, dict) and "rest" in saved:  # a checkpoint
            saved = {**ta.load_checkpoint(path), "model": saved["model"]}
        saved = checked(saved, {**CONTENTS, "model": dict})
        options = checked(saved["options"], OPTIONS)
        options = {"lower": False, "dotless": False, **OLD.get(options["model"], {}), **options}
        checked(options, {"lower": bool, "dotless": bool, **MODELS[options["model"]].options})
        pieces = {side: x.numpy().tobytes() for side, x in saved.get("pieces", {}).items()}
        if pieces:
            require("sentencepiece")
        vocabularies = Vocab(saved["source"]), Vocab(saved["target"])
        model = Translator(options, *vocabularies, pieces)
        if saved.get("quantized"):
            model = quantized(model)
        model.load_state_dict(saved["model"])
        test = [(source, target) for source, target in saved["test"]]
    except FileNotFoundError:
        raise DataError(f"{path}: expected a model that `train` saved, found no file") from None
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split("\n\t")[:2])
        raise DataError(f"{path}: expected a model that `train` saved: {reason}") from None
    return Loaded(model, path, test, set(saved["seen"].tolist()))


def checked(found: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """`found`, a dict that has all that is wanted: for each name a type or a tuple of choices."""
    if not isinstance(found, dict):
        raise TypeError(f"expected a dict, got {type(found).__name__}")
    for name, kind in wanted.items():
        if name not in found:
            raise ValueError(f"expected {name!r} in it, found none")
        value = found[name]
        if not (value in kind if isinstance(kind, tuple) else isinstance(value, kind)):
            expected = kind.__name__ if isinstance(kind, type) else kind
            raise ValueError(f"expected {name} to be {expected}, got {str(value)[:40]!r}")
    return found


def newest_model() -> Path:
    """The model in runs/ that was written last."""
    found = sorted(Path("runs").glob(f"*/{MODEL}"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise DataError("runs/: expected a trained model, found none; run `train`, or give --model")
    return found[-1]


def newest_checkpoint(out: str) -> Path:
    """The newest checkpoint of a run with this --out: folders out, out-2, out-3, ..."""
    folders = Path(out).parent.glob(f"{Path(out).name}*")
    found = [folder / CHECKPOINT for folder in folders if (folder / CHECKPOINT).is_file()]
    if not found:
        raise DataError(f"{out}: expected a run that was stopped, found none with a {CHECKPOINT}")
    return max(found, key=lambda path: path.stat().st_mtime)


def write_curve(curve: list[dict[str, Any]], folder: Path) -> None:
    """Write the rows of the curve as a table and as a picture."""
    table = io.StringIO()
    writer = csv.DictWriter(table, ["step", "loss", "perplexity"])
    writer.writeheader()
    writer.writerows(curve)
    write_aside(folder / "curve.csv", table.getvalue().encode())
    columns = {
        "training loss": [row["loss"] for row in curve],
        "validation perplexity": [row["perplexity"] for row in curve],
    }
    figure = curve_figure([row["step"] for row in curve], columns, "step")
    for axes, values in zip(figure.axes, columns.values(), strict=True):
        if any(0 < value < math.inf for value in values):
            axes.set_yscale("log")  # both fall by powers of ten
    figure.savefig(folder / "curve.png")
