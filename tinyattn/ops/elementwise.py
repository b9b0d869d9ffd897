"""Operations on each element: arithmetic, exp, log, tanh, sigmoid, clamp, where, casts.

Two operands broadcast as in NumPy and mix dtypes as in PyTorch. Look at Mul and Unary first. The
function that applies an operation stands under its class.
"""

import math
import warnings
from functools import partial
from itertools import combinations
from typing import Any, ClassVar, overload

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from tinyattn.autograd.dtypes import (
    DType,
    Number,
    as_dtype,
    bool_,
    check_range,
    float32,
    float64,
    promote,
    result_type,
    uint8,
)
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast, products_to
from tinyattn.autograd.modes import quiet, state
from tinyattn.autograd.storage import Tensor, TensorBase, is_constant, results
from tinyattn.compat.settings import MemoryFormat, check_format
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import LARGE
from tinyattn.kernels.contract import common_shape
from tinyattn.kernels.copies import copied, few
from tinyattn.kernels.recording import alike, kernels, local, refuse, working
from tinyattn.ops._arguments import Operand, as_tensor, dtype_of, put_out, value_of

Gradients = tuple[Array | None, ...]


def not_of_bools(name: str) -> RuntimeError:
    """The error of an operation that bool tensors don't have."""
    return RuntimeError(f"{name}: not defined for bool tensors; use logical_not, &, |, ^ or !=")


# Arithmetic


class Binary(Function):
    """An operation on two operands, promoted to one dtype first."""

    kernels_only = True
    promotes = True


def elementwise(
    kernel: str,
    *inputs: Array | float,
    p: float = 0.0,
    q: float = 0.0,
    out: Array | None = None,
) -> Array:
    """The elementwise kernel of this name on arrays and numbers, which broadcast."""
    taken = [
        x if type(x) is ndarray else float(x) if type(x) in (bool, int, float) else np.asarray(x)
        for x in inputs
    ]
    return backend().elementwise(kernel, taken, float(p), float(q), out)


# Functions whose results IEEE 754 states to the last bit: the kernels give the bits of NumPy.
_EXACT: dict[np.ufunc, str] = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.true_divide: "div",
    np.maximum: "maximum",
    np.minimum: "minimum",
}
# NumPy takes half the time for an array of no axes that it takes for a number.
_ONE = {dtype: np.ones((), dtype) for dtype in (float32, float64)}
_SMALL = 4096  # elements, up to which NumPy's loop takes less time than the call of a kernel
_FEW = (
    512  # the same for functions such as tanh, whose last bit may depend on which of the two it is
)


def exact(function: np.ufunc, x: Any, y: Any, out: Array | None = None) -> Any:
    """function(x, y), one of _EXACT: by a kernel, on all cores, if there are many floats. `out` is
    a C-contiguous array where the result goes, if it is given."""
    small = type(x) is type(y) is ndarray and x.size <= _SMALL and x.shape == y.shape
    if not (small or _few(x, y)) and floats(x, y):
        return elementwise(_EXACT[function], x, y, out=out)
    if working and local.recorder is not None and floats(x, y):
        return alike(function, partial(elementwise, _EXACT[function]), x, y)
    return function(x, y) if out is None else function(x, y, out=out)


def _few(x: Any, y: Any) -> bool:
    """Whether NumPy needs less time for two operands than a kernel: they broadcast to at most
    _SMALL elements, or they are one loop and their result needs no kept memory."""
    if type(x) is not ndarray:
        x, y = y, x
    if type(x) is not ndarray:
        return True
    same = type(y) is not ndarray or y.shape == x.shape
    if not same or x.size <= _SMALL:
        return same or math.prod(common_shape(x.shape, y.shape)) <= _SMALL
    dense = x.flags.c_contiguous and (type(y) is not ndarray or y.flags.c_contiguous)
    return dense and x.nbytes < LARGE and local.recorder is None


def _many(x: Any, y: Any) -> bool:
    """Whether two operands broadcast to more than _SMALL elements."""
    if type(x) is not ndarray or type(y) is not ndarray or x.shape == y.shape:
        return bool(np.size(x if type(x) is ndarray else y) > _SMALL)
    return math.prod(common_shape(x.shape, y.shape)) > _SMALL


