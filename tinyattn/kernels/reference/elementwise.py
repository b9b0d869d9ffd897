"""Elementwise operations: OPERATIONS says what each of them is, in NumPy.

The inputs are a, b, c, with broadcasting, and the numbers p, q. In a backward, a is the gradient at
the result and b is what the forward saved. Formulas and derivations stand in ops/elementwise.py and
ops/activations.py.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import of_columns


def _sign(x: Array) -> Array:
    return np.subtract(x > 0, x < 0, dtype=x.dtype)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _erf(x: Array) -> Array:
    from scipy.special import erf  # a quarter of a second to import

    return erf(x) if x.itemsize <= 8 else erf(x.astype(np.float64)).astype(x.dtype)


def _normal(x: Array) -> Array:
    """The normal distribution function."""
    from scipy.special import ndtr  # a quarter of a second to import

    return ndtr(x) if x.itemsize <= 8 else 0.5 + 0.5 * _erf(x * math.sqrt(0.5))


def _gelu_slope(x: Array) -> Array:
    return _normal(x) + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_of(x: Array) -> Array:
    return np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))


def _gelu_tanh_slope(x: Array) -> Array:
    t = _gelu_tanh_of(x)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x))
    return 0.5 + 0.5 * t + 0.5 * x * (1 - t * t) * du


def _silu_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _softsign_slope(x: Array) -> Array:
    scale = 1 / (1 + np.abs(x))
    return scale * scale


def _half_in_a_tie(a: Array, b: Array, c: Array) -> Array:
    return np.where(b == c, a * 0.5, a)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "copy": lambda a, p, q: a,
    "neg": lambda a, p, q: -a,
    "abs": lambda a, p, q: np.abs(a),
    "abs_backward": lambda a, b, p, q: a * _sign(b),
    "sign": lambda a, p, q: _sign(a),
    "square": lambda a, p, q: a * a,
    "square_backward": lambda a, b, p, q: 2 * a * b,
    "reciprocal": lambda a, p, q: 1 / a,
    "reciprocal_backward": lambda a, b, p, q: -a * b * b,
    "sqrt": lambda a, p, q: np.sqrt(a),
    "sqrt_backward": lambda a, b, p, q: a / (2 * b),
    "rsqrt": lambda a, p, q: 1 / np.sqrt(a),
    "rsqrt_backward": lambda a, b, p, q: -0.5 * a * (b * b * b),
    "exp": lambda a, p, q: np.exp(a),
    "expm1": lambda a, p, q: np.expm1(a),
    "expm1_backward": lambda a, b, p, q: a * (b + 1),
    "log": lambda a, p, q: np.log(a),
    "log2": lambda a, p, q: np.log2(a),
    "log2_backward": lambda a, b, p, q: a / (b * math.log(2)),
    "log1p": lambda a, p, q: np.log1p(a),
    "log1p_backward": lambda a, b, p, q: a / (1 + b),
    "sin": lambda a, p, q: np.sin(a),
    "sin_backward": lambda a, b, p, q: a * np.cos(b),
    "cos": lambda a, p, q: np.cos(a),
    "cos_backward": lambda a, b, p, q: -a * np.sin(b),
    "tanh": lambda a, p, q: np.tanh(a),
    "tanh_backward": lambda a, b, p, q: a * (1 - b * b),
    "sigmoid": lambda a, p, q: _sigmoid(a),
    "sigmoid_backward": lambda a, b, p, q: a * b * (1 - b),
    "erf": lambda a, p, q: _erf(a),
    "erf_backward": lambda a, b, p, q: a * (2 / math.sqrt(math.pi) * np.exp(-b * b)),
    "relu": lambda a, p, q: np.maximum(a, 0),
    "relu_backward": lambda a, b, p, q: np.where(b <= 0, 0, a),
    "leaky_relu": lambda a, p, q: np.where(a > 0, a, a * p),
    "leaky_relu_backward": lambda a, b, p, q: np.where(b > 0, a, a * p),
    "elu": lambda a, p, q: np.where(a > 0, a, p * np.expm1(a)),
    "elu_backward": lambda a, b, p, q: np.where(b > 0, a, a * p * np.exp(b)),
    "silu": lambda a, p, q: a * _sigmoid(a),
    "silu_backward": lambda a, b, p, q: a * _silu_slope(b),
    "gelu": lambda a, p, q: a * _normal(a),
    "gelu_backward": lambda a, b, p, q: a * _gelu_slope(b),
    "gelu_tanh": lambda a, p, q: a * (0.5 + 0.5 * _gelu_tanh_of(a)),
    "gelu_tanh_backward": lambda a, b, p, q: a * _gelu_tanh_slope(b),
    "softplus": lambda a, p, q: np.where(p * a > q, a, _softplus(p * a) / p),
    "softplus_backward": lambda a, b, p, q: np.where(p * b > q, a, a * _sigmoid(p * b)),
    "logsigmoid": lambda a, p, q: -_softplus(-a),
    "logsigmoid_backward": lambda a, b, p, q: a * _sigmoid(-b),
    "softsign": lambda a, p, q: a / (1 + np.abs(a)),
    "softsign_backward": lambda a, b, p, q: a * _softsign_slope(b),
    "clamp_numbers": lambda a, p, q: np.minimum(np.maximum(a, p), q),
    "clamp_numbers_backward": lambda a, b, p, q: np.where((b >= p) & (b <= q), a, 0),
    "hardtanh_backward": lambda a, b, p, q: np.where((b > p) & (b < q), a, 0),
    "add": lambda a, b, p, q: a + b,
    "add_scaled": lambda a, b, p, q: a + p * b,
    "sub": lambda a, b, p, q: a - b,
    "mul": lambda a, b, p, q: a * b,
    "div": lambda a, b, p, q: a / b,
    "div_backward_other": lambda a, b, c, p, q: -a * (b / c / c),
    "nan_to_num": lambda a, b, p, q: np.where(
        np.isnan(a), b, np.where(a == np.inf, p, np.where(a == -np.inf, q, a))
    ),
    "nan_to_num_backward": lambda a, b, p, q: np.where(np.isfinite(b), a, 0),
    "maximum": lambda a, b, p, q: np.maximum(a, b),
    "maximum_backward": lambda a, b, c, p, q: np.where(b < c, 0, _half_in_a_tie(a, b, c)),
    "minimum": lambda a, b, p, q: np.minimum(a, b),
    "minimum_backward": lambda a, b, c, p, q: np.where(b > c, 0, _half_in_a_tie(a, b, c)),
    "clamp": lambda a, b, c, p, q: np.minimum(np.maximum(a, b), c),
    "where": lambda a, b, c, p, q: np.where(a, b, c),
    "squared_error": lambda a, b, p, q: (a - b) * (a - b),
    "squared_error_backward": lambda a, b, c, p, q: a * (2 * (b - c)),
    "absolute_error": lambda a, b, p, q: np.abs(a - b),
    "absolute_error_backward": lambda a, b, c, p, q: a * _sign(b - c),
    "huber": lambda a, b, p, q: np.clip(a - b, -p, p) * (a - b - 0.5 * np.clip(a - b, -p, p)),
    "huber_backward": lambda a, b, c, p, q: a * np.clip(b - c, -p, p),
    "smooth_l1": lambda a, b, p, q: (
        np.clip(a - b, -p, p) / p * (a - b - 0.5 * np.clip(a - b, -p, p))
    ),
    "smooth_l1_backward": lambda a, b, c, p, q: a * (np.clip(b - c, -p, p) / p),
    "binary_cross_entropy": lambda a, b, p, q: (1 - b) * a + _softplus(-a),
    "binary_cross_entropy_backward": lambda a, b, c, p, q: a * (_sigmoid(b) - c),
    "probability_cross_entropy": lambda a, b, p, q: (
        (b - 1) * np.maximum(np.log1p(-a), -100) - b * np.maximum(np.log(a), -100)
    ),
    "probability_cross_entropy_backward": lambda a, b, c, p, q: (
        a * (b - c) / np.maximum((1 - b) * b, np.float32(1e-12))
    ),
    "kl_div": lambda a, b, p, q: np.where(b == 0, 0, b * np.log(b)) - b * a,
    "kl_div_backward": lambda a, b, p, q: -a * b,
    "norm_backward": lambda a, b, c, p, q: np.where((b == 0) | (c == 0), 0, a * (b / c)),
    "logsumexp_backward": lambda a, b, c, p, q: np.where(c == -np.inf, 0, a * np.exp(b - c)),
    "extreme_backward": lambda a, b, c, p, q: a * ((b == c) | ((b != b) & (p != 0))),
    "floor": lambda a, p, q: np.floor(a),
    "ceil": lambda a, p, q: np.ceil(a),
    "trunc": lambda a, p, q: np.trunc(a),
    "round": lambda a, p, q: np.rint(a),
    "remainder": lambda a, b, p, q: np.remainder(a, b),
    "fmod": lambda a, b, p, q: np.fmod(a, b),
    "pow": lambda a, b, p, q: a**b,
    "pow_backward": lambda a, b, c, p, q: np.where(c == 0, 0, a * (c * b ** (c - 1))),
    "pow_backward_exponent": lambda a, b, c, p, q: np.where(
        (b == 0) & (np.abs(c) < np.inf), 0, a * c * np.log(b)
    ),
}


def elementwise(
    operation: str,
    inputs: Sequence[Array | float],
    out: Array,
    p: float = 0.0,
    q: float = 0.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to out's shape -> out."""
    real = out.dtype.type
    numbers: list[Any] = [real(x) if isinstance(x, float) else x for x in inputs]
    with np.errstate(all="ignore"):
        out[...] = OPERATIONS[operation](*numbers, real(p), real(q))


def elementwise_sum(
    operation: str,
    inputs: Sequence[Array | float],
    shape: tuple[int, ...],
    out: Array,
    p: float = 0.0,
    divisor: float = 1.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to shape -> out (), the sum of the results divided
    by divisor."""
    results = np.empty(shape, out.dtype)
    elementwise(operation, inputs, results, p)
    with np.errstate(all="ignore"):
        out[...] = of_columns(results.reshape(-1, 1))[0] / divisor
