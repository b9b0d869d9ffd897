"""Pooling: an independent definition, ties and NaN, windows that no kernel can use."""

from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend
from tinyattn.kernels.windows import Windows

from . import cases
from .bounds import assert_within, summing


def steps_of(w: Windows) -> list[list[int]]:
    """Found by trying every step."""
    if not w.size:
        begins = [(t * w.T // w.n, -(-(t + 1) * w.T // w.n)) for t in range(w.n)]
        return [list(range(a, b)) for a, b in begins]
    places = [
        [t * w.stride - w.padding + k * w.dilation for k in range(w.size)] for t in range(w.n)
    ]
    return [[u for u in line if 0 <= u < w.T] for line in places]


def each(generator: Any) -> Any:
    return pytest.mark.parametrize(
        "args", [pytest.param(args, id=name) for name, args in generator()]
    )


@each(cases.max_pool)
def test_max_pool_and_its_gradient(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    x, w = args["x"].astype(dtype), args["windows"]
    grad = cases.rng(60).normal(size=(len(x), w.n)).astype(dtype)
    y, dx = kernels.max_pool(x, w), kernels.max_pool_backward(grad, x, w)
    assert y.dtype == dx.dtype == dtype
    want, back = np.full(y.shape, -np.inf, dtype), np.zeros_like(x)
    for t, steps in enumerate(steps_of(w)):
        for row in range(len(x)) if steps else ():
            line = x[row, steps].tolist()
            nan = [k for k, v in enumerate(line) if v != v]
            at = nan[0] if nan else line.index(max(line))
            want[row, t] = line[at]
            back[row, steps[at]] += grad[row, t]
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(dx, back)


@each(cases.mean_pool)
def test_mean_pool_and_its_gradient(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    x, w = args["x"].astype(dtype), args["windows"]
    grad = cases.rng(60).normal(size=(len(x), w.n)).astype(dtype)
    y, dx = kernels.mean_pool(x, w), kernels.mean_pool_backward(grad, w)
    assert y.dtype == dx.dtype == dtype
    weights = np.zeros((w.n, w.T))
    for t, steps in enumerate(steps_of(w)):
        if not (steps or w.divisor):
            weights[t] = np.nan
        weights[t, steps] = 1 / (w.divisor or len(steps)) if steps else 0
    empty = np.isnan(weights).any(1) if w.T else np.ones(w.n, bool)
    weights = np.nan_to_num(weights)
    want = np.where(empty, np.nan, x.astype(float) @ weights.T)
    assert_within(y, want, abs(x).astype(float) @ weights.T, summing(4))
    exact = grad.astype(float) @ weights
    assert_within(dx, exact, abs(grad).astype(float) @ weights, summing(4))


def test_many_rows_are_pooled_row_by_row(kernels: Backend) -> None:
    x, grad = cases.rng(61).normal(size=(2, 40_000, 2))
    w = Windows(2, 1)
    np.testing.assert_array_equal(kernels.mean_pool(x, w)[:, 0], x.sum(1) / 2)
    np.testing.assert_array_equal(kernels.max_pool(x, w)[:, 0], x.max(1))
    dx = kernels.mean_pool_backward(grad[:, :1].copy(), w)
    np.testing.assert_array_equal(dx, np.repeat(grad[:, :1] / 2, 2, 1))


def test_a_mean_over_many_steps_does_not_drift(kernels: Backend, dtype: Any) -> None:
    x = np.full((1, 3_000_000), 0.1, dtype)
    w = Windows(3_000_000, 1)
    assert abs(kernels.mean_pool(x, w)[0, 0] - dtype(0.1)) <= 4 * np.spacing(dtype(0.1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"T": 5}, r"must be \(N, T\)"),
        ({"n": 0}, r"n must be in \[1, 2\*\*31\), got 0"),
        ({"size": -1}, r"size must be in \[0, 2\*\*31\), got -1"),
        ({"stride": 0}, r"stride must be in \[1, 2\*\*31\), got 0"),
        ({"padding": -1}, r"padding must be in \[0, 2\*\*31\), got -1"),
        ({"dilation": 0}, r"dilation must be in \[1, 2\*\*31\), got 0"),
        ({"dilation": 2**31}, r"dilation must be in \[1, 2\*\*31\), got 2147483648"),
        ({"divisor": -1}, r"divisor must be in \[0, 2\*\*31\), got -1"),
    ],
)
def test_windows_that_no_kernel_can_use(kernels: Backend, wrong: dict[str, int], says: str) -> None:
    w = Windows(6, 3, 2, 2)._replace(**wrong)
    x, grad = np.zeros((2, 6)), np.zeros((2, 3))
    with pytest.raises(ValueError, match=f"max_pool: .*{says}"):
        kernels.max_pool(x, w)
    with pytest.raises(ValueError, match=f"mean_pool: .*{says}"):
        kernels.mean_pool(x, w)
    if "T" not in wrong:
        with pytest.raises(ValueError, match=f"mean_pool_backward: .*{says}"):
            kernels.mean_pool_backward(grad, w)
    with pytest.raises(ValueError, match=f"max_pool_backward: .*{says}"):
        kernels.max_pool_backward(grad, x, w)


def test_the_windows_of_a_mean_are_not_dilated(kernels: Backend) -> None:
    with pytest.raises(ValueError, match="mean_pool: windows: dilation must be 1, got 2"):
        kernels.mean_pool(np.zeros((2, 6)), Windows(6, 3, 2, 1, 0, 2))