def floats(x: Array | float, y: Array | float) -> bool:
    """Whether two operands, one of them an array, are floats; both have one dtype, or one is a
    number."""
    return (x if isinstance(x, ndarray) else y).dtype.kind == "f"  # type: ignore[union-attr]


def chosen(condition: Array, x: Array | float, y: Array | float) -> Array:
    """x where condition is True, else y: by a kernel, on all cores, if there are many floats."""
    large: Any = x if type(x) is np.ndarray else y
    if type(large) is not np.ndarray or large.dtype.kind != "f":
        return np.where(condition, x, y)
    if not (_many(condition, x) or _many(condition, y) or _many(x, y)):
        if local.recorder is not None:
            return alike(np.where, partial(elementwise, "where"), condition, x, y)
        return np.where(condition, x, y)
    return elementwise("where", condition, x, y)


class Add(Binary):
    """z = x + y;   dx = dz,  dy = dz."""

    def forward(self, x: Array, y: Array) -> Array:
        return exact(np.add, x, y)

    def backward(self, grad: Array) -> Gradients:
        return grad, grad


def add(input: Operand, other: Operand, *, alpha: Number = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other; the two broadcast. out: where the result is written; it is returned.

    >>> ta.add(ta.tensor([1, 2]), ta.tensor([10, 20]))
    tensor([11, 22])
    """
    if out is not None:
        return put_out("add", out, add(input, other, alpha=alpha))
    if type(alpha) is int and alpha == 1:
        return Add.apply(input, other)
    if alpha != 1 and _are_float_tensors(input, other):
        return AddScaled.apply(input, other, alpha=float(alpha))
    return Add.apply(input, _scaled(input, other, alpha))


def add_scaled(x: Array, y: Array, alpha: float, out: Array | None = None) -> Array:
    """x + alpha y of floats: by a kernel, on all cores, if there are many; the bits stay."""
    if few(x.size) and few(y.size):
        return np.add(x, y * alpha, out=out)
    return elementwise("add_scaled", x, y, p=alpha, out=out)


class AddScaled(Binary):
    """z = x + a y with a number a;   dx = dz,  dy = a dz."""

    def forward(self, x: Array, y: Array, alpha: float) -> Array:
        self.alpha = alpha
        return add_scaled(x, y, alpha)

    def backward(self, grad: Array) -> Gradients:
        return grad, exact(np.multiply, grad, self.alpha) if self.needs(1) else None


def _are_float_tensors(*operands: Operand) -> bool:
    return all(isinstance(x, TensorBase) and x._array.dtype.kind == "f" for x in operands)


class Sub(Binary):
    """z = x - y;   dx = dz,  dy = -dz."""

    fresh = True

    def forward(self, x: Array, y: Array) -> Array:
        return exact(np.subtract, x, y)

    def backward(self, grad: Array) -> Gradients:
        return grad, elementwise("neg", grad) if self.needs(1) else None


def sub(input: Operand, other: Operand, *, alpha: Number = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other; the two broadcast. RuntimeError if one is bool. out: as for `add`."""
    if out is not None:
        return put_out("sub", out, sub(input, other, alpha=alpha))
    if alpha != 1 and _are_float_tensors(input, other):
        return AddScaled.apply(input, other, alpha=-float(alpha))
    if bool_ in (dtype_of(input), dtype_of(other)):
        raise not_of_bools("sub")
    return Sub.apply(input, _scaled(input, other, alpha))


def rsub(input: Tensor, other: Operand) -> Tensor:
    """other - input."""
    return sub(other, input)


def _scaled(input: Operand, other: Operand, alpha: Number) -> Operand:
    """alpha * other in the dtype that input and other have together."""
    if alpha == 1 and not isinstance(alpha, float):
        return other
    dtype = result_type(value_of(input), value_of(other))
    if isinstance(alpha, float) and dtype.kind != "f":
        raise RuntimeError(f"alpha: expected an integer for operands of integers, got {alpha}")
    scaled: Any = to(other, dtype) if isinstance(other, Tensor) else other
    return scaled * alpha


class Mul(Binary):
    """z = x y;   dx = dz y,  dy = dz x. Each is kept only for the gradient of the other."""

    fresh = True

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x if self.needs(1) else None, y=y if self.needs(0) else None)
        return exact(np.multiply, x, y)

    def backward(self, grad: Array) -> Gradients:
        x, y = self.saved["x"], self.saved["y"]
        dx = self.product(0, grad, y) if self.needs(0) else None
        return dx, self.product(1, grad, x) if self.needs(1) else None

    def product(self, index: int, grad: Array, other: Array) -> Array:
        """dz times the other operand. Where broadcasting has repeated this one, a kernel sums many
        products at once."""
        edge = self.edges[index] if grad.size > _SMALL and self.edges else None
        if edge is not None and edge[2] != grad.shape:
            found = products_to(edge[2], grad, other)
            if found is not None:
                return found
        return exact(np.multiply, grad, other)

    def weighs(self, x: Array) -> bool:
        return x.shape[-1:] == (1,)  # one weight for each row of values


