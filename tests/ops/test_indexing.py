"""Indexing: PyTorch's results and errors, setitem on the tape, and gradients."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.nn import functional as F
from tinyattn.ops.indexing import embedding, one_hot

from .parity import same_as_torch

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def numbered(shape, dtype="float64"):
    return (np.arange(math.prod(shape)).reshape(shape) + 1).astype(dtype)


def counted(shape=(2, 3)):
    return leaf(numbered(shape))


# Indices as data, so that both libraries build their own: ("tensor", dtype, nested list).
numbers = st.integers(-3, 3)
bounds = st.none() | st.integers(-4, 4)
slices = st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2]))
arrays = st.one_of(
    st.lists(st.integers(-2, 1), max_size=3),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.builds(lambda n: ("int64", n), st.lists(st.integers(-2, 2), min_size=1, max_size=2)),
    st.builds(
        lambda n: ("int64", n), st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=2))
    ),
    st.builds(lambda n: ("int32", n), st.lists(st.integers(0, 1), min_size=1, max_size=2)),
    st.builds(lambda n: ("int64", n), st.integers(-2, 1)),
    st.builds(
        lambda n: ("bool", n),
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=2),
    ),
    st.builds(lambda n: ("bool", n), st.booleans()),
    st.booleans(),
)
parts = st.one_of(numbers, slices, st.none(), st.just(...), arrays)
several = st.lists(parts, max_size=4).filter(lambda index: sum(p is ... for p in index) < 2)
indices = parts | several.map(tuple)


def built(t, index):
    """The index as the library `t` has it."""
    if isinstance(index, tuple) and len(index) == 2 and isinstance(index[0], str):
        return t.tensor(np.array(index[1], index[0]))
    return tuple(built(t, part) for part in index) if isinstance(index, tuple) else index


def picks_nothing(torch, shape, index):
    """torch then doesn't look whether the other indices are in range; we do."""
    try:
        return torch.zeros(shape)[built(torch, index)].numel() == 0
    except (IndexError, ValueError):
        return False


def at_once(x, index, value):
    """x with the change, from a copy, so that the leaf stays."""
    x = x * 1
    x[index] = value
    return x


@given(shape=st.lists(st.integers(1, 3), max_size=3).map(tuple), index=indices)
@settings(max_examples=300, deadline=None)
def test_getitem_as_in_torch(torch, shape, index):
    assume(not picks_nothing(torch, shape, index))
    same_as_torch(torch, lambda t, x: x[built(t, index)], numbered(shape))


@given(shape=st.lists(st.integers(1, 3), max_size=3).map(tuple), index=indices)
@settings(max_examples=150, deadline=None)
def test_setitem_of_a_number_as_in_torch(torch, shape, index):
    assume(not picks_nothing(torch, shape, index))
    same_as_torch(torch, lambda t, x: at_once(x, built(t, index), 0.5), numbered(shape))


@given(
    shape=st.just((2, 3)) | st.just((2, 2, 3)),
    index=st.one_of(numbers, slices, st.lists(numbers | slices | st.none(), max_size=3).map(tuple)),
    value=st.lists(st.integers(1, 3), max_size=3).map(tuple),
)
@settings(max_examples=150, deadline=None)
def test_setitem_of_a_tensor_as_in_torch(torch, shape, index, value):
    same_as_torch(torch, lambda t, x, v: at_once(x, index, v), numbered(shape), -numbered(value))


@pytest.mark.parametrize(
    "index",
    [
        [0, 1],
        (slice(None), [2, 0]),
        ([0, 1], [2, 0]),
        (0, [1, 2]),
        ("bool", [[True, False, True], [False, True, False]]),
    ],
)
@pytest.mark.parametrize("value", [(), (1,), (3,), (2,), (2, 3), (1, 1, 3), (4,)])
def test_setitem_by_arrays_as_in_torch(torch, index, value):
    case = lambda t, x, v: at_once(x, built(t, index), v)  # noqa: E731
    same_as_torch(torch, case, numbered((2, 3)), numbered(value))


