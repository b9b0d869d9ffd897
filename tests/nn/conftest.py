"""What tests of modules share: every installed backend, a seed for every test."""

from collections.abc import Iterator

import pytest

from tinyattn.kernels import available_backends, use_backend
from tinyattn.ops.random import manual_seed


@pytest.fixture(params=["numpy", "numba", "native"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in available_backends():
        pytest.skip(f"backend {request.param} is not installed")
    with use_backend(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def seeded() -> None:
    manual_seed(0)


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="parity needs torch, which is not installed")