def mul(input: Operand, other: Operand, *, out: Tensor | None = None) -> Tensor:
    """input * other, element by element; the two broadcast. out: as for `add`.

    >>> ta.tensor([1.0, 2.0]) * 3
    tensor([3., 6.])
    """
    if out is not None:
        return put_out("mul", out, mul(input, other))
    return Mul.apply(input, other)


class Div(Binary):
    """z = x / y;   dx = dz / y,  dy = -dz x / y^2."""

    fresh = True

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x if self.needs(1) else None, y=y)
        z = exact(np.true_divide, x, y)
        return z if z.dtype == result_type(x, y) else z.astype(np.float32)

    def backward(self, grad: Array) -> Gradients:
        x, y = self.saved["x"], self.saved["y"]
        dx = exact(np.true_divide, grad, y) if self.needs(0) else None
        return dx, elementwise("div_backward_other", grad, x, y) if self.needs(1) else None


class FloorDiv(Binary):
    """z = x / y rounded down;   dx = dy = 0."""

    def forward(self, x: Array, y: Array) -> Array:
        check_divisor("floor division", x, y)
        return np.floor_divide(x, y)

    def backward(self, grad: Array) -> Gradients:
        return np.zeros_like(grad), np.zeros_like(grad)


class TruncDiv(FloorDiv):
    """z = x / y rounded towards zero;   dx = dy = 0."""

    def forward(self, x: Array, y: Array) -> Array:
        if np.result_type(x, y).kind == "f":
            return np.trunc(np.true_divide(x, y))
        z = super().forward(x, y)
        return z + ((z < 0) & (z * y != x))


def check_divisor(name: str, x: Array, y: Array) -> None:
    """Floats divide by 0 and give infinity or NaN; integers can't, and bools have no division."""
    kind = np.result_type(x, y).kind
    if kind == "b":
        raise not_of_bools(name)
    if kind in "iu" and not np.all(y) and np.broadcast(x, y).size:
        raise RuntimeError(f"{name}: an integer is divided by 0")


_ROUNDED: dict[str | None, type[Binary]] = {None: Div, "floor": FloorDiv, "trunc": TruncDiv}


def div(
    input: Operand, other: Operand, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """input / other; the two broadcast, and integers give float32.

    rounding_mode: "floor" (down), "trunc" (towards 0) or None; with a mode, integers stay integers.
    out: as for `add`.
    """
    if out is not None:
        return put_out("div", out, div(input, other, rounding_mode=rounding_mode))
    if rounding_mode not in _ROUNDED:
        raise RuntimeError(f'rounding_mode: expected None, "floor" or "trunc", got {rounding_mode}')
    return _ROUNDED[rounding_mode].apply(input, other)


def rdiv(input: Tensor, other: Operand) -> Tensor:
    """other / input."""
    return Div.apply(other, input)


def floor_divide(input: Operand, other: Operand) -> Tensor:
    """input / other rounded down; integers stay integers. RuntimeError for an integer by 0."""
    return FloorDiv.apply(input, other)


def rfloor_divide(input: Tensor, other: Operand) -> Tensor:
    """other / input rounded down."""
    return FloorDiv.apply(other, input)


class Remainder(Binary):
    """z = x - y floor(x / y), of the sign of y;   dx = dz,  dy = -dz floor(x / y)."""

    function: ClassVar[np.ufunc] = np.remainder
    rounded: ClassVar[np.ufunc] = np.floor_divide

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x if self.needs(1) else None, y=y if self.needs(1) else None)
        if floats(x, y):
            return elementwise(self.function.__name__, x, y)
        check_divisor(self.function.__name__, x, y)
        return self.function(x, y)

    def backward(self, grad: Array) -> Gradients:
        x, y = self.saved["x"], self.saved["y"]
        return grad, -grad * self.rounded(x, y) if self.needs(1) else None


