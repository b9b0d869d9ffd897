"""Operations give what NumPy's definition of them gives, without torch: one line for each.

X and Y are floats, K and J integers, P and Q bools, all (3, 4). A row of a table is an operation on
them and its definition on the same arrays; values, shape and dtype must agree.
"""

import math

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf, numbers
from tinyattn.nn import functional as F

GIVEN = {
    "X": np.round(numbers((3, 4)) * 2, 1),
    "Y": np.round(numbers((3, 4), 1) + np.sign(numbers((3, 4), 1)), 1),
    "K": np.array([[3, -1, 0, 2], [5, 5, -7, 1], [0, 2, 6, -3]]),
    "J": np.array([[3, 2, 1, 2], [4, 5, 3, 1], [1, 2, 2, 3]]),
    "P": np.array([[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0]], bool),
    "Q": np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], bool),
}
INF, NAN = math.inf, math.nan
SPECIAL = np.array([1.0, INF, -INF, NAN, -2.5])


def agree(found, expected):
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
        return
    if not isinstance(found, ta.Tensor):
        assert type(found) is type(expected)
        assert found == expected
        return
    expected = np.asarray(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found.detach().numpy(), expected, 1e-13, 1e-15)
    else:
        assert found.tolist() == expected.tolist()


def check(row):
    """A row holds a function of tensors and one of arrays, or one function of both."""
    ours, definition = row if isinstance(row, tuple) else (row, row)
    names = ours.__code__.co_varnames[: ours.__code__.co_argcount]
    agree(
        ours(*(ta.tensor(GIVEN[name]) for name in names)),
        definition(*(GIVEN[name] for name in names)),
    )


