"""What all tests share: every installed backend; torch, or its absence in words; Hypothesis without
deadlines, which a loaded machine would miss, and with the same examples every time.

`pytest --hypothesis-profile search` looks for other examples. `pytest -n auto` runs the tests in
several processes: the files in their order, a file in one of them.
"""

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before NumPy is imported: the threads of its products wait in a loop, and where other work shares
# the processors, the tests of the NumPy backend take ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tinyattn.kernels import available_backends, use_backend

shared = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tinyattn", derandomize=True, **shared)
settings.register_profile("search", **shared)
settings.load_profile("tinyattn")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # in a worker of pytest-xdist
        from tests.workers import compile_by_turns

        compile_by_turns()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # the short files are the last ones
    return LoadFileScheduling(config, log)


@pytest.fixture(params=["numpy", "numba", "native"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in available_backends():
        pytest.skip(f"backend {request.param} is not installed")
    with use_backend(request.param):
        yield request.param


@pytest.fixture
def forked() -> Iterator[None]:
    """Processes are forked, which is quick and lets a worker have what a test defines. From Python
    3.14 on that isn't the default."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture(scope="session")
def torch() -> Any:
    return pytest.importorskip("torch", reason="parity needs torch, which is not installed")
