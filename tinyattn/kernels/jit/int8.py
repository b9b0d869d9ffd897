"""Products with 8-bit integers; see reference/int8.py. A thread has some rows of x."""

import numba
import numpy as np

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.jit.compiling import SMALL, kernel


@kernel("r2 c2 r1 r1 w2")
def run(x, weight, scale, bias, out):
    """bias is empty where there is none."""
    N, K = x.shape
    F = len(weight)
    largest, smallest = x.dtype.type(127), x.dtype.type(1e-30)
    for n in numba.prange(N):
        most, finite = x.dtype.type(0), True
        for k in range(K):
            size = abs(x[n, k])
            finite = finite and size < np.inf
            most = max(most, size)
        used = finite and most >= smallest
        inverse = largest / most if used else x.dtype.type(0)
        rounded = np.empty(K, np.int16)
        for k in range(K):
            rounded[k] = np.int16(np.rint(x[n, k] * inverse)) if used else 0
        step = (most if used else x.dtype.type(0 if finite else np.nan)) / largest
        for f in range(F):
            total = np.int32(0)
            for k in range(K):
                total += np.int32(rounded[k]) * (np.int32(weight[f, k]) - np.int32(128))
            y = x.dtype.type(total) * (step * scale[f])
            out[n, f] = y + bias[f] if len(bias) else y


def int8_linear(
    x: Array, weight: Array, scale: Array, bias: Array | None, packings: Packings | None, out: Array
) -> None:
    """x (N, K), weight (F, K), scale (F,), bias (F,) -> out (N, F)."""
    none = np.empty(0, x.dtype)
    run(x, weight, scale, none if bias is None else bias, out, alone=x.size * len(weight) < SMALL)


@kernel("r1 c2 i1 w2")
def run_rows(scale, weight, index, out):
    """A row of out after another."""
    for n in numba.prange(len(index)):
        for d in range(out.shape[1]):
            q = np.int32(weight[index[n], d]) - np.int32(128)
            out[n, d] = scale.dtype.type(q) * scale[index[n]]


def int8_rows(index: Array, weight: Array, scale: Array, out: Array) -> None:
    """index (N,), weight (V, D), scale (V,) -> out (N, D)."""
    run_rows(scale, weight, index, out, alone=out.size < SMALL)