@given(shape=SHAPES, index=st.lists(numbers | slices | st.none(), max_size=3).map(tuple))
@settings(max_examples=100, deadline=None)
def test_getitem_of_tensors_without_elements_as_in_torch(torch, shape, index):
    same_as_torch(torch, lambda t, x: x[index], numbered((*shape, 0)))


@pytest.mark.parametrize(
    "index", [[], False, ([], 0), (slice(None), []), ("bool", [[False] * 3] * 2), ([], [])]
)
def test_an_index_that_picks_nothing_as_in_torch(torch, index):
    same_as_torch(torch, lambda t, x: x[built(t, index)], numbered((2, 3)))
    same_as_torch(torch, lambda t, x: at_once(x, built(t, index), 1), numbered((2, 3)))


OTHERS = {
    "index_select": lambda t, x, i: x.index_select(0, i),
    "index_select_1": lambda t, x, i: t.index_select(x, 1, (i > 0).long()),
    "gather": lambda t, x, i: x.gather(0, i),
    "gather_1": lambda t, x, i: t.gather(x, 1, i),
    "gather_-1": lambda t, x, i: t.gather(x, -1, i),
    "masked_fill": lambda t, x, i: x.masked_fill(i > 0, -1),
    "masked_fill_tensor": lambda t, x, i: t.masked_fill(x, i > 0, x.sum() if x.ndim else x),
    "masked_fill_": lambda t, x, i: (x * 1).masked_fill_(i > 0, 2.5),
    "masked_fill_by_integers": lambda t, x, i: x.masked_fill(i, 1),
}


@pytest.mark.parametrize("name", OTHERS)
@given(
    shape=SHAPES | st.just((2, 3)),
    index=st.one_of(
        st.integers(-1, 2),
        st.lists(st.integers(-1, 2), max_size=3),
        st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=2), min_size=1, max_size=2),
    ),
    dtype=st.sampled_from(["int64", "int32", "float32"]),
)
@settings(max_examples=40, deadline=None)
def test_picking_and_filling_as_in_torch(torch, name, shape, index, dtype):
    assume(
        min(shape, default=2) > 1 or not name.startswith("index_select")
    )  # torch's errors there differ
    assume(dtype != "float32" or index != [])  # torch lets an index of nothing be of any type
    same_as_torch(torch, OTHERS[name], numbered(shape), np.array(index, dtype))


@given(
    index=st.lists(st.integers(-1, 4), max_size=4),
    rows=st.integers(1, 4),
    padding=st.none() | st.integers(-1, 0),
)
@settings(max_examples=40, deadline=None)
def test_embedding_as_in_torch(torch, index, rows, padding):
    functional = {ta: embedding, torch: torch.nn.functional.embedding}
    same_as_torch(
        torch,
        lambda t, i, w: functional[t](i, w, padding_idx=padding),
        np.array(index, np.int64),
        numbered((rows, 2)),
    )


@given(index=st.lists(st.integers(-1, 3), max_size=3), classes=st.integers(-2, 4))
@settings(max_examples=40, deadline=None)
def test_one_hot_as_in_torch(torch, index, classes):
    functional = {ta: one_hot, torch: torch.nn.functional.one_hot}
    same_as_torch(torch, lambda t, i: functional[t](i, classes), np.array(index, np.int64))


