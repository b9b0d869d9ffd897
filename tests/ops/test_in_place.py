"""Every operation in place writes what the operation without "_" gives, into its first operand."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf

A, B, C = (
    np.array(values) for values in ([0.5, 1.5, 2.5, -3.5], [2.0, -1.0, 0.5, 4.0], [4.0, 3, 2, 1])
)
M, N = np.array([5, 12, -7, 1]), np.array([3, 2, 1, 2])

# name: (in place, definition)
FLOATS = {
    "add_": (lambda x, y: x.add_(y), lambda: A + B),
    "add_, alpha": (lambda x, y: x.add_(y, alpha=3), lambda: A + 3 * B),
    "sub_": (lambda x, y: x.sub_(y), lambda: A - B),
    "sub_, alpha": (lambda x, y: x.sub_(y, alpha=3), lambda: A - 3 * B),
    "mul_": (lambda x, y: x.mul_(y), lambda: A * B),
    "div_": (lambda x, y: x.div_(y), lambda: A / B),
    "div_, floor": (lambda x, y: x.div_(y, rounding_mode="floor"), lambda: A // B),
    "floor_divide_": (lambda x, y: x.floor_divide_(y), lambda: A // B),
    "remainder_": (lambda x, y: x.remainder_(y), lambda: A % B),
    "fmod_": (lambda x, y: x.fmod_(y), lambda: np.fmod(A, B)),
    "pow_": (lambda x, y: x.pow_(3 + 0 * y), lambda: A**3),
    "clamp_": (lambda x, y: x.clamp_(-1, y), lambda: np.minimum(np.maximum(A, -1), B)),
    "clamp_, min": (lambda x, y: x.clamp_(min=y), lambda: np.maximum(A, B)),
    "copy_": (lambda x, y: x.copy_(y), lambda: B),
    "fill_": (lambda x, y: x.fill_(y[2]), lambda: np.full(4, B[2])),
    "lerp_": (lambda x, y: x.lerp_(y, 0.25), lambda: A + 0.25 * (B - A)),
    "addcmul_": (lambda x, y: x.addcmul_(y, ta.tensor(C)), lambda: A + B * C),
    "addcmul_, value": (
        lambda x, y: x.addcmul_(ta.tensor(C), y, value=0.5), lambda: A + 0.5 * B * C,
    ),
    "addcdiv_": (lambda x, y: x.addcdiv_(ta.tensor(C), y), lambda: A + C / B),
    "addcdiv_, value": (lambda x, y: x.addcdiv_(y, ta.tensor(C), value=2), lambda: A + 2 * B / C),
}  # fmt: skip
ALONE = {
    "zero_": (lambda x: x.zero_(), lambda: np.zeros(4)),
    "neg_": (lambda x: x.neg_(), lambda: -A),
    "abs_": (lambda x: x.abs_(), lambda: abs(A)),
    "sqrt_": (lambda x: (x * x).sqrt_(), lambda: abs(A)),
    "exp_": (lambda x: x.exp_(), lambda: np.exp(A)),
    "log_": (lambda x: (x * x).log_(), lambda: np.log(A * A)),
    "sigmoid_": (lambda x: x.sigmoid_(), lambda: 1 / (1 + np.exp(-A))),
    "tanh_": (lambda x: x.tanh_(), lambda: np.tanh(A)),
    "relu_": (lambda x: x.relu_(), lambda: np.maximum(A, 0)),
    "floor_": (lambda x: x.floor_(), lambda: np.floor(A)),
    "ceil_": (lambda x: x.ceil_(), lambda: np.ceil(A)),
    "round_": (lambda x: x.round_(), lambda: np.rint(A)),
    "round_, decimals": (lambda x: (x / 3).round_(decimals=1), lambda: np.round(A / 3, 1)),
}
INTEGERS = {
    "bitwise_and_": (lambda x, y: x.__iand__(y), lambda: M & N),
    "bitwise_or_": (lambda x, y: x.__ior__(y), lambda: M | N),
    "bitwise_xor_": (lambda x, y: x.__ixor__(y), lambda: M ^ N),
    "left_shift_": (lambda x, y: x.__ilshift__(y), lambda: M << N),
    "right_shift_": (lambda x, y: x.__irshift__(y), lambda: M >> N),
    "floor_divide_": (lambda x, y: x.__ifloordiv__(y), lambda: M // N),
    "remainder_": (lambda x, y: x.__imod__(y), lambda: M % N),
    "fmod_": (lambda x, y: x.fmod_(y), lambda: np.fmod(M, N)),
    "pow_": (lambda x, y: x.__ipow__(y), lambda: M**N),
    "add_, alpha": (lambda x, y: x.add_(y, alpha=2), lambda: M + 2 * N),
}
SHAPES = {
    "unsqueeze_": (lambda x: x.unsqueeze_(1), (2, 1, 1, 3)),
    "squeeze_": (lambda x: x.squeeze_(), (2, 3)),
    "squeeze_, dim": (lambda x: x.squeeze_(1), (2, 3)),
    "squeeze_, another dim": (lambda x: x.squeeze_(0), (2, 1, 3)),
    "transpose_": (lambda x: x.transpose_(0, 2), (3, 1, 2)),
}


@pytest.mark.parametrize("name", FLOATS)
def test_floats(name):
    change, definition = FLOATS[name]
    x = ta.tensor(A)
    assert change(x, ta.tensor(B)) is x
    np.testing.assert_allclose(x, definition(), 1e-14)


@pytest.mark.parametrize("name", ALONE)
def test_functions(name):
    change, definition = ALONE[name]
    x = ta.tensor(A)
    y = change(x)
    np.testing.assert_allclose(y, definition(), 1e-14)
    assert y is x or name in ("sqrt_", "log_", "round_, decimals")


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    change, definition = INTEGERS[name]
    x = ta.tensor(M)
    assert change(x, ta.tensor(N)) is x
    assert x.dtype == ta.int64
    assert x.tolist() == definition().tolist()


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    change, shape = SHAPES[name]
    values = np.arange(6.0).reshape(2, 1, 3)
    x = ta.tensor(values)
    assert change(x) is x
    assert x.shape == shape
    expected = values.transpose(2, 1, 0) if name == "transpose_" else values.reshape(shape)
    assert x.tolist() == expected.tolist()


def test_the_transpose_of_a_matrix():
    x = ta.tensor([[1, 2, 3], [4, 5, 6]])
    assert x.t_() is x
    assert x.tolist() == [[1, 4], [2, 5], [3, 6]]


@pytest.mark.parametrize("name", [*FLOATS, *ALONE, *SHAPES])
def test_a_leaf_that_needs_a_gradient_is_refused_and_may_be_the_operand(name):
    operation = name.split(",")[0]
    written = {"addcmul_": "add_", "addcdiv_": "add_", "lerp_": "add_"}.get(operation, operation)
    if name in SHAPES:
        x = leaf(np.ones((2, 1, 3)))
        with pytest.raises(RuntimeError, match=f"^{operation}: a leaf tensor"):
            SHAPES[name][0](x)
    elif name in FLOATS:
        change, _ = FLOATS[name]
        with pytest.raises(RuntimeError, match=f"^{written}: a leaf tensor"):
            change(leaf(A), ta.tensor(B))
        y = leaf(B)
        change(leaf(A) * 1, y).sum().backward()
        assert y.grad is not None
    elif name in ("sqrt_", "log_", "round_, decimals"):
        with pytest.raises(RuntimeError, match=f"^{operation}: a leaf tensor"):
            getattr(leaf([1.0]), operation)()
    else:
        with pytest.raises(RuntimeError, match=f"^{operation}: a leaf tensor"):
            ALONE[name][0](leaf(A))


def test_a_result_is_cast_to_a_narrower_float_and_refused_as_an_integer():
    x = ta.ones(2)
    assert x.add_(ta.tensor([0.5, 1.0]).double()) is x
    assert x.dtype == ta.float32
    for name in ("add_", "mul_", "div_"):
        with pytest.raises(RuntimeError, match=f"{name}: result type float32 can't be cast"):
            getattr(ta.tensor([1, 2]), name)(0.5)


def test_the_gradient_of_a_wider_operand_comes_back_in_its_own_type():
    y = leaf([0.5, 1.0])
    x = ta.ones(2)
    x.mul_(y).sum().backward()
    assert y.grad.dtype == ta.float64
    assert y.grad.tolist() == [1, 1]


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e300, -3, 256])
def test_copy_of_a_number_outside_the_range_is_refused_as_by_fill(number):
    x = ta.tensor([1, 2], dtype=ta.uint8)
    for change in (x.copy_, x.fill_):
        with pytest.raises(RuntimeError, match="expected a number from 0 to 255"):
            change(number)
    assert x.tolist() == [1, 2]
    assert x.copy_(2.5).tolist() == [2, 2]


def test_fill_takes_one_number():
    with pytest.raises(RuntimeError, match=r"fill_: value: expected a number .* got shape \[2\]"):
        ta.ones(2).fill_(ta.ones(2))
    with pytest.raises(RuntimeError, match="fill_: value"):
        ta.tensor([1]).fill_(2**70)
    with pytest.raises(RuntimeError, match=r"copy_: source of shape \[3\] can't be broadcast"):
        ta.ones(2).copy_(ta.ones(3))


def test_another_shape_under_no_grad_is_refused():
    x = leaf(np.ones((1, 2))) * 1
    with ta.no_grad(), pytest.raises(RuntimeError, match=r"squeeze_: .* x = x\.squeeze\(\.\.\.\)"):
        x.squeeze_()
    y = ta.ones(1, 2)
    with ta.no_grad():
        assert y.squeeze_().shape == (2,)


def test_integers_of_any_size_are_written_into_uint8():
    """As in PyTorch, where only the kind of a dtype counts: they wrap around."""
    for dtype in (ta.int32, ta.int64):
        x = ta.tensor([5, 250], dtype=ta.uint8)
        assert x.add_(ta.tensor([1, 10], dtype=dtype)).tolist() == [6, 4]
        assert x.clamp_(ta.tensor([5, 5], dtype=dtype)).tolist() == [6, 5]
        assert x.dtype == ta.uint8
    for wrong, name in ((ta.tensor([0.5, 1.0]), "uint8"), (ta.tensor([0.5, 1.0]), "int64")):
        with pytest.raises(RuntimeError, match=f"can't be cast to the desired output type {name}"):
            ta.zeros(2, dtype=name).add_(wrong)
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type bool"):
        ta.zeros(2, dtype=ta.bool).add_(ta.ones(2, dtype=ta.uint8))