def remainder(input: Operand, other: Operand) -> Tensor:
    """What is left of input after a division by other that is rounded down: it has the sign of
    other, as Python's %. RuntimeError for an integer by 0."""
    return Remainder.apply(input, other)


def rremainder(input: Tensor, other: Operand) -> Tensor:
    """other % input."""
    return Remainder.apply(other, input)


class Pow(Binary):
    """z = x^y;   dx = dz y x^(y-1), 0 where y = 0;  dy = dz z log x, 0 where x = 0 <= y.

    0 to a power is finite, 0 or 1, just where y is not negative: dy needs x and z alone.
    """

    fresh = True

    def forward(self, x: Array, y: Array) -> Array:
        if not floats(x, y):
            return self.of_integers(x, y)
        z = elementwise("pow", x, y)
        self.save(x=x, y=y if self.needs(0) else None, z=z if self.needs(1) else None)
        return z

    def backward(self, grad: Array) -> Gradients:
        x, y, z = self.saved["x"], self.saved["y"], self.saved["z"]
        dx = elementwise("pow_backward", grad, x, y) if self.needs(0) else None
        return dx, elementwise("pow_backward_exponent", grad, x, z) if self.needs(1) else None

    @staticmethod
    def of_integers(x: Array, y: Array) -> Array:
        """To a negative power 1 and -1 are integers; the rest rounds to 0, as in PyTorch."""
        if np.result_type(x, y).kind == "b":
            raise not_of_bools("pow")
        inverse = np.where(np.abs(x) == 1, x ** (y & 1), 0)
        return np.where(y < 0, inverse, x ** np.maximum(y, 0))


class PowNumber(Function):
    """y = x^p of floats, with a number p;   dx = dy p x^(p-1), 0 where p = 0."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, p: float) -> Array:
        self.kernels, self.p = backend(), p
        self.save(x=x)
        return self.kernels.elementwise("pow", (x, p))

    def backward(self, grad: Array) -> Array:
        return self.kernels.elementwise("pow_backward", (grad, self.saved["x"], self.p))


def pow(input: Operand, exponent: Operand) -> Tensor:
    """input to the power exponent; the two broadcast.

    An integer tensor to a tensor of negative integers is rounded to 0; to a negative integer as a
    number it raises RuntimeError.
    """
    number = type(exponent) in (int, float)
    if number and isinstance(input, TensorBase) and input._array.dtype.kind == "f":
        return PowNumber.apply(input, float(exponent))
    if isinstance(exponent, (int, np.integer)) and exponent < 0 and dtype_of(input).kind != "f":
        raise RuntimeError(
            "pow: Integers to negative integer powers are not allowed; make one of them float"
        )
    return Pow.apply(input, exponent)


def rpow(input: Tensor, other: Operand) -> Tensor:
    """other to the power input."""
    return Pow.apply(other, input)


class Maximum(Binary):
    """z = max(x, y);   the larger one gets dz, and each half of it in a tie; both get it where
    one is NaN (as in PyTorch)."""

    function: np.ufunc = np.maximum
    fresh = True

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x, y=y)
        return exact(self.function, x, y)

    def backward(self, grad: Array) -> Gradients:
        x, y = self.saved["x"], self.saved["y"]
        kernel = f"{_EXACT[self.function]}_backward"
        dx = elementwise(kernel, grad, x, y) if self.needs(0) else None
        return dx, elementwise(kernel, grad, y, x) if self.needs(1) else None


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is NaN. The two broadcast."""
    return Maximum.apply(as_tensor(input, "input"), as_tensor(other, "other"))


