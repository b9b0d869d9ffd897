"""ta.quantization: what a quantised model computes, how large its file is, what is refused."""

import copy
import os
import warnings

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.quantization import quantize_dynamic


def test_weights_are_rounded_row_by_row():
    layer = nn.Linear(3, 2)
    layer.weight.data = ta.tensor([[1.27, -0.5, 0.004], [0.0, 0.0, 0.0]])
    layer.bias.data = ta.tensor([1.0, 2.0])
    small = quantize_dynamic(layer)
    assert small.weight.tolist() == [[255, 78, 128], [128, 128, 128]]
    np.testing.assert_allclose(small.weight_scale.numpy(), [0.01, 0.0], rtol=1e-6)
    # The input 2.54, 1.0, 0.0 is 127, 50, 0 times 0.02.
    y = small(ta.tensor([2.54, 1.0, 0.0]))
    np.testing.assert_allclose(y.numpy(), [(127 * 127 - 50 * 50) * 0.0002 + 1, 2], rtol=1e-6)
    assert layer.weight.dtype == ta.float32  # the model itself is as it was


def test_an_embedding_gives_the_rows_of_the_rounded_table():
    table = nn.Embedding(3, 2, padding_idx=0)
    table.weight.data = ta.tensor([[0.0, 0.0], [1.27, 0.5], [-254.0, 1.2]])
    got = quantize_dynamic(table)(ta.tensor([[2, 0], [1, 1]]))
    want = [[[-254, 2], [0, 0]], [[1.27, 0.5], [1.27, 0.5]]]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)
    with pytest.raises(IndexError, match="index 3 is out of range for weight"):
        quantize_dynamic(table)(ta.tensor([3]))


def nearly(got, want, room=0.02):
    scale = want.detach().abs().max().item()
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=room * scale)


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"num_layers": 2, "bidirectional": True},
        {"batch_first": True},
    ],
)
def test_recurrent_layers_come_near_those_of_floats(backend, cell, options):
    rnn = cell(16, 24, **options)
    small = quantize_dynamic(rnn)
    x = ta.randn(5, 7, 16)
    (y, last), (want, want_last) = small(x), rnn(x)
    nearly(y, want)
    states = [s if isinstance(s, tuple) else (s,) for s in (last, want_last)]
    for got, state in zip(*states, strict=True):
        nearly(got, state)
    packed = nn.utils.rnn.pack_sequence([ta.randn(n, 16) for n in (6, 4, 4, 1)])
    (y, last), (want, want_last) = small(packed), rnn(packed)
    nearly(y.data, want.data)
    nearly(*(s[0] if isinstance(s, tuple) else s for s in (last, want_last)))
    assert repr(small) == f"Quantized{rnn!r}"


def steps_of(x):
    """x (N, K) with each row rounded to 127 steps, as the documentation says."""
    step = np.abs(x).max(axis=1, keepdims=True) / 127
    return np.rint(x / np.where(step > 0, step, 1)) * step


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM])
def test_recurrent_layers_are_their_formulas_with_rounded_numbers(backend, cell):
    rnn = cell(6, 5).double()
    small, x = quantize_dynamic(rnn), ta.randn(4, 3, 6, dtype=ta.float64)
    state = {name: value.numpy() for name, value in rnn.state_dict().items()}
    w_ih, w_hh = (steps_of(state[f"weight_{name}_l0"]) for name in ("ih", "hh"))
    h, c, want = np.zeros((3, 5)), np.zeros((3, 5)), []
    for row in x.numpy():
        a = steps_of(row) @ w_ih.T + state["bias_ih_l0"]
        b = steps_of(h) @ w_hh.T + state["bias_hh_l0"]
        if cell is nn.GRU:
            (r, z, n), (hr, hz, hn) = np.split(a, 3, 1), np.split(b, 3, 1)
            r, z = sigmoid(r + hr), sigmoid(z + hz)
            h = (1 - z) * np.tanh(n + r * hn) + z * h
        else:
            i, f, g, o = np.split(a + b, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        want.append(h)
    output, last = small(x)
    np.testing.assert_allclose(output.numpy(), want, rtol=1e-9, atol=1e-9)
    parts = last if isinstance(last, tuple) else (last,)
    for got, one in zip(parts, (h, c), strict=False):
        np.testing.assert_allclose(got.numpy()[0], one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"kdim": 10, "vdim": 6}, {"bias": False}])
def test_attention_comes_near_that_of_floats(backend, options):
    attention = nn.MultiheadAttention(16, 4, **options)
    small = quantize_dynamic(attention)
    query, key, value = ta.randn(5, 2, 16), ta.randn(7, 2, 16), ta.randn(7, 2, 16)
    if options.get("kdim"):
        key, value = key[..., :10], value[..., :6]
    else:
        nearly(small(query, query, query)[0], attention(query, query, query)[0], 0.03)
        nearly(small(query, key, key)[0], attention(query, key, key)[0], 0.03)
    got, want = small(query, key, value), attention(query, key, value)
    nearly(got[0], want[0], 0.03)
    nearly(got[1], want[1], 0.03)


