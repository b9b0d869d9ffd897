"""Copies of any strides, one number in every element, triangles of matrices, rows placed between
zeros. Elements move, nothing is computed.
"""

import numpy as np

from tinyattn.kernels._types import Array


def copy(x: Array, out: Array) -> None:
    """x -> out, of the same shape; both of any strides."""
    out[...] = x


def fill(y: Array, x: Array) -> None:
    """One number, x (), into every element of y."""
    y[...] = x


def triangle(x: Array, k: int, upper: bool, out: Array) -> None:
    """x (A, N, C) -> out, which is 0 above the diagonal k, or below it where `upper` is set."""
    out[...] = np.triu(x, k) if upper else np.tril(x, k)


def place(x: Array, start: int, step: int, out: Array) -> None:
    """x (A, m, C) -> out (A, n, C), which is x at start, start + step, ..., and 0 elsewhere."""
    out[...] = 0
    out[:, start::step][:, : x.shape[1]] = x
