"""Pooling without PyTorch: values anyone can check, and gradients against differences."""

import pytest

import tinyattn as ta
from tests.helpers import leaf, numbers
from tinyattn import nn
from tinyattn.nn import functional as F


def test_the_largest_of_each_window():
    x = ta.tensor([[[3.0, 1.0, 2.0, 5.0, 4.0]]])
    assert F.max_pool1d(x, 2).tolist() == [[[3.0, 5.0]]]
    assert F.max_pool1d(x, 3, 1).tolist() == [[[3.0, 5.0, 5.0]]]
    assert F.max_pool1d(x, 3, 2, padding=1).tolist() == [[[3.0, 5.0, 5.0]]]


def test_the_mean_of_each_window():
    """Windows of 3, 2 apart, with a 0 at both ends: (0, 1, 5), (5, 2, 3), (3, 7, 0)."""
    x = ta.tensor([[[1.0, 5.0, 2.0, 3.0, 7.0]]]).double()
    assert F.avg_pool1d(x, 3, 2).tolist() == [[[8 / 3, 4.0]]]
    assert F.avg_pool1d(x, 2).tolist() == [[[3.0, 2.5]]]
    assert F.avg_pool1d(x, 3, 2, padding=1).tolist() == [[[2.0, 10 / 3, 10 / 3]]]
    without = F.avg_pool1d(x, 3, 2, padding=1, count_include_pad=False)
    assert without.tolist() == [[[3.0, 10 / 3, 5.0]]]


def test_gradients_of_max_pooling_match_differences():
    for options in ({"stride": 1}, {"stride": 2, "padding": 1}):
        x = leaf(numbers((2, 3, 7)))
        assert ta.gradcheck(lambda x, o=options: F.max_pool1d(x, 3, **o), (x,))


def test_a_window_may_be_as_long_as_the_sequence_and_no_longer():
    x = ta.tensor([[3.0, 1.0, 5.0, 2.0]])
    assert F.max_pool1d(x, 4).tolist() == [[5.0]]
    assert F.max_pool1d(x, 6, padding=1).tolist() == [[5.0]]
    for wrong in (
        {"kernel_size": 5},
        {"kernel_size": 7, "padding": 1},
        {"kernel_size": 3, "dilation": 2},
    ):
        with pytest.raises(RuntimeError, match=r"max_pool1d: a window of . steps does not fit"):
            F.max_pool1d(x, **wrong)
    for shape in ((4,), (1, 1, 1, 4)):
        with pytest.raises(RuntimeError, match=r"max_pool1d: input: expected \(B, D, T\) or"):
            F.max_pool1d(ta.ones(shape), 2)


@pytest.mark.parametrize("pool", [F.adaptive_max_pool1d, F.adaptive_avg_pool1d])
def test_windows_that_cover_all_steps_need_steps(pool):
    for shape in ((4,), (1, 1, 1, 4), (2, 0), (1, 2, 0)):
        with pytest.raises(
            RuntimeError, match=r"input: expected \(B, D, T\) or \(D, T\) with T > 0"
        ):
            pool(ta.ones(shape), 2)
    assert pool(ta.ones(0, 3), 2).shape == (0, 2)
    assert pool(ta.ones(2, 3, 4), 2).shape == (2, 3, 2)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "dilation", "output_size"])
def test_a_window_has_one_size(name):
    """One int, or a list or tuple of it: a second one was not read, and none was an IndexError."""
    pools = {
        "dilation": [F.max_pool1d],
        "output_size": [F.adaptive_max_pool1d, F.adaptive_avg_pool1d],
    }
    for pool in pools.get(name, [F.max_pool1d, F.avg_pool1d]):
        x, given = (
            ta.arange(6.0).reshape(1, 6),
            {} if "adaptive" in pool.__name__ else {"kernel_size": 2},
        )
        assert pool(x, **given | {name: 1}).equal(pool(x, **given | {name: (1,)}))
        for wrong in ((1, 1), (), -1):
            with pytest.raises(RuntimeError, match=f"{pool.__name__}: {name}: expected an int of"):
                pool(x, **given | {name: wrong})


def test_the_mean_as_a_module_keeps_tuples_as_pytorch_does():
    pool = nn.AvgPool1d(3, padding=1)
    assert (pool.kernel_size, pool.stride, pool.padding) == ((3,), (3,), (1,))
    assert repr(pool) == "AvgPool1d(kernel_size=(3,), stride=(3,), padding=(1,))"
