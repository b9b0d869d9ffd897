"""One rank fails: all of them end, with one clear message, and none of them waits for ever."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinyattn as ta
from tinyattn.parallel.processes import World

from .launch import MPIEXEC, environment, needs_mpi, ranks, said

BEGIN = "import os, signal, sys, time; import tinyattn.parallel as P; r = P.get_rank()\n"


@needs_mpi
@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("raise ValueError('broken')", 1, "ValueError: broken"),
        ("P.abort('no such file', 3)", 3, "no such file"),
        ("sys.exit(4)", 1, "rank 0 waits for rank 1, whose program has ended"),
        ("pass", 1, "rank 0 waits for rank 1, whose program has ended"),
    ],
)
def test_a_rank_that_ends_early_ends_the_others(what: str, code: int, says: str) -> None:
    done = ranks(2, f"{BEGIN}if r == 1: {what}\nelse: P.barrier(); print('not reached')")
    assert done.returncode == code
    assert done.stderr.count(says) == 1, done.stderr
    assert "not reached" not in done.stdout


@needs_mpi
def test_a_rank_that_is_killed_ends_the_others() -> None:
    code = f"{BEGIN}if r == 1: os.kill(os.getpid(), signal.SIGKILL)\nP.barrier(); print('late')"
    done = ranks(2, code)
    assert done.returncode != 0
    assert "late" not in done.stdout
    assert "signal 9" in done.stdout + done.stderr  # mpiexec says it


@needs_mpi
@pytest.mark.parametrize("call", ["P.barrier()", "P.all_reduce(ta.ones(3))"])
def test_a_rank_that_stands_still_is_waited_for_until_the_limit(call: str) -> None:
    code = f"{BEGIN}import tinyattn as ta\nif r == 1: os.kill(os.getpid(), signal.SIGSTOP)\n{call}"
    begun = time.monotonic()
    done = ranks(2, code, TINYATTN_PARALLEL_TIMEOUT="0.5")
    assert done.returncode == 1
    assert "rank 0 has waited 0.5 s for rank 1; TINYATTN_PARALLEL_TIMEOUT sets" in done.stderr
    assert time.monotonic() - begun < 20


@needs_mpi
def test_an_error_of_all_ranks_is_reported_once() -> None:
    done = ranks(3, f"{BEGIN}P.abort('the file is not there', 2)")
    assert done.returncode == 2
    assert said(done) == "the file is not there\n"


@needs_mpi
def test_ranks_that_disagree_about_the_model_say_where() -> None:
    code = """
import tinyattn as ta
ta.parallel.DistributedDataParallel(ta.nn.Linear(3, 2 + ta.parallel.get_rank()))
"""
    done = ranks(2, code)
    assert done.returncode == 1
    said = (
        "expected the same model on all ranks, got weight [2, 3] float32 on rank 0 and "
        "weight [3, 3] float32 on rank 1"
    )
    assert said in done.stderr


@needs_mpi
def test_a_rank_may_work_on_when_another_has_ended() -> None:
    code = f"{BEGIN}import time\nif r == 0: time.sleep(1); print('done')"
    done = ranks(2, code, TINYATTN_PARALLEL_TIMEOUT="0.2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_mpiexec_without_mpi4py_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('none here')")
    path = os.pathsep.join([str(tmp_path), str(Path(ta.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", "import tinyattn as ta; ta.parallel.get_rank()"],
        env=environment(PMI_SIZE="2", PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "pip install 'tinyattn[distributed]'" in done.stderr
    assert done.returncode == 1


@needs_mpi
def test_mpiexec_of_another_mpi_is_noticed() -> None:
    """Each process that it starts sees itself alone."""
    done = subprocess.run(
        [sys.executable, "-c", "import tinyattn as ta; ta.parallel.get_rank()"],
        env=environment(OMPI_COMM_WORLD_SIZE="2"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "mpiexec started 2 processes, but mpi4py sees 1" in done.stderr


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "soon"])
def test_a_limit_that_is_no_time_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Two:
        """What World asks an MPI library first."""

        Get_rank = staticmethod(lambda: 0)
        Get_size = staticmethod(lambda: 2)

    monkeypatch.setenv("TINYATTN_PARALLEL_TIMEOUT", limit)
    said = f"TINYATTN_PARALLEL_TIMEOUT: expected a number of seconds above 0, got '{limit}'"
    with pytest.raises(ValueError, match=re.escape(said)):
        World(Two())


@needs_mpi
def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    code = f"{BEGIN}P.barrier(); r or print('begun', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [str(MPIEXEC), "-n", "2", sys.executable, "-c", code],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    with process.stdout, process.stderr:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) != 0
