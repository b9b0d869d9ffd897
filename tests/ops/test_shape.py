"""Shape: which results are views, what views refuse, PyTorch's results and errors, gradients."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.ops.shape import Slice

from .parity import same_as_torch

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
DIM = st.integers(-4, 3)
SIZE = st.integers(-2, 6)
SIZES = st.lists(SIZE, min_size=1, max_size=3)
TARGETS = st.lists(st.integers(-1, 3), max_size=4).filter(lambda s: not {0, -1} <= set(s))
COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=3)

# name: (case, strategies of its further arguments)
CASES = {
    "view": (lambda t, x, s: x.view(*s), SIZES),
    "view_transposed": (lambda t, x, s: x.T.view(s) if x.ndim == 2 else x, SIZES),
    "reshape": (lambda t, x, s: t.reshape(x, s), SIZES),
    "reshape_transposed": (lambda t, x, s: x.transpose(0, -1).reshape(*s), SIZES),
    "view_as": (lambda t, x: x.view_as(x.flatten()),),
    "contiguous": (lambda t, x: x.transpose(0, -1).contiguous(),),
    "flatten": (lambda t, x, a, b: x.flatten(a, b), DIM, DIM),
    "unflatten": (lambda t, x, d, s: t.unflatten(x, d, s) if x.ndim else x, DIM, SIZES),
    "unsqueeze": (lambda t, x, d: x.unsqueeze(d), DIM),
    "squeeze": (lambda t, x: t.squeeze(x),),
    "squeeze_dim": (lambda t, x, d: x.squeeze(d), DIM),
    "squeeze_dims": (lambda t, x, d: x.squeeze(tuple(d)), st.lists(DIM, max_size=1)),
    "expand": (lambda t, x, s: x.expand(s), TARGETS),
    "expand_as": (lambda t, x: x.expand_as(t.zeros(2, *x.shape)),),
    "broadcast_to": (lambda t, x, s: t.broadcast_to(x, s), TARGETS),
    "permute": (
        lambda t, x, d: x.permute(*d),
        st.permutations([0, -2, 2]) | st.permutations([0, 1]),
    ),
    "transpose": (lambda t, x, a, b: t.transpose(x, a, b), DIM, DIM),
    "t": (lambda t, x: x.t(),),
    "mT": (lambda t, x: x.mT if x.ndim else x,),
    "select": (lambda t, x, d, i: x.select(d, i), DIM, DIM),
    "narrow": (lambda t, x, d, a, n: t.narrow(x, d, a, n), DIM, DIM, st.integers(-1, 3)),
    "narrow_tensor": (lambda t, x, a: x.narrow(0, t.tensor(a), 1), DIM),
    "split": (lambda t, x, n, d: x.split(n, d), st.integers(1, 4), DIM),
    "split_sizes": (lambda t, x, s, d: t.split(x, s, dim=d), COUNTS, DIM),
    "split_into_nothing": (lambda t, x, d: t.split(x, [], d), DIM),
    "chunk": (lambda t, x, n, d: t.chunk(x, n, d), st.integers(1, 4), DIM),
    "split_wrong": (lambda t, x, n: x.split(n), st.integers(-1, 0)),
    "chunk_wrong": (lambda t, x, n: x.chunk(n), st.integers(-1, 0)),
    "tensor_split": (lambda t, x, n, d: x.tensor_split(n, d), st.integers(0, 4), DIM),
    "tensor_split_at": (
        lambda t, x, s, d: x.tensor_split(s, dim=d),
        st.lists(DIM, max_size=3),
        DIM,
    ),
    "unbind": (lambda t, x, d: x.unbind(d), DIM),
    "flip": (lambda t, x, d: x.flip(*d), st.lists(DIM, min_size=1, max_size=1)),
    "flip_dims": (lambda t, x: t.flip(x, dims=[0, -1]),),
    "roll": (lambda t, x, n: t.roll(x, n), DIM),
    "roll_dims": (lambda t, x, s, d: x.roll(s, d) if x.numel() else x, COUNTS, COUNTS),
    "repeat": (lambda t, x, s: x.repeat(*s), COUNTS),
    "tril": (lambda t, x, k: x.tril(k), DIM),
    "triu": (lambda t, x, k: t.triu(x, diagonal=k), DIM),
    "stack": (lambda t, x, d: t.stack([x, x * 2], d), DIM),
    "cat": (lambda t, x, d: t.cat([x, x * 2], dim=d), DIM),
    "cat_empty": (lambda t, x, d: t.cat([t.zeros(0), x], d), DIM),
}


def numbered(shape, dtype="float64"):
    return (np.arange(math.prod(shape)).reshape(shape) + 1).astype(dtype)


def counted(shape=(2, 3)):
    return leaf(numbered(shape))


@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), shape=SHAPES)
@settings(max_examples=30, deadline=None)
def test_as_in_torch(torch, name, data, shape):
    case, *strategies = CASES[name]
    arguments = [data.draw(strategy) for strategy in strategies]
    dtype = data.draw(st.sampled_from(["float32", "float64", "int64", "bool"]))
    same_as_torch(torch, lambda t, x: case(t, x, *arguments), numbered(shape, dtype))


@pytest.mark.parametrize("function", ["cat", "stack"])
@given(
    shapes=st.lists(st.sampled_from([(2, 3), (2, 3), (1, 3), (0,), (3,), ()]), max_size=3),
    dtypes=st.lists(
        st.sampled_from(["float32", "float64", "int64", "int32", "bool"]), min_size=3, max_size=3
    ),
    dim=st.integers(-3, 2),
)
@settings(max_examples=100, deadline=None)
def test_joining_different_tensors_as_in_torch(torch, function, shapes, dtypes, dim):
    arrays = [numbered(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=False)]
    same_as_torch(torch, lambda t, *xs: getattr(t, function)(xs, dim), *arrays)


# With arguments that fit a tensor of shape (2, 3).
SMOOTH = {
    "view": lambda x: x.view(3, -1),
    "view of a view": lambda x: x.T.unsqueeze(1)[1:].transpose(0, 2).squeeze(1),
    "reshape with a copy": lambda x: x.T.reshape(6),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "expand": lambda x: x.unsqueeze(1).expand(4, -1, 2, 3),
    "expand to nothing": lambda x: x[:, :1].expand(2, 0).sum() + x.sum(),
    "permute": lambda x: x.unsqueeze(0).permute(2, 0, 1),
    "T": lambda x: x.T,
    "select": lambda x: x.select(1, -1),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "split": lambda x: x.split([1, 2], 1),
    "split, one part used": lambda x: x.split(1, 1)[1],
    "tensor_split that overlaps": lambda x: x.tensor_split([2, 1], 1),
    "unbind": lambda x: x.unbind(1),
    "flip": lambda x: x.flip(0, 1),
    "roll": lambda x: x.roll((1, 2), (0, 1)),
    "roll of all": lambda x: x.roll(2),
    "repeat": lambda x: x.repeat(2, 1, 3),
    "repeat to more dimensions": lambda x: x.repeat(3, 2, 1, 2),
    "tril": lambda x: x.tril(),
    "triu": lambda x: x.triu(1),
    "cat": lambda x: ta.cat([x, x[:1], ta.zeros(0)]),
    "stack": lambda x: ta.stack([x, x.flip(0)], -1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_match_differences(name):
    assert ta.gradcheck(lambda x: SMOOTH[name](x * 1), (counted(),))


def test_roll_moves_elements_on():
    x = ta.tensor([[0, 1, 2], [3, 4, 5]])
    assert x.roll(2).tolist() == [[4, 5, 0], [1, 2, 3]]
    assert x.roll((1, -1), (0, 1)).tolist() == [[4, 5, 3], [1, 2, 0]]


@pytest.mark.parametrize("name", sorted(set(SMOOTH) - {"unbind"}))
def test_gradients_of_tensors_without_elements_have_their_shape(name):
    x = ta.tensor(numbered((2, 3))[:, :0].repeat(1, axis=1), requires_grad=True)
    try:
        y = SMOOTH[name](x)
    except (RuntimeError, IndexError):
        return  # not every argument above fits a tensor of shape (2, 0)
    for part in y if isinstance(y, tuple) else (y,):
        part.sum().backward(retain_graph=True)
    assert x.grad.shape == (2, 0)


VIEWS = {
    "view": lambda x: x.view(6),
    "reshape": lambda x: x.reshape(3, 2),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "squeeze": lambda x: x.squeeze(),
    "narrow": lambda x: x.narrow(0, 1, 1),
    "select": lambda x: x.select(0, 0),
    "chunk": lambda x: x.chunk(2)[1],
    "unbind": lambda x: x.unbind()[0],
    "a view of a view": lambda x: x.t()[1:].unsqueeze(-1),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_change_shows_in_views_and_their_bases(name):
    x = ta.zeros(2, 3)
    y = VIEWS[name](x)
    y += 1
    assert x.sum().item() == y.numel()
    x.zero_()
    assert y.sum().item() == 0


@pytest.mark.parametrize("name", VIEWS)
def test_a_change_of_a_view_has_a_gradient(name):
    def changed(x):
        h = x * 1
        y = VIEWS[name](h)
        y *= 3
        return h * 2 + x, y * y

    assert ta.gradcheck(changed, counted())


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_older_than_a_change_on_the_tape_has_its_gradient(name):
    def changed(x):
        h = x * 1
        y = VIEWS[name](h)
        h *= h
        return y * 2

    assert ta.gradcheck(changed, counted())


def test_copies_share_nothing():
    x = ta.zeros(2, 2)
    for y in (x.flip(0), x.roll(0), x.repeat(1, 1), x.tril(), ta.cat([x]), x.T.reshape(4)):
        y += 1
    assert x.sum().item() == 0


def test_expanded_tensors_refuse_changes():
    y = ta.zeros(1).expand(3)
    with pytest.raises(RuntimeError, match="read-only"):
        y += 1


@pytest.mark.parametrize("size", [(3, 2), (1, 3, 2), (1, 1, -1, 2)])
def test_a_tensor_expanded_by_axes_of_size_1_can_be_changed(size):
    x = counted().clone().T
    y = x.expand(size)
    y += 1
    assert x.tolist() == [[2, 5], [3, 6], [4, 7]]
    assert y.flatten().tolist() == [2, 5, 3, 6, 4, 7]
    with pytest.raises(RuntimeError, match="must match the existing size"):
        x.expand(2, 3)


def test_view_refuses_to_copy_and_names_reshape():
    with pytest.raises(RuntimeError, match=r"\[2, 3\]|\[3, 2\].*Use \.reshape"):
        counted().T.view(6)
    assert counted().T.reshape(6).tolist() == [1, 4, 2, 5, 3, 6]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (40, 30, 50)])
def test_copies_of_every_size_are_in_row_major_order(shape, dtype):
    x = ta.tensor(numbered(shape, dtype)).permute(2, 0, 1)
    for copy in (x.contiguous(), x.clone()):
        assert copy.is_contiguous()
        np.testing.assert_array_equal(copy.numpy(), x.numpy())
    np.testing.assert_array_equal(x.reshape(-1).numpy(), x.numpy().reshape(-1))
    turned = x.permute(2, 1, 0)
    np.testing.assert_array_equal(turned.contiguous().view(-1).numpy(), turned.numpy().ravel())


def test_contiguous_copies_only_where_it_must():
    x = counted()
    assert x.contiguous() is x
    assert x.T.contiguous().tolist() == x.T.tolist()


def test_parts_have_pytorchs_sizes():
    x = ta.arange(7)
    assert [p.tolist() for p in x.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [p.numel() for p in x.chunk(4)] == [2, 2, 2, 1]
    assert [p.numel() for p in x.tensor_split(4)] == [2, 2, 2, 1]
    assert [p.numel() for p in x.tensor_split(5)] == [2, 2, 1, 1, 1]


def test_cat_names_what_does_not_fit():
    x = ta.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"except in dimension 0.*\[2, 3\].*\[3, 2\].*number 1"):
        ta.cat([x, x.T])
    with pytest.raises(TypeError, match=r"tensors: element 1.*int"):
        ta.cat([x, 3])
    with pytest.raises(ValueError, match="non-empty"):
        ta.cat([])


def test_stack_of_tensors_without_axes():
    assert ta.stack([ta.tensor(1.0), ta.tensor(2.0)]).tolist() == [1, 2]


def test_both_halves_run_by_hand():
    from tinyattn.ops.shape import Cat

    f = Cat()
    assert f.forward(np.ones(1), np.zeros(2)).tolist() == [1, 0, 0]
    assert [g.tolist() for g in f.backward(np.arange(3.0))] == [[0], [1, 2]]


def test_both_halves_of_a_slice_run_by_hand():
    operation = Slice()
    y = operation.forward(np.arange(6.0).reshape(2, 3), (slice(None), slice(1, 3)))
    assert y.tolist() == [[1, 2], [4, 5]]
    dx = operation.backward(np.array([[5.0, 6.0], [7.0, 8.0]]))
    assert dx.tolist() == [[0, 5, 6], [0, 7, 8]]


def test_products_with_a_transposed_memory_at_every_step():
    memory, *queries = (ta.randn(2, n, 4, dtype=ta.float64, requires_grad=True) for n in (3, 1, 1))
    loss = sum(i * (q @ memory.transpose(1, 2)).sum() for i, q in enumerate(queries, 1))
    loss.backward()
    want = (queries[0] + 2 * queries[1]).detach().expand(2, 3, 4)
    np.testing.assert_allclose(memory.grad.numpy(), want.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: x.tril(1.5), "diagonal"),
        (lambda x: x.triu(1.5), "diagonal"),
        (lambda x: x.select(0, 1.5), "index"),
        (lambda x: x.narrow(0, 0.5, 1), "start"),
        (lambda x: x.narrow(0, 0, 1.5), "length"),
        (lambda x: x.chunk(1.5), "chunks"),
        (lambda x: x.tensor_split(1.5), "indices_or_sections"),
        (lambda x: x.tensor_split([0.5]), "indices_or_sections"),
    ],
)
def test_a_float_in_place_of_an_int_is_refused_by_name(call, name):
    with pytest.raises(TypeError, match=f"{name}: expected ints, got float"):
        call(ta.ones(2, 2))


def test_flatten_of_one_dimension_is_the_tensor_itself():
    """As in PyTorch: a leaf stays a leaf."""
    x = ta.ones(2, 3, requires_grad=True)
    for same in (x.flatten(1), x.flatten(0, 0), x.flatten(-1, -1)):
        assert same is x
    vector = ta.ones(3, requires_grad=True)
    assert vector.flatten() is vector
    assert ta.tensor(1.0).flatten().shape == (1,)


def test_split_of_a_tensor_names_its_size():
    assert [part.tolist() for part in ta.arange(3).split(split_size=2)] == [[0, 1], [2]]
    parts = ta.arange(6).reshape(2, 3).split([1, 2], dim=1)
    assert [part.tolist() for part in parts] == [[[0], [3]], [[1, 2], [4, 5]]]
