"""Elementwise operations in every backend: against the definition, with broadcasting and strides,
at special values; powers; where the result goes. test_vmath.py: how exact exp, log, sin ... are.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend
from tinyattn.kernels.reference.elementwise import OPERATIONS
from tinyattn.kernels.table import INPUTS

from .cases import big_endian, rng, unaligned

NUMBERS = {  # p and q of the operations that take them
    "leaky_relu": (0.1, 0.0),
    "elu": (0.7, 0.0),
    "softplus": (1.5, 3.0),
    "clamp_numbers": (-0.5, 1.5),
    "hardtanh": (-0.5, 1.5),
    "add_scaled": (0.75, 0.0),
    "huber": (0.75, 0.0),
    "smooth_l1": (0.75, 0.0),
}
POSITIVE = {"sqrt", "sqrt_backward", "rsqrt", "rsqrt_backward", "log", "log2", "pow", "reciprocal"}
BACKENDS = ("native", "numba", "numpy")


def numbers_of(operation: str) -> tuple[float, float]:
    return NUMBERS.get(operation.removesuffix("_backward"), (0.0, 0.0))


def inputs_of(operation: str, shape: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Inputs at which the operation is defined, in float64; the same ones for the same seed."""
    r = rng(90, seed)
    inputs = [2 * r.normal(size=shape) for _ in range(INPUTS[operation])]
    if operation in POSITIVE:
        inputs = [np.abs(x) + 0.1 for x in inputs]
    if operation in ("pow_backward", "pow_backward_exponent"):
        inputs[1] = np.abs(inputs[1]) + 0.1
    if operation == "log1p" or operation == "log1p_backward":
        inputs[-1] = np.abs(inputs[-1])
    if operation == "where":
        inputs[0] = inputs[0] > 0
    if operation.startswith("probability_cross_entropy"):
        inputs[-2:] = [np.exp(-np.abs(x) - 0.1) for x in inputs[-2:]]
    if operation == "kl_div":
        inputs[1] = np.abs(inputs[1])
    if operation == "extreme_backward":
        inputs[2] = np.where(inputs[2] > 0, inputs[1], inputs[2])
    if operation == "clamp":
        inputs[2] = inputs[1] + np.abs(inputs[2])
    return inputs


def elementwise(dtype: Any = np.float64) -> Iterator[tuple[str, dict[str, Any]]]:
    """Cases for the tests of every kernel (calls.py); those with a layout are in `dtype`."""
    for operation in OPERATIONS:
        p, q = numbers_of(operation)
        inputs = inputs_of(operation, (3, 5, 41))
        yield operation, {"operation": operation, "inputs": inputs, "p": p, "q": q}
    x = rng(91).normal(size=(40, 70, 30)).astype(dtype)
    row, column = x[0, 0], x[:, :1, :1]
    long = rng(92).normal(size=(23, 1500)).astype(dtype)
    for name, inputs in {
        "large": [x, x],
        "a row": [x, row],
        "a column": [column, x],
        "both spread": [row, column],
        "a long row": [long, long[3]],
        "a long row and a column": [long[4], long[:, :1]],
        "a row beside gaps": [long[:, :700], long[0, 800:]],
        "a number": [x, 2.5],
        "gaps": [x[:, ::2, ::3], x[:, 1::2, :10]],
        "turned": [x.T, x.T],
        "one turned": [x[:, :30, :], x[:, :30, :].transpose(0, 2, 1)],
        "backwards": [x[::-1, :, ::-1], x],
        "a scalar": [np.array(2.0, dtype), np.array(3.0, dtype)],
        "nothing": [x[:0], row],
    }.items():
        yield f"add, {name}", {"operation": "add", "inputs": inputs}
    yield "where, spread", {"operation": "where", "inputs": [column > 0, x, -1.0]}
    yield "where, rows", {"operation": "where", "inputs": [long[0] > 0, long, long[:, 9:10]]}
    yield "exp, turned", {"operation": "exp", "inputs": [x.T]}


