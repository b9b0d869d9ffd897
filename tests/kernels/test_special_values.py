"""Infinities, NaN, rows with nothing in them: the answers IEEE and PyTorch give, and no warning."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from . import cases

inf, nan = np.inf, np.nan


@pytest.fixture(autouse=True)
def _nothing_warns() -> Any:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("width", [1, 3, 40])
def test_softmax_of_nothing_but_minus_infinity_is_nan(
    kernels: Backend, dtype: Any, width: int
) -> None:
    x = np.full((2, width), -inf, dtype)
    assert np.isnan(kernels.softmax(x)).all()
    assert np.isnan(kernels.log_softmax(x)).all()


@pytest.mark.parametrize("columns", [1, 3])
def test_softmax_of_very_large_numbers(kernels: Backend, columns: int) -> None:
    x = np.array([-2e6, 1e6, 1e6 - 1, -1e6]).reshape(1, 4, 1).repeat(columns, 2)
    y = kernels.softmax(x, axis=1)
    share = 1 / (1 + math.exp(-1))
    np.testing.assert_allclose(y[0, :, 0], [0, share, 1 - share, 0], rtol=1e-15)
    np.testing.assert_array_equal(y, y[:, :, :1].repeat(columns, 2))


@pytest.mark.parametrize("bad", [inf, nan, -nan])
@pytest.mark.parametrize("place", [0, 5, 36])
def test_one_nan_or_infinity_spoils_its_row_only(
    kernels: Backend, dtype: Any, bad: float, place: int
) -> None:
    x = np.zeros((3, 37), dtype)
    x[1, place] = bad
    for y in (kernels.softmax(x), kernels.log_softmax(x)):
        assert np.isnan(y[1]).all()
        assert np.isfinite(y[[0, 2]]).all()
    target = np.array([1, 1, 1])
    losses, _, grad = kernels.cross_entropy(x, target, None, -100, 0.1, False, True)
    assert grad is not None
    assert np.isnan(losses[1])
    assert np.isnan(grad[1]).all()
    assert np.isfinite(losses[[0, 2]]).all()
    assert np.isfinite(grad[[0, 2]]).all()


def test_minus_infinity_gets_no_weight(kernels: Backend, dtype: Any) -> None:
    x = np.zeros((1, 21), dtype)
    x[0, 3::4] = -inf
    y = kernels.softmax(x)
    assert not y[x == -inf].any()
    np.testing.assert_allclose(y[x == 0], 1 / (x == 0).sum(), rtol=1e-6)
    assert (kernels.log_softmax(x)[x == -inf] == -inf).all()


def test_masked_rows_give_zeros_whatever_they_hold(kernels: Backend, dtype: Any) -> None:
    x = np.array([[1, nan, inf, -inf, 2], [nan] * 5, [-inf] * 5], dtype)
    mask = np.array([[1, 0, 0, 0, 1], [0] * 5, [0] * 5], bool)
    y = kernels.softmax(x, mask)
    assert not y[1:].any()
    assert not y[0, 1:4].any()
    np.testing.assert_allclose(y[0, [0, 4]], 1 / (1 + np.exp(dtype([1, -1]))), rtol=1e-6)
    assert not kernels.softmax_backward(y, np.ones_like(y))[1:].any()


def test_ignored_rows_cost_nothing_whatever_they_hold(kernels: Backend, dtype: Any) -> None:
    logits = np.array([[nan] * 4, [inf] * 4, [-inf] * 4, [0, 1, 2, 3]], dtype)
    target = np.array([7, 7, 7, 0])
    losses, _, grad = kernels.cross_entropy(logits, target, None, 7, 0.2, False, True)
    assert grad is not None
    assert not losses[:3].any()
    assert not grad[:3].any()
    assert np.isfinite(losses[3])


def test_a_target_of_probability_zero_costs_infinity(kernels: Backend, dtype: Any) -> None:
    logits = np.array([[0, -inf, 1]], dtype)
    losses, _, grad = kernels.cross_entropy(logits, np.array([1]), None, -100, 0.0, False, True)
    assert losses[0] == inf
    assert grad is not None
    assert grad[0, 1] == -1


@pytest.mark.parametrize("size", [1, 9, 70])
def test_matmul_keeps_infinity_and_nan_where_they_belong(
    kernels: Backend, dtype: Any, size: int
) -> None:
    a, b = np.ones((size, size), dtype), np.ones((size, size), dtype)
    a[0, 0] = inf
    b[0, size - 1] = nan
    got = kernels.matmul(a, b)
    assert np.isnan(got[:, -1]).all()
    assert (got[0, :-1] == inf).all()
    assert (got[1:, :-1] == size).all()


def test_a_long_row_times_a_column_keeps_infinity_and_nan(kernels: Backend, dtype: Any) -> None:
    a, b = np.ones((4, 20_000), dtype), np.ones((20_000, 1), dtype)
    a[0, 3], a[1, 9_000], a[2, 9_000], a[2, 17_000] = inf, nan, inf, -inf
    got = kernels.matmul(a, b)[:, 0]
    np.testing.assert_array_equal(got, [inf, nan, nan, 20_000])


def test_gru_gates_saturate_cleanly(kernels: Backend, dtype: Any) -> None:
    H = 5
    gx = np.concatenate([np.full(H, v) for v in (1e30, 1e30, -1e30)])[None].astype(dtype)
    h0, w = np.full((1, H), 0.25, dtype), np.zeros((3 * H, H), dtype)
    y, _, saved = kernels.gru(gx, h0, w, None, np.array([1]), False)
    assert (y == 0.25).all()  # the update gate is open: the state stays
    assert (saved == np.repeat(np.array([1, 1, -1, 0], dtype), H)).all()
    y, _, _ = kernels.gru(-gx, h0, w, None, np.array([1]), False)
    assert (y == 1).all()


def test_lstm_gates_saturate_cleanly(kernels: Backend, dtype: Any) -> None:
    H = 5
    h0, w = np.zeros((1, H), dtype), np.zeros((4 * H, H), dtype)
    c0 = np.full((1, H), 0.25, dtype)
    gx = np.repeat(np.array([-1e30, 1e30, 1e30, 1e30], dtype), H)[None]
    y, h_n, c_n, saved = kernels.lstm(gx, h0, c0, w, None, np.array([1]), False)
    assert (c_n == 0.25).all()  # nothing is written, nothing forgotten
    np.testing.assert_allclose(y, np.tanh(c0), rtol=1e-6)
    assert (y == h_n).all()
    assert (saved == np.repeat(np.array([0, 1, 1, 1, 0.25], dtype), H)).all()
    dgates, dh0, dc0 = kernels.lstm_backward(y, None, c0, saved, c0, w, np.array([1]), False)
    assert not dgates.any()
    assert not dh0.any()
    np.testing.assert_allclose(dc0, c0 + y * (1 - y * y), rtol=1e-6)


@pytest.mark.parametrize("bad", [inf, nan])
def test_a_bad_row_of_an_lstm_spoils_no_other(kernels: Backend, dtype: Any, bad: float) -> None:
    args = cases.cast(dict(cases.lstm())["unequal"], dtype)
    want = kernels.lstm(**args)
    args["c0"][2] = bad
    got = kernels.lstm(**args)
    assert np.isnan(got[0]).any() == np.isnan(bad)
    for x, y in zip(got[1:3], want[1:3], strict=True):
        np.testing.assert_array_equal(np.delete(x, 2, 0), np.delete(y, 2, 0))


def test_infinite_gradients_have_an_infinite_norm(kernels: Backend, dtype: Any) -> None:
    assert kernels.global_norm([np.array([1, -inf], dtype)]) == inf
    assert np.isnan(kernels.global_norm([np.array([1, nan], dtype)]))


def test_the_norm_of_large_float32_does_not_overflow(kernels: Backend) -> None:
    x = np.full(4, 3e38, np.float32)
    assert kernels.global_norm([x]) == pytest.approx(6e38, rel=1e-6)


@np.errstate(under="ignore")
def test_sizes_of_rows_neither_overflow_nor_vanish(kernels: Backend) -> None:
    x = np.array([[3e200, 4e200], [3e-200, -4e-200], [0, 5e-324], [0, 0], [inf, 1], [nan, 1]])
    y, size = kernels.normalize(x, 0.0)
    np.testing.assert_allclose(size, [5e200, 5e-200, 5e-324, 0, inf, nan], rtol=1e-15)
    np.testing.assert_allclose(y[:3], [[0.6, 0.8], [0.6, -0.8], [0, 1]], rtol=1e-15)
    c = kernels.cosine(x[:2], x[1::-1].copy(), 0.0)
    np.testing.assert_allclose(c, [-0.28, -0.28], rtol=1e-14)
    dx, _ = kernels.cosine_backward(np.ones(1), x[:1], np.array([[0.0, 1e-200]]), 0.0)
    np.testing.assert_allclose(dx, [[-0.48 / 5e200, 0.36 / 5e200]], rtol=1e-14)
    d, of_w = kernels.pairwise(x[:2], np.zeros((2, 2)), 0.0)
    np.testing.assert_allclose(d, [5e200, 5e-200], rtol=1e-15)
    dx = kernels.pairwise_backward(np.ones(2), x[:2], np.zeros((2, 2)), of_w, 0.0)
    np.testing.assert_allclose(dx, [[0.6, 0.8], [0.6, -0.8]], rtol=1e-15)
    x = np.array([[4e200, 1e-200], [1e-200, 4e200], [0, inf], [nan, 0], [inf, nan]])
    np.testing.assert_array_equal(kernels.normalize(x, 0.0)[1], [4e200, 4e200, inf, nan, nan])


def test_rows_of_zeros_and_rows_that_are_alike_have_gradients(kernels: Backend) -> None:
    x, zero, one = np.array([[3.0, 4.0]]), np.zeros((1, 2)), np.ones(1)
    dx, dy = kernels.cosine_backward(one, x, zero, 2.0)  # a size below 2 counts as 2
    np.testing.assert_allclose([dx, dy], [zero, x / 5 / 2], rtol=1e-15)
    dx, dy = kernels.cosine_backward(one, zero, x, 2.0)
    np.testing.assert_allclose([dx, dy], [x / 5 / 2, zero], rtol=1e-15)
    d, size = kernels.pairwise(x, x, 0.0)
    assert d == 0
    np.testing.assert_array_equal(kernels.pairwise_backward(one, x, x, size, 0.0), zero)


def test_the_size_of_a_long_row_keeps_what_is_small(kernels: Backend) -> None:
    """1e16 + 1 is 1e16 in float64."""
    x = np.zeros((1, 808))
    x[0, 0], x[0, 8::8] = 1e8, 1
    _, size = kernels.normalize(x, 0.0)
    np.testing.assert_allclose(size, math.sqrt(1e16 + 100), rtol=4e-16)


def test_a_cosine_keeps_what_cancels(kernels: Backend) -> None:
    """2^60 takes all bits of a float, and the whole numbers between it and -2^60 still count."""
    r = cases.rng(132)
    for D in (3 * 32, 3 * 64 + 1, 300):
        x = r.integers(-9, 10, size=D).astype(np.float64)
        want = x[32:-32].sum()
        x[:32], x[-32:] = 2.0**60, -(2.0**60)
        c = kernels.cosine(x[None], np.ones((1, D)), 1e-8)
        np.testing.assert_allclose(c * 2.0**63 * D**0.5, want, rtol=1e-12)
