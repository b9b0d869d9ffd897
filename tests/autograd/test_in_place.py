"""Changes in place: on the tape with right gradients, or refused by an error that names both."""

import re

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.nn import functional as F


def inner(*values):
    """A tensor that isn't a leaf."""
    return leaf(values) * 1


def iadd(x):
    x += 1


def isub(x):
    x -= 1


def imul(x):
    x *= 2


def idiv(x):
    x /= 2


def ifloordiv(x):
    x //= 2


def imod(x):
    x %= 2


def ipow(x):
    x **= 2


def setitem(*index):
    def set_it(x):
        x[index[0] if len(index) == 1 else index] = 7.0

    return set_it


def no_grad(change):
    def changed(x):
        with ta.no_grad():
            change(x)

    return changed


# name -> (how it is done, what the error calls it)
WAYS = {
    "+=": (iadd, "add_"),
    "-=": (isub, "sub_"),
    "*=": (imul, "mul_"),
    "/=": (idiv, "div_"),
    "//=": (ifloordiv, "floor_divide_"),
    "%=": (imod, "remainder_"),
    "**=": (ipow, "pow_"),
    "add_": (lambda x: x.add_(ta.ones(3)), "add_"),
    "sub_": (lambda x: x.sub_(1), "sub_"),
    "mul_": (lambda x: x.mul_(2), "mul_"),
    "div_": (lambda x: x.div_(2), "div_"),
    "x[int] =": (setitem(1), "setitem"),
    "x[slice] =": (setitem(slice(0, 2)), "setitem"),
    "x[...] =": (setitem(...), "setitem"),
    "x[list] =": (setitem([0, 2]), "setitem"),
    "x[mask] =": (lambda x: x.__setitem__(x > 0, 0.5), "setitem"),
    "zero_": (lambda x: x.zero_(), "zero_"),
    "fill_": (lambda x: x.fill_(3.0), "fill_"),
    "copy_": (lambda x: x.copy_(ta.ones(3)), "copy_"),
    "clamp_": (lambda x: x.clamp_(0, 1), "clamp_"),
    "masked_fill_": (lambda x: x.masked_fill_(x > 0, 9.0), "masked_fill_"),
    "relu inplace": (lambda x: F.relu(x, inplace=True), "relu_"),
    "uniform_": (lambda x: x.uniform_(), "uniform_"),
    "normal_": (lambda x: x.normal_(), "normal_"),
}
# Ways around the tape, which a version must show all the same.
AROUND = {
    "add_ under no_grad": (no_grad(lambda x: x.add_(1)), "add_"),
    "x[0] = under no_grad": (no_grad(setitem(0)), "setitem"),
    "a view under no_grad": (no_grad(lambda x: x[1:].zero_()), "zero_"),
    "a view of a view under no_grad": (no_grad(lambda x: x.reshape(3, 1)[1].fill_(1)), "fill_"),
    "detach()": (lambda x: x.detach().mul_(2), "mul_"),
    "data": (lambda x: x.data.add_(1), "add_"),
    "data[0] =": (lambda x: setitem(0)(x.data), "setitem"),
    "a view of data": (lambda x: x.data[1:].copy_(ta.zeros(2)), "copy_"),
    "copy_ under no_grad": (no_grad(lambda x: x.copy_(ta.zeros(3))), "copy_"),
    "nn.init": (ta.nn.init.zeros_, "zeros_"),
    "unbind under no_grad": (no_grad(lambda x: x.unbind(0)[1].fill_(4)), "fill_"),
    "state_dict": (lambda x: _module(x).load_state_dict({"w": np.zeros(3)}), "load_state_dict"),
}


def _module(x):
    module = ta.nn.Module()
    module.w = ta.nn.Parameter(x.detach())
    return module


@pytest.mark.parametrize("way", WAYS | AROUND)
def test_a_change_of_what_was_saved_raises_and_names_both(way):
    change, name = (WAYS | AROUND)[way]
    h = inner(1.0, -2.0, 3.0)
    y = (h * h).sum()
    change(h)
    expected = rf"Mul saved a tensor of shape \[3\]; {name} has since .* version 1"
    with pytest.raises(RuntimeError, match=expected):
        y.backward()


