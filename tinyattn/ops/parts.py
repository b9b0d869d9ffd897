"""The part of a batch that one of several processes computes, and where its rows stand in the whole
batch. With dropout, a row then has the numbers that it has in the whole. Look first at `Part`.
"""

import math
import threading
from typing import NamedTuple

import numpy as np

from tinyattn.kernels._types import Array

# Where the rows of a tensor stand in that of the whole batch, and how many numbers the whole has.
Places = tuple[Array, int]


class Part(NamedTuple):
    """Some rows of a batch; `parallel.part_of_batch` makes it."""

    rows: range  # which of the batch
    total: int  # how many rows the batch has
    dim: int  # of the batch, in tensors that dropout is given
    lengths: Array | None  # (total,), of all sequences; packed ones have no axis of the batch

    def of_tensor(self, shape: tuple[int, ...], dim: int | None = None) -> Places:
        """Those of a tensor whose axis `dim` is the batch."""
        dim = self.dim if dim is None else dim
        if len(shape) <= dim or shape[dim] != len(self.rows):
            raise RuntimeError(
                f"dropout: expected the {len(self.rows)} rows of part_of_batch in dimension {dim}, "
                f"got a tensor {list(shape)}"
            )
        outer = math.prod(shape[:dim])
        places = np.arange(outer)[:, None] * self.total + np.array(self.rows, np.int64)
        return places.reshape(-1), outer * self.total * math.prod(shape[dim + 1 :])

    def of_weights(self, shape: tuple[int, ...]) -> Places:
        """Those of attention's weights (B, ..., Tq, Tk)."""
        if len(shape) < 3:
            raise RuntimeError(
                f"dropout: expected attention of the {len(self.rows)} rows of part_of_batch, got "
                f"weights {list(shape)} of one sequence"
            )
        return self.of_tensor(shape, 0)

    def of_packed(self, shape: tuple[int, ...], batch_sizes: Array, order: Array | None) -> Places:
        """Those of packed sequences (N, H); `order` says how these were sorted."""
        if self.lengths is None:
            raise RuntimeError(
                "dropout: packed sequences need part_of_batch(..., lengths=...), the lengths of "
                "all sequences of the batch"
            )
        rows = (
            np.array(self.rows, np.int64) if order is None else np.array(self.rows, np.int64)[order]
        )
        steps = np.arange(self.lengths.max())
        expected = _sizes(self.lengths[rows], steps)
        if not np.array_equal(batch_sizes, expected[expected > 0]):
            raise RuntimeError(
                "dropout: expected packed sequences of the lengths that part_of_batch says, "
                f"{self.lengths[rows].tolist()}, got batch_sizes {batch_sizes.tolist()}"
            )
        sizes = _sizes(self.lengths, steps)
        sorted_at = np.argsort(np.argsort(-self.lengths, kind="stable"))[rows]
        starts = np.cumsum(sizes) - sizes
        places = [start + sorted_at[:n] for start, n in zip(starts, batch_sizes, strict=False)]
        return np.concatenate(places), int(sizes.sum()) * shape[1]


def _sizes(lengths: Array, steps: Array) -> Array:
    """batch_sizes: how many sequences are longer than each of these numbers of steps."""
    return (lengths > steps[:, None]).sum(1)


class _Local(threading.local):
    part: Part | None = None


local = _Local()  # the part that this thread computes; None: the whole batch
