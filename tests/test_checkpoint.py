"""Checkpoints: training goes on to the bit; a file not whole is refused, and the old one stays."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.optim import lr_scheduler as schedules

OPTIMISERS = {
    "adam": lambda params: ta.optim.Adam(params, lr=0.01),
    "adamw": lambda params: ta.optim.AdamW(params, lr=0.01, betas=(0.8, 0.99)),
    "momentum": lambda params: ta.optim.SGD(params, lr=0.01, momentum=0.9),
    "rmsprop": lambda params: ta.optim.RMSprop(params, lr=0.01),
}
SCHEDULES = {
    "step": lambda optimizer: schedules.StepLR(optimizer, 2),
    "milestones": lambda optimizer: schedules.MultiStepLR(optimizer, [2, 3, 7]),
    "lambda": lambda optimizer: schedules.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
    "cosine": lambda optimizer: schedules.CosineAnnealingLR(optimizer, 5),
    "cycle": lambda optimizer: schedules.OneCycleLR(optimizer, 0.1, 20, cycle_momentum=False),
    "warm-up": lambda optimizer: schedules.InverseSquareRootLR(optimizer, 3),
}


class Run:
    """A model with dropout, its optimiser and its schedule, as a program builds them anew."""

    def __init__(self, optimiser: str = "adam", schedule: str = "step", hidden: int = 5) -> None:
        ta.manual_seed(1)
        self.model = nn.Sequential(
            nn.Linear(3, hidden), nn.Dropout(0.5), nn.LayerNorm(hidden), nn.Linear(hidden, 2)
        )
        self.optimizer = OPTIMISERS[optimiser](self.model.parameters())
        self.scheduler = SCHEDULES[schedule](self.optimizer)

    def parts(self) -> tuple[Any, Any, Any]:
        return self.model, self.optimizer, self.scheduler

    def steps(self, count: int) -> "Run":
        for _ in range(count):
            self.optimizer.zero_grad()
            self.model(ta.randn(4, 3)).square().sum().backward()
            self.optimizer.step()
            self.scheduler.step()
        return self

    def everything(self) -> str:
        """All there is, as text that shows every bit."""
        state = [dict(self.model.state_dict()), self.optimizer.state_dict()]
        return repr(bits([*state, self.scheduler.state_dict(), ta.get_rng_state()]))


def bits(value: Any) -> Any:
    if isinstance(value, ta.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(inner) for key, inner in value.items()}
    return [bits(inner) for inner in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


@pytest.fixture
def saved(path: Path) -> Path:
    ta.save_checkpoint(path, *Run().steps(2).parts(), step=2, words=["一", "two"])
    return path


# --- going on -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimiser", "schedule"),
    [(name, "step") for name in OPTIMISERS] + [("adam", name) for name in SCHEDULES],
)
def test_going_on_is_to_the_bit_as_if_never_stopped(
    path: Path, optimiser: str, schedule: str
) -> None:
    whole = Run(optimiser, schedule).steps(3).steps(4).everything()
    ta.save_checkpoint(path, *Run(optimiser, schedule).steps(3).parts())
    ta.manual_seed(99)
    run = Run(optimiser, schedule)
    ta.load_checkpoint(path, *run.parts())
    assert run.steps(4).everything() == whole


def test_the_rest_comes_back(path: Path) -> None:
    rest = {"step": 3, "best": float("inf"), "curve": [{"loss": 0.1}], "options": {"data": None},
            "words": ["<pad>", "中"], "place": (1, 2), "table": ta.arange(3)}  # fmt: skip
    ta.save_checkpoint(path, nn.Linear(1, 1), **rest)
    assert bits(ta.load_checkpoint(path)) == bits(rest)


def test_reading_the_rest_alone_changes_nothing(saved: Path) -> None:
    before = ta.get_rng_state()
    assert ta.load_checkpoint(saved) == {"step": 2, "words": ["一", "two"]}
    assert (ta.get_rng_state() == before).all()


def test_a_model_alone_leaves_random_numbers_alone(saved: Path) -> None:
    model = Run().model
    before = ta.get_rng_state()
    ta.load_checkpoint(saved, model)
    assert bits(dict(model.state_dict())) == bits(dict(Run().steps(2).model.state_dict()))
    ta.set_rng_state(before)
    ta.load_checkpoint(saved, model)
    assert (ta.get_rng_state() == before).all()


def test_equal_states_make_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ta.save_checkpoint(tmp_path / name, *Run().steps(1).parts(), step=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_checksum_is_that_of_the_file_with_its_digits_zero(saved: Path) -> None:
    """What any other program can check, too."""
    digest = ta.load(saved)["sha256"]
    content = saved.read_bytes()
    assert content.count(digest.encode()) == 1
    assert hashlib.sha256(content.replace(digest.encode(), b"0" * 64)).hexdigest() == digest


# --- what is refused, and leaves everything as it was ---------------------------------------------


def refuses(path: Path, run: Run, message: str) -> None:
    before = run.everything()
    with pytest.raises(ValueError, match=message) as error:
        ta.load_checkpoint(path, *run.parts())
    assert str(error.value).startswith(f"{path}: ")
    assert run.everything() == before


def test_every_cut_is_refused(saved: Path) -> None:
    whole, run = saved.read_bytes(), Run()
    for length in {0, 1, 7, 8, 9, *range(0, len(whole), 97), len(whole) - 1}:
        saved.write_bytes(whole[:length])
        refuses(saved, run, "expected a whole safetensors file")
    saved.write_bytes(whole + b"\0")
    refuses(saved, run, "expected a whole safetensors file")


def test_every_altered_byte_is_refused(saved: Path) -> None:
    whole, run = saved.read_bytes(), Run()
    for place in (*range(0, len(whole), 41), len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        saved.write_bytes(changed)
        refuses(saved, run, "run.safetensors: ")
    saved.write_bytes(whole)
    ta.load_checkpoint(saved, *run.parts())


def test_files_of_another_kind_are_refused(path: Path) -> None:
    contents: list[Any] = [{"x": ta.ones(1)}, [1], {"sha256": "0" * 64}, 3]
    for content in contents:
        ta.save(content, path)
        refuses(path, Run(), "expected a checkpoint, got another safetensors file")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(999))
    refuses(path, Run(), "expected a whole safetensors file")
    with pytest.raises(FileNotFoundError) as error:
        ta.load_checkpoint(path.with_name("gone"))
    assert error.value.filename == str(path.with_name("gone"))


def forge(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what a checkpoint holds and give it a checksum that is right."""
    content = ta.load(path)
    change(content)
    ta.save({**content, "sha256": "0" * 64}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest().encode()
    path.write_bytes(path.read_bytes().replace(b"0" * 64, digest, 1))


def test_a_forgery_that_changes_nothing_is_no_error(saved: Path) -> None:
    """The yardstick of the test below."""
    forge(saved, lambda content: None)
    assert ta.load_checkpoint(saved, *Run().parts())["step"] == 2


def put(*keys: Any) -> Callable[[dict[str, Any]], Any]:
    *place, last, value = keys

    def change(content: Any) -> None:
        for key in place:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("rng_state"), "expected a checkpoint, got another"),
        (lambda c: c["model"].pop("0.bias"), r"0.bias: expected float32 \[5\], got no tensor"),
        (put("model", "9", ta.ones(1)), "9: expected no tensor, got float32"),
        (put("model", "0.bias", ta.ones(5, dtype=ta.float64)), "got float64"),
        (put("model", "0.bias", ta.ones(5, dtype=ta.int64)), "got int64"),
        (put("model", "0.bias", ta.ones(4)), r"got float32 \[4\]"),
        (put("model", "0.bias", [0.0] * 5), "got no tensor"),
        (put("model", 3), "here: "),
        (put("optimizer", None), "it has no optimizer"),
        (put("scheduler", None), "it has no scheduler"),
        (put("optimizer", {}), "here: KeyError"),
        (put("optimizer", "param_groups", 0, "lr", float("nan")), "lr: expected a number in"),
        (put("optimizer", "param_groups", 0, "lr", "0.1"), "lr: expected a number in"),
        (put("optimizer", "param_groups", []), "a different number of parameter groups"),
        (put("optimizer", "state", "0", "exp_avg", ta.ones(3)), "exp_avg of parameter 0: expected"),
        (put("optimizer", "state", "0", "step", ta.ones(3)), "here: "),
        (put("optimizer", "state", "77", {}), "state of parameter 77"),
        (put("optimizer", "state", "x", {}), "here: invalid literal for int"),
        (put("scheduler", "last_epoch", float("nan")), "last_epoch: expected a value like 0"),
        (put("scheduler", "_last_lr", 0.5), "_last_lr: expected a value like "),
        (put("scheduler", "step", "no method"), "scheduler: expected "),
        (put("scheduler", 3), "here: "),
        (put("rng_state", ta.zeros(13)), "state: expected an int64 tensor"),
        (put("rng_state", ta.full((13,), 2**62, dtype=ta.int64)), "here: OverflowError"),
        (put("rng_state", None), "here: "),
        (put("rest", [1]), "expected a dict as the rest"),
        (put("sha256x", 1), "expected a checkpoint, got another"),
    ],
)
def test_a_forged_checkpoint_is_refused_whole(
    saved: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    forge(saved, change)
    refuses(saved, Run(), message)


def test_another_model_or_optimiser_is_refused(saved: Path) -> None:
    refuses(saved, Run(hidden=6), r"0.weight: expected float32 \[6, 3\], got float32 \[5, 3\]")
    refuses(saved, Run(schedule="cosine"), "scheduler: expected ")


def test_a_huge_header_costs_no_memory(path: Path) -> None:
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expected a whole safetensors file"):
            ta.load_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_loading_executes_nothing(saved: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    forge(saved, put("scheduler", "gamma", "__import__('os').mkdir('executed')"))
    refuses(saved, Run(), "gamma: expected a value like 0.1")
    assert os.listdir() == [saved.name]


# --- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_the_old_checkpoint_survives_a_disk_that_fails(
    saved: Path, monkeypatch: Any, step: str, number: int
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    where = "builtins.open" if step == "open" else f"os.{step}"
    with monkeypatch.context() as patched:
        patched.setattr(where, fail)
        with pytest.raises(OSError, match=os.strerror(number)) as error:
            ta.save_checkpoint(saved, *Run().parts(), step=3)
    assert error.value.filename == str(saved)
    assert ta.load_checkpoint(saved, *Run().parts())["step"] == 2
    assert os.listdir(saved.parent) == [saved.name]


def test_file_and_folder_are_flushed_around_the_rename(path: Path, monkeypatch: Any) -> None:
    seen = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (seen.append(os.path.isdir(f"/proc/self/fd/{fd}")), flush(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append("rename"), rename(a, b)))
    ta.save_checkpoint(path, nn.Linear(1, 1))
    assert seen == [False, "rename", True]


LIMITED = """
import resource, signal, sys
import tinyattn as ta
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    ta.save_checkpoint(sys.argv[1], ta.nn.Linear(100, 100))
except OSError as error:
    sys.exit(f"{error.filename}: {error.strerror}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the size of files")
def test_the_old_checkpoint_survives_a_disk_that_is_full(saved: Path) -> None:
    """No pretence: the kernel refuses to let the file grow."""
    root = str(Path(ta.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, saved],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith(f"{saved}: "), done.stderr
    assert ta.load_checkpoint(saved, *Run().parts())["step"] == 2
    assert os.listdir(saved.parent) == [saved.name]


def test_json_in_the_file_is_text_alone(saved: Path) -> None:
    content = saved.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + size])["__metadata__"].keys() == {"tinyattn.structure"}
    assert np.isfinite(ta.load(saved)["model"]["0.bias"].numpy()).all()
