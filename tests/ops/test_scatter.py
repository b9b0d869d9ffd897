"""Scattering, filling and adding rows, masked_select: values, gradients and errors."""

import itertools

import numpy as np
import pytest

import tinyattn as ta


def leaf(*shape):
    size = int(np.prod(shape))
    numbers = np.arange(size).reshape(shape) ** 1.5 - 2
    return ta.tensor(numbers, dtype=ta.float64, requires_grad=True)


COLUMNS = ta.tensor([[2, 0], [1, 1]])
ROWS = ta.tensor([1, 0, 1])
SQUARE = ta.ones(3, 3)
CASES = {
    "scatter": (lambda x, s: x.scatter(1, ta.tensor([[2, 0], [1, 0]]), s), (2, 3), (2, 2)),
    "scatter, src wider": (lambda x, s: x.scatter(1, ta.tensor([[2, 0]]), s), (2, 3), (3, 4)),
    "scatter, a number": (lambda x, s: x.scatter(0, ta.tensor([[1, 0]]), 3.0) * s, (2, 3), ()),
    "scatter, add": (lambda x, s: x.scatter(1, COLUMNS, s, reduce="add"), (2, 3), (2, 2)),
    "scatter_add": (lambda x, s: x.scatter_add(1, COLUMNS, s), (2, 3), (2, 2)),
    "scatter_add, src wider": (lambda x, s: x.scatter_add(-1, COLUMNS, s), (2, 3), (2, 4)),
    "scatter_add, 3 axes": (
        lambda x, s: x.scatter_add(1, ta.tensor([[[0, 2]], [[1, 1]]]), s), (2, 3, 2), (2, 1, 2),
    ),
    "index_add": (lambda x, s: x.index_add(1, ROWS, s, alpha=2), (2, 3), (2, 3)),
    "index_copy": (lambda x, s: x.index_copy(0, ta.tensor([2, 0]), s), (3, 2), (2, 2)),
    "index_fill": (lambda x, s: x.index_fill(1, ROWS, s.sum()), (2, 3), (1,)),
    "masked_select": (
        lambda x, s: x.masked_select(ta.tensor([[True], [False], [True]])) * s.sum(), (3, 2), (1,),
    ),
    "scatter_": (lambda x, s: (x * 1).scatter_(0, ta.tensor([[1, 0, 1]]), s), (2, 3), (1, 3)),
    "index_add_": (lambda x, s: (x * 1).index_add_(1, ROWS, s), (2, 3), (2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, one, two = CASES[name]
    assert ta.gradcheck(function, (leaf(*one), leaf(*two)))


def test_scatter_writes_and_scatter_add_adds():
    index, source = ta.tensor([[2, 0], [1, 1]]), ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert ta.ones(2, 3).scatter(1, index[:1], source).tolist() == [[2, 1, 1], [1, 1, 1]]
    assert ta.ones(2, 3).scatter_add(1, index, source).tolist() == [[3, 1, 2], [1, 8, 1]]
    assert ta.zeros(3, 2).scatter(0, index, 5.0).tolist() == [[0, 5], [5, 5], [5, 0]]
    assert ta.zeros(2, 3, dtype=ta.int64).scatter(1, index, value=7).dtype == ta.int64


def test_sums_of_many_floats_do_not_drift_and_large_integers_stay_exact():
    places = ta.zeros(20000, dtype=ta.int64)
    tenths = ta.full((20000,), 0.1)
    total = ta.zeros(1).scatter_add(0, places, tenths).item()
    assert total == pytest.approx(20000 * tenths[0].item(), rel=1e-7)
    large = ta.tensor([2**53])
    assert large.scatter_add(0, ta.tensor([0]), ta.tensor([1])).tolist() == [2**53 + 1]


def test_rows_are_counted_from_either_end():
    x = ta.zeros(3, 2)
    assert x.index_fill(0, ta.tensor([-1]), 2.0).tolist() == [[0, 0], [0, 0], [2, 2]]
    assert x.index_add(1, ta.tensor(1), ta.ones(3, 1)).tolist() == [[0, 1]] * 3
    assert x.index_copy(0, ta.tensor([1]), ta.ones(1, 2)).tolist() == [[0, 0], [1, 1], [0, 0]]


def test_in_place_changes_the_tensor_itself():
    x = ta.zeros(2, 2)
    assert x.scatter_(1, ta.tensor([[1], [0]]), 1.0) is x
    assert x.scatter_(1, ta.tensor([[1], [0]]), value=3.0).tolist() == [[0, 3], [3, 0]]
    assert x.scatter_(1, ta.tensor([[1], [0]]), value=1.0) is x
    assert x.scatter_add_(1, ta.tensor([[1], [0]]), ta.ones(2, 1)) is x
    assert x.index_fill_(0, ta.tensor([0]), 9.0).tolist() == [[9, 9], [2, 0]]
    assert x.index_copy_(1, ta.tensor([0]), ta.zeros(2, 1)).tolist() == [[0, 9], [0, 0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.scatter(1, ta.tensor([[3]]), 1.0), RuntimeError, "index 3 is out of bounds"),
        (lambda x: x.scatter(1, ta.tensor([[-1]]), 1.0), RuntimeError, "index -1 is out of"),
        (lambda x: x.scatter(1, ta.tensor([0]), 1.0), RuntimeError, "as many dimensions"),
        (lambda x: x.scatter(0, COLUMNS, ta.ones(1, 2)), RuntimeError, "no larger than src"),
        (lambda x: x.scatter(0, COLUMNS, ta.ones(2)), RuntimeError, "src must have as many"),
        (lambda x: x.scatter(0, COLUMNS, x.long()), RuntimeError, "src: expected float32"),
        (lambda x: x.scatter(1, x.long(), x.double()), RuntimeError, "src: expected float32"),
        (lambda x: x.scatter(0, COLUMNS, 1.0, reduce="multiply"), RuntimeError, "reduce"),
        (lambda x: x.scatter(0, COLUMNS), TypeError, "expected src"),
        (lambda x: x.long().scatter(1, COLUMNS, 2**70), RuntimeError, "value: expected a number"),
        (lambda x: x.index_add(0, ta.tensor([2]), ta.ones(1, 3)), IndexError, "index 2 is out of"),
        (lambda x: x.index_add(0, ta.tensor([-3]), ta.ones(1, 3)), IndexError, "index -3 is out"),
        (lambda x: x.index_add(0, ROWS, ta.ones(1, 3)), IndexError, r"expected shape \[1\]"),
        (lambda x: x.index_add(0, ROWS, SQUARE.double()), RuntimeError, "expected float32"),
        (lambda x: x.index_copy(0, ROWS, ta.ones(3, 4)), RuntimeError, r"expected shape \[3, 3\]"),
        (lambda x: x.masked_select(x), RuntimeError, "mask: expected bool"),
        (lambda x: x.masked_select(ta.ones(4) > 0), RuntimeError, "does not broadcast"),
    ],
)  # fmt: skip
def test_wrong_calls_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(ta.ones(2, 3))


def test_an_index_without_elements_changes_nothing():
    x, none = leaf(2, 3), ta.zeros(0, 3, dtype=ta.int64)
    source = ta.zeros(0, 3, dtype=ta.float64, requires_grad=True)
    for y in (x.scatter(0, none, source), x.scatter_add(0, none, source)):
        assert y.tolist() == x.tolist()
        y.sum().backward()
    assert x.grad.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert source.grad.shape == (0, 3)


def test_index_add_in_place_adds_a_multiple():
    x = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    source = ta.tensor([[10.0, 20.0]])
    assert x.index_add_(0, ta.tensor([1]), source, alpha=3) is x
    assert x.tolist() == [[1.0, 2.0], [33.0, 64.0]]


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
def test_every_replay_checks_the_index_of_a_number_without_axes(name):
    step = ta.replay(lambda x, index, source: getattr(x, name)(0, index, source) * 1)
    x, source = ta.tensor(1.0), ta.tensor(5.0)
    for _ in range(5):
        step(x, ta.tensor(0), source)
    with pytest.raises((IndexError, RuntimeError), match="index"):
        step(x, ta.tensor(1), source)


def test_a_tensor_without_dimensions_counts_as_one_of_one_element():
    x, one, rows = ta.tensor(1.0), ta.tensor([0]), ta.tensor(0)
    s = ta.tensor(2.0, requires_grad=True)
    for y in (x.index_add(0, one, s), x.index_add(0, rows, s, alpha=1), x.scatter_add(0, one, s)):
        assert (y.shape, y.item()) == ((), 3.0)
    for y in (x.index_copy(-1, one, s), x.index_fill(0, rows, 2.0), x.scatter(0, one, s)):
        assert (y.shape, y.item()) == ((), 2.0)
    assert x.index_add(0, one, s, alpha=3).item() == 7
    assert x.scatter_add(0, ta.tensor([0, 0]), ta.tensor([2.0, 3.0])).item() == 6
    assert ta.zeros(3).scatter(0, ta.tensor(1), s).tolist() == [0.0, 2.0, 0.0]
    assert ta.zeros(3).index_copy(0, ta.tensor([2]), s).tolist() == [0.0, 0.0, 2.0]
    filled = x.index_fill(0, one, s)
    filled.backward()
    assert (filled.item(), s.grad.item()) == (2.0, 1.0)
    y = ta.tensor(1.0)
    y.index_add_(0, one, s.detach()).index_fill_(0, one, 7.0).scatter_(0, one, 5.0, reduce="add")
    assert (y.shape, y.item()) == ((), 12.0)


@pytest.mark.parametrize("name", ["index_add", "index_copy", "scatter_add", "scatter"])
def test_gradients_without_dimensions(name):
    x, s = (ta.tensor(value, requires_grad=True) for value in (1.0, 2.0))
    y = getattr(x, name)(0, ta.tensor([0]), s)
    y.backward()
    assert x.grad.shape == s.grad.shape == ()
    assert (x.grad.item(), s.grad.item()) == (1.0 if "add" in name else 0.0, 1.0)


@pytest.mark.parametrize("name", ["index_add", "index_copy"])
def test_rows_are_not_counted_from_the_end(name):
    """As in PyTorch, where index_fill alone takes negative numbers."""
    for dtype in (ta.float32, ta.int64):
        x = ta.zeros(3, 2, dtype=dtype)
        with pytest.raises(IndexError, match="index -1 is out of bounds for dimension 0"):
            getattr(x, name)(0, ta.tensor([0, -1]), ta.ones(2, 2, dtype=dtype))
    for source in (ta.ones(2), ta.ones(1, 2, 2)):
        with pytest.raises((RuntimeError, IndexError), match=f"{name}: source: expected as many"):
            getattr(ta.zeros(3, 2), name)(1, ta.tensor([0, 1]), source)


def test_an_index_of_int32_adds_integers():
    for index in ([1, 0, 1], [1, 1]):
        x = ta.zeros(2, dtype=ta.int64)
        ones = ta.ones(len(index), dtype=ta.int64)
        where = ta.tensor(index, dtype=ta.int32)
        assert x.scatter_add(0, where, ones).sum().item() == len(index)
        assert x.index_add(0, where, ones).tolist() == x.scatter_add(0, where, ones).tolist()
        with pytest.raises(RuntimeError, match="index 2 is out of bounds"):
            x.scatter_add(0, where + 1, ones)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_an_index_may_have_any_strides(order):
    x = np.arange(24.0).reshape(2, 3, 4)
    places = np.random.default_rng(0).integers(0, 2, (2, 3, 4))
    turned = ta.tensor(np.ascontiguousarray(places.transpose(order)))
    index = turned.permute(*np.argsort(order).tolist())  # the same numbers in the same places
    for axis in range(3):
        expected = np.take_along_axis(x, places, axis)
        assert ta.tensor(x).gather(axis, index).tolist() == expected.tolist()


@pytest.mark.parametrize("repeated", range(3))
def test_an_index_may_be_repeated_along_an_axis(repeated):
    x = np.arange(24.0).reshape(2, 3, 4)
    places = np.random.default_rng(0).integers(0, 2, (2, 3, 4)).take([0], repeated)
    whole = np.broadcast_to(places, x.shape)
    for axis in range(3):
        expected = np.take_along_axis(x, whole, axis)
        found = ta.tensor(x).gather(axis, ta.tensor(places).expand(2, 3, 4))
        assert found.tolist() == expected.tolist()
