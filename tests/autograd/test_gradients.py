"""Gradients that are not computed yet: what collects them gives the same sum as adding them one by
one, and their transposes are those of the sum."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf, numbers
from tinyattn.autograd import Function
from tinyattn.autograd.gradients import Placed, RowSum, combine, rows_product, unbroadcast
from tinyattn.autograd.waiting import Waiting
from tinyattn.kernels import backend

STEPS = [(numbers((2, 3), seed), numbers((2, 3), seed + 9)) for seed in range(4)]


def row_sum(a, b):
    return RowSum(rows_product, [(a, b)], (backend(),))


@pytest.mark.parametrize("axes", [(1, 0), (0, 1)])
def test_the_transpose_of_a_sum_over_rows(axes):
    (a, b), (c, d) = STEPS[:2]
    deferred = row_sum(a, b)
    assert deferred.joins(row_sum(c, d))
    turned = deferred.transpose(axes)
    value = turned.value() if isinstance(turned, RowSum) else turned
    np.testing.assert_allclose(value, (a.T @ b + c.T @ d).transpose(axes), rtol=1e-14)


@pytest.mark.parametrize("turn", [lambda w: w.T, lambda w: w.permute(0, 1)])
def test_the_gradient_of_a_weight_that_several_steps_use_turned(turn):
    w = leaf(numbers((3, 3)))
    sum((ta.tensor(x) @ turn(w) * ta.tensor(g)).sum() for x, g in STEPS).backward()
    expected = sum(x.T @ g for x, g in STEPS)
    if turn(w).tolist() != w.tolist():
        expected = expected.T
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-14)


def test_the_gradient_of_a_sequence_is_that_of_all_its_steps():
    x, g = leaf(numbers((4, 3))), numbers((4, 3))
    hidden = x * 2
    sum((hidden[t] * ta.tensor(g[t])).sum() for t in (0, 1, 2, 3, 1)).backward()
    used = np.array([1, 2, 1, 1])[:, None]
    np.testing.assert_allclose(x.grad.numpy(), 2 * used * g, rtol=1e-15)


def test_placed_arrays_collect_and_gradients_of_other_kinds_do_not_join_them():
    first, second = np.ones(2), np.full(2, 3.0)
    placed = Placed((3, 2), (0,), first)
    assert not placed.joins(row_sum(*STEPS[0]))
    assert placed.joins(Placed((3, 2), (2,), second))
    assert placed.joins(Placed((3, 2), (2,), second))
    assert placed.value().tolist() == [[1, 1], [0, 0], [6, 6]]


def test_a_deferred_gradient_is_added_to_an_array():
    a, b = STEPS[0]
    for owned in (False, True):
        have = np.ones((3, 3))
        total = combine(have, row_sum(a, b), owned)
        np.testing.assert_allclose(total, 1 + a.T @ b, rtol=1e-14)
        assert (total is have) == owned
        assert owned or (have == 1).all()


def test_sums_over_the_axes_that_broadcasting_added_or_stretched():
    grad = numbers((2, 3, 4))
    np.testing.assert_allclose(unbroadcast(grad, (4,)), grad.sum((0, 1)), rtol=1e-14)
    kept = grad.sum(1, keepdims=True)
    np.testing.assert_allclose(unbroadcast(grad, (2, 1, 4)), kept, rtol=1e-14)


class Twice(Function):
    """a = x, b = 2 x, two outputs;   dx = da + 2 db."""

    def forward(self, x):
        return x.copy(), 2 * x

    def backward(self, da, db):
        return da + 2 * db


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("index", [0, 1])
def test_what_arrives_at_an_output_changes_only_what_the_pass_owns_there(recorded, index):
    outputs = Twice.apply(leaf(np.ones(2)))
    node, here, there = outputs[0]._edge[0], outputs[index]._edge, outputs[1 - index]._edge
    waiting = Waiting([], None)
    waiting.recorded = recorded
    owned, held, more = np.array([1.0, 2.0]), np.array([5.0, 6.0]), np.array([10.0, 20.0])
    waiting.add(here, owned, True)
    waiting.add(there, held, False)
    arrived = waiting.table[node]
    assert [arrived[2 * i] is (owned if i == index else held) for i in (0, 1)] == [True, True]
    assert arrived[1::2] == [i == index for i in (0, 1)]
    waiting.add(here, more, False)
    waiting.add(there, more, False)
    assert arrived[2 * index] is owned
    assert owned.tolist() == [11.0, 22.0]
    assert held.tolist() == [5.0, 6.0]
    assert arrived[2 - 2 * index].tolist() == [15.0, 26.0]
    assert arrived[1::2] == [True, True]


@pytest.mark.parametrize("index", [0, 1])
def test_a_gradient_that_is_wanted_belongs_to_the_pass_no_longer(index):
    node = Twice.apply(leaf(np.ones(2)))[0]._edge[0]
    waiting = Waiting([], None)
    waiting.wanted = {(node, index)}
    arrived = [np.ones(2), True, np.zeros(2), True]
    waiting.complete(node, arrived)
    assert waiting.found == {(node, index): arrived[2 * index]}
    assert arrived[1::2] == [i != index for i in (0, 1)]


@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("order", [("shared", "own", "other"), ("own", "shared", "other")])
@pytest.mark.parametrize("index", [..., 1])
def test_a_gradient_that_another_node_holds_is_not_added_to(shared, order, index):
    """`shared` is the output that gets the very array which another leaf gets, too. The gradient of
    an element, with index 1, is not computed before it is needed."""
    x, held = leaf(np.ones(3)), leaf(np.ones(3))
    outputs = Twice.apply(x)
    here, there = outputs[shared], outputs[1 - shared]
    makers = {
        "shared": lambda: (here + held).sum(),  # one array, for `here` and for `held`
        "own": lambda: (there[index] * 3).sum(),  # a new array
        "other": lambda: (here[index] * 5).sum(),
    }
    # The newest node comes first in the backward pass.
    losses = [makers[name]() for name in reversed(order)]
    sum(losses).backward()
    assert held.grad.tolist() == [1, 1, 1]
    factor, everywhere = (1, 2), np.ones(3)
    chosen = np.zeros(3)
    chosen[index] = 1
    expected = factor[shared] * (everywhere + 5 * chosen) + factor[1 - shared] * 3 * chosen
    assert x.grad.tolist() == expected.tolist()


@pytest.mark.parametrize("wanted", [0, 1])
def test_a_gradient_that_is_asked_for_stays_as_it_arrived(wanted):
    x = leaf(np.ones(2))
    outputs = Twice.apply(x)
    loss = (outputs[0] * 3).sum() + (outputs[1] * 5).sum()
    got, dx = ta.autograd.grad(loss, [outputs[wanted], x])
    assert got.tolist() == [(3, 5)[wanted]] * 2
    assert dx.tolist() == [13, 13]


@pytest.mark.parametrize(
    "index",
    [
        np.s_[:, 1:-1, ...],
        np.s_[:, ::2, ...],
        np.s_[:, 1::3, ...],
        np.s_[3, ...],
        np.s_[-1, :, ...],
        np.s_[5:5, ...],
        np.s_[..., 2],
        np.s_[..., :],
        np.s_[2:9, 3:7, ...],
        np.s_[None, 2:9, ...],
        np.s_[:, None, 2, ...],
        np.s_[:, :, ...],
    ],
)
def test_a_gradient_placed_among_zeros(index):
    """The array is so large that a kernel places what stands along one axis."""
    shape = (80, 90)
    part = numbers(np.zeros(shape)[index].shape)
    want = np.zeros(shape)
    want[index] = part
    assert Placed(shape, index, part).value().tolist() == want.tolist()
    turned = np.asfortranarray(part)
    assert Placed(shape, index, turned).value().tolist() == want.tolist()
    two = Placed(shape, index, part)
    assert two.joins(Placed(shape, (...,), np.ones(shape)))
    assert two.value().tolist() == (want + 1).tolist()