@pytest.mark.parametrize("way", AROUND)
def test_a_leaf_that_was_saved_is_guarded_too(way):
    change, name = AROUND[way]
    x = leaf([1.0, -2.0, 3.0])
    y = (x * x).sum()
    change(x)
    with pytest.raises(RuntimeError, match=f"Mul saved.*{name} has since"):
        y.backward()
    assert x.grad is None


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_the_optimiser_changes_versions_too(kind):
    w = leaf([1.0, 2.0])
    optimiser = getattr(ta.optim, kind)([w], lr=0.1)
    y = (w * w).sum()
    y.backward(retain_graph=True)
    optimiser.step()
    with pytest.raises(RuntimeError, match=rf"Mul saved.*{kind}\.step has since"):
        y.backward()


def test_new_memory_for_a_leaf_leaves_what_was_saved():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    x.data = ta.tensor(np.array([9.0, 9.0]))
    x.data.add_(1)
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("saved", ["input", "output", "index", "other operand"])
def test_whatever_is_saved_is_guarded(saved):
    x = inner(1.0, 2.0, 3.0)
    if saved == "input":
        y = x.log()
        x.add_(1)
    elif saved == "output":
        y = x.exp()
        y.add_(1)
    elif saved == "index":
        index = ta.tensor([0, 2])
        y = x.index_select(0, index)
        index[0] = 1
    else:
        other = ta.ones(3, dtype=ta.float64)
        y = x * other
        other.zero_()
    with pytest.raises(RuntimeError, match="has since made it version 1"):
        y.sum().backward()


def test_what_was_not_saved_may_change():
    x = leaf([1.0, 2.0])
    h = x * 1
    y = h + 1  # addition saves nothing
    h.add_(5)
    (y.sum() + h.sum()).backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_what_only_the_gradient_of_a_constant_would_need_is_not_saved():
    x = leaf([1.0, 2.0])
    h = x * 1
    for y in (h * 3, 3 * h, h / 3, h * ta.ones(2)):
        h.add_(5)
        ta.autograd.grad(y.sum(), x, retain_graph=True)


def test_a_change_before_it_is_saved_is_no_fault():
    h = inner(1.0, 2.0)
    h.add_(1)
    (h * h).sum().backward()


# The gradients of changes in place are those of the operation that makes a new tensor


@pytest.mark.parametrize("way", [w for w in WAYS if w not in ("uniform_", "normal_", "x[mask] =")])
def test_changes_in_place_have_gradients(way):
    def changed(x):
        h = x * 1.5
        WAYS[way][0](h)
        return h * 2 + x

    assert ta.gradcheck(changed, leaf([1.0, -2.0, 3.0]))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (1, 1), ()])
def test_arithmetic_in_place_gives_both_gradients(name, shape):
    rng = np.random.default_rng(0)
    x = ta.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    y = ta.tensor(rng.normal(size=shape) + 3, requires_grad=True)

    def in_place(x, y):
        h = x * 1
        return getattr(h, name + "_")(y)

    assert ta.gradcheck(in_place, (x, y))
    new = ta.autograd.grad(getattr(x * 1, name)(y).sum(), [x, y])
    old = ta.autograd.grad(in_place(x, y).sum(), [x, y])
    assert [g.tolist() for g in new] == [g.tolist() for g in old]


def test_in_place_with_itself_and_a_view_of_itself():
    def square(x):
        h = x * 1
        h *= h
        return h

    def by_row(x):
        h = x * 1
        h *= h[:1] * 1
        return h

    def by_view(x):
        h = x * 1
        h *= h[:1]
        return h

    assert ta.gradcheck(square, leaf([1.0, 2.0, 3.0]))
    assert ta.gradcheck(by_view, ta.tensor(np.arange(6.0).reshape(2, 3) + 1, requires_grad=True))
    assert ta.gradcheck(by_row, ta.tensor(np.arange(6.0).reshape(2, 3) + 1, requires_grad=True))
    h = ta.tensor(np.arange(6.0).reshape(2, 3) + 1, requires_grad=True) * 1
    h *= h[:1]
    np.testing.assert_array_equal(h.detach().numpy(), [[1, 4, 9], [4, 10, 18]])


