"""Functions of one number, applied to every element.

    exp x = e^x,   tanh x = (e^x - e^-x) / (e^x + e^-x),   sigmoid x = 1 / (1 + e^-x)

Each derivative is a function of the result y: exp' = y, tanh' = 1 - y^2, sigmoid' = y (1 - y).
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def exp(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    np.exp(x, out=out)


@np.errstate(all="ignore")
def tanh(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    np.tanh(x, out=out)


@np.errstate(all="ignore")
def sigmoid(x: Array, out: Array) -> None:
    """x (...) -> out (...)."""
    np.divide(1, 1 + np.exp(-x), out=out)  # e^-x may be infinite; 1 / infinity = 0 is right