COMPARISONS = {
    "eq": (lambda K, J: ta.eq(K, J), np.equal),
    "ne": (lambda K, J: ta.ne(K, J), np.not_equal),
    "lt": (lambda K, J: ta.lt(K, J), np.less),
    "le": (lambda K, J: ta.le(K, J), np.less_equal),
    "gt": (lambda K, J: ta.gt(K, J), np.greater),
    "ge": (lambda K, J: ta.ge(K, J), np.greater_equal),
    "lt, another dtype": (lambda X, J: ta.lt(X, J), np.less),
    "ge a number": lambda K: K >= 2,
    "logical_and": (lambda K, P: ta.logical_and(K, P), np.logical_and),
    "logical_or": (lambda K, P: ta.logical_or(K, P), np.logical_or),
    "logical_not": (lambda K: ta.logical_not(K), np.logical_not),
    "&": lambda P, Q: P & Q,
    "|": lambda P, Q: P | Q,
    "^": lambda P, Q: P ^ Q,
    "~": lambda P: ~P,
    "& of integers": (lambda K, J: ta.bitwise_and(K, J), np.bitwise_and),
    "| of integers": (lambda K, J: ta.bitwise_or(K, J), np.bitwise_or),
    "^ of integers": (lambda K, J: ta.bitwise_xor(K, J), np.bitwise_xor),
    "~ of integers": (lambda K: ta.bitwise_not(K), np.invert),
    "& of a column and a row": (lambda K, J: K[:, :1] & J[0], lambda K, J: K[:, :1] & J[0]),
    "<<": (lambda K, J: K << J, np.left_shift),
    ">>": (lambda K, J: K >> J, np.right_shift),
    "number <<": lambda J: 3 << J,
    "number >>": lambda J: 29 >> J,
    "a bool << integers": (lambda P, J: P << J, lambda P, J: P.astype(int) << J),
}
SEARCHES = {
    "isnan": (lambda: ta.isnan(ta.tensor(SPECIAL)), lambda: np.isnan(SPECIAL)),
    "isinf": (lambda: ta.isinf(ta.tensor(SPECIAL)), lambda: np.isinf(SPECIAL)),
    "isfinite": (lambda: ta.isfinite(ta.tensor(SPECIAL)), lambda: np.isfinite(SPECIAL)),
    "nonzero": (lambda K: K.nonzero(), np.argwhere),
    "nonzero, as_tuple": (lambda K: K.nonzero(as_tuple=True), lambda K: K.nonzero()),
    "argsort": (lambda X: X.argsort(), lambda X: np.argsort(X)),
    "argsort, 0": (lambda X: X.argsort(0), lambda X: np.argsort(X, 0)),
    "argsort, 0, descending": (lambda X: X.argsort(0, True), lambda X: np.argsort(-X, 0)),
    "unique": (lambda K: K.unique(), np.unique),
    "unique, dim": (
        lambda J: ta.unique(J, dim=1, return_inverse=True, return_counts=True),
        lambda J: np.unique(J, return_inverse=True, return_counts=True, axis=1),
    ),
    "unique of NaN": (lambda: ta.unique(ta.tensor([NAN, NAN])).isnan().sum(), lambda: np.int64(2)),
    "bincount": (lambda J: J[0].bincount(minlength=5), lambda J: np.bincount(J[0], minlength=5)),
    "bincount of nothing": (lambda J: J[0][:0].bincount(), lambda J: np.bincount(J[0][:0])),
    "bincount, weights": (
        lambda J, X: J[0].bincount(X[0], 6), lambda J, X: np.bincount(J[0], X[0], 6),
    ),
    "bincount, float32 weights": (
        lambda J, P: J[0].bincount(P[0].float()),
        lambda J, P: np.bincount(J[0], P[0]).astype(np.float32),
    ),
    "bincount, integers as weights": (
        lambda J, K: J[0].bincount(K[0]), lambda J, K: np.bincount(J[0], K[0]),
    ),
    "bincount of zeros": (lambda: ta.tensor([0, 0]).bincount(), lambda: np.array([2])),
    "equal": (lambda K: K.equal(K.clone()), lambda K: True),
    "not equal": (lambda K, J: K.equal(J), lambda K, J: False),
    "isclose": (
        lambda X: ta.isclose(X, X + 1e-9 * X**2), lambda X: np.isclose(X, X + 1e-9 * X**2),
    ),
    "isclose, by the second": (
        lambda: ta.isclose(ta.tensor([10.0, 9.0]), ta.tensor([9.0, 10.0]), rtol=0.105, atol=0.0),
        lambda: np.array([False, True]),
    ),
    "isclose, rtol": (
        lambda: ta.isclose(ta.ones(2).double(), ta.tensor(np.array([1 + 9e-6, 1.0000106]))),
        lambda: np.array([True, False]),
    ),
    "isclose, atol": (
        lambda: ta.isclose(ta.zeros(3), ta.tensor([0.9e-8, 1.05e-8, 2e-8]), rtol=0.0),
        lambda: np.array([True, False, False]),
    ),
    "isclose of NaN": (
        lambda: ta.isclose(ta.tensor(SPECIAL), ta.tensor(SPECIAL)), lambda: ~np.isnan(SPECIAL),
    ),
    "isclose, equal_nan": (
        lambda: ta.isclose(ta.tensor(SPECIAL), ta.tensor(SPECIAL), equal_nan=True),
        lambda: np.ones(5, bool),
    ),
    "allclose": (
        lambda: [
            ta.allclose(ta.ones(1).double(), ta.full((1,), y).double(), **options)
            for y, options in (
                (1 + 9e-6, {}), (1.0000106, {}), (1 + 2e-5, {"rtol": 1e-4}), (1.4, {"atol": 0.5}),
                (NAN, {"equal_nan": True}),
            )
        ],
        lambda: [True, False, True, True, False],
    ),
    "allclose, atol": (
        lambda: [ta.allclose(ta.zeros(1), ta.full((1,), y), rtol=0.0) for y in (0.9e-8, 1.05e-8)],
        lambda: [True, False],
    ),
    "allclose, the order": (
        lambda: ta.allclose(ta.tensor([9.0]), ta.tensor([10.0]), 0.105, 0.0), lambda: True,
    ),
    "isin": (lambda K, J: ta.isin(K, J[0]), lambda K, J: np.isin(K, J[0])),
    "isin, another dtype": (lambda X, K: ta.isin(K, X * 0), lambda X, K: K == 0),
    "is_tensor": (lambda X: [ta.is_tensor(X), ta.is_tensor([1])], lambda X: [True, False]),
    "numel": (lambda X: ta.numel(X), lambda X: 12),
}  # fmt: skip
REARRANGING = {
    "repeat_interleave": (lambda X: X.repeat_interleave(3), lambda X: np.repeat(X, 3)),
    "repeat_interleave, never": (lambda X: X.repeat_interleave(0), lambda X: np.repeat(X, 0)),
    "repeat_interleave of a number": (
        lambda X: X[0, 0].repeat_interleave(2), lambda X: np.repeat(X[0, 0], 2),
    ),
    "repeat_interleave, dim": (
        lambda X: X.repeat_interleave(2, dim=1), lambda X: np.repeat(X, 2, 1),
    ),
    "repeat_interleave, numbers": (
        lambda X, J: X.repeat_interleave(J[0], 1, output_size=8),
        lambda X, J: np.repeat(X, J[0], 1),
    ),
    "repeat_interleave of repeats alone": (
        lambda J: ta.repeat_interleave(J[0]), lambda J: np.repeat(np.arange(J.shape[1]), J[0]),
    ),
    "meshgrid, ij": (
        lambda X, J: ta.meshgrid(X[0], J[:, 0], indexing="ij"),
        lambda X, J: np.meshgrid(X[0], J[:, 0], indexing="ij"),
    ),
    "meshgrid, xy": (
        lambda X, J, P: ta.meshgrid([X[0], J[:, 0], P[0, :2]], indexing="xy"),
        lambda X, J, P: np.meshgrid(X[0], J[:, 0], P[0, :2], indexing="xy"),
    ),
    "meshgrid of one": (lambda X: ta.meshgrid(X[0], indexing="xy"), lambda X: [X[0]]),
    "concat": (lambda X, Y: ta.concat([X, Y]), lambda X, Y: np.concatenate([X, Y])),
    "concat, 1": (lambda X, Y: ta.concat([X, Y], 1), lambda X, Y: np.concatenate([X, Y], 1)),
    "hstack": (lambda X, Y: ta.hstack([X, Y]), lambda X, Y: np.hstack([X, Y])),
    "hstack of one": (lambda X: ta.hstack([X]), lambda X: X),
    "hstack of vectors": (lambda X, Y: ta.hstack([X[0], Y[1]]), lambda X, Y: [*X[0], *Y[1]]),
    "hstack of numbers": (lambda X: ta.hstack([X[0, 0], X[1, 1]]), lambda X: X[[0, 1], [0, 1]]),
    "vstack": (lambda X, Y: ta.vstack([X, Y[0]]), lambda X, Y: np.vstack([X, Y[0]])),
    "swapaxes": (lambda X: X.swapaxes(0, 1), lambda X: X.T),
    "clip": (lambda X: ta.clip(X, -1, 0.5), lambda X: np.clip(X, -1, 0.5)),
    "nan_to_num": (lambda: ta.nan_to_num(ta.tensor(SPECIAL)), lambda: np.nan_to_num(SPECIAL)),
    "nan_to_num, numbers": (
        lambda: ta.nan_to_num(ta.tensor(SPECIAL), 3.0, 4.0, 5.0),
        lambda: np.nan_to_num(SPECIAL, nan=3.0, posinf=4.0, neginf=5.0),
    ),
    "nan_to_num of integers": (lambda K: ta.nan_to_num(K), lambda K: K),
}  # fmt: skip
ROUNDING = {
    "floor": (lambda X: X.floor(), np.floor),
    "ceil": (lambda X: X.ceil(), np.ceil),
    "trunc": (lambda X: X.trunc(), np.trunc),
    "round": (lambda X: X.round(), np.rint),
    "round, 1": (lambda X: (X / 3).round(decimals=1), lambda X: np.round(X / 3, 1)),
    "round, 2": (lambda X: (X / 3).round(decimals=2), lambda X: np.round(X / 3, 2)),
    "round, -1": (lambda X: (X * 30).round(decimals=-1), lambda X: np.rint(X * 3) * 10),
    "frac": (lambda X: X.frac(), lambda X: X - np.trunc(X)),
    "fmod": (lambda X, Y: ta.fmod(X, Y), np.fmod),
    "remainder": (lambda X, Y: ta.remainder(X, Y), np.mod),
    "div, floor": (lambda X, Y: ta.div(X, Y, rounding_mode="floor"), np.floor_divide),
    "div, trunc": (
        lambda X, Y: ta.div(X, Y, rounding_mode="trunc"), lambda X, Y: np.trunc(X / Y),
    ),
}  # fmt: skip
CHOOSING = {
    "where": (lambda P, X, Y: ta.where(P, X, Y), np.where),
    "where of integers": (lambda P, K, J: ta.where(P, K, J), np.where),
    "where of two dtypes": (lambda P, K, Y: ta.where(P, K, Y), np.where),
    "clone of integers": (lambda K: K.T.clone(), lambda K: K.T),
    "clamp, max": (lambda X: X.clamp(max=0.5), lambda X: np.minimum(X, 0.5)),
    "clamp, min": (lambda X: X.clamp(min=0.5), lambda X: np.maximum(X, 0.5)),
    "clamp of integers": (lambda K: K.clamp(-1, 3), lambda K: K.clip(-1, 3)),
    "masked_fill": (lambda X, P: X.masked_fill(P, 7.0), lambda X, P: np.where(P, 7.0, X)),
    "masked_fill of integers": (lambda K, P: K.masked_fill(P, 7), lambda K, P: np.where(P, 7, K)),
    "l1_loss of integers": (
        lambda K, J: F.l1_loss(K, J, reduction="sum"), lambda K, J: abs(K - J).sum(),
    ),
}  # fmt: skip
INDEXING = {
    "rows and columns": lambda X: X[[0, 2, 2], [3, 0, 1]],
    "rows and columns, negative": lambda X: X[[-1, 0], [-2, 3]],
    "columns": lambda X: X[:, [3, 0, 1, 0]],
    "rows, sliced": lambda X: X[1:, [2, 0]],
    "a table of rows": lambda X: X[np.array([[0, 2], [1, 1]])],
    "a mask": lambda X, P: X[P],
    "a mask of rows": lambda X, P: X[P[:, 0]],
    "a column and rows": lambda X: X[[2, 0], 1],
    "a new axis": lambda X: X[:, None, ::2],
    "an ellipsis": lambda X: X[..., 1],
    "index_select, 0": (lambda X: X.index_select(0, ta.tensor([2, 0])), lambda X: X[[2, 0]]),
    "index_select, 1": (lambda X: X.index_select(1, ta.tensor([3, 3])), lambda X: X[:, [3, 3]]),
    "gather, 0": (
        lambda X: X.gather(0, ta.tensor([[2, 0, 1], [1, 1, 0]])),
        lambda X: np.array([[X[2, 0], X[0, 1], X[1, 2]], [X[1, 0], X[1, 1], X[0, 2]]]),
    ),
    "gather, 1": (
        lambda X: X.gather(1, ta.tensor([[3], [0]])), lambda X: np.array([[X[0, 3]], [X[1, 0]]]),
    ),
    "gather of integers": (
        lambda K: K.gather(-1, ta.tensor([[3, 3, 2]])), lambda K: K[:1, [3, 3, 2]],
    ),
    "gather of nothing": (
        lambda X: X.gather(0, ta.zeros(0, 4, dtype=ta.int64)), lambda X: X[:0],
    ),
    "gather of a number": (lambda X: X[0, 0].gather(0, ta.tensor(0)), lambda X: X[0, 0]),
}  # fmt: skip


