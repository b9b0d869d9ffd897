"""`python -m tinyattn`, and what importing the package costs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinyattn as ta
from tinyattn.kernels import available_backends, instruction_set


def python(*arguments: str, **env: str) -> str:
    """What a fresh interpreter prints that sees the package under test."""
    settings = {
        "PYTHONPATH": str(Path(ta.__file__).parents[1]),
        "TINYATTN_BACKEND": ta.backend().name,
        "PYTHONDONTWRITEBYTECODE": "",  # compiling the package is not importing it
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **settings, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version_backend_instruction_set_and_threads_are_printed() -> None:
    assert python("-m", "tinyattn", TINYATTN_NUM_THREADS="1").splitlines() == [
        f"tinyattn {ta.__version__}",
        f"backend: {ta.backend().name} (installed: {', '.join(available_backends())})",
        f"instruction set: {instruction_set()}",
        "threads: 1",
    ]


@pytest.mark.parametrize("name", available_backends())
def test_the_backend_asked_for_is_printed(name: str) -> None:
    printed = python("-m", "tinyattn", TINYATTN_BACKEND=name)
    assert f"backend: {name} (" in printed
    assert re.search(r"^instruction set: \S", printed, re.M)
    assert re.search(r"^threads: [1-9]", printed, re.M)


def test_import_brings_no_package_that_only_some_programs_need() -> None:
    late = ["numba", "safetensors", "matplotlib", "tqdm", "sacrebleu", "torch", "mplfonts"]
    code = f"""
import sys
import tinyattn, tinyattn.text, tinyattn.viz, tinyattn.nn.functional
print([name for name in {late} if name in sys.modules])
"""
    assert python("-c", code) == "[]\n"


def test_import_costs_at_most_a_tenth_of_a_second_beyond_numpy() -> None:
    code = """
import time
import numpy
start = time.process_time()
import tinyattn
print(time.process_time() - start)
"""
    python("-c", code)  # writes the byte code
    assert min(float(python("-c", code)) for _ in range(5)) <= 0.1
