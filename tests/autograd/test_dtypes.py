"""Promotion: PyTorch's table, for tensors, 0-d tensors and Python numbers."""

import itertools
import operator

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.autograd.dtypes import as_dtype, result_type

DTYPES = ["bool", "int32", "int64", "float32", "float64"]
OPERATORS = ["add", "sub", "mul", "truediv", "lt", "eq"]


def operand(module, kind, dtype):
    """An array, a 0-d tensor or a Python number of that kind of dtype."""
    if kind == "python":
        return {"b": True, "i": 1, "f": 1.0}[dtype[0]]
    return module.ones((2,) if kind == "array" else (), dtype=getattr(module, dtype))


def outcome(module, name, one, other):
    try:
        result = getattr(operator, name)(operand(module, *one), operand(module, *other))
    except (TypeError, RuntimeError):
        return "error"
    return str(result.dtype).removeprefix("torch.")


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("kinds", list(itertools.product(["array", "0-d", "python"], repeat=2)))
def test_the_promotion_table_is_pytorchs(name, kinds, torch):
    if kinds == ("python", "python"):
        assert str(result_type(1, 2.0)) == "float32"
        return
    for one, other in itertools.product(DTYPES, repeat=2):
        operands = (kinds[0], one), (kinds[1], other)
        ours, theirs = outcome(ta, name, *operands), outcome(torch, name, *operands)
        if theirs == "error" and ours != "error":
            # PyTorch has no difference with a bool tensor; here a mask may be subtracted from.
            assert name == "sub"
            assert (one == "bool") != (other == "bool")
            theirs = outcome(torch, "add", *operands)
        assert ours == theirs, operands


@pytest.mark.parametrize(
    "name", ["exp", "sqrt", "tanh", "sigmoid", "log", "softmax", "sum", "mean"]
)
def test_operations_of_one_tensor_give_pytorchs_dtype(name, torch):
    for dtype in DTYPES:
        results = []
        for module in (torch, ta):
            x = module.ones((2, 2), dtype=getattr(module, dtype))
            args = (-1,) if name == "softmax" else ()
            try:
                results.append(str(getattr(x, name)(*args).dtype).removeprefix("torch."))
            except (RuntimeError, TypeError):
                results.append("error")
        assert results[0] == results[1], dtype


@pytest.mark.parametrize("name", ["float16", "complex64", "uint16", "int8", "uint64", "nonsense"])
def test_other_dtypes_are_refused_by_name(name):
    with pytest.raises(TypeError, match=f"dtype: expected float32, .*{name}"):
        as_dtype(name)
    if name != "nonsense":
        with pytest.raises(TypeError, match=name):
            ta.tensor(np.zeros(2, name))


def test_equal_dtypes_that_are_other_objects_make_no_difference():
    other = np.dtype("float64").newbyteorder("=")
    assert other is not ta.float64
    assert as_dtype(other) is ta.float64
    x = ta.tensor(np.ones(2), requires_grad=True) * 1
    foreign = ta.from_numpy(np.ones(2, other))
    y = (x * foreign).sum()
    foreign.add_(1)  # what was saved is still known by its identity
    with pytest.raises(RuntimeError, match="Mul saved"):
        y.backward()


def test_dtypes_are_numpys():
    assert ta.float32 is np.dtype("float32")
    assert ta.zeros(2).dtype == "float32"
    assert as_dtype(">f8") == np.dtype("float64")


def test_values_are_computed_in_the_promoted_dtype():
    x = ta.tensor([1], dtype=ta.int64)
    assert (x / 3).dtype == ta.float32
    assert (x / 3).item() == np.float32(1) / np.float32(3)
    big = ta.tensor([2**24 + 1], dtype=ta.int64)
    assert (big + ta.zeros(1)).item() == float(2**24)
    assert (big + ta.zeros(1, dtype=ta.float64)).item() == float(2**24 + 1)


@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.int64(2)])
def test_numbers_leave_the_dtype_of_a_float_tensor(dtype, number):
    x = ta.ones(2, dtype=dtype)
    for y in (x + number, x * number, x / number, number / x, x**number):
        assert y.dtype == dtype
    if number is not True:  # PyTorch subtracts no bool
        assert (number - x).dtype == dtype


def test_a_dtype_is_an_instance_of_dtype():
    for one in (ta.float32, ta.float64, ta.int64, ta.int32, ta.uint8, ta.bool, ta.ones(2).dtype):
        assert isinstance(one, ta.dtype)
    assert not isinstance(ta.ones(2), ta.dtype)
