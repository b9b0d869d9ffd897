"""The GRU: its definition, its invariances, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def array(tensor):
    return tensor.detach().numpy()


def close(x, y):
    np.testing.assert_allclose(array(x), array(y), rtol=1e-10, atol=1e-12)


def test_a_cell_is_the_formula(backend):
    cell = nn.GRUCell(3, 4, dtype=ta.float64)
    x, h = ta.randn(2, 3, dtype=ta.float64), ta.randn(2, 4, dtype=ta.float64)
    w, u, b, c = (p._array for p in cell.parameters())
    gi, gh = array(x) @ w.T + b, array(h) @ u.T + c
    r, z = (1 / (1 + np.exp(-gi[:, s] - gh[:, s])) for s in (slice(0, 4), slice(4, 8)))
    n = np.tanh(gi[:, 8:] + r * gh[:, 8:])
    np.testing.assert_allclose(array(cell(x, h)), (1 - z) * n + z * array(h), rtol=1e-12)


def test_a_layer_is_a_cell_at_every_step(backend):
    gru = nn.GRU(3, 4, dtype=ta.float64)
    cell = nn.GRUCell(3, 4, dtype=ta.float64)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in gru.state_dict().items()})
    x = ta.randn(5, 2, 3, dtype=ta.float64)
    h = ta.randn(2, 4, dtype=ta.float64)
    output, last = gru(x, h.unsqueeze(0))
    for t in range(5):
        h = cell(x[t], h)
        close(output[t], h)
    close(last[0], h)
    close(cell(x[0, 0]), cell(x[0])[0])
    close(cell(x[0, 0], h[0]), cell(x[0], h)[0])


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_in_a_packed_batch_every_sequence_is_as_if_alone(
    lengths, layers, bidirectional, batch_first, first
):
    gru = nn.GRU(3, 2, layers, True, batch_first, bidirectional=bidirectional, dtype=ta.float64)
    B, T, D = len(lengths), max(lengths), layers * (1 + bidirectional)
    x = ta.randn(B, T, 3, dtype=ta.float64)
    h0 = ta.randn(D, B, 2, dtype=ta.float64) if first else None
    packed = pack_padded_sequence(
        x if batch_first else x.transpose(0, 1), lengths, batch_first, enforce_sorted=False
    )
    output, h_n = gru(packed, h0)
    output, found = pad_packed_sequence(output, batch_first=True)
    assert found.tolist() == lengths
    for b, n in enumerate(lengths):
        alone, last = gru(x[b, :n], None if h0 is None else h0[:, b])
        close(output[b, :n], alone)
        close(h_n[:, b], last)
        assert not array(output)[b, n:].any()


def test_the_reverse_direction_reads_from_the_end():
    gru = nn.GRU(3, 2, bidirectional=True, dtype=ta.float64)
    plain = nn.GRU(3, 2, dtype=ta.float64)
    plain.load_state_dict(
        {k.removesuffix("_reverse"): v for k, v in gru.state_dict().items() if "reverse" in k}
    )
    x = ta.randn(4, 2, 3, dtype=ta.float64)
    output, h_n = gru(x)
    backwards, last = plain(x.flip(0))
    close(output[:, :, 2:], backwards.flip(0))
    close(h_n[1:], last)


def test_forms_of_the_input_give_the_same():
    gru = nn.GRU(3, 2, num_layers=2, dtype=ta.float64)
    first = nn.GRU(3, 2, num_layers=2, batch_first=True, dtype=ta.float64)
    first.load_state_dict(gru.state_dict())
    x = ta.randn(4, 2, 3, dtype=ta.float64)
    output, h_n = gru(x)
    assert output.shape == (4, 2, 2)
    assert h_n.shape == (2, 2, 2)
    other, h_other = first(x.transpose(0, 1))
    close(other.transpose(0, 1), output)
    close(h_other, h_n)
    single, h_single = gru(x[:, 0])
    assert h_single.shape == (2, 2)
    close(single, output[:, 0])
    close(gru(x, ta.zeros(2, 2, 2, dtype=ta.float64))[0], output)
    close(h_n[-1], output[-1])


def test_dropout_acts_between_layers_in_training_only():
    gru = nn.GRU(3, 8, num_layers=2, dropout=0.5)
    x = ta.randn(4, 2, 3)
    assert not np.array_equal(array(gru(x)[0]), array(gru(x)[0]))
    gru.eval()
    np.testing.assert_array_equal(array(gru(x)[0]), array(gru(x)[0]))
    with pytest.warns(UserWarning, match="dropout"):
        nn.GRU(3, 8, dropout=0.5)
    one = nn.GRU(3, 8, num_layers=2, dropout=1.0)
    plain = nn.GRU(3, 8, num_layers=2)
    plain.load_state_dict(one.state_dict())
    first = nn.GRU(3, 8)
    first.load_state_dict({k: v for k, v in one.state_dict().items() if "l0" in k})
    np.testing.assert_array_equal(array(one(x)[1])[0], array(first(x)[1])[0])
    assert not np.allclose(array(one(x)[0]), array(plain(x)[0]))


GRU, CELL = nn.GRU(3, 4), nn.GRUCell(3, 4)
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
        (lambda: CELL(ta.ones(1, 2, 3)), ValueError, "1D or 2D, got 3D"),
        (lambda: CELL(ta.ones(2, 4)), RuntimeError, "expected I = 3, got 4"),
        (lambda: CELL(ta.ones(2, 3), ta.ones(3, 4)), RuntimeError, r"\(B, H\) = \(2, 4\)"),
        (lambda: CELL(ta.ones(2, 3), ta.ones(4)), RuntimeError, r"\(B, H\) = \(2, 4\)"),
        (lambda: nn.GRU(0, 4), ValueError, "input_size: must be greater than zero"),
        (lambda: nn.GRU(3, 4.0), TypeError, "hidden_size: should be of type int, got float"),
        (lambda: nn.GRU(3, 4, num_layers=0), ValueError, "num_layers"),
        (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, r"dropout: .*\[0, 1\], got 1.5"),
        (lambda: nn.GRUCell(3, 0), ValueError, "hidden_size"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
