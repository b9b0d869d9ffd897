"""Sequences of different lengths: padded to one length, or packed without padding.

Packed (`PackedSequence`): the sequences are sorted by length, the longest first, and the rows of
one time step stand together: first batch_sizes[0] rows of step 0, then batch_sizes[1] of step 1.
Packing only moves rows; how, and with which gradient, stands in ops/packing.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.dtypes import float32, float64
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import refuse
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.packing import (
    as_lengths,
    packed_rows,
    pad_sequence,
    place_rows,
    take_rows,
    unpad_sequence,
)

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """A packed batch, made by `pack_padded_sequence` or `pack_sequence`; recurrent layers take it.

    data (N, ...): the rows of all sequences. batch_sizes, int64 (T,): how many sequences reach each
    step. sorted_indices, (B,): which sequence of the batch came first, second, ... when it was
    sorted; unsorted_indices, (B,): the inverse. Both are None where the batch was sorted already.
    """

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> "PackedSequence":
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = results.wrap(np.argsort(sorted_indices._array))
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *target: Any, **options: Any) -> "PackedSequence":
        """The batch with data in another dtype: the arguments are those of `Tensor.to`."""
        return self._replace(data=self.data.to(*target, **options))

    def cpu(self) -> "PackedSequence":
        """This batch itself, which is on the CPU."""
        return self

    def float(self) -> "PackedSequence":
        """The batch with data in float32."""
        return self.to(float32)

    def double(self) -> "PackedSequence":
        """The batch with data in float64."""
        return self.to(float64)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Array | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack a padded input (T, B, ...), or (B, T, ...) with batch_first.

    lengths (B,): how many steps of each sequence are not padding. They must not increase from one
    sequence to the next, unless enforce_sorted is False: then the batch is sorted here.

    Raises RuntimeError for lengths that do not fit the input, or are not sorted where they must be.

    >>> packed = pack_padded_sequence(ta.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    if isinstance(lengths, Tensor):
        refuse("pack_padded_sequence: lengths in a tensor can't be read in a step that is recorded")
    sizes = as_lengths(lengths)
    if as_tensor(input, "input").dim() < 2:
        raise RuntimeError(f"input: expected at least 2 dimensions, got {list(input.shape)}")
    B, T = input.shape[:2] if batch_first else input.shape[1::-1]
    if len(sizes) != B or not B:
        raise RuntimeError(
            f"lengths: Expected `len(lengths)` to be equal to batch_size B = {B} > 0, "
            f"but got {len(sizes)}"
        )
    if sizes.min() <= 0:
        raise RuntimeError(
            "lengths: Length of all samples has to be greater than 0, but found an element "
            f"that is <= 0: {sizes.tolist()}"
        )
    if sizes.max() > T:
        raise RuntimeError(f"lengths: at most T = {T}, got {int(sizes.max())}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    elif np.any(np.diff(sizes) > 0):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True; "
            "pass enforce_sorted=False to have the batch sorted and unsorted for you. "
            f"lengths: {sizes.tolist()}"
        )
    present = np.arange(sizes[0])[:, None] < sizes
    flat = input.reshape(B * T, *input.shape[2:])
    data = take_rows(flat, packed_rows(present, order, T, batch_first))
    batch_sizes = results.wrap(present.sum(axis=1))
    return PackedSequence(data, batch_sizes, None if order is None else results.wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The inverse of packing: a padded tensor (T, B, ...), or (B, T, ...), and the lengths (B,).

    The batch is in the order that it had before it was sorted. padding_value fills the steps behind
    the end of a sequence; total_length asks for a T larger than the longest length.
    """
    data, batch_sizes, _, unsorted = sequence
    sizes = batch_sizes._array
    longest, B = len(sizes), int(sizes[0])
    T = longest if total_length is None else total_length
    if longest > T:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {longest}"
        )
    present = np.arange(B) < sizes[:, None]
    lengths = present.sum(axis=0)
    order = None
    if unsorted is not None:
        order = np.argsort(unsorted._array)
        lengths = lengths[unsorted._array]
    rows = packed_rows(present, order, T, batch_first)
    placed = place_rows(data, rows, B * T, padding_value)
    shape = (B, T) if batch_first else (T, B)
    return placed.reshape(*shape, *data.shape[1:]), results.wrap(lengths)


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of shapes (T_b, ...), sorted by length unless enforce_sorted is False."""
    sequences = list(sequences)
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences (T_b, ...) that were packed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