def close(got: np.ndarray, want: np.ndarray) -> None:
    assert got.shape == want.shape
    tolerance = 1e-5 if got.dtype == np.float32 else 4e-14
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return Backend(request.param)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_backend_computes_the_definition(
    backend: Backend, operation: str, dtype: Any
) -> None:
    p, q = numbers_of(operation)
    exact = inputs_of(operation, (3, 5, 41), 1)
    inputs = [x if x.dtype == bool else x.astype(dtype) for x in exact]
    wide = [x if x.dtype == bool else x.astype(np.float64) for x in inputs]
    want = OPERATIONS[operation](*wide, np.float64(dtype(p)), np.float64(dtype(q)))
    got = backend.elementwise(operation, inputs, p, q)
    assert got.dtype == dtype
    close(got, np.broadcast_to(want, got.shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", [name for name, _ in elementwise() if ", " in name])
def test_layouts(backend: Backend, case: str, dtype: Any) -> None:
    args = dict(elementwise(dtype))[case]
    want = OPERATIONS[args["operation"]](*args["inputs"], 0, 0)
    close(backend.elementwise(**args), np.asarray(want, dtype))


def test_any_axes_broadcast(backend: Backend) -> None:
    """Axes that join and axes that don't, of size 1, spread, turned, with gaps, backwards."""
    x = rng(97).normal(size=(2, 3, 2, 3, 4))
    for a, b in [
        (x, x[:, :1, :, :1]),
        (x[:1, :, :1, :, :1], x[:, :1, :, :1]),
        (x[:, :, 0], x[0, :, 1]),
        (x.reshape(2, 3, 1, 2, 1, 3, 4), x[0, 0, 0, 0]),
        (x.T, x.T[:, :, :1]),
        (x[::-1, :, ::2], x[:1, :, :, ::-1, ::-1]),
        (x[0, 0, 0], x[0, 0, 0, :, :1]),
        (x[..., ::2], x[..., 1::2]),
    ]:
        np.testing.assert_array_equal(backend.elementwise("sub", [a, b]), a - b)
        want = np.where(a > 0, a, b)
        np.testing.assert_array_equal(backend.elementwise("where", [a > 0, a, b]), want)


def test_the_result_has_the_memory_order_that_the_inputs_share(backend: Backend) -> None:
    x = np.ones((3, 4, 5), np.float32)
    assert backend.elementwise("exp", [x.T]).flags.f_contiguous
    assert backend.elementwise("add", [x.T, np.ascontiguousarray(x.T)]).flags.c_contiguous


def test_strange_memory_is_read(backend: Backend) -> None:
    x = rng(92).normal(size=(6, 7)).astype(np.float32)
    for strange in (unaligned(x), big_endian(x), np.broadcast_to(x[0], (6, 7))):
        close(backend.elementwise("add", [strange, x]), np.asarray(strange, "f4") + x)


def test_out_may_be_an_input(backend: Backend) -> None:
    x = rng(93).normal(size=(300, 70)).astype(np.float32)
    want, kept = x + x[0], x[0].copy()
    assert backend.elementwise("add", [x, kept], out=x) is x
    np.testing.assert_array_equal(x, want)
    want = x + x[0]  # a view of what is overwritten
    backend.elementwise("add", [x, x[0]], out=x)
    np.testing.assert_array_equal(x, want)


def test_a_result_may_overlap_an_input(backend: Backend) -> None:
    x = np.arange(20000, dtype=np.float32)
    want = x[1:] + x[:-1]
    assert backend.elementwise("add", [x[1:], x[:-1]], out=x[1:]) is not None
    np.testing.assert_array_equal(x[1:], want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["remainder", "fmod"])
def test_remainders_have_the_bits_of_numpy(backend: Backend, name: str, dtype: Any) -> None:
    r, tiny = rng(96), np.finfo(dtype).smallest_subnormal
    special = [0.0, 1.0, 0.7, 3.0, np.inf, np.nan, 1e30, 1e-30, tiny, 3 * tiny, 2.0**24, 2.0**60]
    numbers = np.array([*special, *(-x for x in special)], dtype)
    pairs = np.stack(np.meshgrid(numbers, numbers)).reshape(2, -1)
    for scale in (1, 1e3, 1e9, 1e25):
        x, y = r.normal(size=(2, 5003)).astype(dtype)
        whole = np.rint(x * 100).astype(dtype)  # often a multiple of y
        pairs = np.concatenate([pairs, [scale * x, y], [whole, np.rint(y * 9)]], 1, dtype=dtype)
    x, y = np.ascontiguousarray(pairs)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x, y)
    got = backend.elementwise(name, [x, y])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))
    np.testing.assert_array_equal(backend.elementwise(name, [x, 0.7])[-900:], want_of(name, x))
    for size in (0, 1, 63, 64, 65):
        kept = x[:size].copy()
        backend.elementwise(name, [kept, y[:size]], out=kept)
        np.testing.assert_array_equal(kept, want[:size])


