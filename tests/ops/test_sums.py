"""Every operation that sums floats is within a few ULP of the exact sum, however many there are.

The numbers are such that plain float32 sums over the first axis end far away: 300,000 times 0.1 as
30,054. Look first at SUMS.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
import tinyattn.nn.functional as F

N = 300_000
TENTH = float(np.float32(0.1))


def full(*shape: int) -> Any:
    return ta.full(shape, 0.1)


def gradient(loss: Callable[[Any], Any], shape: tuple[int, ...], value: float = 1.0) -> Any:
    """The gradient of a sum of `loss`, weighted by 0.1, at a tensor full of a number."""
    x = ta.full(shape, value, requires_grad=True)
    y = loss(x)
    y.backward(full(*y.shape))
    return x.grad


def of_rnn_bias(name: str) -> Any:
    rnn = ta.nn.GRU(1, 1)
    for parameter in rnn.parameters():
        ta.nn.init.zeros_(parameter)
    y = rnn(ta.zeros(1, N, 1))[0]
    y.backward(full(1, N, 1))
    return getattr(rnn, name).grad[2]


# What: the result, and what it is exactly. A GRU of zeros has h' = n / 2, n = tanh(a + b / 2).
SUMS: dict[str, tuple[Callable[[], Any], float]] = {
    "sum(0)": (lambda: full(N, 3).sum(0), N * TENTH),
    "sum((0, 2))": (lambda: full(N // 2, 3, 2).sum((0, 2)), N * TENTH),
    "sum of a transpose": (lambda: full(3, N).T.sum(0), N * TENTH),
    "mean(0)": (lambda: full(N, 3).mean(0), TENTH),
    "norm(dim=0)": (lambda: full(N, 3).norm(dim=0), TENTH * math.sqrt(N)),
    "norm(3, dim=0)": (lambda: full(N, 3).norm(3, dim=0), TENTH * N ** (1 / 3)),
    "cumsum": (lambda: full(N, 3).cumsum(0)[-1], N * TENTH),
    "cumsum, gradient": (lambda: gradient(lambda x: x.cumsum(0), (N, 3))[0], N * TENTH),
    "logsumexp": (lambda: full(N, 3).logsumexp(0), TENTH + math.log(N)),
    "var, of 0.1 and 0.3": (
        lambda: ta.cat([full(N, 3), 3 * full(N, 3)]).var(0, correction=0),
        (float(np.float32(3) * np.float32(0.1)) - TENTH) ** 2 / 4,
    ),
    "broadcasting": (lambda: gradient(lambda x: x + ta.zeros(N, 3), (3,)), N * TENTH),
    "stretching": (lambda: gradient(lambda x: x + ta.zeros(N, 3), (1, 3)), N * TENTH),
    "expand": (lambda: gradient(lambda x: x.expand(N, 3), (3,)), N * TENTH),
    "repeat": (lambda: gradient(lambda x: x.repeat(N, 1), (3,)), N * TENTH),
    "scatter_add": (
        lambda: ta.zeros(1, 3).scatter_add(0, ta.zeros(N, 3, dtype=ta.int64), full(N, 3))[0],
        N * TENTH,
    ),
    "index_add": (
        lambda: ta.zeros(1, 3).index_add(0, ta.zeros(N, dtype=ta.int64), full(N, 3))[0],
        N * TENTH,
    ),
    "bias of linear": (
        lambda: gradient(lambda b: F.linear(ta.zeros(N, 2), ta.zeros(3, 2), b), (3,)),
        N * TENTH,
    ),
    "bias of conv1d": (
        lambda: gradient(lambda b: F.conv1d(ta.zeros(N // 10, 1, 10), ta.zeros(3, 1, 1), b), (3,)),
        N * TENTH,
    ),
    "input bias of a GRU": (lambda: of_rnn_bias("bias_ih_l0"), N * TENTH / 2),
    "hidden bias of a GRU": (lambda: of_rnn_bias("bias_hh_l0"), N * TENTH / 4),
    "bias of layer_norm": (
        lambda: gradient(lambda b: F.layer_norm(ta.zeros(N, 3), (3,), None, b), (3,)),
        N * TENTH,
    ),
    "weight of rms_norm": (
        lambda: gradient(lambda w: F.rms_norm(ta.ones(N, 3), (3,), w, eps=0.0), (3,)),
        N * TENTH,
    ),
    "embedding of one word": (
        lambda: gradient(lambda w: F.embedding(ta.zeros(N, dtype=ta.int64), w), (1, 3)),
        N * TENTH,
    ),
    "index_select of one row": (
        lambda: gradient(lambda w: w.index_select(0, ta.zeros(N, dtype=ta.int64)), (1, 3)),
        N * TENTH,
    ),
    "einsum": (lambda: ta.einsum("ij->j", full(N, 3)), N * TENTH),
    "l1_loss": (lambda: F.l1_loss(full(N, 3), ta.zeros(N, 3)), TENTH),
    "mse_loss": (lambda: F.mse_loss(full(N, 3), ta.zeros(N, 3), reduction="sum"), 3 * N * TENTH**2),
    "nll_loss": (lambda: F.nll_loss(-full(N, 2), ta.zeros(N, dtype=ta.int64)), TENTH),
    "cross_entropy": (
        lambda: F.cross_entropy(full(N, 2), ta.zeros(N, dtype=ta.int64)),
        math.log(2),
    ),
    "clip_grad_norm_": (lambda: clipped(2.0), TENTH * math.sqrt(3 * N)),
    "clip_grad_norm_, p = 3": (lambda: clipped(3.0), TENTH * (3 * N) ** (1 / 3)),
}

# A product adds the terms of a block in float32: at most 512 numbers in one chain, which err by 46
# ULP of its sum if all are 0.01. The sums of the blocks add next to nothing to that, so the error
# does not grow with N. (A plain sum of 2,000,000 errs by 189,005 ULP.)
PRODUCTS: dict[str, tuple[Callable[[], Any], float]] = {
    "matmul": (lambda: full(2, N) @ full(N, 3), N * TENTH**2),
    "matmul of many rows": (lambda: full(50, N // 10) @ full(N // 10, 3), N // 10 * TENTH**2),
    "matmul by a transpose": (lambda: full(2, N) @ full(3, N).T, N * TENTH**2),
    "dot product": (lambda: full(N) @ full(N), N * TENTH**2),
    "einsum ni,nj->ij": (lambda: ta.einsum("ni,nj->ij", full(N, 2), full(N, 3)), N * TENTH**2),
    "weight of linear": (
        lambda: gradient(lambda w: F.linear(full(N, 2), w), (3, 2)),
        N * TENTH**2,
    ),
}


def clipped(p: float) -> Any:
    x = ta.zeros(N, 3, requires_grad=True)
    x.grad = full(N, 3)
    return ta.nn.utils.clip_grad_norm_([x], 1.0, p)


@pytest.mark.parametrize("what", SUMS)
def test_sums_are_exact_to_a_few_ulp(what: str, backend: str) -> None:
    compute, exact = SUMS[what]
    result = compute().detach().numpy()
    error = np.abs(result.astype(np.float64) - exact) / np.spacing(np.float32(abs(exact)))
    assert np.all(error <= 3), float(error.max())


@pytest.mark.parametrize("what", PRODUCTS)
def test_products_over_many_terms_do_not_drift(what: str, backend: str) -> None:
    compute, exact = PRODUCTS[what]
    result = compute().detach().numpy()
    error = np.abs(result.astype(np.float64) - exact) / np.spacing(np.float32(abs(exact)))
    assert np.all(error <= 80), float(error.max())


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_product_of_many_blocks_keeps_infinities_and_nan(backend: str, number: float) -> None:
    a, b = np.ones((2, 9000), np.float32), np.ones((9000, 3), np.float32)
    a[1, 100] = number
    result = (ta.tensor(a) @ ta.tensor(b)).numpy()
    np.testing.assert_array_equal(result, [[9000] * 3, [number] * 3])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_long_product_is_the_same_for_any_number_of_threads(count: int) -> None:
    r = np.random.default_rng(3)
    a, b = r.normal(size=(300, 5000)), r.normal(size=(5000, 70))
    before = ta.get_num_threads()
    results = []
    for threads in (1, count):
        ta.set_num_threads(threads)
        results.append((ta.tensor(a) @ ta.tensor(b)).numpy())
        one_row = (ta.tensor(a[:1]) @ ta.tensor(b)).numpy()
    ta.set_num_threads(before)
    np.testing.assert_array_equal(*results)
    if ta.backend().name == "native":
        np.testing.assert_array_equal(one_row, results[0][:1])


def test_mean_and_spread_of_columns_around_2000(backend: str) -> None:
    x = np.random.default_rng(1).normal(2000, 10, size=(N, 3)).astype(np.float32)
    t, exact = ta.tensor(x), x.astype(np.float64)
    for got, want in [
        (t.mean(0), exact.mean(0)),
        (t.std(0), exact.std(0, ddof=1)),
        (t.var(0), exact.var(0, ddof=1)),
    ]:
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-7)


def test_the_variance_around_a_million_and_its_gradient(backend: str) -> None:
    x = np.random.default_rng(2).normal(1e6, 1, size=(N, 1)).astype(np.float32)
    t, exact = ta.tensor(x, requires_grad=True), x.astype(np.float64)
    y = t.var(0)
    np.testing.assert_allclose(y.detach().numpy(), exact.var(0, ddof=1), rtol=1e-7)
    y.sum().backward()
    want = 2 * (exact - exact.mean()) / (N - 1)
    np.testing.assert_allclose(t.grad.numpy(), want, rtol=3e-7)


@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
@pytest.mark.parametrize("exponent", [-200, -20, 0, 20, 35, 200, 300])
def test_std_and_norm_neither_overflow_nor_vanish(backend: str, dtype: Any, exponent: int) -> None:
    if dtype == ta.float32 and abs(exponent) > 35:
        pytest.skip("no float32")
    x = np.array([1.0, 2.0, 4.0]) * 10.0**exponent
    t = ta.tensor(x, dtype=dtype)
    one = 10.0**exponent
    close = {"rtol": 3e-7 if dtype == ta.float32 else 1e-15}
    np.testing.assert_allclose(t.std().item() / one, math.sqrt(7 / 3), **close)
    np.testing.assert_allclose(t.norm().item() / one, math.sqrt(21), **close)
    # A power of a number of size e^a has an error of a ULP.
    np.testing.assert_allclose(
        t.norm(3).item() / one, 73 ** (1 / 3), rtol=max(close["rtol"], 1e-14)
    )
    t.requires_grad_()
    t.std().backward()
    want = (np.array([1, 2, 4]) - 7 / 3) / (2 * math.sqrt(7 / 3))
    np.testing.assert_allclose(t.grad.numpy(), want, rtol=1e-6)


def test_the_mean_of_huge_numbers_is_not_infinite(backend: str) -> None:
    assert ta.full((1000,), 3e38).mean().item() == float(np.float32(3e38))


def ulps(got: np.ndarray, want: np.ndarray) -> float:
    return float((np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32))).max())


@pytest.mark.parametrize(("Tq", "Tk"), [(1500, 40), (30, 1500)])
def test_gradients_of_additive_scores_over_many_steps(backend: str, Tq: int, Tk: int) -> None:
    r = np.random.default_rng(4)
    grad, v = r.uniform(0.5, 1, (1, Tq, Tk)), r.uniform(0.5, 1, 18)
    q, k = r.uniform(0, 0.3, (1, Tq, 18)), r.uniform(0, 0.3, (1, Tk, 18))
    arrays = [x.astype(np.float32) for x in (grad, q, k, v)]
    kernels = ta.backend()
    got = kernels.additive_backward(*arrays)
    want = kernels.additive_backward(*(x.astype(np.float64) for x in arrays))
    for g, w in zip(got, want, strict=True):
        assert ulps(g, w) <= 8


def test_softmax_and_its_gradient_over_a_row_of_two_million(backend: str) -> None:
    r = np.random.default_rng(5)
    x, grad = (r.uniform(1, 2, (1, 2_000_000)).astype(np.float32) for _ in range(2))
    kernels = ta.backend()
    y = kernels.softmax(x)
    assert ulps(y, kernels.softmax(x.astype(np.float64))) <= 4
    want = kernels.softmax_backward(y.astype(np.float64), grad.astype(np.float64))
    scale = np.spacing((y * np.float32(1.5)).astype(np.float32))
    assert (np.abs(kernels.softmax_backward(y, grad) - want) / scale).max() <= 2
