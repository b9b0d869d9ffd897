"""conv1d and pad: PyTorch's results and errors, differences, every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import functional, integers, leaf, numbers
from tinyattn import nn
from tinyattn.nn import functional as F
from tinyattn.ops.convolution import Conv1d

from .parity import same_as_torch

MODES = ["constant", "reflect", "replicate", "circular"]
SHAPES = [(3,), (2, 3), (2, 2, 3), (2, 2, 2, 3), (1, 2, 3, 2, 2), (0, 2, 3), (2, 0, 3), (2, 2, 0)]
# shapes of input and weight, options
CONVOLUTIONS = [
    ((2, 4, 7), (6, 4, 3), {}),
    ((4, 7), (6, 4, 3), {"padding": "same"}),
    ((2, 4, 7), (6, 2, 3), {"groups": 2, "stride": 2, "padding": 1}),
    ((1, 4, 9), (4, 1, 2), {"groups": 4, "dilation": (3,), "padding": (2,)}),
    ((2, 3, 8), (2, 3, 4), {"padding": "same", "dilation": 2}),
    ((2, 1, 1), (1, 1, 1), {"padding": "valid", "stride": (3,)}),
    ((0, 4, 7), (6, 4, 3), {"padding": 1}),
    ((2, 3, 9), (2, 3, 2), {"stride": 4}),
]
WRONG = [
    ((2, 4, 2), (6, 4, 3), {}),
    ((7,), (1, 1, 3), {}),
    ((2, 4, 7), (6, 4), {}),
    ((2, 3, 7), (6, 2, 3), {}),
    ((2, 4, 7), (5, 2, 3), {"groups": 2}),
    ((2, 4, 7), (6, 4, 3), {"stride": 0}),
    ((2, 4, 7), (6, 4, 3), {"padding": -1}),
    ((2, 4, 7), (6, 4, 3), {"padding": "same", "stride": 2}),
    ((2, 4, 7), (6, 4, 3), {"padding": "some"}),
    ((2, 4, 7), (6, 4, 3), {"stride": (1, 2)}),
    ((2, 4, 7), (6, 4, 3), {"stride": 1.5}),
    ((2, 4, 7), (6, 4, 0), {}),
]


def test_conv1d_is_the_sum_over_windows():
    x, w = integers((2, 4, 9)), integers((6, 2, 3), 1)
    y = F.conv1d(ta.tensor(x), ta.tensor(w), stride=2, dilation=2, groups=2).numpy()
    assert y.shape == (2, 6, 3)
    for b, f, t in np.ndindex(y.shape):
        seen = x[b, f // 3 * 2 : f // 3 * 2 + 2, 2 * t : 2 * t + 5 : 2]
        assert y[b, f, t] == (seen * w[f]).sum()


@pytest.mark.parametrize("mode", [*MODES, "mirror"])
@given(
    shape=st.sampled_from(SHAPES),
    widths=st.lists(st.integers(-2, 3), max_size=6),
    value=st.sampled_from([None, 0, 1.5]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
@settings(max_examples=120, deadline=None)
def test_pad_as_in_torch(torch, mode, shape, widths, value, dtype):
    if mode == "circular":
        widths = [max(n, 0) for n in widths]  # torch reads beyond its memory where all is cut
    case = lambda t, x: functional(t).pad(x, widths, mode, value)  # noqa: E731
    same_as_torch(torch, case, integers(shape, dtype=dtype))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("widths", [(1, 2), (-1, 1), (2, -1), (1, 0, 2, 1)])
def test_gradients_of_pad_match_differences(backend, mode, widths):
    assert ta.gradcheck(lambda x: F.pad(x, widths, mode), (leaf(numbers((2, 3, 4))),))


@pytest.mark.parametrize("widths", [(-1, 1), (1, -1), (-1, 0, 2, -1)])
def test_what_is_cut_does_not_come_round_as_in_torch(torch, widths):
    case = lambda t, x: functional(t).pad(x, widths, "circular")  # noqa: E731
    same_as_torch(torch, case, integers((1, 2, 3, 4)[-len(widths) // 2 - 2 :]))


def test_what_stands_around_a_sequence():
    x = ta.tensor([[[1.0, 2, 3]]])
    assert F.pad(x, (1, 2)).tolist() == [[[0, 1, 2, 3, 0, 0]]]
    assert F.pad(x, (2, 1), "reflect").tolist() == [[[3, 2, 1, 2, 3, 2]]]
    assert F.pad(x, (2, 1), "replicate").tolist() == [[[1, 1, 1, 2, 3, 3]]]
    assert F.pad(x, (2, 1), "circular").tolist() == [[[2, 3, 1, 2, 3, 1]]]
    assert F.pad(x, (-1, 1), value=7).tolist() == [[[2, 3, 7]]]


def test_arguments_of_pad_are_named():
    x = ta.ones(1, 2, 3)
    with pytest.raises(RuntimeError, match=r"at most 3 dimensions of input \[1, 2, 3\], got \[1\]"):
        F.pad(x, (1,))
    with pytest.raises(RuntimeError, match=r"at most 2 for dimension 2 of size 3, got \(3, 0\)"):
        F.pad(x, (3, 0), "reflect")
    with pytest.raises(NotImplementedError, match="'mirror'"):
        F.pad(x, (1, 1), "mirror")
    with pytest.raises(RuntimeError, match="takes no value, got 3"):
        F.pad(x, (1, 1), "reflect", 3)


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS + WRONG)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_conv1d_as_in_torch(torch, backend, x, w, options, dtype):
    for bias in (None, w[:1], (7,)):
        arrays = [integers(s, i, dtype) for i, s in enumerate((x, w, bias)) if s is not None]
        same_as_torch(torch, lambda t, *a: functional(t).conv1d(*a, **options), *arrays)


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS)
def test_gradients_of_conv1d_match_differences(backend, x, w, options):
    inputs = leaf(numbers(x)), leaf(numbers(w, 1)), leaf(numbers(w[:1], 2))
    assert ta.gradcheck(lambda x, w, b: F.conv1d(x, w, b, **options), inputs)
    assert ta.gradcheck(lambda x: F.conv1d(x, inputs[1].detach(), **options), (inputs[0],))


def test_a_convolution_of_one_step_is_a_linear_map():
    x, w = leaf(numbers((2, 3, 5))), leaf(numbers((4, 3), 1))
    y = F.conv1d(x, w.unsqueeze(-1))
    np.testing.assert_allclose(
        y.detach().numpy(), F.linear(x.transpose(1, 2), w).transpose(1, 2).detach().numpy()
    )


def test_arguments_of_conv1d_are_named():
    x, w = ta.ones(2, 4, 7), ta.ones(6, 4, 3)
    with pytest.raises(
        RuntimeError, match=r"\[6, 4, 3\] with groups 1 expects input of 4 channels"
    ):
        F.conv1d(x[:, :3], w)
    with pytest.raises(RuntimeError, match=r"bias: expected \(F,\) = \[6\], got \[2\]"):
        F.conv1d(x, w, ta.ones(2))
    with pytest.raises(RuntimeError, match="dilation 4 covers 9 steps, and the padded input has 7"):
        F.conv1d(x, w, dilation=4)
    with pytest.raises(
        RuntimeError, match=r"weight: expected the dtype of input, float32.*float64"
    ):
        F.conv1d(x, w.double())


def test_the_first_weights_lie_within_pytorchs_bounds():
    ta.manual_seed(0)
    layer = nn.Conv1d(4, 64, 5, groups=2)
    bound = 1 / np.sqrt(2 * 5)
    for parameter in (layer.weight, layer.bias):
        assert 0.9 * bound < parameter.abs().max().item() <= bound


def test_both_halves_run_by_hand():
    f = Conv1d()
    x, w = np.array([[[1.0, 2, 3]]]), np.array([[[1.0, -1]]])
    assert f.forward(x, w, None, 1, 1, 1).tolist() == [[[-1, -1]]]
    dx, dw, _ = f.backward(np.array([[[1.0, 2]]]))
    assert dx.tolist() == [[[1, 1, -2]]]
    assert dw.tolist() == [[[5, 8]]]


def test_integers_are_convolved_exactly():
    x, w = ta.tensor([[[1, 2, 3, 2**53]]]), ta.tensor([[[1, 1]]])
    y = F.conv1d(x, w)
    assert y.dtype == ta.int64
    assert y.tolist() == [[[3, 5, 2**53 + 3]]]
