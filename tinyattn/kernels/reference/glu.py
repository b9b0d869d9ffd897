"""GLU of x (A, 2, C), whose halves are a and b:  y = a s  with  s = 1 / (1 + e^-b).

da = dy s,   db = dy a s (1 - s),   as ds/db = s (1 - s).
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def glu(x: Array, out: Array) -> None:
    """x (A, 2, C) -> out (A, C)."""
    out[...] = x[:, 0] / (1 + np.exp(-x[:, 1]))


@np.errstate(all="ignore")
def glu_backward(grad: Array, x: Array, out: Array) -> None:
    """grad (A, C), x (A, 2, C) -> out (A, 2, C)."""
    s = 1 / (1 + np.exp(-x[:, 1]))
    out[:, 0] = grad * s
    out[:, 1] = out[:, 0] * x[:, 0] * (1 - s)
