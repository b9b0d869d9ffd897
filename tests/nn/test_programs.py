"""Modules that programs bring: parameter lists, pooling, lazy modules, Flatten, older arguments."""

import copy
import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import functional as F


def leaf(*shape):
    values = ta.arange(math.prod(shape), dtype=ta.float64).reshape(shape)
    return ((values * 7) % 5 + values / 16).requires_grad_()


def test_parameters_in_a_list_and_in_a_dictionary_are_found():
    model = nn.Module()
    model.weights = nn.ParameterList([ta.ones(2), nn.Parameter(ta.zeros(3))])
    model.named = nn.ParameterDict({"a": ta.ones(1)})
    names = ["weights.0", "weights.1", "named.a"]
    assert [name for name, _ in model.named_parameters()] == names
    model.weights.append(ta.ones(4)).extend([ta.ones(5)])
    assert len(model.weights) == 4
    assert [len(p) for p in model.weights[1:3]] == [3, 4]
    assert len(model.weights[-1]) == 5
    model.weights[-1] = ta.zeros(6)
    assert len(model.weights[3]) == 6
    model.named["b"] = ta.ones(2)
    assert list(model.named.keys()) == ["a", "b"]
    del model.named["a"]
    assert "a" not in model.named
    assert dict(model.named.items())["b"].requires_grad
    with pytest.raises(IndexError, match="index 4 is out of range"):
        model.weights[4]
    with pytest.raises(TypeError, match="list of tensors"):
        nn.ParameterList(ta.ones(2))
    with pytest.raises(KeyError):
        del model.named["z"]
    assert repr(nn.ParameterList([ta.ones(2, 3), ta.ones(1)])) == (
        "ParameterList(\n  (0): Parameter containing: [float32 of size 2x3]\n"
        "  (1): Parameter containing: [float32 of size 1]\n)"
    )


def test_a_list_and_a_dictionary_give_the_parameters_they_were_given():
    a, b, c = (nn.Parameter(ta.ones(i)) for i in range(1, 4))
    weights = nn.ParameterList([a])
    weights += [b]
    assert isinstance(weights, nn.ParameterList)
    assert weights[0] is a
    assert weights[-1] is b
    named = nn.ParameterDict({"first": a, "second": c})
    assert len(named) == 2
    assert list(named) == ["first", "second"]
    assert named["first"] is a
    assert named["second"] is c
    assert [*named.values()][1] is c


def test_the_maximum_of_every_window():
    x = ta.tensor([[1.0, 5.0, 2.0, 3.0, 4.0]])
    assert F.max_pool1d(x, 2).tolist() == [[5, 3]]
    assert F.max_pool1d(x, 3, 1).tolist() == [[5, 5, 4]]
    assert F.max_pool1d(x, 2, 2, 1).tolist() == [[1, 5, 4]]
    assert F.max_pool1d(x, 2, 1, 0, 3).tolist() == [[3, 5]]
    assert F.max_pool1d(x[None], (2,), (2,)).shape == (1, 1, 2)
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[5, 3, 4]]
    assert nn.MaxPool1d(3, ceil_mode=True)(x).tolist() == [[5, 4]]
    assert "ceil_mode=True" in repr(nn.MaxPool1d(3, ceil_mode=True))
    assert ta.gradcheck(lambda x: F.max_pool1d(x, 4, ceil_mode=True), (leaf(2, 3, 6),))
    with pytest.raises(ValueError, match="return_indices: expected False"):
        nn.MaxPool1d(2, return_indices=True)
    assert nn.MaxPool1d(3, stride=1)(x).tolist() == [[5, 5, 4]]
    assert F.max_pool1d(-x, 3, 2, 1).tolist() == [[-1, -2, -3]]
    for options in ((2,), (3, 1), (3, 2, 1), (2, 1, 1, 2)):
        assert ta.gradcheck(lambda x, o=options: F.max_pool1d(x, *o), (leaf(2, 3, 6),))
    for wrong in ((0,), (2, 0), (2, 1, 2), (2, 1, 0, 0), (9,)):
        with pytest.raises(RuntimeError, match="max_pool1d"):
            F.max_pool1d(x, *wrong)


