"""Activations as modules; the functions and their gradients stand in ops/."""

from collections.abc import Callable

from tinyattn._tensor import Tensor
from tinyattn.nn import functional as F
from tinyattn.nn.module import Module


class Activation(Module):
    """`function` of the input and of the attributes that `options` names."""

    function: Callable[..., Tensor]
    options: tuple[str, ...] = ()

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, *(getattr(self, name) for name in self.options))

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self.options}
        if not values.get("inplace"):
            values.pop("inplace", None)
        return ", ".join(f"{name}={value!r}" for name, value in values.items())


class Tanh(Activation):
    function = staticmethod(F.tanh)


class Sigmoid(Activation):
    function = staticmethod(F.sigmoid)


class Softsign(Activation):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class LogSigmoid(Activation):
    """log(sigmoid(x))."""

    function = staticmethod(F.logsigmoid)


class ReLU(Activation):
    """max(x, 0); with `inplace` the input's memory is used."""

    function = staticmethod(F.relu)
    options = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class LeakyReLU(Activation):
    """x where it is positive, else negative_slope * x."""

    function = staticmethod(F.leaky_relu)
    options = ("negative_slope", "inplace")

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(Activation):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    function = staticmethod(F.elu)
    options = ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class SiLU(Activation):
    """x * sigmoid(x)."""

    function = staticmethod(F.silu)
    options = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class GELU(Activation):
    """x * P(X <= x), X normal; `approximate="tanh"` for the formula without erf."""

    function = staticmethod(F.gelu)
    options = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate


class Softplus(Activation):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""

    function = staticmethod(F.softplus)
    options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold


class GLU(Activation):
    """a * sigmoid(b) of the halves of x along `dim`."""

    function = staticmethod(F.glu)
    options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


class Softmax(Activation):
    """exp(x) / sum(exp(x)) along `dim`."""

    function = staticmethod(F.softmax)
    options = ("dim",)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


class LogSoftmax(Activation):
    """log(softmax(x)) along `dim`."""

    function = staticmethod(F.log_softmax)
    options = ("dim",)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
