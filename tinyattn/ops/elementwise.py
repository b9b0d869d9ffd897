"""Operations on each element: arithmetic, comparisons, exp, log, tanh, sigmoid, relu, where.

Two operands broadcast as in NumPy and mix dtypes as in PyTorch. Look at Mul first.
"""

from itertools import combinations
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import as_dtype, promote, result_type
from tinyattn.autograd.function import Function, check_broadcast
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
        try:
            return x - y
        except TypeError:
            raise _not_of_bools("sub") from None

    def backward(self, grad: Any) -> Any:
        return grad, -grad if self.needs(1) else None


class Mul(Binary):
    """z = x y;   dx = dz y,  dy = dz x. Each is kept only for the gradient of the other."""

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs(1) else None, y if self.needs(0) else None)
        return x * y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        return grad * y if self.needs(0) else None, grad * x if self.needs(1) else None


class Div(Binary):
    """z = x / y;   dx = dz / y,  dy = -dz x / y^2."""

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs(1) else None, y)
        z = np.true_divide(x, y)
        return z if z.dtype == result_type(x, y) else z.astype(np.float32)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        dx = grad / y if self.needs(0) else None
        return dx, -grad * (x / y / y) if self.needs(1) else None


class Pow(Binary):
    """z = x^y;   dx = dz y x^(y-1), 0 where y = 0;  dy = dz z log x, 0 where x = 0 <= y."""

    def forward(self, x: Any, y: Any) -> Any:
        if type(y) is np.ndarray and y.dtype.kind != "f":
            self.check_integers(y)
        z = x**y
        self.save(x, y, z)
        return z

    def backward(self, grad: Any) -> Any:
        x, y, z = self.saved
        dx = dy = None
        if self.needs(0):
            dx = np.where(y == 0, 0, grad * (y * x ** (y - 1)))
        if self.needs(1):
            dy = np.where((x == 0) & (y >= 0), 0, grad * z * np.log(x))
        return dx, dy

    @staticmethod
    def check_integers(y: np.ndarray) -> None:
        if y.dtype == bool:
            raise _not_of_bools("pow")
        if (y < 0).any():
            raise RuntimeError(
                "pow: Integers to negative integer powers are not allowed; make one of them float"
            )