def test_the_mean_of_every_window():
    x = ta.tensor([[1.0, 5.0, 3.0, 3.0, 4.0]])
    assert F.avg_pool1d(x, 2).tolist() == [[3, 3]]
    assert F.avg_pool1d(x * 3, 3, 1).tolist() == [[9, 11, 10]]
    assert F.avg_pool1d(x, 2, 2, 1).tolist() == [[0.5, 4, 3.5]]
    assert F.avg_pool1d(x, 2, 2, 1, count_include_pad=False).tolist() == [[1, 4, 3.5]]
    assert nn.AvgPool1d(2, 1)(x).tolist() == [[3, 4, 3, 3.5]]
    for options in ((2,), (3, 1), (3, 2, 1), (2, 1, 1, False, False)):
        assert ta.gradcheck(lambda x, o=options: F.avg_pool1d(x, *o), (leaf(2, 3, 6),))
    for wrong in ((0,), (2, 0), (2, 1, 2), (9,)):
        with pytest.raises(RuntimeError, match="avg_pool1d"):
            F.avg_pool1d(x, *wrong)


def test_the_steps_that_are_left_may_make_a_shorter_window():
    x = ta.tensor([[1.0, 5.0, 3.0, 3.0, 4.0]])
    assert nn.AvgPool1d(2, ceil_mode=True)(x).tolist() == [[3, 3, 4]]
    assert F.avg_pool1d(x, 3, ceil_mode=True).tolist() == [[3, 3.5]]
    assert F.avg_pool1d(x[:, :4], 2, ceil_mode=True).tolist() == [[3, 3]]
    assert F.avg_pool1d(x[:, :1], 2, ceil_mode=True).tolist() == [[1]]
    # A window that would begin behind the last step is left out.
    assert F.avg_pool1d(x[:, :3], 1, 3, ceil_mode=True).tolist() == [[1]]
    assert F.avg_pool1d(x, 2, 2, 1, True, False).tolist() == [[1, 4, 3.5]]
    for options in ((2, 2), (4, 3), (3, 2, 1)):
        pool = lambda x, o=options: F.avg_pool1d(x, *o, *(0,) * (3 - len(o)), True, False)  # noqa: E731
        assert ta.gradcheck(pool, (leaf(2, 3, 5),))
    assert nn.MaxPool1d(2)(x).shape == nn.MaxPool1d(2, ceil_mode=False)(x).shape
    assert nn.EmbeddingBag(2, 3, _weight=ta.ones(2, 3)).weight.requires_grad
    y = F.avg_pool1d(ta.tensor([[1.0, 2.0, 3.0, 4.0]]), 3, 2, 1, True, False)
    assert y.tolist() == [[1.5, 3, 4]]  # the last window has the last step and the padding
    with pytest.raises(NotImplementedError, match="ceil_mode: expected False with padding"):
        F.avg_pool1d(x, 2, 2, 1, ceil_mode=True)
    with pytest.raises(RuntimeError, match="avg_pool1d: a window of 9 steps does not fit"):
        F.avg_pool1d(x, 9, 1, ceil_mode=True)


def test_the_maxima_of_windows_that_cover_the_sequence():
    x = ta.tensor([[1.0, 7.0, 3.0, 4.0, 5.0]])
    assert F.adaptive_max_pool1d(x, 1).tolist() == [[7]]
    assert nn.AdaptiveMaxPool1d(2)(x).tolist() == [[7, 5]]
    assert ta.gradcheck(lambda x: F.adaptive_max_pool1d(x, 3), (leaf(2, 5),))
    with pytest.raises(RuntimeError, match="adaptive_max_pool1d"):
        F.adaptive_max_pool1d(x, 0)


def test_one_dimension_becomes_several():
    assert nn.Unflatten(1, (3, -1))(ta.ones(2, 12)).shape == (2, 3, 4)
    with pytest.raises(TypeError, match="unflattened_size: expected a tuple of ints, got int"):
        nn.Unflatten(1, 12)
    assert repr(nn.Unflatten(1, (3, 4))) == "Unflatten(dim=1, unflattened_size=(3, 4))"


