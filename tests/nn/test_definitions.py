"""Every module of nn gives what its definition in NumPy gives, for every flag and without torch.

The definitions are in definitions.py. Numbers are float64, and parameters random, so that no bias,
norm or factor can be left out unseen. What is random itself is tested by what it keeps.
"""

import math

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import numbers
from tinyattn import nn
from tinyattn.nn.functional import dropout
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from . import definitions as d
from .helpers import agree, array, filled, parts, state, tensors, whole

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # of kl_div

F64 = ta.float64


# Activations


X = numbers((3, 4))
ACTIVATIONS = {
    "Tanh": (nn.Tanh, np.tanh),
    "Sigmoid": (nn.Sigmoid, d.sigmoid),
    "Softsign": (nn.Softsign, lambda x: x / (1 + abs(x))),
    "LogSigmoid": (nn.LogSigmoid, lambda x: np.log(d.sigmoid(x))),
    "ReLU": (nn.ReLU, d.relu),
    "LeakyReLU": (nn.LeakyReLU, lambda x: np.where(x > 0, x, 0.01 * x)),
    "LeakyReLU, 0.3": (lambda: nn.LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    "ELU": (nn.ELU, lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    "ELU, 2": (lambda: nn.ELU(2.0), lambda x: np.where(x > 0, x, 2 * (np.exp(x) - 1))),
    "SiLU": (nn.SiLU, lambda x: x * d.sigmoid(x)),
    "GELU": (nn.GELU, d.gelu),
    "GELU, tanh": (lambda: nn.GELU(approximate="tanh"), d.gelu_tanh),
    "Softplus": (nn.Softplus, lambda x: np.log(1 + np.exp(x))),
    "Softplus, 2, 0.5": (
        lambda: nn.Softplus(beta=2.0, threshold=0.5),
        lambda x: np.where(2 * x > 0.5, x, np.log(1 + np.exp(2 * x)) / 2),
    ),
    "GLU": (nn.GLU, lambda x: d.glu(x, 1)),
    "GLU, 0": (lambda: nn.GLU(dim=0), lambda x: d.glu(x, 0)),
    "Softmax, 0": (lambda: nn.Softmax(dim=0), lambda x: d.softmax(x, 0)),
    "Softmax, -1": (lambda: nn.Softmax(dim=-1), lambda x: d.softmax(x, 1)),
    "LogSoftmax, 0": (lambda: nn.LogSoftmax(dim=0), lambda x: np.log(d.softmax(x, 0))),
    "LogSoftmax, -1": (lambda: nn.LogSoftmax(dim=-1), lambda x: np.log(d.softmax(x, 1))),
    "Identity": (nn.Identity, lambda x: x),
}


@pytest.mark.parametrize("case", ACTIVATIONS)
def test_activations(case):
    made, definition = ACTIVATIONS[case]
    x = numbers((4, 6))
    agree(made()(ta.tensor(x)), definition(x))


def test_softplus_beyond_its_threshold_is_the_identity():
    x = np.array([19.9, 20.1, 21.0])
    agree(nn.Softplus()(ta.tensor(x)), [np.log1p(np.exp(19.9)), 20.1, 21.0], 1e-13)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU])
def test_inplace_writes_into_the_input_and_else_leaves_it(kind):
    x = ta.tensor(X)
    agree(kind()(x), ACTIVATIONS[kind.__name__][1](X))
    agree(x, X, 0)
    assert kind(inplace=True)(x) is x
    agree(x, ACTIVATIONS[kind.__name__][1](X))


# Linear maps, tables, windows, norms


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    module = filled(nn.Linear(4, 5, bias=bias))
    assert ("bias" in state(module)) == bias
    for x in (numbers((4,)), numbers((2, 3, 4))):
        agree(module(ta.tensor(x)), d.linear(x, state(module)))


def test_embedding():
    table = filled(nn.Embedding(5, 3))
    index = np.array([[1, 4], [0, 1]])
    agree(table(ta.tensor(index)), state(table)["weight"][index])
    assert table.padding_idx is None
    padded = nn.Embedding(5, 3, padding_idx=-2)
    agree(padded(ta.tensor([3])), np.zeros((1, 3)))
    assert all(padded.weight._array[[0, 1, 2, 4]].any(1))


@pytest.mark.parametrize(("norm_type", "order"), [({}, 2), ({"norm_type": 1.0}, 1)])
def test_embedding_shortens_the_rows_that_it_uses(norm_type, order):
    table = filled(nn.Embedding(4, 3, max_norm=0.5, **norm_type))
    before = state(table)["weight"].copy()
    norm = np.linalg.norm(before, order, axis=1, keepdims=True)
    shortened = before * np.minimum(1, 0.5 / norm)
    agree(table(ta.tensor([0, 2])), shortened[[0, 2]], 1e-6)
    agree(state(table)["weight"][[1, 3]], before[[1, 3]], 0)


