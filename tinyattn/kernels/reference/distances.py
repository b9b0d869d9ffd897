"""Directions and distances of rows of D numbers, and their gradients:

    normalize   y = x / a  with  a = max(|x|, eps)
    cosine      c = (x / a) . (y / b)  with  a = max(|x|, eps), b = max(|y|, eps)
    pairwise    d = |w|  with  w = x - y + eps

With u = x / |x|, 0 where x is 0, d|x| = u dx. So

    normalize   dx = (g - (g . y) u) / a,  without the second term where |x| < eps
    cosine      dx = (y / b - c u) g / a,  and dy likewise (where |x| < eps, too, as in PyTorch)
    pairwise    dx = g w / d, 0 where w or d is 0,  dy = -dx

|x|^2 of doubles may over- or underflow: the row is then scaled by a power of 2.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import finer, total

SMALLEST = 2.0**-960  # squares of float64 below it have lost digits to underflow


def sizes(x: Array) -> Array:
    """x (N, D) -> |x| in float64, (N, 1)."""
    x = finer(x)
    powers = _sums(x * x)
    if (np.isfinite(powers) & (powers > SMALLEST)).all():
        return np.sqrt(powers)
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    exponent = np.frexp(largest)[1]
    scaled = np.ldexp(x, -exponent)
    return np.ldexp(np.sqrt(_sums(scaled * scaled)), exponent)


def _sums(x: Array) -> Array:
    """x (N, D) -> (N, 1), the sums of the rows."""
    return np.add(*total(x[:, :, None]))


def _unit(x: Array, size: Array) -> Array:
    return np.where(size == 0, 0, x / size)


@np.errstate(all="ignore")
def normalize(x: Array, eps: float, y: Array, size: Array) -> None:
    """x (N, D) -> y (N, D), size (N,) in float64, which is |x|."""
    size[:] = sizes(x)[:, 0]
    y[...] = x / np.maximum(size, eps)[:, None]


@np.errstate(all="ignore")
def normalize_backward(grad: Array, x: Array, size: Array, eps: float, dx: Array) -> None:
    """grad, x (N, D), size (N,) of normalize -> dx (N, D)."""
    size = size[:, None]
    a = np.maximum(size, eps)
    along = np.where((size < eps) | (size == 0), 0, _sums(finer(grad) * (x / a)))
    dx[...] = (grad - along * _unit(x, size)) / a


@np.errstate(all="ignore")
def cosine(x: Array, y: Array, eps: float, c: Array) -> None:
    """x, y (N, D) -> c (N,)."""
    of_x, of_y = sizes(x), sizes(y)
    c[...] = _sums((x / np.maximum(of_x, eps)) * (y / np.maximum(of_y, eps)))[:, 0]


@np.errstate(all="ignore")
def cosine_backward(grad: Array, x: Array, y: Array, eps: float, dx: Array, dy: Array) -> None:
    """grad (N,), x, y (N, D) -> dx, dy (N, D)."""
    of_x, of_y = sizes(x), sizes(y)
    a, b = np.maximum(of_x, eps), np.maximum(of_y, eps)
    c = _sums((x / a) * (y / b))
    dx[...] = (y / b - c * _unit(x, of_x)) * (grad[:, None] / a)
    dy[...] = (x / a - c * _unit(y, of_y)) * (grad[:, None] / b)


@np.errstate(all="ignore")
def pairwise(x: Array, y: Array, eps: float, d: Array, size: Array) -> None:
    """x, y (N, D) -> d (N,), and size (N,), the same in float64."""
    size[:] = sizes((x - y) + x.dtype.type(eps))[:, 0]
    d[:] = size


@np.errstate(all="ignore")
def pairwise_backward(grad: Array, x: Array, y: Array, size: Array, eps: float, dx: Array) -> None:
    """grad (N,), x, y (N, D), size (N,) of pairwise -> dx (N, D)."""
    w = (x - y) + x.dtype.type(eps)
    dx[...] = np.where(w == 0, 0, grad[:, None] * _unit(w, size[:, None]))
