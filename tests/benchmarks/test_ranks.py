"""`python -m benchmarks.ranks`: its formula, its tables, and what it measures."""

import json
import re

import pytest

from benchmarks import ranks
from tests.parallel.launch import needs_mpi
from tests.parallel.launch import ranks as launch


def test_the_time_of_a_step_is_that_of_computing_and_of_what_is_not_hidden() -> None:
    slow, fast = 1e6, 1e15  # bytes a second
    # Two ranks send all of 10 MB: 10 s, of which 2 s are hidden behind the backward pass.
    delays = 2 * ranks.LATENCY
    assert ranks.step_time(3.0, 10e6, 2, slow) == pytest.approx(3 + 10 + 10 * delays - 2)
    # A fast network leaves the delays of the last bucket.
    assert ranks.step_time(3.0, 10e6, 2, fast) == pytest.approx(3 + delays)
    # Many ranks send twice that.
    assert ranks.step_time(0.0, 1e6, 1000, slow) == pytest.approx(2 * 0.999 + delays)
    # Where all but the last bucket is hidden, the last one is left: 1 MB.
    assert ranks.step_time(300.0, 10e6, 2, slow) == pytest.approx(300 + 1 + delays)


def test_the_tables_show_gains_of_the_same_and_of_a_larger_batch() -> None:
    printed = ranks.report(0.030, 0.033, 0.050, 2.4e6, 64, 0.002)
    assert "| two ranks of one thread | 33.0 (1.10 times that) |" in printed
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| (.*) \|$", printed, re.M)
    assert [int(count) for count, _, _ in rows] == list(ranks.RANKS)
    for count, sent, gains in rows:
        n = int(count)
        assert float(sent) == pytest.approx(2 * (n - 1) / n * 2.4, abs=0.051)
        same_1, larger_1, same_10, larger_10 = map(float, gains.split(" | "))
        assert same_1 <= same_10 <= n
        assert larger_1 <= larger_10 <= n
        assert same_1 <= larger_1


@needs_mpi
def test_a_worker_measures_a_step_of_two_ranks() -> None:
    done = launch(2, "from benchmarks.ranks import worker; worker(2)")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pairs"] == 64
    assert found["bytes"] > 1e6
    assert 0 < found["exchange"] < 10
    assert 0 < found["step"] < 60