def added(x, places, values):
    np.add.at(x := x.copy(), places, values)
    return x


def written(x, places, values):
    (x := x.copy())[places] = values
    return x


SCATTERING = {
    "scatter, add a number": (
        lambda X: X.scatter(1, ta.tensor([[0, 0], [3, 1]]), 2.5, reduce="add"),
        lambda X: added(X, ([[0], [1]], [[0, 0], [3, 1]]), 2.5),
    ),
    "scatter, add": (
        lambda X, Y: X.scatter(0, ta.tensor([[1, 1, 0, 2]]), Y, reduce="add"),
        lambda X, Y: added(X, ([1, 1, 0, 2], [0, 1, 2, 3]), Y[0]),
    ),
    "index_add": (
        lambda X, Y: X.index_add(0, ta.tensor([2, 0, 2]), Y),
        lambda X, Y: added(X, [2, 0, 2], Y),
    ),
    "index_add, alpha": (
        lambda X, Y: X.index_add(1, ta.tensor([0, 3, 3]), Y[:, :3], alpha=3),
        lambda X, Y: added(X, (slice(None), [0, 3, 3]), 3 * Y[:, :3]),
    ),
    "index_add, alpha 2": (
        lambda X, Y: X.index_add(0, ta.tensor([1]), Y[:1], alpha=2),
        lambda X, Y: added(X, [1], 2 * Y[:1]),
    ),
    "index_add_": (
        lambda X, Y: X.index_add_(0, ta.tensor([1]), Y[:1]), lambda X, Y: added(X, [1], Y[:1]),
    ),
    "index_copy": (
        lambda X, Y: X.index_copy(1, ta.tensor([3, 0]), Y[:, 1:3]),
        lambda X, Y: written(X, (slice(None), [3, 0]), Y[:, 1:3]),
    ),
    "index_fill": (
        lambda X: X.index_fill(1, ta.tensor([0, -1]), 7.0),
        lambda X: written(X, (slice(None), [0, -1]), 7.0),
    ),
    "index_fill by a tensor": (
        lambda X, Y: X.index_fill(0, ta.tensor([-3]), Y[1, 2]),
        lambda X, Y: written(X, [0], Y[1, 2]),
    ),
    "index_fill_": (
        lambda X: X.index_fill_(0, ta.tensor([1]), 7.0), lambda X: written(X, [1], 7.0),
    ),
    "masked_select": (lambda X, P: X.masked_select(P), lambda X, P: X[P]),
    "masked_select of rows": (
        lambda X, P: X.masked_select(P[:, :1]), lambda X, P: X[P[:, 0]].ravel(),
    ),
    "masked_select of a number": (
        lambda X, P: X[0, 0].masked_select(P[0, 0]), lambda X, P: X[:1, 0],
    ),
    "diag": (lambda X: X[0].diag(), lambda X: np.diag(X[0])),
    "diag, 2": (lambda X: X[0].diag(2), lambda X: np.diag(X[0], 2)),
    "diag, -1": (lambda X: X[0].diag(-1), lambda X: np.diag(X[0], -1)),
    "diag of a matrix": (lambda X: X.diag(), np.diag),
    "diag of a matrix, 1": (lambda X: X.diag(1), lambda X: np.diag(X, 1)),
    "diag of a matrix, -1": (lambda X: X.diag(-1), lambda X: np.diag(X, -1)),
    "tril_indices": (lambda: ta.tril_indices(3, 4), lambda: np.array(np.tril_indices(3, 0, 4))),
    "tril_indices, 1": (
        lambda: ta.tril_indices(3, 4, 1), lambda: np.array(np.tril_indices(3, 1, 4)),
    ),
    "triu_indices": (lambda: ta.triu_indices(3, 4), lambda: np.array(np.triu_indices(3, 0, 4))),
    "triu_indices, int32": (
        lambda: ta.triu_indices(3, 4, -1, dtype=ta.int32),
        lambda: np.array(np.triu_indices(3, -1, 4), np.int32),
    ),
}  # fmt: skip
REDUCTIONS = {
    "sum of integers": (lambda K: K.sum(), lambda K: K.sum()),
    "sum of integers, 0": (lambda K: K.sum(0), lambda K: K.sum(0)),
    "sum of integers, kept": (lambda K: K.sum(1, keepdim=True), lambda K: K.sum(1, keepdims=True)),
    "cumsum of integers": (lambda K: K.cumsum(0), lambda K: K.cumsum(0)),
    "cumsum": (lambda X: X.cumsum(1), lambda X: X.cumsum(1)),
    "prod of integers": (
        lambda: (ta.tensor([3] * 34)).prod(), lambda: np.int64(3**34),
    ),
    "prod": (lambda X: X.prod(1), lambda X: X.prod(1)),
    "var": (lambda X: X.var(), lambda X: X.var(ddof=1)),
    "var, 0": (lambda X: X.var(0, keepdim=True), lambda X: X.var(0, ddof=1, keepdims=True)),
    "var, correction": (lambda X: X.var(1, correction=0), lambda X: X.var(1)),
    "var, correction 2": (lambda X: X.var(1, correction=2), lambda X: X.var(1, ddof=2)),
    "std": (lambda X: X.std(1), lambda X: X.std(1, ddof=1)),
    "mean": (lambda X: X.mean(0), lambda X: X.mean(0)),
}  # fmt: skip

