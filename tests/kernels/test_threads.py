"""Bitwise the same for any number of threads and from run to run; many callers at once; fork."""

import multiprocessing
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend, available_backends, set_num_threads, use_backend

from . import cases
from .cases import cast


def work(kernels: Backend, dtype: Any) -> dict[str, list[np.ndarray]]:
    """One call of every kernel, large enough to be split among threads."""
    r = cases.rng(50)

    def normal(*shape: int) -> np.ndarray:
        return r.normal(size=shape).astype(dtype)

    out: dict[str, Any] = {}
    a, b, bias = normal(301, 400), normal(400, 203), normal(203)
    out["matmul"] = [kernels.matmul(a, b, bias), kernels.matmul(b.T, a.T)]
    out["matmul, thin"] = [kernels.matmul(a[:1], b), kernels.matmul(a[:, :7], b[:7])]
    out["matmul, batch"] = [kernels.matmul(normal(37, 19, 23), normal(37, 23, 29))]
    x, g = normal(601, 130), normal(601, 130)
    mask = r.random(x.shape) < 0.7
    y, logy = kernels.softmax(x, mask), kernels.log_softmax(x)
    out["softmax"] = [y, kernels.softmax_backward(y, g)]
    out["log_softmax"] = [logy, kernels.log_softmax_backward(logy, g)]
    target = r.integers(0, 130, size=601)
    target[::7] = 3
    out["cross_entropy"] = list(
        kernels.cross_entropy(x, target, r.random(130).astype(dtype), 3, 0.1, 0.5, True)
    )
    index = r.integers(0, 50, size=601)
    out["embedding"] = [kernels.embedding_backward(g, index, 50, 3)]
    args = cast(dict(cases.gru())["a warp of rows"], dtype)
    y, h_n, saved = kernels.gru(**args)
    rest = [args[name] for name in ("h0", "w_hh", "batch_sizes", "reverse")]
    back = kernels.gru_backward(normal(*y.shape), normal(*h_n.shape), saved, y, *rest)
    out["gru"] = [y, h_n, saved, *back]
    args = cast(dict(cases.lstm())["a warp of rows"], dtype)
    y, h_n, c_n, saved = kernels.lstm(**args)
    rest = [args[name] for name in ("c0", "w_hh", "batch_sizes", "reverse")]
    back = kernels.lstm_backward(*(normal(*x.shape) for x in (y, h_n, c_n)), saved, *rest)
    out["lstm"] = [y, h_n, c_n, saved, *back]
    y, mean, rstd = kernels.layer_norm(x, g[0], g[1], 1e-5)
    out["layer_norm"] = [y, mean, rstd, *kernels.layer_norm_backward(g, x, mean, rstd, g[0])]
    y, rstd = kernels.rms_norm(x, g[0], 1e-5)
    out["rms_norm"] = [y, rstd, *kernels.rms_norm_backward(g, x, rstd, g[0])]
    p, m, v, w = normal(70001), normal(70001), normal(70001) ** 2, normal(70001)
    out["norm"] = [np.array(kernels.global_norm([p, m, v]))]
    kernels.adam([p], [w], [m], [v], [3], 0.1, 0.9, 0.99, 1e-8, 0.1, True)
    kernels.scale([w], 0.3)
    out["adam"] = [p, m, v, w]
    return out


def same(one: dict[str, list[np.ndarray]], two: dict[str, list[np.ndarray]]) -> None:
    for name, arrays in one.items():
        for i, (x, y) in enumerate(zip(arrays, two[name], strict=True)):
            assert x.tobytes() == y.tobytes(), f"{name}[{i}] differs"


def test_the_same_bits_for_any_number_of_threads(native: Backend, dtype: Any) -> None:
    set_num_threads(1)
    alone = work(native, dtype)
    for threads in (1, 2, 3, 8):
        set_num_threads(threads)
        same(alone, work(native, dtype))


def test_numpy_gives_the_same_bits_every_time(definition: Backend, dtype: Any) -> None:
    same(work(definition, dtype), work(definition, dtype))


def test_many_callers_at_once(kernels: Backend) -> None:
    """Each thread gets what it would get alone (Numba's calls take turns)."""
    alone = work(kernels, np.float32)
    errors: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(3):
                got = work(kernels, np.float32)
                for name, arrays in alone.items():
                    for x, y in zip(arrays, got[name], strict=True):
                        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)
        except BaseException as error:
            errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not errors


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["numpy", "native"])
def test_parent_and_child_both_work_after_a_fork(name: str) -> None:
    if name not in available_backends():
        pytest.skip(f"backend {name} is not installed")
    with use_backend(name) as kernels:
        # Only products of ours: NumPy's own threads are not ours to promise anything about.
        a = cases.rng(51).normal(size=(200, 200))
        a = np.rint(8 * a).astype(np.float32)
        want = kernels.matmul(a, a)

        def child() -> None:
            same_result = np.array_equal(kernels.matmul(a, a), want)
            os._exit(0 if same_result else 1)

        context = multiprocessing.get_context("fork")
        children = [context.Process(target=child) for _ in range(3)]
        for process in children:
            process.start()
        np.testing.assert_array_equal(kernels.matmul(a, a), want)
        for process in children:
            process.join(30)
            assert process.exitcode == 0
        np.testing.assert_array_equal(kernels.matmul(a, a), want)
