"""An operation of one's own: a pair of functions on arrays, called by hand or on tensors."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function


class Square(Function):
    """y = x^2;   dx = 2 x dy."""

    def forward(self, x):
        self.save(x=x)
        return x * x

    def backward(self, grad):
        x = self.saved["x"]
        return 2 * x * grad


def square(x):
    return Square.apply(x)


def test_both_halves_work_by_hand():
    op = Square()
    x = np.array([1.0, 3.0])
    assert op.forward(x).tolist() == [1.0, 9.0]
    assert op.backward(np.array([1.0, 10.0])).tolist() == [2.0, 60.0]
    assert op.needs(0)


def test_an_operation_of_ones_own_is_a_full_member():
    x = leaf([1.0, 3.0])
    y = square(square(x) + 1)
    assert y.tolist() == [4.0, 100.0]
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 120.0]
    assert repr(y.grad_fn) == "<SquareBackward>"
    assert ta.gradcheck(square, x)
    assert type(y) is ta.Tensor


def test_nothing_is_kept_where_no_gradient_is_needed():
    assert square(ta.tensor([2.0])).grad_fn is None
    with ta.no_grad():
        assert square(leaf([2.0])).grad_fn is None


def test_a_gradient_of_another_shape_is_refused():
    class Turned(Function):
        def forward(self, x):
            return x.T.copy()

        def backward(self, grad):
            return grad  # (3, 2) for an input (2, 3): the same number of elements

    x = leaf(np.ones((2, 3)))
    expected = r"backward: gave a gradient of shape \[3, 2\] for an input of shape \[2, 3\]"
    with pytest.raises(RuntimeError, match=expected):
        Turned.apply(x).sum().backward()


def test_needs_tells_which_inputs_want_a_gradient():
    seen = []

    class Product(Function):
        def forward(self, x, y):
            self.save(x=x, y=y)
            return x * y

        def backward(self, grad):
            seen.append((self.needs(0), self.needs(1)))
            x, y = self.saved["x"], self.saved["y"]
            return grad * y, grad * x

    x, c = leaf([2.0]), ta.tensor(np.array([5.0]))
    Product.apply(x, c).sum().backward()
    Product.apply(c, x).sum().backward()
    assert seen == [(True, False), (False, True)]
    assert x.grad.tolist() == [10.0]
    assert c.grad is None


def test_options_and_constants():
    class Scale(Function):
        def forward(self, x, factor, *, shift=0.0):
            self.factor = factor
            return x * factor + shift

        def backward(self, grad):
            return grad * self.factor

    x = leaf([1.0, 2.0])
    y = Scale.apply(x, 3.0, shift=1.0)
    assert y.tolist() == [4.0, 7.0]
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_results_that_are_not_floating_point_have_no_gradient():
    class Best(Function):
        def forward(self, x):
            index = np.argmax(x)
            self.index, self.size = index, x.size
            return x[index], index

        def backward(self, grad, _):
            dx = np.zeros(self.size)
            dx[self.index] = grad
            return dx

    x = leaf([1.0, 5.0, 2.0])
    value, index = Best.apply(x)
    assert (value.item(), index.item()) == (5.0, 1)
    assert value.requires_grad
    assert not index.requires_grad
    value.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_a_forgotten_half_is_named():
    class Half(Function):
        def forward(self, x):
            return x * 1

    with pytest.raises(NotImplementedError, match=r"Half\.backward"):
        Half.apply(leaf([1.0])).sum().backward()
    with pytest.raises(NotImplementedError, match=r"Function\.forward"):
        Function.apply(leaf([1.0]))


def test_a_missing_gradient_is_an_error_not_a_silence():
    class One(Function):
        def forward(self, x, y):
            return x + y

        def backward(self, grad):
            return grad  # the second is missing

    class Three(One):
        def backward(self, grad):
            return grad, grad, grad

    x, y = leaf([1.0]), leaf([1.0])
    with pytest.raises(RuntimeError, match=r"One.*backward.*1 .*2"):
        One.apply(x, y).sum().backward()
    with pytest.raises(RuntimeError, match=r"Three.*backward.*3 .*2"):
        Three.apply(x, y).sum().backward()


def test_none_means_no_gradient():
    class First(Function):
        def forward(self, x, y):
            return x + y

        def backward(self, grad):
            return grad, None

    x, y = leaf([1.0]), leaf([1.0])
    First.apply(x, y).sum().backward()
    assert x.grad.tolist() == [1.0]
    assert y.grad is None


def test_a_saved_input_is_guarded_in_ones_own_operations_too():
    x = leaf([1.0]) * 1
    y = square(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"Square saved .*add_"):
        y.sum().backward()


def test_two_graphs_of_one_operation_keep_apart():
    x, y = leaf([1.0]), leaf([5.0])
    a, b = square(x), square(y)
    a.sum().backward()
    b.sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0], [10.0])