def test_similarity_and_distance_as_modules():
    x, y = ta.tensor([[3.0, 4.0]]), ta.tensor([[4.0, 3.0]])
    assert nn.CosineSimilarity()(x, y).tolist() == pytest.approx([0.96])
    assert nn.CosineSimilarity(0)(x, y).tolist() == pytest.approx([1, 1])
    both = ta.tensor([[1.0, 0.0], [1.0, 0.0]]), ta.tensor([[3.0, 4.0], [3.0, -4.0]])
    apart = ta.tensor([1, -1])
    for margin, losses in ((0.0, [0.4, 0.6]), (0.5, [0.4, 0.1]), (0.7, [0.4, 0.0])):
        loss = nn.CosineEmbeddingLoss(margin, reduction="none")
        assert loss(*both, apart).tolist() == pytest.approx(losses)
        for how in ("sum", "mean"):
            found = nn.CosineEmbeddingLoss(margin, reduction=how)(*both, apart).item()
            assert found == pytest.approx(getattr(np, how)(losses))
    with pytest.raises(RuntimeError, match=r"expected input1 and input2 \(B, D\) and target"):
        nn.CosineEmbeddingLoss()(*both, ta.ones(()))
    assert nn.CosineEmbeddingLoss().margin == 0
    assert nn.CosineSimilarity(eps=100.0)(x, y).tolist() == pytest.approx([0.0024])
    assert nn.PairwiseDistance(eps=0.0)(x, y).tolist() == pytest.approx([2**0.5])
    assert nn.PairwiseDistance(1.0, 0.5, True)(x, y).tolist() == [[2.0]]


def test_parameters_as_one_vector():
    model = nn.Linear(2, 1)
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.tolist() == [*model.weight[0].tolist(), *model.bias.tolist()]
    nn.utils.vector_to_parameters(ta.tensor([1.0, 2.0, 3.0]), model.parameters())
    assert (model.weight.tolist(), model.bias.tolist()) == ([[1, 2]], [3])
    with pytest.raises(ValueError, match="vec"):
        nn.utils.vector_to_parameters(ta.ones(4), model.parameters())
    assert model.bias.tolist() == [3]


def test_the_means_of_windows_that_cover_the_sequence():
    x = ta.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    assert F.adaptive_avg_pool1d(x, 1).tolist() == [[3]]
    assert F.adaptive_avg_pool1d(x, 2).tolist() == [[2, 4]]
    assert nn.AdaptiveAvgPool1d(5)(x).tolist() == x.tolist()
    assert ta.gradcheck(lambda x: F.adaptive_avg_pool1d(x, 3), (leaf(2, 5),))
    with pytest.raises(RuntimeError, match="adaptive_avg_pool1d"):
        F.adaptive_avg_pool1d(x, 0)


def test_a_lazy_linear_becomes_a_linear():
    layer = nn.LazyLinear(2, dtype=ta.float64)
    optimizer = ta.optim.SGD(layer.parameters(), lr=0.1)
    y = layer(leaf(3, 4))
    assert type(layer) is nn.Linear
    assert layer.in_features == 4
    assert layer.weight.shape == (2, 4)
    y.sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    assert not layer.weight.equal(before)


def test_a_lazy_convolution_becomes_a_convolution():
    options = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2, "dtype": ta.float64}
    layer = nn.LazyConv1d(4, 3, **options)
    optimizer = ta.optim.SGD(layer.parameters(), lr=0.1)
    ta.manual_seed(3)
    y = layer(leaf(2, 6, 9))
    assert type(layer) is nn.Conv1d
    ta.manual_seed(3)
    plain = nn.Conv1d(6, 4, 3, **options)
    assert layer.weight.equal(plain.weight)
    assert layer.bias.equal(plain.bias)
    assert (layer.in_channels, layer.weight.shape) == (6, (4, 3, 3))
    assert y.equal(F.conv1d(leaf(2, 6, 9), layer.weight, layer.bias, 2, 1, 1, 2))
    y.sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    assert not layer.weight.equal(before)
    bound = 1 / 9**0.5
    assert 0 < before.abs().max() <= bound
    assert layer.bias.abs().max() > 0
    plain = nn.LazyConv1d(4, 3, bias=False, padding="same", padding_mode="circular")
    assert plain(ta.ones(2, 5)).shape == (4, 5)
    assert (plain.bias, plain.padding_mode) == (None, "circular")
    for wrong in (ta.ones(5), ta.ones(3, 9)):
        with pytest.raises(ValueError, match="groups"):
            nn.LazyConv1d(4, 3, groups=2)(wrong)


