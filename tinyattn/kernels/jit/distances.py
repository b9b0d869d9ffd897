"""Directions and distances of rows, in Numba; a task is a row. Look first at `size_of`."""

import math

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.reductions import add_one, whole
from tinyattn.kernels.reference.distances import SMALLEST


@exact
def dot(x, y, scale):
    """sum_i (scale x_i) (scale y_i), with what rounding loses; float64."""
    s, lost = np.zeros(8), np.zeros(8)
    for i in range(len(x)):
        add_one(s, lost, i % 8, (scale * np.float64(x[i])) * (scale * np.float64(y[i])))
    for k in range(1, 8):
        add_one(s, lost, 0, s[k])
        lost[0] += lost[k]
    return whole(s[0], lost[0])


@exact
def size_of(x):
    """|x|. Where the squares over- or underflow x is scaled by a power of 2."""
    squares = dot(x, x, 1.0)
    if squares != squares or SMALLEST < squares < np.inf:
        return math.sqrt(squares)
    largest = 0.0
    for i in range(len(x)):
        largest = max(largest, abs(np.float64(x[i])))
    if largest == 0 or largest == np.inf:
        return largest
    exponent = max(math.frexp(largest)[1], -1000)
    return math.ldexp(math.sqrt(dot(x, x, math.ldexp(1.0, -exponent))), exponent)


@kernel("r2 float w2 s1")
def run_normalize(x, eps, y, size):
    for n in numba.prange(len(x)):
        size[n] = size_of(x[n])
        a = max(size[n], eps)
        for i in range(x.shape[1]):
            y[n, i] = np.float64(x[n, i]) / a


def normalize(x: Array, eps: float, y: Array, size: Array) -> None:
    """x (N, D) -> y (N, D), size (N,) in float64, which is |x|."""
    run_normalize(x, eps, y, size, alone=x.size < SMALL)


@kernel("r2 r2 d1 float w2")
def run_normalize_backward(grad, x, size, eps, dx):
    for n in numba.prange(len(x)):
        a, along = max(size[n], eps), 0.0
        if size[n] >= eps and size[n] != 0:
            along = dot(grad[n], x[n], 1.0) / a / size[n]
        for i in range(x.shape[1]):
            dx[n, i] = (np.float64(grad[n, i]) - along * np.float64(x[n, i])) / a


def normalize_backward(grad: Array, x: Array, size: Array, eps: float, dx: Array) -> None:
    """grad, x (N, D), size (N,) of normalize -> dx (N, D)."""
    run_normalize_backward(grad, x, size, eps, dx, alone=x.size < SMALL)


@exact
def cosine_of(x, y, eps):
    """|x|, |y|, a, b and c of two rows."""
    of_x, of_y = size_of(x), size_of(y)
    a, b = max(of_x, eps), max(of_y, eps)
    s, lost = np.zeros(1), np.zeros(1)
    for i in range(len(x)):
        add_one(s, lost, 0, (np.float64(x[i]) / a) * (np.float64(y[i]) / b))
    return of_x, of_y, a, b, whole(s[0], lost[0])


@kernel("r2 r2 float w1")
def run_cosine(x, y, eps, c):
    for n in numba.prange(len(x)):
        c[n] = cosine_of(x[n], y[n], eps)[4]


def cosine(x: Array, y: Array, eps: float, c: Array) -> None:
    """x, y (N, D) -> c (N,)."""
    run_cosine(x, y, eps, c, alone=x.size < SMALL)


@kernel("r1 r2 r2 float w2 w2")
def run_cosine_backward(grad, x, y, eps, dx, dy):
    for n in numba.prange(len(x)):
        of_x, of_y, a, b, c = cosine_of(x[n], y[n], eps)
        again_x = c / of_x if of_x != 0 else c  # which is 0 there, or NaN
        again_y = c / of_y if of_y != 0 else c
        g = np.float64(grad[n])
        for i in range(x.shape[1]):
            v, w = np.float64(x[n, i]), np.float64(y[n, i])
            dx[n, i] = (w / b - again_x * v) * (g / a)
            dy[n, i] = (v / a - again_y * w) * (g / b)


def cosine_backward(grad: Array, x: Array, y: Array, eps: float, dx: Array, dy: Array) -> None:
    """grad (N,), x, y (N, D) -> dx, dy (N, D)."""
    run_cosine_backward(grad, x, y, eps, dx, dy, alone=x.size < SMALL)


@kernel("r2 r2 float w1 s1")
def run_pairwise(x, y, eps, d, size):
    for n in numba.prange(len(x)):
        w = (x[n] - y[n]) + x.dtype.type(eps)
        size[n] = size_of(w)
        d[n] = size[n]


def pairwise(x: Array, y: Array, eps: float, d: Array, size: Array) -> None:
    """x, y (N, D) -> d (N,), and size (N,), the same in float64."""
    run_pairwise(x, y, eps, d, size, alone=x.size < SMALL)


@kernel("r1 r2 r2 d1 float w2")
def run_pairwise_backward(grad, x, y, size, eps, dx):
    for n in numba.prange(len(x)):
        for i in range(x.shape[1]):
            w = np.float64((x[n, i] - y[n, i]) + x.dtype.type(eps))
            dx[n, i] = 0 if w == 0 or size[n] == 0 else grad[n] * (w / size[n])


def pairwise_backward(grad: Array, x: Array, y: Array, size: Array, eps: float, dx: Array) -> None:
    """grad (N,), x, y (N, D), size (N,) of pairwise -> dx (N, D)."""
    run_pairwise_backward(grad, x, y, size, eps, dx, alone=x.size < SMALL)
