"""Passes in several threads at once, over graphs that share leaves."""

import os
import sys
import threading

import numpy as np
import pytest

import tinyattn as ta


@pytest.fixture
def frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work, threads=4):
    """Run work(i) in that many threads, all beginning together; their errors come out here."""
    barrier, errors = threading.Barrier(threads), []

    def run(i):
        barrier.wait(10)
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    started = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert not errors, errors


@pytest.mark.parametrize("cleared", [False, True])
def test_gradients_of_shared_leaves_add_up(frequent_switches, cleared):
    """Whole numbers, so that the sum has no order; `.grad` begins as None or as zeros."""
    leaves = [ta.ones(8, 8, dtype=ta.float64).requires_grad_() for _ in range(20)]
    rounds = 30

    def passes(i):
        for _ in range(rounds):
            total = ta.zeros((), dtype=ta.float64)
            for k, x in enumerate(leaves):
                total = total + (x * (k + i)).sum()
            total.backward()

    if not cleared:
        for x in leaves:
            x.grad = ta.zeros(8, 8, dtype=ta.float64)
    at_once(passes)
    for k, x in enumerate(leaves):
        np.testing.assert_array_equal(x.grad.numpy(), rounds * sum(k + i for i in range(4)))


def test_the_first_gradients_at_once_are_all_there(frequent_switches):
    """Where `.grad` is None in both threads at the same moment none may be lost."""
    for _ in range(100):
        leaves = [ta.ones(2).requires_grad_() for _ in range(10)]
        graphs = [sum((x * 1 for x in leaves), ta.zeros(2)).sum() for _ in range(4)]
        at_once(lambda i: graphs[i].backward())  # noqa: B023
        assert all(x.grad.tolist() == [4.0, 4.0] for x in leaves)


def test_a_model_trained_in_two_threads_gets_both_gradients():
    model = ta.nn.GRU(5, 7).double()
    xs = [ta.tensor(np.random.default_rng(i).normal(size=(6, 3, 5))) for i in range(2)]
    for x in xs:
        model(x)[0].sum().backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    for _ in range(20):
        model.zero_grad()
        at_once(lambda i: model(xs[i])[0].sum().backward(), threads=2)
        for p, grad in zip(model.parameters(), expected, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), grad, rtol=1e-13, atol=1e-13)


def test_a_change_in_another_thread_is_noticed(frequent_switches):
    """Other threads change other tensors meanwhile: no change may hide behind a later one."""
    stop = threading.Event()

    def others():
        x = ta.zeros(1)
        while not stop.is_set():
            x.add_(1)

    threads = [threading.Thread(target=others) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            h = ta.ones(2).requires_grad_() * 1
            y = (h * h).sum()
            h.add_(1)
            with pytest.raises(RuntimeError, match="add_ has since made it version 1"):
                y.backward()
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_can_go_on_while_its_parents_threads_were_in_a_pass():
    stop = threading.Event()
    x = ta.ones(64, 64).requires_grad_()

    def others():
        while not stop.is_set():
            (x * 2).sum().backward()

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                code = 1
                try:
                    y = ta.ones(3).requires_grad_()
                    (y * 2).sum().backward()
                    (x * 2).sum().backward()
                    code = 0 if y.grad.tolist() == [2.0] * 3 else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join(10)
