"""Operations on each element: arithmetic, comparisons, exp, log, tanh, sigmoid, clamp, where.

Two operands broadcast as in NumPy and mix dtypes as in PyTorch. Look at Mul and Unary first.
"""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import as_dtype, bool_, promote, result_type, scalar_dtype
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops._in_place import check_in_place, rebind

Number = bool | int | float


class Binary(Function):
    """An operation on two operands, promoted to one dtype first."""

    promotes = True


class Add(Binary):
    """z = x + y;   dx = dz,  dy = dz."""

    def forward(self, x: Any, y: Any) -> Any:
        return x + y

    def backward(self, grad: Any) -> Any:
        return grad, grad


class Sub(Binary):
    """z = x - y;   dx = dz,  dy = -dz."""

    def forward(self, x: Any, y: Any) -> Any:
        return x - y

    def backward(self, grad: Any) -> Any:
        return grad, -grad if self.needs(1) else None


class Mul(Binary):
    """z = x y;   dx = dz y,  dy = dz x. Each is kept only for the gradient of the other."""

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x=x if self.needs(1) else None, y=y if self.needs(0) else None)
        return x * y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        return grad * y if self.needs(0) else None, grad * x if self.needs(1) else None


class Div(Binary):
    """z = x / y;   dx = dz / y,  dy = -dz x / y^2."""

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x=x if self.needs(1) else None, y=y)
        z = np.true_divide(x, y)
        return z if z.dtype == result_type(x, y) else z.astype(np.float32)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        dx = grad / y if self.needs(0) else None
        return dx, -grad * (x / y / y) if self.needs(1) else None


class FloorDiv(Binary):
    """z = x / y rounded down;   dx = dy = 0."""

    def forward(self, x: Any, y: Any) -> Any:
        dtype = np.result_type(x, y)
        if dtype.kind == "b":
            raise _not_of_bools("div with a rounding_mode")
        if dtype.kind == "i" and not np.all(y) and np.broadcast(x, y).size:
            raise RuntimeError("div: an integer is divided by 0")
        return np.floor_divide(x, y)

    def backward(self, grad: Any) -> Any:
        return np.zeros_like(grad), np.zeros_like(grad)


class TruncDiv(FloorDiv):
    """z = x / y rounded towards zero;   dx = dy = 0."""

    def forward(self, x: Any, y: Any) -> Any:
        if np.result_type(x, y).kind == "f":
            return np.trunc(np.true_divide(x, y))
        z = super().forward(x, y)
        return z + ((z < 0) & (z * y != x))


_ROUNDED: dict[str | None, type[Binary]] = {None: Div, "floor": FloorDiv, "trunc": TruncDiv}


class Pow(Binary):
    """z = x^y;   dx = dz y x^(y-1), 0 where y = 0;  dy = dz z log x, 0 where x = 0 <= y."""

    def forward(self, x: Any, y: Any) -> Any:
        z = self.of_integers(x, y) if np.result_type(x, y).kind != "f" else x**y
        self.save(x=x, y=y, z=z)
        return z

    def backward(self, grad: Any) -> Any:
        x, y, z = self.saved["x"], self.saved["y"], self.saved["z"]
        dx = dy = None
        if self.needs(0):
            dx = np.where(y == 0, 0, grad * (y * x ** (y - 1)))
        if self.needs(1):
            dy = np.where((x == 0) & (y >= 0), 0, grad * z * np.log(x))
        return dx, dy

    @staticmethod
    def of_integers(x: Any, y: Any) -> Any:
        """To a negative power 1 and -1 are integers; the rest rounds to 0, as in PyTorch."""
        if np.result_type(x, y).kind == "b":
            raise _not_of_bools("pow")
        inverse = np.where(np.abs(x) == 1, x ** (y & 1), 0)
        return np.where(y < 0, inverse, x ** np.maximum(y, 0))


