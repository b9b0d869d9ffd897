"""Questions about the elements: where they are not 0, which there are, how often, in which order.

None of the answers has a gradient.
"""

from typing import Any, Literal, overload

import numpy as np

from tinyattn.autograd.dtypes import Number, promote, result_type
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.kernels.recording import refuse, step
from tinyattn.ops._arguments import as_axis, as_int, as_tensor, value_of
from tinyattn.ops.reductions import order

_NUMBERS = (bool, int, float, np.number, np.bool_)


@overload
def nonzero(input: Tensor, *, as_tuple: Literal[False] = False) -> Tensor: ...
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The indices of the elements that are not 0: int64 (N, input.ndim), one row for each.

    as_tuple: one tensor (N,) for each dimension instead, as x[indices] takes them.

    >>> ta.tensor([0, 5, 0, 7]).nonzero()
    tensor([[1],
            [3]])
    """
    refuse("nonzero: the shape of its result depends on the numbers of the input")
    array = as_tensor(input, "input")._array
    if as_tuple:
        return tuple(map(results.wrap, np.atleast_1d(array).nonzero()))
    return results.wrap(np.argwhere(array))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices, int64, that sort input along dim. Equal elements keep their order, whatever
    `stable` says.

    >>> ta.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    array = as_tensor(input, "input")._array
    axis = as_axis(dim, array.ndim)
    if not array.ndim:
        return results.wrap(np.zeros((), np.int64))
    return results.wrap(step("argsort", order, array, axis, descending))


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, in ascending order (whatever `sorted` says), or the different slices
    along dim.

    return_inverse: also, for each element of input, where it stands among them.
    return_counts: also how often each occurs. With either, a tuple is returned.

    >>> ta.unique(ta.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    array = as_tensor(input, "input")._array
    axis = None if dim is None else as_axis(dim, array.ndim)
    if axis is not None and not array.ndim:
        raise IndexError("unique: dim: expected a tensor that has dimensions, got one without")
    shape = array.shape if axis is None else (array.shape[axis],)
    if axis is not None and 0 in (*array.shape[:axis], *array.shape[axis + 1 :]):
        raise RuntimeError(f"unique: input: expected slices with elements, got {list(array.shape)}")
    found, inverse, counts = np.unique(
        array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    parts = [found]
    if return_inverse:
        parts.append(inverse.reshape(shape).astype(np.int64))
    if return_counts:
        parts.append(counts.astype(np.int64))
    tensors = tuple(map(results.wrap, parts))
    return tensors if len(tensors) > 1 else tensors[0]


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of the numbers 0, 1, 2, ... occurs in input (N,): int64 (max + 1,), or longer
    for a larger minlength.

    weights (N,): the sum of the weights of each number in place of its count.

    >>> ta.bincount(ta.tensor([1, 3, 1]))
    tensor([0, 2, 0, 1])
    """
    array = as_tensor(input, "input")._array
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise RuntimeError(
            "bincount: input: expected integers that are not negative, of shape (N,), got "
            f"{array.dtype} {list(array.shape)}"
        )
    least = as_int(minlength, "minlength")
    if least < 0:
        raise RuntimeError(f"bincount: minlength: expected a number >= 0, got {least}")
    if weights is None:
        return results.wrap(np.bincount(array, minlength=least).astype(np.int64))
    factors = as_tensor(weights, "weights")._array
    if factors.shape != array.shape:
        raise RuntimeError(
            f"bincount: weights: expected {list(array.shape)}, got {list(factors.shape)}"
        )
    dtype = factors.dtype if factors.dtype == np.float32 else np.float64
    return results.wrap(np.bincount(array, factors, least).astype(dtype))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and equal elements.

    >>> ta.equal(ta.tensor([1, 2]), ta.tensor([1, 2]))
    True
    """
    return bool(np.array_equal(as_tensor(input, "input")._array, as_tensor(other, "other")._array))


def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """True where |input - other| <= atol + rtol |other|: a bool tensor. Infinities are close to
    themselves, and NaN to NaN if equal_nan."""
    x, y = as_tensor(input, "input")._array, as_tensor(other, "other")._array
    if x.dtype != y.dtype:
        raise RuntimeError(f"isclose: expected tensors of one dtype, got {x.dtype} and {y.dtype}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(f"isclose: {name}: expected a number >= 0, got {tolerance}")
    check_broadcast(x.shape, y.shape)
    return results.wrap(np.isclose(x, y, rtol, atol, equal_nan))


def allclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether `isclose` is True for all elements.

    >>> ta.allclose(ta.tensor([1.0]), ta.tensor([1.000001]))
    True
    """
    refuse("allclose: gives a number to the program")
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


def isin(
    elements: Tensor | Number,
    test_elements: Tensor | Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """True where an element is one of test_elements: a bool tensor of the shape of elements. One of
    the two may be a number.

    assume_unique has no effect. invert: True where an element is none of them.

    >>> ta.isin(ta.tensor([3, 0, 5]), ta.tensor([0, 3]))
    tensor([ True,  True, False])
    """
    if not isinstance(test_elements, _NUMBERS):
        as_tensor(test_elements, "test_elements")
    if isinstance(test_elements, _NUMBERS) or not isinstance(elements, _NUMBERS):
        as_tensor(elements, "elements")
    x, y = promote(value_of(elements), value_of(test_elements))
    dtype = result_type(x, y)  # a number has the precision of the tensor
    return results.wrap(np.isin(np.asarray(x, dtype), np.asarray(y, dtype), invert=invert))


def is_tensor(obj: object) -> bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, TensorBase)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype of input is float32 or float64."""
    return as_tensor(input, "input")._array.dtype.kind == "f"


def numel(input: Tensor) -> int:
    """The number of elements of input."""
    return int(as_tensor(input, "input")._array.size)
