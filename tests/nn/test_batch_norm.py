"""Batch norm follows its definition, and its running statistics follow the batches."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import numbers
from tinyattn import nn
from tinyattn.nn import functional as F


def definition(x, mean, variance, weight, bias, eps=1e-5):
    column = (1, -1) + (1,) * (x.ndim - 2)
    m, v, w, b = (part.reshape(column) for part in (mean, variance, weight, bias))
    return (x - m) / np.sqrt(v + eps) * w + b


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_batches_in_train_mode_and_running_statistics_in_eval_mode(shape, momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum, dtype=ta.float64)
    weight, bias = numbers((3,), seed=1), numbers((3,), seed=2)
    layer.load_state_dict({**layer.state_dict(), "weight": weight, "bias": bias})
    axes = (0,) if len(shape) == 2 else (0, 2)
    mean, var = np.zeros(3), np.ones(3)
    for step in range(1, 4):
        x = numbers(shape, seed=step) * 2 + 1
        n = x.size // 3
        want = definition(x, x.mean(axes), x.var(axes), weight, bias)
        np.testing.assert_allclose(layer(ta.tensor(x)).detach().numpy(), want, atol=1e-12)
        factor = 1 / step if momentum is None else momentum
        mean += factor * (x.mean(axes) - mean)
        var += factor * (x.var(axes) * n / (n - 1) - var)
        np.testing.assert_allclose(layer.running_mean.numpy(), mean)
        np.testing.assert_allclose(layer.running_var.numpy(), var)
        assert layer.num_batches_tracked.item() == step
    layer.eval()
    want = definition(x, mean, var, weight, bias)
    np.testing.assert_allclose(layer(ta.tensor(x)).detach().numpy(), want)
    layer.reset_running_stats()
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.num_batches_tracked.item() == 0


@pytest.mark.parametrize("training", [True, False])
def test_gradients(training):
    x, w, b = (ta.tensor(numbers(n), requires_grad=True) for n in ((4, 3, 2), (3,), (3,)))
    mean, var = ta.tensor(numbers((3,))), ta.tensor(numbers((3,)) ** 2)

    def call(x, w, b):
        return F.batch_norm(x, mean.clone(), var.clone(), w, b, training, eps=0.1)

    assert ta.gradcheck(call, (x, w, b))


def test_without_running_statistics_the_batch_counts_in_both_modes():
    layer = nn.BatchNorm1d(2, track_running_stats=False, affine=False)
    x = ta.tensor([[1.0, 10.0], [3.0, 30.0]])
    assert layer.running_mean is None
    assert layer(x).round().tolist() == layer.eval()(x).round().tolist() == [[-1, -1], [1, 1]]
    assert list(layer.state_dict()) == []


def test_a_buffer_that_changes_is_noticed_by_a_saved_operation():
    mean = ta.zeros(2, requires_grad=True)
    y = (mean * mean).sum()
    F.batch_norm(ta.tensor([[1.0, 2.0], [3.0, 4.0]]), mean.detach(), None, training=True)
    with pytest.raises(RuntimeError, match="batch_norm has since made it version 1"):
        y.backward()


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0)])
def test_a_batch_without_values_moves_nothing(shape):
    layer = nn.BatchNorm1d(3)
    x = ta.ones(shape, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape
    assert layer.weight.grad.tolist() == layer.bias.grad.tolist() == [0.0] * 3
    assert layer.running_mean.tolist() == [0.0] * 3
    assert layer.running_var.tolist() == [1.0] * 3


def test_wrong_calls_name_what_is_wrong():
    for eps, training in ((-1e-5, False), (0.0, True), (-1.0, True)):
        with pytest.raises(ValueError, match="eps: expected a positive number, got"):
            F.batch_norm(ta.ones(2, 3), ta.zeros(3), ta.ones(3), training=training, eps=eps)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(3)(ta.ones(1, 3))
    with pytest.raises(RuntimeError, match="D = 3"):
        nn.BatchNorm1d(3)(ta.ones(2, 4))
    with pytest.raises(ValueError, match="D = 3"):
        nn.BatchNorm1d(3)(ta.ones(3))
    with pytest.raises(ValueError, match="expected"):
        F.batch_norm(ta.ones(3), None, None, training=True)
    with pytest.raises(RuntimeError, match="running_mean"):
        F.batch_norm(ta.ones(2, 3), None, None)
    with pytest.raises(RuntimeError, match="weight: expected shape"):
        F.batch_norm(ta.ones(2, 3), None, None, ta.ones(2), training=True)


def test_a_new_layer_scales_by_one_shifts_by_zero_and_has_seen_nothing():
    layer = nn.BatchNorm1d(2)
    start = {name: value.tolist() for name, value in layer.state_dict().items()}
    assert start == {
        "weight": [1, 1],
        "bias": [0, 0],
        "running_mean": [0, 0],
        "running_var": [1, 1],
        "num_batches_tracked": 0,
    }
    layer.weight.data.fill_(5)
    layer.bias.data.fill_(5)
    layer(ta.tensor([[1.0, 2.0], [3.0, 5.0]]))
    layer.reset_parameters()
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == start
    with pytest.raises(RuntimeError, match="CPU only"):
        nn.BatchNorm1d(2, device="cuda")


def test_the_module_is_printed_as_in_pytorch():
    assert repr(nn.BatchNorm1d(4)) == (
        "BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
    )
    without = nn.BatchNorm1d(4, affine=False)
    assert "affine=False, bias=False, track_running_stats=True" in repr(without)
