"""Every module passes the gradient check, in every backend where it has a kernel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

F64 = ta.float64


def randn(*shape):
    return ta.randn(*shape, dtype=F64, requires_grad=True)


def unordered(*shape):
    """Numbers that keep their distance from 0 and from each other."""
    values = np.random.default_rng(0).permutation(np.arange(1, np.prod(shape) + 1))
    signs = np.where(values % 2, 1, -1)
    return ta.tensor((signs * values / 7).reshape(shape), dtype=F64, requires_grad=True)


class Packed(nn.Module):
    """A recurrent module over a batch of unequal lengths, given and taken padded."""

    def __init__(self, lengths, kind=nn.GRU, **options):
        super().__init__()
        self.lengths = lengths
        self.rnn = kind(3, 2, dtype=F64, **options)

    def forward(self, x, *first):
        packed = pack_padded_sequence(x, self.lengths, enforce_sorted=False)
        output, h_n = self.rnn(packed, first if len(first) == 2 else first[0])
        return pad_packed_sequence(output)[0], h_n


class TwoSteps(nn.Module):
    """An LSTM cell by hand."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 2, dtype=F64)

    def forward(self, x, h, c):
        return self.cell(x[1], self.cell(x[0], (h, c)))


CASES = {
    "Linear": lambda: (nn.Linear(3, 4, dtype=F64), (randn(2, 5, 3),)),
    "Linear, one row, no bias": lambda: (nn.Linear(3, 4, bias=False, dtype=F64), (randn(3),)),
    "Linear, no rows": lambda: (nn.Linear(3, 4, dtype=F64), (randn(0, 3),)),
    "Embedding": lambda: (
        nn.Embedding(5, 3, padding_idx=2, dtype=F64),
        (ta.tensor([[1, 3, 1], [0, 3, 4]]),),
    ),
    "GRU": lambda: (nn.GRU(3, 2, dtype=F64), (randn(4, 2, 3), randn(1, 2, 2))),
    "GRU, batch first, no bias, no h0": lambda: (
        nn.GRU(3, 2, bias=False, batch_first=True, dtype=F64),
        (randn(2, 4, 3),),
    ),
    "GRU, two layers, two directions": lambda: (
        nn.GRU(3, 2, num_layers=2, bidirectional=True, dtype=F64),
        (randn(3, 2, 3), randn(4, 2, 2)),
    ),
    "GRU, unbatched": lambda: (nn.GRU(3, 2, dtype=F64), (randn(4, 3), randn(1, 2))),
    "GRU, packed": lambda: (
        Packed([2, 4, 1], num_layers=2, bidirectional=True),
        (randn(4, 3, 3), randn(4, 3, 2)),
    ),
    "LSTM": lambda: (nn.LSTM(3, 2, dtype=F64), (randn(4, 2, 3),)),
    "LSTM, packed": lambda: (
        Packed([2, 4, 1], nn.LSTM, num_layers=2, bidirectional=True),
        (randn(4, 3, 3), randn(4, 3, 2), randn(4, 3, 2)),
    ),
    "LSTM, packed, projected": lambda: (
        Packed([2, 4, 1], nn.LSTM, bidirectional=True, proj_size=1),
        (randn(4, 3, 3), randn(2, 3, 1), randn(2, 3, 2)),
    ),
    "RNN": lambda: (nn.RNN(3, 2, dtype=F64), (randn(4, 2, 3), randn(1, 2, 2))),
    "RNN, packed, relu": lambda: (
        Packed([2, 4, 1], nn.RNN, nonlinearity="relu", bidirectional=True),
        (randn(4, 3, 3), randn(2, 3, 2)),
    ),
    "LSTMCell": lambda: (TwoSteps(), (randn(2, 4, 3), randn(4, 2), randn(4, 2))),
    "RNNCell": lambda: (nn.RNNCell(3, 2, dtype=F64), (randn(4, 3), randn(4, 2))),
    "GRUCell": lambda: (nn.GRUCell(3, 2, dtype=F64), (randn(4, 3), randn(4, 2))),
    "GRUCell, unbatched": lambda: (nn.GRUCell(3, 2, dtype=F64), (randn(3), randn(2))),
    "LayerNorm": lambda: (nn.LayerNorm(4, dtype=F64), (randn(2, 3, 4),)),
    "LayerNorm, two axes": lambda: (nn.LayerNorm((3, 4), dtype=F64), (randn(2, 3, 4),)),
    "LayerNorm, plain": lambda: (nn.LayerNorm(4, elementwise_affine=False), (randn(3, 4),)),
    "Softmax": lambda: (nn.Softmax(dim=-1), (randn(2, 3, 4),)),
    "Softmax, first axis": lambda: (nn.Softmax(dim=0), (randn(3, 4),)),
    "LogSoftmax": lambda: (nn.LogSoftmax(dim=-1), (randn(3, 4),)),
    "CrossEntropyLoss": lambda: (
        nn.CrossEntropyLoss(
            ta.tensor([1.0, 2.0, 0.5, 1.0], dtype=F64), ignore_index=1, label_smoothing=0.1
        ),
        (randn(5, 4), ta.tensor([0, 1, 3, 2, 2])),
    ),
    "CrossEntropyLoss, none": lambda: (
        nn.CrossEntropyLoss(reduction="none"),
        (randn(3, 4), ta.tensor([0, 3, -100])),
    ),
    "NLLLoss": lambda: (
        nn.NLLLoss(ta.tensor([1.0, 2.0, 0.5], dtype=F64), ignore_index=1),
        (randn(4, 3), ta.tensor([0, 1, 2, 2])),
    ),
    "Tanh": lambda: (nn.Tanh(), (randn(3, 4),)),
    "Sigmoid": lambda: (nn.Sigmoid(), (randn(3, 4),)),
    "ReLU": lambda: (nn.ReLU(), (unordered(3, 4),)),
    "Dropout, evaluation": lambda: (
        nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.Tanh()).eval(),
        (randn(3, 4),),
    ),
    "Sequential": lambda: (
        nn.Sequential(nn.Linear(3, 4, dtype=F64), nn.Tanh(), nn.Linear(4, 2, dtype=F64)),
        (randn(5, 3),),
    ),
}


def test_the_row_of_padding_gets_no_gradient_though_it_is_used(backend):
    table = nn.Embedding(4, 2, padding_idx=1)
    table(ta.tensor([0, 1, 1, 2])).sum().backward()
    assert table.weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("case", CASES)
def test_module(case, backend):
    model, inputs = CASES[case]()
    assert ta.gradcheck_module(model, inputs)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=15)
def test_gru_of_any_size(T, B, size, hidden, bidirectional):
    gru = nn.GRU(size, hidden, bidirectional=bidirectional, dtype=F64)
    assert ta.gradcheck_module(gru, (randn(T, B, size),), samples=12)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans())
@settings(deadline=None, max_examples=15)
def test_packing_and_padding(lengths, batch_first):
    def there_and_back(*sequences):
        padded = pad_sequence(sequences, batch_first)
        packed = pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
        return packed.data, pad_packed_sequence(packed, batch_first)[0]

    assert ta.gradcheck(there_and_back, tuple(randn(n, 2) for n in lengths))