SMOOTH = {
    "int": lambda x: x[-1],
    "slice of a transposed": lambda x: x.T[::2],
    "ellipsis and None": lambda x: x[..., None, 0],
    "list with repeats": lambda x: x[[0, 1, 0]],
    "arrays in two dimensions": lambda x: x[[0, 1, 1], [2, 0, 0]],
    "int before an array": lambda x: x[None][0, :, [2, 2]],
    "arrays apart": lambda x: x[None][[0, 0], :, [2, 1]],
    "mask": lambda x: x[x > 2.5],
    "mask of rows": lambda x: x[ta.tensor([True, False]), 1:],
    "index_select": lambda x: x.index_select(1, ta.tensor([2, 2, 0])),
    "gather": lambda x: x.gather(1, ta.tensor([[2, 2], [0, 1]])),
    "gather from a part": lambda x: x.gather(0, ta.tensor([[1, 1], [0, 1], [1, 0]])),
    "gather of a number": lambda x: x[1, 2].gather(0, ta.tensor(0)),
    "gather of nothing": lambda x: (x.gather(1, ta.zeros(3, 0).long()), x * 2),
    "masked_fill": lambda x: x.masked_fill(x > 3.5, x[0, 0]),
    "masked_fill that broadcasts": lambda x: x[0].masked_fill(x > 3.5, 0),
    "setitem of a number": lambda x: at_once(x, (0, slice(1, None)), 7),
    "setitem of a row": lambda x: at_once(x, 1, x[0] * 3),
    "setitem that broadcasts": lambda x: at_once(x, slice(None), x[:1, :1].unsqueeze(0)),
    "setitem of more dimensions": lambda x: at_once(x, 0, x[1:].unsqueeze(0)),
    "setitem by a mask": lambda x: at_once(x, x > 3.5, x.sum()),
    "setitem by arrays": lambda x: at_once(x, ([0, 1], [2, 0]), x[0, :2] * x[1, 1]),
    "embedding": lambda x: embedding(ta.tensor([[1, 0], [1, 1]]), x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_match_differences(name):
    assert ta.gradcheck(lambda x: SMOOTH[name](x * 1), (counted(),))


@pytest.mark.parametrize("index", [[2, 0, 2], [[1, 1], [1, 0]], [], [[]]])
def test_gradients_of_embedding_match_differences(backend, index):
    index = ta.tensor(index, dtype=ta.int64)
    assert ta.gradcheck(lambda w: embedding(index, w, padding_idx=3), (counted((4, 2)),))


def test_the_padding_row_gets_no_gradient():
    for padding in (1, -1):
        weight = counted()
        F.embedding(ta.tensor([0, 1, 1, 0]), weight, padding_idx=padding).sum().backward()
        assert weight.grad.tolist() == [[2, 2, 2], [0, 0, 0]]


def test_what_a_decoder_writes_step_by_step_has_its_gradient():
    h, outputs = counted((3,)), ta.zeros(4, 3, dtype=ta.float64)
    for t in range(4):
        outputs[t] = h * (t + 1)
    outputs.sum().backward()
    assert h.grad.tolist() == [10, 10, 10]


def test_a_later_write_takes_the_gradient_of_an_earlier_one():
    a, b = counted((2,)), counted((2,))
    x = ta.zeros(2, dtype=ta.float64)
    x[:] = a
    x[0] = b[0]
    x.sum().backward()
    assert a.grad.tolist() == [0, 1]
    assert b.grad.tolist() == [1, 0]


def test_where_an_index_names_an_element_twice_the_last_value_stays():
    x = ta.zeros(2)
    x[[0, 0]] = ta.tensor([1.0, 2.0])
    assert x.tolist() == [2, 0]


def test_a_part_of_x_may_be_written_into_x():
    x = ta.arange(4)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2]


def test_basic_indices_are_views_and_arrays_copy():
    x = ta.zeros(2, 3)
    for index in (0, slice(1), (..., 0), None, (1, 2), ta.tensor(1)):
        assert np.shares_memory(x[index].numpy(), x.numpy())
    for index in ([0], x > 0, ta.tensor([1]), True):
        assert not np.shares_memory(x[index].numpy(), x.numpy())


@pytest.mark.parametrize("index", [[], ta.tensor([], dtype=ta.int64), slice(0, 0)])
def test_setitem_of_nothing_takes_what_has_its_shape(index):
    x = ta.zeros(5)
    for shape in ((0,), (1, 0), (1,), ()):
        x[index] = ta.ones(shape)
    assert x.tolist() == [0.0] * 5
    for shape in ((2, 0), (1, 2, 0), (3,)):
        with pytest.raises(
            RuntimeError, match=r"can't write the value into input\[index\] of shape"
        ):
            x[index] = ta.ones(shape)


def test_setitem_through_a_view_reaches_the_base():
    x = ta.zeros(2, 3)
    x[0][1] = 5
    assert x[0, 1].item() == 5
    value = counted(())
    x[1][2] = value
    (x * 2).sum().backward()
    assert value.grad.item() == 2
    with pytest.raises(RuntimeError, match=r"setitem: a view of a leaf"):
        counted()[0][1] = 5


def test_setitem_of_a_leaf_that_needs_a_gradient_is_refused():
    x = counted()
    with pytest.raises(RuntimeError, match="leaf"):
        x[0] = 1
    with ta.no_grad():
        x[0] = 1
    assert x[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "change", [lambda x: x.__setitem__(0, 1), lambda x: x.masked_fill_(x > 1, 0)]
)
def test_a_change_of_what_an_operation_saved_is_noticed(change):
    x = counted() * 1
    y = x.exp() + x * x
    change(x)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*(setitem|masked)"):
        y.sum().backward()


def test_a_changed_index_is_noticed_or_does_not_matter():
    index = ta.tensor([0, 1])
    x = counted((3,))
    y, z = x[index], x.index_select(0, index)
    index.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0]
    with pytest.raises(RuntimeError, match="IndexSelect saved"):
        z.sum().backward()


