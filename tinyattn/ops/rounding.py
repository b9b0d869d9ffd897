"""Rounding: floor, ceil, round, trunc, and the remainders frac and fmod.

Integers are their own rounding. The gradient of rounding is 0, as each step is flat.
"""

from typing import ClassVar

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import quietly
from tinyattn.autograd.storage import Tensor, is_constant, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.copies import few
from tinyattn.kernels.recording import local
from tinyattn.ops._arguments import Operand, as_floats, as_tensor
from tinyattn.ops._in_place import in_place
from tinyattn.ops.elementwise import Clone, Remainder, elementwise, not_bool


class Rounded(Function):
    """y = x rounded;   dx = 0, as y stays the same when x changes a little."""

    fresh = True
    kernel: ClassVar[str]  # elementwise
    few: ClassVar[np.ufunc]  # the same of NumPy, which takes less time than a kernel for few

    def forward(self, x: Array) -> Array:
        return self.few(x) if few(x.size) else elementwise(self.kernel, x)

    def backward(self, grad: Array) -> Array:
        dx = empty(grad.shape, grad.dtype)
        dx.fill(0)
        return dx


class Floor(Rounded):
    """y = the largest whole number that is not above x;   dx = 0."""

    kernel = "floor"
    few = np.floor


class Ceil(Rounded):
    """y = the smallest whole number that is not below x;   dx = 0."""

    kernel = "ceil"
    few = np.ceil


class Trunc(Rounded):
    """y = x without the digits behind the point;   dx = 0."""

    kernel = "trunc"
    few = np.trunc


class Round(Rounded):
    """y = the whole number nearest to x 10^n, the even one of two, divided by 10^n;   dx = 0."""

    kernel = "round"
    few = np.rint

    def forward(self, x: Array, decimals: int = 0) -> Array:
        if not decimals:
            return super().forward(x)
        shift = x.dtype.type(10.0 ** abs(decimals))
        return np.rint(x * shift) / shift if decimals > 0 else np.rint(x / shift) * shift


def _rounded(operation: type[Rounded], input: Tensor, *options: int) -> Tensor:
    """Floats are rounded; integers are copied."""
    array = as_tensor(input, "input")._array
    if array.dtype.kind != "f":
        return Clone.apply(not_bool(input))
    if local.recorder is None and is_constant(input):
        return results.wrap(quietly(operation().forward, array, *options))
    return operation.apply(input, *options)


def floor(input: Tensor) -> Tensor:
    """Each element rounded down.

    >>> ta.tensor([-1.5, 1.5]).floor()
    tensor([-2.,  1.])
    """
    return _rounded(Floor, input)


def ceil(input: Tensor) -> Tensor:
    """Each element rounded up."""
    return _rounded(Ceil, input)


def trunc(input: Tensor) -> Tensor:
    """Each element rounded towards 0."""
    return _rounded(Trunc, input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Each element rounded to the nearest number of so many decimals; of two that are equally near,
    to the one with an even last digit. RuntimeError for decimals of integers.

    >>> ta.tensor([0.5, 1.5, 2.6]).round()
    tensor([0., 2., 3.])
    """
    if decimals:
        as_floats(input, "input", "round: decimals")
    return _rounded(Round, input, decimals)


def floor_(input: Tensor) -> Tensor:
    """`floor`, written into input."""
    return in_place(floor, input)


def ceil_(input: Tensor) -> Tensor:
    """`ceil`, written into input."""
    return in_place(ceil, input)


def round_(input: Tensor, *, decimals: int = 0) -> Tensor:
    """`round`, written into input."""
    return in_place(round, input, decimals=decimals)


class Frac(Function):
    """y = x - trunc(x);   dx = dy."""

    def forward(self, x: Array) -> Array:
        return x - np.trunc(x)

    def backward(self, grad: Array) -> Array:
        return grad


def frac(input: Tensor) -> Tensor:
    """The part of each float behind the point, with the sign of the float."""
    return Frac.apply(as_floats(input, "input", "frac"))


class Fmod(Remainder):
    """z = x - y trunc(x / y), of the sign of x;   dx = dz,  dy = -dz trunc(x / y)."""

    function = np.fmod

    @staticmethod
    def rounded(x: Array, y: Array) -> Array:  # type: ignore[override]
        return np.trunc(x / y)


def fmod(input: Operand, other: Operand) -> Tensor:
    """What is left of input after a division by other that is rounded towards 0: it has the sign
    of input, unlike `remainder`. RuntimeError for an integer by 0."""
    return Fmod.apply(input, other)
