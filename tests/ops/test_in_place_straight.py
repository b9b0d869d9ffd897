"""Operations in place where no gradient is needed: they write straight into the tensor."""

import warnings

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function
from tinyattn.autograd.modes import watching

SIZES = [0, 1, 7, 5000]


def pair(size, dtype="float32"):
    rng = np.random.default_rng(size)
    x, y = rng.normal(size=(2, size)).astype(dtype)
    return x, y + np.sign(y)


CHANGES = {
    "add_": (lambda x, y: x.add_(y), lambda x, y: x + y),
    "sub_": (lambda x, y: x.sub_(y), lambda x, y: x - y),
    "mul_": (lambda x, y: x.mul_(y), lambda x, y: x * y),
    "div_": (lambda x, y: x.div_(y), lambda x, y: x / y),
    "div_, floor": (lambda x, y: x.div_(y, rounding_mode="floor"), lambda x, y: x // y),
    "add_ a number": (lambda x, y: x.add_(3), lambda x, y: x + 3),
    "mul_ by a number": (lambda x, y: x.mul_(-0.0), lambda x, y: x * -0.0),
    "copy_": (lambda x, y: x.copy_(y), lambda x, y: y),
    "copy_ a number": (lambda x, y: x.copy_(2), lambda x, y: 0 * x + 2),
    "fill_": (lambda x, y: x.fill_(2.5), lambda x, y: 0 * x + 2.5),
    "zero_": (lambda x, y: x.zero_(), lambda x, y: np.zeros_like(x)),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CHANGES)
def test_the_memory_stays_and_the_bits_are_those_of_the_operation(name, dtype, size):
    change, definition = CHANGES[name]
    x, y = pair(size, dtype)
    a = ta.tensor(x)
    memory, version = a._array, a._storage.version
    assert change(a, ta.tensor(y)) is a
    assert a._array is memory
    assert a._storage.version == version + 1
    np.testing.assert_array_equal(np.signbit(memory), np.signbit(definition(x, y)))
    np.testing.assert_array_equal(a, definition(x, y))


@pytest.mark.parametrize("size", SIZES)
def test_alpha(size):
    x, y = pair(size)
    exact = x.astype(float), y.astype(float)
    added, taken = ta.tensor(x).add_(ta.tensor(y), alpha=0.3), ta.tensor(x)
    taken.sub_(ta.tensor(y), alpha=0.3)
    factor = float(np.float32(0.3))
    np.testing.assert_allclose(added, exact[0] + factor * exact[1], 1e-6, 1e-6)
    np.testing.assert_allclose(taken, exact[0] - factor * exact[1], 1e-6, 1e-6)
    # the bits are those of a product and a sum, with a graph and without one
    np.testing.assert_array_equal(added, x + y * np.float32(0.3))
    tracked = ta.tensor(x, requires_grad=True).clone().add_(ta.tensor(y), alpha=0.3)
    np.testing.assert_array_equal(tracked.detach(), added)


def test_a_view_changes_its_base():
    x = ta.zeros(3, 4)
    x[1].add_(ta.ones(4)).mul_(2)
    x.t()[2].copy_(ta.tensor([5.0, 6.0, 7.0]))
    assert x.tolist() == [[0, 0, 5, 0], [2, 2, 6, 2], [0, 0, 7, 0]]


def test_views_of_the_same_memory_are_read_before_they_are_written():
    for size in (5, 5000):
        x = ta.arange(float(size))
        want = x._array[1:] + x._array[:-1]
        x[1:].add_(x[:-1])
        np.testing.assert_array_equal(x[1:], want)
        y = ta.arange(float(size))
        y[1:].copy_(y[:-1])
        assert y[:3].tolist() == [0, 0, 1]
        z = ta.arange(float(size))
        z.mul_(z.flip(0)).sub_(z)
        assert not z.any()


def test_the_operand_is_brought_to_the_dtype():
    x = ta.zeros(3)
    assert x.add_(ta.tensor([1, 2, 3])).tolist() == [1, 2, 3]
    assert x.add_(ta.ones(3, dtype="float64")).dtype == ta.float32
    assert ta.zeros(2, 3).add_(ta.tensor([1.0, 2.0, 3.0])).tolist() == [[1, 2, 3]] * 2
    i = ta.tensor([1, 2])
    assert i.copy_(ta.tensor([1.9, -1.9])).tolist() == [1, -1]
    with pytest.raises(RuntimeError, match=r"add_: result type float32 can't be cast"):
        i.add_(1.5)


def test_infinities_make_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = ta.tensor([3e38, 1.0, 0.0])
        assert x.mul_(10).tolist() == [np.inf, 10, 0]
        x.div_(x)
        assert x.copy_(ta.tensor([1e300, np.nan, 0.0], dtype="float64")).tolist()[0] == np.inf


def test_memory_that_is_read_only_is_refused():
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    for change in (lambda x: x.zero_(), lambda x: x.add_(1), lambda x: x.copy_(2.0)):
        with pytest.raises(RuntimeError, match="read-only"):
            change(ta.from_numpy(array))


def test_a_changed_tensor_is_noticed_by_a_backward():
    x, w = ta.tensor([1.0, 2.0], requires_grad=True), ta.tensor([3.0, 4.0])
    for change in (w.zero_, lambda: w.add_(1), lambda: w.mul_(2), lambda: w.copy_(x.detach())):
        y = (x * w).sum()
        change()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()


def test_a_parameter_changes_under_no_grad_and_stays_a_leaf():
    x = leaf([1.0, 2.0])
    with ta.no_grad():
        x.add_(ta.ones(2), alpha=-0.5)
        x[:1].zero_()
    assert x.tolist() == [0, 1.5]
    assert x.requires_grad
    assert x.is_leaf


def test_what_needs_a_gradient_stays_on_the_tape():
    x = leaf([1.0, 2.0])
    y = ta.zeros(2)
    y.add_(x, alpha=3).mul_(x)
    y.sum().backward()
    assert x.grad.tolist() == [6, 12]


@pytest.mark.parametrize("size", [3, 5000])
@pytest.mark.parametrize("name", [name for name in CHANGES if name != "div_, floor"])
def test_nothing_goes_over_the_tape(name, size, monkeypatch):
    def refused(*args, **options):
        raise AssertionError("an operation was recorded")

    change, definition = CHANGES[name]
    x, y = pair(size)
    a, b = ta.tensor(x), ta.tensor(y)
    base = ta.tensor(np.stack([x, x]))
    monkeypatch.setattr(Function, "apply", refused)
    change(a, b)
    change(base[0], b)
    np.testing.assert_array_equal(a, definition(x, y))
    np.testing.assert_array_equal(base, np.stack([definition(x, y), x]))
    if name in ("add_", "sub_"):
        getattr(ta.tensor(x), name)(b, alpha=2)


def test_who_watches_operations_sees_changes_in_place():
    seen = []
    with watching(lambda node, *rest: seen.append(type(node).__name__)):
        x = ta.ones(3)
        x.add_(ta.ones(3)).mul_(2).zero_().copy_(x)
    assert seen == ["Add", "Mul", "Fill", "Fill"]


def test_columns_of_many_rows_are_changed_too():
    x = np.arange(20_000, dtype=np.float32).reshape(10_000, 2)
    a = ta.tensor(x)
    a[:, 1].mul_(3).add_(1, alpha=2)
    np.testing.assert_array_equal(a[:, 1], 3 * x[:, 1] + 2)
    np.testing.assert_array_equal(a[:, 0], x[:, 0])
    b = ta.tensor(x)
    b.div_(3, rounding_mode="floor")
    np.testing.assert_array_equal(b, x // 3)


def test_numbers_of_other_types_and_with_alpha():
    x = ta.zeros(3)
    assert x.add_(2, alpha=3).tolist() == [6] * 3
    assert x.sub_(2.0, alpha=2).tolist() == [2] * 3
    assert x.add_(np.float32(0.5)).tolist() == [2.5] * 3
    assert x.mul_(True).add_(True).tolist() == [3.5] * 3


def test_a_forward_of_ones_own_changes_tensors_in_place():
    class Scaled(ta.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return ta.zeros(2).add_(x, alpha=3).mul_(10).sub_(ta.tensor([1.0, 2.0]), alpha=4)

        @staticmethod
        def backward(ctx, grad):
            return 30 * grad

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = Scaled.apply(leaf([2.0, 3e38]))
    assert y.tolist() == [56, np.inf]
