"""The extremes of x (A, n, C) along its middle axis, in every backend, against Python's sorted."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from .cases import rng

INF, NAN = math.inf, math.nan
SHAPES = [(1, 1, 1), (3, 7, 1), (2, 100, 3), (1, 40, 600), (300, 9, 1), (2, 65, 17), (1, 70_001, 1)]
SHAPES += [(2, 64, 3)]


def numbers(kind: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    r = rng(95)
    x = r.normal(size=shape)
    if kind == "ties":
        x = r.integers(-2, 2, size=shape).astype(np.float64)
        x[x == 0] = r.choice([0.0, -0.0], size=np.count_nonzero(x == 0))
    if kind == "special":
        x = r.choice([INF, -INF, NAN, 1.0, 2.0], size=shape, p=[0.1, 0.1, 0.1, 0.35, 0.35])
    if kind == "-inf":
        x = np.full(shape, -INF)
    return x.astype(dtype)


def in_order(x: list[float], largest: bool) -> list[int]:
    """The places of the elements in order; of equals the first, NaN larger than any number."""

    keys = [(v != v, 0.0 if v != v else v) for v in x]
    if not largest:
        return sorted(range(len(x)), key=keys.__getitem__)
    backwards = sorted(range(len(x) - 1, -1, -1), key=keys.__getitem__)
    return backwards[::-1]


def columns(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    A, _, C = shape
    some = {0, 1, C // 2, C - 2, C - 1}
    return [(a, c) for a in {0, A // 2, A - 1} for c in sorted(some) if 0 <= c < C]


@pytest.mark.parametrize("kind", ["normal", "ties", "special", "-inf"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_of_the_largest_and_how_many_equal_it(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], kind: str
) -> None:
    x = numbers(kind, shape, dtype)
    for sign in (1.0, -1.0):
        value, at, ties = kernels.extreme(x, sign)
        assert (value.dtype, at.dtype, ties.dtype) == (dtype, np.int64, dtype)
        for a, c in columns(shape):
            line = x[a, :, c].tolist()
            bad = [i for i, v in enumerate(line) if v != v]
            best = (max if sign > 0 else min)(line) if not bad else NAN
            equal = bad or [i for i, v in enumerate(line) if v == best]
            assert (at[a, c], ties[a, c]) == (equal[0], len(equal))
            np.testing.assert_array_equal(value[a, c], dtype(best))


@pytest.mark.parametrize("kind", ["normal", "ties", "special", "-inf"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_k_largest_are_the_first_in_order(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], kind: str
) -> None:
    x = numbers(kind, shape, dtype)
    n = shape[1]
    for k, largest in itertools.product({1, min(n, 5), min(n, 40), min(n, 64)}, (True, False)):
        value, at = kernels.topk(x, k, largest)
        assert (value.dtype, at.dtype) == (dtype, np.int64)
        np.testing.assert_array_equal(value, np.take_along_axis(x, at, 1))
        for a, c in columns(shape):
            assert at[a, :, c].tolist() == in_order(x[a, :, c].tolist(), largest)[:k]


def test_numbers_that_grow_enter_the_list_one_after_another(kernels: Backend, dtype: Any) -> None:
    x = np.arange(3000, dtype=dtype).reshape(1, 3000, 1)
    value, at = kernels.topk(x, 64)
    np.testing.assert_array_equal(at.reshape(-1), np.arange(2999, 2935, -1))
    np.testing.assert_array_equal(value.reshape(-1), at.reshape(-1))


@pytest.mark.parametrize("columns", [1, 2])
def test_a_place_far_from_the_first(kernels: Backend, columns: int) -> None:
    x = np.zeros((1, 1300, columns))
    x[0, 1250], x[0, 1290] = 2, 2
    value, at, ties = kernels.extreme(x)
    assert [*value[0], *at[0], *ties[0]] == [2] * columns + [1250] * columns + [2] * columns
    assert (kernels.topk(x, 2)[1][0] == [[1250], [1290]]).all()


def test_of_nothing(kernels: Backend, dtype: Any) -> None:
    assert kernels.extreme(np.ones((0, 4, 3), dtype))[0].shape == (0, 3)
    assert kernels.topk(np.ones((2, 4, 0), dtype), 3)[1].shape == (2, 3, 0)


def test_what_has_no_answer_is_refused_by_name(kernels: Backend, dtype: Any) -> None:
    x = np.ones((2, 100, 3), dtype)
    with pytest.raises(ValueError, match=r"extreme: .*n of at least 1, got \(2, 0, 3\)"):
        kernels.extreme(x[:, :0])
    for sign in (0.0, 2.0, np.nan):
        with pytest.raises(ValueError, match=f"extreme: sign: expected 1 or -1, got {sign}"):
            kernels.extreme(x, sign)
    for k in (0, 65):
        with pytest.raises(ValueError, match=rf"topk: k: expected 1 to 64, .*got {k}"):
            kernels.topk(x, k)
    with pytest.raises(ValueError, match=r"topk: k: .* at most n, got 3"):
        kernels.topk(x[:, :2], 3)
