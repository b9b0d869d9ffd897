"""Activations: relu, gelu, silu, softplus, elu, glu, ... Look at SiLU first.

Each is an elementwise kernel with its backward, which computes the slope f'(x) again from x: that
moves fewer bytes than saving it. The function that applies an operation stands under its class.
"""

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.sums import fold
from tinyattn.ops._arguments import as_axis, as_floats, as_number
from tinyattn.ops._in_place import check_in_place, rebind
from tinyattn.ops.elementwise import Unary, floating, not_bool


def _activate(operation: type[Function], input: Tensor, inplace: bool, *options: float) -> Tensor:
    """The operation, written into input if inplace is True."""
    name = operation.__name__.lower()
    if inplace:
        check_in_place(f"{name}_", input)
    result = operation.apply(input, *options)
    return rebind(f"{name}_", input, result) if inplace else result


class ReLU(Unary):
    """y = max(x, 0);   dx = dy where x > 0, else 0 (NaN passes dy, as in PyTorch)."""

    switches_off = True
    keeps = "y"
    kernel = "relu"
    other = staticmethod(lambda x: np.maximum(x, 0))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), element by element; the gradient at 0 is 0.

    >>> ta.relu(ta.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return _activate(ReLU, not_bool(input), inplace)


class LeakyReLU(Unary):
    """y = x where x > 0, else p x;   f' = 1 where x > 0, else p."""

    kernel = "leaky_relu"


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where it is positive, else negative_slope * input."""
    slope = as_number(negative_slope, "negative_slope")
    return _activate(LeakyReLU, as_floats(input, "input", "leaky_relu"), inplace, slope)


class ELU(Unary):
    """y = x where x > 0, else p (e^x - 1);   f' = 1 where x > 0, else p e^x.
    (Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289)"""

    kernel = "elu"


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    scale = as_number(alpha, "alpha")
    return _activate(ELU, as_floats(input, "input", "elu"), inplace, scale)


class SiLU(Unary):
    """y = x s  with  s = 1 / (1 + e^-x);   f' = s + x s (1 - s)."""

    kernel = "silu"


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input), also called swish.

    (Elfwing, Uchibe, Doya 2017, arXiv:1702.03118)
    """
    return _activate(SiLU, as_floats(input, "input", "silu"), inplace)


class GELU(Unary):
    """y = x P(x), P the distribution function of the normal distribution;   f' = P + x p  with
    p(x) = P'(x) = e^(-x^2 / 2) / sqrt(2 pi).   (Hendrycks, Gimpel 2016, arXiv:1606.08415)"""

    kernel = "gelu"


class GELUTanh(Unary):
    """y = x (1 + t) / 2  with  t = tanh(u),  u = k (x + c x^3),  k = sqrt(2 / pi), c = 0.044715;
    f' = (1 + t) / 2 + x (1 - t^2) u' / 2,  u' = k (1 + 3 c x^2)."""

    kernel = "gelu_tanh"


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input * P(X <= input), where X is normal with mean 0 and variance 1.

    approximate: "none", or "tanh" for the approximation that the GPT models use.

    >>> F.gelu(ta.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.    ,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate: expected 'none' or 'tanh', got {approximate!r}")
    return (GELU if approximate == "none" else GELUTanh).apply(as_floats(input, "input", "gelu"))


class Softplus(Unary):
    """y = log(1 + e^z) / p  with  z = p x;   f' = 1 / (1 + e^-z).  Where z > q, y is x.

    log(1 + e^z) = max(z, 0) + log(1 + e^-|z|), where nothing overflows.
    """

    kernel = "softplus"


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold."""
    scale, limit = as_number(beta, "beta"), as_number(threshold, "threshold")
    return Softplus.apply(as_floats(input, "input", "softplus"), scale, limit)


class LogSigmoid(Unary):
    """y = log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e^-|x|);   f' = 1 / (1 + e^x)."""

    kernel = "logsigmoid"


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(input)), exact where sigmoid would become 0."""
    return LogSigmoid.apply(as_floats(input, "input", "logsigmoid"))


class Softsign(Unary):
    """y = x / (1 + |x|);   f' = 1 / (1 + |x|)^2."""

    kernel = "softsign"


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|); integers give float32."""
    return Softsign.apply(floating(not_bool(input)))


class GLU(Function):
    """y = a s  with  s = 1 / (1 + e^-b), x the two halves [a | b];   da = dy s,
    db = dy a s (1 - s).   (Dauphin et al. 2017, arXiv:1612.08083)"""

    fresh = True

    def forward(self, x: Array, axis: int) -> Array:
        self.kernels = backend()
        A, n, C = fold(x.shape, (axis,)).middle
        self.halves = A, 2, n // 2 * C
        self.save(x=x)
        y = self.kernels.glu(x.reshape(self.halves))
        return y.reshape(*x.shape[:axis], n // 2, *x.shape[axis + 1 :])

    def backward(self, grad: Array) -> Array:
        x, (A, _, C) = self.saved["x"], self.halves
        dx = self.kernels.glu_backward(grad.reshape(A, C), x.reshape(self.halves))
        return dx.reshape(x.shape)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the first and the second half of input along dim.

    RuntimeError if the size of that dimension is odd.
    """
    shape = as_floats(input, "input", "glu")._array.shape
    if not shape:
        raise RuntimeError("glu: input: expected at least 1 dimension, got a scalar")
    axis = as_axis(dim, len(shape))
    if shape[axis] % 2:
        raise RuntimeError(
            f"glu: input: expected an even size of dimension {axis}, which is halved, got "
            f"{shape[axis]}"
        )
    return GLU.apply(input, axis)