def test_a_lazy_linear_draws_its_parameters_and_uses_them_at_once():
    layer = nn.LazyLinear(2, dtype=ta.float64)
    assert (layer.in_features, layer.weight.shape) == (0, (2, 0))
    x = leaf(3, 4)
    y = layer(x)
    assert 0 < abs(layer.weight).max() <= 4**-0.5
    assert 0 < abs(layer.bias).max() <= 4**-0.5
    assert y.tolist() == (x @ layer.weight.T + layer.bias).tolist()
    assert nn.LazyLinear(2, bias=False).bias is None


def test_flatten():
    assert nn.Flatten()(ta.ones(2, 3, 4)).shape == (2, 12)
    x = leaf(2, 3, 4)
    assert nn.Flatten()(x).tolist() == x.reshape(2, 12).tolist()
    assert nn.Flatten(0, 1)(ta.ones(2, 3, 4)).shape == (6, 4)


def test_binary_cross_entropy_of_probabilities():
    p, y = ta.tensor([0.25, 1.0]).double(), ta.tensor([1.0, 0.0]).double()
    assert F.binary_cross_entropy(p, y, reduction="none").tolist() == [math.log(4), 100]
    inside = ta.tensor([[0.2, 0.7], [0.5, 0.9]], dtype=ta.float64, requires_grad=True)
    target = ta.tensor([[0.0, 1.0], [0.3, 0.6]], dtype=ta.float64, requires_grad=True)
    for reduction in ("mean", "sum", "none"):
        loss = nn.BCELoss(reduction=reduction)
        assert ta.gradcheck(loss, (inside, target))
    weights = nn.BCELoss(ta.tensor([2.0, 0.0]).double(), reduction="sum")
    assert weights(p, y).item() == 2 * math.log(4)
    p = ta.tensor([0.0, 1.0], requires_grad=True)
    F.binary_cross_entropy(p, ta.tensor([0.0, 0.5]), reduction="sum").backward()
    assert p.grad.tolist() == pytest.approx([0, 5e11])
    p = ta.tensor([1.0], dtype=ta.float64, requires_grad=True)
    F.binary_cross_entropy(p, ta.zeros(1, dtype=ta.float64)).backward()
    assert p.grad.item() == 1 / float(np.float32(1e-12))  # PyTorch's bound is a float32
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(ta.tensor([1.5]), ta.tensor([1.0]))
    with pytest.raises(ValueError, match="expected the shape"):
        F.binary_cross_entropy(ta.tensor([0.5]), ta.tensor([1.0, 0.0]))


