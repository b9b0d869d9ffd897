"""Blocks of memory: used again after the array's death, and not a moment before."""

import copy
import gc

import numpy as np
import pytest

from tinyattn.kernels import blocks

F32 = np.dtype(np.float32)


@pytest.fixture
def fresh(monkeypatch):
    """Blocks of its own, for a test that counts them."""
    own = blocks._Blocks()
    monkeypatch.setattr(blocks, "_blocks", own)
    return own


def test_small_arrays_are_numpys(fresh):
    assert blocks.empty((8, 8), F32).base is None
    assert fresh.free == {}


def test_a_block_is_used_again_after_its_array(fresh):
    x = blocks.empty((1024, 1024), F32)
    where = x.ctypes.data
    del x
    y = blocks.empty((1024, 1024), F32)
    assert y.ctypes.data == where
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert where % 64 == 0


def test_a_view_keeps_the_block(fresh):
    x = blocks.empty((1024, 1024), F32)
    view = x[3:, ::2].T.reshape(2, -1)[1:]
    view = x.T[5:].view(np.int32)
    del x
    gc.collect()
    assert fresh.kept == 0
    assert not np.shares_memory(view, blocks.empty((1024, 1024), F32))
    del view
    assert fresh.kept > 0


@pytest.mark.parametrize(
    "of", [lambda base: base[:], lambda base: base.view(np.int32)[1:], copy.deepcopy]
)
def test_what_is_made_of_the_base_of_an_array_keeps_the_block_too(fresh, of):
    x = blocks.empty((1024, 1024), F32)
    other = of(x.base)
    del x
    gc.collect()
    assert fresh.kept == 0
    other[:] = 1
    blocks.empty((1024, 1024), F32)[:] = 2
    assert (other == 1).all()
    del other
    gc.collect()
    assert all(len(kept) == len({b.ctypes.data for b in kept}) for kept in fresh.free.values())
    assert fresh.kept > 0


def test_what_is_kept_has_a_bound(fresh, monkeypatch):
    monkeypatch.setattr(blocks, "KEPT", 5 << 20)
    arrays = [blocks.empty((1 << 20,), F32) for _ in range(3)]
    del arrays
    assert fresh.kept == sum(size * len(kept) for size, kept in fresh.free.items()) <= 5 << 20
    blocks.empty((1 << 22,), F32)  # larger than all that may be kept
    assert fresh.kept <= 5 << 20
