"""Bitwise the same for any number of threads and from run to run; many callers at once; fork."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import AdamOptions, Backend, available_backends, set_num_threads, use_backend
from tinyattn.kernels._types import Stream

from . import calls, cases
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
    weights, packings = np.asfortranarray(b), dict[Any, Any]()
    out["matmul, packed"] = [kernels.matmul(a[:8], weights, None, packings) for _ in range(3)]
    long = normal(9, 60_011)
    out["matmul, few rows"] = [
        kernels.matmul(a[:3], weights, bias),
        kernels.matmul(long[:8], long[1:].T),
    ]
    out["matmul, one column"] = [
        kernels.matmul(a, b[:, :1], bias[:1]),
        kernels.matmul(long, long[:1].T),
    ]
    out["matmul, one column of columns"] = [kernels.matmul(b.T, a.T[:, :1])]
    out["matmul, batch"] = [kernels.matmul(normal(37, 19, 23), normal(37, 23, 29))]
    x, g = normal(601, 130), normal(601, 130)
    mask = r.random(x.shape) < 0.7
    y, logy = kernels.softmax(x, mask), kernels.log_softmax(x)
    out["softmax"] = [y, kernels.softmax_backward(y, g)]
    out["log_softmax"] = [logy, kernels.log_softmax_backward(logy, g)]
    y, logy = kernels.softmax(x, axis=0), kernels.log_softmax(x, 0)
    out["softmax of columns"] = [y, kernels.softmax_backward(y, g, 0)]
    out["log_softmax of columns"] = [logy, kernels.log_softmax_backward(logy, g, 0)]
    target = r.integers(0, 130, size=601)
    target[::7] = 3
    out["cross_entropy"] = list(
        kernels.cross_entropy(x, target, r.random(130).astype(dtype), 3, 0.1, True, True)
    )
    lost = kernels.nll_loss(x, target, x[0], 3, True)
    back = kernels.nll_loss_backward(x[:, 0], target, lost[1], lost[3], 3, 130)
    out["nll_loss"] = [*lost, back]
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
    for name, C in {"rows": 1, "columns": 130}.items():
        x3 = normal(5, 120, 130).reshape(5, -1, C)
        mean, rest, squares = kernels.moments(x3)
        centred = kernels.moments_backward(mean.astype(dtype), x3, mean, rest)
        out[f"moments, {name}"] = [mean, rest, squares, centred, kernels.magnitudes(x3)]
        small = 1 + x3 / 1000
        products = [kernels.prod(small), kernels.prod_backward(mean.astype(dtype), small)]
        products += [kernels.cumprod(small), kernels.cumprod_backward(x3, small)]
        best = kernels.topk(x3, 5)
        placed = kernels.scatter_add(*best, x3.shape[1])
        out[f"extremes, {name}"] = [*products, *best, placed, *kernels.extreme(x3)]
        out[f"logsumexp, {name}"] = [kernels.logsumexp(x3)]
    stream, drawn = Stream(7, 8, 4), np.empty(70001, dtype)
    kernels.uniform([drawn], stream)
    bell = np.empty(70001, dtype)
    kernels.normals([bell], cases.source_of(stream))
    out["random"] = [drawn, bell, kernels.dropout(x, stream, 0.25, 1.5)]
    p, m, v, w = normal(70001), normal(70001), normal(70001) ** 2, normal(70001)
    out["norm"] = [np.array(kernels.global_norm([p, m, v]))]
    kernels.adam([p], [w], [m], [v], [3], AdamOptions(0.1, 0.9, 0.99, 1e-8, 0.1, True))
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


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("B", [2, 9, 33])
def test_weights_larger_than_a_cache_give_the_same_bits_for_any_number_of_threads(
    native: Backend, B: int, reverse: bool
) -> None:
    """Then the threads share out the columns of every step, too."""
    r, H, sizes = cases.rng(51), 523, np.array([B, B, B - 1, 1])
    N = sizes.sum()

    def normal(*shape: int) -> np.ndarray:
        return r.normal(size=shape).astype(np.float32)

    h0, c0, dy, dh, dc = normal(B, H), normal(B, H), normal(N, H), normal(B, H), normal(B, H)
    gx, w, b = normal(N, 4 * H), normal(4 * H, H) / 23, normal(4 * H)
    gru = gx[:, : 3 * H].copy(), h0, w[: 3 * H], b[: 3 * H], sizes, reverse
    got: list[list[np.ndarray]] = []
    for threads in (1, 2, 3, 16):
        set_num_threads(threads)
        y, h_n, saved = native.gru(*gru)
        back = native.gru_backward(dy, dh, saved, y, h0, w[: 3 * H], sizes, reverse)
        z, g_n, c_n, kept = native.lstm(gx, h0, c0, w, b, sizes, reverse)
        more = native.lstm_backward(dy, dh, dc, kept, c0, w, sizes, reverse)
        got.append([y, h_n, saved, *back, z, g_n, c_n, kept, *more])
        same({f"{threads} threads": got[0]}, {f"{threads} threads": got[-1]})


def test_every_kernel_is_walked_through() -> None:
    """By the test below and all others that use calls.py; here a new kernel shows that it isn't."""
    assert {call.kernel for call in calls.calls()} == set(calls.kernels())


