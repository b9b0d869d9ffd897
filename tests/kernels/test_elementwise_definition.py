"""Every elementwise operation, in every backend, against mathematics: forwards against the `math`
module, backwards against the slope of their forward, both against values where two formulas meet.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from tinyattn.kernels import Backend
from tinyattn.kernels.reference.elementwise import OPERATIONS
from tinyattn.kernels.table import INPUTS

POINTS = [-2.3, -1.1, -0.4, 0.3, 0.9, 1.7, 4.2]  # no two formulas meet here
POSITIVE = [0.1, 0.3, 0.9, 1.7, 4.2]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def normal(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def gelu_tanh(x: float) -> float:
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def huber(x: float, y: float) -> float:
    d = abs(x - y)
    return d * d / 2 if d < P else P * (d - P / 2)


P, Q = 0.7, 1.3
FORWARD: dict[str, Callable[..., float]] = {
    "copy": lambda x: x,
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: math.copysign(1, x),
    "square": lambda x: x**2,
    "reciprocal": lambda x: 1 / x,
    "exp": math.exp,
    "expm1": math.expm1,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": sigmoid,
    "erf": math.erf,
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else P * x,
    "elu": lambda x: x if x > 0 else P * (math.exp(x) - 1),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * normal(x),
    "gelu_tanh": gelu_tanh,
    "softplus": lambda x: x if P * x > Q else math.log(1 + math.exp(P * x)) / P,
    "logsigmoid": lambda x: math.log(sigmoid(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "clamp_numbers": lambda x: min(max(x, P), Q),
    "add": lambda x, y: x + y,
    "add_scaled": lambda x, y: x + P * y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "nan_to_num": lambda x, y: x,
    "remainder": lambda x, y: x - y * math.floor(x / y),
    "fmod": math.fmod,
    "maximum": max,
    "minimum": min,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "squared_error": lambda x, y: (x - y) ** 2,
    "absolute_error": lambda x, y: abs(x - y),
    "huber": huber,
    "smooth_l1": lambda x, y: huber(x, y) / P,
    "binary_cross_entropy": lambda x, y: (
        -y * math.log(sigmoid(x)) - (1 - y) * math.log(sigmoid(-x))
    ),
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
}
OF_POSITIVE: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "rsqrt": lambda x: 1 / math.sqrt(x),
    "log": math.log,
    "log2": lambda x: math.log(x) / math.log(2),
    "log1p": lambda x: math.log(1 + x),
    "pow": lambda x, y: x**y,
    "kl_div": lambda x, t: t * math.log(t) - t * x,
}
OF_PROBABILITIES: dict[str, Callable[..., float]] = {
    "probability_cross_entropy": lambda p, t: -t * math.log(p) - (1 - t) * math.log(1 - p),
}
# Backwards: the forward, which of its inputs the gradient is of, and what its forward saved.
BACKWARD: dict[str, tuple[Callable[..., float], int, str]] = {
    **{
        f"{name}_backward": ((FORWARD | OF_POSITIVE)[name], 0, "x")
        for name in (
            *("abs", "square", "log1p", "log2", "sin", "cos", "erf", "leaky_relu", "elu", "silu"),
            *("gelu", "gelu_tanh", "softplus", "logsigmoid", "softsign", "clamp_numbers"),
            *("squared_error", "absolute_error", "huber", "smooth_l1", "binary_cross_entropy"),
        )
    },
    **{
        f"{name}_backward": ((FORWARD | OF_POSITIVE)[name], 0, "y")
        for name in ("reciprocal", "sqrt", "rsqrt", "expm1", "tanh", "sigmoid", "relu")
    },
    "nan_to_num_backward": (lambda x: x, 0, "x"),
    "hardtanh_backward": (FORWARD["clamp_numbers"], 0, "x"),
    "div_backward_other": (FORWARD["div"], 1, "x"),
    "maximum_backward": (max, 0, "x"),
    "minimum_backward": (min, 0, "x"),
    "pow_backward": (OF_POSITIVE["pow"], 0, "x"),
    "probability_cross_entropy_backward": (OF_PROBABILITIES["probability_cross_entropy"], 0, "x"),
    # of the norm of (x, 2), of log(e^x + e^2)
    "norm_backward": (lambda x: math.hypot(x, 2), 0, "xy"),
    "logsumexp_backward": (lambda x: math.log(math.exp(x) + math.exp(2)), 0, "xy"),
    "kl_div_backward": (lambda t: t * t / -2, 0, "x"),
}
FORMULAS = FORWARD | OF_POSITIVE | OF_PROBABILITIES
ONLY_POSITIVE = {*OF_POSITIVE, *(f"{name}_backward" for name in OF_POSITIVE)}
# No formula; see test_elementwise.py, the test of exponents below, and MEETING.
ELSEWHERE = {"where", "pow_number", "pow_number_backward", "extreme_backward"}
ELSEWHERE |= {"pow_backward_exponent"}


@pytest.fixture(params=["native", "numba", "numpy"])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return Backend(request.param)
    except ImportError as error:
        pytest.skip(str(error))


def arguments(name: str, count: int) -> np.ndarray:
    """(count, n): all pairs or triples of some numbers, never equal ones."""
    numbers = POSITIVE if name in ONLY_POSITIVE else POINTS
    if name.removesuffix("_backward") in OF_PROBABILITIES:
        numbers = [0.1, 0.35, 0.6, 0.9]
    grid = np.stack(np.meshgrid(*[numbers] * count, indexing="ij")).reshape(count, -1)
    shifts = 0.01 * np.arange(count)[:, None]
    return grid + shifts


def test_every_operation_has_a_formula_here() -> None:
    assert {*FORMULAS, *BACKWARD} == {*INPUTS} - ELSEWHERE


@pytest.mark.parametrize("name", FORMULAS)
def test_forward_is_the_formula(backend: Backend, name: str) -> None:
    x = arguments(name, INPUTS[name])
    want = [FORMULAS[name](*row) for row in x.T]
    np.testing.assert_allclose(backend.elementwise(name, [*x], P, Q), want, 1e-12, 1e-15)


@pytest.mark.parametrize("name", BACKWARD)
def test_backward_is_the_slope_times_the_gradient(backend: Backend, name: str) -> None:
    formula, of, kept = BACKWARD[name]
    x = arguments(name, INPUTS[name] - 1 - (kept == "xy"))
    grad = np.cos(np.arange(x.shape[1]) + 0.5)
    step = np.zeros(len(x))
    step[of] = 1e-5
    slope = [(formula(*(row + step)) - formula(*(row - step))) / 2e-5 for row in x.T]
    y = np.array([formula(*row) for row in x.T])
    saved = [*x][: INPUTS[name] - 1 - (kept == "xy")] if "x" in kept else []
    saved += [y] if "y" in kept else []
    got = backend.elementwise(name, [grad, *saved], P, Q)
    np.testing.assert_allclose(got, grad * slope, 1e-8, 1e-8)


def test_the_gradient_of_an_exponent_is_the_slope_times_the_gradient(backend: Backend) -> None:
    x, y = arguments("pow", 2)
    grad = np.cos(np.arange(x.size) + 0.5)
    slope = (x ** (y + 1e-5) - x ** (y - 1e-5)) / 2e-5
    got = backend.elementwise("pow_backward_exponent", [grad, x, x**y])
    np.testing.assert_allclose(got, grad * slope, 1e-8, 1e-8)


# Where two formulas meet: the inputs, p and q, and the result.
E = math.e
MEETING: dict[str, tuple[list[float], float, float, float]] = {
    "abs_backward": ([3.0, 0.0], 0, 0, 0.0),
    "sign": ([0.0], 0, 0, 0.0),
    "relu_backward": ([3.0, 0.0], 0, 0, 0.0),
    "leaky_relu_backward": ([3.0, 0.0], 0.5, 0, 1.5),
    "elu_backward": ([3.0, 0.0], 0.5, 0, 1.5),
    "softplus": ([2.0], 0.5, 1.0, 2 * math.log(1 + E)),
    "softplus_backward": ([3.0, 2.0], 0.5, 1.0, 3 * E / (1 + E)),
    "softsign_backward": ([3.0, 0.0], 0, 0, 3.0),
    "clamp_numbers_backward": ([3.0, -1.0], -1.0, 2.0, 3.0),
    "clamp_numbers_backward, above": ([3.0, 2.0], -1.0, 2.0, 3.0),
    "hardtanh_backward": ([3.0, -1.0], -1.0, 2.0, 0.0),
    "hardtanh_backward, above": ([3.0, 2.0], -1.0, 2.0, 0.0),
    "maximum_backward": ([3.0, 2.0, 2.0], 0, 0, 1.5),
    "minimum_backward": ([3.0, 2.0, 2.0], 0, 0, 1.5),
    "clamp, low above high": ([1.0, 3.0, 2.0], 0, 0, 2.0),
    "clamp_numbers, low above high": ([1.0], 3.0, 2.0, 2.0),
    "absolute_error_backward": ([3.0, 2.0, 2.0], 0, 0, 0.0),
    "extreme_backward": ([3.0, 2.0, 2.0], 0, 0, 3.0),
    "extreme_backward, another": ([3.0, 1.0, 2.0], 0, 0, 0.0),
    "extreme_backward, NaN": ([3.0, math.nan, math.nan], 0, 0, 0.0),
    "extreme_backward, NaN that counts": ([3.0, math.nan, math.nan], 1, 0, 3.0),
    "norm_backward, of 0": ([3.0, 0.0, 2.0], 0, 0, 0.0),
    "norm_backward, of nothing but 0": ([3.0, math.nan, 0.0], 0, 0, 0.0),
    "logsumexp_backward, of nothing": ([3.0, -math.inf, -math.inf], 0, 0, 0.0),
    "kl_div, of 0": ([3.0, 0.0], 0, 0, 0.0),
    "probability_cross_entropy, of 0": ([0.0, 0.25], 0, 0, 25.0),
    "probability_cross_entropy, of 1": ([1.0, 0.25], 0, 0, 75.0),
    "probability_cross_entropy_backward, of 0": ([3.0, 0.0, 1.0], 0, 0, -3e12),
    "round, to even": ([2.5], 0, 0, 2.0),
    "where, chosen": ([1.0, 3.0, 2.0], 0, 0, 3.0),
    "where, other": ([0.0, 3.0, 2.0], 0, 0, 2.0),
    "pow, 0": ([0.0, 0.0], 0, 0, 1.0),
    "pow_backward, to the power 0": ([3.0, 0.0, 0.0], 0, 0, 0.0),
    "pow_backward, to the power 1": ([3.0, 0.0, 1.0], 0, 0, 3.0),
    "pow_backward_exponent, 0 to 2": ([3.0, 0.0, 0.0], 0, 0, 0.0),
    "pow_backward_exponent, 0 to 0": ([3.0, 0.0, 1.0], 0, 0, 0.0),
    "pow_backward_exponent, 0 to -1": ([3.0, 0.0, math.inf], 0, 0, -math.inf),
    "pow_backward_exponent, -0 to -1": ([3.0, -0.0, -math.inf], 0, 0, math.inf),
    "pow_backward_exponent, 0 to NaN": ([3.0, 0.0, math.nan], 0, 0, math.nan),
    "pow_backward_exponent, 2 to 0": ([3.0, 2.0, 1.0], 0, 0, 3 * math.log(2)),
    "pow_backward_exponent, too large": ([3.0, 2.0, math.inf], 0, 0, math.inf),
}


@pytest.mark.parametrize("case", MEETING)
def test_where_two_formulas_meet(backend: Backend, case: str) -> None:
    values, p, q, want = MEETING[case]
    name = case.partition(",")[0]
    inputs = [np.full(20, value) for value in values]
    if name == "where":
        inputs[0] = inputs[0] == 1
    np.testing.assert_allclose(
        backend.elementwise(name, inputs, p, q), want, 1e-7 if "probability" in case else 1e-14
    )


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no type is wider than float64")
def test_the_definition_in_numpy_takes_wider_numbers() -> None:
    x = np.array(POINTS, np.longdouble)
    got = OPERATIONS["gelu"](x, 0, 0)
    assert got.dtype == np.longdouble
    np.testing.assert_allclose(got, [*map(FORWARD["gelu"], POINTS)], 1e-12)
