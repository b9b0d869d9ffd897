"""Additive scores: the definition against plain loops, the backends against the definition, and the
memory of a call. The shapes stand in cases.py."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from . import cases
from .bounds import assert_within, slope, summing
from .cases import cast

CASES = [pytest.param(args, id=name) for name, args in cases.additive()]


def test_a_score_is_the_sum_over_h(definition: Backend) -> None:
    r = cases.rng(70)
    q, k, v = r.normal(size=(2, 3, 5)), r.normal(size=(2, 4, 5)), r.normal(size=5)
    s = definition.additive(q, k, v)
    for b, i, j in np.ndindex(s.shape):
        want = sum(v[h] * math.tanh(q[b, i, h] + k[b, j, h]) for h in range(5))
        np.testing.assert_allclose(s[b, i, j], want, rtol=1e-14)


def test_gradients_are_those_of_the_scores(definition: Backend) -> None:
    r = cases.rng(71)
    inputs = [r.normal(size=(2, 3, 5)), r.normal(size=(2, 4, 5)), r.normal(size=5)]
    grad = r.normal(size=(2, 3, 4))
    for n, got in enumerate(definition.additive_backward(grad, *inputs)):

        def loss(x: np.ndarray, n: int = n) -> float:
            return float((grad * definition.additive(*inputs[:n], x, *inputs[n + 1 :])).sum())

        np.testing.assert_allclose(got, slope(loss, inputs[n]), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("args", CASES)
def test_forward(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    exact = cast(args, np.float64)
    # tanh's argument is rounded, which moves it by eps (|q| + |k|) at most.
    room = np.abs(exact["q"])[:, :, None] + np.abs(exact["k"])[:, None]
    t = np.tanh(exact["q"][:, :, None] + exact["k"][:, None])
    size = ((1 + (1 - t * t) * room) * np.abs(exact["v"])).sum(-1)
    got = kernels.additive(**args)
    assert got.dtype == dtype
    assert_within(got, definition.additive(**exact), size, summing(args["q"].shape[-1]))


@pytest.mark.parametrize("args", CASES)
def test_backward(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    B, Tq = args["q"].shape[:2]
    Tk = args["k"].shape[1]
    args = cast(args | {"grad": cases.rng(72).normal(size=(B, Tq, Tk))}, dtype)
    exact = cast(args, np.float64)
    q, k = exact["q"][:, :, None], exact["k"][:, None]
    g = np.abs(exact["grad"])[..., None]
    room = 2 + np.abs(q) + np.abs(k)
    of_d, of_t = g * np.abs(exact["v"]) * room, g * room
    got = kernels.additive_backward(**args)
    want = definition.additive_backward(**exact)
    sizes = [(of_d.sum(2), Tk), (of_d.sum(1), Tq), (of_t.sum((0, 1, 2)), B * Tq * Tk)]
    for x, y, (size, n) in zip(got, want, sizes, strict=True):
        assert x.dtype == dtype
        assert_within(x, y, size, summing(n))


def gradients(native: Backend, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Those at q, at k and at v where they are plain sums of `grad` (B, Tq, Tk): at q and k where
    q + k is 0, so that the derivative of tanh is 1; at v where q + k is 40, so that tanh is 1."""
    B, Tq, Tk = grad.shape
    q, k = np.zeros((B, Tq, 2)), np.zeros((B, Tk, 2))
    q[..., 1] = 40
    dq, dk, dv = native.additive_backward(grad, q, k, np.ones(2))
    assert not dq[..., 1].any()
    assert not dk[..., 1].any()
    assert not dv[0]
    return dq[..., 0], dk[..., 0], dv[1]


# 2^60 takes all bits of a float64: the whole numbers beside it are what rounding loses.
LARGE = 2.0**60


def test_sums_over_many_keys_lose_nothing(native: Backend) -> None:
    grad = np.zeros((1, 3, 190))
    grad[..., 64:128] = cases.rng(133).integers(-3, 4, size=(1, 3, 64))
    dq, dk, dv = grad.sum(2), grad.sum(1), grad.sum()
    grad[..., 0], grad[..., -1] = LARGE, -LARGE
    dk[:, 0], dk[:, -1] = 3 * LARGE, -3 * LARGE
    for got, want in zip(gradients(native, grad), (dq, dk, dv), strict=True):
        np.testing.assert_array_equal(got, want)


def test_sums_over_many_queries_lose_nothing(native: Backend) -> None:
    grad = np.zeros((1, 47, 3))
    grad[:, 16:32] = cases.rng(134).integers(-3, 4, size=(1, 16, 3))
    want = grad.sum(1)
    grad[:, 0], grad[:, -1] = LARGE, -LARGE
    np.testing.assert_array_equal(gradients(native, grad)[1], want)


def test_the_gradient_at_v_loses_nothing_between_queries_and_batches(native: Backend) -> None:
    r = cases.rng(135)
    grad = np.zeros((1, 6, 32))
    grad[:, 2:4] = r.integers(-3, 4, size=(1, 2, 32))
    want = grad.sum()
    grad[:, 0, 0], grad[:, -1, -1] = LARGE, -LARGE
    assert gradients(native, grad)[2] == want
    # Each of these batches is a part of the work.
    grad = r.integers(-3, 4, size=(3, 64, 128)).astype(np.float64)
    grad[:, 0, :64] = 0
    want = grad.sum()
    grad[:, 0, 0] = LARGE, -2 * LARGE, LARGE
    assert gradients(native, grad)[2] == want


def test_infinities_and_nan_stay_in_their_row(kernels: Backend, dtype: Any) -> None:
    q, k, v = np.zeros((1, 3, 19), dtype), np.zeros((1, 2, 19), dtype), np.ones(19, dtype)
    q[0, 1], q[0, 2, 18] = np.inf, np.nan
    s = kernels.additive(q, k, v)
    np.testing.assert_array_equal(s[0, :2], [[0, 0], [19, 19]])
    assert np.isnan(s[0, 2]).all()


@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_shapes_are_refused_by_letter(kernels: Backend, name: str) -> None:
    args = {"q": np.zeros((2, 3, 4)), "k": np.zeros((2, 5, 4)), "v": np.zeros(4)}
    wrong = {"q": np.zeros((3, 4)), "k": np.zeros((2, 5, 3)), "v": np.zeros(5)}[name]
    with pytest.raises(ValueError, match=rf"additive: .*{name}.*\({wrong.shape[0]}, ?"):
        kernels.additive(**(args | {name: wrong}))


def test_no_array_of_queries_times_keys_times_features(kernels: Backend) -> None:
    """(B, Tq, Tk, H) would be 16 MB here; the definition holds one query of it, the others none."""
    r = cases.rng(73)
    q, k, v = (r.normal(size=s) for s in ((2, 64, 256), (2, 64, 256), 256))
    grad = kernels.additive(q, k, v)
    kernels.additive_backward(grad, q, k, v)
    tracemalloc.start()
    kernels.additive(q, k, v)
    kernels.additive_backward(grad, q, k, v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6
