"""Losses of each element: PyTorch's results, gradients, warnings and errors; differences.

LOSSES lists every one once, with its options; all tests draw from it. Look at it first.
"""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf, numbers
from tinyattn.nn import functional as F
from tinyattn.ops import pointwise_losses

from .parity import same_as_torch

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # of kl_div

INF, NAN = math.inf, math.nan
BCE = "binary_cross_entropy_with_logits"
LOSSES = {
    "mse_loss": ("mse_loss", {}),
    "l1_loss": ("l1_loss", {}),
    "smooth_l1_loss": ("smooth_l1_loss", {}),
    "smooth_l1_loss, wide": ("smooth_l1_loss", {"beta": 2.5}),
    "smooth_l1_loss, sharp": ("smooth_l1_loss", {"beta": 0}),
    "huber_loss": ("huber_loss", {}),
    "huber_loss, narrow": ("huber_loss", {"delta": 0.25}),
    BCE: (BCE, {}),
    "kl_div": ("kl_div", {}),
    "kl_div of logarithms": ("kl_div", {"log_target": True}),
}
OF_DIFFERENCES = [name for name in LOSSES if name.startswith(("mse", "l1", "smooth", "huber"))]
WEIGHTED = ["mse_loss", "l1_loss", "huber_loss"]
REDUCTIONS = ["none", "mean", "sum"]
SHAPES = st.sampled_from([(), (3,), (0,), (2, 3), (2, 0), (2, 1, 3)])
FLOATS = st.sampled_from(["float32", "float64"])


def case_of(name, *, weighted=False, **more):
    function, options = LOSSES[name]

    def case(t, x, target, weight=None):
        loss = getattr(F if t is ta else t.nn.functional, function)
        given = {"weight": weight} if weighted else {}
        return loss(x, target, **options, **given, **more)

    return case


def probabilities(shape, seed=0, dtype="float64"):
    """In (0, 1): targets that every loss takes; no two the same."""
    return np.random.default_rng(seed).uniform(0.05, 0.95, shape).astype(dtype)


@pytest.mark.parametrize("name", LOSSES)
@given(
    shape=SHAPES,
    dtypes=st.tuples(FLOATS, FLOATS),
    reduction=st.sampled_from([*REDUCTIONS, "batchmean"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=30)
def test_as_in_torch(torch, name, shape, dtypes, reduction, seed):
    if name.startswith(("huber", "binary")) and dtypes[0] != dtypes[1]:
        return  # refused by torch's backward; in torch of the target's dtype
    x, target = (
        probabilities(shape, seed, dtypes[0]) * 6 - 3,
        probabilities(shape, seed + 1, dtypes[1]),
    )
    same_as_torch(torch, case_of(name, reduction=reduction), x, target)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss"])
@pytest.mark.parametrize("dtypes", [("float64", "int64"), ("int32", "float32"), ("int64", "bool")])
def test_other_dtypes_as_in_torch(torch, name, dtypes):
    x, target = (np.array(v, d) for v, d in zip(([0, 1, 3], [1, 1, 0]), dtypes, strict=True))
    same_as_torch(torch, case_of(name), x, target)


@pytest.mark.parametrize("name", [BCE, "kl_div", "kl_div of logarithms"])
@pytest.mark.parametrize("dtypes", [("float64", "int64"), ("int32", "float32"), ("bool", "bool")])
def test_integers_are_refused_as_in_torch(torch, name, dtypes):
    same_as_torch(torch, case_of(name), np.ones(3, dtypes[0]), np.ones(3, dtypes[1]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("target", [(2, 3), (3,), (2, 1)])
@pytest.mark.parametrize("of_weight", [(2, 3), (3,)])
@pytest.mark.filterwarnings("ignore:.*Using a target size")
def test_weights_as_in_torch(torch, name, reduction, target, of_weight):
    case = case_of(name, weighted=True, reduction=reduction)
    same_as_torch(
        torch, case, probabilities((2, 3)), probabilities(target, 1), probabilities(of_weight, 2)
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, (2, 3), (3,), (2, 1), (), (2,), (4, 2, 3)])
@pytest.mark.parametrize("positive", [None, (2, 3), (3,), (1,), (4, 2, 3)])
def test_weights_of_bce_as_in_torch(torch, reduction, weight, positive):
    def case(t, x, target):
        weights = {
            name: shape if shape is None else t.tensor(probabilities(shape, 2))
            for name, shape in (("weight", weight), ("pos_weight", positive))
        }
        library = F if t is ta else t.nn.functional
        return getattr(library, BCE)(x, target, **weights, reduction=reduction)

    same_as_torch(torch, case, probabilities((2, 3)) * 6 - 3, probabilities((2, 3), 1))


@pytest.mark.parametrize("name", OF_DIFFERENCES)
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2, 3), (2,))])
def test_broadcasting_warns_and_is_as_in_torch(torch, name, shapes):
    x, target = probabilities(shapes[0]), probabilities(shapes[1], 1)
    warned = pytest.warns(UserWarning, match="Using a target size .* different to the input size")
    with warned, contextlib.suppress(RuntimeError):  # the last of the shapes can't be broadcast
        case_of(name)(ta, ta.tensor(x), ta.tensor(target))
    same_as_torch(torch, case_of(name), x, target)