TABLES = COMPARISONS | SEARCHES | REARRANGING | ROUNDING | CHOOSING | INDEXING | REDUCTIONS
TABLES |= SCATTERING


@pytest.mark.parametrize("name", TABLES)
def test_an_operation_gives_what_its_definition_gives(name):
    check(TABLES[name])


def test_no_name_stands_in_two_tables():
    tables = [COMPARISONS, SEARCHES, REARRANGING, ROUNDING, CHOOSING, INDEXING, REDUCTIONS]
    tables += [SCATTERING]
    assert len(TABLES) == sum(map(len, tables))


# Gradients that differences can't see


def gradient(function, values):
    x = leaf(values)
    function(x).sum().backward()
    return x.grad.numpy()


@pytest.mark.parametrize("correction", [0, 1])
def test_the_gradient_of_a_variance_far_from_zero_sums_to_nothing(correction):
    """m is rounded, and what it lacks is as large as the deviations themselves."""
    x = 2.0**52 + np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    found = gradient(lambda x: x.var(correction=correction), x)
    deviations = np.array([-0.6, 0.4, -0.6, 0.4, 0.4])
    np.testing.assert_allclose(found, 2 / (5 - correction) * deviations, 1e-12)


def test_the_gradient_of_a_variance_with_an_infinity_is_its_formula():
    np.testing.assert_equal(gradient(lambda x: x.var(), [1.0, INF]), [-INF, NAN])


