"""Elementwise operations: PyTorch's results, gradients and errors; differences; awkward points.

UNARY and BINARY list every operation once; all tests draw from them. Look at those tables first.
"""

import math
import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.nn import functional as F
from tinyattn.ops import elementwise

from .parity import same_as_torch

INF, NAN = math.inf, math.nan

# name: (case, interval where it is smooth)
UNARY = {
    "neg": (lambda t, x: -x, (-2, 2)),
    "exp": (lambda t, x: x.exp(), (-2, 2)),
    "log": (lambda t, x: t.log(x), (0.3, 3)),
    "sqrt": (lambda t, x: x.sqrt(), (0.3, 3)),
    "abs": (lambda t, x: t.abs(x), (0.3, 3)),
    "tanh": (lambda t, x: x.tanh(), (-2, 2)),
    "sigmoid": (lambda t, x: t.sigmoid(x), (-4, 4)),
    "relu": (lambda t, x: t.relu(x), (0.3, 3)),
    "rsqrt": (lambda t, x: x.rsqrt(), (0.3, 3)),
    "reciprocal": (lambda t, x: t.reciprocal(x), (0.3, 3)),
    "square": (lambda t, x: x.square(), (-2, 2)),
    "sign": (lambda t, x: t.sign(x), (0.3, 3)),
    "sin": (lambda t, x: x.sin(), (-2, 2)),
    "cos": (lambda t, x: t.cos(x), (-2, 2)),
    "erf": (lambda t, x: t.erf(x), (-2, 2)),
    "expm1": (lambda t, x: x.expm1(), (-2, 2)),
    "sinh": (lambda t, x: x.sinh(), (-2, 2)),
    "cosh": (lambda t, x: t.cosh(x), (-2, 2)),
    "log1p": (lambda t, x: t.log1p(x), (-0.7, 2)),
    "log2": (lambda t, x: x.log2(), (0.3, 3)),
    "log10": (lambda t, x: x.log10(), (0.3, 3)),
    "clamp": (lambda t, x: x.clamp(-1, 2), (-0.7, 1.7)),
    "clamp_min": (lambda t, x: t.clamp(x, min=0), (0.3, 3)),
    "clamp_max": (lambda t, x: x.clamp(max=1), (1.3, 3)),
    "clamp_float": (lambda t, x: x.clamp(0.5, 1.5), (0.7, 1.3)),
    "add a number": (lambda t, x: x + 2, (-2, 2)),
    "add to a float": (lambda t, x: 0.5 + x, (-2, 2)),
    "sub from a number": (lambda t, x: 1.5 - x, (-2, 2)),
    "mul a float": (lambda t, x: x * 0.5, (-2, 2)),
    "div a number": (lambda t, x: x / 3, (-2, 2)),
    "div of a number": (lambda t, x: 2 / x, (0.3, 3)),
    "pow 2": (lambda t, x: x**2, (-2, 2)),
    "remainder by a number": (lambda t, x: x % -2.5, (0.3, 2.3)),
    "abs()": (lambda t, x: abs(x), (0.3, 3)),
    "+x": (lambda t, x: +x, (-2, 2)),
    "cube": (lambda t, x: x.pow(3), (-2, 2)),
    "pow 0": (lambda t, x: x**0, (-2, 2)),
    "pow 1": (lambda t, x: x**1, (-2, 2)),
    "pow 0.5": (lambda t, x: x**0.5, (0.3, 3)),
    "pow -2.0": (lambda t, x: x**-2.0, (0.3, 3)),
    "number to the x": (lambda t, x: 2.5**x, (-2, 2)),
    "0 to the x": (lambda t, x: 0**x, (0.3, 3)),
    "where": (lambda t, x: t.where(x > 0, x, 0), (0.3, 3)),
    "where of numbers": (lambda t, x: t.where(x > 1, 2.0, 1) * x, (1.3, 3)),
    "to": (lambda t, x: x.to(t.float64), (-2, 2)),
    "clone": (lambda t, x: t.clone(x), (-2, 2)),
}
BINARY = {
    "add": (lambda t, x, y: x + y, (-2, 2)),
    "add_alpha": (lambda t, x, y: t.add(x, y, alpha=3), (-2, 2)),
    "sub": (lambda t, x, y: t.sub(x, y), (-2, 2)),
    "sub_alpha": (lambda t, x, y: x.sub(y, alpha=2), (-2, 2)),
    "mul": (lambda t, x, y: x * y, (-2, 2)),
    "div": (lambda t, x, y: x / y, (0.3, 3)),
    "div, floor": (lambda t, x, y: t.div(x, y, rounding_mode="floor"), (0.7, 0.9)),
    "div, trunc": (lambda t, x, y: x.div(y, rounding_mode="trunc"), (0.7, 0.9)),
    "remainder": (lambda t, x, y: x % y, (0.7, 0.9)),
    "pow": (lambda t, x, y: x**y, (0.3, 3)),
    "maximum": (lambda t, x, y: t.maximum(x, y), (-2, 2)),
    "minimum": (lambda t, x, y: t.minimum(x, y), (-2, 2)),
    "clamp below": (lambda t, x, y: t.clamp(x, min=y), (-2, 2)),
    "clamp above": (lambda t, x, y: x.clamp(max=y), (-2, 2)),
    "clamp between": (lambda t, x, y: x.clamp(y, -y), (-2, 2)),
    "where": (lambda t, x, y: t.where(x > 0, x, y), (0.3, 3)),
    "where by the other": (lambda t, x, y: t.where(y > 0, y * 2, x), (0.3, 3)),
}
# Without a gradient.
BINARY_TESTS = {
    "floor division": lambda t, x, y: x.detach() // y.detach(),
    "floor division by a number": lambda t, x, y: x.detach() // 2,
    "floor division of a number": lambda t, x, y: 7 // x.detach(),
    "remainder of a number": lambda t, x, y: 7.5 % x.detach(),
    "eq": lambda t, x, y: x == y,
    "ne": lambda t, x, y: t.ne(x, y),
    "lt": lambda t, x, y: x < y,
    "le": lambda t, x, y: t.le(x, y),
    "gt": lambda t, x, y: x > y,
    "ge": lambda t, x, y: x.ge(y),
    "eq a number": lambda t, x, y: x == 1,
    "lt a float": lambda t, x, y: y < 0.5,
    "number gt": lambda t, x, y: 1 > y,  # noqa: SIM300
    "logical_and": lambda t, x, y: t.logical_and(x, y),
    "logical_or": lambda t, x, y: t.logical_or(x, y),
    "logical_not": lambda t, x, y: t.logical_not(x),
    "and": lambda t, x, y: (x > 0) & (y > 0),
    "or": lambda t, x, y: (x > 0) | (y > 0),
    "xor": lambda t, x, y: (x > 0) ^ (y > 0),
    "and a number": lambda t, x, y: (x > 0) & True,
    "number and": lambda t, x, y: True & (x > 0),
    "or a number": lambda t, x, y: (x > 0) | False,
    "number or": lambda t, x, y: True | (x > 0),
    "xor a number": lambda t, x, y: (x > 0) ^ True,
    "number xor": lambda t, x, y: True ^ (x > 0),
    "invert": lambda t, x, y: ~(x > y),
    "isnan": lambda t, x, y: t.isnan(x),
    "isinf": lambda t, x, y: x.isinf(),
    "isfinite": lambda t, x, y: t.isfinite(y),
}
# On a tensor in the middle of a graph, because a leaf refuses them.
IN_PLACE = {
    "add_": lambda t, x, y: x.add_(y),
    "add_alpha": lambda t, x, y: x.add_(y, alpha=2),
    "sub_": lambda t, x, y: x.sub_(y),
    "mul_": lambda t, x, y: x.mul_(y),
    "div_": lambda t, x, y: x.div_(y),
    "/=": lambda t, x, y: operator.itruediv(x, 2),
    "%=": lambda t, x, y: operator.imod(x, y),
    "**=": lambda t, x, y: operator.ipow(x, 2),
    "itself": lambda t, x, y: x.mul_(x).add_(x),
    "add_ a float": lambda t, x, y: x.add_(1.5),
    "clamp_": lambda t, x, y: x.clamp_(0, 1),
    "copy_": lambda t, x, y: x.copy_(y),
    "copy_ of a part": lambda t, x, y: x.copy_(x * 2 + y),
    "fill_": lambda t, x, y: x.fill_(2),
    "fill_ a tensor": lambda t, x, y: x.fill_(y),
    "fill_ a sum": lambda t, x, y: x.fill_(y.sum()),
    "zero_": lambda t, x, y: x.zero_(),
    "relu": lambda t, x, y: (
        F.relu(x, inplace=True) if t is ta else t.nn.functional.relu(x, inplace=True)
    ),
}
VIEWS = {
    "whole": lambda x: x,
    "transposed": lambda x: x.transpose(0, -1) if x.ndim else x,
    "sliced": lambda x: x[1:] if x.ndim else x,
    "every second": lambda x: x[..., ::2] if x.ndim else x,
    "expanded": lambda x: x.expand(2, *x.shape),
}

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
TWO_SHAPES = st.sampled_from(
    [
        ((), ()),
        ((3,), ()),
        ((), (2, 3)),
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((1,), (2, 0)),
        ((0,), (2, 1)),
        ((2, 3), (2,)),
        ((2, 2), (3, 2, 2)),
    ]
)
DTYPES = st.sampled_from(["float32", "float64", "int64", "int32", "bool"])
NUMBERS = st.sampled_from(["float32", "float64", "int64", "int32"])
FLOATS = ["float32", "float64"]
SPECIAL = [0.0, -0.0, 1, -1, 0.5, 2, 1e-45, -1e-320, 1000, -1000, 1e38, 1e4, -1e4, INF, -INF, NAN]