class Minimum(Maximum):
    """z = min(x, y);   the smaller one gets dz, and each half of it in a tie."""

    function: np.ufunc = np.minimum


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is NaN. The two broadcast."""
    return Minimum.apply(as_tensor(input, "input"), as_tensor(other, "other"))


# Functions of one operand


def floating(x: Tensor) -> Tensor:
    """Integers and booleans become float32, as in PyTorch's exp, sqrt, ..."""
    return x if as_tensor(x, "input")._array.dtype.kind == "f" else Cast.apply(x, np.dtype("f4"))


def not_bool(x: Tensor) -> Tensor:
    """x itself; RuntimeError if it is bool."""
    if as_tensor(x, "input")._array.dtype.kind == "b":
        raise not_of_bools("input")
    return x


def sign_of(x: Array) -> Array:
    """1 where x > 0, -1 where x < 0, else 0."""
    return np.subtract(x > 0, x < 0, dtype=x.dtype)


class Unary(Function):
    """y = f(x);   dx = dy f'(x), a function of dy and of what is kept: x, y or neither.

    `kernel` and `gradient` name elementwise kernels; kernels/reference/elementwise.py has them in
    NumPy. `p` and `q` are numbers that f depends on. `few` is a function of NumPy that computes f,
    too, and takes less time than a kernel where there are few elements.
    """

    kernels_only = True
    fresh = True
    keeps = "x"
    kernel: ClassVar[str]
    gradient: ClassVar[str]
    few: ClassVar[np.ufunc | None] = None

    def __init_subclass__(cls) -> None:
        if "kernel" in vars(cls) and "gradient" not in vars(cls):
            cls.gradient = f"{cls.kernel}_backward"

    def forward(self, x: Array, p: float = 0.0, q: float = 0.0) -> Array:
        self.numbers = p, q
        self.kernels = backend()
        if x.dtype.kind != "f":
            y = self.other(x)
        elif self.few is not None and x.size <= _FEW:
            y = self.few(x)
        else:
            y = self.kernels.elementwise(self.kernel, (x,), p, q)
        if self.keeps:
            self.saved = {self.keeps: x if self.keeps == "x" else y}
        return y

    def backward(self, grad: Array) -> Array:
        keeps, (p, q) = self.keeps, self.numbers
        inputs = (grad, self.saved[keeps]) if keeps else (grad,)
        return self.kernels.elementwise(self.gradient, inputs, p, q)

    def other(self, x: Array) -> Array:
        """f of integers or bools, for the few operations that have it."""
        raise TypeError(f"{type(self).__name__}: expected floats, got {x.dtype}")


class Neg(Unary):
    """y = -x;   dx = -dy."""

    kernel = gradient = "neg"
    few = np.negative
    keeps = ""
    other = staticmethod(lambda x: -x)


def neg(input: Tensor) -> Tensor:
    """-input. RuntimeError if it is bool."""
    return Neg.apply(not_bool(input))


def positive(input: Tensor) -> Tensor:
    """input itself. RuntimeError if it is bool."""
    return not_bool(input)


class Abs(Unary):
    """y = |x|;   dx = dy sign x, so 0 at 0."""

    kernel = "abs"
    few = np.absolute
    other = staticmethod(lambda x: np.abs(x))


def abs(input: Tensor) -> Tensor:
    """|input|. RuntimeError if it is bool."""
    return Abs.apply(not_bool(input))


class Sign(Unary):
    """y = 1 where x > 0, -1 where x < 0, else 0 (NaN too);   dx = 0."""

    kernel = "sign"
    keeps = ""
    other = staticmethod(lambda x: sign_of(x) if x.dtype != bool else x.copy())

    def backward(self, grad: Array) -> Array:
        return np.zeros_like(grad)


def sign(input: Tensor) -> Tensor:
    """1 where input is positive, -1 where it is negative, else 0."""
    return Sign.apply(as_tensor(input, "input"))


