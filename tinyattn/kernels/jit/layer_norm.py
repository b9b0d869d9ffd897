"""Layer normalisation over the last axis, a row at a time; the weights' gradients in fixed blocks
of rows. The same loops without means (`mean` empty) are RMS normalisation.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel, sums

BLOCK = 16  # rows; each block adds up its share of the weights' gradients


@sums
def forward_row(x, i, weight, bias, eps, out, mean, rstd):
    """Row i of x: its normalised values in out, its mean and its reciprocal deviation."""
    D = x.shape[1]
    real = x.dtype.type
    m, square = real(0), 0.0
    if mean.size:
        total = 0.0
        for j in range(D):
            total += x[i, j]
        m = real(total / D)
        mean[i] = m
    for j in range(D):
        centred = x[i, j] - m
        square += centred * centred
    s = real(1 / np.sqrt(square / D + eps))
    for j in range(D):
        out[i, j] = (x[i, j] - m) * s
    if weight.size:
        for j in range(D):
            out[i, j] *= weight[j]
    if bias.size:
        for j in range(D):
            out[i, j] += bias[j]
    rstd[i] = s


@kernel("r2 r1 r1 float w2 w1 w1")
def forward(x, weight, bias, eps, out, mean, rstd):
    """x (N, D) -> out (N, D), mean, rstd (N,); a task is one row. weight, bias or mean may be
    empty."""
    for i in numba.prange(len(x)):
        forward_row(x, i, weight, bias, eps, out, mean, rstd)


@sums
def backward_rows(grad, x, mean, rstd, weight, begin, end, dx, dweight, dbias):
    """Rows begin..end: dx, and the sums of these rows for dweight and dbias (D,)."""
    D = x.shape[1]
    real = x.dtype.type
    for j in range(D):
        dweight[j] = dbias[j] = 0
    for i in range(begin, end):
        m, s = mean[i] if mean.size else real(0), rstd[i]
        of_g = of_gx = real(0)
        for j in range(D):
            dx[i, j] = grad[i, j] * weight[j] if weight.size else grad[i, j]
        for j in range(D):
            xhat = (x[i, j] - m) * s
            dweight[j] += grad[i, j] * xhat
            dbias[j] += grad[i, j]
        for j in range(D):
            of_g += dx[i, j]
            of_gx += dx[i, j] * ((x[i, j] - m) * s)
        of_g = of_g / real(D) if mean.size else real(0)
        of_gx /= real(D)
        for j in range(D):
            xhat = (x[i, j] - m) * s
            dx[i, j] = s * (dx[i, j] - of_g - xhat * of_gx)


@sums
def backward_blocks(grad, x, mean, rstd, weight, begin, end, dx, dweight, dbias):
    """Rows begin..end, block by block: dx, and what the rows add to dweight and dbias (D,), which
    are float64."""
    D = x.shape[1]
    of_weight, of_bias = np.empty(D, x.dtype), np.empty(D, x.dtype)  # of a block
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        backward_rows(grad, x, mean, rstd, weight, start, stop, dx, of_weight, of_bias)
        for j in range(D):
            dweight[j] += of_weight[j]
            dbias[j] += of_bias[j]


@kernel("r2 r2 r1 r1 r1 w2 w1 w1")
def backward(grad, x, mean, rstd, weight, dx, dweight, dbias):
    """grad, x (N, D) -> dx (N, D), dweight, dbias (D,). Each task adds up a range of rows; the
    totals of the tasks are added at the end, in order."""
    N, D = x.shape
    tasks = min(64, (N + BLOCK - 1) // BLOCK)
    dweights = np.zeros((tasks, D))  # float64, so that sums over many rows do not drift
    dbiases = np.zeros((tasks, D))
    for task in numba.prange(tasks):
        begin, end = N * task // tasks, N * (task + 1) // tasks
        backward_blocks(grad, x, mean, rstd, weight, begin, end, dx, dweights[task], dbiases[task])
    for j in range(D):
        of_weight = of_bias = 0.0
        for task in range(tasks):
            of_weight += dweights[task, j]
            of_bias += dbiases[task, j]
        dweight[j] = of_weight
        dbias[j] = of_bias


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    out: Array,
    mean: Array,
    rstd: Array,
) -> None:
    """x (N, D), weight, bias (D,) -> out (N, D), mean (N,), rstd (N,)."""
    none = np.empty(0, x.dtype)
    weight, bias = (none if array is None else array for array in (weight, bias))
    forward(x, weight, bias, eps, out, mean, rstd, alone=x.size < SMALL)


def layer_norm_backward(
    grad: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None,
    dx: Array,
    dweight: Array,
    dbias: Array,
) -> None:
    """grad, x (N, D), mean, rstd (N,), weight (D,) -> dx (N, D), dweight (D,), dbias (D,)."""
    none = np.empty(0, x.dtype)
    affine = none if weight is None else weight
    backward(grad, x, mean, rstd, affine, dx, dweight, dbias, alone=x.size < SMALL)


def rms_norm(x: Array, weight: Array | None, eps: float, out: Array, rstd: Array) -> None:
    """x (N, D), weight (D,) -> out (N, D), rstd (N,)."""
    layer_norm(x, weight, None, eps, out, np.empty(0, x.dtype), rstd)


def rms_norm_backward(
    grad: Array, x: Array, rstd: Array, weight: Array | None, dx: Array, dweight: Array
) -> None:
    """grad, x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
    none, dbias = np.empty(0, x.dtype), np.empty_like(dweight)
    layer_norm_backward(grad, x, none, rstd, weight, dx, dweight, dbias)
