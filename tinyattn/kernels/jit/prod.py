"""Products over the middle axis of (A, n, C), running products along it, and their gradients; see
reference/prod.py.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel

LINES = 16  # that a walk goes along side by side


@kernel("r3 w2")
def run_prod(x, out):
    """LINES columns at a time."""
    A, n, C = x.shape
    blocks = (C + LINES - 1) // LINES
    for part in numba.prange(A * blocks):
        a, begin = part // blocks, part % blocks * LINES
        product = np.ones(min(LINES, C - begin))
        for i in range(n):
            for j in range(len(product)):
                product[j] *= x[a, i, begin + j]
        for j in range(len(product)):
            out[a, begin + j] = product[j]


@exact
def walk(x, grad, before, out, of_all):
    """The gradient of prod (of_all; grad is the same in every row) or of cumprod. All are (n,
    lines); before is room."""
    n, lines = x.shape
    product, after = np.ones(lines), np.zeros(lines)
    for i in range(n):
        for j in range(lines):
            before[i, j] = product[j]
            product[j] *= x[i, j]
    for k in range(n):
        i = n - 1 - k
        for j in range(lines):
            if k == 0 or not of_all:
                after[j] += grad[i, j]
            out[i, j] = before[i, j] * after[j]
            after[j] *= x[i, j]


@exact
def running(x, out):
    """The running products of (n, lines)."""
    n, lines = x.shape
    product = np.ones(lines)
    for i in range(n):
        for j in range(lines):
            product[j] *= x[i, j]
            out[i, j] = product[j]


@kernel("v3 r3 w3 bool")
def run_backward(grad, x, out, of_all):
    """LINES lines at a time: rows, or columns of one matrix. grad is as large as x."""
    A, n, C = x.shape
    side = A if C == 1 else C
    blocks = (side + LINES - 1) // LINES
    units = blocks if C == 1 else A * blocks
    for part in numba.prange(units):
        a, begin = part // blocks, part % blocks * LINES
        end = min(side, begin + LINES)
        before = np.empty((n, end - begin))
        if C == 1:
            rows = out[begin:end, :, 0].T
            walk(x[begin:end, :, 0].T, grad[begin:end, :, 0].T, before, rows, of_all)
        else:
            columns = out[a, :, begin:end]
            walk(x[a, :, begin:end], grad[a, :, begin:end], before, columns, of_all)


@kernel("r3 w3")
def run_cumprod(x, out):
    """LINES lines at a time: rows, or columns of one matrix."""
    A, _, C = x.shape
    side = A if C == 1 else C
    blocks = (side + LINES - 1) // LINES
    units = blocks if C == 1 else A * blocks
    for part in numba.prange(units):
        a, begin = part // blocks, part % blocks * LINES
        end = min(side, begin + LINES)
        if C == 1:
            running(x[begin:end, :, 0].T, out[begin:end, :, 0].T)
        else:
            running(x[a, :, begin:end], out[a, :, begin:end])


def prod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    run_prod(x, out, alone=x.size < SMALL)


def prod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, n, C) -> out (A, n, C)."""
    spread = np.broadcast_to(grad[:, None], x.shape)
    run_backward(spread, x, out, True, alone=x.size < SMALL)


def cumprod(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C)."""
    run_cumprod(x, out, alone=x.size < SMALL)


def cumprod_backward(grad: Array, x: Array, out: Array) -> None:
    """grad, x (A, n, C) -> out (A, n, C)."""
    run_backward(grad, x, out, False, alone=x.size < SMALL)