@pytest.mark.parametrize("by_freq", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_the_gradient_of_an_embedding_counts_its_uses(by_freq, padding_idx):
    table = nn.Embedding(4, 1, padding_idx, scale_grad_by_freq=by_freq, dtype=F64)
    table(ta.tensor([0, 1, 1, 1, 2])).sum().backward()
    uses = np.array([1, 1, 1, 0]) if by_freq else np.array([1, 3, 1, 0])
    agree(table.weight.grad, (uses * (np.arange(4) != padding_idx))[:, None])


def test_an_embedding_of_a_given_table():
    rows = numbers((4, 3))
    frozen = nn.Embedding.from_pretrained(ta.tensor(rows))
    agree(frozen(ta.tensor([2])), rows[[2]], 0)
    assert not frozen.weight.requires_grad
    assert (frozen.num_embeddings, frozen.embedding_dim) == (4, 3)
    usual = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
    assert {name: getattr(frozen, name) for name in usual} == usual
    options = {"padding_idx": 1, "max_norm": 0.5, "norm_type": 1.0, "scale_grad_by_freq": True}
    learnt = nn.Embedding.from_pretrained(ta.tensor(rows), freeze=False, **options)
    assert learnt.weight.requires_grad
    assert {name: getattr(learnt, name) for name in options} == options
    agree(learnt.weight, rows, 0)  # also the row of padding: it was given


@pytest.mark.parametrize(("table", "got"), [([[1.0]], "<class 'list'>"), (ta.ones(3), r"\[3\]")])
def test_a_given_table_has_two_dimensions(table, got):
    with pytest.raises(ValueError, match=rf"embeddings: expected a 2-D tensor .*, got {got}"):
        nn.Embedding.from_pretrained(table)


@pytest.mark.parametrize("index", [4, -5])
def test_the_row_of_padding_is_one_of_the_table(index):
    with pytest.raises(ValueError, match=f"padding_idx: must be within .* = 4, got {index}"):
        nn.Embedding(4, 2, padding_idx=index)


CONVOLUTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 2},
    "valid": {"padding": "valid"},
    "same": {"padding": "same"},
    "same, even": {"padding": "same", "kernel_size": 2},
    "dilation": {"dilation": 2, "padding": 1},
    "groups": {"groups": 2},
    "no bias": {"bias": False},
    "reflect": {"padding": 2, "padding_mode": "reflect"},
    "replicate": {"padding": 2, "padding_mode": "replicate"},
    "circular": {"padding": 2, "padding_mode": "circular"},
    "same, circular": {"padding": "same", "padding_mode": "circular", "dilation": 2},
}
PADDING = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv1d(case):
    options = {"kernel_size": 3} | CONVOLUTIONS[case]
    module = filled(nn.Conv1d(4, 6, **options))
    w, x = state(module), numbers((2, 4, 9))
    assert ("bias" in w) == options.get("bias", True)
    before = after = options.get("padding", 0)
    if before == "valid":
        before = after = 0
    elif before == "same":
        total = options.get("dilation", 1) * (options["kernel_size"] - 1)
        before, after = total // 2, total - total // 2
    mode = PADDING[options.get("padding_mode", "zeros")]
    expected = [
        d.conv1d(
            np.pad(one, ((0, 0), (before, after)), mode),
            w,
            *(options.get(name, 1) for name in ("stride", "dilation", "groups")),
        )
        for one in x
    ]
    agree(module(ta.tensor(x)), np.stack(expected))
    agree(module(ta.tensor(x[0])), expected[0])


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("eps", [None, 0.3])
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"elementwise_affine": False}], ids=["plain", "no bias", "no"]
)
def test_layer_norm(shape, eps, options):
    module = filled(nn.LayerNorm(shape, **({"eps": eps} if eps else {}), **options))
    learnt = {(): {"weight", "bias"}, ("bias",): {"weight"}}.get(tuple(options), set())
    assert set(state(module)) == learnt
    x = numbers((2, 3, 4))
    expected = d.layer_norm(x, state(module), eps or 1e-5, len(shape))
    agree(module(ta.tensor(x)), expected)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("eps", [None, 0.3])
@pytest.mark.parametrize("affine", [True, False])
def test_rms_norm(shape, eps, affine):
    module = filled(nn.RMSNorm(shape, eps, affine))
    assert set(state(module)) == ({"weight"} if affine else set())
    x = numbers((2, 3, 4))
    expected = d.rms_norm(x, state(module), eps or np.finfo(float).eps, len(shape))
    agree(module(ta.tensor(x)), expected)


def test_rms_norm_of_small_numbers_needs_its_eps():
    x = 1e-4 * numbers((2, 4))
    module = nn.RMSNorm(4)
    expected = d.rms_norm(x, {}, np.finfo(np.float32).eps)
    agree(module(ta.tensor(x, dtype=ta.float32)), expected, 1e-5)


# Dropout


