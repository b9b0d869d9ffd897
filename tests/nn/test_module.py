"""Modules: what is registered, named, saved, loaded, switched and printed."""

import copy
import pickle

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(ta.ones(4))
        self.second = nn.Linear(4, 2, bias=False)
        self.register_buffer("mask", ta.ones(4))
        self.register_buffer("scratch", ta.zeros(1), persistent=False)

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


def test_members_are_found_in_the_order_of_assignment_own_ones_first():
    names = ["scale", "first.weight", "first.bias", "second.weight"]
    assert [name for name, _ in Block().named_parameters()] == names
    assert [name for name, _ in Block().named_modules()] == ["", "first", "second"]
    assert [name for name, _ in Block().named_children()] == ["first", "second"]
    assert [name for name, _ in Block().named_buffers()] == ["mask", "scratch"]
    assert len(list(Block().parameters(recurse=False))) == 1
    assert [n for n, _ in Block().named_parameters(prefix="net")][1] == "net.first.weight"


def test_a_shared_parameter_counts_once_but_is_saved_under_both_names():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    shared = nn.Linear(2, 2)
    twice = nn.Sequential(shared, shared)
    assert len(list(twice.modules())) == 2
    assert len(list(twice.children())) == 1
    assert list(twice.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize(
    ("value", "what"), [(nn.Parameter, "parameters"), (lambda: nn.Linear(1, 1), "module")]
)
def test_assigning_before_init_says_what_is_missing(value, what):
    class Wrong(nn.Module):
        def __init__(self) -> None:
            self.part = value()

    message = rf"cannot assign {what} before Module.__init__\(\) call"
    with pytest.raises(AttributeError, match=message):
        Wrong()


def test_registering_before_init_says_what_is_missing():
    class Wrong(nn.Module):
        def __init__(self) -> None:
            self.register_parameter("weight", None)

    with pytest.raises(AttributeError, match=r"cannot assign parameter before Module.__init__"):
        Wrong()


def test_calling_a_module_without_init_says_what_is_missing():
    class Wrong(nn.Module):
        def __init__(self) -> None:
            self.size = 3

        def forward(self, x):
            return x

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) was not called"):
        Wrong()(1)


def test_what_is_registered_cannot_become_something_else_by_accident():
    model = Block()
    with pytest.raises(TypeError, match=r"parameter 'scale' .*Parameter or None required"):
        model.scale = ta.ones(4)
    with pytest.raises(TypeError, match="parameter 'scale'"):
        model.scale = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"module 'first' .*Module or None required"):
        model.first = 3
    with pytest.raises(TypeError, match=r"buffer 'mask' .*Tensor or None required"):
        model.mask = "no"
    model.scale = None
    assert next(iter(model.named_parameters()))[0] == "first.weight"
    model.first = nn.Parameter(ta.ones(1))
    assert [name for name, _ in model.named_parameters()] == ["first", "second.weight"]
    del model.first
    assert [name for name, _ in model.named_parameters()] == ["second.weight"]
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'first'"):
        _ = model.first


@pytest.mark.parametrize(
    ("name", "error"), [("a.b", KeyError), ("", KeyError), ("forward", KeyError), (3, TypeError)]
)
def test_names_that_cannot_be_found_again_are_refused(name, error):
    for register in (nn.Module.register_parameter, nn.Module.register_buffer, nn.Module.add_module):
        with pytest.raises(error):
            register(Block(), name, None)
    with pytest.raises(TypeError, match=r"module name should be a string\. Got int"):
        Block().add_module(3, None)


def test_what_becomes_a_parameter_stands_after_the_others():
    model = nn.Module()
    model.first, model.second = nn.Tanh(), nn.Parameter(ta.ones(1))
    model.first = nn.Parameter(ta.ones(1))
    assert [name for name, _ in model.named_parameters()] == ["second", "first"]


