"""What the tests of operations share: torch where it is installed, and its absence in words."""

import pytest


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="parity needs torch, which is not installed")