@pytest.mark.parametrize("p", [None, 0.2])
def test_dropout_keeps_elements_and_divides_them_by_their_share(p):
    module = nn.Dropout() if p is None else nn.Dropout(p)
    p = 0.5 if p is None else p
    x = 1 + abs(numbers((100, 100)))
    y = array(module(ta.tensor(x)))
    agree(y[y != 0], x[y != 0] / (1 - p))
    assert (y == 0).mean() == pytest.approx(p, abs=0.02)
    agree(module.eval()(ta.tensor(x)), x, 0)


@pytest.mark.parametrize("options", [{}, {"inplace": True}])
def test_dropout_writes_into_its_input_only_where_that_is_asked_for(options):
    x = ta.ones(100)
    y = nn.Dropout(**options)(x)
    assert (y is x) == bool(options)
    assert set(x.tolist()) == ({0.0, 2.0} if options else {1.0})


def test_dropout_of_nothing_and_of_all():
    x = numbers((3, 4))
    agree(nn.Dropout(0.0)(ta.tensor(x)), x, 0)
    agree(nn.Dropout(1.0)(ta.tensor(x)), 0 * x, 0)
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
            nn.Dropout(p)


# Losses


REDUCTIONS = ["mean", "sum", "none"]
LOSSES = {
    "MSELoss": (nn.MSELoss, {}, lambda a, b: (a - b) ** 2),
    "L1Loss": (nn.L1Loss, {}, lambda a, b: abs(a - b)),
    "SmoothL1Loss": (nn.SmoothL1Loss, {}, lambda a, b: d.smooth_l1(a - b, 1)),
    "SmoothL1Loss, 0.5": (nn.SmoothL1Loss, {"beta": 0.5}, lambda a, b: d.smooth_l1(a - b, 0.5)),
    "HuberLoss": (nn.HuberLoss, {}, lambda a, b: d.huber(a - b, 1)),
    "HuberLoss, 0.5": (nn.HuberLoss, {"delta": 0.5}, lambda a, b: d.huber(a - b, 0.5)),
    "KLDivLoss": (nn.KLDivLoss, {}, lambda a, b: d.softmax(b) * (np.log(d.softmax(b)) - a)),
    "KLDivLoss, log_target": (nn.KLDivLoss, {"log_target": True}, lambda a, b: np.exp(b) * (b - a)),
    "BCEWithLogitsLoss": (
        nn.BCEWithLogitsLoss,
        {},
        lambda a, b: d.binary_cross_entropy(a, d.sigmoid(b)),
    ),
}


@pytest.mark.parametrize("reduction", [None, *REDUCTIONS])
@pytest.mark.parametrize("case", LOSSES)
def test_losses_of_two_tensors(case, reduction):
    kind, options, definition = LOSSES[case]
    a, b = numbers((4, 5)), numbers((4, 5), 1)
    target = {"KLDivLoss": d.softmax, "BCEWithLogitsLoss": d.sigmoid}.get(case, lambda b: b)(b)
    if reduction is not None:
        options = options | {"reduction": reduction}
    expected = d.reduced(definition(a, b), reduction or "mean")
    agree(kind(**options)(*tensors(a, target)), expected)


def test_kl_divergence_of_a_batch():
    a, b = numbers((4, 5)), numbers((4, 5), 1)
    found = nn.KLDivLoss(reduction="batchmean", log_target=True)(*tensors(a, b))
    agree(found, (np.exp(b) * (b - a)).sum() / 4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [[], ["weight"], ["pos_weight"], ["weight", "pos_weight"]])
def test_weights_of_binary_cross_entropy(weighted, reduction):
    a, y = numbers((4, 5)), d.sigmoid(numbers((4, 5), 1))
    weights = {name: abs(numbers((5,), len(name))) for name in weighted}
    options = {name: ta.tensor(value) for name, value in weights.items()}
    found = nn.BCEWithLogitsLoss(reduction=reduction, **options)(*tensors(a, y))
    agree(found, d.reduced(d.binary_cross_entropy(a, y, **weights), reduction))


TARGET = np.array([0, 3, 2, 3, 1])
CLASSES = {
    "plain": {},
    "weight": {"weight": np.array([0.5, 2, 1, 3])},
    "ignore_index": {"ignore_index": 3},
    "all": {"weight": np.array([0.5, 2, 1, 3]), "ignore_index": 3},
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CLASSES)
@pytest.mark.parametrize("smoothing", [None, 0.0, 0.3])
def test_losses_of_classes(case, reduction, smoothing):
    options = {"reduction": reduction} | CLASSES[case]
    x = numbers((5, 4))
    target = np.where(np.arange(5) == 4, options.get("ignore_index", -100), TARGET)
    weight, ignored = options.get("weight", np.ones(4)), options.get("ignore_index", -100)
    if "weight" in options:
        options["weight"] = ta.tensor(weight)
    if smoothing is None:
        kind, expected = nn.NLLLoss, d.nll(x, target, weight, ignored, reduction)
    else:
        kind, options["label_smoothing"] = nn.CrossEntropyLoss, smoothing
        expected = d.cross_entropy(x, target, weight, ignored, reduction, smoothing)
    agree(kind(**options)(*tensors(x, target)), expected)