def test_an_expanded_tensor_refuses_to_be_written():
    with pytest.raises(RuntimeError, match="clone"):
        ta.zeros(1).expand(3)[0] = 1


def test_wrong_indices_say_what_and_where():
    x = ta.zeros(2, 3)
    with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 1 with size 3"):
        x[:, 3]
    with pytest.raises(IndexError, match="index -4 is out of bounds for dimension 1 with size 3"):
        x[0, [0, -4]]
    with pytest.raises(IndexError, match=r"too many indices for tensor of dimension 2: got 3"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match=r"mask \[3\].*\[2, 3\] at dimension 0"):
        x[ta.tensor([True, False, True])]
    with pytest.raises(IndexError, match="float32"):
        x[ta.zeros(2)]
    with pytest.raises(IndexError, match=r"shapes \[\[2\], \[3\]\]"):
        x[[0, 1], [0, 1, 2]]
    with pytest.raises(IndexError, match="got float"):
        x[1.5]
    with pytest.raises(IndexError, match="one ellipsis"):
        x[..., ...]
    with pytest.raises(ValueError, match="greater than zero, got -1"):
        x[::-1]


def test_wrong_values_say_what_does_not_fit():
    x = ta.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"input\[index\] of shape \[3\]"):
        x[0] = ta.zeros(2)
    with pytest.raises(TypeError, match="assign a list"):
        x[0] = [1, 2, 3]
    with pytest.raises(RuntimeError, match=r"mask of shape \[2\].*\[2, 3\]"):
        x.masked_fill(ta.tensor([True, False]), 0)
    assert x.sum().item() == 0


def test_a_wrong_token_is_named_with_the_vocabulary():
    weight = ta.zeros(4, 2)
    with pytest.raises(IndexError, match=r"input: index 7 .* V = 4"):
        embedding(ta.tensor([1, 7, 9]), weight)
    with pytest.raises(IndexError, match="index -1"):
        embedding(ta.tensor([-1]), weight)
    with pytest.raises(ValueError, match=r"padding_idx.*V = 4.*got 4"):
        embedding(ta.tensor([1]), weight, padding_idx=4)
    with pytest.raises(RuntimeError, match="class 3"):
        one_hot(ta.tensor([3]), 3)


def test_both_halves_run_by_hand():
    from tinyattn.ops.indexing import Gather

    f = Gather()
    assert f.forward(np.array([5.0, 6.0]), np.array([1, 1]), 0).tolist() == [6, 6]
    assert f.backward(np.array([1.0, 2.0])).tolist() == [0, 3]


