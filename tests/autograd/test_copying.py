"""Copies of tensors are tensors of their own: their gradients never reach the original."""

import copy
import pickle

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn import nn

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "in a list": lambda x: copy.deepcopy([x])[0],
    "in a dict": lambda x: copy.deepcopy({"x": x})["x"],
    "in a tuple of lists": lambda x: copy.deepcopy(([x],))[0][0],
}


def parameter(values):
    return nn.Parameter(ta.tensor(values))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", [leaf, parameter])
def test_the_gradient_of_a_copy_is_its_own(way, make):
    x = make([1.0, 2.0, 3.0])
    y = way(x)
    assert type(y) is type(x)
    (y * 5).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [5.0, 5.0, 5.0]
    (x * 2).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0] * 3, [5.0] * 3)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_tensor_outside_any_graph_stays_outside(way):
    y = way(ta.tensor([1, 2]))
    assert not y.requires_grad
    assert y.dtype == ta.int64
    assert y.tolist() == [1, 2]


def test_a_shallow_copy_shares_its_memory_and_a_deep_one_does_not():
    x = ta.zeros(3)
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    x.add_(1)
    assert (shallow.tolist(), deep.tolist()) == ([1.0] * 3, [0.0] * 3)


def test_a_change_in_place_is_seen_through_a_shallow_copy():
    x = leaf([1.0, 2.0, 3.0])
    y = copy.copy(x)
    out = (x * x).sum()
    with ta.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="Mul saved"):
        out.backward()


def test_a_shallow_copy_of_a_result_stays_in_the_graph():
    x = leaf([1.0, 2.0, 3.0])
    (copy.copy(x * 3) * 2).sum().backward()
    assert x.grad.tolist() == [6.0] * 3


def test_a_deep_copy_of_a_result_says_what_to_copy():
    with pytest.raises(RuntimeError, match=r"leaf tensor, got the result of Mul; .*detach"):
        copy.deepcopy(leaf([1.0, 2.0, 3.0]) * 2)


def test_a_pickled_result_is_a_leaf():
    y = pickle.loads(pickle.dumps(leaf([1.0, 2.0, 3.0]) * 2))
    assert y.is_leaf
    assert y.requires_grad
    assert y.tolist() == [2.0, 4.0, 6.0]


def test_grad_and_other_attributes_go_along():
    x = leaf([1.0, 2.0, 3.0])
    x.scale = [0.5]
    (x * 2).sum().backward()
    y = copy.deepcopy(x)
    assert y.grad.tolist() == [2.0] * 3
    y.grad.zero_()
    y.scale.append(1)
    assert x.grad.tolist() == [2.0] * 3
    assert x.scale == [0.5]
    assert copy.copy(x).scale is x.scale
    assert pickle.loads(pickle.dumps(x)).scale == [0.5]
    assert pickle.loads(pickle.dumps(x)).grad is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_views_copied_together_share_their_new_memory(order):
    x = ta.arange(12.0).reshape(3, 4)
    tensors = [x, x[1:, ::2], x.t()]
    copies = dict(zip(order, copy.deepcopy([tensors[i] for i in order]), strict=True))
    for i, tensor in enumerate(tensors):
        assert copies[i].tolist() == tensor.tolist()
    copies[0][1, 0] = 50.0
    assert (copies[1][0, 0].item(), copies[2][0, 1].item()) == (50.0, 50.0)
    assert x[1, 0].item() == 4.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: ta.zeros(0, 3),
        lambda: ta.ones(3).expand(2, 3),
        lambda: ta.from_numpy(np.arange(10.0)[::2]),
        lambda: ta.from_numpy(np.asfortranarray(np.ones((2, 3)))),
        lambda: ta.tensor(2.5),
    ],
)
def test_every_layout_is_copied(make):
    x = make()
    for way in WAYS.values():
        y = way(x)
        assert (y.tolist(), y.shape, y.dtype) == (x.tolist(), x.shape, x.dtype)


def test_the_same_tensor_twice_is_one_tensor_in_the_copy():
    x = leaf([1.0, 2.0, 3.0])
    y = copy.deepcopy({"encoder": x, "decoder": x})
    assert y["encoder"] is y["decoder"]


@pytest.mark.parametrize("way", [copy.deepcopy, WAYS["pickle"]], ids=["deepcopy", "pickle"])
def test_the_best_weights_are_kept_after_a_forward_pass(way):
    """A step at some widths leaves packed weights beside the memory: they stay behind."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    gru = nn.GRU(32, 32)
    x = ta.randn(40, 64)
    model(x).sum().backward()
    gru(ta.randn(5, 3, 32))[0].sum().backward()
    for module in (model, gru):
        state = module.state_dict()
        best = way(state)
        with ta.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        assert any(value.any() for value in best.values())
        module.load_state_dict(best)
    assert float(model(x).abs().sum()) > 0


def test_copies_of_modules_train_apart():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    twin = copy.deepcopy(model)
    twin(ta.ones(2, 3)).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in twin.parameters())
