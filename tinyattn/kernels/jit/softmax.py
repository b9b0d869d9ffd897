"""Softmax and its logarithm along the last axis, with their gradients; one row at a time, in the
cache.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel, sums
from tinyattn.kernels.jit.vmath import bits, exp, unbits

NO_MASK = np.empty((0, 0), np.bool_)


@exact
def largest(x, i):
    """The maximum of a row, or NaN if the row contains NaN."""
    top = bits(x[i, 0])
    for j in range(x.shape[1]):
        top = max(top, bits(x[i, j]))
    return unbits(top)


@sums
def softmax_row(x, i, out):
    top, total = largest(x, i), out.dtype.type(0)
    for j in range(x.shape[1]):
        out[i, j] = exp(x[i, j] - top)
    # In a loop of its own: LLVM orders a sum beside a store by where the two arrays lie in memory.
    for j in range(x.shape[1]):
        total += out[i, j]
    for j in range(x.shape[1]):
        out[i, j] /= total


@sums
def masked_row(x, mask, i, out):
    for j in range(x.shape[1]):
        out[i, j] = x[i, j] if mask[i, j] else -np.inf
    some = False
    for j in range(x.shape[1]):
        some |= mask[i, j]
    if some:
        softmax_row(out, i, out)
    else:
        out[i] = 0


@kernel("r2 b2 w2")
def run_softmax(x, mask, out):
    if not x.size:
        return
    for i in numba.prange(len(x)):
        if mask.size:
            masked_row(x, mask, i, out)
        else:
            softmax_row(x, i, out)


@sums
def softmax_backward_row(y, grad, i, out):
    dot = out.dtype.type(0)
    for j in range(y.shape[1]):
        dot += y[i, j] * grad[i, j]
    for j in range(y.shape[1]):
        out[i, j] = y[i, j] * (grad[i, j] - dot)


@kernel("r2 r2 w2")
def run_softmax_backward(y, grad, out):
    for i in numba.prange(len(y)):
        softmax_backward_row(y, grad, i, out)


@sums
def log_softmax_row(x, i, out):
    top, total = largest(x, i), out.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp(x[i, j] - top)
    log_total = np.log(total)
    for j in range(x.shape[1]):
        shifted = x[i, j] - top
        out[i, j] = shifted - log_total


@kernel("r2 w2")
def run_log_softmax(x, out):
    if not x.size:
        return
    for i in numba.prange(len(x)):
        log_softmax_row(x, i, out)


@sums
def log_softmax_backward_row(y, grad, i, out):
    total = out.dtype.type(0)
    for j in range(y.shape[1]):
        total += grad[i, j]
    for j in range(y.shape[1]):
        out[i, j] = grad[i, j] - exp(y[i, j]) * total


@kernel("r2 r2 w2")
def run_log_softmax_backward(y, grad, out):
    for i in numba.prange(len(y)):
        log_softmax_backward_row(y, grad, i, out)


def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n)."""
    run_softmax(x, NO_MASK if mask is None else mask, out, alone=x.size < SMALL)


def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    run_softmax_backward(y, grad, out, alone=y.size < SMALL)


def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) -> out (N, n)."""
    run_log_softmax(x, out, alone=x.size < SMALL)


def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    run_log_softmax_backward(y, grad, out, alone=y.size < SMALL)
