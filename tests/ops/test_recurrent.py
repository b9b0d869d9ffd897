"""One GRU layer over packed rows: PyTorch's numbers, differences, every backend.

LENGTHS lists batches of sequences by their lengths, longest first; all tests draw from it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn.ops.recurrent import GRULayer, gru_layer

I, H = 2, 3  # noqa: E741
LENGTHS = [(1,), (3,), (3, 2, 1), (2, 2), (4, 1, 1), (1, 1, 1)]


def sizes_of(lengths):
    """How many sequences reach each step."""
    return np.array([sum(n > t for n in lengths) for t in range(max(lengths))], np.int64)


def inputs(lengths, seed=0, bias=True, width=I, hidden=H):
    rng = np.random.default_rng(seed)
    shapes = [(sum(lengths), width), (len(lengths), hidden), (3 * hidden, width)]
    shapes += [(3 * hidden, hidden)] + [(3 * hidden,)] * 2 * bias
    return [rng.standard_normal(shape) for shape in shapes]


def leaves(arrays):
    return [ta.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_gradients_match_differences(backend, lengths, reverse):
    def case(*tensors):
        return gru_layer(*tensors, batch_sizes=sizes_of(lengths), reverse=reverse)

    assert ta.gradcheck(case, tuple(leaves(inputs(lengths))))


@pytest.mark.parametrize("output", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_of_one_output_match_differences(backend, output, bias):
    def case(*tensors):
        return gru_layer(*tensors, batch_sizes=sizes_of((3, 1)))[output]

    assert ta.gradcheck(case, tuple(leaves(inputs((3, 1), bias=bias))))


@pytest.mark.parametrize("frozen", range(6))
def test_an_input_without_gradient_gets_none(backend, frozen):
    tensors = leaves(inputs((3, 1)))
    tensors[frozen].requires_grad_(False)
    y, h = gru_layer(*tensors, batch_sizes=sizes_of((3, 1)))
    (y.sum() + h.sum()).backward()
    assert [x.grad is None for x in tensors] == [i == frozen for i in range(6)]


def by_hand(x, h, w_ih, w_hh, b_ih, b_hh):
    """One sequence, one step after the other, in operations that have their own tests."""
    states = []
    for t in range(len(x)):
        gx, gh = w_ih @ x[t] + b_ih, w_hh @ h + b_hh
        (xr, xz, xn), (hr, hz, hn) = gx.chunk(3), gh.chunk(3)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        n = (xn + r * hn).tanh()
        h = (1 - z) * n + z * h
        states.append(h)
    return ta.stack(states), h


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_each_sequence_is_run_as_if_alone(backend, lengths, reverse):
    x, h0, *rest = (ta.tensor(a) for a in inputs(lengths))
    sizes = sizes_of(lengths)
    starts = np.cumsum(sizes) - sizes
    y, h_n = gru_layer(x, h0, *rest, batch_sizes=sizes, reverse=reverse)
    for b, length in enumerate(lengths):
        rows = [int(starts[t]) + b for t in range(length)][:: -1 if reverse else 1]
        states, last = by_hand(x[rows], h0[b], *rest)
        np.testing.assert_allclose(y[rows].numpy(), states.numpy(), rtol=1e-10)
        np.testing.assert_allclose(h_n[b].numpy(), last.numpy(), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    bias=st.booleans(),
    hidden=st.integers(1, 5),
    seed=st.integers(0, 9),
)
@settings(max_examples=25)
def test_values_and_gradients_as_in_torch(torch, dtype, lengths, bias, hidden, seed):
    lengths = tuple(sorted(lengths, reverse=True))
    arrays = [a.astype(dtype) for a in inputs(lengths, seed, bias, hidden=hidden)]
    ours = leaves(arrays)
    y, h = gru_layer(*ours, batch_sizes=sizes_of(lengths))
    (y.sum() + (h * h).sum()).backward()

    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    x, h0, *weights = theirs
    sizes = torch.tensor(sizes_of(lengths))
    expected, last = torch._VF.gru(x, sizes, h0[None], weights, bias, 1, 0.0, False, False)
    (expected.sum() + (last * last).sum()).backward()

    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10}
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), **tolerance)
    np.testing.assert_allclose(h.detach().numpy(), last[0].detach().numpy(), **tolerance)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), reference.grad.numpy(), **tolerance)


def test_backward_of_a_reversed_batch_is_forward_of_its_mirror(backend):
    x, h0, *rest = (ta.tensor(a) for a in inputs((3, 3)))
    sizes = sizes_of((3, 3))
    mirror = [4, 5, 2, 3, 0, 1]
    y, h = gru_layer(x, h0, *rest, batch_sizes=sizes, reverse=True)
    z, last = gru_layer(x[mirror], h0, *rest, batch_sizes=sizes)
    np.testing.assert_allclose(y[mirror].numpy(), z.numpy(), rtol=1e-12)
    np.testing.assert_allclose(h.numpy(), last.numpy(), rtol=1e-12)


def test_saturated_gates_stay_finite(backend):
    tensors = leaves([a * 1e4 for a in inputs((3, 2))])
    y, h = gru_layer(*tensors, batch_sizes=sizes_of((3, 2)))
    (y.sum() + h.sum()).backward()
    assert ta.isfinite(y).all()
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
