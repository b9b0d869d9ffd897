"""Old orders of arguments mean what they meant, and the warning points at the line of the call."""

import warnings

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import functional as F

X, Y = ta.tensor([1.0, 2.0]), ta.tensor([4.0, 8.0])
CALLS = {
    "add_": (lambda x: x.add_(3, X), [3, 6]),
    "sub_": (lambda x: x.sub_(3, X), [-3, -6]),
    "addcmul_": (lambda x: x.addcmul_(3, X, Y), [12, 48]),
    "addcdiv_": (lambda x: x.addcdiv_(3, Y, X), [12, 12]),
    "size_average": (lambda x: F.mse_loss(x, X, size_average=False), 5),
    "size_average of a module": (lambda x: nn.MSELoss(False)(x, X), 5),
    "size_average of a loss with weights": (lambda x: nn.BCELoss(None, False)(x, x), 0),
    "size_average of a loss with more": (lambda x: nn.SmoothL1Loss(False)(x, X), 2),
    "elementwise_mean": (lambda x: F.mse_loss(x, X, reduction="elementwise_mean"), 2.5),
    "elementwise_mean of a module": (lambda x: nn.L1Loss(reduction="elementwise_mean")(x, X), 1.5),
    "softmax, 1 dimension": (lambda x: F.softmax(x), [0.5, 0.5]),
    "softmax, 0 dimensions": (lambda x: F.softmax(x[0]), 1),
    "an older name": (lambda x: nn.init.constant(x, 3.0), [3, 3]),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_old_call_means_what_it_meant_and_is_warned_of_where_it_stands(name):
    call, expected = CALLS[name]
    with pytest.warns((UserWarning, FutureWarning)) as told:
        found = call(ta.zeros(2))
    np.testing.assert_allclose(found.numpy(), expected)
    places = [(record.filename, record.lineno) for record in told]
    assert places == [(__file__, call.__code__.co_firstlineno)]


@pytest.mark.parametrize(("name", "value"), [("addcmul_", [13, 49]), ("addcdiv_", [1.75, 1.75])])
def test_todays_order_is_not_warned_of(name, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = getattr(ta.ones(2), name)(X, Y, value=3)
    assert found.tolist() == value


def test_an_older_name_says_the_new_one():
    with pytest.warns(FutureWarning, match=r"`nn\.init\.constant` is now deprecated in favor of"):
        nn.init.constant(ta.zeros(2), 1.0)
    assert nn.init.constant.__name__ == "constant"
