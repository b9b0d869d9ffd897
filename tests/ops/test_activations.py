"""Activations: PyTorch's results, gradients and errors; differences; far from zero and at kinks.

ACTIVATIONS lists every one once, with its options; all tests draw from it. Look at it first.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.nn import functional as F
from tinyattn.ops import activations

from .parity import same_as_torch

INF, NAN = math.inf, math.nan

# name: (function, options, where it has no kink)
ACTIVATIONS = {
    "relu": ("relu", {}, (0.3, 3)),
    "leaky_relu": ("leaky_relu", {}, (-3, -0.3)),
    "leaky_relu, steep": ("leaky_relu", {"negative_slope": 2}, (-3, -0.3)),
    "leaky_relu, falling": ("leaky_relu", {"negative_slope": -0.5}, (-3, -0.3)),
    "elu": ("elu", {}, (-3, -0.3)),
    "elu, alpha": ("elu", {"alpha": -1.5}, (-3, -0.3)),
    "elu, alpha, above 0": ("elu", {"alpha": -1.5}, (0.3, 3)),
    "silu": ("silu", {}, (-4, 4)),
    "gelu": ("gelu", {}, (-4, 4)),
    "gelu, tanh": ("gelu", {"approximate": "tanh"}, (-4, 4)),
    "softplus": ("softplus", {}, (-4, 4)),
    "softplus, beta": ("softplus", {"beta": 2, "threshold": 3}, (-2, 1.2)),
    "softplus, linear": ("softplus", {"beta": 0.5, "threshold": -1}, (-1.5, 2)),
    "logsigmoid": ("logsigmoid", {}, (-4, 4)),
    "softsign": ("softsign", {}, (0.3, 3)),
    "glu": ("glu", {}, (-3, 3)),
    "glu, dim": ("glu", {"dim": 0}, (-3, 3)),
}
IN_PLACE = ["relu", "leaky_relu", "elu", "silu"]
VIEWS = {
    "whole": lambda x: x,
    "transposed": lambda x: x.transpose(0, -1) if x.ndim else x,
    "every second": lambda x: x[..., ::2] if x.ndim else x,
    "expanded": lambda x: x.expand(2, *x.shape),
}
SPECIAL = [0.0, -0.0, 1, -1, 1e-45, -1e-320, 19.9, 20.1, -30, 80, -80, 120, -120, 1e4, -1e4]
# Where torch has several answers, from its vector and its scalar code, or a NaN for a limit.
UNCERTAIN = {
    "gelu": [INF, -INF],
    "gelu, tanh": [INF, -INF],
    "softsign": [INF, -INF],
    "elu": [NAN],
    "elu, alpha": [NAN],
    "elu, alpha, above 0": [NAN],
}


def case_of(name, **more):
    function, options, _ = ACTIVATIONS[name]

    def case(t, x):
        library = F if t is ta else t.nn.functional
        return getattr(library, function)(x, **options, **more)

    return case


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 4]), max_size=3).map(tuple),
    dtype=st.sampled_from(["float32", "float64"]),
    view=st.sampled_from(list(VIEWS)),
    seed=st.integers(0, 9),
)
@settings(max_examples=25)
def test_as_in_torch(torch, name, shape, dtype, view, seed):
    values = (np.random.default_rng(seed).integers(-8, 9, shape) / 2).astype(dtype)
    case = case_of(name)
    same_as_torch(torch, lambda t, x: case(t, VIEWS[view](x)), values)


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_integers_and_bools_as_in_torch(torch, name, dtype):
    same_as_torch(torch, case_of(name), np.ones((2, 2), dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_special_values_as_in_torch(torch, name, dtype):
    values = SPECIAL + [v for v in (INF, -INF, NAN) if v not in UNCERTAIN.get(name, [])]
    same_as_torch(torch, case_of(name), np.array(values).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_as_in_torch(torch, name, dtype):
    case = case_of(name, inplace=True)

    def changed(t, x):
        y = x * 1
        return case(t, y) * y

    same_as_torch(torch, changed, np.array([-2, -1, 0, 1, 2], dtype))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_match_differences(name, view):
    case, (low, high) = case_of(name), ACTIVATIONS[name][2]
    x = leaf(np.random.default_rng(0).uniform(low, high, (4, 4)))
    assert ta.gradcheck(lambda x: case(ta, VIEWS[view](x) * 1), (x,))


@pytest.mark.parametrize("name", IN_PLACE)
def test_gradients_of_changes_in_place_match_differences(name):
    case = case_of(name, inplace=True)
    x = leaf(np.random.default_rng(0).uniform(0.3, 2, (3,)) * [1, -1, 1])
    assert ta.gradcheck(lambda x: case(ta, x * 1), (x,))


# In numbers that anyone can check by hand.


def gradients(name, values):
    x = leaf(values)
    case_of(name)(ta, x).sum().backward()
    return x.grad.tolist()


def test_gradients_at_the_kink_are_those_of_the_left():
    assert gradients("relu", [0.0, -0.0]) == [0, 0]
    assert gradients("leaky_relu", [0.0, -0.0]) == [0.01, 0.01]
    assert gradients("elu, alpha", [0.0, -0.0]) == [-1.5, -1.5]


def test_far_from_zero_nothing_overflows():
    far = ta.tensor([-1e4, 1e4])
    for name, expected in {
        "relu": [0, 1e4],
        "elu": [-1, 1e4],
        "silu": [0, 1e4],
        "gelu": [0, 1e4],
        "gelu, tanh": [0, 1e4],
        "softplus": [0, 1e4],
        "logsigmoid": [-1e4, 0],
    }.items():
        assert case_of(name)(ta, far).tolist() == expected, name
        assert np.isfinite(gradients(name, [-1e4, 1e4])).all(), name


def test_logsigmoid_and_softplus_keep_their_precision():
    x = ta.tensor([-80.0, 80.0], dtype=ta.float64)
    assert F.softplus(x).tolist() == pytest.approx([math.exp(-80), 80], rel=1e-14)
    assert F.softplus(x, threshold=100).tolist() == pytest.approx([math.exp(-80), 80], rel=1e-14)
    assert F.logsigmoid(x).tolist() == pytest.approx([-80, -math.exp(-80)], rel=1e-14)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float32", 2e-7, 1e-7), ("float64", 1e-13, 0)]
)
def test_gelu_is_as_exact_as_its_type(dtype, rtol, atol):
    x = np.linspace(-9, 9, 1801).astype(dtype)
    expected = [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(float)]
    np.testing.assert_allclose(F.gelu(ta.tensor(x)).numpy(), expected, rtol, atol)


def test_without_a_gradient_nothing_is_kept():
    for name in ("silu", "gelu", "gelu, tanh", "softplus", "elu", "logsigmoid"):
        function, options, _ = ACTIVATIONS[name]
        with ta.no_grad():
            assert getattr(F, function)(leaf([1.0, -1.0]), **options).grad_fn is None


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu, tanh", "softplus", "elu", "logsigmoid"])
def test_an_input_that_has_changed_is_refused_by_backward(name):
    """The slope is computed again from the input, as in PyTorch."""
    function, options, _ = ACTIVATIONS[name]
    x = leaf([1.0, -1.0])
    y = x * 2
    z = getattr(F, function)(y, **options)
    y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(RuntimeError, match=r"approximate: expected 'none' or 'tanh', got 'erf'"):
        F.gelu(ta.ones(2), approximate="erf")
    with pytest.raises(RuntimeError, match=r"glu: input: expected an even size .* got 3"):
        F.glu(ta.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"glu: input: expected at least 1 dimension"):
        F.glu(ta.tensor(1.0))
    with pytest.raises(IndexError, match="dim: Dimension out of range"):
        F.glu(ta.ones(2), dim=1)
    with pytest.raises(RuntimeError, match="silu: input: expected float32 or float64, got int64"):
        F.silu(ta.tensor([1]))
    with pytest.raises(RuntimeError, match="leaf"):
        F.elu(leaf([1.0]), inplace=True)
    for name, (function, options, _) in ACTIVATIONS.items():
        with pytest.raises(TypeError, match="input: expected a Tensor, got list"):
            getattr(F, function)([1.0, 2.0], **options)
        assert name


def test_both_halves_run_by_hand():
    f = activations.SiLU()
    assert f.forward(np.array([0.0, 2.0])).tolist() == pytest.approx([0, 2 / (1 + math.exp(-2))])
    assert f.backward(np.ones(2))[0] == 0.5
    g = activations.GLU()
    assert g.forward(np.array([4.0, 0.0]), 0).tolist() == [2]
    assert g.backward(np.ones(1)).tolist() == [0.5, 1]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


FORMULAS = {
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "leaky_relu, steep": lambda x: x if x > 0 else 2 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "elu, alpha": lambda x: x if x > 0 else -1.5 * (math.exp(x) - 1),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "gelu, tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "softplus, beta": lambda x: x if 2 * x > 3 else math.log(1 + math.exp(2 * x)) / 2,
    "logsigmoid": lambda x: math.log(sigmoid(x)),
    "softsign": lambda x: x / (1 + abs(x)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_computes_its_formula(name):
    function, options, _ = ACTIVATIONS[name]
    x = [-2.3, -0.4, 0.3, 1.7, 4.2]
    found = getattr(F, function)(ta.tensor(x, dtype=ta.float64), **options)
    np.testing.assert_allclose(found, [*map(FORMULAS[name], x)], 1e-13)


def test_glu_is_one_half_times_the_sigmoid_of_the_other():
    found = F.glu(ta.tensor([2.0, 3.0, 0.5, -1.0], dtype=ta.float64))
    np.testing.assert_allclose(found, [2 * sigmoid(0.5), 3 * sigmoid(-1.0)], 1e-13)