def test_buffers_are_found_as_parameters_are():
    model = nn.Sequential(Block(), Block())
    model.register_buffer("own", ta.ones(1))
    model[1].mask = model[0].mask
    names = ["own", "0.mask", "0.scratch", "1.scratch"]
    assert [name for name, _ in model.named_buffers()] == names
    assert [id(b) for b in model.buffers()] == [id(b) for _, b in model.named_buffers()]
    assert [b for b in model.buffers(recurse=False)] == [model.own]  # noqa: C416
    assert [name for name, _ in model.named_buffers(recurse=False)] == ["own"]
    twice = [name for name, _ in model.named_buffers("net", remove_duplicate=False)]
    assert twice == ["net.own", "net.0.mask", "net.0.scratch", "net.1.mask", "net.1.scratch"]


def test_the_text_of_a_module_shows_the_modules_in_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.ModuleDict({"a": nn.Tanh(), "b": nn.Identity()}))
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): ModuleDict(\n"
        "    (a): Tanh()\n"
        "    (b): Identity()\n"
        "  )\n"
        ")"
    )


def test_a_state_dict_of_variables_holds_the_parameters_themselves():
    model = Block()
    state = model.state_dict(prefix="net.", keep_vars=True)
    assert state["net.first.weight"] is model.first.weight


def test_a_state_is_a_mapping():
    with pytest.raises(TypeError, match="state_dict: expected a mapping, got list"):
        Block().load_state_dict([])


def test_numbers_are_loaded_into_a_buffer_of_integers():
    model = nn.Module()
    model.register_buffer("count", ta.tensor([3]))
    model.load_state_dict({"count": np.array([5.0])})
    assert model.count.tolist() == [5]
    assert model.count.dtype == ta.int64


def test_to_takes_a_device_and_a_dtype_by_name():
    model = nn.Linear(1, 1).to(device="cpu", dtype=ta.float64)
    assert model.weight.dtype == ta.float64
    assert model.to(device="cpu").weight.dtype == ta.float64


def test_all_parameters_are_frozen():
    model = Block()
    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())


def test_a_graph_over_gradients_that_were_cleared_since_is_refused():
    model = nn.Linear(1, 1)
    model(ta.ones(1, 1)).sum().backward()
    y = model.weight.grad * ta.ones(1, requires_grad=True)
    model.zero_grad(set_to_none=False)
    with pytest.raises(RuntimeError, match="zero_grad"):
        y.sum().backward()


def test_hooks_run_in_the_order_of_registration_and_get_the_module():
    model, seen = nn.Identity(), []
    for i in range(2):
        model.register_forward_pre_hook(lambda m, args, i=i: seen.append(("before", i, m is model)))
        model.register_forward_hook(lambda m, args, y, i=i: seen.append(("after", i, m is model)))
    model.register_forward_pre_hook(
        lambda m, args, named: seen.append(("before", 2, m is model)), with_kwargs=True
    )
    model.register_forward_hook(
        lambda m, args, named, y: seen.append(("after", 2, m is model)), with_kwargs=True
    )
    model(ta.ones(1))
    assert seen == [(when, i, True) for when in ("before", "after") for i in range(3)]


def test_a_hook_before_forward_alone_is_run():
    model = nn.Identity()
    model.register_forward_pre_hook(lambda m, args: args[0] + 1)
    assert model(1) == 2


def test_a_plain_tensor_is_an_attribute_and_nothing_more():
    model = nn.Module()
    model.table = ta.ones(2)
    assert not model.state_dict()
    model.table = nn.Parameter(ta.ones(2))
    assert list(model.state_dict()) == ["table"]


def test_submodules_and_parameters_are_found_by_dotted_names():
    model = nn.Sequential(Block(), Block())
    assert model.get_submodule("1.first") is model[1].first
    assert model.get_submodule("") is model
    assert model.get_parameter("0.first.bias") is model[0].first.bias
    with pytest.raises(AttributeError, match="`third` is no attribute"):
        model.get_submodule("1.third")
    with pytest.raises(AttributeError, match=r"`scale` is not an nn.Module"):
        model.get_submodule("1.scale")
    with pytest.raises(AttributeError, match="`mask` is no parameter"):
        model.get_parameter("1.mask")


def test_a_state_dict_shares_memory_and_needs_no_gradient():
    model = Block()
    state = model.state_dict()
    assert list(state) == ["scale", "mask", "first.weight", "first.bias", "second.weight"]
    assert not any(value.requires_grad for value in state.values())
    assert np.shares_memory(state["scale"].numpy(), model.scale._array)


