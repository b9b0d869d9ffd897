"""GLU of two halves, and its gradient; see reference/glu.py."""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel
from tinyattn.kernels.jit.vmath import exp


@kernel("r3 w2")
def run_glu(x, out):
    """A row of x (A, 2, C) after another into out (A, C)."""
    for row in numba.prange(len(x)):
        for i in range(x.shape[2]):
            out[row, i] = x[row, 0, i] / (1 + exp(-x[row, 1, i]))


@kernel("r2 r3 w3")
def run_glu_backward(grad, x, out):
    """The same for the gradient, into out (A, 2, C)."""
    for row in numba.prange(len(x)):
        for i in range(x.shape[2]):
            s = 1 / (1 + exp(-x[row, 1, i]))
            out[row, 0, i] = grad[row, i] * s
            out[row, 1, i] = out[row, 0, i] * x[row, 0, i] * (1 - s)


def glu(x: Array, out: Array) -> None:
    """x (A, 2, C) -> out (A, C)."""
    run_glu(x, out, alone=x.size < SMALL)


def glu_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, 2, C) -> out (A, 2, C)."""
    run_glu_backward(grad, x, out, alone=x.size < SMALL)
