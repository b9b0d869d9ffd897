"""Operations on each element without a gradient: comparisons, tests, bits.

Two operands broadcast as in NumPy and mix dtypes as in PyTorch. Look at `_compared` first.
"""

import numpy as np

from tinyattn.autograd.dtypes import Number, promote
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import LARGE, empty
from tinyattn.kernels.recording import local, step
from tinyattn.ops._arguments import Operand, as_tensor, dtype_of, value_of
from tinyattn.ops.elementwise import not_of_bools


def _compared(ufunc: np.ufunc, input: Tensor, other: Operand) -> Tensor:
    x, y = as_tensor(input, "input")._array, value_of(other)
    return results.wrap(_broadcast(ufunc, *promote(x, y)))


def _broadcast(ufunc: np.ufunc, x: Array, y: Array | Number) -> Array:
    """ufunc(x, y). RuntimeError where the shapes do not broadcast."""
    try:
        if local.recorder is None:
            return _in_kept_memory(ufunc, x, y)
        return step(ufunc.__name__, _in_kept_memory, ufunc, x, y)
    except ValueError:
        check_broadcast(np.shape(x), np.shape(y))
        raise


def _in_kept_memory(ufunc: np.ufunc, x: Array, y: Array | Number) -> Array:
    """ufunc(x, y). Fresh memory for a large result would cost more than the work."""
    if type(x) is not np.ndarray or type(y) is not np.ndarray or x.size < LARGE:
        return ufunc(x, y)
    if x.shape != y.shape or not x.flags.c_contiguous:
        return ufunc(x, y)
    dtype = x.dtype if ufunc in _BITWISE else np.dtype(bool)
    return ufunc(x, y, out=empty(x.shape, dtype))


_BITWISE = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift}


def eq(input: Tensor, other: Operand) -> Tensor:
    """input == other, element by element: a bool tensor."""
    return _compared(np.equal, input, other)


def ne(input: Tensor, other: Operand) -> Tensor:
    """input != other, element by element: a bool tensor."""
    return _compared(np.not_equal, input, other)


def lt(input: Tensor, other: Operand) -> Tensor:
    """input < other, element by element: a bool tensor."""
    return _compared(np.less, input, other)


def le(input: Tensor, other: Operand) -> Tensor:
    """input <= other, element by element: a bool tensor."""
    return _compared(np.less_equal, input, other)


def gt(input: Tensor, other: Operand) -> Tensor:
    """input > other, element by element: a bool tensor."""
    return _compared(np.greater, input, other)


def ge(input: Tensor, other: Operand) -> Tensor:
    """input >= other, element by element: a bool tensor."""
    return _compared(np.greater_equal, input, other)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """True where both elements are not 0: a bool tensor."""
    return _compared(np.logical_and, input, as_tensor(other, "other"))


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """True where at least one of the elements is not 0: a bool tensor."""
    return _compared(np.logical_or, input, as_tensor(other, "other"))


def logical_not(input: Tensor) -> Tensor:
    """True where the element is 0: a bool tensor."""
    return results.wrap(np.logical_not(as_tensor(input, "input")._array))


def isnan(input: Tensor) -> Tensor:
    """True where the element is NaN: a bool tensor."""
    return results.wrap(np.isnan(as_tensor(input, "input")._array))


def isinf(input: Tensor) -> Tensor:
    """True where the element is infinity or minus infinity: a bool tensor."""
    return results.wrap(np.isinf(as_tensor(input, "input")._array))


def isfinite(input: Tensor) -> Tensor:
    """True where the element is neither infinite nor NaN: a bool tensor."""
    return results.wrap(np.isfinite(as_tensor(input, "input")._array))


def _bits(ufunc: np.ufunc, input: Operand, other: Operand) -> Tensor:
    """ufunc of bools or integers."""
    x, y = promote(value_of(input), value_of(other))
    if (x if type(x) is np.ndarray else y).dtype.kind == "f":
        operands = {"input": dtype_of(input), "other": dtype_of(other)}
        name, dtype = next(pair for pair in operands.items() if pair[1].kind == "f")
        raise RuntimeError(f"{ufunc.__name__}: {name}: expected bool or integers, got {dtype}")
    return results.wrap(_broadcast(ufunc, x, y))


def bitwise_and(input: Operand, other: Operand) -> Tensor:
    """input & other: "and" of bools, of each bit of integers."""
    return _bits(np.bitwise_and, input, other)


def bitwise_or(input: Operand, other: Operand) -> Tensor:
    """input | other: "or" of bools, of each bit of integers."""
    return _bits(np.bitwise_or, input, other)


def bitwise_xor(input: Operand, other: Operand) -> Tensor:
    """input ^ other: "either, but not both" of bools, of each bit of integers."""
    return _bits(np.bitwise_xor, input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """~input: "not" of bools, of each bit of integers."""
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "f":
        raise TypeError(f"bitwise_not: input: expected bool or integers, got {array.dtype}")
    return results.wrap(np.invert(array))


def left_shift(input: Operand, other: Operand) -> Tensor:
    """input << other: integers times 2^other, without the bits beyond the dtype."""
    return _shifted(np.left_shift, input, other)


def right_shift(input: Operand, other: Operand) -> Tensor:
    """input >> other: integers divided by 2^other, rounded down."""
    return _shifted(np.right_shift, input, other)


def rleft_shift(input: Tensor, other: Operand) -> Tensor:
    """other << input."""
    return _shifted(np.left_shift, other, input)


def rright_shift(input: Tensor, other: Operand) -> Tensor:
    """other >> input."""
    return _shifted(np.right_shift, other, input)


def _shifted(ufunc: np.ufunc, input: Operand, other: Operand) -> Tensor:
    if dtype_of(input).kind == dtype_of(other).kind == "b":
        raise not_of_bools(ufunc.__name__)
    return _bits(ufunc, input, other)
