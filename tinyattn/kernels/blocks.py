"""Memory for large results: a block is used again when the array in it no longer exists.

The system clears each page of new memory when it is first written, which takes longer than most
kernels need to fill it: 94 us for 256 KB, where an addition takes 10. Look first at `empty`, which
is numpy.empty for small arrays. At most KEPT bytes are kept for later use.

A recording (recording.py) puts functions of its own in the place of `small` and `large`.
"""

import math
import os
import threading
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array

LARGE = 1 << 17  # bytes; smaller arrays come from NumPy, whose memory stays with the process
KEPT = 1 << 28  # bytes
_STEP = 1 << 16  # bytes; sizes are rounded up to multiples of it, so that similar batches share


class Block(np.ndarray):
    """Bytes to be used again. They have a class of their own, because NumPy passes over a base of
    the class ndarray: it would keep the block alive in place of the lease below."""

    @classmethod
    def of(cls, size: int) -> "Block":
        """New memory of `size` bytes, which starts at a multiple of 64 bytes."""
        memory = np.empty(size + 64, np.uint8)
        start = -memory.ctypes.data % 64
        return memory[start : start + size].view(cls)


class _Blocks:
    """The free blocks, by size."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all blocks. A child process does so, since another thread may have held the lock."""
        self.lock = threading.RLock()  # `take` can be interrupted by `give_back` in the same thread
        self.free: dict[int, list[Block]] = {}
        self.kept = 0

    def take(self, size: int) -> Block:
        with self.lock:
            blocks = self.free.get(size)
            if blocks:
                self.kept -= size
                return blocks.pop()
        return Block.of(size)

    def give_back(self, block: Block, size: int) -> None:
        with self.lock:
            if self.kept + size > KEPT:
                self.free.clear()  # so much of other sizes is kept that the sizes must have changed
                self.kept = 0
            if size <= KEPT:
                self.kept += size
                self.free.setdefault(size, []).append(block)


_blocks = _Blocks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blocks.forget)


class _Lease(np.ndarray):
    """The base of an array in a block. It lives as long as the array or any view of it, and then
    gives the block back. Views of the lease itself keep it, and give nothing back.
    """

    blocks: Any = None

    def __array_finalize__(self, source: Any) -> None:
        if type(source) is _Lease:
            self.kept = source

    def __del__(self) -> None:
        if self.blocks is not None:
            self.blocks.give_back(self.base, self.nbytes)


def leased(shape: tuple[int, ...], dtype: np.dtype[Any], step: int, blocks: Any) -> Array:
    """An array in one of these blocks, whose sizes are multiples of `step` bytes."""
    size = max(math.prod(shape) * dtype.itemsize, 1)
    lease = blocks.take(size + -size % step).view(_Lease)
    lease.blocks = blocks
    return np.ndarray(shape, dtype, lease)


def _large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return leased(shape, dtype, _STEP, _blocks)


small: Any = np.empty
large: Any = _large


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array whose elements are not set."""
    size = math.prod(shape) * dtype.itemsize
    return (small if size < LARGE else large)(shape, dtype)