@pytest.mark.parametrize("kernel", calls.kernels())
def test_every_case_has_the_same_bits_for_any_number_of_threads(
    native: Backend, dtype: Any, kernel: str
) -> None:
    for call in calls.calls(kernel):
        want: list[bytes] = []
        for threads in (1, 2, 3, 8):
            set_num_threads(threads)
            got = [x.tobytes() for x in calls.outputs(native, kernel, cast(call.args, dtype))]
            want = want or got
            assert got == want, f"{call.case}: other bits with {threads} threads"


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


@contextlib.contextmanager
def meanwhile(*tasks: Callable[[], Any]) -> Iterator[None]:
    """Each task over and over in a thread of its own until the block ends; none may fail."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def repeat(task: Callable[[], Any]) -> None:
        try:
            while not stop.is_set():
                task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors, errors


def test_the_number_of_threads_may_change_at_work(native: Backend) -> None:
    numbers = itertools.cycle([1, 5, 2, 8, 3])
    set_num_threads(1)
    alone = work(native, np.float32)
    with meanwhile(lambda: set_num_threads(next(numbers)), lambda: work(native, np.float32)):
        for _ in range(10):
            same(alone, work(native, np.float32))


BIG = cases.rng(51).integers(-8, 9, size=(700, 700)).astype(np.float32)  # results above 1 MB


def big_product(name: str) -> bool:
    """Whole numbers: right to the bit in every backend. For a process of its own, too."""
    with use_backend(name) as kernels:
        got = kernels.matmul(BIG, BIG)
        return np.array_equal(got[:, :3], BIG.astype(np.int64) @ BIG[:, :3].astype(np.int64))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["numpy", "native"])
def test_both_sides_of_a_fork_in_the_middle_of_kernels_go_on(name: str) -> None:
    if name not in available_backends():
        pytest.skip(f"backend {name} is not installed")
    with use_backend(name) as kernels:
        x = np.ones((600, 700), np.float32)  # NumPy's own products are not ours to promise for
        want = kernels.softmax(x).tobytes()
        with meanwhile(lambda: kernels.softmax(x), lambda: kernels.layer_norm(x, None, None, 0.1)):
            children = []
            for _ in range(8):
                child = os.fork()
                if not child:
                    signal.alarm(30)  # a child that hangs ends by itself
                    os._exit(0 if kernels.softmax(x).tobytes() == want else 1)
                children.append(child)
                assert kernels.softmax(x).tobytes() == want
            for child in children:
                assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_every_kind_work(native: Backend, method: str) -> None:
    with meanwhile(lambda: native.softmax(BIG)):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert all(pool.map_async(big_product, ["native"] * 4).get(60))
        assert big_product("native")


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
