"""Sums, moments and running sums against exact ones (math.fsum, fractions): none of them drifts."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyattn.kernels import Backend
from tinyattn.kernels.sums import cumsum_along, moments_over, sum_over

from . import cases
from .cases import rng

INF, NAN = math.inf, math.nan


def exact_sum(x: np.ndarray) -> np.ndarray:
    """x (A, n, C) -> (A, C) in float64, each correctly rounded."""
    A, _, C = x.shape
    sums = [math.fsum(x[a, :, c].tolist()) for a in range(A) for c in range(C)]
    return np.array(sums, np.float64).reshape(A, C)


def exact_moments(x: list[float]) -> tuple[float, float]:
    numbers = [Fraction(v) for v in x]
    mean = sum(numbers) / len(numbers)
    return float(mean), float(sum((v - mean) ** 2 for v in numbers))


def assert_ulps(got: np.ndarray, want: np.ndarray, ulps: float) -> None:
    """Every element within so many ULP of its own."""
    assert got.shape == want.shape
    error = np.abs(got.astype(np.float64) - want)
    room = ulps * np.spacing(np.abs(want).astype(got.dtype)).astype(np.float64)
    assert np.all(error <= room), float((error / room).max() * ulps)


@pytest.mark.parametrize("x", [pytest.param(x, id=name) for name, x in cases.middles()])
def test_a_sum_is_the_exact_sum_rounded(kernels: Backend, dtype: Any, x: np.ndarray) -> None:
    x = x.astype(dtype)
    assert_ulps(kernels.sum(x), exact_sum(x), 1)
    assert_ulps(kernels.sum(x, divisor=7.0), exact_sum(x) / 7, 1)
    wide = kernels.sum(x, wide=True)
    assert wide.dtype == np.float64
    assert_ulps(wide, exact_sum(x), 1 if dtype is np.float64 else 2**20)


@pytest.mark.parametrize("args", [pytest.param(args, id=name) for name, args in cases.products()])
def test_a_sum_of_products_is_the_exact_one_rounded(
    kernels: Backend, dtype: Any, args: dict[str, np.ndarray]
) -> None:
    x, y = (args[name].astype(dtype) for name in ("x", "y"))
    terms = x.astype(np.float64) * y  # of float32: exact
    got, want = kernels.products(x, y), exact_sum(terms)
    assert got.dtype == dtype
    lost = np.finfo(np.float64).eps * np.abs(terms).sum(axis=1)  # in rounding the terms
    error = np.abs(got - want)
    assert np.all(error <= lost + np.spacing(np.abs(want).astype(dtype)))


@pytest.mark.parametrize("n", [2, 17, 1000])
@pytest.mark.parametrize("columns", [1, 3, 600])
@pytest.mark.parametrize("centre", [0.0, 1e6, -3e7])
def test_moments_are_the_exact_ones(
    kernels: Backend, dtype: Any, n: int, columns: int, centre: float
) -> None:
    x = (rng(90).normal(size=(2, n, columns)) + centre).astype(dtype)
    mean, _, squares = kernels.moments(x)
    places = [(0, 0), (1, columns - 1), (1, columns // 2)]
    want = np.array([exact_moments(x[a, :, c].tolist()) for a, c in places]).T
    for got, exact in zip((mean, squares), want, strict=True):
        got = np.array([got[place] for place in places])
        np.testing.assert_allclose(got, exact, rtol=4e-14, atol=1e-16 * n)


def test_of_equal_numbers_the_deviations_are_zero(kernels: Backend, dtype: Any) -> None:
    x = np.full((1, 30_001, 3), 0.1, dtype)
    mean, _, squares = kernels.moments(x)
    assert np.all(mean == np.float64(dtype(0.1)))
    assert np.all(squares == 0)


@pytest.mark.parametrize("shape", [(1, 70_001, 1), (2, 300, 5), (1, 30_001, 3), (3, 40, 700)])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_running_sum_is_the_exact_one_at_every_place(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], reverse: bool
) -> None:
    x = rng(91).random(size=shape).astype(dtype)
    got = kernels.cumsum(x, reverse)
    for i in (0, 1, shape[1] // 2, shape[1] - 1):
        part = x[:, i:] if reverse else x[:, : i + 1]
        assert_ulps(got[:, i], exact_sum(part), 1)


def test_of_many_long_rows_each_is_summed(kernels: Backend) -> None:
    x = np.ones((65, 32_768, 1))
    assert (kernels.sum(x) == 32_768).all()


@pytest.mark.parametrize("n", [2, 6, 300])
@pytest.mark.parametrize("columns", [1, 3])
def test_deviations_are_from_the_exact_mean(kernels: Backend, n: int, columns: int) -> None:
    """2**53 + 1, the mean, is no float64: it is a sum of two."""
    x = np.full((2, n, columns), 2.0**53)
    x[:, ::2] += 2
    mean, rest, squares = kernels.moments(x)
    assert ((mean - 2**53) + rest == 1).all()
    assert (squares == n).all()


@pytest.mark.parametrize(
    "shape", [(3, 7, 1), (301, 3, 1), (2, 300, 5), (1, 70_001, 1), (1, 40, 700)]
)
def test_magnitudes_and_norms_come_from_exact_sums(
    kernels: Backend, dtype: Any, shape: tuple[int, ...]
) -> None:
    x = rng(93).normal(size=shape).astype(dtype)
    assert_ulps(kernels.magnitudes(x), exact_sum(np.abs(x.astype(np.float64))), 64)
    squares = np.square(x.astype(np.float64))
    assert_ulps(kernels.norm(x), np.sqrt(exact_sum(squares)).astype(dtype), 1)


@pytest.mark.parametrize("centre", [0.0, 1e6, -3e7])
@pytest.mark.parametrize("shape", [(3, 7, 1), (2, 300, 5), (1, 9, 700)])
def test_the_way_back_of_moments_is_slope_times_deviation(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], centre: float
) -> None:
    x = (rng(94).normal(size=shape) + centre).astype(dtype)
    slope = rng(95).normal(size=(shape[0], shape[2])).astype(dtype)
    mean, rest, _ = kernels.moments(x)
    got = kernels.moments_backward(slope, x, mean, rest)
    assert got.dtype == dtype
    for a, c in [(0, 0), (shape[0] - 1, shape[2] - 1)]:
        line = [Fraction(v) for v in x[a, :, c].tolist()]
        middle, factor = sum(line) / len(line), Fraction(float(slope[a, c]))
        want = np.array([float(factor * (v - middle)) for v in line])
        np.testing.assert_allclose(
            got[a, :, c], want, rtol=4 * np.finfo(dtype).eps, atol=1e-13 if centre else 1e-15
        )


def test_the_way_back_of_moments_of_nothing(kernels: Backend, dtype: Any) -> None:
    for A, n in ((0, 4), (3, 0)):
        none = np.zeros((A, 2))
        got = kernels.moments_backward(none.astype(dtype), np.zeros((A, n, 2), dtype), none, none)
        assert got.shape == (A, n, 2)


@pytest.mark.parametrize("shape", [(3, 7, 1), (2, 30, 5), (40, 9, 1), (1, 12, 700), (1, 300, 1)])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_and_the_products_of_the_others(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], zeros: int
) -> None:
    x = rng(96).uniform(0.7, 1.3, size=shape).astype(dtype)
    x[:, [2, 5][:zeros]] = 0
    grad = rng(97).normal(size=(shape[0], shape[2])).astype(dtype)
    y, dx = kernels.prod(x), kernels.prod_backward(grad, x)
    for a, c in [(0, 0), (shape[0] - 1, shape[2] // 2), (shape[0] // 2, shape[2] - 1)]:
        line = [Fraction(v) for v in x[a, :, c].tolist()]
        close = {"rtol": (shape[1] + 8) * 2.3e-16 if dtype is np.float64 else 1.2e-7}
        np.testing.assert_allclose(y[a, c], float(math.prod(line)), **close)
        for i in range(min(len(line), 8)):
            others = math.prod(line[:i] + line[i + 1 :]) * Fraction(float(grad[a, c]))
            np.testing.assert_allclose(dx[a, i, c], float(others), **close)


@pytest.mark.parametrize("columns", [1, 16])
def test_of_many_matrices_each_has_its_own_products(kernels: Backend, columns: int) -> None:
    x, grad = rng(99).uniform(0.5, 2, size=(2, 15_000, 2, columns))
    first, last = x[:, 0], x[:, 1]
    np.testing.assert_array_equal(kernels.cumprod(x), np.stack([first, first * last], 1))
    np.testing.assert_array_equal(kernels.prod(x), first * last)
    dx = kernels.prod_backward(grad[:, 0].copy(), x)
    np.testing.assert_array_equal(dx, np.stack([grad[:, 0] * last, grad[:, 0] * first], 1))


@pytest.mark.parametrize("shape", [(3, 7, 1), (2, 30, 5), (40, 9, 1), (1, 12, 700)])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_running_products_and_their_gradient(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], zeros: int
) -> None:
    x = rng(96).uniform(0.7, 1.3, size=shape).astype(dtype)
    x[:, [2, 5][:zeros]] = 0
    grad = rng(97).uniform(0.5, 2, size=shape).astype(dtype)
    y, dx = kernels.cumprod(x), kernels.cumprod_backward(grad, x)
    for a, c in [(0, 0), (shape[0] - 1, shape[2] // 2), (shape[0] // 2, shape[2] - 1)]:
        line = [Fraction(v) for v in x[a, :, c].tolist()]
        weights = [Fraction(v) for v in grad[a, :, c].tolist()]
        close = {"rtol": 64 * 2.3e-16 if dtype is np.float64 else 1.2e-7}
        want = [float(math.prod(line[: i + 1])) for i in range(len(line))]
        np.testing.assert_allclose(y[a, :, c], want, **close)
        for j in range(len(line)):
            terms = [
                weights[i] * math.prod(line[:j] + line[j + 1 : i + 1]) for i in range(j, len(line))
            ]
            np.testing.assert_allclose(dx[a, j, c], float(sum(terms)), **close)


@pytest.mark.parametrize("shape", [(3, 7, 1), (2, 300, 5), (1, 70_001, 1), (1, 40, 700), (2, 0, 3)])
def test_logsumexp_neither_overflows_nor_drifts(
    kernels: Backend, dtype: Any, shape: tuple[int, ...]
) -> None:
    x = (rng(98).normal(size=shape) + 1000).astype(dtype)
    got = kernels.logsumexp(x)
    for a, c in [(0, 0), (shape[0] - 1, shape[2] - 1)]:
        total = math.fsum(math.exp(v - 1000) for v in x[a, :, c].tolist())
        want = 1000 + math.log(total) if total else -INF
        np.testing.assert_allclose(got[a, c], want, rtol=2 * np.finfo(dtype).eps)


def test_logsumexp_of_infinities(kernels: Backend, dtype: Any) -> None:
    for columns in (1, 2):
        x = np.array([[-INF, -INF], [-INF, 3.0], [INF, 1.0], [INF, -INF], [NAN, INF]], dtype)
        y = kernels.logsumexp(np.repeat(x[..., None], columns, 2))
        assert str(y[:, 0]) == "[-inf   3.  inf  inf  nan]"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize("pieces", [1, 3, 5])
def test_pieces_of_a_sum_lose_nothing(
    kernels: Backend, monkeypatch: pytest.MonkeyPatch, kind: Any, columns: int, pieces: int
) -> None:
    if kernels.name == "numba":  # which cuts few numbers as it cuts very many
        monkeypatch.setattr("tinyattn.kernels.jit.reductions.cut", lambda x: pieces)
    big = 1e8 if kind is np.float32 else 1e16
    line = [big, 1, 1, 3, -big, 1, 1, big, 1, 0.5, -big, 3, big, 1, 1, 1, -big, 2, 7]
    small_first = [1] * 5 + [big] + [1] * 7 + [-big] + [1] * 5
    small_later = [big] + [0.75] * 17 + [-big]
    lines = np.array([line, line[::-1], small_first, small_later], kind)
    x = lines[:, :, None] if columns == 1 else np.stack([lines.T, lines[::-1].T])
    assert_ulps(kernels.sum(x), exact_sum(x), 1)
    for reverse in (False, True):
        got = kernels.cumsum(x, reverse)
        for i in range(len(line)):
            assert_ulps(got[:, i], exact_sum(x[:, i:] if reverse else x[:, : i + 1]), 1)


def test_what_a_piece_of_float32_loses_is_handed_on(
    kernels: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^60 + 3 is 2^60 in float64, too."""
    if kernels.name != "numba":
        pytest.skip("of the others four numbers are one piece")
    monkeypatch.setattr("tinyattn.kernels.jit.reductions.cut", lambda x: 4)
    x = np.array([2.0**60, 3, -(2.0**60), 5], np.float32).reshape(1, 4, 1)
    assert kernels.cumsum(x)[0, -1, 0] == 8


