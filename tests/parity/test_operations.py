"""Every operation against torch, as a function, in nn.functional and as a method."""

import pytest

pytest.importorskip("torch", reason="parity with torch: torch is not installed")

from . import composed, elementwise, functional, making, products, programs, reductions, shapes
from .harness import mismatches

TABLE = {
    **elementwise.TABLE,
    **reductions.TABLE,
    **shapes.TABLE,
    **products.TABLE,
    **functional.TABLE,
    **making.TABLE,
    **programs.TABLE,
    **composed.TABLE,
}


@pytest.mark.parametrize("name", TABLE)
def test_it_does_what_torch_does(name):
    found = mismatches(name, TABLE[name])
    assert not found, f"{len(found)} differences, among them\n" + "\n".join(map(str, found[:4]))
