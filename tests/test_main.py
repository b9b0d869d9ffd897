"""`python -m tinyattn`, and what importing the package costs."""

import io
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinyattn as ta
from tinyattn._output import in_utf8
from tinyattn.kernels import available_backends, instruction_set

if "native" in available_backends():
    from tinyattn.kernels import native


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
    assert python("-m", "tinyattn", TINYATTN_NUM_THREADS="1").splitlines()[:4] == [
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


def test_the_machine_and_what_it_is_capable_of_are_printed() -> None:
    printed = python("-m", "tinyattn")
    (line,) = re.findall(r"^machine: (.*)", printed, re.M)
    assert line.startswith(f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    if "native" in available_backends():
        assert line.endswith(f", capable of {', '.join(native.supported_isas())}")


def test_whether_the_core_is_used_is_printed_and_why_not() -> None:
    asked = python("-m", "tinyattn", TINYATTN_BACKEND="numpy")
    if "native" in available_backends():
        assert "C core: not in use: TINYATTN_BACKEND asks for numpy" in asked
        used = python("-m", "tinyattn", TINYATTN_BACKEND="native")
        assert f"C core: in use: {native._core.__file__}" in used
    code = "import runpy, sys; sys.modules['tinyattn.kernels.native._core'] = None; {}"
    code = code.format("runpy.run_module('tinyattn', run_name='__main__')")
    missing = python("-W", "ignore", "-c", code, TINYATTN_BACKEND="numpy")
    assert "C core: not in use: its C extension does not load (" in missing
    assert "with a C compiler at hand" in missing


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


def test_commands_print_utf_8_and_the_bytes_of_names(monkeypatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii"))
    in_utf8()
    print("练习 \udcff", end="", flush=True)
    assert out.getvalue() == "练习 ".encode() + b"\xff"
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # as in some notebooks
    in_utf8()
    print("练习", end="")
    assert sys.stdout.getvalue() == "练习"


def test_exercises_are_started_in_a_folder_of_any_name(tmp_path) -> None:
    environment = {"PYTHONPATH": str(Path(ta.__file__).parents[1]), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "tinyattn.learn", "start", "练习"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert " exercises written to 练习.\n" in done.stdout.decode().replace(os.linesep, "\n")