@pytest.mark.parametrize("name", [BCE, "kl_div"])
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 3), (2,))])
def test_broadcasting_of_the_others_as_in_torch(torch, name, shapes):
    same_as_torch(torch, case_of(name), probabilities(shapes[0]), probabilities(shapes[1], 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_special_values_as_in_torch(torch, name, dtype):
    x = np.array([0, 1, -1, 1e4, -1e4, INF, -INF, NAN, 1, 1], dtype)
    target = np.array([0.5] * 8 + [1, NAN], dtype)
    same_as_torch(torch, case_of(name, reduction="none"), x, target)


def test_where_the_target_is_0_kl_div_is_0(torch):
    case = lambda t, x, target: case_of("kl_div")(t, x, target.detach())  # noqa: E731
    same_as_torch(torch, case, np.array([0.0, -1, -2]), np.array([0.0, 0.5, 0]))


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_differences(name, reduction):
    if reduction == "batchmean" and not name.startswith("kl"):
        return
    case = case_of(name, reduction=reduction)
    x, target = leaf(probabilities((2, 3)) * 6 - 3), leaf(probabilities((2, 3), 1))
    assert ta.gradcheck(lambda x, target: case(ta, x, target), (x, target))


@pytest.mark.parametrize("name", WEIGHTED)
def test_gradients_of_weighted_losses_match_differences(name):
    case = case_of(name, weighted=True)
    inputs = [leaf(probabilities((2, 3), seed)) for seed in range(3)]
    assert ta.gradcheck(lambda *args: case(ta, *args), inputs)


def test_gradients_of_weighted_bce_match_differences():
    weights = {
        "weight": ta.tensor(probabilities(3)),
        "pos_weight": ta.tensor(probabilities((2, 1)) * 3),
    }
    case = lambda x, target: getattr(F, BCE)(x, target, **weights)  # noqa: E731
    assert ta.gradcheck(case, (leaf(probabilities((2, 3)) * 6 - 3), leaf(probabilities((2, 3), 1))))


# In numbers that anyone can check by hand.


def test_values():
    x, target = ta.tensor([0.5, 3.0]), ta.tensor([0.0, 0.0])
    for name, expected in {
        "mse_loss": [0.25, 9],
        "l1_loss": [0.5, 3],
        "smooth_l1_loss": [0.125, 2.5],
        "smooth_l1_loss, wide": [0.05, 1.75],
        "huber_loss": [0.125, 2.5],
        "huber_loss, narrow": [0.25 * (0.5 - 0.125), 0.25 * (3 - 0.125)],
    }.items():
        assert case_of(name, reduction="none")(ta, x, target).tolist() == pytest.approx(expected)
    certain = getattr(F, BCE)(ta.tensor([0.0, 1e4, -1e4]), ta.tensor([1.0, 1, 1]), reduction="none")
    assert certain.tolist() == pytest.approx([math.log(2), 0, 1e4])


def test_kl_div_of_a_distribution_from_itself_is_0():
    p = ta.tensor(probabilities((4, 5))).softmax(1)
    assert F.kl_div(p.log(), p, reduction="batchmean").item() == pytest.approx(0, abs=1e-15)
    both = F.kl_div(p.log(), p.log(), reduction="batchmean", log_target=True)
    assert both.item() == pytest.approx(0, abs=1e-15)


def test_a_sure_and_right_logit_keeps_its_small_gradient():
    x = leaf([-40.0])
    getattr(F, BCE)(x, ta.zeros(1, dtype=ta.float64)).backward()
    assert x.grad.item() == pytest.approx(math.exp(-40), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_arguments_that_do_not_fit_are_named(name):
    case = case_of(name)
    x = ta.ones(2)
    with pytest.raises(TypeError, match="input: expected a Tensor, got list"):
        case(ta, [1.0, 1.0], x)
    with pytest.raises(TypeError, match="target: expected a Tensor, got float"):
        case(ta, x, 1.0)
    with pytest.raises(RuntimeError, match=r"expected float32 or float64.* got int64"):
        case(ta, x.long(), x.long())
    with pytest.raises(ValueError, match=r"reduction: 'avg' is not a valid value, expected"):
        case_of(name, reduction="avg")(ta, x, x)


def test_options_that_do_not_fit_are_named():
    x = ta.ones(2)
    with pytest.raises(RuntimeError, match="beta: expected a number that is not negative, got -1"):
        F.smooth_l1_loss(x, x, beta=-1)
    with pytest.raises(RuntimeError, match="delta: expected a positive number, got 0"):
        F.huber_loss(x, x, delta=0)
    with pytest.raises(ValueError, match=r"weight: expected the shape of input \[2\], got \[1\]"):
        F.mse_loss(x, x, weight=ta.ones(1))
    bce = getattr(F, BCE)
    with pytest.raises(ValueError, match=r"target: expected the shape of input \[2\], got \[1\]"):
        bce(x, ta.ones(1))
    with pytest.raises(RuntimeError, match=r"pos_weight: expected a shape that broadcasts"):
        bce(x, x, pos_weight=ta.ones(3, 2))
    with pytest.raises(RuntimeError, match=r"weight: binary_cross.* has no gradient for it"):
        bce(x, x, leaf([1.0, 1.0]))


def test_both_halves_run_by_hand():
    f = pointwise_losses.SquaredError()
    assert f.forward(np.array([3.0]), np.array([1.0])).tolist() == [4]
    assert [g.tolist() for g in f.backward(np.ones(1))] == [[4], [-4]]


def test_gradients_of_binary_cross_entropy_match_differences():
    p, y = (leaf(1 / (1 + np.exp(-numbers((3, 4), seed)))) for seed in (0, 1))
    want = -(y * p.log() + (1 - y) * (1 - p).log())
    got = F.binary_cross_entropy(p, y, reduction="none")
    np.testing.assert_allclose(got.detach(), want.detach(), 1e-12)
    assert ta.gradcheck(lambda p, y: F.binary_cross_entropy(p, y), (p, y))


def test_batchmean_divides_by_the_rows_of_input():
    x, t = leaf([-1.0, -2.0]), ta.tensor([[0.5, 0.5], [1.0, 2.0], [0.0, 0.0]])
    loss = F.kl_div(x, t, reduction="batchmean")
    each = [0.5 * (math.log(0.5) - v) for v in (-1, -2)] + [1.0, 2 * (math.log(2) + 2), 0, 0]
    assert loss.item() == pytest.approx(sum(each) / 2, rel=1e-6)
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [-0.75, -1.25])
    assert F.kl_div(ta.tensor(-1.0), ta.tensor(1.0), reduction="batchmean").item() == 1


def test_only_the_target_of_a_divergence_may_need_a_gradient():
    x, t = ta.tensor([-1.0, -2.0]), leaf([0.5, 2.0])
    F.kl_div(x, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad.numpy(), [math.log(0.5) + 2, math.log(2) + 3], rtol=1e-6)


def test_a_mean_of_kl_div_warns_that_it_is_no_divergence():
    p = ta.tensor([[0.5, 0.5]])
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        F.kl_div(p.log(), p)
