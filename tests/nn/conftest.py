"""What tests of modules share: a seed for every test."""

import pytest

from tinyattn.ops.random import manual_seed


@pytest.fixture(autouse=True)
def seeded() -> None:
    manual_seed(0)
