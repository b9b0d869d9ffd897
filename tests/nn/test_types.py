"""The types in typed.py are those that mypy and pyright find."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("typed.py")
ROOT = FILE.parents[2]


@pytest.mark.parametrize(
    ("checker", "options"),
    [
        ("mypy", ["--strict", "--implicit-reexport", "--follow-imports=silent", "--config-file="]),
        ("pyright", []),
    ],
)
def test_types_are_exact(checker, options):
    command = shutil.which(checker, path=Path(sys.executable).parent)
    if command is None:
        pytest.skip(f"{checker} is not installed")
    done = subprocess.run([command, *options, str(FILE)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
