"""no_grad, enable_grad, set_grad_enabled: nesting, decorators, threads, exceptions."""

import asyncio
import threading

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import modes


def test_nothing_is_recorded_under_no_grad():
    x = leaf([1.0])
    with ta.no_grad():
        y = x * 2
        assert not ta.is_grad_enabled()
        assert not y.requires_grad
        assert y.grad_fn is None
        assert leaf([1.0]).requires_grad  # one may still make leaves
    assert (x * 2).requires_grad
    assert ta.is_grad_enabled()


def test_modes_nest():
    x = leaf([1.0])
    with ta.no_grad():
        with ta.enable_grad():
            assert (x * 2).requires_grad
            with ta.no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad


def test_one_object_may_nest_in_itself():
    mode = ta.no_grad()
    with mode:
        with mode:
            assert not ta.is_grad_enabled()
        assert not ta.is_grad_enabled()
    assert ta.is_grad_enabled()


def test_modes_end_with_an_exception():
    with pytest.raises(ZeroDivisionError), ta.no_grad():
        1 / 0  # noqa: B018
    assert ta.is_grad_enabled()


def test_modes_are_decorators():
    x = leaf([1.0])

    @ta.no_grad()
    def plain(depth=0):
        inner = plain(depth + 1) if depth < 3 else None
        assert inner is None or not inner.requires_grad
        return x * 2

    @ta.enable_grad()
    def recorded():
        return x * 2

    assert plain.__name__ == "plain"
    assert not plain().requires_grad
    assert ta.is_grad_enabled()
    with ta.no_grad():
        assert recorded().requires_grad


def test_set_grad_enabled_acts_at_once_and_as_a_context():
    with ta.set_grad_enabled(False):
        assert not ta.is_grad_enabled()
    assert ta.is_grad_enabled()
    ta.set_grad_enabled(False)
    try:
        assert not (leaf([1.0]) * 2).requires_grad
    finally:
        ta.set_grad_enabled(True)


def test_each_thread_has_its_own_mode():
    inside, outside = threading.Event(), threading.Event()
    seen = []

    def other():
        seen.append(ta.is_grad_enabled())
        with ta.no_grad():
            inside.set()
            outside.wait(10)
            seen.append(ta.is_grad_enabled())

    with ta.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
    assert ta.is_grad_enabled()
    outside.set()
    thread.join()
    assert seen == [True, False]


def test_backward_works_under_no_grad():
    x = leaf([3.0])
    y = (x * x).sum()
    with ta.no_grad():
        y.backward()
    assert x.grad.tolist() == [6.0]
    assert not x.grad.requires_grad


def test_hooks_see_gradients_without_a_graph():
    x = leaf([3.0])
    seen = []
    x.register_hook(lambda g: seen.append((g * 2).requires_grad))
    (x * x).sum().backward()
    assert seen == [False]


NOT_RECORDING = [
    ta.no_grad,
    lambda function: ta.no_grad()(function),
    lambda function: ta.set_grad_enabled(False)(function),
]


@pytest.mark.parametrize("decorate", NOT_RECORDING)
def test_a_decorated_function_records_nothing(decorate):
    x = ta.ones(2, requires_grad=True)

    @decorate
    def double(x, *, times=2):
        """Twice x."""
        return x * times

    assert not double(x, times=3).requires_grad
    assert double.__doc__ == "Twice x."
    assert ta.is_grad_enabled()
    assert (x * 2).requires_grad


def test_enable_grad_decorates_in_both_ways():
    x = ta.ones(2, requires_grad=True)
    with ta.no_grad():
        assert ta.enable_grad(lambda: x * 2)().requires_grad
        assert ta.enable_grad()(lambda: x * 2)().requires_grad
        assert not (x * 2).requires_grad


@pytest.mark.parametrize("decorate", NOT_RECORDING)
def test_a_decorated_generator_records_nothing_and_its_caller_does(decorate):
    x = ta.ones(2, requires_grad=True)
    closed = []

    @decorate
    def walk():
        try:
            factor = yield (x * 2).requires_grad
            while True:
                try:
                    factor = yield (x * factor).requires_grad
                except ValueError:
                    yield "caught"
        finally:
            closed.append(ta.is_grad_enabled())

    generator = walk()
    assert next(generator) is False
    assert (x * 2).requires_grad
    assert generator.send(3) is False
    assert generator.throw(ValueError()) == "caught"
    assert ta.is_grad_enabled()
    generator.close()
    assert closed == [False]

    @decorate
    def returns():
        yield 1
        return 2

    def outer():
        return (yield from returns())

    steps = outer()
    assert next(steps) == 1
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == 2


@pytest.mark.parametrize("decorate", NOT_RECORDING)
def test_a_decorated_coroutine_records_nothing_and_the_tasks_beside_it_do(decorate):
    x = ta.ones(2, requires_grad=True)

    async def records(steps):
        found = []
        for _ in range(steps):
            found.append((x * 2).requires_grad)
            await asyncio.sleep(0)
        return found

    async def together():
        return await asyncio.gather(decorate(records)(3), records(3))

    assert asyncio.run(together()) == [[False] * 3, [True] * 3]
    assert ta.is_grad_enabled()


def test_an_asynchronous_generator_can_not_be_decorated():
    async def walk():
        yield 1

    with pytest.raises(TypeError, match="write the `with` block inside it"):
        ta.no_grad()(walk)


def test_what_is_not_a_function_can_not_be_decorated():
    for decorate in (ta.no_grad, ta.no_grad(), ta.enable_grad):
        with pytest.raises(TypeError, match="expected a function"):
            decorate(3)


def test_set_grad_enabled_as_a_decorator_changes_nothing_outside():
    with ta.no_grad():
        enabled = ta.set_grad_enabled(True)(ta.is_grad_enabled)
        assert not ta.is_grad_enabled()
        assert enabled()
    assert ta.is_grad_enabled()


class _Overflowing(ta.autograd.Function):
    """y = x;   dx = infinity, with an overflow."""

    def forward(self, x):
        return x

    def backward(self, grad):
        return grad * np.float32(1e38) * np.float32(1e38)


def test_a_pass_warns_of_no_infinity_and_leaves_numpys_errors_as_they_were():
    with np.errstate(over="raise", divide="call"):
        before = np.geterr()
        x = leaf([1.0], dtype="float32")
        _Overflowing.apply(x).backward(ta.ones(1))
        assert x.grad.tolist() == [np.inf]
        assert np.geterr() == before


@pytest.mark.parametrize("kept_as_a_variable", [True, False])
def test_without_warnings_where_numpy_keeps_its_errors_elsewhere(monkeypatch, kept_as_a_variable):
    if not kept_as_a_variable:
        monkeypatch.setattr(modes, "_errors", None)

    @modes.without_warnings
    def overflow(x, *, times):
        return x * times, np.geterr()["over"]

    with np.errstate(over="raise"):
        assert overflow(np.float32(1e38), times=np.float32(10)) == (np.inf, "ignore")
        assert np.geterr()["over"] == "raise"


def test_numpys_errors_are_as_they_were_after_a_pass_that_raised():
    before = np.geterr()
    x = leaf([1.0])
    x.register_hook(lambda grad: grad[0] if np.geterr()["over"] == "ignore" else None)
    with pytest.raises(RuntimeError, match=r"hook: expected a gradient of shape \[1\]"):
        (x * 2).sum().backward()
    assert np.geterr() == before