class Square(Unary):
    """y = x^2;   dx = 2 dy x."""

    kernel = "square"
    other = staticmethod(lambda x: x * x if x.dtype != bool else x.astype(np.int64))


def square(input: Tensor) -> Tensor:
    """input times itself."""
    return Square.apply(as_tensor(input, "input"))


class Reciprocal(Unary):
    """y = 1 / x;   dx = -dy y^2."""

    kernel = "reciprocal"
    keeps = "y"


def reciprocal(input: Tensor) -> Tensor:
    """1 / input; integers give float32."""
    return Reciprocal.apply(floating(input))


class Sqrt(Unary):
    """y = sqrt x, NaN below 0;   dx = dy / (2 y), infinite at 0."""

    kernel = "sqrt"
    few = np.sqrt
    keeps = "y"


def sqrt(input: Tensor) -> Tensor:
    """The square root of input, NaN below 0; integers give float32."""
    return Sqrt.apply(floating(input))


class Rsqrt(Unary):
    """y = 1 / sqrt x;   dx = -dy x^(-3/2) / 2 = -dy y^3 / 2."""

    kernel = "rsqrt"
    keeps = "y"


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input); integers give float32."""
    return Rsqrt.apply(floating(input))


class Exp(Unary):
    """y = e^x;   dx = dy y."""

    kernel = "exp"
    few = np.exp
    keeps = "y"

    def backward(self, grad: Array) -> Array:
        return exact(np.multiply, grad, self.saved["y"])


def exp(input: Tensor) -> Tensor:
    """e to the power input; integers give float32.

    >>> ta.exp(ta.tensor([0.0, 1.0]))
    tensor([1.    , 2.7183])
    """
    return Exp.apply(floating(input))


class Expm1(Unary):
    """y = e^x - 1, exact near 0;   dx = dy (y + 1)."""

    kernel = "expm1"
    few = np.expm1
    keeps = "y"


def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, exact near 0 too; integers give float32."""
    return Expm1.apply(floating(input))


class Sinh(Function):
    """y = (e^x - e^-x) / 2;   dx = dy cosh x."""

    fresh = True

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return np.sinh(x)

    def backward(self, grad: Array) -> Array:
        return grad * np.cosh(self.saved["x"])


def sinh(input: Tensor) -> Tensor:
    """(e^input - e^-input) / 2; integers give float32."""
    return Sinh.apply(floating(input))


class Cosh(Function):
    """y = (e^x + e^-x) / 2;   dx = dy sinh x."""

    fresh = True

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return np.cosh(x)

    def backward(self, grad: Array) -> Array:
        return grad * np.sinh(self.saved["x"])


def cosh(input: Tensor) -> Tensor:
    """(e^input + e^-input) / 2; integers give float32."""
    return Cosh.apply(floating(input))


class Log(Unary):
    """y = log x, -inf at 0, NaN below;   dx = dy / x."""

    kernel = "log"
    few = np.log
    makes_masks = True

    def backward(self, grad: Array) -> Array:
        return exact(np.true_divide, grad, self.saved["x"])


def log(input: Tensor) -> Tensor:
    """The natural logarithm of input, -inf at 0 and NaN below; integers give float32."""
    return Log.apply(floating(input))


class Log2(Unary):
    """y = log_2 x = log x / log 2;   dx = dy / (x log 2)."""

    kernel = "log2"
    few = np.log2
    makes_masks = True


def log2(input: Tensor) -> Tensor:
    """The logarithm of input to base 2, -inf at 0 and NaN below; integers give float32."""
    return Log2.apply(floating(input))


def log10(input: Tensor) -> Tensor:
    """The logarithm of input to base 10, -inf at 0 and NaN below; integers give float32.

    >>> ta.log10(ta.tensor([0.01, 1.0]))
    tensor([-2.,  0.])
    """
    return div(log(input), math.log(10))


class Log1p(Unary):
    """y = log(1 + x), exact near 0;   dx = dy / (1 + x)."""

    kernel = "log1p"
    few = np.log1p
    makes_masks = True


def log1p(input: Tensor) -> Tensor:
    """log(1 + input), exact near 0 too; integers give float32."""
    return Log1p.apply(floating(input))


