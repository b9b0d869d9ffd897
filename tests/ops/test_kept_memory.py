"""Large results of comparisons and casts stand in kept memory: NumPy's values, nothing shared."""

import numpy as np
import pytest

import tinyattn as ta

X = np.linspace(-3, 3, 300_000, dtype=np.float32).reshape(300, 1000)
Y = X[::-1].copy()
RESULTS = {
    "gt": (lambda x, y: x > y, lambda x, y: x > y),
    "eq a number": (lambda x, y: x == 0, lambda x, y: x == 0),
    "and": (lambda x, y: (x > 0) & (y > 0), lambda x, y: (x > 0) & (y > 0)),
    "or of integers": (
        lambda x, y: x.long() | y.long(),
        lambda x, y: x.astype(int) | y.astype(int),
    ),
    "shift": (lambda x, y: x.int() << 2, lambda x, y: x.astype(np.int32) << 2),
    "turned": (lambda x, y: x.t() < y.t(), lambda x, y: x.T < y.T),
    "spread": (lambda x, y: x < y[0], lambda x, y: x < y[0]),
    "spread, the first": (
        lambda x, y: x.reshape(1, -1) < y[:2, :1],
        lambda x, y: x.reshape(1, -1) < y[:2, :1],
    ),
    "logical_and": (lambda x, y: ta.logical_and(x, y), np.logical_and),
    "double": (lambda x, y: x.double(), lambda x, y: x.astype(float)),
    "long": (lambda x, y: x.long(), lambda x, y: x.astype(int)),
    "bool of the turned": (lambda x, y: x.t().bool(), lambda x, y: x.T.astype(bool)),
    "count": (lambda x, y: (x > y).sum(), lambda x, y: np.sum(x > y)),
    "count of columns": (lambda x, y: (x > y).sum(0), lambda x, y: np.sum(x > y, 0)),
    "count, kept": (lambda x, y: (x > y).sum((0, 1), keepdim=True), lambda x, y: [[np.sum(x > y)]]),
    "any": (lambda x, y: (x > 2.9).any(1), lambda x, y: (x > 2.9).any(1)),
    "all of all": (lambda x, y: (x < 9).all(), lambda x, y: True),
    "zeros": (lambda x, y: ta.zeros(300, 1000), lambda x, y: 0 * x),
}


@pytest.mark.parametrize("name", RESULTS)
def test_values_dtypes_and_a_second_result_beside_the_first(name):
    ours, numpys = RESULTS[name]
    x, y = ta.tensor(X), ta.tensor(Y)
    one = ours(x, y)
    two = ours(y, x)
    for got, want in ((one, numpys(X, Y)), (two, numpys(Y, X))):
        np.testing.assert_array_equal(got, want)
        assert got._array.dtype == np.asarray(want).dtype


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), ()])
def test_few_masks_are_counted_too(shape):
    mask = np.ones(shape, bool)
    for dim in (None, *range(len(shape))):
        got = ta.tensor(mask).sum(dim)
        np.testing.assert_array_equal(got, np.sum(mask, axis=dim))
        assert got.dtype == ta.int64


def test_shapes_that_do_not_broadcast_are_refused():
    for compare in (lambda x, y: x < y, lambda x, y: (x > 0) & (y > 0)):
        with pytest.raises(RuntimeError, match=r"tensor a \(3\) must match the size of tensor b"):
            compare(ta.ones(3), ta.ones(2))