def test_a_state_dict_goes_from_one_model_into_another():
    one, other = Block(), Block()
    x = ta.randn(5, 3)
    assert not np.array_equal(one(x).detach(), other(x).detach())
    keys = other.load_state_dict(one.state_dict())
    assert keys.missing_keys == keys.unexpected_keys == []
    assert repr(keys) == str(keys) == "<All keys matched successfully>"
    np.testing.assert_array_equal(one(x).detach(), other(x).detach())
    assert not np.shares_memory(one.scale._array, other.scale._array)


def test_loading_takes_arrays_and_keeps_the_models_dtype():
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3])})
    assert model.weight.dtype == model.bias.dtype == np.float32
    assert model(ta.tensor([1.0, 1.0])).tolist() == [6.0]


def test_all_that_does_not_fit_is_reported_at_once_and_nothing_is_written():
    model = Block()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    state = {
        "scale": np.zeros(4, np.float32),
        "mask": "text",
        "first.weight": np.zeros((4, 5)),
        "second.weight": np.zeros((4, 2)),
        "third.weight": np.zeros(1),
    }
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(state)
    text = str(error.value)
    assert text.startswith("Error(s) in loading state_dict for Block:\n\t")
    for part in (
        'Missing key(s) in state_dict: "first.bias"',
        'Unexpected key(s) in state_dict: "third.weight"',
        "size mismatch for first.weight: copying a param with shape [4, 5] from checkpoint, "
        "the shape in current model is [4, 3]",
        "size mismatch for second.weight",
        "mask: expected a tensor or an array of real numbers, got str",
    ):
        assert part in text
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_without_strict_names_may_be_missing_or_unknown_but_sizes_still_count():
    model = nn.Linear(2, 1)
    assert repr(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"
    keys = model.load_state_dict({"weight": np.ones((1, 2)), "extra": 1.0}, strict=False)
    assert repr(keys) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['extra'])"
    assert keys == (["bias"], ["extra"])
    assert model.weight.tolist() == [[1.0, 1.0]]
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict({"weight": np.ones(2)}, strict=False)


def test_a_graph_over_weights_that_were_loaded_since_is_refused():
    model = nn.Linear(2, 1)
    y = model(ta.ones(1, 2, requires_grad=True)).sum()
    model.load_state_dict(nn.Linear(2, 1).state_dict())
    with pytest.raises(RuntimeError, match="load_state_dict"):
        y.backward()


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    np.testing.assert_array_equal(model(ta.ones(10)), np.ones(10))
    assert all(module.training for module in model.train().modules())
    with pytest.raises(ValueError, match="mode"):
        model.train(1)


def test_double_and_float_keep_the_parameters_and_convert_gradients():
    model = Block()
    model.register_buffer("count", ta.tensor([3]))
    weight = model.first.weight
    model(ta.ones(1, 3)).sum().backward()
    assert model.double() is model
    assert model.first.weight is weight
    assert weight.dtype == weight.grad.dtype == model.mask.dtype == np.float64
    assert model.count.dtype == np.int64
    model(ta.ones(1, 3, dtype=ta.float64)).sum().backward()
    assert model.float().first.weight.dtype == np.float32
    with pytest.raises(TypeError, match="float32 or float64"):
        model.to(ta.int64)


def test_apply_visits_children_first():
    seen = []
    model = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == ["Linear", "Tanh", "Sequential"]


def test_zero_grad_forgets_or_clears():
    model = nn.Linear(2, 1)
    model(ta.ones(1, 2)).sum().backward()
    grad = model.weight.grad
    model.zero_grad(set_to_none=False)
    assert model.weight.grad is grad
    assert grad.tolist() == [[0.0, 0.0]]
    model.zero_grad()
    assert model.weight.grad is None


def test_frozen_parameters_get_no_gradient():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    model(ta.ones(1, 2)).sum().backward()
    assert model[0].weight.grad is None
    assert model[1].weight.grad is not None
    model.requires_grad_()
    model(ta.ones(1, 2)).sum().backward()
    assert model[0].weight.grad is not None


