"""Graphs free themselves: no reference cycles, so the garbage collector has nothing to do."""

import gc
import tracemalloc
import weakref

import pytest

import tinyattn as ta
from tests.helpers import leaf, numbers


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def a_graph(x):
    """Something of everything: broadcasts, views, several results, in place, a dropped branch."""
    h = (x * 2 + 1).tanh()
    h.retain_grad()
    out = ta.zeros(3, 4, dtype=ta.float64)
    out[1] = h[0]
    out += h.sum()
    left, right = out.reshape(2, 6).unbind(0)
    values, _ = h.sort(dim=-1)
    x.exp()  # the result is not used
    return (left * right).sum() + values.softmax(-1)[0, 0]


def test_a_thousand_graphs_leave_nothing_behind(no_collector):
    x = leaf(numbers((2, 4)))
    for _ in range(1000):
        a_graph(x).backward()
    assert gc.collect() == 0


@pytest.mark.parametrize("end", ["unused", "retained", "error", "grad", "hooked"])
def test_graphs_that_end_in_other_ways_leave_nothing_either(no_collector, end):
    x = leaf(numbers((2, 4)))
    for _ in range(50):
        y = a_graph(x)
        if end == "retained":
            y.backward(retain_graph=True)
        elif end == "error":
            y.backward()
            with pytest.raises(RuntimeError):
                y.backward()
        elif end == "grad":
            ta.autograd.grad(y, x)
        elif end == "hooked":
            handle = x.register_hook(lambda g: None)
            y.register_hook(lambda g: g * 2)
            y.backward()
            handle.remove()
    del y
    # An exception's traceback holds the frames it went through; that is Python's.
    assert gc.collect() == 0 or end == "error"


def test_memory_does_not_grow(no_collector):
    x = leaf(numbers((2, 4)))
    sizes = []
    tracemalloc.start()
    for graphs in (
        2500,
        300,
        300,
    ):  # Python keeps some memory for the next time: the first fills it
        for _ in range(graphs):
            a_graph(x).backward()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[2] - sizes[1] < 3000  # 10 bytes a graph


def test_a_result_and_its_graph_go_with_the_last_name(no_collector):
    x = leaf(numbers((2, 4)))
    h = x * 2
    nodes = [weakref.ref(h.grad_fn), weakref.ref(h)]
    y = h.sum()
    del h
    assert nodes[0]() is not None  # y's graph needs the node ...
    assert nodes[1]() is None  # ... but not the tensor
    del y
    assert nodes[0]() is None


def test_the_graph_does_not_keep_the_leaf():
    x = leaf(numbers((2, 4)))
    reference = weakref.ref(x)
    y = x.sum()
    del x
    assert reference() is None
    y.backward()
