"""Programs under mpiexec. Look at `ranks`."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tinyattn as ta

ROOT = Path(ta.__file__).parents[1]
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(
    not MPIEXEC or not importlib.util.find_spec("mpi4py"),
    reason="needs mpiexec and mpi4py: pip install 'tinyattn[distributed]'",
)


def environment(**changes: str) -> dict[str, str]:
    settings = {"PYTHONPATH": str(ROOT), "TINYATTN_BACKEND": ta.backend().name}
    settings["TINYATTN_NUM_THREADS"] = "1"
    return {**os.environ, **settings, **changes}


def ranks(
    count: int, *program: str, folder: Path | None = None, timeout: float = 100, **env: str
) -> Any:
    """What `mpiexec -n count python PROGRAM` did: returncode, stdout, stderr. PROGRAM is code, or
    a file and its arguments."""
    arguments = program if program[0].endswith(".py") else ("-c", *program)
    return subprocess.run(
        [str(MPIEXEC), "-n", str(count), sys.executable, *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def said(done: Any) -> str:
    """What the ranks wrote to standard error, without what Open MPI's mpiexec adds below a rule."""
    text: str = done.stderr
    return text.split("-" * 70)[0]
