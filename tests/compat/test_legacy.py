"""Constructors, Variable and range of PyTorch's first versions do what their docstrings say."""

import sys
import types
import warnings

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import autograd
from tinyattn.compat import missing, settings

KINDS = {
    ta.FloatTensor: ta.float32,
    ta.DoubleTensor: ta.float64,
    ta.LongTensor: ta.int64,
    ta.IntTensor: ta.int32,
    ta.ByteTensor: ta.uint8,
    ta.BoolTensor: ta.bool,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_constructor_makes_tensors_of_its_dtype(kind):
    name, dtype = kind.__name__, KINDS[kind]
    assert kind([1, 0]).dtype == dtype
    assert kind([1, 0]).tolist() == [1, 0]
    assert repr(kind) == f"<class 'tinyattn.{name}'>"
    assert ta.zeros(2, dtype=dtype).type() == f"torch.{name}"
    for wanted in (dtype, kind, name, f"torch.{name}", f"tinyattn.{name}"):
        assert ta.ones(2).type(wanted).dtype == dtype


def test_isinstance_asks_for_the_dtype():
    assert isinstance(ta.ones(2), ta.FloatTensor)
    assert not isinstance(ta.ones(2), ta.LongTensor)
    assert not isinstance(np.ones(2, np.float32), ta.FloatTensor)
    assert not isinstance(1.0, ta.FloatTensor)


def test_other_types_are_named():
    assert ta.ones(2).double().type("torch.Tensor").dtype == ta.float32
    assert ta.ones(2).type("int64").dtype == ta.int64
    for wrong in ("other.LongTensor", "torch.HalfTensor"):
        with pytest.raises(TypeError, match="Tensor"):
            ta.ones(2).type(wrong)


def test_sizes_or_one_sequence_of_numbers():
    assert ta.FloatTensor().shape == (0,)
    assert ta.FloatTensor(2, 3).shape == (2, 3)
    assert ta.DoubleTensor(ta.ones(2, 3).shape).shape == (2, 3)
    assert ta.DoubleTensor(ta.ones(2, 3).shape).dtype == ta.float64
    assert ta.LongTensor(np.int64(4)).shape == (4,)
    assert ta.LongTensor((2, 3)).tolist() == [2, 3]
    assert ta.LongTensor(range(3)).tolist() == [0, 1, 2]
    assert ta.LongTensor(np.array([1.7, -2.7])).tolist() == [1, -2]
    assert ta.FloatTensor([[1, 2], [3, 4]]).shape == (2, 2)
    assert ta.FloatTensor([]).shape == (0,)
    for wrong in ((1.5,), (True,), (2, [3]), ([1], [2])):
        with pytest.raises(TypeError, match="FloatTensor: expected sizes or one sequence"):
            ta.FloatTensor(*wrong)
    for wrong, name in ((["a"], "list"), (iter([1]), "list_iterator")):
        with pytest.raises(TypeError, match=f"FloatTensor: expected numbers, got {name}"):
            ta.FloatTensor(wrong)


def test_what_does_not_fit_overflows_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ta.FloatTensor(np.array([1e300])).tolist() == [float("inf")]
        assert ta.IntTensor(np.array([float("nan")])).dtype == ta.int32


def test_a_tensor_of_the_same_dtype_is_shared_and_another_is_refused():
    x = ta.ones(2)
    y = ta.FloatTensor(x)
    y[0] = 5
    assert x.tolist() == [5, 1]
    h = x * 1
    grown = (h.requires_grad_() * h).sum()
    ta.FloatTensor(h.detach()).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        grown.backward()
    with pytest.raises(TypeError, match=r"LongTensor: expected a tensor of int64, got float32"):
        ta.LongTensor(x)


def test_new_has_the_dtype_of_the_tensor():
    x = ta.ones(2, dtype=ta.int32)
    assert x.new([1, 2]).tolist() == [1, 2]
    assert x.new(2, 3).ndimension() == 2
    assert x.new([1.5]).dtype == ta.int32
    assert x.new(2, 3).shape == (2, 3)
    assert x.new().shape == (0,)
    with pytest.raises(RuntimeError, match="cuda"):
        x.new([1], device="cuda")
    with pytest.raises(RuntimeError, match="cuda"):
        ta.LongTensor([1], device="cuda")


def test_a_variable_is_a_leaf_on_the_memory_of_its_tensor():
    x = ta.ones(2)
    y = autograd.Variable(x, requires_grad=True)
    assert y.requires_grad
    assert y.is_leaf
    assert not autograd.Variable(x).requires_grad
    assert isinstance(x, autograd.Variable)
    assert not isinstance([1.0], autograd.Variable)
    x[0] = 7
    assert y.tolist() == [7, 1]
    with pytest.raises(TypeError, match="data: expected a Tensor, got list"):
        autograd.Variable([1.0])
    with pytest.warns(UserWarning, match="volatile was removed") as told:
        autograd.Variable(x, volatile=True)
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [((1, 2, 0.25), [1, 1.25, 1.5, 1.75, 2]), ((3,), [0, 1, 2, 3]), ((5, 1, -2), [5, 3, 1])],
)
def test_range_includes_its_end(arguments, numbers):
    with pytest.warns(UserWarning, match="includes end") as told:
        found = ta.range(*arguments)
    assert found.tolist() == numbers
    assert found.dtype == ta.float32
    assert [record.filename for record in told] == [__file__]


