"""One recurrent layer over packed rows: PyTorch's numbers, differences, every backend.

CELLS lists the layers, LENGTHS batches of sequences by their lengths, longest first; all tests draw
from the two.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn.ops.recurrent import GRULayer, LSTMLayer, gru_layer, lstm_layer, rnn_layer

I, H = 2, 3  # noqa: E741
CELLS = {  # the layer, its gates, its states
    "gru": (gru_layer, 3, 1),
    "lstm": (lstm_layer, 4, 2),
    "rnn_tanh": (rnn_layer, 1, 1),
    "rnn_relu": (partial(rnn_layer, nonlinearity="relu"), 1, 1),
}
LENGTHS = [(1,), (3,), (3, 2, 1), (2, 2), (4, 1, 1), (1, 1, 1)]


def sizes_of(lengths):
    """How many sequences reach each step."""
    return np.array([sum(n > t for n in lengths) for t in range(max(lengths))], np.int64)


def inputs(cell, lengths, seed=0, bias=True, width=I, hidden=H):
    _, gates, states = CELLS[cell]
    rng, G = np.random.default_rng(seed), gates * hidden
    shapes = [(sum(lengths), width)] + [(len(lengths), hidden)] * states
    shapes += [(G, width), (G, hidden)] + [(G,)] * 2 * bias
    return [rng.standard_normal(shape) for shape in shapes]


def leaves(arrays):
    return [ta.tensor(a, requires_grad=True) for a in arrays]


@pytest.fixture(params=CELLS, scope="module")
def cell(request):
    return request.param


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_gradients_match_differences(backend, cell, lengths, reverse):
    def case(*tensors):
        return CELLS[cell][0](*tensors, batch_sizes=sizes_of(lengths), reverse=reverse)

    assert ta.gradcheck(case, tuple(leaves(inputs(cell, lengths))))


@pytest.mark.parametrize("output", [0, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_of_one_output_match_differences(backend, cell, output, bias):
    layer, _, states = CELLS[cell]

    def case(*tensors):
        return layer(*tensors, batch_sizes=sizes_of((3, 1)))[min(output, states)]

    assert ta.gradcheck(case, tuple(leaves(inputs(cell, (3, 1), bias=bias))))


@pytest.mark.parametrize("frozen", range(7))
def test_an_input_without_gradient_gets_none(cell, frozen):
    tensors = leaves(inputs(cell, (3, 1)))
    frozen = min(frozen, len(tensors) - 1)
    tensors[frozen].requires_grad_(False)
    outputs = CELLS[cell][0](*tensors, batch_sizes=sizes_of((3, 1)))
    sum(x.sum() for x in outputs).backward()
    assert [x.grad is None for x in tensors] == [i == frozen for i in range(len(tensors))]


def one_step(cell, gx, gh, h, c=None):
    """The new states, in operations that have their own tests."""
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = gx.chunk(3), gh.chunk(3)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        return [(1 - z) * (xn + r * hn).tanh() + z * h]
    if cell == "lstm":
        i, f, g, o = (gx + gh).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return [o.sigmoid() * c.tanh(), c]
    return [(gx + gh).tanh() if cell == "rnn_tanh" else (gx + gh).relu()]


def by_hand(cell, x, *rest):
    """One sequence, one step after the other: its outputs and the last states."""
    *states, w_ih, w_hh, b_ih, b_hh = rest
    outputs = []
    for t in range(len(x)):
        states = one_step(cell, w_ih @ x[t] + b_ih, w_hh @ states[0] + b_hh, *states)
        outputs.append(states[0])
    return ta.stack(outputs), *states


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_each_sequence_is_run_as_if_alone(backend, cell, lengths, reverse):
    layer, _, states = CELLS[cell]
    x, *rest = (ta.tensor(a) for a in inputs(cell, lengths))
    first, weights = rest[:states], rest[states:]
    sizes = sizes_of(lengths)
    starts = np.cumsum(sizes) - sizes
    y, *last = layer(x, *rest, batch_sizes=sizes, reverse=reverse)
    for b, length in enumerate(lengths):
        rows = [int(starts[t]) + b for t in range(length)][:: -1 if reverse else 1]
        alone = by_hand(cell, x[rows], *(state[b] for state in first), *weights)
        for mine, other in zip((y[rows], *(s[b] for s in last)), alone, strict=True):
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    bias=st.booleans(),
    hidden=st.integers(1, 5),
    seed=st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
def test_values_and_gradients_as_in_torch(torch, cell, dtype, lengths, bias, hidden, seed):
    layer, _, states = CELLS[cell]
    lengths = tuple(sorted(lengths, reverse=True))
    arrays = [a.astype(dtype) for a in inputs(cell, lengths, seed, bias, hidden=hidden)]
    ours = leaves(arrays)
    y, *last = layer(*ours, batch_sizes=sizes_of(lengths))
    (y.sum() + sum((h * h).sum() for h in last)).backward()

    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    x, *rest = theirs
    first, weights = [h[None] for h in rest[:states]], rest[states:]
    sizes = torch.tensor(sizes_of(lengths))
    expected, *ends = getattr(torch._VF, cell)(
        x, sizes, first if states == 2 else first[0], weights, bias, 1, 0.0, False, False
    )
    (expected.sum() + sum((h * h).sum() for h in ends)).backward()

    tolerance = (
        {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-14}
    )
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), **tolerance)
    for mine, reference in zip(last, ends, strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), reference[0].detach().numpy(), **tolerance
        )
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), reference.grad.numpy(), **tolerance)


def test_backward_of_a_reversed_batch_is_forward_of_its_mirror(backend, cell):
    x, *rest = (ta.tensor(a) for a in inputs(cell, (3, 3)))
    sizes = sizes_of((3, 3))
    mirror = [4, 5, 2, 3, 0, 1]
    y, *states = CELLS[cell][0](x, *rest, batch_sizes=sizes, reverse=True)
    z, *last = CELLS[cell][0](x[mirror], *rest, batch_sizes=sizes)
    for mine, other in zip((y[mirror], *states), (z, *last), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-12)


def test_saturated_gates_stay_finite(backend, cell):
    tensors = leaves([a * 1e4 for a in inputs(cell, (3, 2))])
    outputs = CELLS[cell][0](*tensors, batch_sizes=sizes_of((3, 2)))
    sum(x.sum() for x in outputs).backward()
    assert all(ta.isfinite(x).all() for x in outputs)
    assert all(ta.isfinite(x.grad).all() for x in tensors)


def test_both_halves_run_by_hand():
    f = GRULayer()
    zeros = np.zeros
    y, h = f.forward(
        zeros((1, 1)),
        np.ones((1, 1)),
        zeros((3, 1)),
        zeros((3, 1)),
        None,
        None,
        sizes_of((1,)),
        False,
    )
    assert y.tolist() == h.tolist() == [[0.5]]
    dh0 = f.backward(np.ones((1, 1)), None)[1]
    assert dh0.tolist() == [[0.5]]


def test_both_halves_of_an_lstm_run_by_hand():
    f = LSTMLayer()
    zeros, one = np.zeros, np.ones((1, 1))
    weights = zeros((4, 1)), zeros((4, 1)), None, None
    y, h, c = f.forward(zeros((1, 1)), one, *weights, one, sizes_of((1,)), False)
    assert c.tolist() == [[0.5]]  # half of the past stays, and the candidate is 0
    assert y.tolist() == h.tolist() == [[pytest.approx(np.tanh(0.5) / 2)]]
    dc0 = f.backward(None, None, one)[-1]
    assert dc0.tolist() == [[0.5]]
