"""examples/federated.py: weights averaged over sites know the digits of all of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parallel.launch import environment, needs_mpi, ranks

PROGRAM = str(Path(__file__).parents[2] / "examples" / "federated.py")


@needs_mpi
def test_the_mean_of_weights_is_far_better_than_a_site_alone() -> None:
    pytest.importorskip("sklearn")
    done = ranks(4, PROGRAM)
    assert done.returncode == 0, done.stderr
    *alone, averaged, together = map(float, re.findall(r"([\d.]+)%", done.stdout))
    assert len(alone) == 4
    assert averaged > max(alone) + 15
    assert averaged > together - 3
    assert together > 90


def test_one_process_is_told_to_be_several() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        "federated.py: expected several sites: mpiexec -n 5 python examples/federated.py\n"
    )