def test_the_gradient_of_gather_goes_where_an_element_came_from():
    index = ta.tensor([[[2, 0], [1, 2]]])
    found = gradient(
        lambda x: x.gather(1, index) * ta.tensor([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 3, 2))
    )
    expected = np.zeros((2, 3, 2))
    for i, k, weight in ((2, 0, 1), (0, 1, 2), (1, 0, 3), (2, 1, 4)):
        expected[0, i, k] = weight
    assert found.tolist() == expected.tolist()


def test_the_gradient_of_max_pooling_reaches_windows_in_wide_padding():
    x = [[1.0, 2.0, 3.0, 4.0]]
    found = gradient(lambda x: F.max_pool1d(x, 6, 1, 3), x)
    assert found.tolist() == [[0, 0, 1, 4]]
    found = gradient(lambda x: F.max_pool1d(-x, 4, 3, 2, 1), x)
    assert found.tolist() == [[-1, -1, 0, 0]]


def test_scatter_of_a_number_without_axes():
    x, zero = ta.tensor(1.0), ta.tensor(0)
    assert x.scatter(0, zero, ta.tensor(5.0)).item() == 5
    assert x.scatter_add(0, zero, ta.tensor(5.0)).item() == 6
    for write in (x.scatter, x.scatter_add):
        with pytest.raises(RuntimeError, match="index 1 is out of bounds"):
            write(0, ta.tensor(1), ta.tensor(5.0))