def test_a_row_alone_gives_what_it_gives_in_a_batch():
    model = quantize_dynamic(nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)))
    x = ta.randn(6, 20) * ta.tensor([1e-3, 1, 1e3, 1, 0, 5])[:, None]
    alone = ta.cat([model(row[None]) for row in x])
    assert alone.tolist() == model(x).tolist()


def test_a_whole_transformer_becomes_small(tmp_path):
    model = nn.Transformer(64, 4, 1, 1, 128, batch_first=True).eval()
    small = quantize_dynamic(model)
    source, target = ta.randn(3, 6, 64), ta.randn(3, 5, 64)
    want, got = model(source, target), small(source, target)
    nearly(got, want, 0.06)
    files = tmp_path / "whole.safetensors", tmp_path / "small.safetensors"
    for path, one in zip(files, (model, small), strict=True):
        ta.save(one.state_dict(), path)
    assert os.path.getsize(files[1]) <= 0.3 * os.path.getsize(files[0])
    other = quantize_dynamic(nn.Transformer(64, 4, 1, 1, 128, batch_first=True)).eval()
    other.load_state_dict(ta.load(files[1]))
    assert other(source, target).tolist() == got.tolist()


def test_what_to_quantise_may_be_said():
    model = nn.Sequential(nn.Embedding(5, 4), nn.GRU(4, 4), nn.ModuleDict({"out": nn.Linear(4, 2)}))
    kinds = [type(m).__name__ for m in quantize_dynamic(model, {nn.GRU}).modules()]
    assert kinds == ["Sequential", "Embedding", "QuantizedGRU", "ModuleDict", "Linear"]
    kinds = [type(m).__name__ for m in quantize_dynamic(model, {"2.out", nn.Embedding}).modules()]
    assert kinds == ["Sequential", "QuantizedEmbedding", "GRU", "ModuleDict", "QuantizedLinear"]
    kept = quantize_dynamic(nn.MultiheadAttention(4, 2), {nn.Linear})
    assert type(kept.out_proj) is not type(quantize_dynamic(nn.Linear(2, 2)))
    x = ta.randn(3, 1, 4)
    assert kept(x, x, x)[0].shape == (3, 1, 4)


def test_inplace_changes_the_model_and_shared_modules_stay_shared():
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert quantize_dynamic(model, inplace=True) is model
    assert model[0] is model[2]
    assert type(model[0]).__name__ == "QuantizedLinear"
    assert quantize_dynamic(model)[0].weight.dtype == ta.uint8  # a second time changes nothing


def test_a_shared_weight_is_stored_once():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model[1].weight = model[0].weight
    small = quantize_dynamic(model)
    assert small[1].weight is small[0].weight
    assert small[1].weight_scale is small[0].weight_scale


def test_new_values_are_used_at_once():
    small, x = quantize_dynamic(nn.Linear(40, 30)), ta.randn(2, 40)
    small(x)
    other = quantize_dynamic(nn.Linear(40, 30))
    small.load_state_dict(other.state_dict())
    assert small(x).tolist() == other(x).tolist()
    small.weight.numpy()[...] = 128  # NumPy changes what it shares
    assert small(x).tolist() == small.bias.expand(2, 30).tolist()


def test_copies_and_float64():
    layer = nn.Linear(8, 3).double()
    small = copy.deepcopy(quantize_dynamic(layer))
    x = ta.randn(4, 8, dtype=ta.float64)
    assert small(x).dtype == ta.float64
    nearly(small(x), layer(x))
    with pytest.raises(TypeError, match="int8_linear: scale: expected float32"):
        small(x.float())


def test_a_quantised_layer_is_not_trained():
    small, x = quantize_dynamic(nn.Linear(4, 2)), ta.randn(1, 4, requires_grad=True)
    assert not [p for p in small.parameters() if p.requires_grad]
    with pytest.raises(RuntimeError, match="QuantizedLinear: a quantised layer has no gradient"):
        small(x).sum().backward()


def pruned():
    return nn.Sequential(nn.utils.prune.identity(nn.Linear(3, 2), "weight"))


