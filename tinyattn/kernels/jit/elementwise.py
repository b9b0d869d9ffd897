"""exp, tanh and sigmoid of every element, in chunks that the threads share. The functions of one
number are in vmath.py.
"""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.vmath import exp as exp_of
from tinyattn.kernels.jit.vmath import tanh as tanh_of

CHUNK = 8192


@exact
def exp_chunk(x, out):
    for i in range(len(x)):
        out[i] = exp_of(x[i])


@exact
def tanh_chunk(x, out):
    for i in range(len(x)):
        out[i] = tanh_of(x[i])


@exact
def sigmoid_chunk(x, out):
    one = out.dtype.type(1)
    for i in range(len(x)):
        out[i] = one / (one + exp_of(-x[i]))


@kernel("r1 w1")
def exp_all(x, out):
    for part in numba.prange((len(x) + CHUNK - 1) // CHUNK):
        chunk = slice(part * CHUNK, part * CHUNK + CHUNK)
        exp_chunk(x[chunk], out[chunk])


@kernel("r1 w1")
def tanh_all(x, out):
    for part in numba.prange((len(x) + CHUNK - 1) // CHUNK):
        chunk = slice(part * CHUNK, part * CHUNK + CHUNK)
        tanh_chunk(x[chunk], out[chunk])


@kernel("r1 w1")
def sigmoid_all(x, out):
    for part in numba.prange((len(x) + CHUNK - 1) // CHUNK):
        chunk = slice(part * CHUNK, part * CHUNK + CHUNK)
        sigmoid_chunk(x[chunk], out[chunk])


def exp(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    exp_all(x.reshape(-1), out.reshape(-1), alone=x.size < SMALL)


def tanh(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    tanh_all(x.reshape(-1), out.reshape(-1), alone=x.size < SMALL)


def sigmoid(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    sigmoid_all(x.reshape(-1), out.reshape(-1), alone=x.size < SMALL)
