"""What a run writes and reads again: models, checkpoints, the learning curve. Look first at
`save_model` and `load_model`."""

import argparse
import csv
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tinyattn as ta
from tinyattn.text import DataError, Vocab
from tinyattn.viz import curve_figure
from translator.model import MODELS, Translator
from translator.options import OPTIONS, parser

CHECKPOINT = "checkpoint.safetensors"  # the last, to go on with
BEST = "best.safetensors"  # that of the lowest perplexity in validation


@dataclass
class Progress:
    """Where training stands, beside weights, optimiser and random numbers."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # since the curve's last row
    curve: list[dict] = field(default_factory=list)
    best: float = math.inf  # perplexity on the validation pairs


def unused(name: Path, suffix: str = "") -> Path:
    """The first of name, name-2, name-3, ... (with the suffix) that doesn't exist."""
    path, number = Path(f"{name}{suffix}"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}{suffix}")
    return path


def new_folder(wanted: Path) -> Path:
    """A folder of its own for every run, so that none overwrites another."""
    folder = unused(wanted)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder to write to: {error.strerror}") from None
    return folder


def save_checkpoint(
    path: Path,
    model: Translator,
    optimizer: ta.optim.Optimizer,
    args: argparse.Namespace,
    progress: Progress,
) -> None:
    ta.save_checkpoint(
        path,
        model,
        optimizer,
        arguments={**vars(args), "data": model.options["data"], "resume": None},
        options=model.options,
        source=model.source.to_list(),
        target=model.target.to_list(),
        progress=asdict(progress),
    )


def resumed(args: argparse.Namespace) -> Path:
    """The checkpoint to go on with, whose arguments become ours; others that are given must be
    the same, but for those that change no number."""
    path = Path(args.resume) if args.resume else newest_checkpoint(args.out)
    if path.is_dir():
        path = path / CHECKPOINT
    saved = read_checkpoint(path)["arguments"]
    usual = vars(parser().parse_args(["train"]))
    if saved.keys() != usual.keys():
        raise DataError(f"{path}: expected a checkpoint of this program, of this version")
    for name, value in vars(args).items():
        if value == usual[name]:
            setattr(args, name, saved[name])
        elif name not in ("data", "out", "resume", "save_every") and value != saved[name]:
            option = name.replace("_", "-")
            raise DataError(f"--{option}: expected {saved[name]}, as in {path}, got {value}")
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    wanted = {"arguments": dict, "options": dict, "source": list, "target": list, "progress": dict}
    try:
        return checked(ta.load_checkpoint(path), wanted)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a checkpoint, found no file") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def go_on(path: Path, model: Translator, optimizer: ta.optim.Optimizer) -> Progress:
    """Put model, optimiser and random numbers where the checkpoint has them."""
    saved = read_checkpoint(path)
    if saved["options"].get("fingerprint") != model.options["fingerprint"]:
        raise DataError(f"{path}: expected the pairs it was trained on, got others")
    try:
        ta.load_checkpoint(path, model, optimizer)
        kinds = {"step": int, "losses": list, "curve": list, "best": float}
        progress = Progress(**checked(saved["progress"], kinds))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    for left in path.parent.glob(".*.tmp"):  # of a save that was killed
        left.unlink()
    return progress


def save_model(model: Translator, folder: Path) -> None:
    path = folder / "model.safetensors"
    ta.save(
        {
            "options": model.options,
            "source": model.source.to_list(),
            "target": model.target.to_list(),
            "model": dict(model.state_dict()),
        },
        path,
    )


def load_model(name: str | None) -> tuple[Translator, Path]:
    path = Path(name) if name else newest_model()
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        saved = ta.load(path)
        if isinstance(saved, dict) and "rest" in saved:  # a checkpoint
            saved = {**ta.load_checkpoint(path), "model": saved["model"]}
        saved = checked(saved, {"options": dict, "source": list, "target": list, "model": dict})
        options = checked(saved["options"], OPTIONS)
        checked(options, MODELS[options["model"]].options)
        model = Translator(options, Vocab(saved["source"]), Vocab(saved["target"]))
        model.load_state_dict(saved["model"])
    except FileNotFoundError:
        raise DataError(f"{path}: expected a model that `train` saved, found no file") from None
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split("\n\t")[:2])
        raise DataError(f"{path}: expected a model that `train` saved: {reason}") from None
    return model, path


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
    found = sorted(Path("runs").glob("*/model.safetensors"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise DataError("runs/: expected a trained model, found none; run `train`, or give --model")
    return found[-1]


def newest_checkpoint(out: str) -> Path:
    """Of a run with this --out: folders out, out-2, out-3, ..."""
    folders = Path(out).parent.glob(f"{Path(out).name}*")
    found = [folder / CHECKPOINT for folder in folders if (folder / CHECKPOINT).is_file()]
    if not found:
        raise DataError(f"{out}: expected a run that was stopped, found none with a {CHECKPOINT}")
    return max(found, key=lambda path: path.stat().st_mtime)


def write_curve(curve: list[dict], folder: Path) -> None:
    with open(folder / "curve.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["step", "loss", "perplexity"])
        writer.writeheader()
        writer.writerows(curve)
    columns = {name: [row[name] for row in curve] for name in ("loss", "perplexity")}
    figure = curve_figure([row["step"] for row in curve], columns, "step")
    figure.savefig(folder / "curve.png")