@pytest.mark.parametrize("n", [5, 42, 402])
@pytest.mark.parametrize("columns", [1, 3])
def test_moments_keep_what_rounding_takes_away(kernels: Backend, n: int, columns: int) -> None:
    """Of numbers whose mean no float64 is, and of squares that a float64 can't add up."""
    steps = rng(99).integers(0, 5, (n, columns)) * 2.0
    large, small = np.full((n, columns), 1.0), np.full((n, columns), -1.0)
    ends = np.array([[1e8], [-1e8]]) * np.arange(1, columns + 1)
    mixed = np.concatenate([ends, large[: n // 2], small[: n // 2]])
    for x in (1e16 + steps, 1e16 - 2 * steps[:, ::-1], mixed):
        mean, rest, squares = kernels.moments(x[None])
        for c in range(columns):
            want, of_squares = exact_moments(x[:, c].tolist())
            assert mean[0, c] == want
            left = Fraction(want) - sum(map(Fraction, x[:, c].tolist())) / len(x)
            assert abs(left + Fraction(rest[0, c])) < 1e-15 * np.abs(x[:, c] - want).max()
            np.testing.assert_allclose(squares[0, c], of_squares, rtol=4e-16)
    lost = np.array([1e16, *[1.0] * n, -1e16]).reshape(1, -1, 1).repeat(columns, 2)
    assert np.all(kernels.moments(lost)[0] == n / (n + 2))


def test_float64_keeps_what_cancels(kernels: Backend) -> None:
    x = np.array([1e16, 1.0, -1e16, 1.0] * 5000 + [0.25]).reshape(1, -1, 1)
    assert kernels.sum(x) == 10_000.25
    assert kernels.cumsum(x)[0, -1, 0] == 10_000.25


@pytest.mark.parametrize("at", [0, 40, 30_000])
def test_infinities_and_nan_come_through(kernels: Backend, dtype: Any, at: int) -> None:
    x = np.ones((1, 30_001, 2), dtype)
    x[0, at] = [INF, NAN]
    assert str(kernels.sum(x)) == "[[inf nan]]"
    assert str(kernels.norm(x)) == "[[inf nan]]"
    assert np.all(kernels.cumsum(x)[0, :at] == np.arange(1, at + 1)[:, None])
    assert str(kernels.cumsum(x)[:, -1]) == "[[inf nan]]"
    x[0, at + 1 - 2 * (at > 0)] = -INF
    assert np.all(np.isnan(kernels.sum(x)[0]) == [True, True])


def test_of_nothing(kernels: Backend, dtype: Any) -> None:
    x = np.ones((2, 0, 3), dtype)
    assert np.all(kernels.sum(x) == 0)
    assert np.all(np.isnan(kernels.sum(x, divisor=0)))
    assert np.all(kernels.norm(x) == 0)
    assert np.all(np.isnan(kernels.moments(x)[0]))
    assert kernels.sum(np.ones((0, 4, 3), dtype)).shape == (0, 3)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_over_any_axes_of_any_strides(data: Any) -> None:
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    order = data.draw(st.permutations(range(len(shape))))
    axes = tuple(sorted(data.draw(st.sets(st.sampled_from(range(len(shape)))))))
    steps = data.draw(st.lists(st.sampled_from([1, -1, 2]), min_size=4, max_size=4))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    x = rng(92).integers(-99, 99, size=shape).astype(dtype).transpose(order)
    x = x[tuple(slice(None, None, step) for step in steps[: x.ndim])]
    keepdims = data.draw(st.booleans())
    np.testing.assert_array_equal(
        sum_over(x, axes, keepdims), x.sum(axis=axes, keepdims=keepdims), strict=True
    )
    if all(x.shape[axis] for axis in axes):
        mean, _, squares = moments_over(x, axes)
        np.testing.assert_allclose(mean, x.mean(axis=axes, keepdims=True, dtype=np.float64))
        want = np.square(x - mean).sum(axis=axes, keepdims=True)
        np.testing.assert_allclose(squares, want, atol=1e-9)
    for axis in range(x.ndim):
        np.testing.assert_array_equal(cumsum_along(x, axis), np.cumsum(x, axis), strict=True)
