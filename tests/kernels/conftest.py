"""Every kernel test runs on every installed backend and in both float types."""

from collections.abc import Iterator

import numpy as np
import pytest

from tinyattn.kernels import (
    Backend,
    available_backends,
    get_num_threads,
    set_num_threads,
    use_backend,
)


def installed(name: str) -> object:
    missing = name not in available_backends()
    return pytest.param(
        name, marks=pytest.mark.skipif(missing, reason=f"backend {name} is not installed")
    )


@pytest.fixture(params=[installed(name) for name in ("numpy", "numba", "native")])
def kernels(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with use_backend(request.param) as chosen:
        yield chosen


@pytest.fixture
def native() -> Iterator[Backend]:
    if "native" not in available_backends():
        pytest.skip("the native extension is not built")
    with use_backend("native") as chosen:
        threads = get_num_threads()
        yield chosen
        set_num_threads(threads)


@pytest.fixture
def definition() -> Backend:
    """The reference kernels, to be called with float64."""
    return Backend("numpy")


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> type[np.floating]:
    return request.param
