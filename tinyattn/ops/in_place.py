"""Operations that write into their first operand, on the tape: add_, clamp_, copy_, fill_, ...

The new values are those of the operation without "_"; ops/_in_place.py says how they get into the
graph. Look at `add_` first.
"""

from collections.abc import Sequence

import numpy as np

from tinyattn.autograd.dtypes import Number, check_range
from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import quietly
from tinyattn.autograd.storage import Tensor, TensorBase
from tinyattn.compat.deprecated import old_order, old_value
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import few, full, write
from tinyattn.ops._arguments import Operand, as_number, value_of
from tinyattn.ops._in_place import check_in_place, in_place, rebind, written_straight
from tinyattn.ops.activations import relu
from tinyattn.ops.comparisons import bitwise_and, bitwise_or, bitwise_xor, left_shift, right_shift
from tinyattn.ops.elementwise import (
    Gradients,
    abs,
    add,
    clamp,
    div,
    exp,
    floor_divide,
    log,
    mul,
    neg,
    pow,
    remainder,
    sigmoid,
    sqrt,
    sub,
    tanh,
)
from tinyattn.ops.rounding import fmod
from tinyattn.ops.shape import squeeze, t, transpose, unsqueeze


def add_(
    input: Tensor, other: Operand, tensor: Tensor | None = None, *, alpha: Number = 1
) -> Tensor:
    """`add`, written into input. The old order `add_(alpha, other)` is taken with a warning."""
    if tensor is not None:
        other, alpha = old_order("add_", other, tensor, alpha)
    if written_straight("add_", np.add, input, other, alpha):
        return input
    return in_place(add, input, other, alpha=alpha)


def sub_(
    input: Tensor, other: Operand, tensor: Tensor | None = None, *, alpha: Number = 1
) -> Tensor:
    """`sub`, written into input. The old order `sub_(alpha, other)` is taken with a warning."""
    if tensor is not None:
        other, alpha = old_order("sub_", other, tensor, alpha)
    if written_straight("sub_", np.subtract, input, other, alpha):
        return input
    return in_place(sub, input, other, alpha=alpha)


def mul_(input: Tensor, other: Operand) -> Tensor:
    """`mul`, written into input."""
    if written_straight("mul_", np.multiply, input, other):
        return input
    return in_place(mul, input, other)


