"""Modules against PyTorch's, from the same weights: values, gradients, texts, keys, errors."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import nn

from .helpers import agree, twins

torch = pytest.importorskip("torch", reason="PyTorch is not installed: no comparison with it")

MODULES = {
    "Linear": ("Linear", (3, 4), {}, (2, 5, 3)),
    "Linear, no bias": ("Linear", (3, 4), {"bias": False}, (3,)),
    "LayerNorm": ("LayerNorm", ((3, 4),), {"eps": 1e-3}, (2, 3, 4)),
    "LayerNorm, no bias": ("LayerNorm", (4,), {"bias": False}, (2, 4)),
    "LayerNorm, plain": ("LayerNorm", (4,), {"elementwise_affine": False}, (2, 4)),
    "RMSNorm": ("RMSNorm", ((3, 4),), {}, (2, 3, 4)),
    "RMSNorm, plain": ("RMSNorm", (4,), {"eps": 0.1, "elementwise_affine": False}, (2, 4)),
    "Conv1d": ("Conv1d", (3, 4, 2), {}, (2, 3, 5)),
    "Conv1d, groups": (
        "Conv1d",
        (4, 6, 3),
        {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "bias": False},
        (2, 4, 7),
    ),
    "Conv1d, same": ("Conv1d", (3, 4, 4), {"padding": "same", "dilation": 2}, (3, 7)),
    "Conv1d, reflect": ("Conv1d", (3, 4, 3), {"padding": 2, "padding_mode": "reflect"}, (3, 7)),
    "Conv1d, circular": (
        "Conv1d",
        (3, 4, 2),
        {"padding": "same", "padding_mode": "circular"},
        (1, 3, 7),
    ),
    "Conv1d, valid": (
        "Conv1d",
        (3, 4, 2),
        {"padding": "valid", "padding_mode": "replicate"},
        (1, 3, 7),
    ),
    "Softmax": ("Softmax", (), {"dim": 1}, (2, 3, 4)),
    "LogSoftmax": ("LogSoftmax", (), {"dim": -1}, (2, 3, 4)),
    "Tanh": ("Tanh", (), {}, (3, 4)),
    "Sigmoid": ("Sigmoid", (), {}, (3, 4)),
    "ReLU": ("ReLU", (), {}, (3, 4)),
    "LeakyReLU": ("LeakyReLU", (), {}, (3, 4)),
    "LeakyReLU, steep": ("LeakyReLU", (0.2,), {}, (3, 4)),
    "ELU": ("ELU", (1.5,), {}, (3, 4)),
    "SiLU": ("SiLU", (), {}, (3, 4)),
    "GELU": ("GELU", (), {}, (3, 4)),
    "GELU, tanh": ("GELU", (), {"approximate": "tanh"}, (3, 4)),
    "Softplus": ("Softplus", (), {}, (3, 4)),
    "Softplus, beta": ("Softplus", (2, 1), {}, (3, 4)),
    "GLU": ("GLU", (), {}, (3, 4)),
    "GLU, dim": ("GLU", (1,), {}, (2, 4, 3)),
    "Softsign": ("Softsign", (), {}, (3, 4)),
    "LogSigmoid": ("LogSigmoid", (), {}, (3, 4)),
    "Dropout": ("Dropout", (0.3,), {}, (3, 4)),
    "Identity": ("Identity", (3,), {"any": 1}, (3, 4)),
}


def pair(name, *args, **options):
    """The module in both libraries with the same weights, in evaluation."""
    ours, theirs = twins(torch, name, *args, **options)
    return ours.eval(), theirs.eval()


def both(array, grad=True):
    array = np.asarray(array)
    grad = grad and array.dtype.kind == "f"
    return (
        ta.tensor(array, requires_grad=grad),
        torch.tensor(array, requires_grad=grad),
    )


def same(ours, theirs, tolerance=1e-12):
    assert str(theirs.dtype) == f"torch.{ours.dtype}"
    agree(ours, theirs, tolerance)


def same_gradients(ours, theirs, outputs, inputs, tolerance=1e-12):
    """Backward from random cotangents; gradients of inputs and parameters agree."""
    rng = np.random.default_rng(1)
    losses = [0, 0]
    for mine, other in outputs:
        cotangent = rng.standard_normal(tuple(mine.shape)).astype(mine.dtype)
        losses[0] = losses[0] + (mine * ta.tensor(cotangent)).sum()
        losses[1] = losses[1] + (other * torch.tensor(cotangent)).sum()
    for loss in losses:
        loss.backward()
    for mine, other in inputs:
        same(mine.grad, other.grad, tolerance)
    for (name, mine), (key, other) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == key
        same(mine.grad, other.grad, tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", MODULES)
def test_module(case, dtype):
    name, args, options, shape = MODULES[case]
    ours, theirs = pair(name, *args, dtype=dtype, **options)
    assert repr(ours) == repr(theirs)
    x, y = both(np.random.default_rng(0).standard_normal(shape).astype(dtype))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    outputs = [(ours(x), theirs(y))]
    same(*outputs[0], tolerance)
    same_gradients(ours, theirs, outputs, [(x, y)], tolerance)


@pytest.mark.parametrize("padding_idx", [None, 0, -2])
def test_embedding(padding_idx):
    ours, theirs = pair("Embedding", 6, 3, padding_idx=padding_idx)
    assert repr(ours) == repr(theirs)
    x, y = both(np.array([[0, 1, 5], [4, 1, 0]]))
    outputs = [(ours(x), theirs(y))]
    same(*outputs[0])
    same_gradients(ours, theirs, outputs, [])
    table = np.eye(3)
    mine = nn.Embedding.from_pretrained(ta.tensor(table))
    other = torch.nn.Embedding.from_pretrained(torch.tensor(table))
    assert repr(mine) == repr(other)
    assert mine.weight.requires_grad == other.weight.requires_grad


WEIGHT = np.array([0.5, 1.0, 2.0, 0.0, 1.5])


@pytest.mark.parametrize(
    ("name", "extra"),
    [("CrossEntropyLoss", {}), ("CrossEntropyLoss", {"label_smoothing": 0.1}), ("NLLLoss", {})],
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_losses(name, extra, reduction, weighted, ignore_index):
    options = {"ignore_index": ignore_index, "reduction": reduction, **extra}
    ours = getattr(nn, name)(ta.tensor(WEIGHT) if weighted else None, **options)
    theirs = getattr(torch.nn, name)(torch.tensor(WEIGHT) if weighted else None, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    x, y = both(rng.standard_normal((7, 5)))
    target = rng.integers(0, 5, 7)
    target[:3] = 2, ignore_index, 1
    outputs = [(ours(x, ta.tensor(target)), theirs(y, torch.tensor(target)))]
    same(*outputs[0])
    same_gradients(ours, theirs, outputs, [(x, y)])


POINTWISE = {
    "MSELoss": {},
    "L1Loss": {},
    "SmoothL1Loss": {"beta": 0.5},
    "HuberLoss": {"delta": 0.5},
    "BCEWithLogitsLoss": {},
    "KLDivLoss": {},
    "KLDivLoss, log": {"log_target": True},
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("case", POINTWISE)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_pointwise_losses(case, reduction):
    name, options = case.split(",")[0], POINTWISE[case] | {"reduction": reduction}
    if reduction == "batchmean" and name != "KLDivLoss":
        return
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    inputs = [both(rng.uniform(0.1, 0.9, (3, 4))) for _ in range(2)]
    outputs = [(ours(*(x for x, _ in inputs)), theirs(*(y for _, y in inputs)))]
    same(*outputs[0])
    same_gradients(ours, theirs, outputs, inputs)


def test_weights_of_binary_cross_entropy_are_buffers():
    weight, positive = np.array([0.5, 2.0]), np.array([1.5, 3.0])
    ours = nn.BCEWithLogitsLoss(ta.tensor(weight), pos_weight=ta.tensor(positive))
    theirs = torch.nn.BCEWithLogitsLoss(torch.tensor(weight), pos_weight=torch.tensor(positive))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    (x, y), (t, s) = both(np.array([[1.0, -1], [2, 0]])), both(np.array([[1.0, 0], [0.5, 1]]))
    outputs = [(ours(x, t), theirs(y, s))]
    same(*outputs[0])
    same_gradients(ours, theirs, outputs, [(x, y), (t, s)])


@pytest.mark.parametrize(
    ("name", "args"), [("ReLU", ()), ("SiLU", ()), ("ELU", (2,)), ("LeakyReLU", (0.1,))]
)
def test_activations_in_place(name, args):
    ours, theirs = getattr(nn, name)(*args, inplace=True), getattr(torch.nn, name)(*args, True)
    assert repr(ours) == repr(theirs)
    x = ta.tensor([-1.0, 2.0])
    assert ours(x) is x
    same(x, theirs(torch.tensor([-1.0, 2.0])), 1e-6)


RECURRENT = {
    "GRU": {},
    "LSTM": {},
    "LSTM, projected": {"proj_size": 2},
    "RNN": {},
    "RNN, relu": {"nonlinearity": "relu"},
}


@pytest.mark.parametrize("case", RECURRENT)
@pytest.mark.parametrize("form", ["padded", "packed", "unbatched"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("bias", "batch_first"), [(True, False), (False, True)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_recurrent(case, form, layers, bias, batch_first, bidirectional, first):
    name = case.split(",")[0]
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    ours, theirs = pair(name, 3, 4, layers, **options, **RECURRENT[case])
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    B, T, D = 4, 5, layers * (1 + bidirectional)
    batch = () if form == "unbatched" else (B,)
    shape = (T, 3) if form == "unbatched" else (B, T, 3) if batch_first else (T, B, 3)
    inputs = [both(rng.standard_normal(shape))]
    if first:
        widths = [RECURRENT[case].get("proj_size", 4), 4][: 1 + (name == "LSTM")]
        inputs += [both(rng.standard_normal((D, *batch, width))) for width in widths]
    x, y = ([column[side] for column in inputs] for side in (0, 1))
    if first and name == "LSTM":
        x[1:], y[1:] = [tuple(x[1:])], [tuple(y[1:])]
    if form == "packed":
        lengths = [2, 5, 1, 4]
        pack = (lengths, batch_first, False)
        x[0] = nn.utils.rnn.pack_padded_sequence(x[0], *pack)
        y[0] = torch.nn.utils.rnn.pack_padded_sequence(y[0], *pack)
    (out, h), (out_, h_) = ours(*x), theirs(*y)
    outputs = list(zip(h, h_, strict=True)) if name == "LSTM" else [(h, h_)]
    if form == "packed":
        for mine, other in zip(out, out_, strict=True):
            same(mine, other)
        padded = nn.utils.rnn.pad_packed_sequence(out, batch_first, 0.5, 7)
        padded_ = torch.nn.utils.rnn.pad_packed_sequence(out_, batch_first, 0.5, 7)
        same(padded[1], padded_[1])
        outputs.append((padded[0], padded_[0]))
    else:
        outputs.append((out, out_))
    for mine, other in outputs:
        same(mine, other)
    same_gradients(ours, theirs, outputs, inputs)


@pytest.mark.parametrize("case", ["GRU", "LSTM", "RNN", "RNN, relu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (5,)])
@pytest.mark.parametrize("first", [False, True])
def test_recurrent_cell(case, bias, batch, first):
    name = case.split(",")[0]
    ours, theirs = pair(f"{name}Cell", 3, 4, bias=bias, **RECURRENT[case])
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    inputs = [both(rng.standard_normal((*batch, 3)))]
    if first:
        inputs += [both(rng.standard_normal((*batch, 4))) for _ in range(1 + (name == "LSTM"))]
    x, y = ([column[side] for column in inputs] for side in (0, 1))
    if name == "LSTM":
        arguments = ([z[0], tuple(z[1:])] if first else z for z in (x, y))
        mine, other = next(arguments), next(arguments)
        outputs = list(zip(ours(*mine), theirs(*other), strict=True))
    else:
        outputs = [(ours(*x), theirs(*y))]
    for pairs in outputs:
        same(*pairs)
    same_gradients(ours, theirs, outputs, inputs)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.booleans(), st.booleans())
@settings(deadline=None)
def test_packing(lengths, batch_first, enforce_sorted):
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    rng = np.random.default_rng(0)
    sequences = [both(rng.standard_normal((n, 2))) for n in lengths]
    padded = [
        library.nn.utils.rnn.pad_sequence([s[i] for s in sequences], batch_first, 0.5)
        for i, library in enumerate((ta, torch))
    ]
    same(*padded)
    ours = nn.utils.rnn.pack_padded_sequence(padded[0], lengths, batch_first, enforce_sorted)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(
        padded[1], lengths, batch_first, enforce_sorted
    )
    assert ours._fields == theirs._fields
    for mine, other in zip(ours, theirs, strict=True):
        if other is None:
            assert mine is None
        else:
            same(mine, other)


def test_texts_of_whole_models():
    def build(nn):
        return nn.Sequential(
            OrderedDict(
                embed=nn.Embedding(10, 4, padding_idx=0),
                layers=nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)]),
                heads=nn.ModuleDict({"a": nn.Sequential(nn.Tanh(), nn.ReLU()), "b": nn.GRU(2, 3)}),
                empty=nn.ModuleList(),
                deep=nn.ModuleList(
                    [nn.Sequential(nn.Linear(1, 1)), nn.Sequential(nn.Linear(1, 1))]
                ),
                rnn=nn.GRU(2, 3, 2, bias=False, batch_first=True, dropout=0.1, bidirectional=True),
                deep_rnn=nn.LSTM(2, 3, 2, dropout=0.2, proj_size=2),
                plain=nn.RNN(2, 3, 1, "relu", False),
                cells=nn.ModuleList([nn.LSTMCell(2, 3, False), nn.RNNCell(2, 3, True, "relu")]),
                norm=nn.LayerNorm(2),
                loss=nn.CrossEntropyLoss(),
            )
        )

    assert repr(build(nn)) == repr(build(torch.nn))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(1, 2)
            self.missing = None
            self.add_module("none", None)

        def extra_repr(self):
            return "two\nlines"

    class TheirModel(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(1, 2)
            self.missing = None
            self.add_module("none", None)

        def extra_repr(self):
            return "two\nlines"

    assert repr(Model()) == repr(TheirModel()).replace("TheirModel", "Model")


def test_init_formulas_draw_from_the_same_distributions():
    torch.manual_seed(0)
    for name, options in (
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("orthogonal_", {"gain": 2.0}),
    ):
        ours = getattr(nn.init, name)(ta.zeros(200, 300), **options).numpy()
        theirs = getattr(torch.nn.init, name)(torch.zeros(200, 300), **options).numpy()
        quantiles = np.linspace(0.05, 0.95, 25)
        np.testing.assert_allclose(
            np.quantile(ours, quantiles), np.quantile(theirs, quantiles), atol=0.05 * theirs.std()
        )
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping(norm_type, max_norm):
    rng = np.random.default_rng(0)
    pairs = [both(rng.standard_normal(shape)) for shape in ((3, 4), (5,))]
    for mine, other in pairs:
        grad = rng.standard_normal(mine.shape)
        mine.grad, other.grad = ta.tensor(grad), torch.tensor(grad)
    norms = [
        library.nn.utils.clip_grad_norm_([p[i] for p in pairs], max_norm, norm_type)
        for i, library in enumerate((ta, torch))
    ]
    same(*norms)
    for mine, other in pairs:
        same(mine.grad, other.grad)
    for i, library in enumerate((ta, torch)):
        library.nn.utils.clip_grad_value_([p[i] for p in pairs], 0.1)
    for mine, other in pairs:
        same(mine.grad, other.grad)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib: lib.nn.GRU(3, 4)(lib.ones(2, 2)),
        lambda lib: lib.nn.GRU(3, 4)(lib.ones(2, 2, 3), lib.ones(1, 3, 4)),
        lambda lib: lib.nn.GRU(3, 4)(lib.ones(2, 2, 3), lib.ones(2, 4)),
        lambda lib: lib.nn.GRU(3, 4)(lib.ones(2, 2, 3).double()),
        lambda lib: lib.nn.GRU(3, 4)(lib.ones(3)),
        lambda lib: lib.nn.GRU(3, 0),
        lambda lib: lib.nn.GRU(3.0, 4),
        lambda lib: lib.nn.GRU(3, 4, proj_size=2),
        lambda lib: lib.nn.GRU(3, 4, bias=1),
        lambda lib: lib.nn.RNN(3, 4, 1, "gelu"),
        lambda lib: lib.nn.RNN(3, 4)(lib.ones(2, 2, 3), lib.ones(1, 3, 4)),
        lambda lib: lib.nn.RNN(3, 4)(lib.ones(2)),
        lambda lib: lib.nn.LSTM(3, 4, proj_size=4),
        lambda lib: lib.nn.LSTM(3, 4, proj_size=-1),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(3)),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), (lib.ones(1, 2, 4), lib.ones(1, 3, 4))),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), (lib.ones(1, 3, 4), lib.ones(1, 2, 4))),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), (lib.ones(1, 2, 4), lib.ones(2, 4))),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 3), (lib.ones(1, 2, 4), lib.ones(1, 4))),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), lib.ones(2, 2, 4)),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), [lib.ones(1, 2, 4)] * 3),
        lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3).double()),
        lambda lib: lib.nn.LSTMCell(3, 4)(lib.ones(1, 1, 3)),
        lambda lib: lib.nn.LSTMCell(3, 4)(lib.ones(2, 3), (lib.ones(2, 4), lib.ones(3, 4))),
        lambda lib: lib.nn.LSTMCell(3, 4)(lib.ones(2, 3), (lib.ones(2, 4), lib.ones(1, 2, 4))),
        lambda lib: lib.nn.RNNCell(3, 4, nonlinearity="gelu")(lib.ones(2, 3)),
        lambda lib: lib.nn.RNNCell(3, 4)(lib.ones(2, 3), lib.ones(1, 2, 4)),
        lambda lib: lib.nn.GRUCell(3, 4)(lib.ones(1, 1, 3)),
        lambda lib: lib.nn.GRUCell(3, 4)(lib.ones(2, 3), lib.ones(3, 4)),
        lambda lib: lib.nn.Dropout(1.5),
        lambda lib: lib.nn.Linear(2, 2)(lib.ones(3)),
        lambda lib: lib.nn.ModuleList([lib.nn.Tanh()])[1],
        lambda lib: lib.nn.Sequential(3),
        lambda lib: lib.nn.Linear(2, 2).load_state_dict({}),
        lambda lib: lib.nn.Linear(2, 2).get_parameter("scale"),
        lambda lib: setattr(lib.nn.Linear(2, 2), "weight", lib.ones(2, 2)),
        lambda lib: lib.nn.Module().register_buffer("training", None),
        lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2), [1, 2]),
        lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2), [2, 0]),
        lambda lib: lib.nn.init.xavier_uniform_(lib.ones(3)),
    ],
)
def test_errors_are_of_the_same_kind(wrong):
    with pytest.raises(Exception) as theirs:
        wrong(torch)
    with pytest.raises(theirs.type):
        wrong(ta)