def broken():
    model = nn.Sequential(nn.Linear(3, 2))
    with ta.no_grad():
        model[0].weight[0, 1] = ta.nan
    return model


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: quantize_dynamic(3), TypeError, "model: expected a Module, got int"),
        (lambda: quantize_dynamic(nn.Tanh(), nn.Linear), TypeError, "qconfig_spec: .* got type"),
        (lambda: quantize_dynamic(nn.Tanh(), "0"), TypeError, "qconfig_spec: .* got str"),
        (lambda: quantize_dynamic(nn.Tanh(), {"0"}), ValueError, "qconfig_spec: .*got '0'"),
        (lambda: quantize_dynamic(nn.Tanh(), {nn.Conv1d}), ValueError, "got <class .*Conv1d"),
        (lambda: quantize_dynamic(nn.Tanh(), dtype=ta.uint8), ValueError, "dtype: .*got uint8"),
        (lambda: quantize_dynamic(nn.Tanh(), mapping={}), ValueError, "mapping: expected None"),
        (lambda: quantize_dynamic(broken()), ValueError, "0.weight: expected finite numbers"),
        (lambda: quantize_dynamic(pruned(), inplace=True), ValueError, "0: .*prune.remove first"),
        (
            lambda: quantize_dynamic(nn.Sequential(nn.LSTM(3, 4, proj_size=2))),
            ValueError,
            "0: an LSTM with proj_size",
        ),
        (
            lambda: quantize_dynamic(nn.Linear(3, 2)).load_state_dict(nn.Linear(3, 2).state_dict()),
            RuntimeError,
            'Missing .*"weight_scale".\n\tThe model is quantised, .*: load it first',
        ),
        (
            lambda: nn.Linear(3, 2).load_state_dict(quantize_dynamic(nn.Linear(3, 2)).state_dict()),
            RuntimeError,
            'Unexpected .*"weight_scale".\n\tThe state_dict is of a quantised model: call',
        ),
        (lambda: quantize_dynamic(nn.Linear(3, 2))(ta.ones(2, 4)), ValueError, "int8_linear: "),
        (lambda: quantize_dynamic(nn.GRU(3, 2))(ta.ones(2, 1, 4)), RuntimeError, "Expected 3"),
    ],
)
def test_wrong_input_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_errors_are_no_larger_than_those_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for made, other in (
        (nn.Sequential(nn.Linear(64, 32)), torch.nn.Sequential(torch.nn.Linear(64, 32))),
        (nn.Sequential(nn.GRU(32, 32)), torch.nn.Sequential(torch.nn.GRU(32, 32))),
        (nn.Sequential(nn.LSTM(32, 32)), torch.nn.Sequential(torch.nn.LSTM(32, 32))),
    ):
        made.load_state_dict(other.state_dict())
        x = rng.normal(size=(6, 5, made[0].__dict__.get("in_features", 32))).astype(np.float32)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says which package follows
            small = torch.quantization.quantize_dynamic(other)
            want, got = (m(torch.from_numpy(x)) for m in (other, small))
        mine = quantize_dynamic(made)(ta.from_numpy(x))
        want, got, mine = (y[0] if isinstance(y, tuple) else y for y in (want, got, mine))
        want = want.numpy()
        ours.append(float(np.abs(mine.detach().numpy() - want).mean()))
        theirs.append(float(np.abs(got.numpy() - want).mean()))
    assert np.array(ours).shape == (3,)
    assert all(a <= b for a, b in zip(ours, theirs, strict=True)), (ours, theirs)


def test_a_module_and_a_weight_are_shared_at_any_depth():
    layer, table, top = nn.Linear(4, 3), nn.Embedding(3, 4), nn.Linear(4, 3)
    table.weight = top.weight
    model = nn.Sequential(nn.Sequential(layer), nn.Sequential(nn.Sequential(layer), table), top)
    small = quantize_dynamic(model)
    assert type(small[0][0]).__name__ == "QuantizedLinear"
    assert small[0][0] is small[1][0][0]
    assert small[1][1].weight is small[2].weight


def test_a_weight_that_is_not_finite_is_named_with_its_path():
    attention = nn.MultiheadAttention(4, 2)
    attention.out_proj.weight.data = ta.full((4, 4), float("nan"))
    with pytest.raises(ValueError, match=r"^out_proj\.weight: "):
        quantize_dynamic(attention)
    with pytest.raises(ValueError, match=r"^0\.1\.out_proj\.weight: "):
        quantize_dynamic(nn.Sequential(nn.Sequential(nn.Tanh(), attention)))
    with pytest.raises(
        ValueError, match="among Linear, Embedding, GRU, LSTM, MultiheadAttention, "
    ):
        quantize_dynamic(attention, {nn.Tanh})


@pytest.mark.parametrize("name", ["weight_v", "out_scale"])
def test_other_names_that_are_not_expected_say_nothing_of_a_quantised_model(name):
    state = {**nn.Linear(3, 2).state_dict(), name: ta.ones(1)}
    with pytest.raises(RuntimeError, match=name) as caught:
        nn.Linear(3, 2).load_state_dict(state)
    assert "quantised" not in str(caught.value)