def want_of(name: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return getattr(np, name)(x[-900:], x.dtype.type(0.7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_in_place_of_nan_and_the_infinities(backend: Backend, dtype: Any) -> None:
    largest = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, largest, -0.0, 2.0] * 7, dtype)
    got = backend.elementwise("nan_to_num", [x, dtype(9).reshape(())], 7.0, 8.0)
    np.testing.assert_array_equal(got, np.array([9, 7, 8, largest, -0.0, 2] * 7, dtype))
    slope = backend.elementwise("nan_to_num_backward", [np.ones_like(x), x])
    np.testing.assert_array_equal(slope, [0, 0, 0, 1, 1, 1] * 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "exponent", [0.0, 1.0, 2.0, 3.0, 5.0, -1.0, -3.0, 17.0, 0.5, -0.5, 2.5, 63.0]
)
def test_whole_and_half_powers_are_within_an_ulp(exponent: float, dtype: Any) -> None:
    backend = native()
    if dtype is np.float64 and np.finfo(np.longdouble).nmant < 60:
        pytest.skip("no wider type to compare float64 with")
    x = rng(94).uniform(0.25, 3.5, 20_000).astype(dtype)
    if exponent == int(exponent):
        x[::2] *= -1
    got = backend.elementwise("pow", [x, exponent])
    true = x.astype(np.longdouble) ** np.longdouble(exponent)
    # half a unit in the last place, and next to nothing of the products before
    assert (np.abs(got - true) / np.spacing(np.abs(got))).max() <= 0.51
    grad = np.ones_like(x)
    slope = backend.elementwise("pow_backward", [grad, x, exponent])
    wide = x.astype(np.longdouble)
    true = np.longdouble(exponent) * wide ** np.longdouble(exponent - 1)
    assert (np.abs(slope - true) <= 2 * np.spacing(np.abs(slope))).all()


def native() -> Backend:
    try:
        return Backend("native")
    except ImportError as error:
        pytest.skip(str(error))


def test_the_third_power_of_float32_is_rounded_once(backend: Backend) -> None:
    x, grad = rng(98).normal(size=(2, 400)).astype(np.float32)
    wide = x.astype(np.float64)
    got = backend.elementwise("pow", [x, 3.0])
    ulps = np.abs(got - wide * wide * wide) / np.spacing(np.abs(got))
    assert ulps.max() <= (1 if backend.name == "numpy" else 0.5)
    slope = backend.elementwise("pow_backward", [grad, x, 3.0])
    np.testing.assert_allclose(slope, 3 * wide * wide * grad, rtol=4e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_leave_the_range_as_those_of_c_do(backend: Backend, dtype: Any) -> None:
    info = np.finfo(dtype)
    x = np.array([0.0, -0.0, info.max, info.tiny, np.inf, -np.inf, np.nan, -1.0, 1.0] * 5, dtype)
    for exponent in (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 7.0):
        with np.errstate(all="ignore"):
            want = np.power(x, dtype(exponent))
        np.testing.assert_array_equal(backend.elementwise("pow", [x, exponent]), want)


def test_special_values(backend: Backend) -> None:
    """What NumPy and PyTorch say of NaN, infinities and zeros."""
    nan, inf = np.nan, np.inf
    x = np.array([nan, inf, -inf, 0.0, -0.0, 2.0] * 7, np.float32)

    def of(operation: str, *others: Any, p: float = 0.0, q: float = 0.0) -> np.ndarray:
        return backend.elementwise(operation, [x, *others], p, q)[:6]

    def same(got: np.ndarray, want: list[float]) -> None:
        np.testing.assert_array_equal(got, np.array(want, np.float32))

    one = np.ones_like(x)
    same(of("relu"), [nan, inf, 0, 0, 0, 2])
    same(of("sign"), [0, 1, -1, 0, 0, 1])
    same(of("maximum", one), [nan, inf, 1, 1, 1, 2])
    same(of("minimum", one), [nan, 1, -inf, 0, 0, 1])
    same(backend.elementwise("maximum", [one, x])[:6], [nan, inf, 1, 1, 1, 2])
    same(of("clamp_numbers", p=-1.0, q=1.0), [nan, 1, -1, 0, 0, 1])
    same(of("elu", p=1.0), [nan, inf, -1, 0, 0, 2])
    same(of("leaky_relu", p=0.5), [nan, inf, -inf, 0, 0, 2])
    same(
        of("softplus", p=1.0, q=1.5), [nan, inf, 0, np.log(np.float32(2)), np.log(np.float32(2)), 2]
    )
    same(of("logsigmoid")[:3], [nan, 0, -inf])
    same(of("softsign")[3:5], [0, 0])
    same(of("reciprocal"), [nan, 0, -0.0, inf, -inf, 0.5])
    same(of("abs"), [nan, inf, inf, 0, 0, 2])
    assert not np.signbit(of("abs")[4])
    # Backwards: a NaN passes relu's gradient, and it is in no range.
    same(backend.elementwise("relu_backward", [one, x])[:6], [1, 1, 0, 0, 0, 1])
    inside = backend.elementwise("clamp_numbers_backward", [one, x], 0.0, 2.0)[:6]
    same(inside, [0, 0, 0, 1, 1, 1])
    tied = backend.elementwise("maximum_backward", [one, x, x])[:6]
    same(tied, [1, 0.5, 0.5, 0.5, 0.5, 0.5])


def test_gradients_where_a_quotient_has_no_limit(backend: Backend) -> None:
    """The norm's is 0 at 0; the one of a logarithm at probability 0 is that of 1e-12."""
    x, norms = np.array([[3.0, -4.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[5.0], [1.0], [0.0]])
    slope = backend.elementwise("norm_backward", [np.full((3, 2), 2.0), x, norms])
    assert slope.tolist() == [[2 * 0.6, -2 * 0.8], [2, 0], [0, 0]]
    y, target = np.array([0.0, 1.0, 0.5]), np.array([1.0, 0.0, 1.0])
    slope = backend.elementwise("probability_cross_entropy_backward", [np.ones(3), y, target])
    largest = 1 / float(np.float32(1e-12))
    np.testing.assert_allclose(slope, [-largest, largest, -2], rtol=1e-15)


def test_where_takes_nothing_from_the_other_side(backend: Backend) -> None:
    mask = np.arange(50) % 2 == 0
    x, y = np.full(50, np.nan, np.float32), np.ones(50, np.float32)
    got = backend.elementwise("where", [mask, y, x])
    np.testing.assert_array_equal(np.isnan(got), ~mask)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 1])
def test_a_number_may_stand_in_any_place(backend: Backend, place: int, dtype: Any) -> None:
    mask, x = np.arange(50) % 2 == 0, np.arange(1, 51, dtype=dtype)
    others: list[Any] = [x, x]
    others[place] = -1.5
    np.testing.assert_array_equal(
        backend.elementwise("where", [mask, *others]), np.where(mask, *others)
    )
    np.testing.assert_array_equal(backend.elementwise("sub", others), np.subtract(*others))
    np.testing.assert_array_equal(backend.elementwise("mul", others), np.multiply(*others))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_scaled_sum_is_rounded_twice(dtype: Any) -> None:
    x, y = rng(97).normal(size=(2, 1000)).astype(dtype)
    got = native().elementwise("add_scaled", [x, y], 0.1)
    np.testing.assert_array_equal(got, x + dtype(0.1) * y)


def test_nothing_is_written_behind_the_result(backend: Backend) -> None:
    x = np.linspace(1, 2, 100)
    for operation, inputs in {
        "add": [x, x],
        "where": [x > 1.5, x, 0.0],
        "floor": [x],
        "fmod": [x, x],
        "pow": [x, 2.5],
        "pow_backward": [x, x, 2.5],
    }.items():
        room = np.full(300, 7.0)
        backend.elementwise(operation, inputs, out=room[:100])
        np.testing.assert_array_equal(room[:100], backend.elementwise(operation, inputs))
        assert (room[100:] == 7).all(), operation


@pytest.mark.parametrize("size", [1, 15, 1023, 1024, 1025, 16384, 16385, 50_001])
def test_every_element_is_written_whatever_the_size(backend: Backend, size: int) -> None:
    x = np.linspace(-3, 3, 2 * size).astype(np.float32)
    close(backend.elementwise("tanh", [x[:size]]), np.tanh(x[:size]))
    close(backend.elementwise("add", [x[::2], x[1::2]]), x[::2] + x[1::2])


def test_wrong_calls_name_what_is_wrong(backend: Backend) -> None:
    x = np.ones((2, 3), np.float32)
    for error, operation, inputs, text in (
        (ValueError, "exponent", [x], "the name of an operation"),
        (ValueError, "add", [x], "expected 2 inputs of 'add', got 1"),
        (ValueError, "add", [x, x[:, :2]], "do not broadcast"),
        (TypeError, "add", [x, x.astype(float)], "b: expected float32, got float64"),
        (TypeError, "add", [x, x.astype(int)], "expected float32 or float64, got int64"),
        (TypeError, "where", [x, x, x], "a: expected bool, got float32"),
        (TypeError, "add", [1.0, 2.0], "expected an array and"),
    ):
        with pytest.raises(error, match=text):
            backend.elementwise(operation, inputs)
    with pytest.raises(ValueError, match="out must be"):
        backend.elementwise("exp", [x], out=x.T)


def test_general_powers_are_those_of_c(backend: Backend) -> None:
    nan, inf = np.nan, np.inf
    some = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, -2.5, inf, -inf, nan, 1e-40, -1e38, 16777217.0]
    x, y = (
        np.ascontiguousarray(a, np.float32).reshape(-1)
        for a in np.meshgrid(np.array(some), np.array(some))
    )
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    got = backend.elementwise("pow", [x, y])
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=1e-44)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


def test_general_powers_of_float32_are_within_an_ulp() -> None:
    r = rng(95)
    x = np.exp(r.uniform(-30, 30, 50_000)).astype(np.float32)
    y = r.uniform(-2, 2, 50_000).astype(np.float32)
    got = native().elementwise("pow", [x, y])
    true = x.astype(np.float64) ** y.astype(np.float64)
    assert (np.abs(got - true) <= np.spacing(np.abs(got))).all()
