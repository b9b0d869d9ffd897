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
from tinyattn.kernels import backend as current


@pytest.fixture
def kernels(backend: str) -> Backend:
    """The kernels of the backend that `backend` has chosen."""
    return current()


@pytest.fixture
def native() -> Iterator[Backend]:
    if "native" not in available_backends():
        pytest.skip("the native extension is not built")
    with use_backend("native") as kernels:
        threads = get_num_threads()
        yield kernels
        set_num_threads(threads)


@pytest.fixture
def definition() -> Backend:
    """The reference kernels, to be called with float64."""
    return Backend("numpy")


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> type[np.floating]:
    return request.param