@pytest.mark.filterwarnings("ignore:range is deprecated")
def test_range_takes_another_dtype():
    assert ta.range(ta.tensor(1), ta.tensor(2.5), ta.tensor(0.5)).tolist() == [1, 1.5, 2, 2.5]
    assert ta.range(ta.tensor(2)).tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="end: expected a number, got list"):
        ta.range(1, [2])
    assert ta.range(1, 2, dtype=ta.float64).dtype == ta.float64


def test_settings_are_checked_and_change_nothing():
    assert ta.get_default_dtype() == ta.float32 == ta.ones(1).dtype
    ta.set_default_dtype(ta.float32)
    with pytest.raises(RuntimeError, match="the default dtype is float32"):
        ta.set_default_dtype(ta.float64)
    for name in ("highest", "high", "medium"):
        settings.set_float32_matmul_precision(name)
    assert settings.get_float32_matmul_precision() == "highest"
    with pytest.raises(RuntimeError, match="precision: expected highest"):
        settings.set_float32_matmul_precision("low")


def test_a_missing_name_is_an_error_with_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "place", types.ModuleType("place"))
    monkeypatch.setattr(missing, "_TABLES", {})
    found = missing.refuse("place", {"Lost": "look there"})
    with pytest.raises(AttributeError, match="module 'place' has no attribute 'Lost': look there"):
        found("Lost")
    with pytest.raises(AttributeError, match=r"module 'place' has no attribute 'Other'$"):
        found("Other")


def test_an_order_in_memory_may_be_named_and_changes_nothing():
    x = ta.arange(6).view(2, 3).t()
    for name in (ta.preserve_format, ta.contiguous_format, None):
        assert x.contiguous(memory_format=name).tolist() == [[0, 3], [1, 4], [2, 5]]
        assert x.clone(memory_format=name).is_contiguous()
        for make in (ta.zeros_like, ta.ones_like, ta.empty_like):
            assert make(x, memory_format=name).shape == (3, 2)
        assert ta.full_like(x, 7, memory_format=name).tolist() == [[7, 7]] * 3
    assert repr(ta.preserve_format) == "preserve_format"
    for wrong in (ta.zeros_like, ta.ones_like, ta.empty_like, ta.clone, ta.Tensor.contiguous):
        with pytest.raises(TypeError, match=r"memory_format: expected preserve_format.* got str"):
            wrong(x, memory_format="preserve_format")
    with pytest.raises(TypeError, match="memory_format: expected"):
        ta.full_like(x, 7, memory_format=1)
