"""Packed weights that are kept never change a result; packings that were emptied fill again."""

from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from . import cases
from .cases import cast


@pytest.mark.parametrize("shape", [(1, 65, 130), (7, 64, 192), (64, 400, 33), (5, 3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_matmul_with_packings(
    kernels: Backend, dtype: Any, shape: tuple[int, int, int], transposed: bool
) -> None:
    M, K, P = shape
    r = cases.rng(60)
    packings: dict[Any, Any] = {}
    for _ in range(2):  # the second time with new weights
        a, b = r.normal(size=(M, K)).astype(dtype), r.normal(size=(K, P)).astype(dtype)
        if transposed:
            b = np.asfortranarray(b)
        want = kernels.matmul(a, b)
        for _ in range(4):
            np.testing.assert_array_equal(kernels.matmul(a, b, None, packings), want)
        packings.clear()


def test_one_cache_serves_other_batches_and_both_directions(kernels: Backend, dtype: Any) -> None:
    """A layer uses one weight for x W^T and, in the backward pass, for g W."""
    r = cases.rng(61)
    w = r.normal(size=(90, 70)).astype(dtype)
    packings: dict[Any, Any] = {}
    for M in (1, 5, 64, 5, 1):
        x, g = r.normal(size=(M, 70)).astype(dtype), r.normal(size=(M, 90)).astype(dtype)
        forward, backward = kernels.matmul(x, w.T), kernels.matmul(g, w)
        np.testing.assert_array_equal(kernels.matmul(x, w.T, None, packings), forward)
        np.testing.assert_array_equal(kernels.matmul(g, w, None, packings), backward)


@pytest.mark.parametrize("name", ["T = 1", "unequal", "odd"])
def test_gru_with_packings(kernels: Backend, dtype: Any, name: str) -> None:
    args = cast(dict(cases.gru())[name], dtype)
    packings: dict[Any, Any] = {}
    for _ in range(2):
        want = kernels.gru(**args)
        y, _, saved = want
        dy = np.ones_like(y)
        rest = [args[key] for key in ("h0", "w_hh", "batch_sizes", "reverse")]
        want_back = kernels.gru_backward(dy, None, saved, y, *rest)
        for _ in range(3):
            got = kernels.gru(**args, packings=packings)
            back = kernels.gru_backward(dy, None, saved, y, *rest, packings=packings)
            for x, w in zip((*got, *back), (*want, *want_back), strict=True):
                np.testing.assert_array_equal(x, w)
        packings.clear()
        args["w_hh"] = -args["w_hh"]


@pytest.mark.parametrize("name", ["T = 1", "unequal", "odd"])
def test_lstm_with_packings(kernels: Backend, dtype: Any, name: str) -> None:
    args = cast(dict(cases.lstm())[name], dtype)
    packings: dict[Any, Any] = {}
    for _ in range(2):
        want = kernels.lstm(**args)
        y, _, _, saved = want
        rest = [args[key] for key in ("c0", "w_hh", "batch_sizes", "reverse")]
        want_back = kernels.lstm_backward(y, None, None, saved, *rest)
        for _ in range(3):
            got = kernels.lstm(**args, packings=packings)
            back = kernels.lstm_backward(y, None, None, saved, *rest, packings=packings)
            for x, w in zip((*got, *back), (*want, *want_back), strict=True):
                np.testing.assert_array_equal(x, w)
        packings.clear()
        args["w_hh"] = -args["w_hh"]


def test_gru_shares_its_cache_with_products_of_the_same_weights(
    kernels: Backend, dtype: Any
) -> None:
    args = cast(dict(cases.gru())["unequal"], dtype)
    w, packings = args["w_hh"], {}
    g = cases.rng(62).normal(size=(4, len(w))).astype(dtype)
    want, product = kernels.gru(**args), kernels.matmul(g, w)
    for _ in range(3):
        np.testing.assert_array_equal(kernels.matmul(g, w, None, packings), product)
        for x, y in zip(kernels.gru(**args, packings=packings), want, strict=True):
            np.testing.assert_array_equal(x, y)
