"""Sequences of unequal length: padded to a rectangle, or packed without padding.

Packed (`PackedSequence`): sorted by length, longest first; the rows of time step t stand together,
batch_sizes[t] of them. Packing and padding only move rows: see Take and Place.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import results
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.shape import cat


class Take(Function):
    """y[i] = x[rows[i]], no row twice;   dx[rows[i]] = dy[i], zero elsewhere."""

    fresh = True

    def forward(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        self.rows, self.shape = rows, x.shape
        return x[rows]

    def backward(self, grad: np.ndarray) -> np.ndarray:
        out = np.zeros(self.shape, grad.dtype)
        out[self.rows] = grad
        return out


class Place(Function):
    """y[rows[i]] = x[i], no row twice, `value` elsewhere;   dx[i] = dy[rows[i]]. y has R rows."""

    fresh = True

    def forward(self, x: np.ndarray, rows: np.ndarray, R: int, value: float) -> np.ndarray:
        self.rows = rows
        out = np.full((R, *x.shape[1:]), value, x.dtype)
        out[rows] = x
        return out

    def backward(self, grad: np.ndarray) -> np.ndarray:
        return grad[self.rows]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """data (N, ...), batch_sizes int64 (T,), and how the batch was sorted, if it was.

    Made by `pack_padded_sequence` and `pack_sequence`.
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


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded input (T, B, ...), or (B, T, ...) with batch_first.

    lengths, (B,), must not increase, unless enforce_sorted is False: then the batch is sorted here.
    """
    sizes = _as_lengths(lengths)
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
    data = Take.apply(flat, _rows(present, order, T, batch_first))
    batch_sizes = results.wrap(present.sum(axis=1))
    return PackedSequence(data, batch_sizes, None if order is None else results.wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The inverse: a padded tensor (T, B, ...), or (B, T, ...), and the lengths (B,)."""
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
    placed = Place.apply(data, _rows(present, order, T, batch_first), B * T, padding_value)
    shape = (B, T) if batch_first else (T, B)
    return placed.reshape(*shape, *data.shape[1:]), results.wrap(lengths)


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (T_b, ...) as one tensor (T, B, ...), or (B, T, ...), T the longest."""
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("sequences: expected at least one, got an empty list")
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side: expected left or right, got {padding_side!r}")
    tail = sequences[0].shape[1:]
    for i, sequence in enumerate(sequences):
        if sequence.dim() == 0 or sequence.shape[1:] != tail:
            raise RuntimeError(
                f"sequences: all must be (T, {', '.join(map(str, tail))}) like sequences[0], "
                f"got {list(sequence.shape)} for sequences[{i}]"
            )
    lengths = np.array([len(sequence) for sequence in sequences])
    B, T = len(lengths), int(lengths.max())
    present = np.arange(T) < lengths[:, None]
    batch, time = np.nonzero(present)
    if padding_side == "left":
        time += (T - lengths)[batch]
    rows = batch * T + time if batch_first else time * B + batch
    placed = Place.apply(cat(sequences, 0), rows, B * T, padding_value)
    return placed.reshape(*((B, T) if batch_first else (T, B)), *tail)


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (T_b, ...)."""
    sequences = list(sequences)
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences (T_b, ...) of a padded batch (T, B, ...), or (B, T, ...)."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(rows, _as_lengths(lengths), strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences (T_b, ...) that were packed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def _rows(present: np.ndarray, order: np.ndarray | None, T: int, batch_first: bool) -> np.ndarray:
    """Where the packed rows stand in a padded batch of T steps, flattened. present: bool (t, B)."""
    time, batch = np.nonzero(present)
    if order is not None:
        batch = order[batch]
    return batch * T + time if batch_first else time * present.shape[1] + batch


def _as_lengths(lengths: Any) -> np.ndarray:
    array = lengths._array if isinstance(lengths, Tensor) else np.asarray(lengths)
    if array.ndim != 1 or (array.size and array.dtype.kind != "i"):
        raise RuntimeError(
            f"lengths: expected integers of shape (B,), got {array.dtype} {list(array.shape)}"
        )
    return array.astype(np.int64)
