"""What happens between the steps: Ctrl-C and full disks."""

import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

import tinyattn as ta

from .program import PROGRAM, TOY, contents, environment, run


@pytest.mark.parametrize("times", [1, 4])
def test_ctrl_c_saves_a_whole_model_and_says_where(toy: Any, times: int) -> None:
    out = f"stopped-{times}"
    before = contents(toy.folder)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *TOY, "--out", out, "--epochs", "100000", "--hidden", "32"],
        cwd=toy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        seen = b""
        while not re.search(rb" [1-9]\d*/\d+ \[", seen):
            seen += process.stderr.read(1)
            assert process.poll() is None, seen
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            # Apart enough to come one by one, close enough to come before the end.
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.005)
        error = process.stderr.read().decode()
    assert process.wait(timeout=60) == 130
    step = ta.load_checkpoint(toy.folder / out / "checkpoint.safetensors")["progress"]["step"]
    assert error.endswith(
        f"translate.py: stopped; the best model so far, of step {step}, is in "
        f"{out}/model.safetensors; go on with: {PROGRAM} train --resume {out}\n"
    ), error
    assert "Traceback" not in error
    assert contents(toy.folder).items() >= before.items()
    assert {"curve.csv", "curve.png"} <= {p.name for p in (toy.folder / out).iterdir()}
    assert run(toy.folder, "translate", "一二三。", "--model", out).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="a limit on the size of files is set by a POSIX shell")
def test_a_full_disk_is_a_line_and_leaves_nothing(toy: Any) -> None:
    before = contents(toy.folder)
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", sys.executable, str(PROGRAM)]
    done = subprocess.run(
        [*limited, *TOY, "--epochs", "1", "--out", "full"],
        cwd=toy.folder,
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    error = done.stderr.decode()
    assert done.returncode == 2, error
    last = error.splitlines()[-1]
    assert last.startswith("translate.py: full/best.safetensors: expected to read or write it: ")
    assert "Traceback" not in error
    assert contents(toy.folder) == before