def div_(input: Tensor, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """`div`, written into input."""
    if rounding_mode is None and written_straight("div_", np.true_divide, input, other):
        return input
    return in_place(div, input, other, rounding_mode=rounding_mode)


def floor_divide_(input: Tensor, other: Operand) -> Tensor:
    """`floor_divide`, written into input."""
    return in_place(floor_divide, input, other)


def remainder_(input: Tensor, other: Operand) -> Tensor:
    """`remainder`, written into input."""
    return in_place(remainder, input, other)


def fmod_(input: Tensor, other: Operand) -> Tensor:
    """`fmod`, written into input."""
    return in_place(fmod, input, other)


def pow_(input: Tensor, exponent: Operand) -> Tensor:
    """`pow`, written into input."""
    return in_place(pow, input, exponent)


def bitwise_and_(input: Tensor, other: Operand) -> Tensor:
    """`bitwise_and`, written into input."""
    return in_place(bitwise_and, input, other)


def bitwise_or_(input: Tensor, other: Operand) -> Tensor:
    """`bitwise_or`, written into input."""
    return in_place(bitwise_or, input, other)


def bitwise_xor_(input: Tensor, other: Operand) -> Tensor:
    """`bitwise_xor`, written into input."""
    return in_place(bitwise_xor, input, other)


def left_shift_(input: Tensor, other: Operand) -> Tensor:
    """`left_shift`, written into input."""
    return in_place(left_shift, input, other)


def right_shift_(input: Tensor, other: Operand) -> Tensor:
    """`right_shift`, written into input."""
    return in_place(right_shift, input, other)


def clamp_(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """`clamp`, written into input."""
    return in_place(clamp, input, min, max)


class Fill(Function):
    """y = v, broadcast, whatever x was;   dx = 0, dv = dy (summed where v was broadcast)."""

    def forward(self, x: Array, value: Array | Number) -> Array:
        return np.broadcast_to(np.asarray(value).astype(x.dtype), x.shape)

    def backward(self, grad: Array) -> Gradients:
        return full(grad.shape, 0, grad.dtype) if self.needs(0) else None, grad


def _written(name: str, input: Tensor, value: Array | Number) -> Tensor:
    """Write value into input, where no gradient is needed."""
    array = input._array
    if type(value) is np.ndarray and value.dtype is array.dtype:
        write(array, value)
    else:
        quietly(write, array, value)  # the dtype may not hold it
    input._storage.changed(name)
    return input


def copy_(input: Tensor, source: Operand) -> Tensor:
    """Write source, broadcast and cast, into input; the gradient goes to source. RuntimeError if
    source is a number outside the range of input's dtype."""
    straight = check_in_place("copy_", input, source)
    if isinstance(source, (int, float, np.generic)):
        check_range(source, input._array.dtype, "copy_: source")
    try:
        if straight:
            return _written("copy_", input, value_of(source))
        result = Fill.apply(input, source)
    except ValueError:
        raise RuntimeError(
            f"copy_: source of shape {list(np.shape(value_of(source)))} can't be broadcast to "
            f"{list(input._array.shape)}"
        ) from None
    return rebind("copy_", input, result)


def fill_(input: Tensor, value: Number | Tensor) -> Tensor:
    """Write one number, or a tensor without axes, into every element. RuntimeError if the number
    is outside the range of input's dtype."""
    straight = check_in_place("fill_", input, value)
    if isinstance(value, TensorBase) and value._array.ndim:
        raise RuntimeError(
            "fill_: value: expected a number or a tensor without axes, got shape "
            f"{list(value._array.shape)}"
        )
    check_range(as_number(value, "fill_: value"), input._array.dtype, "fill_: value")
    if straight:
        return _written("fill_", input, value_of(value))
    return rebind("fill_", input, Fill.apply(input, value))


def zero_(input: Tensor) -> Tensor:
    """Write 0 into every element."""
    if check_in_place("zero_", input):
        if few(input._array.size):
            input._array.fill(0)
        else:
            write(input._array, 0)
        input._storage.changed("zero_")
        return input
    return rebind("zero_", input, Fill.apply(input, 0))


def addcmul_(
    input: Tensor,
    tensor1: Operand,
    tensor2: Operand,
    third: Tensor | None = None,
    *,
    value: Number = 1,
) -> Tensor:
    """input + value * tensor1 * tensor2, written into input. The old order `addcmul_(value,
    tensor1, tensor2)` is taken with a warning."""
    one, two, value = old_value("addcmul_", tensor1, tensor2, third, value)
    return add_(input, mul(one, two), alpha=value)


def addcdiv_(
    input: Tensor,
    tensor1: Operand,
    tensor2: Operand,
    third: Tensor | None = None,
    *,
    value: Number = 1,
) -> Tensor:
    """input + value * tensor1 / tensor2, written into input. The old order `addcdiv_(value,
    tensor1, tensor2)` is taken with a warning."""
    one, two, value = old_value("addcdiv_", tensor1, tensor2, third, value)
    return add_(input, div(one, two), alpha=value)


def lerp_(input: Tensor, end: Tensor, weight: Number | Tensor) -> Tensor:
    """input + weight (end - input), written into input."""
    return add_(input, mul(sub(end, input), weight))


# In another shape


def _becomes(name: str, input: Tensor, view: Tensor) -> Tensor:
    """Give input the shape of a view of it, and the place of that view in the graph."""
    if input._edge is not None and view._edge is None:
        raise RuntimeError(
            f"{name}: under no_grad() a tensor that requires grad can't get another shape; use "
            f"x = x.{name.rstrip('_')}(...)"
        )
    input._array, input._edge = view._array, view._edge
    return input


def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """Give input a new dimension of size 1 at dim; the memory stays."""
    check_in_place("unsqueeze_", input)
    return _becomes("unsqueeze_", input, unsqueeze(input, dim))


def squeeze_(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Take away the dimensions of size 1 of input, or those of them that dim names."""
    check_in_place("squeeze_", input)
    return _becomes("squeeze_", input, squeeze(input, dim))


def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions of input; the memory stays."""
    check_in_place("transpose_", input)
    return _becomes("transpose_", input, transpose(input, dim0, dim1))


def t_(input: Tensor) -> Tensor:
    """Exchange the two dimensions of input; the memory stays."""
    check_in_place("t_", input)
    return _becomes("t_", input, t(input))


def neg_(input: Tensor) -> Tensor:
    """`neg`, written into input."""
    return in_place(neg, input)


def abs_(input: Tensor) -> Tensor:
    """`abs`, written into input."""
    return in_place(abs, input)


def sqrt_(input: Tensor) -> Tensor:
    """`sqrt`, written into input."""
    return in_place(sqrt, input)


def exp_(input: Tensor) -> Tensor:
    """`exp`, written into input."""
    return in_place(exp, input)


def log_(input: Tensor) -> Tensor:
    """`log`, written into input."""
    return in_place(log, input)


def sigmoid_(input: Tensor) -> Tensor:
    """`sigmoid`, written into input."""
    return in_place(sigmoid, input)


def tanh_(input: Tensor) -> Tensor:
    """`tanh`, written into input."""
    return in_place(tanh, input)


def relu_(input: Tensor) -> Tensor:
    """`relu`, written into input."""
    return in_place(relu, input)
