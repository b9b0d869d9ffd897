"""Memory for large results: a block is used again when the array in it no longer exists.

New memory of some megabytes costs more in page faults than the kernel that fills it. Look first at
`empty`, which is numpy.empty for small arrays. At most KEPT bytes are kept for later use.

A recording (recording.py) puts functions of its own in the place of `small` and `large`.
"""

import math
import os
import threading
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array

LARGE = 1 << 20  # bytes; smaller arrays come from NumPy, which is as fast there
KEPT = 1 << 28  # bytes
_STEP = 1 << 16  # bytes; sizes are rounded up to multiples of it, so that similar batches share


class _Blocks:
    """The free blocks, by size."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all blocks. A child process does so, since another thread may have held the lock."""
        self.lock = threading.RLock()  # `take` can be interrupted by `give_back` in the same thread
        self.free: dict[int, list[Array]] = {}
        self.kept = 0

    def take(self, size: int) -> Array:
        with self.lock:
            blocks = self.free.get(size)
            if blocks:
                self.kept -= size
                return blocks.pop()
        return np.empty(size + 64, np.uint8)

    def give_back(self, block: Array, size: int) -> None:
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


class _Lease:
    """The base of an array in a block. It lives as long as the array or any view of it, and then
    gives the block back.
    """

    def __init__(
        self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Any
    ) -> None:
        self.size, self.blocks = size, blocks
        self.block = blocks.take(size)
        start = self.block.ctypes.data
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (start + -start % 64, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self.blocks.give_back(self.block, self.size)


def leased(shape: tuple[int, ...], dtype: np.dtype[Any], step: int, blocks: Any) -> Array:
    """An array in one of these blocks, whose sizes are multiples of `step` bytes."""
    size = max(math.prod(shape) * dtype.itemsize, 1)
    return np.asarray(_Lease(size + -size % step, shape, dtype, blocks))


def _large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return leased(shape, dtype, _STEP, _blocks)


small: Any = np.empty
large: Any = _large


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array whose elements are not set."""
    size = math.prod(shape) * dtype.itemsize
    return (small if size < LARGE else large)(shape, dtype)
