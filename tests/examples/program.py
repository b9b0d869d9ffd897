"""examples/translate.py as a program to run. Look first at `run` and `refused`."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import tinyattn as ta

PROGRAM = Path(__file__).parents[2] / "examples" / "translate.py"
SMALL = ("--pairs", "400", "--hidden", "16", "--epochs", "1", "--valid", "20", "--test", "40")
TOY = ("--data", "toy.txt", "--swap", "--out", "toy", "--valid", "20", "--test", "40")
LEARN = ("--hidden", "32", "--epochs", "15", "--batch", "16", "--lr", "0.01", "--warmup", "20",
         "--dropout", "0", "--smoothing", "0")  # fmt: skip


def environment(**changes: str) -> dict[str, str]:
    found = str(Path(ta.__file__).parents[1])  # the package under test, installed or not
    path = os.pathsep.join([*filter(None, [changes.pop("PYTHONPATH", "")]), found])
    settings = {"PYTHONPATH": path, "TINYATTN_BACKEND": ta.backend().name}
    return {**os.environ, **settings, **changes}


def run(folder: Path, *arguments: str, stdin: bytes = b"", **env: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=environment(**env),
        timeout=120,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def refused(folder: Path, *arguments: str, says: str, stdin: bytes = b"", **env: str) -> None:
    """The program ends with code 2 and one line that holds `says`; the folder is as before."""
    before = contents(folder)
    done = run(folder, *arguments, stdin=stdin, **env)
    assert done.stdout == ""
    assert re.fullmatch(r"translate\.py: [^\n]+\n", done.stderr), done.stderr
    assert says in done.stderr
    assert done.returncode == 2
    assert contents(folder) == before


def report_of(output: str) -> str:
    return output[output.index("\non ") : output.index("attention map: ")]


def toy_lines() -> list[str]:
    """ "one two" TAB 二一 TAB attribution; one source in four has a second reference, in words that
    nothing else has."""
    chinese = "一二三四五六七八"
    english = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    lines = []
    for digits in itertools.product(range(8), repeat=3):
        source = "".join(chinese[i] for i in reversed(digits)) + "。"
        words = " ".join(english[i] for i in digits)
        lines.append(f"{words}.\t{source}\tCC-BY 2.0 (somebody)")
        if sum(digits) % 4 == 0:
            lines.append(f"Say {words}!\t{source}\tCC-BY 2.0 (somebody else)")
    Random(0).shuffle(lines)
    return lines
