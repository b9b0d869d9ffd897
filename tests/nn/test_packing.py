"""Packing, padding and clipping."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import nn
from tinyattn.kernels import recording
from tinyattn.nn.utils import clip_grad_norm_, clip_grad_value_
from tinyattn.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def padded(lengths, extra=0, batch_first=False, dtype=ta.float64):
    B, T = len(lengths), max(lengths) + extra
    values = np.arange(1, B * T * 2 + 1).reshape((B, T, 2) if batch_first else (T, B, 2))
    return ta.tensor(values, dtype=dtype, requires_grad=True)


@given(LENGTHS, st.booleans(), st.integers(0, 2))
def test_padding_undoes_packing(lengths, batch_first, extra):
    x = padded(lengths, extra, batch_first)
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    assert len(packed.data) == sum(lengths)
    back, found = pad_packed_sequence(packed, batch_first, -1.0, total_length=max(lengths) + extra)
    assert found.tolist() == lengths
    present = np.arange(max(lengths) + extra) < np.array(lengths)[:, None]
    present = present if batch_first else present.T
    np.testing.assert_array_equal(back.detach(), np.where(present[..., None], x.detach(), -1.0))
    (back * back).sum().backward()
    np.testing.assert_array_equal(x.grad, np.where(present[..., None], 2 * x.detach().numpy(), 0))


@given(LENGTHS, st.booleans(), st.sampled_from(["left", "right"]))
def test_pad_sequence_lines_sequences_up(lengths, batch_first, side):
    sequences = [ta.randn(n, 3, dtype=ta.float64, requires_grad=True) for n in lengths]
    out = pad_sequence(sequences, batch_first, padding_value=9.0, padding_side=side)
    T = max(lengths)
    array = out.detach().numpy() if batch_first else out.detach().numpy().swapaxes(0, 1)
    assert array.shape == (len(lengths), T, 3)
    for row, sequence in zip(array, sequences, strict=True):
        n = len(sequence)
        inside = slice(T - n, T) if side == "left" else slice(0, n)
        np.testing.assert_array_equal(row[inside], sequence.detach())
        assert (np.delete(row, np.arange(T)[inside], axis=0) == 9).all()
    (out * out).sum().backward()
    for sequence in sequences:
        np.testing.assert_array_equal(sequence.grad, 2 * sequence.detach().numpy())


def test_rows_of_a_step_stand_together_longest_sequence_first():
    a, b = ta.tensor([1.0, 2.0]), ta.tensor([10.0, 20.0, 30.0])
    packed = pack_sequence([a, b], enforce_sorted=False)
    assert packed.data.tolist() == [10.0, 1.0, 20.0, 2.0, 30.0]
    assert packed.batch_sizes.tolist() == [2, 2, 1]
    assert packed.sorted_indices.tolist() == packed.unsorted_indices.tolist() == [1, 0]
    plain = pack_sequence([b, a])
    assert plain.sorted_indices is None
    assert plain.data.tolist() == packed.data.tolist()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], "enforce_sorted"),
        ([2, 0], "greater than 0"),
        ([4, 1], "at most T = 3, got 4"),
        ([2], "equal to batch_size B = 2"),
        ([2.0, 1.5], "expected integers"),
    ],
)
def test_lengths_that_cannot_be_are_named(lengths, message):
    with pytest.raises(RuntimeError, match=message):
        pack_padded_sequence(ta.ones(3, 2, 1), lengths)


def test_other_wrong_arguments():
    packed = pack_padded_sequence(ta.ones(3, 2, 1), [3, 2])
    with pytest.raises(ValueError, match="total_length=2 and max sequence length being 3"):
        pad_packed_sequence(packed, total_length=2)
    with pytest.raises(RuntimeError, match="at least one"):
        pad_sequence([])
    with pytest.raises(RuntimeError, match=r"got \[2, 4\] for sequences\[1\]"):
        pad_sequence([ta.ones(1, 3), ta.ones(2, 4)])
    with pytest.raises(ValueError, match="left or right"):
        pad_sequence([ta.ones(1)], padding_side="middle")


def with_gradients(*gradients):
    params = []
    for gradient in gradients:
        params.append(nn.Parameter(ta.zeros(len(gradient))))
        params[-1].grad = ta.tensor(gradient)
    return params


def test_the_norm_is_clipped_and_the_one_before_returned(backend):
    params = [*with_gradients([3.0, 0.0], [0.0, -4.0]), nn.Parameter(ta.zeros(2))]
    norm = clip_grad_norm_(params, 1.0)
    assert norm.item() == pytest.approx(5)
    assert norm.dtype == np.float32
    np.testing.assert_allclose(params[0].grad, [0.6, 0], rtol=1e-5)
    np.testing.assert_allclose(params[1].grad, [0, -0.8], rtol=1e-5)
    assert clip_grad_norm_(params, 2.0).item() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(params[1].grad, [0, -0.8], rtol=1e-5)


def test_a_norm_of_nearly_zero_is_not_divided_by():
    params = with_gradients([1e-6])
    clip_grad_norm_(params, 1e-6)  # 1e-6 is added to the norm
    assert params[0].grad.tolist() == pytest.approx([0.5e-6])


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize("which", [0, 1])
def test_a_graph_over_gradients_that_were_clipped_since_is_refused(clip, which):
    params = with_gradients([3.0], [4.0])
    y = params[which].grad * ta.ones(1, requires_grad=True)
    clip(params, 1.0)
    with pytest.raises(RuntimeError, match=clip.__name__):
        y.backward()


@pytest.mark.parametrize(
    ("p", "norm"), [(1.0, 7.0), (2.0, 5.0), (3.0, 91 ** (1 / 3)), (math.inf, 4.0)]
)
def test_norms_of_any_order(p, norm):
    assert clip_grad_norm_(with_gradients([3.0], [-4.0]), 100.0, p).item() == pytest.approx(norm)


def test_norms_of_large_numbers_do_not_overflow():
    norm = clip_grad_norm_(with_gradients([1e20], [1e20]), 1.0, 3.0)
    assert norm.item() == pytest.approx(1e20 * 2 ** (1 / 3))


def test_float32_and_float64_share_one_norm():
    params = with_gradients([3.0], [4.0])
    params[1].data = params[1].double()
    params[1].grad = params[1].grad.double()
    norm = clip_grad_norm_(params, 1.0)
    assert norm.item() == pytest.approx(5)
    assert norm.dtype == ta.float32  # that of the first
    np.testing.assert_allclose(params[1].grad, [0.8], rtol=1e-5)
    assert clip_grad_norm_(params[1], 1.0).dtype == ta.float64


def test_a_norm_that_is_not_finite():
    params = with_gradients([math.nan], [1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[1].grad.tolist() == [1.0]
    assert math.isnan(clip_grad_norm_(params, 1.0).item())
    assert math.isnan(params[1].grad.item())


def test_without_gradients_the_norm_is_zero():
    assert clip_grad_norm_([nn.Parameter(ta.ones(2))], 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0


@pytest.mark.parametrize(
    "clip",
    [lambda params: clip_grad_norm_(params, 1.0), lambda params: clip_grad_value_(params, 1)],
)
def test_wrong_parameters_are_named(clip):
    model = nn.Linear(2, 1)
    params = model.parameters()
    assert len(list(params)) == 2
    with pytest.raises(ValueError, match=r"parameters: .* got none; it may have been used up"):
        clip(params)
    with pytest.raises(TypeError, match=r"parameters\[0\]: expected a Tensor, got tuple"):
        clip(model.named_parameters())
    with pytest.raises(TypeError, match=r"parameters\[1\]: expected a Tensor, got int"):
        clip([model.weight, 3])
    with pytest.raises(TypeError, match=r"parameters: expected a Tensor or .* got Linear"):
        clip(model)
    model(ta.tensor([[3.0, 4.0]])).sum().backward()
    clip(model.parameters())
    assert abs(model.weight.grad.numpy()).max() <= 1


def test_values_are_clipped():
    (param,) = with_gradients([-3.0, 0.5, 2.0])
    clip_grad_value_(param, 1)
    assert param.grad.tolist() == [-1.0, 0.5, 1.0]


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_and_packing_are_taken_back(batch_first):
    parts = [ta.tensor([1.0, 2.0]), ta.tensor([3.0, 4.0, 5.0]), ta.tensor([6.0])]
    padded = pad_sequence(parts, batch_first)
    wanted = [part.tolist() for part in parts]
    assert [x.tolist() for x in unpad_sequence(padded, ta.tensor([2, 3, 1]), batch_first)] == wanted
    packed = pack_sequence(parts, enforce_sorted=False)
    assert [x.tolist() for x in unpack_sequence(packed)] == wanted


def test_sequences_of_equal_length_are_sorted_and_keep_their_order():
    x = ta.tensor(np.arange(80.0).reshape(40, 2))
    assert pack_padded_sequence(x[:2], [2, 2], batch_first=True).batch_sizes.tolist() == [2, 2]
    packed = pack_padded_sequence(x, [1, 2] * 20, batch_first=True, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == [*range(1, 40, 2), *range(0, 40, 2)]


def test_an_input_without_time_or_batch_is_refused():
    with pytest.raises(RuntimeError, match=r"input: expected at least 2 dimensions, got \[3\]"):
        pack_padded_sequence(ta.ones(3), [3])


def test_a_packed_batch_changes_its_dtype_as_a_tensor_does():
    packed = pack_sequence([ta.ones(1), ta.ones(3) * 2], enforce_sorted=False)
    assert packed.to("cpu").data.dtype == packed.double().float().data.dtype == ta.float32
    assert packed.cpu() is packed
    for other in (packed.double(), packed.to(ta.float64), packed.to("cpu", dtype=ta.float64)):
        assert isinstance(other, PackedSequence)
        assert other.data.dtype == ta.float64
        assert other.data.tolist() == packed.data.tolist()
        assert other.batch_sizes is packed.batch_sizes
        assert other.unsorted_indices.tolist() == [1, 0]


def test_packed_data_in_float32():
    packed = pack_padded_sequence(padded([2, 1]), [2, 1]).float()
    assert type(packed) is PackedSequence
    assert packed.data.dtype == ta.float32
    assert packed.data.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert packed.batch_sizes.tolist() == [2, 1]


def test_lengths_in_a_tensor_are_refused_where_a_step_is_recorded(monkeypatch):
    x, lengths = ta.ones(3, 2), ta.tensor([3, 1])
    monkeypatch.setattr(recording.local, "recorder", object())
    with pytest.raises(RuntimeError, match="replay: pack_padded_sequence: lengths in a tensor"):
        pack_padded_sequence(x, lengths)