class Maximum(Binary):
    """z = max(x, y);   the larger one gets dz, and each half of it in a tie; both get it where
    one is NaN (as in PyTorch)."""

    worse = staticmethod(np.less)
    choose = staticmethod(np.maximum)

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x=x, y=y)
        return self.choose(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved["x"], self.saved["y"]
        best = np.where(x == y, grad / 2, grad)
        return np.where(self.worse(x, y), 0, best), np.where(self.worse(y, x), 0, best)


class Minimum(Maximum):
    """z = min(x, y);   the smaller one gets dz, and each half of it in a tie."""

    worse = staticmethod(np.greater)
    choose = staticmethod(np.minimum)


class Unary(Function):
    """y = f(x);   dx = dy f'(x), a function of dy and of what is kept: x, y or neither."""

    fresh = True
    keeps = "x"
    function: Callable[[Any], Any]
    gradient: Callable[..., Any]

    def forward(self, x: Any) -> Any:
        y = self.function(x)
        if self.keeps:
            self.save(**{self.keeps: x if self.keeps == "x" else y})
        return y

    def backward(self, grad: Any) -> Any:
        return self.gradient(grad, self.saved[self.keeps]) if self.keeps else self.gradient(grad)


class Neg(Unary):
    """y = -x;   dx = -dy."""

    function = gradient = np.negative
    keeps = ""


class Abs(Unary):
    """y = |x|;   dx = dy sign x, so 0 at 0."""

    function = np.abs
    gradient = staticmethod(lambda dy, x: dy * sign_of(x))


class Sign(Unary):
    """y = 1 where x > 0, -1 where x < 0, else 0 (NaN too);   dx = 0."""

    function = staticmethod(lambda x: sign_of(x) if x.dtype != bool else x.copy())
    gradient = staticmethod(np.zeros_like)
    keeps = ""


class Square(Unary):
    """y = x^2;   dx = 2 dy x."""

    function = staticmethod(lambda x: x * x if x.dtype != bool else x.astype(np.int64))
    gradient = staticmethod(lambda dy, x: 2 * dy * x)


class Reciprocal(Unary):
    """y = 1 / x;   dx = -dy y^2."""

    function = np.reciprocal
    gradient = staticmethod(lambda dy, y: -dy * y * y)
    keeps = "y"


class Sqrt(Unary):
    """y = sqrt x, NaN below 0;   dx = dy / (2 y), infinite at 0."""

    function = np.sqrt
    gradient = staticmethod(lambda dy, y: dy / (2 * y))
    keeps = "y"


class Rsqrt(Unary):
    """y = 1 / sqrt x;   dx = -dy x^(-3/2) / 2 = -dy y^3 / 2."""

    function = staticmethod(lambda x: 1 / np.sqrt(x))
    gradient = staticmethod(lambda dy, y: -0.5 * dy * (y * y * y))
    keeps = "y"


class Exp(Unary):
    """y = e^x;   dx = dy y."""

    function = np.exp
    gradient = staticmethod(lambda dy, y: dy * y)
    keeps = "y"


class Expm1(Unary):
    """y = e^x - 1, exact near 0;   dx = dy (y + 1)."""

    function = np.expm1
    gradient = staticmethod(lambda dy, y: dy * (y + 1))
    keeps = "y"


class Log(Unary):
    """y = log x, -inf at 0, NaN below;   dx = dy / x."""

    function = np.log
    makes_masks = True
    gradient = staticmethod(lambda dy, x: dy / x)


class Log1p(Unary):
    """y = log(1 + x), exact near 0;   dx = dy / (1 + x)."""

    function = np.log1p
    makes_masks = True
    gradient = staticmethod(lambda dy, x: dy / (1 + x))


class Sin(Unary):
    """y = sin x;   dx = dy cos x."""

    function = np.sin
    gradient = staticmethod(lambda dy, x: dy * np.cos(x))


class Cos(Unary):
    """y = cos x;   dx = -dy sin x."""

    function = np.cos
    gradient = staticmethod(lambda dy, x: -dy * np.sin(x))


class Tanh(Unary):
    """y = tanh x;   dx = dy (1 - y^2)."""

    function = np.tanh
    gradient = staticmethod(lambda dy, y: dy * (1 - y * y))
    keeps = "y"


class Sigmoid(Unary):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y).  Where e^-x overflows, y is 0 but for denormals."""

    function = staticmethod(lambda x: 1 / (1 + np.exp(-x)))
    gradient = staticmethod(lambda dy, y: dy * y * (1 - y))
    keeps = "y"


class Erf(Unary):
    """y = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x;   dx = dy 2/sqrt(pi) e^(-x^2)."""

    gradient = staticmethod(lambda dy, x: dy * (2 / math.sqrt(math.pi) * np.exp(-x * x)))

    def function(self, x: Any) -> Any:
        from scipy.special import erf  # a quarter of a second to import

        return erf(x)


class Clamp(Function):
    """y = min(max(x, low), high);   dx = dy where low <= x <= high (the bounds included),
    dlow = dy where x < low < high,  dhigh = dy where x > high or low > high."""

    def forward(self, x: Any, low: Any, high: Any) -> Any:
        self.save(x=x, low=low, high=high)
        y = x if low is None else np.maximum(x, low)
        return y if high is None else np.minimum(y, high)

    def backward(self, grad: Any) -> Any:
        x, low, high = self.saved["x"], self.saved["low"], self.saved["high"]
        inside, below, above = np.True_, np.False_, np.False_
        if low is not None:
            inside, below = x >= low, x < low
        if high is not None:
            inside, above = inside & (x <= high), x > high
        if low is not None and high is not None:
            below, above = below & (low < high), above | (low > high)
        taken = (inside, below, above)
        return tuple(np.where(t, grad, 0) if self.needs(i) else None for i, t in enumerate(taken))


class Where(Function):
    """z = x where c, else y;   dx = dz where c else 0,  dy = 0 where c else dz."""

    def forward(self, condition: Any, x: Any, y: Any) -> Any:
        x, y = promote(x, y)
        self.save(condition=condition)
        return np.where(condition, x, y)

    def backward(self, grad: Any) -> Any:
        condition = self.saved["condition"]
        return None, np.where(condition, grad, 0), np.where(condition, 0, grad)


class Cast(Function):
    """y = x in another dtype;   the engine casts the gradient back."""

    def forward(self, x: Any, dtype: np.dtype) -> Any:
        return x.astype(dtype)

    def backward(self, grad: Any) -> Any:
        return grad


class Clone(Function):
    """y = a copy of x;   dx = dy."""

    def forward(self, x: Any) -> Any:
        return np.array(x, order="C")

    def backward(self, grad: Any) -> Any:
        return grad


def _not_of_bools(name: str) -> RuntimeError:
    return RuntimeError(f"{name}: not defined for bool tensors; use logical_not, &, | or !=")


def _tensor(x: Any) -> Any:
    return as_tensor(x, "input")


def floating(x: Any) -> Any:
    """Integers and booleans become float32, as in PyTorch's exp, sqrt, ..."""
    return x if _tensor(x)._array.dtype.kind == "f" else Cast.apply(x, np.dtype("f4"))


