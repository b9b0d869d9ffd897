"""Operations in PyTorch's form: static methods on tensors, with a context between them."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function


class Reversed(Function):
    """y = x;   dx = -strength dy."""

    @staticmethod
    def forward(ctx, x, strength=1.0):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad.neg() * ctx.strength, None


class Affine(Function):
    """y = x w^T + b."""

    @staticmethod
    def forward(ctx, x, w, b=None):
        ctx.save_for_backward(x, w, b)
        y = x @ w.t()
        return y if b is None else y + b

    @staticmethod
    def backward(ctx, grad):
        x, w, b = ctx.saved_tensors
        assert not ta.is_grad_enabled()
        dx = grad @ w if ctx.needs_input_grad[0] else None
        dw = grad.t() @ x if ctx.needs_input_grad[1] else None
        db = grad.sum(0) if b is not None and ctx.needs_input_grad[2] else None
        return dx, dw, db


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def test_a_gradient_is_reversed():
    x = leaf([1.0, -2.0])
    y = Reversed.apply(x, 0.5)
    (y * ta.tensor([3.0, 4.0], dtype=ta.float64)).sum().backward()
    assert y.tolist() == [1.0, -2.0]
    assert x.grad.tolist() == [-1.5, -2.0]
    assert repr(y.grad_fn) == "<ReversedBackward>"
    assert isinstance(y.grad_fn, Function)


def test_an_output_that_is_the_input_has_memory_of_its_own():
    x = leaf([1.0, -2.0])
    y = Reversed.apply(x)
    with ta.no_grad():
        x[0] = 5.0
    assert y.tolist() == [1.0, -2.0]


def test_gradients_go_to_the_inputs_that_need_them(backend):
    x, w, b = (leaf(np.arange(n) + 1.0) for n in (6, 12, 4))
    x, w = x.detach().view(2, 3).requires_grad_(), w.detach().view(4, 3).requires_grad_()
    assert ta.gradcheck(Affine.apply, (x, w, b))
    assert ta.gradcheck(lambda w: Affine.apply(x.detach(), w, None), (w,))
    assert ta.gradcheck(lambda w: Affine.apply(x.detach(), w), (w,))  # b is left out


def test_it_is_recorded_only_where_a_gradient_is_needed():
    assert Square.apply(ta.tensor([3.0])).grad_fn is None
    with ta.no_grad():
        assert Square.apply(leaf([3.0])).grad_fn is None


def test_what_it_saves_is_freed_and_watched():
    x = leaf([1.0, 3.0])
    y = Square.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 12.0]
    with pytest.raises(RuntimeError, match=r"a second time: what Square saved was freed"):
        y.backward()
    z = x * 1
    y = Square.apply(z)
    z.add_(1)
    with pytest.raises(RuntimeError, match=r"inplace operation: Square saved a tensor of shape"):
        y.sum().backward()


def test_outputs_that_no_gradient_reaches_give_zeros_or_none():
    seen = []

    class Twice(Function):
        with_zeros = True

        @classmethod
        def forward(cls, ctx, x):
            ctx.set_materialize_grads(cls.with_zeros)
            return 2 * x, 3 * x

        @classmethod
        def backward(cls, ctx, a, b):
            seen.append(a if a is None else a.tolist())
            return 3 * b

    class Absent(Twice):
        with_zeros = False

    x = leaf([1.0, 2.0])
    Twice.apply(x)[1].sum().backward()
    Absent.apply(x)[1].sum().backward()
    assert seen == [[0.0, 0.0], None]
    assert x.grad.tolist() == [6.0, 6.0]


def test_an_output_may_need_no_gradient():
    class Largest(Function):
        @staticmethod
        def forward(ctx, x):
            order = x.sort(descending=True)[0]
            rank = order * 0 + 1
            ctx.mark_non_differentiable(rank)
            return order * 2, rank

        @staticmethod
        def backward(ctx, grad, _):
            return 2 * grad

    x = leaf([3.0, 1.0])
    values, rank = Largest.apply(x)
    assert (values.requires_grad, rank.requires_grad) == (True, False)
    values.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_the_newer_form_sets_the_context_up_apart():
    class Power(Function):
        @staticmethod
        def forward(x, n):
            return x**n

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.n = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            return grad * ctx.n * y / x, None

    assert ta.gradcheck(lambda x: Power.apply(x, 3), (leaf([1.0, 2.0]),))


def test_a_subclass_may_change_one_half():
    class Other(Square):
        @staticmethod
        def backward(ctx, grad):
            return 7 * grad

    x = leaf([1.0, 2.0])
    Other.apply(x).sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]


def test_backward_may_write_into_the_gradient_it_gets():
    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return grad.mul_(2)

    x, z = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    (Doubled.apply(x) + z).backward(ta.ones(2, dtype=ta.float64))
    assert (x.grad.tolist(), z.grad.tolist()) == ([2.0, 2.0], [1.0, 1.0])


def test_backward_may_run_a_pass_of_its_own():
    class Again(Function):
        """Computes forward anew in the backward, so that nothing is kept."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, grad):
            x = ctx.saved_tensors[0].detach().requires_grad_()
            with ta.enable_grad():
                y = x.sin()
            y.backward(grad)
            return x.grad

    assert ta.gradcheck(lambda x: Again.apply(x * 2), (leaf([1.0, 2.0]),))


def gives(*found):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return found

    return lambda: Wrong.apply(leaf([1.0, 2.0])).sum().backward()


def makes(value, save=()):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(*save)
            return value

    return lambda: Wrong.apply(leaf([1.0, 2.0]))


class Dirty(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (gives(ta.ones(2), ta.ones(2)), RuntimeError, "expected a gradient for each input, got 2"),
        (gives(ta.ones(3)), RuntimeError, r"gradient of shape \[3\] for an input of shape \[2\]"),
        (gives(np.ones(2)), TypeError, "Wrong.backward: expected tensors or None, got ndarray"),
        (makes(None), TypeError, "Wrong.forward: expected tensors, got NoneType"),
        (makes((ta.ones(2), 3)), TypeError, "Wrong.forward: expected tensors, got int"),
        (makes(ta.ones(2), [2.0]), TypeError, "save_for_backward: .* got float as number 0"),
        (lambda: Dirty.apply(leaf([1.0])), NotImplementedError, "mark_dirty: .*give a new tensor"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def test_none_for_arguments_that_were_left_out_is_passed_over():
    x = leaf([1.0, 2.0])
    gives(ta.ones(2), None, None)()
    Reversed.apply(x).sum().backward()  # its backward also gives None for the strength
    assert x.grad.tolist() == [-1.0, -1.0]


def test_the_node_belongs_to_the_module_of_its_class():
    assert type(Reversed.apply(leaf(3)).grad_fn).__module__ == __name__
