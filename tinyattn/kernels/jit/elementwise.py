"""Elementwise operations: OPERATIONS says what each of them is for one element; Numba makes a NumPy
ufunc of it, which brings broadcasting and strides. The meaning of a, b, c, p, q is that of
reference/elementwise.py.

An operation is compiled when it is first used.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import LOCK, exact
from tinyattn.kernels.jit.vmath import exp, tanh


@exact
def _sign(x):
    return type(x)(x > 0) - type(x)(x < 0)


@exact
def _sigmoid(x):
    return 1 / (1 + exp(-x))


@exact
def _normal(x):
    return type(x)(0.5) * math.erfc(-x * type(x)(math.sqrt(0.5)))


@exact
def _gelu_slope(x):
    real = type(x)
    return _normal(x) + x * exp(real(-0.5) * x * x) * real(1 / math.sqrt(2 * math.pi))


@exact
def _gelu_tanh_of(x):
    real = type(x)
    return tanh(real(math.sqrt(2 / math.pi)) * (x + real(0.044715) * x * x * x))


@exact
def _gelu_tanh_slope(x):
    real = type(x)
    t, half = _gelu_tanh_of(x), real(0.5)
    du = real(math.sqrt(2 / math.pi)) * (1 + real(3 * 0.044715) * x * x)
    return half + half * t + half * x * (1 - t * t) * du


@exact
def _silu_slope(x):
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


@exact
def _softplus(x):
    return (x if x > 0 or x != x else type(x)(0)) + math.log1p(exp(-abs(x)))


@exact
def _softsign_slope(x):
    scale = 1 / (1 + abs(x))
    return scale * scale


@exact
def _larger(x, y):
    return x if x > y or x != x else y


@exact
def _smaller(x, y):
    return x if x < y or x != x else y


@exact
def _bounded(x, p):
    return _smaller(_larger(x, -p), p)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "copy": lambda a, p, q: a,
    "neg": lambda a, p, q: -a,
    "abs": lambda a, p, q: abs(a),
    "abs_backward": lambda a, b, p, q: a * _sign(b),
    "sign": lambda a, p, q: _sign(a),
    "square": lambda a, p, q: a * a,
    "square_backward": lambda a, b, p, q: 2 * a * b,
    "reciprocal": lambda a, p, q: 1 / a,
    "reciprocal_backward": lambda a, b, p, q: -a * b * b,
    "sqrt": lambda a, p, q: math.sqrt(a),
    "sqrt_backward": lambda a, b, p, q: a / (2 * b),
    "rsqrt": lambda a, p, q: 1 / math.sqrt(a),
    "rsqrt_backward": lambda a, b, p, q: -0.5 * a * (b * b * b),
    "exp": lambda a, p, q: exp(a),
    "expm1": lambda a, p, q: math.expm1(a),
    "expm1_backward": lambda a, b, p, q: a * (b + 1),
    "log": lambda a, p, q: np.log(a),
    "log1p": lambda a, p, q: np.log1p(a),
    "log1p_backward": lambda a, b, p, q: a / (1 + b),
    "sin": lambda a, p, q: math.sin(a),
    "sin_backward": lambda a, b, p, q: a * math.cos(b),
    "cos": lambda a, p, q: math.cos(a),
    "cos_backward": lambda a, b, p, q: -a * math.sin(b),
    "tanh": lambda a, p, q: tanh(a),
    "tanh_backward": lambda a, b, p, q: a * (1 - b * b),
    "sigmoid": lambda a, p, q: _sigmoid(a),
    "sigmoid_backward": lambda a, b, p, q: a * b * (1 - b),
    "erf": lambda a, p, q: math.erf(a),
    "erf_backward": lambda a, b, p, q: a * 1.1283791670955126 * exp(-b * b),
    "relu": lambda a, p, q: 0 if a <= 0 else a,
    "relu_backward": lambda a, b, p, q: 0 if b <= 0 else a,
    "leaky_relu": lambda a, p, q: a if a > 0 else a * p,
    "leaky_relu_backward": lambda a, b, p, q: a if b > 0 else a * p,
    "elu": lambda a, p, q: a if a > 0 else p * math.expm1(a),
    "elu_backward": lambda a, b, p, q: a if b > 0 else a * p * exp(b),
    "silu": lambda a, p, q: a * _sigmoid(a),
    "silu_backward": lambda a, b, p, q: a * _silu_slope(b),
    "gelu": lambda a, p, q: a * _normal(a),
    "gelu_backward": lambda a, b, p, q: a * _gelu_slope(b),
    "gelu_tanh": lambda a, p, q: a * (0.5 + 0.5 * _gelu_tanh_of(a)),
    "gelu_tanh_backward": lambda a, b, p, q: a * _gelu_tanh_slope(b),
    "softplus": lambda a, p, q: a if p * a > q else _softplus(p * a) / p,
    "softplus_backward": lambda a, b, p, q: a if p * b > q else a * _sigmoid(p * b),
    "logsigmoid": lambda a, p, q: -_softplus(-a),
    "logsigmoid_backward": lambda a, b, p, q: a * _sigmoid(-b),
    "softsign": lambda a, p, q: a / (1 + abs(a)),
    "softsign_backward": lambda a, b, p, q: a * _softsign_slope(b),
    "clamp_numbers": lambda a, p, q: _smaller(_larger(a, p), q),
    "clamp_numbers_backward": lambda a, b, p, q: a if p <= b <= q else 0,
    "hardtanh_backward": lambda a, b, p, q: a if p < b < q else 0,
    "add": lambda a, b, p, q: a + b,
    "sub": lambda a, b, p, q: a - b,
    "mul": lambda a, b, p, q: a * b,
    "div": lambda a, b, p, q: a / b,
    "div_backward_other": lambda a, b, c, p, q: -a * (b / c / c),
    "maximum": lambda a, b, p, q: _larger(a, b),
    "maximum_backward": lambda a, b, c, p, q: 0 if b < c else (a / 2 if b == c else a),
    "minimum": lambda a, b, p, q: _smaller(a, b),
    "minimum_backward": lambda a, b, c, p, q: 0 if b > c else (a / 2 if b == c else a),
    "clamp": lambda a, b, c, p, q: _smaller(_larger(a, b), c),
    "where": lambda a, b, c, p, q: b if a else c,
    "squared_error": lambda a, b, p, q: (a - b) * (a - b),
    "squared_error_backward": lambda a, b, c, p, q: a * (2 * (b - c)),
    "absolute_error": lambda a, b, p, q: abs(a - b),
    "absolute_error_backward": lambda a, b, c, p, q: a * _sign(b - c),
    "huber": lambda a, b, p, q: _bounded(a - b, p) * (a - b - _bounded(a - b, p) / 2),
    "huber_backward": lambda a, b, c, p, q: a * _bounded(b - c, p),
    "smooth_l1": lambda a, b, p, q: _bounded(a - b, p) / p * (a - b - _bounded(a - b, p) / 2),
    "smooth_l1_backward": lambda a, b, c, p, q: a * (_bounded(b - c, p) / p),
    "binary_cross_entropy": lambda a, b, p, q: (1 - b) * a + _softplus(-a),
    "binary_cross_entropy_backward": lambda a, b, c, p, q: a * (_sigmoid(b) - c),
    "probability_cross_entropy": lambda a, b, p, q: (
        (b - 1) * _larger(np.log1p(-a), -100) - b * _larger(np.log(a), -100)
    ),
    "probability_cross_entropy_backward": lambda a, b, c, p, q: (
        a * (b - c) / _larger((1 - b) * b, np.float32(1e-12))
    ),
    "kl_div": lambda a, b, p, q: (0 if b == 0 else b * np.log(b)) - b * a,
    "kl_div_backward": lambda a, b, p, q: -a * b,
    "norm_backward": lambda a, b, c, p, q: 0 if b == 0 or c == 0 else a * (b / c),
    "logsumexp_backward": lambda a, b, c, p, q: 0 if c == -np.inf else a * exp(b - c),
    "extreme_backward": lambda a, b, c, p, q: a * (1 if b == c or (p != 0 and b != b) else 0),
    "floor": lambda a, p, q: np.floor(a),
    "ceil": lambda a, p, q: np.ceil(a),
    "trunc": lambda a, p, q: np.trunc(a),
    "round": lambda a, p, q: np.rint(a),
    "pow": lambda a, b, p, q: a**b,
    "pow_backward": lambda a, b, c, p, q: 0 if c == 0 else a * (c * b ** (c - 1)),
    "pow_backward_exponent": lambda a, b, c, p, q: 0 if b == 0 and c >= 0 else a * b**c * np.log(b),
}
_compiled: dict[str, Any] = {}


def _compile(operation: str) -> Any:
    function = OPERATIONS[operation]
    inputs = function.__code__.co_argcount
    signatures = []
    for real in (numba.float32, numba.float64):
        types: list[Any] = [real] * inputs
        if operation == "where":
            types[0] = numba.boolean
        signatures.append(real(*types))
    return numba.vectorize(signatures, cache=True)(function)


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
    with LOCK, np.errstate(all="ignore"):
        if operation not in _compiled:
            _compiled[operation] = _compile(operation)
        _compiled[operation](*numbers, real(p), real(q), out)