def test_rows_that_are_looked_up_are_shortened_in_the_table():
    weight = ta.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    rows = F.embedding(ta.tensor([0, 1, 0]), weight, max_norm=1.0)
    np.testing.assert_allclose(rows.numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(weight.numpy(), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    F.embedding(ta.tensor([2]), weight, max_norm=7.0, norm_type=1.0)
    np.testing.assert_allclose(weight[2].numpy(), [3, 4], rtol=1e-6)
    with pytest.raises(RuntimeError, match="weight: max_norm needs float32 or float64, got int64"):
        F.embedding(ta.tensor([0]), ta.ones(1, 2).long(), max_norm=1.0)


def test_a_row_that_is_looked_up_often_gets_the_mean_of_its_gradients():
    weight = ta.zeros(3, 2).requires_grad_()
    index = ta.tensor([0, 2, 2, 0, 2])
    out = F.embedding(index, weight, padding_idx=0, scale_grad_by_freq=True)
    out.backward(ta.arange(10).view(5, 2).float())
    want = [[0, 0], [0, 0], [(2 + 4 + 8) / 3, (3 + 5 + 9) / 3]]
    np.testing.assert_allclose(weight.grad.numpy(), want, rtol=1e-6)


def test_an_index_beyond_a_later_dimension_is_pytorchs_other_error():
    for index in (-1, 3):
        with pytest.raises(RuntimeError, match="out of range for dimension 1"):
            ta.ones(2, 3).index_select(1, ta.tensor([index]))
        with pytest.raises(IndexError, match="out of range for dimension 0"):
            ta.ones(3, 2).index_select(0, ta.tensor([index]))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_one_list_of_numbers_copies_rows_and_adds_them_up(axis: int, turned: bool) -> None:
    array = np.arange(12.0).reshape(3, 4).T if turned else np.arange(12.0).reshape(4, 3)
    x = ta.tensor(array, requires_grad=True)
    places = np.array([[2, 0], [2, 1]])
    picked = x[ta.tensor(places)] if axis == 0 else x[:, ta.tensor(places)]
    np.testing.assert_array_equal(picked.detach().numpy(), np.take(array, places, axis))
    picked.sum().backward()
    counts = np.bincount(places.reshape(-1), minlength=array.shape[axis])
    want = np.broadcast_to(counts[:, None] if axis == 0 else counts, array.shape)
    np.testing.assert_array_equal(x.grad.numpy(), want)


@pytest.mark.parametrize("size", [7, 5000])
def test_masked_fill_by_a_kernel_and_without(size: int) -> None:
    array = np.linspace(-1, 1, 2 * size, dtype=np.float32).reshape(2, size)
    x, value = ta.tensor(array, requires_grad=True), ta.tensor(0.5, requires_grad=True)
    mask = array[0] > -0.75
    filled = x.masked_fill(ta.tensor(mask), value)
    np.testing.assert_array_equal(filled.detach().numpy(), np.where(mask, np.float32(0.5), array))
    filled.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.where(mask, 0, np.ones_like(array)))
    assert value.grad.item() == 2 * mask.sum()


@pytest.mark.parametrize("rows", [False, True])
def test_a_mask_picks_and_its_later_change_has_no_effect_on_the_gradient(rows: bool) -> None:
    array = np.arange(12.0).reshape(4, 3)
    x = ta.tensor(array, requires_grad=True)
    places = array[:, 1] > 3 if rows else array % 2 == 1
    mask = ta.tensor(places)
    picked = x[mask]
    np.testing.assert_array_equal(picked.detach().numpy(), array[places])
    mask.fill_(True)
    (picked * picked).sum().backward()
    want = np.zeros_like(array)
    want[places] = 2 * array[places]
    np.testing.assert_array_equal(x.grad.numpy(), want)


def test_embedding_names_sparse_gradients_and_has_none():
    table = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert F.embedding(ta.tensor([1]), table, sparse=False).tolist() == [[3.0, 4.0]]
    with pytest.raises(NotImplementedError, match="sparse: there are no sparse gradients"):
        F.embedding(ta.tensor([1]), table, sparse=True)


def test_a_large_part_that_is_no_row_of_memory_is_written_too():
    array, index = np.arange(12_000.0).reshape(20, 20, 30), np.array([3, 1, 3])
    x = ta.tensor(array)
    x[:, 1:, ta.tensor(index)] = -1.0
    array[:, 1:, index] = -1.0
    np.testing.assert_array_equal(x, array)
