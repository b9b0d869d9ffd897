"""Medians, counts, differences, and other small names that programs bring: values by hand."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf, numbers


def test_the_median_is_the_lower_of_two_middle_elements():
    assert ta.tensor([3.0, 1.0, 2.0, 9.0]).median().item() == 2
    x = ta.tensor([[5, 1, 3], [4, 9, 8]])
    assert x.median(1).values.tolist() == [3, 8]
    assert x.median(1).indices.tolist() == [2, 2]
    assert x.median(0, keepdim=True).values.tolist() == [[4, 1, 3]]
    assert ta.tensor(7.0).median().item() == 7
    with pytest.raises(IndexError, match="median"):
        ta.zeros(2, 0).median(1)


def test_the_median_of_nothing_is_nan():
    x = ta.zeros(2, 0, requires_grad=True)
    y = x.median()
    assert math.isnan(y.item())
    y.backward()
    assert x.grad.shape == (2, 0)
    with pytest.raises(IndexError, match="expected elements"):
        ta.zeros(0, dtype=ta.int64).median()


def test_the_median_of_what_holds_nan_is_nan():
    assert math.isnan(ta.tensor([1.0, math.nan, 3.0, 4.0, 5.0]).median().item())
    values, indices = ta.tensor([[1.0, math.nan, 3.0], [6.0, 5.0, 4.0]]).median(1)
    assert indices.tolist() == [1, 1]
    assert math.isnan(values[0].item())
    assert values[1].item() == 5


def test_only_the_median_gets_a_gradient():
    x = ta.tensor([3.0, 1.0, 2.0, 9.0], requires_grad=True)
    x.median().backward()
    assert x.grad.tolist() == [0, 0, 1, 0]


def test_nonzeros_are_counted():
    x = ta.tensor([[1, 0, 2], [0, 0, 3]])
    assert x.count_nonzero().item() == 3
    assert x.count_nonzero(1).tolist() == [2, 1]
    assert ta.count_nonzero(x, (0, 1)).item() == 3
    assert x.count_nonzero().dtype == ta.int64


def test_differences_of_neighbours():
    x = ta.tensor([[1.0, 4.0, 9.0], [2.0, 2.0, 5.0]])
    assert ta.diff(x).tolist() == [[3, 5], [0, 3]]
    assert ta.diff(x, dim=0).tolist() == [[1, -2, -4]]
    assert ta.diff(x, 2).tolist() == [[2], [3]]
    assert ta.diff(x, 0).tolist() == x.tolist()
    assert ta.diff(x, 7).shape == (2, 0)
    assert ta.diff(ta.tensor([True, True, False])).tolist() == [False, True]
    for wrong in (lambda: ta.diff(ta.tensor(1.0)), lambda: ta.diff(x, -1)):
        with pytest.raises(RuntimeError, match="diff"):
            wrong()


def test_differences_with_what_is_put_around():
    x = leaf([1.0, 4.0, 9.0])
    y = ta.diff(x, prepend=ta.zeros(1, dtype=x.dtype), append=ta.tensor([9.0, 8.0]).double())
    assert y.tolist() == [1.0, 3.0, 5.0, 0.0, -1.0]
    assert ta.diff(x, 2, 0, ta.zeros(1, dtype=x.dtype)).tolist() == [2.0, 2.0]
    assert ta.diff(x, 0, prepend=ta.zeros(1, dtype=x.dtype)).equal(x)
    (y * y).sum().backward()
    assert x.grad.tolist() == [2.0 - 6.0, 6.0 - 10.0, 10.0]
    with pytest.raises(RuntimeError, match="cat: Tensors must have same number of dimensions"):
        ta.diff(ta.ones(2, 3), append=ta.ones(3))


def test_the_older_name_of_the_correction_comes_with_the_mean_too():
    x = ta.tensor([[1.0, 3.0]])
    assert [t.item() for t in ta.var_mean(x, False)] == [1.0, 2.0]
    assert [t.item() for t in ta.std_mean(x, unbiased=False)] == [1.0, 2.0]
    assert [t.tolist() for t in ta.var_mean(x, 1, True, True)] == [[[2.0]], [[2.0]]]
    assert [t.tolist() for t in ta.std_mean(x, 1, False, True)] == [[[1.0]], [[2.0]]]


def test_variance_and_standard_deviation_come_with_the_mean():
    x = numbers((3, 4))
    for function, of in ((ta.var_mean, np.var), (ta.std_mean, np.std)):
        spread, mean = function(ta.tensor(x), 1, correction=0, keepdim=True)
        assert np.allclose(spread.numpy(), of(x, 1, keepdims=True))
        assert np.allclose(mean.numpy(), x.mean(1, keepdims=True))
        assert np.allclose(function(ta.tensor(x))[0].numpy(), of(x, ddof=1))


def test_tiles_count_the_last_dimensions():
    x = ta.tensor([[1, 2], [3, 4]])
    assert x.tile(2).tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    assert x.tile((2, 1)).tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert x.tile(3, 1, 1).shape == (3, 2, 2)


def test_moved_dimensions_are_a_view():
    x = ta.zeros(2, 3, 4)
    assert x.movedim(0, -1).shape == (3, 4, 2)
    assert x.moveaxis((0, 1), (2, 0)).shape == (3, 4, 2)
    x.movedim(2, 0)[3, 1, 2] = 7
    assert x[1, 2, 3].item() == 7
    with pytest.raises(RuntimeError, match="movedim"):
        x.movedim((0, 1), 2)
    with pytest.raises(IndexError, match="destination"):
        x.movedim(0, 3)


def test_the_trace_sums_the_diagonal():
    x = ta.tensor(numbers((2, 3)), requires_grad=True)
    assert x.trace().item() == x[0, 0].item() + x[1, 1].item()
    x.trace().backward()
    assert x.grad.tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(RuntimeError, match="trace"):
        ta.ones(2).trace()


def test_random_integers_in_the_shape_of_another_tensor():
    x = ta.randint_like(ta.ones(300), 4)
    assert (x.dtype, x.shape) == (ta.float32, (300,))
    assert sorted(set(x.tolist())) == [0, 1, 2, 3]
    assert ta.randint_like(ta.tensor([1, 2]), 5, 6).tolist() == [5, 5]


def test_the_address_tells_whether_memory_is_shared():
    x = ta.ones(3)
    assert x.data_ptr() == x.view(3, 1).data_ptr() != x.clone().data_ptr()