def test_forward_hooks_see_and_replace_until_removed():
    model = nn.Identity()
    calls = []
    seeing = model.register_forward_hook(lambda m, args, out: calls.append((m, args, out)))
    before = model.register_forward_pre_hook(lambda m, args: args[0] + 1)
    after = model.register_forward_hook(lambda m, args, out: out * 10)
    assert model(1) == 20
    assert calls == [(model, (2,), 2)]
    before.remove()
    assert model(1) == 10
    after.remove()
    seeing.remove()
    seeing.remove()
    with model.register_forward_hook(lambda m, args, out: "changed"):
        assert model(1) == "changed"
    assert model(1) == 1


def test_hooks_may_see_keyword_arguments_and_go_first():
    class Sum(nn.Module):
        def forward(self, a, b=0):
            return a + b

    model = Sum()
    model.register_forward_pre_hook(lambda m, args: args[0] * 10)
    model.register_forward_pre_hook(
        lambda m, args, named: ((args[0] + 1,), {"b": named["b"] + 2}),
        prepend=True,
        with_kwargs=True,
    )
    model.register_forward_hook(lambda m, args, y: y * 2)
    model.register_forward_hook(
        lambda m, args, named, y: y + named["b"] / 10, prepend=True, with_kwargs=True
    )
    assert model(1, b=3) == ((1 + 1) * 10 + (3 + 2) + (3 + 2) / 10) * 2


def test_a_module_without_forward_says_so():
    with pytest.raises(
        NotImplementedError, match=r"\[Module\] is missing the required \"forward\""
    ):
        nn.Module()()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_the_same_values_and_shares_no_memory(copied):
    model = Block()
    other = copied(model)
    x = ta.ones(2, 3)
    np.testing.assert_array_equal(model(x).detach(), other(x).detach())
    other(x).sum().backward()
    assert model.scale.grad is None
    assert other.scale.grad is not None
    assert list(other.state_dict()) == list(model.state_dict())
    model.second.weight = model.first.weight
    other = copied(model)
    assert other.second.weight is other.first.weight


def trained(model):
    """The model after a forward and a backward pass, which may leave things behind in it."""
    model(ta.ones(2, 3)).sum().backward()
    return model


def step(model):
    """One step of gradient descent; the values of all parameters."""
    model.zero_grad()
    model(ta.ones(2, 3)).sum().backward()
    with ta.no_grad():
        for param in model.parameters():
            param -= 0.1 * param.grad
    return [param.detach().numpy().copy() for param in model.parameters()]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_trained_model_trains_on_as_the_model_does(copied):
    model = trained(Block())
    before = [param.detach().numpy().copy() for param in model.parameters()]
    other = copied(model)
    changed = step(other)
    for param, value in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(param.detach(), value)
    for one, new, old in zip(step(model), changed, before, strict=True):
        np.testing.assert_array_equal(one, new)
        assert not np.array_equal(new, old)


def test_copies_of_lists_dictionaries_and_buffers_share_nothing():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
            self.layers[1].weight = self.layers[0].weight
            self.named = nn.ModuleDict({"out": nn.Linear(3, 1)})
            self.register_buffer("mean", ta.zeros(3))
            self.plain = [self.layers[0].bias, {"mean": self.mean}]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x - self.mean)
            return self.named["out"](x)

    model = trained(Mixture())
    other = copy.deepcopy(model)
    assert list(other.state_dict()) == list(model.state_dict())
    for one, new in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert not np.shares_memory(one.numpy(), new.numpy())
    assert other.layers[1].weight is other.layers[0].weight
    assert other.plain[0] is other.layers[0].bias
    assert other.plain[1]["mean"] is other.mean
    other(ta.ones(2, 3)).sum().backward()
    other.mean.fill_(5)
    assert model.mean.tolist() == [0.0, 0.0, 0.0]
    assert step(other)[0].shape == (3, 3)


