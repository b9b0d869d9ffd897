"""save_checkpoint and load_checkpoint: all that training needs to continue, in one verified file.

The file is a dict that `save` writes. Its entry "sha256" is the SHA-256 of the file's own bytes,
computed while the 64 digits of that entry were zeros.
"""

import hashlib
import os
from typing import Any

from tinyattn._serialization import as_bytes, from_bytes, read_whole, write_aside
from tinyattn._tensor import Tensor
from tinyattn.nn.module import Module
from tinyattn.ops.random import get_rng_state, set_rng_state
from tinyattn.optim.lr_scheduler import LRScheduler
from tinyattn.optim.optimizer import Optimizer

_ENTRIES = ("sha256", "model", "optimizer", "scheduler", "rng_state", "rest")
_UNSIGNED = "0" * 64


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    **rest: Any,
) -> None:
    """Write the states of model, optimizer and scheduler, and of the random numbers, to path.

    rest: anything else by name, of the kinds that `save` takes.

    The file is never seen half written: it holds the old checkpoint or the new one. OSError, naming
    path, if it can't be written.
    """
    content = as_bytes(
        {
            "sha256": _UNSIGNED,
            "model": dict(model.state_dict()),
            "optimizer": None if optimizer is None else _as_text(optimizer.state_dict()),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "rng_state": get_rng_state(),
            "rest": rest,
        }
    )
    digest = hashlib.sha256(content).hexdigest()
    write_aside(path, content.replace(_UNSIGNED.encode(), digest.encode(), 1))


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Module | None = None,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
) -> dict[str, Any]:
    """Put model, optimizer and scheduler, as far as given, into the saved states.

    With an optimizer the random numbers continue from the checkpoint, too. Returns the rest that
    `save_checkpoint` was given.

    FileNotFoundError if there is no file. ValueError for a file that is cut, altered or of another
    kind, or that was saved from another model or optimizer; then nothing has changed.
    """
    content = read_whole(path)
    saved = from_bytes(path, content)
    if not isinstance(saved, dict) or saved.keys() != set(_ENTRIES):
        raise ValueError(f"{path}: expected a checkpoint, got another safetensors file")
    digest = str(saved["sha256"]).encode()
    found = hashlib.sha256(content.replace(digest, _UNSIGNED.encode(), 1)).hexdigest()
    if found.encode() != digest:
        raise ValueError(f"{path}: altered since it was written: its SHA-256 is not the one in it")
    if not isinstance(saved["rest"], dict):
        raise ValueError(f"{path}: expected a dict as the rest")
    try:
        _restore(saved, model, optimizer, scheduler)
    except _MISFITS as error:
        reason = str(error) if isinstance(error, (ValueError, RuntimeError)) else repr(error)
        raise ValueError(f"{path}: expected a checkpoint of what is here: {reason}") from None
    return saved["rest"]


_MISFITS = (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError)


def _restore(
    saved: dict[str, Any],
    model: Module | None,
    optimizer: Optimizer | None,
    scheduler: LRScheduler | None,
) -> None:
    """Load all of it or, with an error, nothing. The model, checked before, is loaded last."""
    for name, part in (("optimizer", optimizer), ("scheduler", scheduler)):
        if part is not None and saved[name] is None:
            raise ValueError(f"it has no {name}")
    if model is not None:
        _check_model(model.state_dict(), saved["model"])
    schedule = {} if scheduler is None else scheduler.state_dict()
    random = get_rng_state()
    try:
        if scheduler is not None:
            _check_scheduler(schedule, saved["scheduler"])
            scheduler.load_state_dict(saved["scheduler"])
        if optimizer is not None:
            set_rng_state(saved["rng_state"])
            optimizer.load_state_dict(_as_numbers(saved["optimizer"]))
    except _MISFITS:
        if scheduler is not None:
            scheduler.__dict__.update(schedule)
        set_rng_state(random)
        raise
    if model is not None:
        model.load_state_dict(saved["model"])


def _check_model(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """The same names, dtypes and shapes: load_state_dict alone would convert dtypes."""
    for name in ours | theirs:
        wanted, got = (_kind(state.get(name)) for state in (ours, theirs))
        if wanted != got:
            raise ValueError(f"model: {name}: expected {wanted}, got {got}")


def _kind(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else "no tensor"


def _check_scheduler(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """The same names, and values of the same kinds, none of them NaN."""
    if ours.keys() != theirs.keys():
        raise ValueError(f"scheduler: expected {sorted(ours)}, got {sorted(theirs)}")
    for name, value in theirs.items():
        kinds = (int, float) if isinstance(ours[name], (int, float)) else type(ours[name])
        if not isinstance(value, kinds) or value != value:
            raise ValueError(
                f"scheduler: {name}: expected a value like {ours[name]!r:.40}, got {value!r:.40}"
            )


def _as_text(state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's state_dict with text as keys, as JSON has them."""
    return {**state, "state": {str(number): entry for number, entry in state["state"].items()}}


def _as_numbers(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "state": {int(number): entry for number, entry in state["state"].items()}}
