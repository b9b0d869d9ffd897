"""Pooling over time, row by row; see reference/pooling.py."""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.reductions import add_one, whole
from tinyattn.kernels.windows import Windows, borders


@exact
def first_largest(x, begin, end, step):
    """The place of the first largest number of a window that has one."""
    at = begin
    for u in range(begin + step, end, step):
        if x[at] == x[at] and not x[u] <= x[at]:
            at = u
    return at


@kernel("r2 i1 i1 int w2")
def run_max_pool(x, begin, end, step, out):
    for row in numba.prange(len(x)):
        for t in range(len(begin)):
            out[row, t] = -np.inf
            if begin[t] < end[t]:
                out[row, t] = x[row, first_largest(x[row], begin[t], end[t], step)]


@kernel("r2 r2 i1 i1 int w2")
def run_max_pool_backward(grad, x, begin, end, step, out):
    for row in numba.prange(len(x)):
        out[row] = 0
        for t in range(len(begin)):
            if begin[t] < end[t]:
                out[row, first_largest(x[row], begin[t], end[t], step)] += grad[row, t]


@kernel("r2 i1 i1 int w2")
def run_mean_pool(x, begin, end, divisor, out):
    for row in numba.prange(len(x)):
        s, lost = np.zeros(1), np.zeros(1)
        for t in range(len(begin)):
            s[0] = lost[0] = 0
            for u in range(begin[t], end[t]):
                add_one(s, lost, 0, np.float64(x[row, u]))
            count = divisor if divisor else max(end[t] - begin[t], 0)
            out[row, t] = whole(s[0], lost[0]) / count


@kernel("r2 i1 i1 int w2")
def run_mean_pool_backward(grad, begin, end, divisor, out):
    T = out.shape[1]
    for row in numba.prange(len(out)):
        s, lost = np.zeros(T), np.zeros(T)
        for t in range(len(begin)):
            count = divisor if divisor else end[t] - begin[t]
            for u in range(begin[t], end[t]):
                add_one(s, lost, u, np.float64(grad[row, t]) / count)
        for u in range(T):
            out[row, u] = whole(s[u], lost[u])


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    run_max_pool(x, *borders(windows), windows.dilation, out, alone=x.size < SMALL)


def max_pool_backward(grad: Array, x: Array, windows: Windows, out: Array) -> None:
    """grad (N, n), x (N, T) -> out (N, T)."""
    step = windows.dilation
    run_max_pool_backward(grad, x, *borders(windows), step, out, alone=x.size < SMALL)


def mean_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    run_mean_pool(x, *borders(windows), windows.divisor, out, alone=x.size < SMALL)


def mean_pool_backward(grad: Array, windows: Windows, out: Array) -> None:
    """grad (N, n) -> out (N, T)."""
    run_mean_pool_backward(grad, *borders(windows), windows.divisor, out, alone=out.size < SMALL)
