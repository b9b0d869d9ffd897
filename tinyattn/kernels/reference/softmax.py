"""Softmax and its logarithm with their gradients, and logsumexp: along the last axis of (N, n), or
the middle one of (A, n, C).

Softmax, with m = max(x) so that no exponential overflows (the factor e^-m cancels):

    y_i = e^(x_i - m) / sum_j e^(x_j - m)

Its derivative is dy_i/dx_j = y_i ([i = j] - y_j), so for a gradient g at y

    dx_j = sum_i g_i y_i ([i = j] - y_j) = y_j (g_j - sum_i g_i y_i).

The logarithm, l_i = (x_i - m) - log sum_j e^(x_j - m), has dl_i/dx_j = [i = j] - e^(l_j), so

    dx_j = g_j - e^(l_j) sum_i g_i.

logsumexp = m + log sum_j e^(x_j - m), where 0 stands for an infinite m.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import finer, total


def summed(x: Array) -> Array:
    """The sum over axis 1, which is kept; none drifts, however many terms it has."""
    s, lost = total(x if x.ndim == 3 else x[..., None])
    return (s + lost).reshape(x.shape[0], 1, *x.shape[2:])


@np.errstate(all="ignore")
def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n); or x (A, n, C) -> (A, n, C)."""
    x = finer(x)
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    e = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
    out[...] = e / summed(e)
    if mask is not None:
        out[~mask.any(axis=1)] = 0


@np.errstate(all="ignore")
def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    y, grad = finer(y), finer(grad)
    out[...] = y * (grad - summed(grad * y))


@np.errstate(all="ignore")
def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) or (A, n, C) -> out."""
    shifted = finer(x) - x.max(axis=1, keepdims=True, initial=-np.inf)
    out[...] = shifted - np.log(summed(np.exp(shifted)))


@np.errstate(all="ignore")
def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) or (A, n, C) -> out."""
    y, grad = finer(y), finer(grad)
    out[...] = grad - np.exp(y) * summed(grad)


@np.errstate(all="ignore")
def logsumexp(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C)."""
    x = finer(x)
    top = x.max(axis=1, keepdims=True, initial=-np.inf)
    top[np.isinf(top)] = 0
    out[...] = (np.log(summed(np.exp(x - top))) + top)[:, 0]
