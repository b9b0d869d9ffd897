"""Making tensors: PyTorch's values, dtypes and errors; what is copied, what is shared."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta

from .parity import same_as_torch

DTYPES = ["float32", "float64", "int64", "int32", "bool"]
INF, NAN = math.inf, math.nan

# Each makes a tensor from nothing in the namespace t.
MADE = {
    "zeros": lambda t: t.zeros(2, 3),
    "zeros of a tuple": lambda t: t.zeros((2, 3)),
    "zeros of a list": lambda t: t.zeros([2, 0]),
    "zeros without axes": lambda t: t.zeros(()),
    "zeros int": lambda t: t.zeros(2, dtype=t.int64),
    "ones": lambda t: t.ones(3, dtype=t.float64),
    "ones bool": lambda t: t.ones((1, 2), dtype=t.bool),
    "full": lambda t: t.full((2, 3), 1),
    "full of a float": lambda t: t.full((2,), 1.5),
    "full of a bool": lambda t: t.full((), True),
    "full with a dtype": lambda t: t.full([2], 2, dtype=t.float64),
    "full beyond float32": lambda t: t.full((2,), INF),
    "full negative": lambda t: t.full((-1,), 1),
    "zeros_like": lambda t: t.zeros_like(t.ones(2, 3, dtype=t.int32)),
    "ones_like": lambda t: t.ones_like(t.ones(0), dtype=t.float64),
    "full_like": lambda t: t.full_like(t.ones(2, dtype=t.int64), 3),
    "full_like float": lambda t: t.full_like(t.ones(2), 3),
    "arange": lambda t: t.arange(5),
    "arange of nothing": lambda t: t.arange(0),
    "arange from": lambda t: t.arange(2, 7, 2),
    "arange down": lambda t: t.arange(5, 0, -2),
    "arange of floats": lambda t: t.arange(0, 1, 0.3),
    "arange of one float": lambda t: t.arange(3.0),
    "arange with a dtype": lambda t: t.arange(4, dtype=t.float64),
    "arange float64": lambda t: t.arange(1, 2, 0.1, dtype=t.float64),
    "arange of a numpy int": lambda t: t.arange(np.int64(3)),
    "arange upward from above": lambda t: t.arange(3, 0),
    "arange in no steps": lambda t: t.arange(0, 3, 0),
    "arange to infinity": lambda t: t.arange(INF),
    "arange to nan": lambda t: t.arange(NAN),
    "linspace": lambda t: t.linspace(0, 1, 5),
    "linspace of one": lambda t: t.linspace(2, 3, 1),
    "linspace of none": lambda t: t.linspace(2, 3, 0),
    "linspace down": lambda t: t.linspace(1, -1, 4, dtype=t.float64),
    "linspace negative": lambda t: t.linspace(0, 1, -1),
    "eye": lambda t: t.eye(3),
    "eye wide": lambda t: t.eye(2, 3, dtype=t.float64),
    "eye int": lambda t: t.eye(2, dtype=t.int64),
    "eye negative": lambda t: t.eye(-1),
    "a negative size": lambda t: t.ones(2, -1),
    "a float size": lambda t: t.zeros(2.5),
    "tensor of an int": lambda t: t.tensor(3),
    "tensor of a float": lambda t: t.tensor(2.5),
    "tensor of a bool": lambda t: t.tensor(True),
    "tensor of nothing": lambda t: t.tensor([]),
    "tensor of nothings": lambda t: t.tensor([[], []]),
    "tensor of ints": lambda t: t.tensor([[1, 2], [3, 4]]),
    "tensor of a range": lambda t: t.tensor(range(3)),
    "tensor of tuples": lambda t: t.tensor(((1.0, 2), (3, 4))),
    "tensor of bools and ints": lambda t: t.tensor([True, 2]),
    "tensor of bools and floats": lambda t: t.tensor([True, 2.5]),
    "tensor of a numpy number": lambda t: t.tensor(np.float64(1)),
    "tensor of numpy numbers": lambda t: t.tensor([np.float64(1), np.float64(2)]),
    "tensor of tensors": lambda t: t.tensor([t.tensor(1.0), t.tensor(2.0)]),
    "tensor with a dtype": lambda t: t.tensor([1.7, -1.7], dtype=t.int64),
    "tensor of truth": lambda t: t.tensor([0.0, 0.5, NAN], dtype=t.bool),
    "tensor of nan as int": lambda t: t.tensor([1.0, NAN], dtype=t.int64),
    "tensor of nan": lambda t: t.tensor([1.0, NAN, -INF]),
    "tensor beyond float32": lambda t: t.tensor(np.array([1e300]), dtype=t.float32),
    "ragged": lambda t: t.tensor([[1], [1, 2]]),
    "tensor of a tensor and a number": lambda t: t.tensor([t.tensor(1.5), 2]),
    "tensor of a number and a double": lambda t: t.tensor([1, np.float64(2)]),
    "tensor of a float and a double": lambda t: t.tensor([[1.5], [np.float64(2)]]),
    "tensor of int32s": lambda t: t.tensor([np.int32(1), np.int32(2)]),
    "tensor of an int32 and a number": lambda t: t.tensor([np.int32(1), 2]),
    "tensor of arrays": lambda t: t.tensor([np.array([1.0, 2.0]), np.array([3.0, 4.0])]),
    "tensor of a large number and a float": lambda t: t.tensor([1.5, 2**70]),
    "tensor of a large number as float": lambda t: t.tensor(2**70, dtype=t.float64),
    "tensor of a large number as bool": lambda t: t.tensor([2**70, 0], dtype=t.bool),
    "full of a numpy int": lambda t: t.full((2,), np.int32(3)),
    "full of a numpy float": lambda t: t.full((2,), np.float64(3)),
    "full of a tensor": lambda t: t.full((2,), t.tensor(3.5)),
    "full of a list": lambda t: t.full((2,), [1, 2]),
    "full of text": lambda t: t.full((2,), "a"),
    "full of nan as int": lambda t: t.full((2,), NAN, dtype=t.int64),
    "full of a fraction as int": lambda t: t.full((2,), -1.5, dtype=t.int32),
    "zeros of a tensor": lambda t: t.zeros(t.tensor(2), 3),
    "zeros of a float": lambda t: t.zeros(t.tensor(2.0)),
    "zeros of an array": lambda t: t.zeros(np.array([2, 3])),
    "arange of a tensor": lambda t: t.arange(t.tensor(3)),
    "arange of a numpy float": lambda t: t.arange(np.float32(3)),
    "arange of text": lambda t: t.arange("a"),
    "arange of bool": lambda t: t.arange(0, 2, dtype=t.bool),
    "linspace of tensors": lambda t: t.linspace(t.tensor(0.0), t.tensor(1.0), 3),
    "linspace in a float of steps": lambda t: t.linspace(0, 1, 3.0),
    "eye of a float": lambda t: t.eye(2.0),
    "as_tensor": lambda t: t.as_tensor([1, 2]),
    "as_tensor of an array": lambda t: t.as_tensor(np.ones(2), dtype=t.float32),
    "a gradient of ints": lambda t: t.ones(2, dtype=t.int64, requires_grad=True),
    "a gradient of bools": lambda t: t.tensor([True], requires_grad=True),
}


@pytest.mark.parametrize("name", MADE)
def test_as_in_torch(torch, name):
    same_as_torch(torch, MADE[name])


@given(
    start=st.integers(-5, 5) | st.sampled_from([0.5, -1.25]),
    end=st.integers(-5, 5) | st.sampled_from([3.25]),
    step=st.integers(-3, 3) | st.sampled_from([0.5, -0.75]),
    dtype=st.sampled_from([None, "float32", "float64"]),
)
@settings(max_examples=100)
def test_arange_as_in_torch(torch, start, end, step, dtype):
    same_as_torch(torch, lambda t: t.arange(start, end, step, dtype=dtype and getattr(t, dtype)))


@given(shape=st.lists(st.integers(0, 3), max_size=3), dtype=st.sampled_from(DTYPES))
@settings(max_examples=30)
def test_arrays_keep_shape_dtype_and_values(shape, dtype):
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    for made in (ta.tensor(array), ta.from_numpy(array), ta.as_tensor(array), ta.tensor(array.T).T):
        assert made.shape == array.shape
        assert made.dtype == array.dtype
        assert made.tolist() == array.tolist()
    assert ta.tensor(array.tolist(), dtype=dtype).tolist() == array.tolist()


def test_one_size_or_several():
    for size in ((2, 3), ((2, 3),), ([2, 3],)):
        for make in (ta.zeros, ta.ones, ta.empty, ta.rand, ta.randn):
            assert make(*size).shape == (2, 3)
    assert ta.full(2, 1.0).tolist() == [1, 1]
    assert ta.full((2, 3), 1).dtype == ta.int64
    assert ta.empty_like(ta.ones(2, dtype=ta.int32)).dtype == ta.int32


def test_tensor_copies_and_from_numpy_shares():
    array = np.zeros(2)
    copy, shared = ta.tensor(array), ta.from_numpy(array)
    array[0] = 1
    assert (copy.tolist(), shared.tolist()) == ([0, 0], [1, 0])
    shared += 1
    assert array.tolist() == [2, 1]
    assert ta.tensor(shared) is not shared
    assert ta.as_tensor(shared) is shared
    assert ta.as_tensor(shared, dtype=ta.float64) is shared
    assert ta.as_tensor(array).numpy() is not None
    assert np.shares_memory(ta.as_tensor(array).numpy(), array)


def test_a_read_only_array_is_not_written_to():
    array = np.zeros(2)
    array.flags.writeable = False
    with pytest.raises(RuntimeError, match="read-only"):
        ta.from_numpy(array).add_(1)


def test_a_copy_of_a_tensor_is_outside_its_graph():
    x = ta.ones(2, requires_grad=True)
    assert not ta.tensor(x * 2).requires_grad
    assert ta.tensor(x, requires_grad=True).is_leaf
    assert ta.tensor([x.sum(), x.sum()]).tolist() == [2, 2]


@pytest.mark.parametrize("make", [ta.ones, ta.zeros, ta.rand, ta.randn, ta.eye])
def test_what_is_made_with_requires_grad_is_a_leaf(make):
    x = make(2, dtype=ta.float64, requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    x.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("dtype", ["uint16", "float16", "complex64", "int8"])
def test_other_dtypes_are_refused_by_name(dtype):
    array = np.ones(2, dtype)
    for make in (
        lambda: ta.tensor(array),
        lambda: ta.from_numpy(array),
        lambda: ta.as_tensor(array),
        lambda: ta.tensor([1, 0], dtype=dtype),
        lambda: ta.zeros(2, dtype=dtype),
        lambda: ta.full((2,), 1, dtype=dtype),
        lambda: ta.arange(3, dtype=dtype),
        lambda: ta.rand(2, dtype=dtype),
    ):
        with pytest.raises(TypeError, match=rf"expected .*float32.*{dtype}"):
            make()


@pytest.mark.parametrize("data", ["a", None, [1, None], 1j, [1, "a"], {1: 2}, object()])
def test_data_that_is_no_numbers_is_refused(data):
    with pytest.raises(TypeError, match="data: expected numbers, got"):
        ta.tensor(data)


# (a call, the argument that its error names, the dtype, the number)
OUT_OF_RANGE = {
    "tensor": (lambda: ta.tensor(2**31, dtype=ta.int32), "data", "int32", 2**31),
    "tensor of several": (lambda: ta.tensor([[1, 2**40]], dtype="int32"), "data", "int32", 2**40),
    "tensor below": (lambda: ta.tensor(-(2**31) - 1, dtype="int32"), "data", "int32", -(2**31) - 1),
    "tensor of int64": (lambda: ta.tensor(2**63), "data", "int64", 2**63),
    "tensor of int64s": (lambda: ta.tensor([1, 2**63]), "data", "int64", 2**63),
    "tensor below int64": (lambda: ta.tensor(-(2**63) - 1), "data", "int64", -(2**63) - 1),
    "tensor of more": (lambda: ta.tensor([[2**70, 1]]), "data", "int64", 2**70),
    "tensor of a float": (lambda: ta.tensor(1e30, dtype=ta.int64), "data", "int64", 1e30),
    "tensor of 2^63 as a float": (
        lambda: ta.tensor(2.0**63, dtype="int64"),
        "data",
        "int64",
        2.0**63,
    ),
    "tensor of infinity": (lambda: ta.tensor([INF], dtype=ta.int64), "data", "int64", INF),
    "tensor of more than a float": (
        lambda: ta.tensor(10**400, dtype="float64"),
        "data",
        "float64",
        10**400,
    ),
    "an array": (lambda: ta.tensor(np.array([2**40]), dtype="int32"), "data", "int32", 2**40),
    "an array of floats": (lambda: ta.as_tensor([1e10, 1.0], ta.int32), "data", "int32", 1e10),
    "full": (lambda: ta.full((2,), 2**40, dtype=ta.int32), "fill_value", "int32", 2**40),
    "full of int64": (lambda: ta.full((2,), 2**63), "fill_value", "int64", 2**63),
    "full of a float": (lambda: ta.full((2,), 1e30, dtype=ta.int64), "fill_value", "int64", 1e30),
    "full beyond float32": (lambda: ta.full((2,), 1e300), "fill_value", "float32", 1e300),
    "full_like": (
        lambda: ta.full_like(ta.ones(2, dtype="int32"), -(2**40)),
        "fill_value",
        "int32",
        -(2**40),
    ),
    "arange": (lambda: ta.arange(2**40, 2**40 + 3, dtype=ta.int32), "data", "int32", 2**40),
    "arange in large steps": (
        lambda: ta.arange(0, 2**40, 2**39, dtype="int32"),
        "data",
        "int32",
        2**39,
    ),
    "arange to 2^63": (lambda: ta.arange(2**63 - 2, 2**63), "end", "int64", 2**63),
    "arange of a float": (lambda: ta.arange(0, 1e30, 1e29, dtype="int64"), "end", "int64", 1e30),
    "linspace": (lambda: ta.linspace(0, 2**40, 3, dtype=ta.int32), "end", "int32", 2**40),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_number_outside_the_range_of_its_dtype_is_named(name):
    make, argument, dtype, number = OUT_OF_RANGE[name]
    with pytest.raises(RuntimeError) as error:
        make()
    text = str(error.value)
    assert text.startswith(f"{argument}: expected a number from ")
    assert f"the range of {dtype}, got " in text
    assert (
        float(text.split()[-1]) == float(number) if number != 10**400 else text.endswith("0" * 400)
    )


@pytest.mark.parametrize(("dtype", "bits"), [("int32", 31), ("int64", 63)])
def test_the_ends_of_the_range_are_inside(dtype, bits):
    low, high = -(2**bits), 2**bits - 1
    assert ta.tensor([low, high], dtype=dtype).tolist() == [low, high]
    assert ta.full((1,), high, dtype=dtype).tolist() == [high]
    assert ta.full((1,), low, dtype=dtype).tolist() == [low]
    assert ta.tensor(float(low), dtype=dtype).item() == low
    assert ta.full((1,), -INF).item() == -INF


def test_uneven_sequences_are_refused():
    for data in ([[1], [1, 2]], [1, [2]], [[[1]], [[1, 2]]]):
        with pytest.raises(ValueError, match="data: expected sequences of equal lengths"):
            ta.tensor(data)


def test_arguments_of_a_wrong_type_are_named():
    with pytest.raises(TypeError, match=r"array: expected a numpy\.ndarray, got list"):
        ta.from_numpy([1])
    with pytest.raises(TypeError, match="input: expected a Tensor, got list"):
        ta.zeros_like([1])
    with pytest.raises(TypeError, match="size: expected ints, got str"):
        ta.ones("a")
    with pytest.raises(TypeError, match="size: expected ints, got bool"):
        ta.ones(True)


def test_arrays_of_foreign_byte_order_are_copied_or_refused():
    array = np.array([1.0, 2.0], ">f4")
    assert ta.tensor(array).tolist() == [1, 2]
    assert ta.as_tensor(array).dtype == ta.float32
    with pytest.raises(TypeError, match="native"):
        ta.from_numpy(array)


PLACED = {
    "tensor": lambda **on: ta.tensor([1.0], **on),
    "as_tensor": lambda **on: ta.as_tensor([1.0], **on),
    "full": lambda **on: ta.full((2,), 1.0, **on),
    "zeros": lambda **on: ta.zeros(2, **on),
    "ones": lambda **on: ta.ones(2, **on),
    "empty": lambda **on: ta.empty(2, **on),
    "full_like": lambda **on: ta.full_like(ta.ones(2), 3.0, **on),
    "zeros_like": lambda **on: ta.zeros_like(ta.ones(2), **on),
    "ones_like": lambda **on: ta.ones_like(ta.ones(2), **on),
    "empty_like": lambda **on: ta.empty_like(ta.ones(2), **on),
    "arange": lambda **on: ta.arange(3, **on),
    "linspace": lambda **on: ta.linspace(0, 1, 3, **on),
    "eye": lambda **on: ta.eye(2, **on),
    "rand": lambda **on: ta.rand(2, **on),
    "randn": lambda **on: ta.randn(2, **on),
    "randint": lambda **on: ta.randint(3, (2,), **on),
    "randperm": lambda **on: ta.randperm(3, **on),
    "normal": lambda **on: ta.normal(0.0, 1.0, (2,), **on),
}


@pytest.mark.parametrize("name", PLACED)
def test_tensors_are_made_on_the_cpu_only(name):
    assert PLACED[name](device="cpu").device == ta.device("cpu")
    with pytest.raises(RuntimeError, match="device: tinyattn computes on the CPU only, got 'cuda'"):
        PLACED[name](device="cuda")


def test_an_empty_tensor_shows_its_shape():
    assert repr(ta.zeros(0)) == "tensor([])"
    assert repr(ta.zeros(0, 3)) == "tensor([], size=(0, 3))"
    assert repr(ta.zeros(0, dtype=ta.int64)) == "tensor([], dtype=int64)"
    assert repr(ta.zeros(0, 2, dtype=ta.bool)) == "tensor([], size=(0, 2), dtype=bool)"


@pytest.mark.parametrize("make", [ta.zeros, ta.ones, ta.empty, ta.rand, ta.randn])
def test_a_size_may_be_named(make):
    assert make(size=(2, 3)).shape == make(2, 3).shape == make((2, 3)).shape == (2, 3)
    assert make(size=()).shape == make(()).shape == ()
    with pytest.raises(TypeError, match="size: expected once"):
        make(2, size=(2,))


def test_a_size_of_a_new_tensor_may_be_named():
    x = ta.ones(1, dtype=ta.float64)
    for make in (x.new_zeros, x.new_ones, x.new_empty):
        assert make(size=(2, 3)).shape == (2, 3)
        assert make(size=(2,)).dtype == ta.float64
