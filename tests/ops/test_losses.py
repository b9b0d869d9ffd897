"""Cross-entropy and negative log-likelihood: PyTorch's results and errors, differences, backends.

`problems` draws what both losses are tried on. Look at it first.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import functional, leaf, numbers
from tinyattn.nn import functional as F
from tinyattn.ops import losses

from .parity import same_as_torch

IGNORED = -100
SHAPES = [(3,), (1,), (4, 3), (0, 3), (2, 3, 2), (2, 3, 2, 2), (2, 3, 0), (5, 1)]
NO_CLASSES = (2, 0)
REDUCTIONS = ["none", "mean", "sum"]
LOSSES = ["cross_entropy", "nll_loss"]


@st.composite
def problems(draw):
    """(shape of the input (.., V, ..), indices with some ignored, ignore_index, weights or None)"""
    shape = draw(st.sampled_from(SHAPES))
    classes = shape[min(len(shape) - 1, 1)]
    of_target = () if len(shape) == 1 else shape[:1] + shape[2:]
    ignore_index = draw(st.sampled_from([IGNORED, 0, -1, classes]))
    allowed = st.integers(0, classes - 1) | st.just(ignore_index)
    count = math.prod(of_target)
    target = draw(st.lists(allowed, min_size=count, max_size=count))
    weight = draw(st.none() | st.sampled_from([np.linspace(0.5, 2, classes), np.zeros(classes)]))
    return shape, np.array(target, np.int64).reshape(of_target), ignore_index, weight


def case_of(name, **options):
    """The loss as a case of (input, target) or (input, target, weight)."""

    def case(t, x, target, weight=None):
        x = x.log_softmax(min(x.ndim - 1, 1)) if name == "nll_loss" else x
        weight = weight if weight is None else weight.detach()
        return getattr(functional(t), name)(x, target, weight, **options)

    return case


@pytest.mark.parametrize("name", LOSSES)
@given(
    problem=problems(),
    reduction=st.sampled_from(REDUCTIONS),
    dtype=st.sampled_from(["float32", "float64"]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_as_in_torch(torch, name, problem, reduction, dtype, smoothing, seed):
    shape, target, ignore_index, weight = problem
    options = {"ignore_index": ignore_index, "reduction": reduction}
    counted = target[target != ignore_index].size and (weight is None or weight.any())
    if name == "cross_entropy" and counted:  # torch's mean of nothing has other gradients then
        options["label_smoothing"] = smoothing
    arrays = [numbers(shape, seed, dtype), target]
    if weight is not None:
        arrays.append(weight.astype(dtype))
    same_as_torch(torch, case_of(name, **options), *arrays)


@given(
    shape=st.sampled_from([*SHAPES, NO_CLASSES]),
    weighted=st.booleans(),
    reduction=st.sampled_from(REDUCTIONS),
    smoothing=st.sampled_from([0.0, 0.1]),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=40)
def test_probabilities_as_in_torch(torch, shape, weighted, reduction, smoothing, dtype):
    axis = min(len(shape) - 1, 1)
    target = np.exp(numbers(shape, 1))
    target /= target.sum(axis, keepdims=True)
    arrays = [numbers(shape, 0, dtype), target.astype(dtype)]
    if weighted:
        arrays.append(np.linspace(0.5, 2, shape[axis]).astype(dtype))
    case = case_of("cross_entropy", reduction=reduction, label_smoothing=smoothing)
    same_as_torch(torch, case, *arrays)


SPECIAL = [[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, 1e4], [-np.inf, 0, 1], [0, -np.inf, 1]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [*SPECIAL, [np.inf, 0, 1], [np.nan, 0, 1], [1e-45, 0, -1e-45]])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_special_logits_as_in_torch(torch, backend, row, reduction, dtype):
    x = np.array([row, [0.0, 1, 2]]).astype(dtype)
    same_as_torch(torch, case_of("cross_entropy", reduction=reduction), x, np.array([0, 1]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": [0.5, 1, 2]},
        {"label_smoothing": 0.1},
        {"weight": [0.5, 1, 2], "label_smoothing": 0.1},
        {"ignore_index": 1},
    ],
    ids=str,
)
def test_gradients_of_cross_entropy_match_differences(backend, reduction, options):
    options = dict(options)
    weight = options.pop("weight", None)
    weight = weight if weight is None else ta.tensor(weight, dtype=ta.float64)

    def case(x, target):
        return F.cross_entropy(x, target, weight, reduction=reduction, **options)

    assert ta.gradcheck(case, (leaf(numbers((4, 3))), ta.tensor([0, 1, 2, 2])))
    assert ta.gradcheck(case, (leaf(numbers((2, 3, 2))), ta.tensor([[0, 1], [2, 2]])))
    assert ta.gradcheck(case, (leaf(numbers((3,))), ta.tensor(2)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_of_the_others_match_differences(reduction):
    target = ta.tensor([0, 1, -100, 2])
    weight = ta.tensor([0.5, 1, 2], dtype=ta.float64)
    case = lambda x: F.nll_loss(x, target, weight, reduction=reduction)  # noqa: E731
    assert ta.gradcheck(case, (leaf(numbers((4, 3))),))
    soft = lambda x, t: F.cross_entropy(  # noqa: E731
        x, t, weight, reduction=reduction, label_smoothing=0.1
    )
    assert ta.gradcheck(soft, (leaf(numbers((4, 3))), leaf(np.full((4, 3), 0.2))))
    assert ta.gradcheck(soft, (leaf(numbers((2, 3, 2))), leaf(np.full((2, 3, 2), 0.2))))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x.flip(1), lambda x: x[:, 1:]])
def test_gradients_through_views_match_differences(backend, view):
    x = leaf(numbers((4, 4)))
    target = ta.tensor([0, 1, 2, 2])
    assert ta.gradcheck(lambda x: F.cross_entropy(view(x), target), (x,))


def test_cross_entropy_is_log_softmax_and_nll_loss(backend):
    x, target = leaf(numbers((6, 5))), ta.tensor([0, 4, 2, 2, 1, -100])
    for reduction in REDUCTIONS:
        a = F.cross_entropy(x, target, reduction=reduction)
        b = F.nll_loss(x.log_softmax(1), target, reduction=reduction)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)


def test_of_equal_logits_it_is_the_log_of_the_classes(backend):
    x = ta.zeros(2, 7)
    assert F.cross_entropy(x, ta.tensor([0, 6])).item() == pytest.approx(math.log(7))
    assert F.cross_entropy(x, ta.ones(2, 7) / 7).item() == pytest.approx(math.log(7))


def test_what_is_ignored_counts_nowhere(backend):
    x = leaf(numbers((3, 4)))
    loss = F.cross_entropy(x, ta.tensor([1, IGNORED, 2]))
    loss.backward()
    alone = F.cross_entropy(x[::2], ta.tensor([1, 2]))
    assert loss.item() == pytest.approx(alone.item(), rel=1e-12)
    assert x.grad.tolist()[1] == [0, 0, 0, 0]


def test_the_mean_is_weighted_by_the_classes_that_were_wanted(backend):
    x, weight = leaf(numbers((3, 4))), ta.tensor([1, 2, 3, 4], dtype=ta.float64)
    target = ta.tensor([0, 3, IGNORED])
    a, b, _ = (-x.log_softmax(1)).tolist()
    expected = (a[0] * 1 + b[3] * 4) / 5
    assert F.cross_entropy(x, target, weight).item() == pytest.approx(expected, rel=1e-12)
    assert F.nll_loss(x.log_softmax(1), target, weight).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_mean_over_nothing_is_nan_without_a_gradient(backend, name):
    x = leaf(numbers((2, 3)))
    loss = getattr(F, name)(x, ta.tensor([IGNORED, IGNORED]))
    loss.backward()
    assert math.isnan(loss.item())
    assert x.grad.tolist() == [[0, 0, 0]] * 2
    assert math.isnan(getattr(F, name)(ta.zeros(0, 3), ta.zeros(0, dtype=ta.int64)).item())
    none = getattr(F, name)(x, ta.tensor([IGNORED, IGNORED]), reduction="sum")
    assert none.item() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_target_out_of_range_is_named(backend, name):
    loss, x = getattr(F, name), ta.zeros(2, 3)
    for wrong in (3, -1, -99):
        with pytest.raises(IndexError, match=rf"target must be in \[0, 3\) or .*, got {wrong}"):
            loss(x, ta.tensor([0, wrong]))
    assert loss(x, ta.tensor([0, 3]), ignore_index=3).shape == ()


@pytest.mark.parametrize("name", LOSSES)
def test_arguments_that_do_not_fit_are_named(name):
    loss, x = getattr(F, name), ta.zeros(2, 3)
    target = ta.tensor([0, 1])
    with pytest.raises(ValueError, match=r"target: expected shape \[2\] for input \[2, 3\]"):
        loss(x, ta.tensor([0, 1, 2]))
    with pytest.raises(
        RuntimeError, match=r"target: expected shape \[2, 4\] for input \[2, 3, 4\]"
    ):
        loss(ta.zeros(2, 3, 4), ta.zeros(2, 3, dtype=ta.int64))
    with pytest.raises(ValueError, match=r"reduction: expected one of .*got 'avg'"):
        loss(x, target, reduction="avg")
    with pytest.raises(RuntimeError, match=r"weight: expected float32 of shape \(V,\) = \[3\]"):
        loss(x, target, ta.ones(2))
    with pytest.raises(RuntimeError, match=r"weight: expected float32.*got float64"):
        loss(x, target, ta.ones(3, dtype=ta.float64))
    with pytest.raises(RuntimeError, match=r"input: expected float32 or float64.*got int64"):
        loss(x.long(), target)
    with pytest.raises(RuntimeError, match="target: expected int64 class indices, got bool"):
        loss(x, ta.tensor([True, False]))
    with pytest.raises(TypeError, match="target: expected a Tensor, got list"):
        loss(x, [0, 1])


def test_arguments_of_cross_entropy_that_do_not_fit_are_named():
    x = ta.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"label_smoothing: expected a number in \[0, 1\]"):
        F.cross_entropy(x, ta.tensor([0, 1]), label_smoothing=1.5)
    with pytest.raises(RuntimeError, match=r"target: expected probabilities of shape \[2, 3\]"):
        F.cross_entropy(x, ta.zeros(2))
    with pytest.raises(ValueError, match=r"target: expected probabilities of shape \[2, 3\]"):
        F.cross_entropy(x, ta.zeros(3, 2))
    with pytest.raises(RuntimeError, match="target: expected int64 class indices, got float32"):
        F.nll_loss(x, ta.zeros(2, 3))
    with pytest.raises(RuntimeError, match=r"ignore_index.*probabilities"):
        F.cross_entropy(x, ta.zeros(2, 3), ignore_index=1)


def test_indices_may_be_int32():
    x = ta.tensor(numbers((2, 3)))
    a = F.cross_entropy(x, ta.tensor([0, 1], dtype=ta.int32))
    assert a.item() == F.cross_entropy(x, ta.tensor([0, 1])).item()


def test_both_halves_run_by_hand():
    f = losses.CrossEntropy()
    assert f.forward(np.zeros((1, 2)), np.array([0])) == pytest.approx(math.log(2))
    assert f.backward(np.array(1.0)).tolist() == [[-0.5, 0.5]]
