"""Small programs as people write them for PyTorch: they run with their import lines changed, and
the losses are PyTorch's up to rounding. Without torch each still runs under tinyattn."""

import re
import types
from pathlib import Path

import numpy as np
import pytest

try:
    import torch
except ImportError:
    torch = None

if torch is not None:
    torch.set_num_threads(1)  # threads of two libraries wait for each other

pytestmark = pytest.mark.usefixtures("forked")  # the modules made here can't be imported

HERE = Path(__file__).parent
PROGRAMS = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("__init__", "test_programs"))


def loaded(name, library):
    """The program as a module, with the library's name in its import lines."""
    text = (HERE / f"{name}.py").read_text()
    if library == "tinyattn":
        text = re.sub(r"^import torch$", "import tinyattn as torch", text, flags=re.M)
        text = re.sub(r"^(import|from) torch\b", r"\1 tinyattn", text, flags=re.M)
    module = types.ModuleType(f"{name}_with_{library}")
    exec(compile(text, f"{name}.py with {library}", "exec"), vars(module))
    return module


def start(*models):
    """Weights that are the same in both libraries."""
    for k, model in enumerate(models):
        rng = np.random.default_rng(k)
        for parameter in model.parameters():
            values = rng.normal(size=tuple(parameter.shape)) * 0.3
            parameter.data.copy_(type(parameter.data)(values.tolist()))


def close(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_runs_and_learns(name, tmp_path):
    losses = np.array(loaded(name, "tinyattn").run(start, str(tmp_path))[0])
    assert np.isfinite(losses).all()
    third = len(losses) // 3
    assert losses[-third:].mean() < losses[:third].mean()


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_losses_are_those_of_pytorch(name, tmp_path):
    ours, theirs = (loaded(name, lib).run(start, str(tmp_path)) for lib in ("tinyattn", "torch"))
    close(ours, theirs)


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("writer", ["tinyattn", "torch"])
def test_each_library_goes_on_from_the_checkpoint_of_the_other(writer, tmp_path):
    expected = loaded("checkpoints", writer).run(start, str(tmp_path))[1]
    reader = {"torch": "tinyattn", "tinyattn": "torch"}[writer]
    close([loaded("checkpoints", reader).resume(str(tmp_path / "checkpoint.tar"))], [expected])


def test_there_are_ten():
    assert len(PROGRAMS) == 10
