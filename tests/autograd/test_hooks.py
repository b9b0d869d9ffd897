"""Hooks: they see the whole gradient of a tensor, once, and may put another in its place."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf


def test_a_hook_sees_the_whole_gradient_once():
    x = leaf([1.0, 2.0])
    h = x * 2
    seen = []
    x.register_hook(lambda g: seen.append(("x", g.tolist())))
    h.register_hook(lambda g: seen.append(("h", g.tolist())))
    (h * 3 + h * 4).sum().backward()
    assert seen == [("h", [7.0, 7.0]), ("x", [14.0, 14.0])]
    assert x.grad.tolist() == [14.0, 14.0]


def test_a_result_takes_the_place_of_the_gradient():
    x = leaf([1.0, 2.0])
    h = x * 2
    h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    h.sum().backward()
    assert x.grad.tolist() == [21.0, 21.0]


def test_hooks_run_in_the_order_of_registration():
    x = leaf([1.0])
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    (x * 1).sum().backward()
    assert x.grad.tolist() == [20.0]


def test_a_removed_hook_is_silent():
    x = leaf([1.0])
    double = lambda g: g * 2  # noqa: E731
    one, two = x.register_hook(double), x.register_hook(double)
    one.remove()
    one.remove()  # a second time does no harm to the other
    (x * 1).sum().backward()
    assert x.grad.tolist() == [2.0]
    two.remove()
    (x * 1).sum().backward()
    assert x.grad.tolist() == [3.0]


def test_a_hook_may_remove_itself():
    x = leaf([1.0])
    calls = []

    def once(g):
        calls.append(1)
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda g: g * 2)
    for _ in range(2):
        (x * 1).sum().backward()
    assert len(calls) == 1
    assert x.grad.tolist() == [4.0]


def test_a_hook_that_writes_in_its_gradient_changes_nothing_else():
    x, y = leaf([1.0]), leaf([1.0])
    seed = ta.tensor(np.ones(1))
    h = x + y
    x.register_hook(lambda g: g.mul_(5) and None)
    h.backward(seed)
    assert seed.tolist() == [1.0]
    assert y.grad.tolist() == [1.0]


def test_what_a_hook_returns_is_not_aliased_by_grad():
    kept = ta.tensor(np.array([4.0]))
    x = leaf([1.0])
    x.register_hook(lambda g: kept)
    for _ in range(2):
        (x * 1 + x * 2).sum().backward()
    assert kept.tolist() == [4.0]
    assert x.grad.tolist() == [8.0]


def test_a_hook_answers_with_a_tensor_of_the_same_shape():
    for answer, error in ((lambda g: ta.ones(3), "shape"), (lambda g: 3.0, "float")):
        x = leaf([1.0, 2.0])
        x.register_hook(answer)
        with pytest.raises((RuntimeError, TypeError), match=f"hook.*{error}"):
            (x * 1).sum().backward()


def test_a_hook_needs_a_gradient_to_come():
    with pytest.raises(RuntimeError, match=r"register_hook: .*doesn't require a gradient"):
        ta.ones(2).register_hook(print)


def test_hooks_run_in_autograd_grad_too():
    x = leaf([1.0])
    h = x * 2
    h.register_hook(lambda g: g * 3)
    dx, dh = ta.autograd.grad(h.sum(), [x, h])
    assert (dx.tolist(), dh.tolist()) == ([6.0], [3.0])


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = leaf([1.0, 2.0])
    h = x * 2
    h.retain_grad()
    h.retain_grad()  # asking twice changes nothing
    (h * h).sum().backward(retain_graph=True)
    assert h.grad.tolist() == [4.0, 8.0]
    (h * h).sum().backward()
    assert h.grad.tolist() == [8.0, 16.0]


def test_retain_grad_keeps_what_hooks_made_of_the_gradient():
    """Also those that come later than retain_grad()."""
    x = leaf([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: g + 1)
    y.retain_grad()
    handle = y.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    assert y.grad.tolist() == [20.0, 20.0]
    assert x.grad.tolist() == [40.0, 40.0]
    handle.remove()
    y.sum().backward()
    assert y.grad.tolist() == [22.0, 22.0]


def test_retain_grad_of_a_leaf_is_what_it_does_anyway():
    x = leaf([1.0])
    x.retain_grad()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        ta.ones(1).retain_grad()


def test_a_retained_grad_shares_no_memory():
    x = leaf([1.0, 2.0])
    h = x * 1
    h.retain_grad()
    seed = ta.tensor(np.ones(2))
    h.backward(seed)
    h.grad.zero_()
    assert seed.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [1.0, 1.0]


def test_hooks_on_one_of_several_results():
    x = leaf([3.0, 1.0, 2.0])
    values, _ = x.sort()
    a, b, c = values.unbind()
    a.register_hook(lambda g: g * 10)
    (a + b * 2 + c * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 10.0, 2.0]


def test_a_hook_after_accumulation_sees_grad_complete_while_the_pass_goes_on():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    h = x * 2
    seen = []
    w.grad = ta.tensor([100.0, 100.0], dtype=w.dtype)
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(("w", leaf.grad.tolist())))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(("x", leaf.grad.tolist())))
    h.register_hook(lambda g: seen.append(("h", g.tolist())))
    (h * w + w).sum().backward()
    assert seen == [("w", [103.0, 105.0]), ("h", [3.0, 4.0]), ("x", [6.0, 8.0])]


def test_a_hook_after_accumulation_waits_for_the_last_use_of_its_leaf():
    w = leaf([2.0])
    seen = []
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    first = w * 3
    second = (first * w).detach()  # no gradient comes back through this use
    (first * w * second + w).sum().backward()
    assert seen == [[2 * 3 * 2 * 12 + 1]]
    assert w.grad.tolist() == [145.0]


def test_a_leaf_whose_oldest_use_gets_no_gradient_is_reported_at_the_end():
    class OneSided(ta.autograd.Function):
        """x + 0 y, whose backward gives nothing for y."""

        def forward(self, x, y):
            return x + 0 * y

        def backward(self, grad):
            return grad, None

    w, x = leaf([2.0]), leaf([1.0])
    seen = []
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    old = w * 1
    (OneSided.apply(x, old) * w).sum().backward()
    assert seen == [[1.0]]


def test_after_accumulation_hooks_run_in_order_and_can_be_removed():
    w = leaf([2.0])
    seen = []
    first = w.register_post_accumulate_grad_hook(lambda leaf: seen.append(1))
    second = w.register_post_accumulate_grad_hook(lambda leaf: seen.append(2))
    w.sum().backward()
    assert seen == [1, 2]
    first.remove()
    w.sum().backward()
    assert seen == [1, 2, 2]
    second.remove()
    second.remove()  # a second time changes nothing
    w.sum().backward()
    assert seen == [1, 2, 2]
    assert w.grad.tolist() == [3.0]


def test_grad_of_chosen_tensors_calls_no_hook_after_accumulation():
    w = leaf([2.0])
    seen = []
    w.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf))
    (gradient,) = ta.autograd.grad((w * 3).sum(), [w])
    assert gradient.tolist() == [3.0]
    assert seen == []


def test_a_hook_after_accumulation_belongs_to_a_leaf_that_needs_a_gradient():
    with pytest.raises(RuntimeError, match=r"expected a leaf .* a tensor that doesn't"):
        ta.ones(1).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match=r"expected a leaf .* the result of an operation"):
        (leaf([1.0]) * 2).register_post_accumulate_grad_hook(print)
