"""First values of parameters. Every function writes into a tensor, outside the graph, and returns
it; random numbers come from tinyattn's generator, so `manual_seed` repeats them.

fan_in is the number of inputs that one output sums, fan_out the number of outputs that one input
goes to: for a weight (out, in, ...), in and out times the product of the other axes.

Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).
"""

import math

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.modes import no_grad
from tinyattn.compat.deprecated import renamed
from tinyattn.kernels._types import Array
from tinyattn.ops import random

_GAINS = {"sigmoid": 1.0, "linear": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
_GAINS |= dict.fromkeys(("conv1d", "conv2d", "conv3d"), 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers uniform in [a, b)."""
    with no_grad():
        return random.uniform_(tensor, a, b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal numbers, N(mean, std^2)."""
    with no_grad():
        return random.normal_(tensor, mean, std)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Normal numbers, N(mean, std^2), under the condition that they are in [a, b]: the inverse
    distribution function of uniform numbers.
    """
    from scipy.special import ndtr, ndtri  # a quarter of a second to import

    low, high = ndtr((a - mean) / std), ndtr((b - mean) / std)
    drawn = mean + std * ndtri(random.generator.uniform(low, high, tensor.shape))
    return _write("trunc_normal_", tensor, np.clip(drawn, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere."""
    return _write("constant_", tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _write("zeros_", tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _write("ones_", tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal of a matrix, 0 elsewhere. Other than 2 dimensions: ValueError."""
    if tensor.dim() != 2:
        raise ValueError(f"tensor: expected 2 dimensions, got shape {list(tensor.shape)}")
    return _write("eye_", tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Numbers uniform in [-a, a), a = gain sqrt(6 / (fan_in + fan_out))."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal numbers, N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor))))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Numbers uniform in [-b, b), b = gain sqrt(3 / fan), gain = calculate_gain(nonlinearity, a).

    a: the negative slope, where a leaky ReLU follows. mode: which fan, "fan_in" or "fan_out".
    """
    if 0 in tensor.shape:
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal numbers, N(0, std^2), std = gain / sqrt(fan); arguments as for kaiming_uniform_."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Orthogonal rows (columns, if there are fewer of them) of length gain, drawn uniformly.

    Q of the QR decomposition of normal numbers is uniform if the diagonal of R is positive
    (Mezzadri 2007). Fewer than 2 dimensions: ValueError; axes after the first count as columns.
    """
    if tensor.dim() < 2:
        raise ValueError(f"tensor: expected 2 dimensions or more, got shape {list(tensor.shape)}")
    array = tensor._array
    if array.size == 0:
        return tensor
    rows, columns = len(array), array.size // len(array)
    drawn = random.generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diag(r))
    q = q if rows >= columns else q.T
    return _write("orthogonal_", tensor, gain * q.reshape(array.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that makes up for the change of variance in a nonlinearity.

    param: the negative slope of "leaky_relu"; 0.01 unless given.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"param: expected the negative slope, a number, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"nonlinearity: expected one of {known}, got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out, as the head of this file defines them."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(
            "tensor: fan in and fan out can not be computed for tensor with fewer than 2 "
            f"dimensions, got shape {list(shape)}"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


# Programs that draw the weights of layers of their own call it by the name that PyTorch uses.
_calculate_fan_in_and_fan_out = _fans


def _fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode not in modes:
        raise ValueError(f"mode: expected fan_in or fan_out, got {mode!r}")
    return _fans(tensor)[modes.index(mode)]


def _write(name: str, tensor: Tensor, value: Array | float) -> Tensor:
    """Write in place; a graph that saved the old values will notice."""
    tensor._array[...] = value
    tensor._storage.changed(name)
    return tensor


# Older names, which warn

uniform = renamed("uniform", uniform_, "nn.init")
normal = renamed("normal", normal_, "nn.init")
constant = renamed("constant", constant_, "nn.init")
eye = renamed("eye", eye_, "nn.init")
xavier_uniform = renamed("xavier_uniform", xavier_uniform_, "nn.init")
xavier_normal = renamed("xavier_normal", xavier_normal_, "nn.init")
kaiming_uniform = renamed("kaiming_uniform", kaiming_uniform_, "nn.init")
kaiming_normal = renamed("kaiming_normal", kaiming_normal_, "nn.init")
orthogonal = renamed("orthogonal", orthogonal_, "nn.init")
