"""utils.checkpoint calls the function: its values and gradients are those of the function."""

from functools import partial

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.utils.checkpoint import checkpoint, checkpoint_sequential


def scaled(x, factor=1.0):
    return x * x * factor


def test_values_and_gradients_are_those_of_the_function():
    x = ta.tensor([1.0, 2.0], requires_grad=True)
    y = checkpoint(scaled, x, use_reentrant=False, factor=3.0)
    y.sum().backward()
    assert y.tolist() == [3, 12]
    assert x.grad.tolist() == [6, 12]
    y = checkpoint(scaled, x, 2.0, use_reentrant=True)
    assert y.tolist() == [2, 8]
    assert y.requires_grad


def test_reentrant_has_no_gradients_unless_an_argument_requires_them():
    layer = nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        out = checkpoint(layer, ta.ones(1, 2), use_reentrant=True)
    assert not out.requires_grad
    np.testing.assert_array_equal(out.numpy(), layer(ta.ones(1, 2)).detach().numpy())
    assert checkpoint(layer, ta.ones(1, 2), use_reentrant=False).requires_grad


def test_reentrant_is_the_default_with_a_warning():
    with pytest.warns(UserWarning, match="use_reentrant was not passed"):
        assert checkpoint(scaled, ta.ones(1, requires_grad=True)).requires_grad
    with pytest.raises(ValueError, match="Unexpected keyword arguments: factor"):
        checkpoint(scaled, ta.ones(1, requires_grad=True), use_reentrant=True, factor=2.0)
    with pytest.raises(ValueError, match="context_fn: expected None"):
        checkpoint(scaled, ta.ones(1), use_reentrant=False, context_fn=lambda: None)


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_functions_in_segments_run_one_after_another(segments):
    steps = [lambda x, k=k: x * 2 + k for k in range(5)]
    x = ta.tensor([1.0], requires_grad=True)
    y = checkpoint_sequential(steps, segments, x, use_reentrant=False)
    y.backward()
    assert y.tolist() == [58]
    assert x.grad.tolist() == [32]


def test_functions_in_segments_may_be_a_sequential():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = ta.ones(4, 2)
    y = checkpoint_sequential(model, 2, x, use_reentrant=False)
    np.testing.assert_array_equal(y.detach().numpy(), model(x).detach().numpy())
    with pytest.raises(ValueError, match="segments: expected 1 to 3, got 4"):
        checkpoint_sequential(model, 4, x, use_reentrant=False)
    with (
        pytest.warns(UserWarning, match="use_reentrant was not passed"),
        pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"),
    ):
        out = checkpoint_sequential(model, 2, x)
    assert out.requires_grad  # the last segment is called as it is


def test_any_argument_may_require_gradients():
    x = ta.tensor([1.0, 2.0], requires_grad=True)
    assert checkpoint(lambda factor, x: scaled(x, factor), 2.0, x, use_reentrant=True).requires_grad


def test_warnings_name_the_line_of_the_call():
    x = ta.ones(1)
    for call, count in (
        (partial(checkpoint, scaled, x), 2),
        (partial(checkpoint, scaled, x, use_reentrant=True), 1),
        (partial(checkpoint_sequential, [scaled], 1, x), 1),
    ):
        with pytest.warns(UserWarning, match=r"not passed|None of the inputs") as found:
            call()
        assert [warning.filename for warning in found] == [__file__] * count
