"""GRU, LSTM, RNN: their invariances, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .helpers import agree, array, parts, whole

KINDS = {
    "GRU": (nn.GRU, {}),
    "LSTM": (nn.LSTM, {}),
    "LSTM, projected": (nn.LSTM, {"proj_size": 1}),
    "RNN": (nn.RNN, {"nonlinearity": "relu"}),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def make(kind, *sizes, **options):
    cls, more = KINDS[kind]
    return cls(*sizes, **options, **more, dtype=ta.float64)


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
def test_a_layer_is_a_cell_at_every_step(backend, kind):
    layer = make(kind, 3, 4)
    cell = getattr(nn, f"{kind}Cell")(3, 4, dtype=ta.float64, **KINDS[kind][1])
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = ta.randn(5, 2, 3, dtype=ta.float64)
    states = [ta.randn(2, 4, dtype=ta.float64) for _ in parts(cell(x[0]))]
    output, last = layer(x, whole([s.unsqueeze(0) for s in states]))
    for t in range(5):
        states = parts(cell(x[t], whole(states)))
        agree(output[t], states[0])
    for one, other in zip(parts(last), states, strict=True):
        agree(one[0], other)
    first = whole([s[0] for s in states])
    agree(parts(cell(x[0, 0]))[0], parts(cell(x[0]))[0][0])
    agree(parts(cell(x[0, 0], first))[-1], parts(cell(x[0], whole(states)))[-1][0])


@kinds
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_in_a_packed_batch_every_sequence_is_as_if_alone(
    kind, lengths, layers, bidirectional, batch_first, first
):
    layer = make(kind, 3, 2, layers, batch_first=batch_first, bidirectional=bidirectional)
    B, T = len(lengths), max(lengths)
    x = ta.randn(B, T, 3, dtype=ta.float64)
    packed = pack_padded_sequence(
        x if batch_first else x.transpose(0, 1), lengths, batch_first, enforce_sorted=False
    )
    states = None
    if first:
        states = [ta.randn(*s.shape, dtype=ta.float64) for s in parts(layer(packed)[1])]
    output, last = layer(packed, whole(states) if first else None)
    output, found = pad_packed_sequence(output, batch_first=True)
    assert found.tolist() == lengths
    for b, n in enumerate(lengths):
        alone, ends = layer(x[b, :n], whole([s[:, b] for s in states]) if first else None)
        agree(output[b, :n], alone)
        for one, other in zip(parts(last), parts(ends), strict=True):
            agree(one[:, b], other)
        assert not array(output)[b, n:].any()


@kinds
def test_the_reverse_direction_reads_from_the_end(kind):
    layer, plain = make(kind, 3, 2, bidirectional=True), make(kind, 3, 2)
    plain.load_state_dict(
        {k.removesuffix("_reverse"): v for k, v in layer.state_dict().items() if "reverse" in k}
    )
    x = ta.randn(4, 2, 3, dtype=ta.float64)
    output, states = layer(x)
    backwards, last = plain(x.flip(0))
    agree(output[:, :, backwards.shape[2] :], backwards.flip(0))
    for one, other in zip(parts(states), parts(last), strict=True):
        agree(one[1:], other)


def test_forms_of_the_input_give_the_same():
    gru = nn.GRU(3, 2, num_layers=2, dtype=ta.float64)
    first = nn.GRU(3, 2, num_layers=2, batch_first=True, dtype=ta.float64)
    first.load_state_dict(gru.state_dict())
    x = ta.randn(4, 2, 3, dtype=ta.float64)
    output, h_n = gru(x)
    assert output.shape == (4, 2, 2)
    assert h_n.shape == (2, 2, 2)
    other, h_other = first(x.transpose(0, 1))
    agree(other.transpose(0, 1), output)
    agree(h_other, h_n)
    single, h_single = gru(x[:, 0])
    assert h_single.shape == (2, 2)
    agree(single, output[:, 0])
    agree(gru(x, ta.zeros(2, 2, 2, dtype=ta.float64))[0], output)
    agree(h_n[-1], output[-1])


def test_dropout_acts_between_layers_in_training_only():
    gru = nn.GRU(3, 8, num_layers=2, dropout=0.5)
    x = ta.randn(4, 2, 3)
    assert not np.array_equal(array(gru(x)[0]), array(gru(x)[0]))
    gru.eval()
    np.testing.assert_array_equal(array(gru(x)[0]), array(gru(x)[0]))
    with pytest.warns(UserWarning, match="dropout") as warned:
        nn.GRU(3, 8, dropout=0.5)
    assert warned[0].filename == __file__  # the line that makes the module
    one = nn.GRU(3, 8, num_layers=2, dropout=1.0)
    plain = nn.GRU(3, 8, num_layers=2)
    plain.load_state_dict(one.state_dict())
    first = nn.GRU(3, 8)
    first.load_state_dict({k: v for k, v in one.state_dict().items() if "l0" in k})
    np.testing.assert_array_equal(array(one(x)[1])[0], array(first(x)[1])[0])
    assert not np.allclose(array(one(x)[0]), array(plain(x)[0]))


GRU, CELL = nn.GRU(3, 4), nn.GRUCell(3, 4)
LSTM, LSTM_CELL = nn.LSTM(3, 4, proj_size=2), nn.LSTMCell(3, 4)
PACKED = pack_padded_sequence(ta.ones(3, 2, 5), [3, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GRU(ta.ones(3)), ValueError, "2D or 3D, got 1D"),
        (lambda: GRU(ta.ones(5, 2, 4)), RuntimeError, r"Expected 3, got 4 in shape \[5, 2, 4\]"),
        (lambda: GRU(ta.ones(0, 2, 3)), RuntimeError, "larger than 0"),
        (lambda: GRU(ta.ones(5, 2, 3).double()), ValueError, "does not match weight dtype"),
        (lambda: GRU(ta.ones(5, 2, 3), ta.ones(2, 4)), RuntimeError, "3-D but got 2-D"),
        (lambda: GRU(ta.ones(5, 3), ta.ones(1, 1, 4)), RuntimeError, "2-D but got 3-D"),
        (
            lambda: GRU(ta.ones(5, 2, 3), ta.ones(1, 3, 4)),
            RuntimeError,
            r"\(L\*d, B, H\) = \(1, 2, 4\), got \[1, 3, 4\]",
        ),
        (lambda: GRU(ta.ones(5, 3), ta.ones(2, 4)), RuntimeError, r"\(1, 4\), got \[2, 4\]"),
        (lambda: GRU(ta.ones(5, 3), ta.ones(1, 4).double()), ValueError, "hx: expected float32"),
        (lambda: GRU(PACKED), RuntimeError, "Expected 3, got 5"),
        (
            lambda: LSTM(ta.ones(5, 2, 3), (ta.ones(1, 2, 4), ta.ones(1, 2, 4))),
            RuntimeError,
            r"LSTM: h_0: .*\(L\*d, B, P\) = \(1, 2, 2\), got \[1, 2, 4\]",
        ),
        (
            lambda: LSTM(ta.ones(5, 2, 3), (ta.ones(1, 2, 2), ta.ones(1, 3, 4))),
            RuntimeError,
            r"LSTM: c_0: .*\(L\*d, B, H\) = \(1, 2, 4\), got \[1, 3, 4\]",
        ),
        (
            lambda: LSTM(ta.ones(5, 2, 3), (ta.ones(1, 2, 2), ta.ones(2, 4))),
            RuntimeError,
            "LSTM: c_0: For batched 3-D input, .* also be 3-D but got 2-D",
        ),
        (
            lambda: LSTM(ta.ones(5, 3), (ta.ones(1, 2),)),
            RuntimeError,
            r"LSTM: hx: expected two hidden states, \(h_0, c_0\), got 1",
        ),
        (
            lambda: LSTM_CELL(ta.ones(2, 3), (ta.ones(2, 4), ta.ones(3, 4))),
            RuntimeError,
            r"LSTMCell: c_0: expected \(B, H\) = \(2, 4\) for input \[2, 3\], got \[3, 4\]",
        ),
        (
            lambda: GRU(pack_padded_sequence(ta.ones(3, 2, 4, 3), [3, 2])),
            RuntimeError,
            "GRU: input must have 2 dimensions, got 3",
        ),
        (lambda: LSTM(ta.ones(5, 3), ta.ones(1, 4)), RuntimeError, "hx: expected .*, got Tensor"),
        (lambda: LSTM(ta.ones(5, 3), 3), TypeError, r"hx: expected \(h_0, c_0\), got int"),
        (
            lambda: nn.RNNCell(3, 4, nonlinearity="sin")(ta.ones(3)),
            RuntimeError,
            "RNNCell: Unknown nonlinearity: sin",
        ),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size: .*got 4"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "proj_size: .*for an LSTM"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "nonlinearity: .* got 'sin'"),
        (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias: should be of type bool, got int"),
        (lambda: CELL(ta.ones(1, 2, 3)), ValueError, "1D or 2D, got 3D"),
        (lambda: CELL(ta.ones(2, 4)), RuntimeError, "expected I = 3, got 4"),
        (lambda: CELL(ta.ones(2, 3), ta.ones(3, 4)), RuntimeError, r"\(B, H\) = \(2, 4\)"),
        (lambda: CELL(ta.ones(2, 3), ta.ones(4)), RuntimeError, r"\(B, H\) = \(2, 4\)"),
        (lambda: nn.GRU(0, 4), ValueError, "input_size: must be greater than zero"),
        (lambda: nn.GRU(3, 4.0), TypeError, "hidden_size: should be of type int, got float"),
        (lambda: nn.GRU(3, 4, num_layers=0), ValueError, "num_layers"),
        (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, r"dropout: .*\[0, 1\], got 1.5"),
        (lambda: nn.GRUCell(3, 0), ValueError, "hidden_size"),
        (lambda: nn.GRUCell(0, 4), ValueError, "input_size"),
        (lambda: nn.GRU(3, 4, batch_first=1), TypeError, "batch_first: should be of type bool"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_programs_ask_for_any_recurrent_layer_by_its_base():
    layers = [nn.GRU(2, 3), nn.LSTM(2, 3), nn.RNN(2, 3)]
    cells = [nn.GRUCell(2, 3), nn.LSTMCell(2, 3), nn.RNNCell(2, 3)]
    assert all(isinstance(layer, nn.RNNBase) for layer in layers)
    assert not any(isinstance(cell, nn.RNNBase) for cell in cells)
