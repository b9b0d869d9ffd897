"""Memory for large results: blocks that are used again when the array in them has died.

A fresh block of some megabytes costs more in page faults than the kernel that fills it. `empty` is
numpy.empty for everything small; KEPT bounds what waits here for its next use.
"""

import math
import os
import threading
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array

LARGE = 1 << 20  # bytes; below them malloc does as well
KEPT = 1 << 28  # bytes
_STEP = 1 << 16  # sizes are rounded up to it, so that slightly different batches share blocks


class _Blocks:
    """The blocks nobody uses, by size."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew; after a fork, since another thread may have held the lock."""
        self.lock = threading.RLock()  # a block can come back in the middle of `take`
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
                self.free.clear()  # sizes have changed: what is kept is of no more use
                self.kept = 0
            if size <= KEPT:
                self.kept += size
                self.free.setdefault(size, []).append(block)


_blocks = _Blocks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blocks.forget)


class _Lease:
    """What an array in a block has for its base: it dies after the array and all views of it."""

    def __init__(self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.size = size
        self.block = _blocks.take(size)
        start = self.block.ctypes.data
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (start + -start % 64, False),
            "version": 3,
        }

    def __del__(self, give_back: Any = _blocks.give_back) -> None:
        give_back(self.block, self.size)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array whose elements are not set."""
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(size + -size % _STEP, shape, dtype))
