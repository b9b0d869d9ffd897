"""Activations as modules. Each works element by element, except GLU, Softmax and LogSoftmax; the
functions and their gradients are in ops/.
"""

from collections.abc import Callable

from tinyattn._tensor import Tensor
from tinyattn.nn import functional as F
from tinyattn.nn.module import Module


class Activation(Module):
    """Call `function` with the input and the attributes that `options` names."""

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
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    function = staticmethod(F.tanh)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    function = staticmethod(F.sigmoid)


class Softsign(Activation):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class LogSigmoid(Activation):
    """log(sigmoid(x))."""

    function = staticmethod(F.logsigmoid)


class ReLU(Activation):
    """max(x, 0). inplace: write into the input's memory.

    >>> nn.ReLU()(ta.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    function = staticmethod(F.relu)
    options = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope * x (Maas et al. 2013)."""

    function = staticmethod(F.leaky_relu)
    options = ("negative_slope", "inplace")

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(Activation):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2015, arXiv:1511.07289)."""

    function = staticmethod(F.elu)
    options = ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class SiLU(Activation):
    """x * sigmoid(x) (Elfwing et al. 2017, arXiv:1702.03118)."""

    function = staticmethod(F.silu)
    options = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class GELU(Activation):
    """x * P(X <= x) for a standard normal X (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    approximate: "none" for the exact formula, with erf; "tanh" for the approximation
    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
    """

    function = staticmethod(F.gelu)
    options = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""

    function = staticmethod(F.softplus)
    options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold


class GLU(Activation):
    """a * sigmoid(b), a and b the two halves of x along `dim` (Dauphin et al. 2016,
    arXiv:1612.08083).
    """

    function = staticmethod(F.glu)
    options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


class Softmax(Activation):
    """exp(x) / sum(exp(x)), the sum along `dim`: positive numbers that sum to 1.

    >>> nn.Softmax(dim=-1)(ta.tensor([0.0, 0.0, -float("inf")])).tolist()
    [0.5, 0.5, 0.0]
    """

    function = staticmethod(F.softmax)
    options = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class LogSoftmax(Activation):
    """log(softmax(x)) along `dim`."""

    function = staticmethod(F.log_softmax)
    options = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim
