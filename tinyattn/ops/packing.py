"""Sequences of different lengths: rows move between a padded batch and a packed one.

Padded: (T, B, ...) or (B, T, ...), filled up behind the end of every sequence. Packed: only the
rows that exist, (N, ...), in the order that nn/utils/rnn.py describes. Read Take and Place first.
"""

import math
from collections.abc import Iterable

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase
from tinyattn.kernels import Backend, backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import full
from tinyattn.ops.indexing import rows_at
from tinyattn.ops.shape import cat, transpose, unbind


class Take(Function):
    """y[i] = x[rows[i]], where no row is taken twice.

    Each row of x reaches at most one row of y, so  dx[rows[i]] = dy[i],  and 0 elsewhere.
    """

    fresh = True

    def forward(self, x: Array, rows: Array) -> Array:
        self.kernels = backend()
        self.rows, self.shape = rows, x.shape
        return rows_at(x, rows, 0, self.kernels)

    def backward(self, grad: Array) -> Array:
        dx = full(self.shape, 0, grad.dtype)
        put_rows(dx, self.rows, grad, self.kernels)
        return dx


class Place(Function):
    """y[rows[i]] = x[i], where no row is filled twice, and `value` in the other rows of y (R, ...).

    Each row of x reaches exactly one row of y, so  dx[i] = dy[rows[i]].
    """

    fresh = True

    def forward(self, x: Array, rows: Array, R: int, value: float) -> Array:
        self.kernels = backend()
        self.rows = rows
        y = full((R, *x.shape[1:]), value, x.dtype)
        put_rows(y, rows, x, self.kernels)
        return y

    def backward(self, grad: Array) -> Array:
        return rows_at(grad, self.rows, 0, self.kernels)


def put_rows(y: Array, rows: Array, x: Array, kernels: Backend) -> None:
    """y[rows[i]] = x[i], in place."""
    D = math.prod(y.shape[1:])
    kernels.scatter(y.reshape(1, len(y), D), rows.reshape(1, -1, 1), x.reshape(1, len(rows), D))


def take_rows(input: Tensor, rows: Array) -> Tensor:
    """The rows of input (R, ...) with the numbers rows (N,), all different: (N, ...)."""
    return Take.apply(input, rows)


def place_rows(input: Tensor, rows: Array, R: int, value: float = 0.0) -> Tensor:
    """R rows: input[i] is row rows[i], and every other row is filled with value: (R, ...).

    input (N, ...); rows (N,), all different.
    """
    return Place.apply(input, rows, R, value)


def packed_rows(present: Array, order: Array | None, T: int, batch_first: bool) -> Array:
    """Where each packed row stands in a padded batch of T steps whose first two axes are one.

    present, bool (t, B), says which of the sorted sequences still runs at each step; order, (B,),
    says where each of them stands in the padded batch (None: it is sorted already).
    """
    time, batch = np.nonzero(present)
    if order is not None:
        batch = order[batch]
    return batch * T + time if batch_first else time * present.shape[1] + batch


def as_lengths(lengths: object) -> Array:
    """The lengths of sequences, a tensor, array or list of integers (B,), as an int64 array.
    Floats that are whole, as the sum of a mask, count as integers."""
    array = lengths._array if isinstance(lengths, TensorBase) else np.asarray(lengths)
    if array.dtype.kind == "f" and (array == np.trunc(array)).all():
        array = array.astype(np.int64)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise RuntimeError(
            f"lengths: expected integers of shape (B,), got {array.dtype} {list(array.shape)}"
        )
    return array.astype(np.int64)


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of shapes (T_b, ...) as one tensor (T, B, ...), or (B, T, ...) with batch_first.

    T is the longest length. The shorter sequences are filled up with padding_value at the end, or
    at the start where padding_side is "left".

    Raises RuntimeError where the sequences differ in more than their lengths, or where there are
    none.

    >>> pad_sequence([ta.tensor([1, 2, 3]), ta.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("sequences: expected at least one, got an empty list")
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side: expected left or right, got {padding_side!r}")
    tail = sequences[0].shape[1:]
    for i, sequence in enumerate(sequences):
        if sequence.dim() == 0 or sequence.shape[1:] != tail:
            raise RuntimeError(
                f"sequences: expected all of shape (T, {', '.join(map(str, tail))}), as "
                f"sequences[0], got {list(sequence.shape)} for sequences[{i}]"
            )
    lengths = np.array([len(sequence) for sequence in sequences])
    B, T = len(lengths), int(lengths.max())
    present = np.arange(T) < lengths[:, None]
    batch, time = np.nonzero(present)
    if padding_side == "left":
        time += (T - lengths)[batch]
    rows = batch * T + time if batch_first else time * B + batch
    placed = place_rows(cat(sequences, 0), rows, B * T, padding_value)
    return placed.reshape(*((B, T) if batch_first else (T, B)), *tail)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences (T_b, ...) of a padded batch (T, B, ...), or (B, T, ...) with batch_first.

    lengths (B,): how many steps of each sequence are not padding.
    """
    rows = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [row[: int(n)] for row, n in zip(unbind(rows), as_lengths(lengths), strict=True)]