class Sin(Unary):
    """y = sin x;   dx = dy cos x."""

    kernel = "sin"
    few = np.sin


def sin(input: Tensor) -> Tensor:
    """The sine of input, in radians; integers give float32."""
    return Sin.apply(floating(input))


class Cos(Unary):
    """y = cos x;   dx = -dy sin x."""

    kernel = "cos"
    few = np.cos


def cos(input: Tensor) -> Tensor:
    """The cosine of input, in radians; integers give float32."""
    return Cos.apply(floating(input))


class Tanh(Unary):
    """y = tanh x;   dx = dy (1 - y^2)."""

    kernel = "tanh"
    few = np.tanh
    keeps = "y"

    def backward(self, grad: Array) -> Array:
        y = self.saved["y"]
        if y.size > _FEW:
            return super().backward(grad)
        return grad * (_ONE[y.dtype] - y * y)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent of input, between -1 and 1; integers give float32.

    >>> ta.tanh(ta.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.    ,  0.7616])
    """
    return Tanh.apply(floating(input))


class Sigmoid(Unary):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y).  Where e^-x overflows, y is 0 but for denormals."""

    kernel = "sigmoid"
    keeps = "y"


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)), between 0 and 1; integers give float32.

    >>> ta.sigmoid(ta.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5   , 0.7311])
    """
    return Sigmoid.apply(floating(input))


class Erf(Unary):
    """y = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x;   dx = dy 2/sqrt(pi) e^(-x^2)."""

    kernel = "erf"


def erf(input: Tensor) -> Tensor:
    """The error function of input; integers give float32."""
    return Erf.apply(floating(input))


# Choosing


class Clamp(Function):
    """y = min(max(x, low), high);   dx = dy where low <= x <= high (the bounds included),
    dlow = dy where x < low < high,  dhigh = dy where x > high or low > high."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, low: Array | None, high: Array | None) -> Array:
        self.save(x=x, low=low, high=high)
        if x.dtype.kind == "f" and not any(isinstance(b, np.ndarray) for b in (low, high)):
            p, q = _bounds(low, high)
            return elementwise("clamp_numbers", x, p=p, q=q)
        y = x if low is None else np.maximum(x, low)
        return y if high is None else np.minimum(y, high)

    def backward(self, grad: Array) -> Gradients:
        x, low, high = self.saved["x"], self.saved["low"], self.saved["high"]
        if not any(isinstance(b, np.ndarray) for b in (low, high)):
            p, q = _bounds(low, high)
            return elementwise("clamp_numbers_backward", grad, x, p=p, q=q), None, None
        inside, below, above = np.True_, np.False_, np.False_
        if low is not None:
            inside, below = x >= low, x < low
        if high is not None:
            inside, above = inside & (x <= high), x > high
        if low is not None and high is not None:
            below, above = below & (low < high), above | (low > high)
        taken = (inside, below, above)
        return tuple(np.where(t, grad, 0) if self.needs(i) else None for i, t in enumerate(taken))


def _bounds(low: Any, high: Any) -> tuple[float, float]:
    return -math.inf if low is None else low, math.inf if high is None else high