class Maximum(Binary):
    """z = max(x, y);   the larger one gets dz, and each half of it in a tie; both get it where
    one is NaN (as in PyTorch)."""

    worse = staticmethod(np.less)
    choose = staticmethod(np.maximum)

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x, y)
        return self.choose(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        best = np.where(x == y, grad / 2, grad)
        return np.where(self.worse(x, y), 0, best), np.where(self.worse(y, x), 0, best)


class Minimum(Maximum):
    """z = min(x, y);   the smaller one gets dz, and each half of it in a tie."""

    worse = staticmethod(np.greater)
    choose = staticmethod(np.minimum)


class Neg(Function):
    """y = -x;   dx = -dy."""

    def forward(self, x: Any) -> Any:
        try:
            return -x
        except TypeError:
            raise _not_of_bools("neg") from None

    def backward(self, grad: Any) -> Any:
        return -grad


class Exp(Function):
    """y = e^x;   dx = dy y."""

    def forward(self, x: Any) -> Any:
        y = np.exp(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * y


class Log(Function):
    """y = log x;   dx = dy / x."""

    def forward(self, x: Any) -> Any:
        self.save(x)
        return np.log(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / x


class Sqrt(Function):
    """y = sqrt x;   dx = dy / (2 y)."""

    def forward(self, x: Any) -> Any:
        y = np.sqrt(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad / (2 * y)


class Abs(Function):
    """y = |x|;   dx = dy sign x, so 0 at 0."""

    def forward(self, x: Any) -> Any:
        self.save(x)
        return np.abs(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * np.sign(x)


class Tanh(Function):
    """y = tanh x;   dx = dy (1 - y^2)."""

    def forward(self, x: Any) -> Any:
        y = np.tanh(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (1 - y * y)


class Sigmoid(Function):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y).

    With t = e^-|x| <= 1 nothing overflows:  y = 1 / (1 + t) for x >= 0 and t / (1 + t) for x < 0.
    """

    def forward(self, x: Any) -> Any:
        t = np.exp(-np.abs(x))
        y = np.where(x < 0, t, np.ones_like(t)) / (1 + t)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * y * (1 - y)


class ReLU(Function):
    """y = max(x, 0);   dx = dy where x > 0, else 0."""

    def forward(self, x: Any) -> Any:
        y = np.maximum(x, 0)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (y != 0)  # which is True for NaN


class Clamp(Function):
    """y = min(max(x, low), high);   dx = dy where low <= x <= high (the bounds included)."""

    def forward(self, x: Any, low: Any, high: Any) -> Any:
        self.save(x, low, high)
        return np.clip(x, low, high)

    def backward(self, grad: Any) -> Any:
        x, low, high = self.saved
        inside = np.ones(x.shape, bool)
        if low is not None:
            inside &= x >= low
        if high is not None:
            inside &= x <= high
        return np.where(inside, grad, 0)


class Where(Function):
    """z = x where c, else y;   dx = dz where c else 0,  dy = 0 where c else dz."""

    def forward(self, condition: Any, x: Any, y: Any) -> Any:
        x, y = promote(x, y)
        self.save(condition)
        return np.where(condition, x, y)

    def backward(self, grad: Any) -> Any:
        (condition,) = self.saved
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


def _floating(x: Any) -> Any:
    """Integers and booleans become float32, as in PyTorch's exp, sqrt, ..."""
    return x if as_tensor(x, "input")._array.dtype.kind == "f" else Cast.apply(x, np.dtype("f4"))


def _scaled(other: Any, alpha: Number) -> Any:
    return other if alpha == 1 else other * alpha


def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other."""
    return Add.apply(input, _scaled(other, alpha))


def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other."""
    return Sub.apply(input, _scaled(other, alpha))


def rsub(input: Tensor, other: Tensor | Number) -> Tensor:
    """other - input."""
    return Sub.apply(other, input)


def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """input * other."""
    return Mul.apply(input, other)


def div(input: Tensor, other: Tensor | Number) -> Tensor:
    """input / other; integers give float32."""
    return Div.apply(input, other)


def rdiv(input: Tensor, other: Tensor | Number) -> Tensor:
    """other / input."""
    return Div.apply(other, input)


def pow(input: Tensor, exponent: Tensor | Number) -> Tensor:
    """input ** exponent."""
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


def neg(input: Tensor) -> Tensor:
    """-input."""
    return Neg.apply(as_tensor(input, "input"))


def exp(input: Tensor) -> Tensor:
    """e to the power of each element."""
    return Exp.apply(_floating(input))


def log(input: Tensor) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below."""
    return Log.apply(_floating(input))


def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN below 0, an infinite gradient at 0."""
    return Sqrt.apply(_floating(input))


def abs(input: Tensor) -> Tensor:
    """The absolute value; gradient 0 at 0."""
    return Abs.apply(as_tensor(input, "input"))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh.apply(_floating(input))


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))."""
    return Sigmoid.apply(_floating(input))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0); gradient 0 at 0."""
    if inplace:
        check_in_place("relu_", input)
        return rebind("relu_", input, ReLU.apply(input))
    return ReLU.apply(as_tensor(input, "input"))


def clamp(input: Tensor, min: Number | None = None, max: Number | None = None) -> Tensor:
    """Each element brought into [min, max]; the gradient passes inside and at the bounds."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must not be None")
    x = as_tensor(input, "input")
    for name, bound in (("min", min), ("max", max)):
        if isinstance(bound, TensorBase):
            raise TypeError(f"{name}: expected a number, got {type(bound).__name__}")
    dtype = result_type(x._array, *(bound for bound in (min, max) if bound is not None))
    return Clamp.apply(x if x._array.dtype == dtype else Cast.apply(x, dtype), min, max)


def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input where condition (bool) is True, else other; a NaN on the other side has no effect."""
    if as_tensor(condition, "condition")._array.dtype != bool:
        raise RuntimeError(f"condition: expected a bool tensor, got {condition._array.dtype}")
    shapes = [
        t._array.shape if isinstance(t, TensorBase) else () for t in (condition, input, other)
    ]
    for a, b in combinations(shapes, 2):
        check_broadcast(a, b)
    return Where.apply(condition, input, other)


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
        x, y = (v._array if isinstance(v, TensorBase) else v for v in (input, other))
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
        return results.wrap(ufunc(x, y))

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
        raise RuntimeError(f"bitwise_not: input: expected bool or integers, got {array.dtype}")
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


def copy_(input: Tensor, source: Tensor) -> Tensor:
    """Write source, broadcast and cast, into input; the gradient goes to source."""
    check_in_place("copy_", input, as_tensor(source, "source"))
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
