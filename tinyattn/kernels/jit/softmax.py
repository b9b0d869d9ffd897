"""Softmax, its logarithm, their gradients, and logsumexp; one row at a time, in the cache. Softmax
along the middle axis of (A, n, C) has loops of its own; the others copy columns to rows first.
"""

from collections.abc import Callable

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel, sums
from tinyattn.kernels.jit.copy import copy
from tinyattn.kernels.jit.matmul import dot
from tinyattn.kernels.jit.vmath import bits, exp, unbits

BLOCK = 4096  # terms of a sum in the type of the row; the sums of blocks are added in float64
COLUMNS = 64
NO_MASK = np.empty((0, 0), np.bool_)


@exact
def largest(x, i):
    """The maximum of a row, or NaN if the row contains NaN."""
    top = bits(x[i, 0])
    for j in range(x.shape[1]):
        top = max(top, bits(x[i, j]))
    return unbits(top)


@sums
def row_sum(x):
    total = x.dtype.type(0)
    for j in range(len(x)):
        total += x[j]
    return total


@sums
def softmax_row(x, i, out):
    top, total = largest(x, i), 0.0
    for j in range(x.shape[1]):
        out[i, j] = exp(x[i, j] - top)
    # In a loop of its own: LLVM orders a sum beside a store by where the two arrays lie in memory.
    for begin in range(0, x.shape[1], BLOCK):
        total += row_sum(out[i, begin : begin + BLOCK])
    scale = out.dtype.type(total)
    for j in range(x.shape[1]):
        out[i, j] /= scale


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
            masked_row(x, mask, np.int64(i), out)
        else:
            softmax_row(x, np.int64(i), out)


@sums
def softmax_backward_row(y, grad, i, out):
    total = 0.0
    for begin in range(0, y.shape[1], BLOCK):
        total += dot(y[i, begin : begin + BLOCK], grad[i, begin : begin + BLOCK])
    of_row = out.dtype.type(total)
    for j in range(y.shape[1]):
        out[i, j] = y[i, j] * (grad[i, j] - of_row)


@kernel("r2 r2 w2")
def run_softmax_backward(y, grad, out):
    for i in numba.prange(len(y)):
        softmax_backward_row(y, grad, np.int64(i), out)


@sums
def sum_of_exp(x, i, top):
    total = 0.0
    for begin in range(0, x.shape[1], BLOCK):
        part, terms = x.dtype.type(0), x[i, begin : begin + BLOCK]
        for j in range(len(terms)):
            part += exp(terms[j] - top)
        total += part
    return total


@sums
def log_softmax_row(x, i, out):
    top = largest(x, i)
    log_total = out.dtype.type(np.log(sum_of_exp(x, i, top)))
    for j in range(x.shape[1]):
        shifted = x[i, j] - top
        out[i, j] = shifted - log_total


@kernel("r2 w2")
def run_log_softmax(x, out):
    if not x.size:
        return
    for i in numba.prange(len(x)):
        log_softmax_row(x, np.int64(i), out)


@sums
def log_softmax_backward_row(y, grad, i, out):
    of_row = 0.0
    for begin in range(0, y.shape[1], BLOCK):
        of_row += row_sum(grad[i, begin : begin + BLOCK])
    total = out.dtype.type(of_row)
    for j in range(y.shape[1]):
        out[i, j] = grad[i, j] - exp(y[i, j]) * total


@kernel("r2 r2 w2")
def run_log_softmax_backward(y, grad, out):
    for i in numba.prange(len(y)):
        log_softmax_backward_row(y, grad, np.int64(i), out)


@kernel("r2 w1")
def run_logsumexp(x, out):
    for i in numba.prange(len(x)):
        top = largest(x, np.int64(i)) if x.shape[1] else x.dtype.type(0)
        if np.isinf(top):
            top = x.dtype.type(0)
        out[i] = np.log(sum_of_exp(x, np.int64(i), top)) + top


