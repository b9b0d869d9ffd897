"""exp, log, sin and their like of the C core: at most 1.5 ULP from the truth at every instruction
set this processor has. The instruction set is a process's, so `measure` runs in one of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tinyattn.kernels.native._core", reason="the C core is not built")

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import supported_isas
from tinyattn.kernels.native.elementwise import elementwise

BOUND = 1.5
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
WIDER: dict[Any, Any] = {np.float32: np.float64, np.float64: np.longdouble}
FLOATS = [
    np.float32,
    pytest.param(
        np.float64,
        marks=pytest.mark.skipif(
            np.finfo(np.longdouble).nmant < 60, reason="no wider type to compare float64 with"
        ),
    ),
]


def arguments(dtype: Any) -> Array:
    """Every 1009th float32; for float64 all magnitudes, and densely where something happens."""
    if dtype is np.float32:
        return np.arange(0, 2**32, 1009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], 100_000)
    return np.concatenate(
        [
            sign * np.exp(rng.uniform(-744, 709, len(sign))),
            rng.uniform(-750, 720, 100_000),
            rng.uniform(-40, 40, 100_000),
            rng.uniform(-1, 1, 200_000),
            rng.uniform(-745.2, -700, 50_000),
            rng.uniform(0.5, 2, 100_000),  # log is near 0
            np.arange(1, 20_000) * (np.pi / 2),  # and sin or cos
        ]
    )


def ulps(got: Array, true: Array) -> Array:
    """Distance in units of the last place that `true` would have in the type of `got`."""
    info = np.finfo(got.dtype)
    last = np.maximum(np.frexp(true)[1] - 1, info.minexp) - info.nmant
    error = np.abs(got.astype(true.dtype) - true)
    with np.errstate(over="ignore"):
        same = got == true.astype(got.dtype)  # infinities too
    error = np.where(same & np.isinf(got), 0, error)
    return np.where(np.isnan(true) & np.isnan(got), 0, np.ldexp(error, -last))


def measure(elementwise: Callable[..., None] = elementwise) -> dict[str, list[float]]:
    """For every function and type: the largest error and where it is."""
    worst = {}
    for dtype, wide in WIDER.items():
        x = arguments(dtype)
        for name, function in FUNCTIONS.items():
            out = np.empty_like(x)
            elementwise(name, [x], out)
            with np.errstate(all="ignore"):
                error = ulps(out, function(x.astype(wide)))
            # The first NaN, if there is one, else the largest.
            at = int(np.argmax(error))
            worst[f"{name} {dtype.__name__}"] = [float(error[at]), float(x[at])]
    return worst


@pytest.fixture(scope="module", params=supported_isas())
def worst(request: pytest.FixtureRequest) -> dict[str, list[float]]:
    environment = os.environ | {"TINYATTN_ISA": request.param}
    script = "import test_vmath, json; print(json.dumps(test_vmath.measure()))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    errors: dict[str, list[float]] = json.loads(result.stdout)
    return errors


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_error_is_within_the_bound_over_the_whole_range(
    worst: dict[str, list[float]], name: str, dtype: Any
) -> None:
    error, at = worst[f"{name} {dtype.__name__}"]
    assert error <= BOUND, f"{name}({at!r}) is {error:.3f} ULP off"
    assert error > 0.4, "nothing was rounded: the measurement measures nothing"


def test_the_functions_of_numba_are_exact_over_the_whole_range() -> None:
    pytest.importorskip("numba")
    from tinyattn.kernels.jit.elementwise import elementwise as of_numba

    coarse = {"tanh": 2.5, "sigmoid": 2.5}  # without the terms that C adds for what rounding loses
    for case, (error, at) in measure(of_numba).items():
        name, dtype = case.split()
        if dtype == "float32" or np.finfo(np.longdouble).nmant >= 60:
            assert error <= coarse.get(name, BOUND), f"{case} at {at!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", np.inf, np.inf),
        ("exp", -np.inf, 0.0),
        ("exp", 0.0, 1.0),
        ("exp", 1e4, np.inf),
        ("exp", -1e4, 0.0),
        ("tanh", np.inf, 1.0),
        ("tanh", -np.inf, -1.0),
        ("tanh", 0.0, 0.0),
        ("tanh", -0.0, -0.0),
        ("sigmoid", np.inf, 1.0),
        ("sigmoid", -np.inf, 0.0),
        ("sigmoid", 0.0, 0.5),
        ("sigmoid", -1e4, 0.0),
        ("expm1", np.inf, np.inf),
        ("expm1", -np.inf, -1.0),
        ("expm1", -0.0, -0.0),
        ("log", np.inf, np.inf),
        ("log", 0.0, -np.inf),
        ("log", -0.0, -np.inf),
        ("log", 1.0, 0.0),
        ("log2", np.inf, np.inf),
        ("log2", 0.0, -np.inf),
        ("log2", -0.0, -np.inf),
        ("log2", 1.0, 0.0),
        ("log1p", np.inf, np.inf),
        ("log1p", -1.0, -np.inf),
        ("log1p", -0.0, -0.0),
        ("sin", -0.0, -0.0),
        ("cos", 0.0, 1.0),
        ("erf", np.inf, 1.0),
        ("erf", -np.inf, -1.0),
        ("erf", -0.0, -0.0),
        ("erf", 7.0, 1.0),
    ],
)
def test_special_values(dtype: Any, name: str, x: float, expected: float) -> None:
    values = np.full(37, x, dtype)  # whole vectors and a rest, whatever the width
    elementwise(name, [values], values)
    assert np.array_equal(values, np.full(37, expected, dtype))
    assert np.array_equal(np.signbit(values), np.full(37, np.signbit(expected)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan_and_stays_alone(dtype: Any, name: str) -> None:
    values = np.zeros(37, dtype)
    values[[3, 36]] = np.nan
    elementwise(name, [values], values)
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 36]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "x"),
    [("log", -1.0), ("log2", -1.0), ("log1p", -1.5), ("sin", np.inf), ("cos", -np.inf)],
)
def test_nan_outside_of_what_a_function_is_defined_for(dtype: Any, name: str, x: float) -> None:
    values = np.full(37, x, dtype)
    elementwise(name, [values], values)
    assert np.isnan(values).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log2_of_a_power_of_2_is_exact(dtype: Any) -> None:
    least = np.log2(np.finfo(dtype).smallest_subnormal)
    powers = np.arange(least, np.finfo(dtype).maxexp).astype(dtype)
    out = np.empty_like(powers)
    elementwise("log2", [np.exp2(powers)], out)
    assert np.array_equal(out, powers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_that_of_scipy(dtype: Any) -> None:
    from scipy.special import erf

    x = np.concatenate([np.linspace(-7, 7, 100_001), np.geomspace(1e-300, 1, 1000)]).astype(dtype)
    out = np.empty_like(x)
    elementwise("erf", [x], out)
    true = erf(x.astype(np.float64))  # itself off by an ULP or two in float64
    assert ulps(out, true).max() <= (BOUND if dtype is np.float32 else 3)


@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "erf"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_denormal_is_its_own_image(dtype: Any, name: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal * np.arange(-40, 41).astype(dtype)
    out = np.empty_like(tiny)
    elementwise(name, [tiny], out)
    slope = 2 / np.sqrt(np.pi) if name == "erf" else 1
    assert np.abs(out - slope * tiny.astype(np.longdouble)).max() <= np.finfo(dtype).tiny * 2**-20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_of_a_denormal_is_itself(dtype: Any) -> None:
    tiny = np.finfo(dtype).smallest_subnormal * np.arange(-40, 41).astype(dtype)
    out = np.empty_like(tiny)
    elementwise("tanh", [tiny], out)
    assert np.array_equal(out, tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_underflows_gradually(dtype: Any) -> None:
    info = np.finfo(dtype)
    x = np.linspace(np.log(float(info.smallest_subnormal)) + 1, np.log(float(info.tiny)), 500)
    out = np.empty(500, dtype)
    elementwise("exp", [x.astype(dtype)], out)
    assert (out > 0).all()
    assert (out[:-1] < info.tiny).all()
    assert (np.diff(out) >= 0).all()


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 100_001])
def test_every_element_is_written_once_whatever_the_size(size: int) -> None:
    x = np.linspace(-3, 3, size, dtype=np.float32)
    out = np.full(size, 7, np.float32)
    elementwise("tanh", [x], out)
    np.testing.assert_allclose(out, np.tanh(x), rtol=1e-6, atol=1e-7)