def test_the_best_weights_are_kept_by_a_copy_of_the_state():
    model = trained(Block())
    best = copy.deepcopy(model.state_dict())
    read = pickle.loads(pickle.dumps(model.state_dict()))
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    step(model)
    assert not np.array_equal(model.scale.detach(), before["scale"])
    for kept in (best, read):
        model.load_state_dict(kept)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def test_a_copied_model_starts_without_gradients():
    model = trained(Block())
    other = copy.deepcopy(model)
    assert all(param.grad is None for param in other.parameters())
    assert all(param.grad is not None for param in model.parameters())
    encoder = nn.TransformerEncoder(trained_layer := nn.TransformerEncoderLayer(4, 2, 8), 2)
    trained_layer(ta.ones(1, 1, 4)).sum().backward()
    again = nn.TransformerEncoder(trained_layer, 1)
    assert all(param.grad is None for param in [*encoder.parameters(), *again.parameters()])


def test_hooks_are_copied_with_the_module():
    def double(module, args, output):
        return output * 2

    model = nn.Identity()
    handle = model.register_forward_hook(double)
    other, same = copy.deepcopy(model), copy.copy(model)
    handle.remove()
    assert (model(1), other(1), same(1)) == (1, 2, 2)


def test_a_shallow_copy_shares_parameters_but_not_the_list_of_them():
    model = nn.Linear(3, 4)
    other = copy.copy(model)
    assert other.weight is model.weight
    other.extra = nn.Parameter(ta.ones(1))
    other.bias = None
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in other.named_parameters()] == ["weight", "extra"]


def test_a_parameter_is_a_leaf_on_the_memory_it_was_made_from():
    base = ta.ones(2, requires_grad=True)
    param = nn.Parameter(base * 2)
    assert param.is_leaf
    assert param.requires_grad
    assert not nn.Parameter(ta.ones(2), requires_grad=False).requires_grad
    assert repr(nn.Parameter(ta.ones(2))).startswith("Parameter containing:\ntensor([1., 1.]")
    assert type(param + 1) is ta.Tensor
    with pytest.raises(TypeError, match="data: expected a Tensor, got list"):
        nn.Parameter([1.0])


def test_a_parameter_of_nothing_is_empty():
    assert nn.Parameter().shape == (0,)
    assert nn.Parameter().requires_grad


def test_the_gradient_of_a_shared_weight_is_the_sum_over_its_uses():
    embedding = nn.Embedding(5, 3)
    out = nn.Linear(3, 5, bias=False)
    out.weight = embedding.weight
    x = ta.tensor([1, 2])
    out(embedding(x)).sum().backward()
    w = embedding.weight._array
    expected = np.tile(w[[1, 2]].sum(0), (5, 1))
    expected[[1, 2]] += w.sum(0)
    np.testing.assert_allclose(embedding.weight.grad, expected, rtol=1e-5)


def test_activations_in_place_use_the_memory_of_their_input():
    for layer in (nn.ReLU(inplace=True), nn.Dropout(1.0, inplace=True)):
        x = ta.tensor([-1.0, 2.0], requires_grad=True)
        h = x * 1
        assert layer(h) is h
        h.sum().backward()
        assert h.tolist() == [0.0, 2.0 * isinstance(layer, nn.ReLU)]
        assert x.grad.tolist() == [0.0, 1.0 * isinstance(layer, nn.ReLU)]
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"
    assert repr(nn.Dropout(0.1, True)) == "Dropout(p=0.1, inplace=True)"


class Bfloat16:
    """An array as other libraries have it: of a type that NumPy doesn't know."""

    dtype = "torch.bfloat16"

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def float(self):
        return np.array(self.values, np.float32)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Got unsupported ScalarType BFloat16")


@pytest.mark.parametrize(
    "value", [np.array([[1.5, -2.0]], np.float16), Bfloat16([[1.5, -2.0]])], ids=["f16", "bf16"]
)
def test_weights_of_two_bytes_are_converted_with_a_warning(value):
    layer = nn.Linear(2, 1, bias=False)
    with pytest.warns(UserWarning, match=r"1 tensors of float16 or .*'weight'") as warned:
        layer.load_state_dict({"weight": value})
    assert warned[0].filename == __file__
    assert layer.weight.dtype == ta.float32
    assert layer.weight.tolist() == [[1.5, -2.0]]


def test_bfloat16_of_torch_is_converted(torch):
    layer = nn.Linear(2, 1, bias=False)
    with pytest.warns(UserWarning, match="bfloat16"):
        layer.load_state_dict({"weight": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)})
    assert layer.weight.tolist() == [[1.5, -2.0]]