# Along the middle axis, COLUMNS columns at a time: a loop over them works in vector registers.


@exact
def raise_tops(x, tops):
    for c in range(len(x)):
        tops[c] = x[c] if (x[c] > tops[c]) | (x[c] != x[c]) else tops[c]


@exact
def exponentials(x, tops, totals, out):
    for c in range(len(x)):
        out[c] = exp(x[c] - tops[c])
        totals[c] += np.float64(out[c])


@exact
def divide(out, totals):
    for c in range(len(out)):
        out[c] /= out.dtype.type(totals[c])


@exact
def softmax_columns(x, first, last, out):
    """Columns `first` to `last` of x (n, C)."""
    tops, totals = x[0, first:last].copy(), np.zeros(last - first)
    for i in range(len(x)):
        raise_tops(x[i, first:last], tops)
    for i in range(len(x)):
        exponentials(x[i, first:last], tops, totals, out[i, first:last])
    for i in range(len(x)):
        divide(out[i, first:last], totals)


@kernel("r3 w3")
def run_softmax_columns(x, out):
    A, _, C = x.shape
    blocks = (C + COLUMNS - 1) // COLUMNS
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * COLUMNS
        softmax_columns(x[a], first, min(C, first + COLUMNS), out[a])


@exact
def add_products(y, grad, totals):
    for c in range(len(y)):
        totals[c] += np.float64(y[c]) * np.float64(grad[c])


@exact
def subtract(y, grad, totals, out):
    for c in range(len(y)):
        out[c] = y[c] * (grad[c] - out.dtype.type(totals[c]))


@exact
def softmax_backward_columns(y, grad, first, last, out):
    totals = np.zeros(last - first)
    for i in range(len(y)):
        add_products(y[i, first:last], grad[i, first:last], totals)
    for i in range(len(y)):
        subtract(y[i, first:last], grad[i, first:last], totals, out[i, first:last])


@kernel("r3 r3 w3")
def run_softmax_backward_columns(y, grad, out):
    A, _, C = y.shape
    blocks = (C + COLUMNS - 1) // COLUMNS
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * COLUMNS
        softmax_backward_columns(y[a], grad[a], first, min(C, first + COLUMNS), out[a])


def as_rows(x: Array) -> Array:
    """(N, n) itself, or the columns of (A, n, C) as rows."""
    if x.ndim == 2:
        return x
    A, n, C = x.shape
    if C == 1:
        return x.reshape(A, n)
    rows = empty((A, C, n), x.dtype)
    copy(x.swapaxes(1, 2), rows)
    return rows.reshape(A * C, n)


def by_rows(function: Callable[[Array], None], out: Array) -> None:
    """Let function write the rows of out (N, n), or the columns of out (A, n, C)."""
    if out.ndim == 2 or out.shape[2] == 1:
        function(out.reshape(out.shape[:2]))
        return
    A, n, C = out.shape
    rows = empty((A * C, n), out.dtype)
    function(rows)
    copy(rows.reshape(A, C, n).swapaxes(1, 2), out)


def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n); or x (A, n, C) -> (A, n, C)."""
    alone = x.size < SMALL
    if x.ndim == 2:
        run_softmax(x, NO_MASK if mask is None else mask, out, alone=alone)
    elif x.size:
        run_softmax_columns(x, out, alone=alone)


def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    alone = y.size < SMALL
    if y.ndim == 2:
        run_softmax_backward(y, grad, out, alone=alone)
    else:
        run_softmax_backward_columns(y, grad, out, alone=alone)


def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) or (A, n, C) -> out."""
    by_rows(lambda rows: run_log_softmax(as_rows(x), rows, alone=x.size < SMALL), out)


def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    alone = y.size < SMALL
    by_rows(
        lambda rows: run_log_softmax_backward(as_rows(y), as_rows(grad), rows, alone=alone), out
    )


def logsumexp(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    run_logsumexp(as_rows(x), out.reshape(-1), alone=x.size < SMALL)