def small(shape, dtype, seed=0):
    """Few different values, so that many tie; zeros among them."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)


def within(interval, shape, seed=0):
    low, high = interval
    return np.random.default_rng(seed).uniform(low, high, shape)


@pytest.mark.parametrize("name", UNARY)
@given(shape=SHAPES, dtype=NUMBERS, view=st.sampled_from(list(VIEWS)), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_one_operand_as_in_torch(torch, name, shape, dtype, view, seed):
    case = UNARY[name][0]
    values = (
        np.abs(small(shape, dtype, seed)) if name == "0 to the x" else small(shape, dtype, seed)
    )
    same_as_torch(torch, lambda t, x: case(t, VIEWS[view](x)), values)


@pytest.mark.parametrize("name", [n for n in UNARY if n != "sub from a number"])
@pytest.mark.parametrize("shape", [(), (2,), (0,)])
def test_a_bool_operand_as_in_torch(torch, name, shape):
    same_as_torch(torch, UNARY[name][0], np.ones(shape, bool))


@pytest.mark.parametrize("name", BINARY | BINARY_TESTS)
@given(
    shapes=TWO_SHAPES,
    dtypes=st.tuples(DTYPES, NUMBERS) | st.tuples(NUMBERS, DTYPES),
    view=st.sampled_from(list(VIEWS)),
    swap=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_two_operands_as_in_torch(torch, name, shapes, dtypes, view, swap, seed):
    case = BINARY_TESTS[name] if name in BINARY_TESTS else BINARY[name][0]
    shapes = shapes[::-1] if swap else shapes
    x, y = (small(s, d, seed + i) for i, (s, d) in enumerate(zip(shapes, dtypes, strict=True)))
    if name == "pow":
        y = np.abs(y)
    if name in ("sub", "sub_alpha", "add_alpha", "pow") and "bool" in dtypes:
        return  # torch refuses one bool operand; here only two of them are
    same_as_torch(torch, lambda t, x, y: case(t, VIEWS[view](x), y), x, y)


@pytest.mark.parametrize("name", ["add", "mul", "div", "maximum", "minimum", "where", "sub"])
def test_two_bool_operands_as_in_torch(torch, name):
    x = np.array([True, True, False])
    if name == "where":
        same_as_torch(torch, lambda t, x, y: t.where(x, x, y), x, x[::-1].copy())
    else:
        same_as_torch(torch, BINARY[name][0], x, x[::-1].copy())


@pytest.mark.parametrize("name", IN_PLACE)
@given(
    shapes=TWO_SHAPES, dtypes=st.tuples(DTYPES, DTYPES), swap=st.booleans(), seed=st.integers(0, 9)
)
@settings(max_examples=40)
def test_in_place_as_in_torch(torch, name, shapes, dtypes, swap, seed):
    if name == "itself" or (name in ("sub_", "add_alpha", "clamp_", "relu") and "bool" in dtypes):
        return  # refused in torch
    if name in ("fill_ a tensor", "fill_ a sum") and "float" not in dtypes[0]:
        return  # torch's backward fails
    shapes = shapes[::-1] if swap else shapes
    x, y = (small(s, d, seed + i) for i, (s, d) in enumerate(zip(shapes, dtypes, strict=True)))

    def case(t, x, y):
        z = x.clone()
        IN_PLACE[name](t, z, y)
        return z

    same_as_torch(torch, case, x, y)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_special_values_as_in_torch(torch, name, dtype):
    values = SPECIAL
    if name == "pow 0.5":
        values = [v for v in SPECIAL if math.copysign(1, v) > 0]  # gradient at -0: inf, -inf
    same_as_torch(torch, UNARY[name][0], np.array(values).astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BINARY | BINARY_TESTS)
def test_pairs_of_special_values_as_in_torch(torch, name, dtype):
    case = BINARY_TESTS[name] if name in BINARY_TESTS else BINARY[name][0]
    special = SPECIAL
    if name.startswith("remainder"):
        special = [v for v in SPECIAL if not 0 < abs(v) < 1e-30]  # torch: NaN for denormals
    x, y = np.meshgrid(np.array(special).astype(dtype), np.array(special).astype(dtype))
    same_as_torch(torch, case, x, y)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("view", VIEWS)
def test_gradients_of_one_operand_match_differences(name, view):
    case, interval = UNARY[name]
    x = leaf(within(interval, (2, 3)))
    assert ta.gradcheck(lambda x: case(ta, VIEWS[view](x) * 1), (x,))


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2,), (2,))])
@pytest.mark.parametrize("name", BINARY)
def test_gradients_of_two_operands_match_differences(name, shapes):
    case, interval = BINARY[name]
    x, y = (leaf(within(interval, shape, i)) for i, shape in enumerate(shapes))
    assert ta.gradcheck(lambda x, y: case(ta, x, y), (x, y))


@pytest.mark.parametrize("name", [n for n in IN_PLACE if n != "fill_ a tensor"])
def test_gradients_through_changes_match_differences(name):
    x, y = leaf(within((0.3, 0.9), (2, 3))), leaf(within((0.3, 0.9), (3,), 1))
    assert ta.gradcheck(lambda x, y: IN_PLACE[name](ta, x * 1, y) * y, (x, y))


@pytest.mark.parametrize("name", UNARY)
def test_gradients_of_tensors_without_elements_have_their_shape(name):
    x = leaf(np.zeros((2, 0)))
    (UNARY[name][0](ta, x) + x).sum().backward()
    assert x.grad.shape == (2, 0)


# Awkward points, in numbers that anyone can check by hand.


def gradients(fn, *values):
    leaves = [leaf(np.array(v, float)) for v in values]
    fn(*leaves).sum().backward()
    grads = [x.grad.tolist() for x in leaves]
    return grads if len(grads) > 1 else grads[0]


def test_ties_share_the_gradient():
    assert gradients(ta.maximum, [1.0, 2], [1.0, 0]) == [[0.5, 1], [0.5, 0]]
    assert gradients(ta.minimum, [1.0, 2], [1.0, 0]) == [[0.5, 0], [0.5, 1]]


def test_the_gradient_of_a_cast_is_cast_back():
    x = ta.tensor([1.0, -2.0], dtype=ta.float32, requires_grad=True)
    (x.double() * ta.tensor([3.0, 0.5], dtype=ta.float64)).sum().backward()
    assert x.grad.dtype == ta.float32
    assert x.grad.tolist() == [3, 0.5]


def test_gradients_at_the_corner():
    assert gradients(ta.abs, [0.0, -0.0, -2]) == [0, 0, -1]
    assert gradients(ta.relu, [0.0, -0.0, 2]) == [0, 0, 1]
    assert gradients(ta.sqrt, [0.0, 4]) == [INF, 0.25]
    assert gradients(lambda x: x.clamp(-1, 1), [-1.0, 1, 1.5, -1.5]) == [1, 1, 0, 0]


def test_gradients_of_powers_at_zero():
    assert gradients(lambda x: x**0, [0.0]) == [0]
    assert gradients(lambda x: x**1, [0.0]) == [1]
    assert gradients(lambda x: x**2, [0.0]) == [0]
    assert gradients(lambda x: x**0.5, [0.0]) == [INF]
    assert gradients(lambda x: 0**x, [0.0, 1, 2]) == [0, 0, 0]


def test_an_inverse_root_of_float32_is_that_of_float64_rounded():
    x = np.arange(0x3F000000, 0x40000000, 997, np.uint32).view(np.float32)  # from 1/2 to 2
    x = np.concatenate([x, np.float32([1e-45, 1e-38, 3e38])])
    np.testing.assert_allclose(ta.tensor(x) ** -0.5, 1 / np.sqrt(np.float64(x)), 1.2e-7)
    special = ta.tensor([0.0, -0.0, INF, NAN, -1.0])
    np.testing.assert_array_equal(special**-0.5, [INF, INF, 0, NAN, NAN])


def test_a_power_keeps_its_result_for_the_gradient_of_its_exponent():
    x, y = leaf([2.0]), leaf([3.0])
    z = x.detach() ** y
    z.mul_(2)
    with pytest.raises(RuntimeError, match=r"Pow saved .*mul_"):
        z.sum().backward()
    z = x ** y.detach()
    z.mul_(2).sum().backward()
    assert x.grad.tolist() == [24]


def test_a_nan_on_the_side_that_where_leaves_out_has_no_effect():
    x, y = leaf([-1.0, 4.0]), leaf([NAN, 2.0])
    z = ta.where(x > 0, y, x)
    z.sum().backward()
    assert z.tolist() == [-1, 2]
    assert [x.grad.tolist(), y.grad.tolist()] == [[1, 0], [0, 1]]


def test_an_infinite_gradient_stays_on_the_side_that_where_takes():
    x, y = leaf([0.0]), leaf([0.0])
    ta.where(x == 0, x, y).sqrt().backward()
    assert [x.grad.tolist(), y.grad.tolist()] == [[INF], [0]]


def test_sigmoid_keeps_its_precision_far_from_zero():
    y = ta.sigmoid(ta.tensor([-80.0, 80.0, -1e4, 1e4]))
    assert y.tolist() == pytest.approx([math.exp(-80), 1, 0, 1], rel=1e-6, abs=0)


def test_an_array_drawn_through_an_operation_is_not_the_callers():
    x = ta.tensor([1.0, 2.0])
    for y in (x.clone(), x + 0, x * 1, x.to(ta.float32, copy=True), x.relu(), x.clamp(min=0)):
        y.zero_()
    assert x.tolist() == [1, 2]


# Dtypes


def test_bare_numbers_do_not_widen():
    for number in (2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2)):
        assert (ta.ones(2) * number).dtype == ta.float32
        assert (ta.ones(2, dtype=ta.float64) + number).dtype == ta.float64
    assert (ta.ones(2, dtype=ta.int32) + 2).dtype == ta.int32
    assert (ta.ones(2, dtype=ta.int64) + 2.5).dtype == ta.float32
    assert (ta.ones(2) * ta.tensor(2.0, dtype=ta.float64)).dtype == ta.float32
    assert (ta.arange(3) / 2).dtype == ta.float32


def test_alpha_keeps_the_precision_of_numbers():
    x = ta.zeros(1, dtype=ta.float64)
    assert ta.add(x, 0.1, alpha=3).item() == 0.1 * 3
    assert ta.sub(x, 0.1, alpha=3).item() == -(0.1 * 3)


def test_to_gives_the_tensor_itself_unless_a_copy_is_asked_for():
    x = ta.ones(2, requires_grad=True)
    assert x.to(ta.float32) is x
    assert x.to(ta.ones(1)) is x
    y = x.to(ta.float32, copy=True)
    assert y is not x
    (y * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.to(ta.float64).dtype == ta.float64
    z = x.to(ta.zeros(1, dtype=ta.float64))
    assert z.dtype == ta.float64
    z.sum().backward()
    assert x.grad.dtype == ta.float32
    assert not x.to(ta.int64).requires_grad


@pytest.mark.parametrize("dtype", ["float16", "complex64", "no such"])
def test_to_refuses_other_dtypes_by_name(dtype):
    with pytest.raises(TypeError, match=rf"dtype: expected float32.*got {dtype}"):
        ta.ones(2).to(dtype)


# Errors


BROADCAST = [n for n in BINARY if n not in ("where by the other", "clamp between")]


@pytest.mark.parametrize("name", [*BROADCAST, "logical_and", "logical_or", "eq", "lt"])
def test_shapes_that_do_not_broadcast_are_named(name):
    case = BINARY[name][0] if name in BINARY else BINARY_TESTS[name]
    with pytest.raises(RuntimeError, match=r"tensor a \(3\).*tensor b \(2\).*\[2, 3\].*\[2\]"):
        case(ta, ta.ones(2, 3), ta.ones(2))


@pytest.mark.parametrize("other", [None, "a", [1, 2], object()])
def test_operands_that_are_no_numbers_are_refused(other):
    for name in ("add", "sub", "mul", "div", "pow", "eq", "lt"):
        with pytest.raises(TypeError, match="expected a Tensor or a number, got"):
            getattr(ta, name)(ta.ones(2), other)
    with pytest.raises(TypeError, match=r"other: expected a Tensor"):
        ta.maximum(ta.ones(2), other)
    with pytest.raises(TypeError, match="condition: expected a Tensor"):
        ta.where(other, ta.ones(2), ta.ones(2))
    with pytest.raises(TypeError, match="input: expected a Tensor"):
        ta.exp(other)


def test_integers_to_a_negative_power_are_refused_and_to_a_tensor_of_them_rounded_to_zero():
    x = ta.tensor([1, 2, -1, -1, 0])
    with pytest.raises(RuntimeError, match="Integers to negative integer powers"):
        _ = x**-1
    assert (x ** ta.tensor([-1, -2, -3, -4, -5])).tolist() == [1, 0, -1, 1, 0]
    assert (2 ** ta.tensor([-1, 3])).tolist() == [0, 8]
    x = ta.tensor([1, 2])
    assert (x**-1.0).tolist() == [1, 0.5]
    assert (ta.tensor([-1]).double() ** -1).tolist() == [-1]


def test_bools_are_not_subtracted_negated_or_raised():
    x = ta.tensor([True, False])
    for case in (lambda: x - x, lambda: -x, lambda: x**x):
        with pytest.raises(RuntimeError, match="bool"):
            case()


def test_clamp_says_what_its_bounds_are():
    with pytest.raises(RuntimeError, match="at least one of min and max"):
        ta.ones(2).clamp()
    with pytest.raises(TypeError, match=r"expected a Tensor or a number, got list"):
        ta.ones(2).clamp([1, 1])
    with pytest.raises(RuntimeError, match=r"tensor a \(2\).*tensor b \(3\)"):
        ta.ones(2).clamp(max=ta.ones(3))


def test_changes_in_place_keep_shape_and_kind():
    x = ta.ones(3)
    with pytest.raises(RuntimeError, match=r"add_: output with shape \[3\].*\[2, 3\]"):
        x.add_(ta.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"copy_: .*\[2, 3\].*\[3\]"):
        x.copy_(ta.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"add_: result type float32.*int64"):
        ta.arange(3).add_(0.5)
    with pytest.raises(RuntimeError, match=r"fill_: value: expected a number.*\[3\]"):
        x.fill_(ta.ones(3))
    with pytest.raises(RuntimeError, match="leaf"):
        leaf([1.0]).add_(1)
    assert x.tolist() == [1, 1, 1]


def test_changes_in_place_give_the_tensor_itself():
    for name, case in IN_PLACE.items():
        x = ta.ones(3)
        assert case(ta, x, ta.tensor(2.0)) is x, name


def test_what_was_written_over_has_no_gradient():
    x = leaf([1.0, 2.0])
    for change in (
        lambda y: y.zero_(),
        lambda y: y.fill_(3),
        lambda y: y.copy_(ta.zeros(2)),
        lambda y: y.uniform_(),
        lambda y: y.normal_(),
    ):
        x.grad = None
        change(x * 2).sum().backward()
        assert x.grad.tolist() == [0, 0]


def test_a_wider_operand_that_overflows_a_narrow_tensor_gives_infinity():
    big = ta.tensor([1e300], dtype=ta.float64)
    assert ta.ones(1).mul_(big).item() == INF
    assert ta.ones(1).copy_(big).item() == INF
    assert (ta.ones(1) * 1e300).item() == INF


def test_both_halves_run_by_hand():
    f = elementwise.Mul()
    assert f.forward(np.array([1.0, 2]), np.array([3.0, 4])).tolist() == [3, 8]
    assert [g.tolist() for g in f.backward(np.ones(2))] == [[3, 4], [1, 2]]
    g = elementwise.Tanh()
    assert g.forward(np.zeros(2)).tolist() == [0, 0]
    assert g.backward(np.ones(2)).tolist() == [1, 1]


# Python's operators and conversions


INTS, BOOLS, FLOATS32 = [6, -5, 3], [True, True, False], [1.5, -2.5, 3.0]
# name: a case of an int64, a bool and a float32 tensor
OPERATORS = {
    "bits of a number": lambda t, i, b, f: (i & 3, i | 3, i ^ 3, 3 & i, 3 | i, 3 ^ i),
    "bits of bools and integers": lambda t, i, b, f: (b & 1, 2 | b, i & True, b ^ i),
    "bits of floats": lambda t, i, b, f: f & 1,
    "bits of a float": lambda t, i, b, f: 1.5 | i,
    "bits of nothing": lambda t, i, b, f: i & None,
    "not of floats": lambda t, i, b, f: ~f,
    "left shift": lambda t, i, b, f: (i << 2, 2 << t.abs(i), i << t.abs(i)),
    "right shift": lambda t, i, b, f: (i >> 1, 64 >> t.abs(i), i >> 70),
    "shift beyond the dtype": lambda t, i, b, f: (i << 70, i << -1),
    "shift of bools": lambda t, i, b, f: (b << 1, b >> 1),
    "shift of bools by bools": lambda t, i, b, f: b << b,
    "shift of floats": lambda t, i, b, f: f << 1,
    "division of integers": lambda t, i, b, f: (i // 2, i // -4, 7 // i, i % 4, i % -4, 7 % i),
    "division by infinity": lambda t, i, b, f: (f.detach() // INF, f % INF, f % -INF),
    "division of floats by 0": lambda t, i, b, f: (f.detach() // 0, f % 0),
    "division of integers by 0": lambda t, i, b, f: i // 0,
    "remainder of integers by 0": lambda t, i, b, f: i % 0,
    "division of bools": lambda t, i, b, f: b // b,
    "remainder of bools": lambda t, i, b, f: b % b,
    "remainder of bools by 2": lambda t, i, b, f: b % 2,
    "divmod": lambda t, i, b, f: divmod(f, 2),
    "plus bool": lambda t, i, b, f: +b,
    "minus bool": lambda t, i, b, f: -b,
    "abs of bool": lambda t, i, b, f: abs(b),
    "sum()": lambda t, i, b, f: sum(f),
    "in-place bits": lambda t, i, b, f: (
        operator.iand(i, 7),
        operator.ior(b, True),
        operator.ixor(b, b),
    ),
    "in-place shifts": lambda t, i, b, f: (operator.ilshift(i, 2), operator.irshift(i, 1)),
    "in-place division": lambda t, i, b, f: operator.ifloordiv(i, 2),
    "in-place division that gives floats": lambda t, i, b, f: operator.ifloordiv(i, 2.5),
    "product with an array": lambda t, i, b, f: (
        f.detach() @ np.ones(3, np.float32),
        f.detach() @ np.ones((3, 2), np.float32),
    ),
    "product with a number": lambda t, i, b, f: f @ 2,
    "product of a number": lambda t, i, b, f: 2 @ f,
    "deleting": lambda t, i, b, f: operator.delitem(i, 0),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_as_in_torch(torch, name):
    def case(t, i, b, f):
        return OPERATORS[name](t, i, b, f * 1)

    same_as_torch(torch, case, np.array(INTS), np.array(BOOLS), np.array(FLOATS32, np.float32))


def test_operators_in_numbers_anyone_can_check():
    i, b, f = ta.tensor([7, -7]), ta.tensor([True, False]), ta.tensor([1.5, -2.5])
    assert (i // 2).tolist() == [3, -4]
    assert (i % 3).tolist() == [1, 2]
    assert (i % -3).tolist() == [-2, -1]
    assert (10 // i).tolist() == [1, -2]
    assert (10 % i).tolist() == [3, -4]
    assert (f // 1).tolist() == [1, -3]
    assert (f % 1).tolist() == [0.5, 0.5]
    assert abs(f).tolist() == [1.5, 2.5]
    assert (+f).tolist() == [1.5, -2.5]
    assert (i ^ 2).tolist() == [5, -5]
    assert (b & True).tolist() == (True & b).tolist() == [True, False]
    assert (True | b).tolist() == [True, True]
    assert (b ^ True).tolist() == [False, True]
    assert (i << 1).tolist() == [14, -14]
    assert (i >> 1).tolist() == [3, -4]


def test_the_gradient_of_a_floor_division_is_0():
    assert gradients(lambda x, y: x // y, [7.5, -1.0], [2.0, 3.0]) == [[0, 0], [0, 0]]


def test_the_gradient_of_a_remainder():
    assert gradients(lambda x, y: x % y, [7.5, -1.0], [2.0, 3.0]) == [[1, 1], [-3, 1]]


def test_an_array_on_either_side_of_an_operator():
    a, x = np.array([4.0, 9.0]), leaf([1.0, 2.0])
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
        apply = getattr(operator, name)
        for left, right in ((a, x), (x, a)):
            y = apply(left, right)
            assert isinstance(y, ta.Tensor), name
            expected = apply(*(np.asarray(v.tolist()) if v is x else v for v in (left, right)))
            np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-15)
            assert y.requires_grad
    (a @ x).backward()
    assert x.grad.tolist() == [4, 9]
    mask = ta.tensor([True, False])
    for name in ("and_", "or_", "xor", "eq", "ne", "lt", "le", "gt", "ge"):
        apply, other = getattr(operator, name), np.array([True, True])
        for left, right in ((mask, other), (other, mask)):
            expected = apply(*(v.numpy() if v is mask else v for v in (left, right)))
            assert apply(left, right).tolist() == expected.tolist(), name
    assert (np.int64(3) & ta.tensor([2, 5])).tolist() == [2, 1]


IN = {
    "a number": lambda t: 2 in t.tensor([1, 2, 3]),
    "no number": lambda t: 5 in t.tensor([1, 2, 3]),
    "a float": lambda t: 1.5 in t.tensor([1.5, 2.0]),
    "a fraction among integers": lambda t: 1.5 in t.tensor([1, 2]),
    "a numpy number": lambda t: np.int64(2) in t.tensor([1, 2]),
    "nan": lambda t: NAN in t.tensor([NAN]),
    "in one number": lambda t: 3 in t.tensor(3),
    "in nothing": lambda t: 3 in t.tensor([]),
    "a tensor": lambda t: t.tensor(2) in t.tensor([1, 2]),
    "a row": lambda t: t.tensor([1, 2]) in t.tensor([[1, 2], [3, 4]]),
    "text": lambda t: "a" in t.tensor([1]),
    "None": lambda t: None in t.tensor([1]),
    "a list": lambda t: [1] in t.tensor([1]),
}
PLAIN = {
    "format of a float": lambda t: f"{t.tensor(1.23456):.4f}",
    "format of a loss": lambda t: f"{t.ones(3, requires_grad=True).sum():.2f}",
    "format of an int": lambda t: f"{t.tensor(12):5d}",
    "format of a bool": lambda t: f"{t.tensor(True)}",
    "format without a pattern": lambda t: f"{t.tensor(2)} {t.tensor([1, 2])}",
    "format of several": lambda t: f"{t.tensor([1.0, 2.0]):.2f}",
    "float of several": lambda t: float(t.ones(2)),
    "int of several": lambda t: int(t.ones(2)),
    "int of a fraction": lambda t: int(t.tensor([-1.7])),
    "int of nan": lambda t: int(t.tensor(NAN)),
    "complex": lambda t: complex(t.tensor(1.5)),
    "bool": lambda t: (bool(t.tensor([0.5])), bool(t.tensor(0))),
    "bool of none": lambda t: bool(t.tensor([])),
    "bool of several": lambda t: bool(t.ones(2)),
    "floor": lambda t: (math.floor(t.tensor(-1.5)), math.ceil(t.tensor(-1.5))),
    "round": lambda t: round(t.tensor(1.26), 1),
    "trunc": lambda t: math.trunc(t.tensor(1.5)),
    "index": lambda t: ["a", "b", "c"][t.tensor(1)],
    "index of a bool": lambda t: operator.index(t.tensor(True)),
    "index of a float": lambda t: operator.index(t.tensor(1.0)),
    "index of several": lambda t: operator.index(t.tensor([1, 2])),
    "range": lambda t: list(range(t.tensor(3))),
    "len": lambda t: len(t.ones(2, 3)),
    "equals a list": lambda t: t.tensor([1, 2]) == [1, 2],
    "equals an object": lambda t: t.tensor([1, 2]) == "a",
    "differs from None": lambda t: t.tensor([1, 2]) != None,  # noqa: E711
    "size": lambda t: (tuple(t.ones(2, 3).size()), t.ones(2, 3).size(-1)),
    "size of no dimension": lambda t: t.ones(2, 3).size(2),
    "item of several": lambda t: t.ones(2).item(),
}


@pytest.mark.parametrize("name", IN | PLAIN)
def test_conversions_and_membership_as_in_torch(torch, name):
    outcomes = []
    for t in (torch, ta):
        try:
            outcomes.append((IN | PLAIN)[name](t))
        except (IndexError, TypeError, ValueError, RuntimeError) as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


def test_a_loss_is_formatted_as_its_number_and_found_by_in():
    loss = ta.tensor([1.0, 2.0], requires_grad=True).mean()
    assert f"{loss:.3f}" == "1.500"
    assert f"{loss}" == "1.5"
    assert 1.5 in loss
    assert 2 in ta.tensor([1, 2])
    assert 3 not in ta.tensor([1, 2])
    with pytest.raises(RuntimeError, match="in: expected a Tensor or a number, got str"):
        _ = "a" in ta.tensor([1])


OUT_OF_RANGE = {
    "add": lambda x: x + 2**31,
    "add on the left": lambda x: 2**31 + x,
    "sub": lambda x: x - 2**31,
    "mul": lambda x: x * -(2**40),
    "a numpy number": lambda x: x + np.int64(2**40),
    "floor division": lambda x: x // 2**31,
    "remainder": lambda x: x % 2**31,
    "pow": lambda x: x**2**31,
    "and": lambda x: x & 2**31,
    "shift": lambda x: 2**31 >> x,
    "eq": lambda x: x == 2**31,
    "lt": lambda x: x < 2**31,
    "where": lambda x: ta.where(x > 1, x, 2**31),
    "alpha": lambda x: ta.add(x, x, alpha=2**31),
    "in": lambda x: 2**31 in x,
    "+=": lambda x: x.add_(2**31),
    "clamp": lambda x: x.clamp(min=-(2**31) - 1),
    "clamp_": lambda x: x.clamp_(0, 2**31),
    "fill_": lambda x: x.fill_(2**31),
    "fill_ of a numpy number": lambda x: x.fill_(np.int64(2**31)),
    "fill_ of a tensor": lambda x: x.fill_(ta.tensor(2**31)),
    "fill_ of a float": lambda x: x.fill_(1e10),
    "fill_ of nan": lambda x: x.fill_(NAN),
    "masked_fill": lambda x: x.masked_fill(x > 0, 2**31),
    "masked_fill of more": lambda x: x.masked_fill(x > 0, -(2**70)),
    "masked_fill of a tensor": lambda x: x.masked_fill(x > 0, ta.tensor(2**31)),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, 1e10),
    "setitem": lambda x: operator.setitem(x, 0, 2**31),
    "setitem of more": lambda x: operator.setitem(x, 0, 2**70),
    "setitem of a numpy number": lambda x: operator.setitem(x, 0, np.int64(2**31)),
    "setitem of nan": lambda x: operator.setitem(x, x > 0, NAN),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_number_outside_the_range_of_an_integer_tensor_is_named(name):
    x = ta.tensor([1, 2], dtype=ta.int32)
    with pytest.raises(RuntimeError, match=r"expected a number from -2147483648 .*int32, got .+"):
        OUT_OF_RANGE[name](x)
    assert x.tolist() == [1, 2]


def test_fill_takes_what_the_dtype_holds():
    assert ta.zeros(1, dtype=ta.int32).fill_(2**31 - 1).item() == 2**31 - 1
    assert ta.zeros(1, dtype=ta.int64).fill_(-1.7).item() == -1
    assert ta.zeros(1, dtype=ta.bool).fill_(5).item() is True
    assert ta.zeros(1).fill_(-INF).item() == -INF
    with pytest.raises(RuntimeError, match=r"fill_: value: .*the range of float32, got 1e\+300"):
        ta.zeros(1).fill_(1e300)
    with pytest.raises(TypeError, match="fill_: value: expected a number, got list"):
        ta.zeros(1).fill_([1])


def test_a_tensor_equals_neither_none_nor_text():
    x = ta.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False


def test_bitwise_operators_are_logical_on_bools_and_bitwise_on_integers():
    a, b = ta.tensor([True, True, False]), ta.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (ta.tensor([6, 5]) & ta.tensor([3, 4])).tolist() == [2, 4]
    assert (~ta.tensor([0, 5])).tolist() == [-1, -6]
    with pytest.raises(RuntimeError, match="input: expected bool or integers, got float32"):
        ta.ones(2) & a[:2]


FORMULAS = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: math.copysign(1, x),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "exp": math.exp,
    "expm1": math.expm1,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "erf": math.erf,
    "relu": lambda x: max(x, 0),
    "clone": lambda x: x,
    "sqrt": lambda x: math.sqrt(x) if x > 0 else math.nan,
    "rsqrt": lambda x: 1 / math.sqrt(x) if x > 0 else math.nan,
    "log": lambda x: math.log(x) if x > 0 else math.nan,
    "log1p": lambda x: math.log(1 + x) if x > -1 else math.nan,
    "log2": lambda x: math.log(x) / math.log(2) if x > 0 else math.nan,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_operation_computes_its_formula(name):
    x = [-2.3, -0.4, 0.3, 1.7, 4.2]
    found = getattr(ta, name)(ta.tensor(x, dtype=ta.float64))
    np.testing.assert_allclose(found, [*map(FORMULAS[name], x)], 1e-13)


def test_powers_and_choices_compute_their_formulas():
    x, y = ta.tensor([2.0, 3.0, -1.5]), ta.tensor([3.0, -1.0, 2.0])
    assert (x**y).tolist() == pytest.approx([8, 1 / 3, 2.25])
    assert ta.clamp(x, -1.0, 2.5).tolist() == [2.0, 2.5, -1.0]
    assert ta.where(x > 0, x, y).tolist() == [2.0, 3.0, 2.0]
    assert ta.maximum(x, y).tolist() == [3.0, 3.0, 2.0]
    assert ta.minimum(x, y).tolist() == [2.0, -1.0, -1.5]


def test_integers_divided_and_rounded_towards_zero():
    x, y = ta.tensor([-7, 7, -6]), ta.tensor([2, -2, 3])
    assert ta.div(x, y, rounding_mode="trunc").tolist() == [-3, -3, -2]
    floats = ta.div(x.double(), ta.tensor([2.0, -2.0, 4.0]), rounding_mode="trunc")
    assert floats.tolist() == [-3, -3, -1]


# Many elements take another way than few: kernels, pieces, several threads.


def pieces(case, *arrays, size=500):
    """The values and gradients of a case, computed on pieces of the arrays."""
    found = []
    for at in range(0, len(arrays[0]), size):
        inputs = [leaf(x[at : at + size]) for x in arrays]
        y = case(ta, *inputs)
        (y * ta.arange(at, at + len(inputs[0]))).sum().backward()
        found.append([y.detach().numpy(), *(x.grad.numpy() for x in inputs)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_many_elements_compute_what_few_do(name):
    case, interval = {**UNARY, **BINARY}[name]
    count = 2 if name in BINARY and case is BINARY[name][0] else 1
    n = 17_000  # more than NumPy computes in operations that are exact
    arrays = [within(interval, (n,), seed) for seed in range(count)]
    for whole, part in zip(pieces(case, *arrays, size=n), pieces(case, *arrays), strict=True):
        np.testing.assert_allclose(whole, part, 1e-14, 1e-14)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "minimum", "clamp"])
def test_many_integers_compute_what_numpy_does(name):
    x, y = (np.random.default_rng(seed).integers(-9, 9, 4500) for seed in range(2))
    if name == "clamp":
        found, expected = ta.tensor(x).clamp(-3, 5), x.clip(-3, 5)
    else:
        found = getattr(ta, name)(ta.tensor(x), ta.tensor(y))
        names = {"sub": "subtract", "mul": "multiply"}
        expected = getattr(np, names.get(name, name))(x, y)
    assert found.dtype == ta.int64
    assert found.tolist() == expected.tolist()


def test_a_large_copy_is_a_copy():
    x = ta.arange(40000, dtype=ta.float32)
    y = x.clone()
    np.testing.assert_array_equal(x, y)
    assert not np.shares_memory(x.numpy(), y.numpy())
    whole = ta.arange(40000) + 2**53
    assert whole.clone().equal(whole)


@pytest.mark.parametrize(
    "shape", [(4, 1), (1, 5), (5,), (1, 1), (), (3, 1, 1), (3, 4, 1), (1, 4, 5), (3, 1, 5)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_gradient_of_a_repeated_factor_is_the_sum_over_its_copies(shape, turned):
    r = np.random.default_rng(5)
    x, y = r.normal(size=(3, 4, 5)), r.normal(size=shape)
    g = r.normal(size=(5, 4, 3)).T if turned else r.normal(size=x.shape)
    a, b = ta.tensor(x).requires_grad_(), ta.tensor(y).requires_grad_()
    (a * b).backward(ta.tensor(g))
    copies = np.broadcast_to(y, x.shape)
    np.testing.assert_allclose(a.grad.numpy(), g * copies, rtol=1e-14)
    axes = [i for i, n in enumerate((1,) * (3 - len(shape)) + shape) if n != x.shape[i]]
    want = (g * x).sum(axis=tuple(axes), keepdims=True).reshape(shape)
    np.testing.assert_allclose(b.grad.numpy(), want, rtol=1e-12)


def test_hyperbolic_functions_keep_their_digits_near_0_and_far_from_it():
    x = ta.tensor([1e-6, -1e-6, 80.0, float("-inf"), float("inf")])
    found = ta.sinh(x)
    expected = [1e-6, -1e-6, math.sinh(80), -math.inf, math.inf]
    np.testing.assert_allclose(found.numpy(), expected, 2e-6)
    assert ta.cosh(ta.tensor([0, 1])).tolist() == pytest.approx([1.0, math.cosh(1)])


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round"])
def test_what_is_rounded_stays_outside_of_the_graph_or_on_it(name):
    x = ta.tensor([-1.5, 0.4, 2.5])
    y = getattr(x, name)()
    assert not y.requires_grad
    on_tape = getattr(leaf([-1.5, 0.4, 2.5]), name)()
    assert on_tape.requires_grad
    assert on_tape.tolist() == y.tolist()
    base = ta.zeros(3)
    view = base[:]
    base.copy_(leaf([-1.5, 0.4, 2.5]))  # the view gets its place in the graph when it is next used
    assert getattr(view, name)().requires_grad


def test_rounding_to_decimals_warns_of_no_infinity():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ta.tensor([1e38, 1.25]).round(decimals=2).tolist()[0] == math.inf