def test_losses_of_classes_by_default_are_means_without_smoothing():
    x, ones = numbers((5, 4)), np.ones(4)
    agree(nn.NLLLoss()(*tensors(x, TARGET)), d.nll(x, TARGET, ones, -100, "mean"))
    expected = d.cross_entropy(x, TARGET, ones, -100, "mean", 0)
    agree(nn.CrossEntropyLoss()(*tensors(x, TARGET)), expected)


# Recurrent modules


STEPS = {
    "GRU": (nn.GRU, {}, d.gru_step, [4]),
    "LSTM": (nn.LSTM, {}, d.lstm_step, [4, 4]),
    "LSTM, projected": (nn.LSTM, {"proj_size": 2}, d.lstm_step, [2, 4]),
    "RNN": (nn.RNN, {}, d.rnn_step, [4]),
    "RNN, relu": (nn.RNN, {"nonlinearity": "relu"}, lambda *a: d.rnn_step(*a, d.relu), [4]),
}
SHAPES = {
    "one layer": {},
    "no bias": {"bias": False},
    "two layers": {"num_layers": 2},
    "two directions": {"bidirectional": True},
    "both": {"num_layers": 2, "bidirectional": True},
}
LENGTHS = [2, 4, 1]


def recurrent_case(kind, shape, **more):
    """The module, its sequences, their first states and what the definition gives for each."""
    make, own, step, widths = STEPS[kind]
    options = own | SHAPES[shape]
    module = filled(make(3, 4, **options, **more))
    layers, directions = options.get("num_layers", 1), 1 + options.get("bidirectional", False)
    sequences = [numbers((n, 3), i) for i, n in enumerate(LENGTHS)]
    first = [numbers((layers * directions, 3, width), i) for i, width in enumerate(widths)]

    def define(x, states):
        return d.recurrent(step, x, states, state(module), layers, directions)

    expected = [define(x, [s[:, b] for s in first]) for b, x in enumerate(sequences)]
    return module, sequences, first, expected, define


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", STEPS)
def test_recurrent_modules(backend, kind, shape):
    module, sequences, first, expected, define = recurrent_case(kind, shape)
    assert any("bias" in name for name in state(module)) == (shape != "no bias")
    x, (output, last) = sequences[0], expected[0]
    found, states = module(ta.tensor(x), whole(tensors(*(s[:, 0] for s in first))))
    agree(found, output)
    for one, other in zip(parts(states), last, strict=True):
        agree(one, other)
    zeros = define(x, [0 * s[:, 0] for s in first])
    agree(module(ta.tensor(x))[0], zeros[0])
    same = np.stack([x, x], 1)
    agree(module(ta.tensor(same))[0], np.stack([zeros[0], zeros[0]], 1))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", STEPS)
def test_recurrent_modules_over_a_packed_batch(backend, kind, batch_first):
    module, sequences, first, expected, _ = recurrent_case(kind, "both", batch_first=batch_first)
    padded = np.full((3, 4, 3), 7.0)
    for b, x in enumerate(sequences):
        padded[b, : len(x)] = x
    packed = pack_padded_sequence(
        ta.tensor(padded if batch_first else padded.swapaxes(0, 1)),
        LENGTHS,
        batch_first,
        enforce_sorted=False,
    )
    output, states = module(packed, whole(tensors(*first)))
    output, lengths = pad_packed_sequence(output, batch_first=True)
    assert lengths.tolist() == LENGTHS
    for b, (wanted, last) in enumerate(expected):
        agree(output[b, : LENGTHS[b]], wanted)
        for one, other in zip(parts(states), last, strict=True):
            agree(one[:, b], other)


@pytest.mark.parametrize("kind", STEPS)
def test_batch_first_exchanges_batch_and_time(kind):
    module, *_, define = recurrent_case(kind, "one layer", batch_first=True)
    x, widths = numbers((2, 5, 3)), STEPS[kind][3]
    output, states = module(ta.tensor(x))
    for b in range(2):
        wanted, last = define(x[b], [np.zeros((1, width)) for width in widths])
        agree(output[b], wanted)
        for one, other in zip(parts(states), last, strict=True):
            agree(one[:, b], other)


def test_dropout_of_a_recurrent_module_acts_on_the_output_of_its_first_layer():
    gru = filled(nn.GRU(3, 4, num_layers=2, dropout=0.3))
    w, x = state(gru), numbers((5, 3))
    between, _ = d.recurrent(d.gru_step, x, [np.zeros((1, 4))], w)
    ta.manual_seed(1)
    found = gru(ta.tensor(x))[0]
    ta.manual_seed(1)
    between = array(dropout(ta.tensor(between), 0.3))
    second = {k.replace("l1", "l0"): v for k, v in w.items() if "l1" in k}
    agree(found, d.recurrent(d.gru_step, between, [np.zeros((1, 4))], second)[0])
    kept, _ = d.recurrent(d.gru_step, x, [np.zeros((2, 4))], w, layers=2)
    agree(gru.eval()(ta.tensor(x))[0], kept)