def clamp(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """Each element brought into [min, max]: what is below becomes min, what is above becomes max.
    The gradient passes inside and at the bounds. RuntimeError if both bounds are None.

    >>> ta.tensor([-2.0, 0.5, 3.0]).clamp(0, 1)
    tensor([0. , 0.5, 1. ])
    """
    bounds = {name: t for name, t in (("min", min), ("max", max)) if t is not None}
    if not bounds:
        raise RuntimeError("clamp: at least one of min and max must not be None")
    _check_shapes(as_tensor(input, "input"), *bounds.values())
    dtype = result_type(*(value_of(t) for t in (input, *bounds.values())))
    if dtype.kind == "b" and len(bounds) == 2:
        raise not_of_bools("clamp")
    for name, bound in bounds.items():
        if dtype.kind in "iu" and not isinstance(bound, TensorBase):
            check_range(bound, dtype, f"clamp: {name}")
    return Clamp.apply(
        *(to(t, dtype) if isinstance(t, TensorBase) else t for t in (input, min, max))
    )


class Where(Function):
    """z = x where c, else y;   dx = dz where c else 0,  dy = 0 where c else dz."""

    kernels_only = True
    fresh = True

    def forward(self, condition: Array, x: Array, y: Array) -> Array:
        x, y = promote(x, y)
        self.save(condition=condition)
        return chosen(condition, x, y)

    def backward(self, grad: Array) -> Gradients:
        condition = self.saved["condition"]
        dx = chosen(condition, grad, 0.0) if self.needs(1) else None
        return None, dx, chosen(condition, 0.0, grad) if self.needs(2) else None


@overload
def where(condition: Tensor) -> tuple[Tensor, ...]: ...
@overload
def where(condition: Tensor, input: Operand, other: Operand) -> Tensor: ...
def where(
    condition: Tensor, input: Operand | None = None, other: Operand | None = None
) -> Tensor | tuple[Tensor, ...]:
    """input where condition (bool) is True, else other; the three broadcast. A NaN in what is not
    taken has no effect on the result or on the gradients. Of the condition alone: the indices where
    it is not 0, as `nonzero(as_tuple=True)` gives them.

    >>> x = ta.tensor([-1.0, 2.0])
    >>> ta.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    array = as_tensor(condition, "condition")._array
    if input is None and other is None:
        refuse("where: the shape of its result depends on the numbers of the condition")
        return tuple(map(results.wrap, np.atleast_1d(array).nonzero()))
    if input is None or other is None:
        raise TypeError("where: expected both input and other, or neither")
    if array.dtype == uint8:
        warnings.warn(
            "where received a uint8 condition tensor, which is deprecated; use a bool one",
            stacklevel=2,
        )
        condition = to(condition, bool_)
    elif array.dtype != bool:
        raise RuntimeError(f"condition: expected a bool tensor, got {condition._array.dtype}")
    _check_shapes(condition, input, other)
    return Where.apply(condition, input, other)


def _check_shapes(*operands: Operand) -> None:
    arrays = [x for x in map(value_of, operands) if isinstance(x, ndarray)]
    for a, b in combinations(dict.fromkeys([x.shape for x in arrays]), 2):
        check_broadcast(a, b)


# Copies


class Cast(Function):
    """y = x in another dtype;   the engine casts the gradient back."""

    kernels_only = True
    keeps_weights = True

    def forward(self, x: Array, dtype: DType) -> Array:
        return cast(x, dtype)

    def backward(self, grad: Array) -> Array:
        return grad


def cast(x: Array, dtype: DType) -> Array:
    """x in another dtype, in the same order in memory."""
    if few(x.size) or not x.flags.c_contiguous:
        return x.astype(dtype) if quiet.get() else state.unwatched(x.astype, dtype)
    return backend().convert(x, dtype)


def to(input: Tensor, dtype: DTypeLike | Tensor, copy: bool = False) -> Tensor:
    """input in another dtype; input itself if it has that dtype and copy is False. Of a tensor as
    `dtype`, its dtype is meant. Integers that don't fit wrap around, as in NumPy."""
    wanted = dtype._array.dtype if isinstance(dtype, TensorBase) else as_dtype(dtype)
    made = in_dtype(input, wanted)
    return clone(input) if copy and made is input else made


def in_dtype(input: Tensor, dtype: DType) -> Tensor:
    """input in this dtype; input itself if it has it."""
    array = input._array
    if array.dtype is dtype or array.dtype == dtype:
        return input
    if dtype.kind == "f" and array.dtype.kind == "f" and not is_constant(input):
        return Cast.apply(input, dtype)
    return results.wrap(kernels("to", cast, array, dtype))  # no gradient passes


class Clone(Function):
    """y = a copy of x;   dx = dy."""

    kernels_only = True
    keeps_weights = True

    def forward(self, x: Array) -> Array:
        return copied(x)

    def backward(self, grad: Array) -> Array:
        return grad


def clone(input: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """A copy of input with memory of its own; gradients flow through it. `memory_format` changes
    nothing."""
    check_format(memory_format)
    return Clone.apply(as_tensor(input, "input"))
