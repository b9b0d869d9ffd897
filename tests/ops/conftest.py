"""What the tests of operations share: every installed backend; torch, or its absence in words."""

from collections.abc import Iterator

import pytest

from tinyattn.kernels import available_backends, use_backend


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="parity needs torch, which is not installed")


@pytest.fixture(params=["numpy", "numba", "native"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in available_backends():
        pytest.skip(f"backend {request.param} is not installed")
    with use_backend(request.param):
        yield request.param