CELLS = {
    "GRUCell": (nn.GRUCell, {}, d.gru_step, 1),
    "LSTMCell": (nn.LSTMCell, {}, d.lstm_step, 2),
    "RNNCell": (nn.RNNCell, {}, d.rnn_step, 1),
    "RNNCell, relu": (
        nn.RNNCell,
        {"nonlinearity": "relu"},
        lambda *a: d.rnn_step(*a, d.relu),
        1,
    ),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_cells(backend, kind, bias):
    make, options, step, count = CELLS[kind]
    module = filled(make(3, 4, bias=bias, **options))
    w = state(module)
    assert ("bias_ih" in w) == ("bias_hh" in w) == bias
    x, first = numbers((2, 3)), [numbers((2, 4), i) for i in range(count)]
    found = parts(module(ta.tensor(x), whole(tensors(*first))))
    for b in range(2):
        for one, wanted in zip(found, step(x[b], [s[b] for s in first], w), strict=True):
            agree(one[b], wanted)
    alone = parts(module(ta.tensor(x[0])))
    for one, wanted in zip(alone, step(x[0], [np.zeros(4)] * count, w), strict=True):
        agree(one, wanted)


# Attention


B, Tq, Tk, E, h = 2, 3, 4, 6, 2
KINDS = {
    "plain": {},
    "no bias": {"bias": False},
    "own widths": {"kdim": 5, "vdim": 7},
    "own width of keys": {"kdim": 5},
    "own width of values": {"vdim": 7},
    "own widths, no bias": {"kdim": 5, "vdim": 7, "bias": False},
    "bias_kv": {"add_bias_kv": True},
    "zeros": {"add_zero_attn": True},
    "bias_kv and zeros": {"add_bias_kv": True, "add_zero_attn": True},
}
IGNORED = np.array([[False, False, False, True], [False, True, True, True]])
BEHIND = np.triu(np.ones((Tq, Tk), bool), 2)
MASKS = {
    "none": {},
    "padding": {"key_padding_mask": IGNORED},
    "float padding": {"key_padding_mask": numbers((B, Tk))},
    "bool": {"attn_mask": BEHIND},
    "float": {"attn_mask": numbers((Tq, Tk))},
    "bool of heads": {"attn_mask": numbers((B * h, Tq, Tk)) > 0.8},
    "float of heads": {"attn_mask": numbers((B * h, Tq, Tk))},
    "bool and padding": {"attn_mask": BEHIND, "key_padding_mask": IGNORED},
    "float and padding": {"attn_mask": numbers((Tq, Tk)), "key_padding_mask": IGNORED},
    "both float": {"attn_mask": numbers((Tq, Tk)), "key_padding_mask": numbers((B, Tk))},
}


def added(b, key_padding_mask=None, attn_mask=None):
    """What the masks add to the scores of batch item b: it broadcasts to (h, Tq, Tk)."""
    masks = []
    if key_padding_mask is not None:
        masks.append(key_padding_mask[b])
    if attn_mask is not None:
        masks.append(attn_mask if attn_mask.ndim == 2 else attn_mask[b * h : (b + 1) * h])
    return sum((np.where(m, -np.inf, 0.0) if m.dtype == bool else m for m in masks), np.zeros(1))


def in_batch(arrays, batch_first):
    """Sequences (T, E) as one batch."""
    return ta.tensor(np.stack(arrays, 0 if batch_first else 1))


def out_of_batch(x, batch_first):
    return array(x) if batch_first else array(x).swapaxes(0, 1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention(kind, mask, batch_first):
    options = KINDS[kind]
    module = filled(nn.MultiheadAttention(E, h, batch_first=batch_first, **options))
    w = state(module)
    assert ("in_proj_bias" in w) == ("out_proj.bias" in w) == options.get("bias", True)
    sizes = E, options.get("kdim", E), options.get("vdim", E)
    q, k, v = (
        [numbers((T, size), 10 * b + i) for b in range(B)]
        for i, (T, size) in enumerate(zip((Tq, Tk, Tk), sizes, strict=True))
    )
    given = [in_batch(x, batch_first) for x in (q, k, v)]
    masks = {name: ta.tensor(value) for name, value in MASKS[mask].items()}
    output, mean = module(*given, **masks)
    heads = module(*given, average_attn_weights=False, **masks)[1]
    quick, nothing = module(*given, need_weights=False, **masks)
    assert nothing is None
    zero_attn = options.get("add_zero_attn", False)
    for b in range(B):
        wanted, weights = d.multihead_attention(
            q[b], k[b], v[b], w, h, added(b, **MASKS[mask]), zero_attn
        )
        agree(out_of_batch(output, batch_first)[b], wanted)
        agree(out_of_batch(quick, batch_first)[b], wanted)
        agree(mean[b], weights.mean(0))
        agree(heads[b], weights)


@pytest.mark.parametrize("batch_first", [True, False])
def test_what_is_the_same_tensor_is_projected_once_to_the_same_numbers(batch_first):
    module = filled(nn.MultiheadAttention(E, h, batch_first=batch_first))
    x, y = numbers((Tq, E)), numbers((Tk, E))
    one, other = tensors(x, y)
    w = state(module)
    agree(module(one, one, one)[0], d.multihead_attention(x, x, x, w, h)[0])
    agree(module(one, other, other)[0], d.multihead_attention(x, y, y, w, h)[0])
    padding = np.array([False, True, False, False])
    found, weights = module(one, other, other, ta.tensor(padding))
    wanted, of_heads = d.multihead_attention(x, y, y, w, h, np.where(padding, -np.inf, 0))
    agree(found, wanted)
    agree(weights, of_heads.mean(0))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_is_causal_is_the_causal_mask(need_weights, padded):
    module = filled(nn.MultiheadAttention(E, h, batch_first=True))
    x = [numbers((Tk, E), b) for b in range(B)]
    causal = np.triu(np.ones((Tk, Tk), bool), 1)
    masks = {"attn_mask": causal} | ({"key_padding_mask": IGNORED} if padded else {})
    given = {name: ta.tensor(value) for name, value in masks.items()}
    t = in_batch(x, True)
    found, _ = module(t, t, t, need_weights=need_weights, is_causal=True, **given)
    for b in range(B):
        wanted, _ = d.multihead_attention(x[b], x[b], x[b], state(module), h, added(b, **masks))
        agree(found[b], wanted)


def test_dropout_of_attention_acts_on_the_weights_in_training_only():
    module = filled(nn.MultiheadAttention(E, h, dropout=0.2))
    x = numbers((40, E))
    (t,) = tensors(x)
    wanted, weights = d.multihead_attention(x, x, x, state(module), h)
    found = array(module(t, t, t, average_attn_weights=False)[1])
    assert (found == 0).mean() == pytest.approx(0.2, abs=0.03)
    agree(found[found != 0], (weights / 0.8)[found != 0])
    module.eval()
    agree(module(t, t, t)[0], wanted)
    agree(module(t, t, t, need_weights=False)[0], wanted)


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [
        ("dot", {}, 1),
        ("scaled_dot", {}, 1),
        ("general", {}, 1),
        ("general", {"key_size": 3}, 1),
        ("additive", {}, 1),
        ("additive", {"key_size": 3, "hidden_size": 7}, 1),
        ("additive", {"bias": False}, 1),
        ("cosine", {"temperature": 0.1}, 10),
        ("neg_sq_distance", {"scale": 0.5}, 0.5),
        ("geometric_mean", {}, 1),
    ],
)
def test_attention_by_any_score(name, options, scale):
    module = filled(nn.Attention(name, E, **options))
    w = state(module)
    q, k, v = numbers((Tq, E)), numbers((Tk, options.get("key_size", E))), numbers((Tk, 3), 1)
    allowed = np.array([True, False, True, True])
    s = d.score(name, q, k, w, scale)
    for mask, weights in (
        (None, d.softmax(s)),
        (allowed, d.softmax(np.where(allowed, s, -np.inf))),
    ):
        given = [*tensors(q, k, v), None if mask is None else ta.tensor(mask)]
        agree(module(*given), weights @ v)
        output, found = module(*given, need_weights=True)
        agree(output, weights @ v)
        agree(found, weights)


def test_dropout_of_attention_by_any_score():
    module = nn.Attention(dropout=0.2)
    q, k = numbers((40, E)), numbers((50, E))
    weights = d.softmax(d.score("scaled_dot", q, k, {}))
    found = array(module(*tensors(q, k, k), need_weights=True)[1])
    assert (found == 0).mean() == pytest.approx(0.2, abs=0.03)
    agree(found[found != 0], (weights / 0.8)[found != 0])
    agree(module.eval()(*tensors(q, k, k)), weights @ k)


# The Transformer


LAYERS = {
    "plain": ({}, {}),
    "norm first": ({"norm_first": True}, {"norm_first": True}),
    "gelu": ({"activation": "gelu"}, {"activation": d.gelu}),
    "a function": ({"activation": ta.tanh}, {"activation": np.tanh}),
    "no bias": ({"bias": False}, {}),
    "eps": ({"layer_norm_eps": 0.3}, {"eps": 0.3}),
    "eps, norm first": (
        {"layer_norm_eps": 0.3, "norm_first": True},
        {"eps": 0.3, "norm_first": True},
    ),
}
S, T = 4, 3
SOURCE = [numbers((S, E), b) for b in range(B)]
TARGETS = [numbers((T, E), b + 5) for b in range(B)]
LATER = np.triu(np.ones((T, T), bool), 1)
SOURCE_MASKS = {"attn_mask": numbers((S, S)), "key_padding_mask": IGNORED}
TARGET_MASKS = {
    "attn_mask": LATER,
    "key_padding_mask": np.array([[False, False, False], [False, True, False]]),
}
MEMORY_MASKS = {"attn_mask": numbers((T, S), 1), "key_padding_mask": IGNORED[::-1].copy()}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("case", LAYERS)
def test_encoder_layer(case, masked, batch_first):
    options, defined = LAYERS[case]
    module = nn.TransformerEncoderLayer(E, h, 5, dropout=0.0, batch_first=batch_first, **options)
    w = state(filled(module))
    assert any("bias" in name for name in w) == options.get("bias", True)
    masks = SOURCE_MASKS if masked else {}
    given = {f"src_{name.replace('attn_', '')}": ta.tensor(m) for name, m in masks.items()}
    found = module(in_batch(SOURCE, batch_first), **given)
    for b, x in enumerate(SOURCE):
        wanted = d.encoder_layer(x, w, h, added(b, **masks), **defined)
        agree(out_of_batch(found, batch_first)[b], wanted)


def decoder_masks(masked):
    """All five masks, each another one, as the module takes them and by batch item."""
    if not masked:
        return {}, lambda b: (0.0, 0.0)
    given = {
        "tgt_mask": LATER,
        "memory_mask": MEMORY_MASKS["attn_mask"],
        "tgt_key_padding_mask": TARGET_MASKS["key_padding_mask"],
        "memory_key_padding_mask": MEMORY_MASKS["key_padding_mask"],
    }
    return (
        {name: ta.tensor(mask) for name, mask in given.items()},
        lambda b: (added(b, **TARGET_MASKS), added(b, **MEMORY_MASKS)),
    )


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("case", LAYERS)
def test_decoder_layer(case, masked, batch_first):
    options, defined = LAYERS[case]
    module = nn.TransformerDecoderLayer(E, h, 5, dropout=0.0, batch_first=batch_first, **options)
    w = state(filled(module))
    assert any("bias" in name for name in w) == options.get("bias", True)
    given, of_item = decoder_masks(masked)
    found = module(in_batch(TARGETS, batch_first), in_batch(SOURCE, batch_first), **given)
    for b in range(B):
        wanted = d.decoder_layer(TARGETS[b], SOURCE[b], w, h, *of_item(b), **defined)
        agree(out_of_batch(found, batch_first)[b], wanted)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("lost", ["dropout", "dropout1", "dropout2", "dropout3"])
def test_each_dropout_of_a_layer_has_its_place(lost, norm_first):
    x, y = SOURCE[0], TARGETS[0]
    options = {"dropout": 0.0, "norm_first": norm_first}
    encoder = filled(nn.TransformerEncoderLayer(E, h, 5, **options))
    decoder = filled(nn.TransformerDecoderLayer(E, h, 5, **options))
    for module in (encoder, decoder):
        if hasattr(module, lost):
            getattr(module, lost).p = 1.0
    order = {"norm_first": norm_first, "lost": [lost]}
    agree(encoder(ta.tensor(x)), d.encoder_layer(x, state(encoder), h, **order))
    wanted = d.decoder_layer(y, x, state(decoder), h, **order)
    agree(decoder(*tensors(y, x)), wanted)


def test_every_dropout_of_a_layer_has_the_given_probability():
    for kind in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer):
        for options, p in (({}, 0.1), ({"dropout": 0.3}, 0.3)):
            module = kind(E, h, 5, **options)
            inside = [m for m in module.modules() if isinstance(m, nn.Dropout)]
            assert {m.p for m in inside} == {p}
            assert module.self_attn.dropout == p
            assert getattr(module, "multihead_attn", module.self_attn).dropout == p


