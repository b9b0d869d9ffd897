"""Rows that move between a padded batch and a packed one, and the gradients that move back."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.ops.packing import Place, Take, packed_rows, place_rows, take_rows


def rows_of(*shape):
    return ta.tensor(np.arange(float(np.prod(shape))).reshape(shape), requires_grad=True)


def test_taken_rows_send_their_gradient_to_where_they_stood():
    x = rows_of(4, 2)
    y = take_rows(x, np.array([2, 0]))
    assert y.tolist() == [[4, 5], [0, 1]]
    (y * ta.tensor([[1.0], [3.0]])).sum().backward()
    assert x.grad.tolist() == [[3, 3], [0, 0], [1, 1], [0, 0]]


def test_placed_rows_take_the_gradient_of_their_place_alone():
    x = rows_of(2, 2)
    y = place_rows(x, np.array([2, 0]), 3, -1.0)
    assert y.tolist() == [[2, 3], [-1, -1], [0, 1]]
    (y * ta.tensor([[1.0], [7.0], [3.0]])).sum().backward()
    assert x.grad.tolist() == [[3, 3], [1, 1]]


def test_both_halves_work_on_arrays():
    x, rows = np.arange(6.0).reshape(3, 2), np.array([1, 2])
    take, place = Take(), Place()
    y = take.forward(x, rows)
    np.testing.assert_array_equal(take.backward(y), [[0, 0], [2, 3], [4, 5]])
    np.testing.assert_array_equal(place.forward(y, rows, 3, 0.0), [[0, 0], [2, 3], [4, 5]])
    np.testing.assert_array_equal(place.backward(x), x[rows])


def test_rows_are_counted_in_either_order_of_the_axes():
    present = np.arange(2)[:, None] < np.array([2, 1])  # two steps, sequences of 2 and 1
    order = np.array([1, 0])  # the longer one is the second of the padded batch
    assert packed_rows(present, None, 2, batch_first=True).tolist() == [0, 2, 1]
    assert packed_rows(present, order, 2, batch_first=True).tolist() == [2, 0, 3]
    assert packed_rows(present, order, 2, batch_first=False).tolist() == [1, 0, 3]


def test_gradients():
    x = ta.randn(4, 3, dtype=ta.float64, requires_grad=True)
    rows = np.array([3, 1])
    assert ta.gradcheck(lambda x: take_rows(x, rows), (x,))
    assert ta.gradcheck(lambda x: place_rows(x, np.array([0, 5, 2, 3]), 7), (x,))


def test_other_rows_are_zero_where_no_value_is_given():
    assert place_rows(rows_of(1, 2), np.array([1]), 2).tolist() == [[0, 0], [0, 1]]
    sequences = [ta.ones(2), ta.ones(1)]
    assert nn.utils.rnn.pad_sequence(sequences).tolist() == [[1, 1], [1, 0]]


def test_lengths_may_be_the_sum_of_a_mask_of_floats():
    mask = ta.tensor([[1.0, 1.0], [1.0, 0.0]])
    packed = ta.nn.utils.rnn.pack_padded_sequence(ta.ones(2, 2, 1), mask.sum(1), batch_first=True)
    assert packed.batch_sizes.tolist() == [2, 1]
    with pytest.raises(RuntimeError, match="lengths: expected integers"):
        ta.nn.utils.rnn.pack_padded_sequence(ta.ones(2, 2, 1), [2.0, 1.5])