def test_outputs_t_is_the_idiom_of_a_decoder():
    T, H = 5, 3
    rng = np.random.default_rng(0)
    w = ta.tensor(rng.normal(size=(H, H)), requires_grad=True)
    h0 = ta.tensor(rng.normal(size=(H,)), requires_grad=True)

    def decode(w, h, collect):
        steps = []
        outputs = ta.zeros(T, H, dtype=ta.float64)
        for t in range(T):
            h = (w @ h).tanh()
            outputs[t] = h
            steps.append(h)
        return outputs if collect == "outputs[t]" else ta.stack(steps)

    for collect in ("outputs[t]", "stack"):
        assert ta.gradcheck(lambda w, h: decode(w, h, collect), (w, h0))  # noqa: B023
    seed = ta.tensor(rng.normal(size=(T, H)))
    one, other = (
        ta.autograd.grad(decode(w, h0, c), [w, h0], seed) for c in ("outputs[t]", "stack")
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)


def test_overwritten_elements_get_no_gradient():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0])
    h = x * 1
    h[1] = v[0]
    h[1:2] = v * 2  # once more
    (h * ta.tensor(np.array([1.0, 5.0, 7.0]))).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 7.0]
    assert v.grad.tolist() == [10.0]


def test_a_buffer_without_gradient_joins_the_tape():
    x = leaf([1.0, 2.0])
    buffer = ta.zeros(2, 2, dtype=ta.float64)
    assert not buffer.requires_grad
    buffer[0] = x
    assert buffer.requires_grad
    assert not buffer.is_leaf
    buffer.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_the_value_keeps_its_dtype():
    x = leaf([1.0, 2.0])
    buffer = ta.zeros(2)
    buffer.copy_(x)
    buffer[0] = x[1]
    assert buffer.dtype == ta.float32
    buffer.sum().backward()
    assert x.grad.dtype == ta.float64
    assert x.grad.tolist() == [0.0, 2.0]


# Refusals, before anything is written


@pytest.mark.parametrize("way", WAYS)
def test_a_leaf_that_needs_a_gradient_is_refused(way):
    change, name = WAYS[way]
    x = leaf([1.0, -2.0, 3.0])
    with pytest.raises(RuntimeError, match=f"{name}: a leaf tensor that requires grad"):
        change(x)
    assert x.tolist() == [1.0, -2.0, 3.0]


def test_a_stale_view_may_be_read_without_gradients():
    base = inner(1.0, 2.0, 3.0)
    view, detached = base[:2], base.detach()
    base.add_(1)
    assert view.tolist() == [2.0, 3.0]
    assert (detached * 2).tolist() == [4.0, 6.0, 8.0]
    with ta.no_grad():
        assert (view * 2).tolist() == [4.0, 6.0]


def test_a_view_outlives_changes_without_gradients():
    base = ta.zeros(3)
    view = base[:2]
    base.fill_(2.0)
    assert (view + 1).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("target", "operand", "message"),
    [
        (ta.ones(3), ta.ones(2, 3), r"add_: .*shape \[3\].*\[2, 3\]"),
        (ta.ones(3).long(), 0.5, r"add_: result type float32 can't be cast .*int64"),
        (ta.ones(3).bool(), 1, r"add_: result type int64 can't be cast .*bool"),
    ],
)
def test_what_does_not_fit_is_refused(target, operand, message):
    before = target.tolist()
    with pytest.raises(RuntimeError, match=message):
        target.add_(operand)
    assert target.tolist() == before


def test_read_only_memory_and_expanded_tensors_are_refused():
    x = ta.ones(1, 3).expand(2, 3)
    with pytest.raises(RuntimeError, match=r"add_: .*(read-only|expand)"):
        x.add_(1)
    with pytest.raises(RuntimeError, match=r"setitem: .*(read-only|expand)"):
        x[0] = 1.0


def test_a_failed_change_leaves_the_version():
    h = inner(1.0, 2.0)
    y = (h * h).sum()
    for change in (lambda: h.add_(ta.ones(3)), lambda: h.__setitem__(5, 1.0)):
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            change()
    y.backward()


def test_the_message_says_what_to_do():
    h = inner(1.0)
    y = h * h
    h += 1
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    assert re.search("modified by an inplace operation", str(caught.value))
    assert re.search("Clone it before the change", str(caught.value))


