"""autograd.grad: gradients as values; no `.grad` is touched."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function, grad


def test_it_gives_one_gradient_for_each_input():
    x, y = leaf([2.0]), leaf([5.0])
    z = (x * y * y).sum()
    dx, dy = grad(z, (x, y))
    assert (dx.tolist(), dy.tolist()) == ([25.0], [20.0])
    assert x.grad is None
    assert y.grad is None
    assert not dx.requires_grad


def test_existing_grads_stay_as_they_are():
    x, y = leaf([2.0]), leaf([5.0])
    (x * y).sum().backward()
    grad((x * y).sum(), [x])
    assert (x.grad.tolist(), y.grad.tolist()) == ([5.0], [2.0])


def test_results_share_nothing():
    x, y = leaf([2.0, 1.0]), leaf([5.0, 1.0])
    seed = ta.tensor(np.ones(2))
    dx, dy = grad(x + y, [x, y], seed)
    dx.add_(1)
    assert dy.tolist() == seed.tolist() == [1.0, 1.0]
    (again,) = grad(x, x, seed)
    assert not np.shares_memory(again.numpy(), seed.numpy())


def test_several_outputs_with_weights():
    x = leaf([2.0, 3.0])
    (dx,) = grad(
        [x * x, x * 3], x, [ta.tensor(np.array([1.0, 0.0])), ta.tensor(np.array([0.0, 2.0]))]
    )
    assert dx.tolist() == [4.0, 6.0]
    (dx,) = grad([x.sum(), (x * 2).sum()], x, [None, None])
    assert dx.tolist() == [3.0, 3.0]


def test_inputs_in_the_middle_of_a_graph():
    x = leaf([2.0])
    h = x * x
    k = h * 3
    y = (k * h).sum()
    dh, dk, dx = grad(y, [h, k, x], retain_graph=True)
    assert (dh.tolist(), dk.tolist(), dx.tolist()) == ([24.0], [4.0], [96.0])
    (dh,) = grad(y, h)
    assert dh.tolist() == [24.0]


def test_the_output_itself_is_an_input():
    y = (leaf([2.0]) * 3).sum()
    assert grad(y, y)[0].item() == 1.0


def test_only_the_way_to_the_inputs_is_walked():
    ran = []

    class Noted(Function):
        def forward(self, x, *, name):
            self.name = name
            self.save(x=x)
            return x * 2

        def backward(self, grad):
            ran.append(self.name)
            return grad * 2

    x, y = leaf([1.0]), leaf([1.0])
    a, b = Noted.apply(x, name="a"), Noted.apply(y, name="b")
    top = Noted.apply(a * b, name="top")
    grad(top.sum(), x, retain_graph=True)
    assert ran == ["top", "a"]
    ran.clear()
    grad(top.sum(), a)
    assert ran == ["top"]
    # What was not walked is not freed.
    assert grad(a.sum(), x)[0].tolist() == [2.0]
    assert grad(b.sum(), y)[0].tolist() == [2.0]


def test_unused_inputs_raise_unless_allowed():
    x, y = leaf([2.0]), leaf([5.0])
    z = (x * 2).sum()
    with pytest.raises(RuntimeError, match=r"inputs: tensor 1 .*not have been used.*allow_unused"):
        grad(z, [x, y], retain_graph=True)
    dx, dy = grad(z, [x, y], allow_unused=True)
    assert dx.tolist() == [2.0]
    assert dy is None


def test_inputs_without_gradients_raise():
    x = leaf([2.0])
    with pytest.raises(RuntimeError, match=r"inputs: .*does not require grad"):
        grad((x * 2).sum(), ta.ones(1))
    with pytest.raises(TypeError, match="inputs: expected tensors, got float"):
        grad((x * 2).sum(), 1.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(ta.ones(()), x)


def test_it_frees_the_graph_unless_told():
    x = leaf([2.0])
    y = (x * x).sum()
    grad(y, x, retain_graph=True)
    grad(y, x)
    with pytest.raises(RuntimeError, match="second time"):
        grad(y, x)


def test_the_same_input_twice():
    x = leaf([2.0])
    first, second = grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() == [4.0]
    first.zero_()
    assert second.tolist() == [4.0]


def test_gradients_of_nothing_are_refused():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="inputs: expected at least one tensor, got none"):
        grad(x.sum(), [])
    with pytest.raises(RuntimeError, match="inputs: expected at least one tensor, got none"):
        x.sum().backward(inputs=[])
    assert x.grad is None


def test_grad_is_set_to_a_tensor_of_the_same_shape_and_dtype():
    x = leaf([1.0, 2.0])
    x.grad = ta.tensor([3.0, 4.0], dtype=x.dtype)
    x.sum().backward()
    assert x.grad.tolist() == [4.0, 5.0]
    for wrong in (ta.ones(3, dtype=x.dtype), ta.ones(1, dtype=x.dtype), ta.ones(2).long()):
        with pytest.raises(RuntimeError, match=r"grad: expected the shape \[2\] and dtype float64"):
            x.grad = wrong
    with pytest.raises(RuntimeError, match="grad: expected another tensor"):
        x.grad = x
    with pytest.raises(TypeError, match="grad: expected a Tensor, got float"):
        x.grad = 1.0
    assert x.grad.tolist() == [4.0, 5.0]
    del x.grad
    assert x.grad is None


def test_data_of_what_needs_a_gradient_are_floats():
    x = leaf([1.0, 2.0])
    x.data = ta.zeros(3)
    assert (x.tolist(), x.requires_grad) == ([0.0] * 3, True)
    with pytest.raises(RuntimeError, match=r"data: expected float32 or .* got int64"):
        x.data = ta.arange(3)
    with pytest.raises(TypeError, match="data: expected a Tensor, got list"):
        x.data = [1.0]
    y = ta.zeros(2)
    y.data = ta.arange(3)
    assert y.dtype == ta.int64


def test_a_view_is_not_detached_in_place():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2
    for view in (y[0], y.view(4), y.T, y.unbind(0)[0]):
        with pytest.raises(RuntimeError, match="detach_: a view can't be detached in place"):
            view.detach_()
    assert y[0].detach().detach_().is_leaf
    y.detach_()
    assert y.is_leaf
    assert not y.requires_grad


def test_materialize_grads_gives_zeros_for_what_is_not_used():
    x, z = ta.ones(2, requires_grad=True), ta.ones(3, requires_grad=True)
    dx, dz = ta.autograd.grad((x * x).sum(), (x, z), materialize_grads=True)
    assert (dx.tolist(), dz.tolist()) == ([2, 2], [0, 0, 0])
    with pytest.raises(ValueError, match="allow_unused: expected True or None with materialize"):
        ta.autograd.grad((x * x).sum(), z, allow_unused=False, materialize_grads=True)