def not_bool(x: Any) -> Any:
    if _tensor(x)._array.dtype == bool:
        raise _not_of_bools("input")
    return x


def sign_of(x: Any) -> Any:
    return np.subtract(x > 0, x < 0, dtype=x.dtype)


def _scaled(input: Any, other: Any, alpha: Number) -> Any:
    if alpha == 1 and not isinstance(alpha, float):
        return other
    operands = (x._array if isinstance(x, TensorBase) else x for x in (input, other))
    dtype = result_type(*operands)
    if isinstance(alpha, float) and dtype.kind != "f":
        raise RuntimeError(f"alpha: expected an integer for operands of integers, got {alpha}")
    scaled: Any = to(other, dtype) if isinstance(other, Tensor) else other
    return scaled * alpha


def _dtype(operand: Any) -> np.dtype:
    return operand._array.dtype if isinstance(operand, TensorBase) else scalar_dtype(operand)


def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other."""
    return Add.apply(input, _scaled(input, other, alpha))


def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other."""
    if bool_ in (_dtype(input), _dtype(other)):
        raise _not_of_bools("sub")
    return Sub.apply(input, _scaled(input, other, alpha))


def rsub(input: Tensor, other: Any) -> Tensor:
    """other - input."""
    return sub(other, input)


def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """input * other."""
    return Mul.apply(input, other)


