"""Dropout in a part of a batch: with the numbers of the whole. Look at `part_of_batch`."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tinyattn.kernels.recording import refuse
from tinyattn.ops import parts
from tinyattn.ops.random import default_generator
from tinyattn.parallel.exchange import all_gather_object
from tinyattn.parallel.processes import world


class PartOfBatch(NamedTuple):
    """What a rank computes of a batch."""

    rows: slice  # every n-th of n ranks, as a DistributedSampler deals them out
    weight: float  # n times the share of the rows, by which to multiply a loss that is their mean


@contextlib.contextmanager
def part_of_batch(
    total: int, dim: int = 0, lengths: ArrayLike | None = None
) -> Iterator[PartOfBatch]:
    """Inside, this rank computes its part of a batch of `total` rows, and dropout draws for a row
    what one process with the whole batch draws for it. So n ranks compute what one does.

    Rank r of n has the rows r, r + n, r + 2n, ... A rank for which there is none computes the first
    row, with the weight 0. All parts must be padded to one length. Other random numbers are the
    same on all ranks.

    dim: which dimension is the batch where the program calls dropout: 0, or 1 for (T, B, H).
        Recurrent layers and attention know theirs.
    lengths: (total,), of all sequences, for recurrent layers with dropout over packed ones.

    RuntimeError, on all ranks, if their random numbers are not in one state: ranks must be seeded
    alike; and where dropout meets a tensor that has not the rows of this rank in that dimension.

    >>> x, y = ta.randn(8, 4), ta.randint(3, (8,))
    >>> model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))
    >>> with ta.parallel.part_of_batch(len(x)) as part:
    ...     loss = F.cross_entropy(model(x[part.rows]), y[part.rows]) * part.weight
    """
    if total < 1:
        raise ValueError(f"total: expected at least 1 row, got {total}")
    sizes = None if lengths is None else np.asarray(lengths, np.int64)
    if sizes is not None and sizes.shape != (total,):
        raise ValueError(f"lengths: expected those of {total} rows, got shape {sizes.shape}")
    here = world()
    if not here.peers:
        yield PartOfBatch(slice(0, total), 1.0)
        return
    refuse("part_of_batch: ranks can't replay")
    states = all_gather_object(default_generator.get_state().numpy().tobytes())
    for rank, state in enumerate(states):
        if state != states[0]:
            raise RuntimeError(
                f"part_of_batch: expected random numbers in one state on all ranks, but rank {rank}"
                " has drawn others than rank 0: seed all alike (manual_seed), draw as many numbers "
                "on all, and pad all parts of a batch to one length"
            )
    rows, weight = range(here.rank, total, here.size), 1.0
    if not rows:
        rows, weight = range(1), 0.0
    before, parts.local.part = parts.local.part, parts.Part(rows, total, dim, sizes)
    try:
        yield PartOfBatch(
            slice(rows.start, rows.stop, rows.step), weight * here.size * len(rows) / total
        )
    finally:
        parts.local.part = before