@pytest.mark.parametrize("is_causal", [None, True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_stacks_of_layers(norm, is_causal):
    def final():
        return nn.LayerNorm(E) if norm else None

    mask = np.triu(np.ones((S, S), bool), 1)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, h, 5, 0.0), 3, final())
    w = state(filled(encoder))
    causal = np.where(mask, -np.inf, 0)
    found = encoder(ta.tensor(SOURCE[0]), ta.tensor(mask), is_causal=is_causal)
    agree(found, d.encoder(SOURCE[0], w, 3, h, causal))
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, h, 5, 0.0), 2, final())
    w = state(filled(decoder))
    x, memory, hidden = TARGETS[0], SOURCE[0], numbers((T, S))
    given = {"tgt_mask": ta.tensor(LATER), "memory_mask": ta.tensor(hidden)}
    found = decoder(*tensors(x, memory), tgt_is_causal=is_causal, **given)
    agree(found, d.decoder(x, memory, w, 2, h, np.where(LATER, -np.inf, 0), hidden))


@pytest.mark.parametrize("float_mask", [True, False])
def test_a_mask_that_only_looks_causal_is_read(float_mask):
    """Whether a mask is the causal one is found out, and another one is not taken for it."""
    mask = np.triu(np.ones((S, S), bool), 1)
    mask[2, 1] = True
    hidden = np.where(mask, -np.inf, 0)
    encoder = filled(nn.TransformerEncoder(nn.TransformerEncoderLayer(E, h, 5, 0.0), 1))
    found = encoder(ta.tensor(SOURCE[0]), ta.tensor(hidden if float_mask else mask))
    agree(found, d.encoder(SOURCE[0], state(encoder), 1, h, hidden))


