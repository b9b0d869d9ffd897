"""Containers behave as the list or dictionary they look like, and keep PyTorch's numbering."""

from collections import OrderedDict

import pytest

import tinyattn as ta
from tinyattn import nn


def names(model):
    return [name for name, _ in model.named_children()]


def linears(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def test_sequential_calls_its_modules_in_turn():
    model = nn.Sequential(*linears(3))
    assert model(ta.ones(5, 1)).shape == (5, 4)
    named = nn.Sequential(OrderedDict(first=nn.Linear(1, 2), second=nn.Linear(2, 3)))
    assert names(named) == ["first", "second"]
    assert named.first is named[0]
    assert named(ta.ones(5, 1)).shape == (5, 3)


def test_slices_share_the_modules():
    layers = linears(4)
    model = nn.Sequential(*layers)
    assert isinstance(model[1:3], nn.Sequential)
    assert list(model[1:3]) == layers[1:3]
    assert model[-1] is layers[-1]
    modules = nn.ModuleList(layers)
    assert list(modules[::2]) == layers[::2]
    assert names(modules[2:]) == ["0", "1"]
    for index in (4, -5):
        with pytest.raises(IndexError, match="out of range"):
            modules[index]


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *m: nn.ModuleList(m)])
def test_lists_grow_and_shrink(kind):
    a, b, c, d = linears(4)
    model = kind(a, b)
    assert model.append(c) is model
    model.insert(0, d)
    assert list(model) == [d, a, b, c]
    assert names(model) == ["0", "1", "2", "3"]
    del model[1:3]
    assert list(model) == [d, c]
    assert model.pop(0) is d
    assert names(model) == ["0"]
    model[0] = a
    assert model[0] is a
    model.extend([b, c])
    assert len(model) == 3
    with pytest.raises(TypeError):
        model.append(3)


@pytest.mark.parametrize("index", [2, -3])
def test_a_module_that_is_not_there_is_named(index):
    with pytest.raises(IndexError, match=f"index {index} is out of range: there are 2 modules"):
        nn.ModuleList(linears(2))[index]


def test_what_is_no_sequence_of_modules_is_refused():
    with pytest.raises(TypeError, match="modules: expected an iterable, got int"):
        nn.ModuleList().extend(3)


def test_sums_are_new_containers():
    a, b, c = linears(3)
    assert list(nn.ModuleList([a]) + nn.ModuleList([b, c])) == [a, b, c]
    assert list(nn.Sequential(a) + nn.Sequential(b)) == [a, b]
    with pytest.raises(ValueError, match="Sequential"):
        nn.Sequential(a) + nn.ModuleList([b])
    grown = nn.ModuleList([a])
    grown += [b]
    assert list(grown) == [a, b]


def test_a_module_list_is_not_called():
    with pytest.raises(NotImplementedError):
        nn.ModuleList([nn.Tanh()])(1)


def test_a_module_dict_is_a_dictionary():
    model = nn.ModuleDict({"encode": nn.Linear(1, 2), "decode": nn.Linear(2, 1)})
    assert list(model) == list(model.keys()) == ["encode", "decode"]
    assert "encode" in model
    assert "other" not in model
    model.update([("other", nn.Tanh())])
    assert len(model) == 3
    assert isinstance(model.pop("other"), nn.Tanh)
    assert next(iter(model.named_parameters()))[0] == "encode.weight"
    assert [type(m) for m in model.values()] == [nn.Linear, nn.Linear]
    del model["encode"]
    assert [key for key, _ in model.items()] == ["decode"]
    model.clear()
    assert not len(model)
    with pytest.raises(KeyError):
        model["decode"]
    with pytest.raises(KeyError):
        del model["decode"]
    with pytest.raises(TypeError, match=r"modules: expected a mapping or .* pairs, got int"):
        model.update(3)
    with pytest.raises(KeyError, match="'keys' already exists"):
        model["keys"] = nn.Tanh()


def test_a_sequential_times_a_number_runs_the_same_modules_again():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer) * 2
    x = ta.ones(1, 2)
    assert model(x).tolist() == layer(layer(x)).tolist()
    model *= 2
    assert len(model) == 4
    assert model[3] is layer
    assert list(nn.Sequential(layer) * 1) == [layer]
    with pytest.raises(ValueError, match="times: expected at least 1, got 0"):
        _ = model * 0
    with pytest.raises(TypeError, match="times: expected an int, got float"):
        _ = 0.5 * model


def test_data_parallel_calls_its_model():
    model = nn.DataParallel(nn.Linear(2, 3), device_ids=[0, 1])
    x = ta.ones(4, 2)
    assert ta.equal(model(x), model.module(x))
    assert [*model.state_dict()] == ["module.weight", "module.bias"]
    assert model.device_ids == []
    with pytest.raises(TypeError, match="module: expected a Module, got float"):
        nn.DataParallel(1.0)
