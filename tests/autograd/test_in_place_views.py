"""Changes in place through a view: the values and gradients of all tensors that share the memory
are those of PyTorch, and where the tape can't record the change an error says why."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.ops._in_place import Put, RenewedView


def rising(*shape, start=1.0):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) * 0.5 + start
    return leaf(values)


# name -> what is done to h of shape (2, 3), with v of shape (3,)
PROGRAMS = {
    "reshape, then some elements": lambda h, v: h.reshape(-1).__setitem__([0, 3, 4], v),
    "an element by two indices": lambda h, v: h[0].__setitem__(1, v[2]),
    "three indices": lambda h, v: h[None][0][1].__setitem__(2, v[0]),
    "a column": lambda h, v: h[:, 0].mul_(3),
    "a column by a tensor": lambda h, v: h[:, 1].mul_(v[:2]),
    "transpose": lambda h, v: h.transpose(0, 1).add_(v[:, None]),
    "t": lambda h, v: h.t()[1:].mul_(v[1:, None]),
    "every second": lambda h, v: h.view(6)[::2].div_(v),
    "masked_fill_": lambda h, v: h[1].masked_fill_(ta.tensor([True, False, True]), v[0]),
    "mask": lambda h, v: h.view(-1).__setitem__(h.detach().view(-1) > 2, -5.0),
    "copy_": lambda h, v: h[1].copy_(v),
    "zero_": lambda h, v: h.narrow(1, 1, 2).zero_(),
    "relu_": lambda h, v: ta.nn.functional.relu(h[0], inplace=True),
    "+= ": lambda h, v: h[1].__iadd__(v),
    "by its own base": lambda h, v: h[0].mul_(h[1]),
    "by an overlapping view": lambda h, v: h[:, :2].mul_(h[:, 1:]),
    "part of a split": lambda h, v: h.split(2, 1)[0].mul_(v[0]),
    "rows of unbind": lambda h, v: [row.mul_(x) for row, x in zip(h, v[:2], strict=True)],
    "twice": lambda h, v: h[0].mul_(v).add_(v),
    "two views in turn": lambda h, v: (h[0].mul_(v), h[:, 0].mul_(v[0])),
    "squeeze": lambda h, v: h.view(2, 1, 3).squeeze(1)[1].mul_(v),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_base_has_the_gradients(name):
    def program(x, v):
        h = x * 1.5
        PROGRAMS[name](h, v)
        return h * h, v * v

    assert ta.gradcheck(program, (rising(2, 3), rising(3, start=2.0)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_views_made_before_and_after_have_the_gradients_of_the_change(name):
    def program(x, v):
        h = x * 1.5
        before, rows = h.t(), h[1]
        PROGRAMS[name](h, v)
        return before * before, rows.sin(), h.view(6) * 2, v * v

    assert ta.gradcheck(program, (rising(2, 3), rising(3, start=2.0)))


def test_the_changed_view_itself_goes_on():
    def program(x):
        y = (x * 2).reshape(-1)
        y[ta.tensor([0, 2])] = 0
        y *= y
        z = y.reshape(3, 2)
        z[1].mul_(y[0:2])
        return y.sum() + z.exp().sum()

    assert ta.gradcheck(program, rising(2, 3, start=-1.0))


def test_a_buffer_joins_the_tape_through_its_views():
    x = rising(3)
    buffer = ta.zeros(2, 2, 3, dtype=ta.float64)
    row = buffer[1, 1]
    buffer[0][1].copy_(x)
    buffer[1][0][2] = x[0]
    assert buffer.requires_grad
    assert row.requires_grad  # it shares the memory
    buffer.sum().backward()
    assert x.grad.tolist() == [2.0, 1.0, 1.0]
    assert buffer.tolist() == [[[0, 0, 0], [1, 1.5, 2]], [[0, 0, 1], [0, 0, 0]]]


def test_a_masked_softmax_of_sequences():
    """As in d2l: the scores are made flat; those after the end of a sequence are overwritten."""
    lengths = np.array([2, 3, 1, 2])

    def program(scores):
        x = (scores * 1).reshape(-1, scores.shape[-1])
        x[ta.tensor(np.arange(3)[None] >= lengths[:, None])] = -1e6
        return x.reshape(scores.shape).softmax(-1)

    assert ta.gradcheck(program, rising(2, 2, 3))
    weights = program(rising(2, 2, 3))
    assert (weights.detach().numpy().reshape(4, 3) > 0).sum(1).tolist() == lengths.tolist()


# Any chain of views, and any change: values against NumPy, gradients against differences

CHANGES = {
    "mul_": lambda y, v: y.mul_(v),
    "add_": lambda y, v: y.add_(v),
    "zero_": lambda y, v: y.zero_(),
    "copy_": lambda y, v: y.copy_(v),
    "setitem": lambda y, v: y.__setitem__(..., v),
}
IN_NUMPY = {
    "mul_": lambda y, v: np.multiply(y, v, out=y),
    "add_": lambda y, v: np.add(y, v, out=y),
    "zero_": lambda y, v: y.fill(0),
    "copy_": lambda y, v: np.copyto(y, v),
    "setitem": lambda y, v: y.__setitem__(..., v),
}


@st.composite
def chains(draw, shape):
    """Steps that lead from a tensor of that shape to a view of it: (name, arguments)."""
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["transpose", "slice", "select", "unsqueeze"]))
        axis = draw(st.integers(0, max(len(shape) - 1, 0)))
        whole = (slice(None),) * axis
        if kind == "transpose" and len(shape) > 1:
            steps.append(("swapaxes", (axis, 0)))
        elif kind == "slice" and shape:
            start = draw(st.integers(0, shape[axis]))
            item = slice(start, None, draw(st.integers(1, 2)))
            steps.append(("__getitem__", ((*whole, item),)))
        elif kind == "select" and len(shape) > 1 and shape[axis]:
            item = draw(st.integers(0, shape[axis] - 1))
            steps.append(("__getitem__", ((*whole, item),)))
        elif kind == "unsqueeze" and len(shape) < 4:
            steps.append(("__getitem__", ((*whole, None),)))
        else:
            continue
        shape = follow(np.empty(shape), steps[-1:]).shape
    return steps


def follow(x, steps):
    for name, arguments in steps:
        if name == "swapaxes" and isinstance(x, ta.Tensor):
            name = "transpose"
        x = getattr(x, name)(*arguments)
    return x


LAYOUTS = {
    "row-major": lambda x: x * 1,
    "column-major": lambda x: laid_out(x, np.empty(x.shape[::-1]).T),
    "with gaps": lambda x: laid_out(x, np.empty([2 * n for n in x.shape])[::2, 1::2, ::2]),
    "reversed": lambda x: laid_out(x, np.empty(x.shape)[::-1, :, ::-1]),
}


def laid_out(x, array):
    """A tensor on that array, with the values and gradient of x."""
    return ta.from_numpy(array).copy_(x)


@settings(max_examples=60)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    change=st.sampled_from(sorted(CHANGES)),
    steps=chains((2, 3, 2)),
    others=chains((2, 3, 2)),
)
def test_any_chain_of_views(layout, change, steps, others):
    x, v = rising(2, 3, 2), rising(start=1.5)

    def program(x, v):
        base = LAYOUTS[layout](x)
        other, view = follow(base, others), follow(base, steps)
        CHANGES[change](view, v)
        return base, view, other

    array = np.array(x.detach().numpy())
    IN_NUMPY[change](follow(array, steps), 1.5)
    values = program(x, v)
    for got, expected in zip(values, (array, *(follow(array, s) for s in (steps, others)))):  # noqa: B905
        np.testing.assert_array_equal(got.detach().numpy(), expected)
    assert ta.gradcheck(lambda x, v: tuple(y * y for y in (*program(x, v), v)), (x, v))


@settings(max_examples=60)
@given(
    change=st.sampled_from(sorted(CHANGES)),
    steps=chains((2, 3, 2)),
    others=chains((2, 3, 2)),
    more=st.sampled_from(sorted(CHANGES)),
)
def test_any_chain_of_views_as_pytorch(change, steps, others, more):
    torch = pytest.importorskip("torch")
    found = []
    for library in (ta, torch):
        x = library.arange(1.0, 13.0).reshape(2, 3, 2).requires_grad_()
        v = library.tensor(1.5, requires_grad=True)
        base = x * 2
        other, view = follow(base, others), follow(base, steps)
        CHANGES[change](view, v)
        CHANGES[more](other, v * 3)
        loss = sum((y * y * k).sum() for k, y in enumerate((base, view, other, v), start=1))
        loss.backward()
        found.append([t.detach().tolist() for t in (base, view, other, loss, x.grad, v.grad)])
    assert found[0] == found[1]


# By hand


def test_put_and_part_by_hand():
    x = np.arange(6.0).reshape(2, 3)
    column = x[:, 1]
    put, part = Put(), RenewedView()
    assert put.forward(x, column, column) is x
    dx, dp = put.backward(np.arange(6.0).reshape(2, 3) + 1)
    assert dx.tolist() == [[1, 0, 3], [4, 0, 6]]
    assert dp.tolist() == [2, 5]
    assert part.forward(x, column) is column
    assert part.backward(np.array([7.0, 8.0])).tolist() == [[0, 7, 0], [0, 8, 0]]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (4,)])
def test_a_view_without_elements(shape):
    x = rising(*shape)
    h = x * 2
    h[:0].mul_(3)
    h[..., shape[-1] :].add_(1)
    h.sum().backward()
    assert x.grad.tolist() == np.full(shape, 2.0).tolist()


# Where it can't be recorded

WAYS = {
    "mul_": lambda y: y.mul_(2),
    "+=": lambda y: y.__iadd__(1),
    "setitem": lambda y: y.__setitem__(0, 1.0),
    "masked_fill_": lambda y: y.masked_fill_(y > 0, 0),
    "zero_": lambda y: y.zero_(),
    "copy_": lambda y: y.copy_(ta.ones(y.shape)),
    "normal_": lambda y: y.normal_(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_view_of_a_leaf_that_needs_a_gradient_is_refused(way):
    x = rising(2, 3)
    for view in (x[0], x.t(), x.view(6)[2:], x.unbind()[1]):
        with pytest.raises(RuntimeError, match="a view of a leaf tensor that requires grad"):
            WAYS[way](view)
    assert x.tolist() == rising(2, 3).tolist()


@pytest.mark.parametrize("way", WAYS)
def test_a_view_made_under_no_grad_is_refused(way):
    h = rising(2, 3) * 1
    with ta.no_grad():
        view = h[0]
        h[1].zero_()  # is not recorded
    with pytest.raises(RuntimeError, match=r"made under no_grad\(\) as a view"):
        WAYS[way](view)
    assert h.tolist() == [[1, 1.5, 2], [0, 0, 0]]


def test_a_view_whose_base_has_other_memory_is_refused():
    base = rising(2, 3) * 1
    view = base[0]
    base.data = ta.zeros(2, 3, dtype=ta.float64)
    with pytest.raises(RuntimeError, match=r"mul_: .* view of memory that its base no longer has"):
        view.mul_(2)
    view.sum().backward()  # it may be used, with the gradient it had


def test_without_gradients_a_view_may_outlive_the_memory_of_its_base():
    base = ta.zeros(3, dtype=ta.float64)
    view = base[:2]
    base.data = ta.ones(3, dtype=ta.float64)
    assert view.add_(1) is view
    assert (view.tolist(), base.tolist()) == ([1, 1], [1, 1, 1])
    with pytest.raises(RuntimeError, match=r"add_: .* view of memory that its base no longer has"):
        view.add_(rising(2))


def test_a_stale_view_whose_base_has_other_memory_is_refused():
    base = rising(2, 3) * 1
    view = base[0]
    assert view.mul_(2) is view
    base.mul_(2)
    base.data = ta.zeros(2, 3, dtype=ta.float64)
    with pytest.raises(RuntimeError, match=r"in place: .* memory that its base no longer has"):
        view * 1


def test_a_leaf_that_is_a_view_can_not_be_changed_itself():
    x = ta.zeros(4)
    v = x[:2].requires_grad_()
    with pytest.raises(RuntimeError, match="a leaf tensor that requires grad can't be changed"):
        v[0] = 1
    assert x.tolist() == [0, 0, 0, 0]


def test_a_leaf_that_is_a_view_can_not_be_changed_through_its_base():
    base = ta.zeros(2, 3, dtype=ta.float64)
    view = base[0].requires_grad_()
    base[1].copy_(rising(3))
    with pytest.raises(RuntimeError, match="it can't be a leaf any more"):
        view * 2


def test_what_was_saved_is_guarded_through_views_too():
    h = rising(2, 3) * 1
    y = (h * h).sum()
    h[0].add_(1)
    with pytest.raises(RuntimeError, match=r"Mul saved a tensor of shape \[2, 3\].*add_ has since"):
        y.backward()
    h = rising(2, 3) * 1
    rows = h[1]
    y = (rows * rows).sum()
    h[0].add_(1)  # another part of the memory; PyTorch refuses this as well
    with pytest.raises(RuntimeError, match=r"Mul saved a tensor of shape \[3\].*add_ has since"):
        y.backward()


def test_a_second_change_does_not_spoil_what_the_first_saved():
    x = rising(2, 3)
    h = x * 1
    h[0].mul_(h[1])  # saves both rows
    with ta.no_grad():
        h[1].zero_()
    h[0].sum().backward()
    assert x.grad.tolist() == [[2.5, 3, 3.5], [1, 1.5, 2]]


def test_no_grad_keeps_a_stale_view_stale():
    def program(x):
        h = x * 1
        view = h[0]
        h.mul_(h)
        with ta.no_grad():
            view.add_(0)
        return view * 2

    assert ta.gradcheck(program, rising(2, 3))


def test_a_stale_view_asked_for_its_gradient_is_up_to_date():
    x = rising(2, 3)
    h = x * 1
    view, element = h[0], h[1, 2]
    h.mul_(h)
    assert view.grad_fn is not None
    with ta.no_grad():
        assert view.requires_grad
    assert not view.is_leaf
    element.backward(retain_graph=True)
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 7]]
    assert ta.autograd.grad(view.sum(), x)[0].tolist() == [[2, 3, 4], [0, 0, 0]]
    buffer = ta.zeros(3, dtype=ta.float64)
    first = buffer[:1]
    buffer.copy_(x[0])
    with pytest.raises(RuntimeError, match="requires grad"):
        first.numpy()
    with pytest.raises(
        RuntimeError, match="deepcopy: expected a leaf tensor, got the result of RenewedView"
    ):
        copy.deepcopy(first)
    with pytest.raises(RuntimeError, match="this one is the result of RenewedView"):
        first.requires_grad_(False)


# Another shape in place

SHAPES = {
    "unsqueeze_": lambda h: h.unsqueeze_(-1),
    "squeeze_": lambda h: h.unsqueeze_(0).squeeze_(0),
    "transpose_": lambda h: h.transpose_(0, 1),
    "t_": lambda h: h.t_(),
}


@pytest.mark.parametrize("name", SHAPES)
def test_another_shape_in_place(name):
    def program(x):
        h = x * 2
        row = h[0]
        assert SHAPES[name](h) is h
        h.mul_(h)
        row.mul_(3)
        return h * 2, row * row

    assert ta.gradcheck(program, rising(2, 3))
    torch = pytest.importorskip("torch")
    shapes = [list(SHAPES[name](library.ones(2, 3)).shape) for library in (ta, torch)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", SHAPES)
def test_another_shape_of_a_leaf_is_refused(name):
    x = rising(2, 3)
    with pytest.raises(RuntimeError, match="a leaf tensor that requires grad"):
        SHAPES[name](x)
    with ta.no_grad(), pytest.raises(RuntimeError, match=r"under no_grad\(\) .* use x = x\."):
        SHAPES[name](x)
    assert x.shape == (2, 3)


@pytest.mark.parametrize("sizes", [(2, 3, 4), (3, 4), (2, 1, 3, 4), (5, 2, 3, 4)])
def test_a_repeated_view_of_what_changed_passes_on_the_sum_of_its_gradients(sizes):
    """As `expand` itself does: each element stands in the view several times."""
    leaves = [ta.tensor(values, requires_grad=True) for values in (np.ones((3, 4)), np.ones(4))]
    weights = ta.tensor(np.cos(np.arange(np.prod(sizes)).reshape(sizes)))
    wanted = weights.reshape(-1, 3, 4).sum(0)
    for change in ("add_", "mul_"):
        x = leaves[0] * 1
        view = x.expand(sizes)
        getattr(x, change)(leaves[1])
        dx, dy = ta.autograd.grad((view * weights).sum(), leaves)
        np.testing.assert_allclose(dx.numpy(), wanted.numpy(), atol=1e-14)
        np.testing.assert_allclose(dy.numpy(), wanted.sum(0).numpy(), atol=1e-14)


def test_a_view_repeated_along_two_dimensions_and_turned():
    x = ta.tensor([[1.0], [2.0]], dtype=ta.float64, requires_grad=True)
    y = x * 1
    view = y.expand(3, 2, 4).transpose(0, 2)[1:]
    y.mul_(2)
    weights = ta.tensor(np.arange(18.0).reshape(3, 2, 3))
    (view * weights).sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[:, 0], 2 * weights.numpy().sum((0, 2)))