def test_a_mask_that_is_nowhere_the_causal_one_is_read():
    mask = numbers((S, S))
    encoder = filled(nn.TransformerEncoder(nn.TransformerEncoderLayer(E, h, 5, 0.0), 1))
    found = encoder(*tensors(SOURCE[0], mask))
    agree(found, d.encoder(SOURCE[0], state(encoder), 1, h, mask))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("case", LAYERS)
def test_transformer(case, batch_first):
    options, defined = LAYERS[case]
    module = nn.Transformer(
        E,
        h,
        num_encoder_layers=1,
        num_decoder_layers=2,
        dim_feedforward=5,
        dropout=0.0,
        batch_first=batch_first,
        **options,
    )
    w = state(filled(module))
    given, of_item = decoder_masks(True)
    given |= {
        "src_mask": ta.tensor(SOURCE_MASKS["attn_mask"]),
        "src_key_padding_mask": ta.tensor(SOURCE_MASKS["key_padding_mask"]),
    }
    found = module(in_batch(SOURCE, batch_first), in_batch(TARGETS, batch_first), **given)
    for b in range(B):
        memory = d.encoder(
            SOURCE[b], d.under(w, "encoder."), 1, h, added(b, **SOURCE_MASKS), **defined
        )
        own = d.under(w, "decoder.")
        wanted = d.decoder(TARGETS[b], memory, own, 2, h, *of_item(b), **defined)
        agree(out_of_batch(found, batch_first)[b], wanted)