# What is refused


@pytest.mark.parametrize("operation", [ta.bitwise_and, ta.bitwise_or, ta.bitwise_xor])
def test_bits_of_floats_are_refused_and_named(operation):
    whole, floats = ta.tensor([1, 2]), ta.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match="input: expected bool or integers, got float32"):
        operation(floats, whole)
    with pytest.raises(RuntimeError, match="other: expected bool or integers, got float32"):
        operation(whole, floats)
    with pytest.raises(RuntimeError, match=r"tensor a \(2\) must match the size of tensor b \(3\)"):
        operation(whole, ta.tensor([1, 2, 3]))


def test_other_operations_on_bits_refuse_what_has_none():
    with pytest.raises(TypeError, match="bitwise_not: input: expected bool or integers"):
        ta.bitwise_not(ta.ones(2))
    for shift in (lambda x: x << x, lambda x: x >> x):
        with pytest.raises(RuntimeError, match=r"shift: .*bool"):
            shift(ta.tensor([True]))


def test_large_integers_are_divided_exactly():
    x = ta.tensor([2**60 + 1, -(2**60) - 1])
    assert ta.div(x, 1, rounding_mode="trunc").tolist() == x.tolist()
    assert ta.div(x, 2, rounding_mode="trunc").tolist() == [2**59, -(2**59)]