def test_older_arguments_warn():
    x, i = ta.ones(2, 3), ta.tensor([0, 1])
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert F.cross_entropy(x, i, None, False).item() == pytest.approx(2 * math.log(3))
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert nn.MSELoss(reduce=False).reduction == "none"
    with pytest.warns(UserWarning, match="reduction='mean'"):
        assert nn.MSELoss(size_average=True).reduction == "mean"
    for shape, dim in (((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((1, 2, 3, 4), 1)):
        y = leaf(*shape)
        with pytest.warns(UserWarning, match="Implicit dimension"):
            assert F.softmax(y).equal(F.softmax(y, dim))
        with pytest.warns(UserWarning, match="Implicit dimension"):
            assert F.log_softmax(y).equal(F.log_softmax(y, dim))
    y = ta.ones(2)
    with pytest.warns(UserWarning, match="overload of add_"):
        assert y.add_(-0.5, ta.ones(2)).tolist() == [0.5, 0.5]
    with pytest.warns(UserWarning, match="overload of sub_"):
        assert y.sub_(2, ta.ones(2)).tolist() == [-1.5, -1.5]
    with pytest.warns(UserWarning, match="overload of addcdiv_"):
        assert y.addcdiv_(3, ta.ones(2), ta.full((2,), 2.0)).tolist() == [0, 0]
    with pytest.warns(FutureWarning, match="xavier_uniform_"):
        nn.init.xavier_uniform(ta.ones(2, 2))
    with pytest.warns(UserWarning, match="includes end"):
        assert ta.range(0, 3).tolist() == [0, 1, 2, 3]


LOSSES = [nn.L1Loss, nn.SmoothL1Loss, nn.NLLLoss, nn.CrossEntropyLoss]
LOSSES += [nn.BCELoss, nn.BCEWithLogitsLoss, nn.KLDivLoss, nn.MSELoss, nn.CosineEmbeddingLoss]


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_takes_the_older_arguments(kind):
    for options, reduction in (
        ({"size_average": False}, "sum"),
        ({"size_average": False, "reduce": True}, "sum"),
        ({"size_average": True, "reduce": False}, "none"),
        ({"reduce": True}, "mean"),
    ):
        with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
            assert kind(**options).reduction == reduction


def test_private_attributes_that_programs_read():
    layer = nn.LSTM(2, 3)
    assert layer._flat_weights_names[0] == "weight_ih_l0"
    assert [nn.LSTM(2, 3).mode, nn.GRU(2, 3).mode] == ["LSTM", "GRU"]
    assert [nn.RNN(2, 3, nonlinearity=f).mode for f in ("tanh", "relu")] == ["RNN_TANH", "RNN_RELU"]
    assert layer._all_weights == [["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]]
    two = nn.GRU(2, 3, 2, bias=False, bidirectional=True)
    names = two._all_weights
    assert names[3] == ["weight_ih_l1_reverse", "weight_hh_l1_reverse"]
    for group, of_group in zip(two.all_weights, names, strict=True):
        assert [id(p) for p in group] == [id(getattr(two, name)) for name in of_group]
    assert layer._parameters["weight_ih_l0"] is layer.weight_ih_l0
    model = nn.Sequential(layer)
    model.register_buffer("mask", ta.ones(1))
    assert dict(model._modules) == {"0": layer}
    assert list(model._buffers) == ["mask"]


def test_members_that_programs_set_and_delete_by_name():
    model = nn.Module()
    layer = model._modules["layer"] = nn.LSTM(2, 3)
    assert model.layer is layer
    assert "layer.weight_ih_l0" in model.state_dict()
    raw = layer._parameters["weight_hh_l0"]
    del layer._parameters["weight_hh_l0"]  # as a program that drops weights does
    assert "weight_hh_l0" not in layer._parameters
    assert not hasattr(layer, "weight_hh_l0")
    layer.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.detach()))
    layer.weight_hh_l0 = ta.dropout(layer.weight_hh_l0_raw, 0.5, True)
    layer(ta.ones(1, 1, 2))[0].sum().backward()
    assert layer.weight_hh_l0_raw.grad is not None
    assert len(layer._parameters) == 4
    model.register_buffer("mask", ta.ones(1), persistent=False)
    model._buffers["mask"] = ta.zeros(1)
    assert model.mask.tolist() == [0.0]
    assert "mask" not in model.state_dict()
    model._parameters["scale"] = nn.Parameter(ta.ones(1))
    assert next(name for name, _ in model.named_parameters()) == "scale"
    assert repr(model._parameters) == repr({"scale": model.scale})
    for members, name in ((model._modules, "scale"), (model._parameters, "none")):
        with pytest.raises(KeyError):
            del members[name]
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object to parameter 'bias'"):
        model._parameters["bias"] = ta.ones(1)


def test_backward_hooks_see_gradients_and_replace_them():
    seen = []
    layer = nn.Tanh()
    handle = layer.register_full_backward_hook(lambda *given: seen.append(given))
    x = ta.tensor([0.5, -1.0], dtype=ta.float64, requires_grad=True)
    y = layer(x)
    (y * ta.tensor([2.0, 3.0])).sum().backward()
    module, (grad_input,), (grad_output,) = seen[0]
    assert module is layer
    assert grad_output.tolist() == [2, 3]
    assert grad_input.equal(x.grad)
    assert x.grad.allclose((1 - y * y).detach() * ta.tensor([2.0, 3.0]).double())
    handle.remove()
    layer(x).sum().backward()
    assert len(seen) == 1
    x.grad = None
    layer.register_full_backward_hook(lambda m, inputs, outputs: (inputs[0] * 0 + 7,))
    layer(x).sum().backward()
    assert x.grad.tolist() == [7, 7]


def test_backward_hooks_of_a_module_with_several_results_or_without_leaves():
    seen = []
    layer = nn.GRU(2, 3)
    layer.register_full_backward_hook(lambda m, i, o: seen.append((i, o)))
    out, _ = layer(ta.ones(4, 1, 2))
    out.sum().backward()
    (grad_input, (grad_out, grad_h)) = seen[0]
    assert grad_input == (None,)
    assert grad_out.shape == out.shape
    assert grad_h is None
    with ta.no_grad():
        assert not layer(ta.ones(4, 1, 2))[0].requires_grad


def test_sparse_gradients_are_refused():
    for make in (
        lambda: nn.Embedding(3, 2, sparse=True),
        lambda: nn.Embedding.from_pretrained(ta.ones(3, 2), sparse=True),
    ):
        with pytest.raises(NotImplementedError, match="sparse"):
            make()


def test_backward_hooks_run_in_their_order_and_may_go_first():
    layer, seen = nn.Linear(2, 2), []
    for name, prepend in (("a", {}), ("b", {}), ("c", {"prepend": True})):
        layer.register_full_backward_hook(lambda *_, name=name: seen.append(name), **prepend)
    layer(leaf(1, 2).float()).sum().backward()
    assert seen == ["c", "a", "b"]


def test_a_backward_hook_gets_one_none_for_each_argument_without_a_gradient():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(ta.ones(2))

        def forward(self, x, y):
            return self.weight * x * y

    layer, seen = Weighted(), []
    layer.register_full_backward_hook(lambda module, inputs, outputs: seen.append(inputs))
    layer(ta.ones(2), ta.ones(2)).sum().backward()
    assert seen == [(None, None)]


def test_a_shallow_copy_has_backward_hooks_of_its_own():
    model, seen = nn.Identity(), []
    other = copy.copy(model)
    other.register_full_backward_hook(lambda *_: seen.append("other"))
    model(leaf(2)).sum().backward()
    assert seen == []
    other(leaf(2)).sum().backward()
    assert seen == ["other"]


def test_an_embedding_takes_a_table():
    table = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding(2, 2, padding_idx=0, _weight=table)
    assert layer(ta.tensor([1, 0])).tolist() == [[3, 4], [1, 2]]
    assert layer.weight.requires_grad
    assert not nn.Embedding(2, 2, _weight=table, _freeze=True).weight.requires_grad
    assert not nn.Embedding(2, 2, _freeze=True).weight.requires_grad
    assert nn.Embedding(2, 2).weight.requires_grad
    with pytest.raises(ValueError, match=r"_weight: expected shape \[3, 2\], got \[2, 2\]"):
        nn.Embedding(3, 2, _weight=table)


def test_a_module_is_converted_by_the_name_of_a_type():
    layer = nn.Linear(2, 2)
    assert layer.type(ta.float64) is layer
    assert layer.weight.dtype == ta.float64
    assert layer.type("torch.FloatTensor").weight.dtype == ta.float32
    assert layer.type(ta.DoubleTensor).weight.dtype == ta.float64


def test_the_name_of_the_class_of_a_module():
    assert nn.Linear(1, 1)._get_name() == "Linear"
