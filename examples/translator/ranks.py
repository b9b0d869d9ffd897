"""A training whose batches are shared by several processes, the ranks of mpiexec. Look first at
`loss_of_part`. With one process it is the loss of the whole batch.
"""

import argparse
from dataclasses import replace

import numpy as np

import tinyattn as ta
from tinyattn.text import PAD, Batch
from translator.model import Translator, drop_words, loss_of


def loss_of_part(model: Translator, batch: Batch, args: argparse.Namespace, step: int) -> ta.Tensor:
    """The loss of this rank's part of a batch, so weighted that the mean over all ranks is the loss
    of the batch: the mean over its tokens."""
    batch = drop_words(batch, args.word_dropout)  # of the whole batch, the same on all ranks
    part, weight = part_of(batch, ta.parallel.get_rank(), ta.parallel.get_world_size())
    with ta.parallel.own_random(step):
        loss = loss_of(model, part, args.smoothing)
    return loss if weight == 1 else loss * weight


def part_of(batch: Batch, rank: int, ranks: int) -> tuple[Batch, float]:
    """Every n-th pair of a batch, from the one of number `rank`, and the weight of its mean loss.

    A rank without a pair gets the first one, with the weight 0.
    """
    if ranks == 1:
        return batch, 1.0
    rows = np.arange(rank, len(batch.index), ranks)
    tokens = int((batch.target_out[rows] != PAD).sum())
    weight = ranks * tokens / int((batch.target_out != PAD).sum())
    rows = rows if len(rows) else np.array([0])
    lengths = batch.lengths[rows]
    longest = int((batch.target_out[rows] != PAD).sum(1).max())
    part = replace(
        batch,
        source=batch.source[rows, : lengths.max()],
        lengths=lengths,
        target_in=batch.target_in[rows, :longest],
        target_out=batch.target_out[rows, :longest],
        index=batch.index[rows],
    )
    return part, weight
