"""Depth, number and sharing: what a pass costs grows with the graph, and nothing stays behind.

Times are those of the thread: other programs don't count."""

import gc
import resource
import time
import tracemalloc

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf

DEPTH = 100_000


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def chain(x, depth):
    y = x
    for _ in range(depth // 2):
        y = y * 1.0 + 1
    return y.sum()


def seconds(function, *args):
    start = time.thread_time()
    function(*args)
    return time.thread_time() - start


def test_a_deep_graph_takes_time_in_proportion():
    x = leaf([1.0])
    short = min(seconds(chain(x, DEPTH // 100).backward) for _ in range(5))
    y = chain(x, DEPTH)
    assert seconds(y.backward) < 100 * short * 4 + 1
    assert x.grad.tolist() == [6.0]
    del y
    y = chain(x, DEPTH)
    del y  # a graph that ends without a pass doesn't recurse either


def test_a_pass_through_a_deep_graph_needs_hardly_any_memory():
    x = leaf(np.ones(100))
    y = chain(x, DEPTH // 10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    y.backward()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 100_000  # bytes; 10 operations a byte would be a million


@pytest.mark.parametrize("kind", ["views", "in place", "one weight", "cells"])
def test_deep_graphs_of_other_kinds(kind):
    x = leaf(np.ones(4))
    if kind == "views":
        y = x
        for _ in range(DEPTH // 4):
            y = y.reshape(2, 2).reshape(4)
    elif kind == "in place":
        y = x * 1
        for _ in range(DEPTH // 4):
            y += 1
    elif kind == "one weight":  # its gradient is a sum over 10,000 rows
        w = ta.tensor(np.eye(4), requires_grad=True)
        y = x.reshape(1, 4)
        for _ in range(DEPTH // 10):
            y = ta.nn.functional.linear(y, w)
    else:
        cell = ta.nn.GRUCell(4, 4).double()
        y = ta.zeros(1, 4, dtype=ta.float64)
        for _ in range(DEPTH // 100):
            y = cell(x.reshape(1, 4), y)
    y.sum().backward()
    if kind != "cells":
        assert x.grad.tolist() == [1.0] * 4
    assert np.isfinite(x.grad.numpy()).all()
    if kind == "one weight":
        np.testing.assert_array_equal(w.grad.numpy(), np.full((4, 4), DEPTH // 10))
    del y  # nothing recurses


def test_a_hundred_thousand_graphs_leave_nothing(no_collector):
    x = leaf(np.ones(4))

    def graphs(number):
        for _ in range(number):
            (x * x).sum().backward()

    graphs(10_000)
    objects, memory = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    graphs(DEPTH)
    assert len(gc.get_objects()) - objects < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 2048  # KiB on Linux
    assert gc.collect() == 0


@pytest.mark.parametrize("kind", ["diamonds", "one for all", "several outputs", "ways to inputs"])
def test_shared_nodes_take_linear_time(kind):
    def build(n):
        x = leaf([1.0])
        y = x
        if kind == "one for all":  # one node, n users
            h = x * 1
            for _ in range(n):
                y = y + h
        for _ in range(n if kind != "one for all" else 0):
            if kind == "several outputs":
                a, b = ta.stack([y, y]).unbind(0)
                y = (a + b) * 0.5
            else:
                y = y * 0.5 + y * 0.5  # 2^n ways
        return x, y.sum()

    def work(n):
        x, y = build(n)
        start = time.thread_time()
        if kind == "ways to inputs":
            assert ta.autograd.grad(y, x)[0].tolist() == [1.0]
        else:
            y.backward()
        spent = time.thread_time() - start
        assert x.grad is None or x.grad.tolist() == [n + 1.0 if kind == "one for all" else 1.0]
        return spent

    short = min(work(100) for _ in range(5))
    assert min(work(3000) for _ in range(2)) < 30 * short * 4 + 0.5


def test_backward_twice_and_through_a_freed_graph():
    x = leaf(np.ones(2))
    shared = x.exp()
    one, other = shared.sum(), (shared * shared).sum()
    one.backward()
    for again in (one, other):
        with pytest.raises(RuntimeError, match="second time: what Exp saved was freed"):
            again.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.exp(np.ones(2)))
    with pytest.raises(RuntimeError, match=r"scalar outputs; this one has shape \[2\]"):
        x.exp().backward()