CHANGES = {
    "setitem": lambda y, v: y.__setitem__(slice(1, 3), v),
    "rows": lambda y, v: y.__setitem__(ta.tensor([1, 2]), v),
    "mask": lambda y, v: y.__setitem__(ta.tensor([False, True, True, False]), v),
    "a number": lambda y, v: y.__setitem__(ta.tensor([False, True, True, False]), 7.0),
    "masked_fill_": lambda y, v: y.masked_fill_(ta.tensor([[False], [True], [True], [False]]), 7.0),
    "scatter_": lambda y, v: y.scatter_(0, ta.tensor([[1], [2]]).expand(2, len(v[0])), v),
    "of a view": lambda y, v: y[1:3].copy_(v),
}


@pytest.mark.parametrize("rows", [5, 5000])  # small and large arrays go other ways
@pytest.mark.parametrize("name", CHANGES)
def test_a_gradient_that_is_held_elsewhere_is_not_changed(name, rows):
    """The backward of a change in place writes into the gradient that it gets, if it may."""

    def changed():
        x = ta.ones(4, rows, dtype=ta.float64, requires_grad=True)
        v = ta.full((2, rows), 3.0, dtype=ta.float64, requires_grad=True)
        y = x * 1
        CHANGES[name](y, v)
        return x, v, y

    want = np.zeros((4, rows))
    want[[0, 3]] = 2.0
    numbered = np.arange(4.0 * rows).reshape(4, rows)

    x, _, y = changed()  # the seed
    seed = ta.tensor(numbered)
    y.backward(seed)
    assert np.array_equal(seed.numpy(), numbered)
    assert not x.grad.numpy()[1:3].any()

    x, _, y = changed()  # the gradient of another tensor: an addition hands on one array twice
    other = ta.zeros(4, rows, dtype=ta.float64, requires_grad=True)
    ((y + other) * 2).sum().backward()
    assert np.array_equal(other.grad.numpy(), np.full((4, rows), 2.0))
    assert np.array_equal(x.grad.numpy(), want)

    x, _, y = changed()  # what a hook has seen, and what retain_grad keeps
    seen = []
    y.register_hook(seen.append)
    y.retain_grad()
    (y * 2).sum().backward()
    assert np.array_equal(seen[0].numpy(), np.full((4, rows), 2.0))
    assert np.array_equal(y.grad.numpy(), np.full((4, rows), 2.0))
    assert np.array_equal(x.grad.numpy(), want)

    x, _, y = changed()  # what grad() was asked for
    for_x, for_y = ta.autograd.grad((y * 2).sum(), [x, y])
    assert np.array_equal(for_y.numpy(), np.full((4, rows), 2.0))
    assert np.array_equal(for_x.numpy(), want)


def test_a_loop_that_fills_a_tensor_hands_on_one_gradient():
    """outputs[t] = h: each step takes its part out of the gradient and sets it to 0, in place."""
    steps = [ta.full((3,), float(t), dtype=ta.float64, requires_grad=True) for t in range(4)]
    start = ta.zeros(4, 3, dtype=ta.float64, requires_grad=True)
    outputs = start * 1
    for t, step in enumerate(steps):
        outputs[t] = step
        outputs[t, 0] = 0.0
    (outputs * ta.arange(12, dtype=ta.float64).view(4, 3)).sum().backward()
    for t, step in enumerate(steps):
        assert step.grad.tolist() == [0, 3 * t + 1, 3 * t + 2]
    assert not start.grad.numpy().any()


def test_what_a_product_in_place_has_saved_of_the_other_may_not_change():
    x = leaf(np.ones(3)) * 1
    w = ta.tensor([2.0, 2.0, 2.0], dtype=ta.float64)
    x *= w
    w += 1
    with pytest.raises(RuntimeError, match=r"changed|in place|version"):
        x.sum().backward()


def test_a_product_of_two_rows_in_place_keeps_both():
    """b = [2, 3]: b1 *= b0, then b0 += 5. The sum is b1 b0 + b0 + 5."""
    a = leaf(np.array([[2.0], [3.0]]))
    b = a * 1
    first, second = b[0], b[1]
    second *= first
    first += 5
    b.sum().backward()
    assert b.tolist() == [[7.0], [6.0]]
    assert a.grad.tolist() == [[4.0], [2.0]]


def test_one_number_in_place_is_the_tensor_itself_and_ends_its_gradient():
    for change, value in ((lambda y: y.fill_(3.0), 3), (lambda y: y.zero_(), 0)):
        x = leaf([1.0, 2.0])
        y = x * x
        assert change(y) is y
        assert y.tolist() == [value, value]
        (y * x).sum().backward()
        assert x.grad.tolist() == [value, value]