def div(input: Tensor, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; integers give float32. rounding_mode: "floor", "trunc" (towards 0) or None."""
    if rounding_mode not in _ROUNDED:
        raise RuntimeError(f'rounding_mode: expected None, "floor" or "trunc", got {rounding_mode}')
    return _ROUNDED[rounding_mode].apply(input, other)


def rdiv(input: Tensor, other: Tensor | Number) -> Tensor:
    """other / input."""
    return Div.apply(other, input)


def pow(input: Tensor, exponent: Tensor | Number) -> Tensor:
    """input ** exponent; with two tensors of integers and a negative power rounded to 0."""
    if not isinstance(exponent, TensorBase):
        whole = as_tensor(input, "input")._array.dtype.kind != "f" and not isinstance(
            exponent, float
        )
        if whole and exponent < 0:
            raise RuntimeError(
                "pow: Integers to negative integer powers are not allowed; make one of them float"
            )
    return Pow.apply(input, exponent)


def rpow(input: Tensor, other: Tensor | Number) -> Tensor:
    """other ** input."""
    return Pow.apply(other, input)


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is NaN."""
    return Maximum.apply(as_tensor(input, "input"), as_tensor(other, "other"))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is NaN."""
    return Minimum.apply(as_tensor(input, "input"), as_tensor(other, "other"))


def _unary(operation: type[Unary], prepared: Callable[[Any], Any]) -> Callable[[Tensor], Tensor]:
    def unary(input: Tensor) -> Tensor:
        return operation.apply(prepared(input))

    unary.__name__ = operation.__name__.lower()
    unary.__doc__ = operation.__doc__
    return unary


neg = _unary(Neg, not_bool)
abs = _unary(Abs, not_bool)
sign = _unary(Sign, _tensor)
square = _unary(Square, _tensor)
reciprocal = _unary(Reciprocal, floating)
sqrt = _unary(Sqrt, floating)
rsqrt = _unary(Rsqrt, floating)
exp = _unary(Exp, floating)
expm1 = _unary(Expm1, floating)
log = _unary(Log, floating)
log1p = _unary(Log1p, floating)
sin = _unary(Sin, floating)
cos = _unary(Cos, floating)
tanh = _unary(Tanh, floating)
sigmoid = _unary(Sigmoid, floating)
erf = _unary(Erf, floating)


def clamp(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """Each element brought into [min, max]; the gradient passes inside and at the bounds."""
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds:
        raise RuntimeError("clamp: at least one of min and max must not be None")
    _check_shapes(as_tensor(input, "input"), *bounds)
    dtype = result_type(*(t._array if isinstance(t, TensorBase) else t for t in (input, *bounds)))
    if dtype.kind == "b" and len(bounds) == 2:
        raise _not_of_bools("clamp")
    return Clamp.apply(
        *(to(t, dtype) if isinstance(t, TensorBase) else t for t in (input, min, max))
    )


def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input where condition (bool) is True, else other; a NaN on the other side has no effect."""
    if as_tensor(condition, "condition")._array.dtype != bool:
        raise RuntimeError(f"condition: expected a bool tensor, got {condition._array.dtype}")
    _check_shapes(condition, input, other)
    return Where.apply(condition, input, other)


def _check_shapes(*operands: Any) -> None:
    shapes = [t._array.shape if isinstance(t, TensorBase) else () for t in operands]
    for a, b in combinations(shapes, 2):
        check_broadcast(a, b)


def to(input: Tensor, dtype: Any, copy: bool = False) -> Tensor:
    """input in another dtype (a dtype, or a tensor whose dtype is meant); itself if it has it."""
    wanted = dtype._array.dtype if isinstance(dtype, TensorBase) else as_dtype(dtype)
    if input._array.dtype == wanted:
        return clone(input) if copy else input
    return Cast.apply(input, wanted)


def clone(input: Tensor) -> Tensor:
    """A copy with memory of its own; gradients flow through it."""
    return Clone.apply(as_tensor(input, "input"))


def _compare(symbol: str, ufunc: np.ufunc) -> Any:
    def compare(input: Tensor, other: Tensor | Number) -> Any:
        x = as_tensor(input, "input")._array
        y = other._array if isinstance(other, TensorBase) else other
        check_broadcast(np.shape(x), np.shape(y))
        return results.wrap(ufunc(*promote(x, y)))

    compare.__name__ = ufunc.__name__
    compare.__doc__ = f"input {symbol} other, element by element: a bool tensor."
    return compare


eq = _compare("==", np.equal)
ne = _compare("!=", np.not_equal)
lt = _compare("<", np.less)
le = _compare("<=", np.less_equal)
gt = _compare(">", np.greater)
ge = _compare(">=", np.greater_equal)


def _logical(ufunc: np.ufunc, kinds: str, result: str) -> Any:
    def logical(input: Tensor, other: Tensor) -> Any:
        x, y = as_tensor(input, "input")._array, as_tensor(other, "other")._array
        check_broadcast(x.shape, y.shape)
        for name, array in (("input", x), ("other", y)):
            if array.dtype.kind not in kinds:
                raise RuntimeError(
                    f"{ufunc.__name__}: {name}: expected bool or integers, got {array.dtype}"
                )
        return results.wrap(ufunc(*promote(x, y)))

    logical.__name__ = ufunc.__name__
    logical.__doc__ = f"{ufunc.__name__} of two tensors, element by element: {result}."
    return logical


logical_and = _logical(np.logical_and, "bif", "a bool tensor")
logical_or = _logical(np.logical_or, "bif", "a bool tensor")
bitwise_and = _logical(np.bitwise_and, "bi", "bool of bools, bits of integers")
bitwise_or = _logical(np.bitwise_or, "bi", "bool of bools, bits of integers")


def bitwise_not(input: Tensor) -> Any:
    """not of bools, the complement of integers."""
    array = as_tensor(input, "input")._array
    if array.dtype.kind == "f":
        raise TypeError(f"bitwise_not: input: expected bool or integers, got {array.dtype}")
    return results.wrap(np.invert(array))


def _test(ufunc: np.ufunc) -> Any:
    def test(input: Tensor) -> Any:
        return results.wrap(ufunc(as_tensor(input, "input")._array))

    test.__name__ = ufunc.__name__
    test.__doc__ = f"{ufunc.__name__}, element by element: a bool tensor."
    return test


logical_not = _test(np.logical_not)
isnan = _test(np.isnan)
isinf = _test(np.isinf)
isfinite = _test(np.isfinite)


def _in_place(function: Any) -> Any:
    """`function` writing its result into its first argument, on the tape."""
    name = f"{function.__name__}_"

    def in_place(input: Tensor, *args: Any, **options: Any) -> Tensor:
        check_in_place(name, input, *args)
        result, dtype = function(input, *args, **options), input._array.dtype
        if result._array.dtype != dtype and np.can_cast(result._array.dtype, dtype, "same_kind"):
            result = Cast.apply(result, dtype)
        return rebind(name, input, result)

    in_place.__name__ = name
    in_place.__doc__ = f"{function.__name__} in place."
    return in_place


add_ = _in_place(add)
sub_ = _in_place(sub)
mul_ = _in_place(mul)
div_ = _in_place(div)
clamp_ = _in_place(clamp)


class Fill(Function):
    """y = v, broadcast, whatever x was;   dx = 0, dv = dy (summed where v was broadcast)."""

    def forward(self, x: Any, value: Any) -> Any:
        return np.broadcast_to(np.asarray(value).astype(x.dtype), x.shape)

    def backward(self, grad: Any) -> Any:
        return np.zeros_like(grad) if self.needs(0) else None, grad


def copy_(input: Tensor, source: Any) -> Tensor:
    """Write source, broadcast and cast, into input; the gradient goes to source."""
    check_in_place("copy_", input, source)
    try:
        result = Fill.apply(input, source)
    except ValueError:
        raise RuntimeError(
            f"copy_: source of shape {list(source._array.shape)} can't be broadcast to "
            f"{list(input._array.shape)}"
        ) from None
    return rebind("copy_", input, result)


def fill_(input: Tensor, value: Number | Tensor) -> Tensor:
    """Write one number into every element."""
    check_in_place("fill_", input, value)
    if isinstance(value, TensorBase) and value._array.ndim:
        raise RuntimeError(
            "fill_: value: expected a number or a tensor without axes, got shape "
            f"{list(value._array.shape)}"
        )
    return rebind("fill_", input, Fill.apply(input, value))


def zero_(input: Tensor) -> Tensor:
    """Write 0 into every element."""
    check_in_place("zero_", input)
    return rebind("zero_", input, Fill.apply(input, 0))
