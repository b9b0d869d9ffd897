"""What the tests of the example share: its folder stands where Python looks for packages, as when
it runs as a program, and two models are trained once."""

import sys
from typing import Any

import pytest

from .program import LEARN, PROGRAM, SMALL, TOY, run, toy_lines

sys.path.insert(0, str(PROGRAM.parent))


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
