"""A training whose batches are shared by several processes, the ranks of mpiexec. Look first at
`loss_of_part`. With one process it is the loss of the whole batch.
"""

import argparse
from dataclasses import fields

import tinyattn as ta
from tinyattn.text import PAD, Batch
from translator.model import Translator, drop_words, loss_of


def loss_of_part(model: Translator, batch: Batch, args: argparse.Namespace) -> ta.Tensor:
    """The loss of this rank's part of a batch, so weighted that the mean over all ranks is the loss
    of the batch: the mean over its tokens. Both models have the batch in dimension 1."""
    batch = drop_words(batch, args.word_dropout)  # of the whole batch, the same on all ranks
    with ta.parallel.part_of_batch(len(batch.index), dim=1, lengths=batch.lengths) as part:
        own = rows_of(batch, part.rows)
        loss = loss_of(model, own, args.smoothing)
    weight = share_of_tokens(own, batch) * ta.parallel.get_world_size() if part.weight else 0.0
    return loss if weight == 1 else loss * weight


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Some pairs of a batch. They stay padded to the length of its longest."""
    return Batch(*(getattr(batch, field.name)[rows] for field in fields(batch)))


def share_of_tokens(part: Batch, batch: Batch) -> float:
    """The share of the target tokens of a batch that stand in a part of it."""
    return int((part.target_out != PAD).sum()) / int((batch.target_out != PAD).sum())