WRONG = {
    "repeat_interleave, a number's dim": (
        lambda X: X[0, 0].repeat_interleave(2, dim=0), IndexError, "0-d input has no dimension",
    ),
    "repeat_interleave, a table": (
        lambda X: X.repeat_interleave(ta.ones(3, 1).long(), dim=0),
        RuntimeError,
        "repeats: expected",
    ),
    "isclose, shapes": (
        lambda X: ta.isclose(X, X[:2]), RuntimeError, r"tensor a \(3\) must match .* b \(2\)",
    ),
    "scatter, index wider than input": (
        lambda X: X.scatter(0, ta.zeros(1, 5).long(), 1.0), RuntimeError, "to be no larger",
    ),
    "scatter, index wider than src": (
        lambda X: X.scatter(0, ta.zeros(2, 4).long(), X[:, :3]), RuntimeError, "to be no larger",
    ),
    "scatter, beyond a number": (
        lambda X: X[0, 0].scatter(0, ta.tensor(1), 1.0), RuntimeError, "index 1 is out of bounds",
    ),
    "index_fill, a table": (
        lambda X: X.index_fill(0, ta.tensor([[1, 2]]), 0.0),
        IndexError,
        "index_fill: index: expected",
    ),
    "index_fill, below": (
        lambda X: X.index_fill(0, ta.tensor([-4]), 0.0), IndexError, "index -4 is out of",
    ),
    "index_add, another width": (
        lambda X: X.index_add(0, ta.tensor([1]), X[:1, :3]),
        RuntimeError,
        r"index_add: source: expected shape \[1, 4\], got \[1, 3\]",
    ),
    "tril_indices, device": (lambda X: ta.tril_indices(2, 2, device="cuda"), RuntimeError, "cuda"),
    "triu_indices, device": (lambda X: ta.triu_indices(2, 2, device="cuda"), RuntimeError, "cuda"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_by_name(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call(ta.tensor(GIVEN["X"]))


def test_meshgrid_without_indexing_is_warned_of_where_it_stands():
    with pytest.warns(UserWarning, match="required to pass the indexing argument") as told:
        found = ta.meshgrid(ta.arange(2), ta.arange(3))
    assert found[0].shape == (2, 3)
    assert told[0].filename == __file__