def test_the_causal_mask_hides_later_steps():
    expected = [[0, -math.inf, -math.inf], [0, 0, -math.inf], [0, 0, 0]]
    assert nn.Transformer.generate_square_subsequent_mask(3).tolist() == expected


def test_a_transformer_of_given_stacks():
    class Twice(nn.Module):
        def forward(self, x, *args, **masks):
            return x * 2

    module = filled(nn.Transformer(E, h, 1, 1, 5, 0.0, custom_encoder=Twice()))
    own = d.under(state(module), "decoder.")
    wanted = d.decoder(TARGETS[0], SOURCE[0] * 2, own, 1, h)
    agree(module(*tensors(SOURCE[0], TARGETS[0])), wanted)
    module = nn.Transformer(E, h, 1, 1, 5, 0.0, custom_decoder=Twice(), dtype=F64)
    agree(module(*tensors(SOURCE[0], TARGETS[0])), TARGETS[0] * 2)


# Positions


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("options", [{}, {"base": 50.0}])
@pytest.mark.parametrize("start", [0, 3])
def test_sinusoidal_positions(start, options, batch_first):
    module = nn.SinusoidalPositions(E, batch_first, **options)
    found = module(in_batch(SOURCE, batch_first), start)
    for b, x in enumerate(SOURCE):
        wanted = x + d.sinusoids(S, E, start, **options)
        agree(out_of_batch(found, batch_first)[b], wanted)
    agree(module(ta.tensor(SOURCE[0])), SOURCE[0] + d.sinusoids(S, E, 0, **options))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("start", [0, 3])
def test_learned_positions(start, batch_first):
    module = filled(nn.LearnedPositions(8, E, batch_first))
    found = module(in_batch(SOURCE, batch_first), start)
    for b, x in enumerate(SOURCE):
        wanted = x + state(module)["weight"][start : start + S]
        agree(out_of_batch(found, batch_first)[b], wanted)


@pytest.mark.parametrize("options", [{}, {"base": 50.0}, {"interleaved": False}])
@pytest.mark.parametrize("start", [0, 3])
def test_rotary_positions(start, options):
    x = numbers((B, S, E))
    found = nn.RotaryPositions(**options)(ta.tensor(x), start)
    agree(found, np.stack([d.rotary(one, start, **options) for one in x]))
    agree(nn.apply_rotary(ta.tensor(x), start, **options), array(found), 0)


# Containers


def test_containers_call_in_the_given_order():
    first, second = filled(nn.Linear(4, 4)), filled(nn.Linear(4, 4))
    x = numbers((2, 4))
    wanted = d.linear(np.tanh(d.linear(x, state(first))), state(second))
    model = nn.Sequential(first, nn.Tanh(), second)
    agree(model(ta.tensor(x)), wanted)
    y = ta.tensor(x)
    for layer in nn.ModuleList([first, nn.Tanh(), second]):
        y = layer(y)
    agree(y, wanted)
    assert nn.ModuleDict({"a": second, "b": first})["b"] is first
