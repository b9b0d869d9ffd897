"""Linear: y = x W^T + b. It is the simplest module with parameters, so read it first. LazyLinear
finds its width itself; Flatten, Unflatten and Identity have no parameters."""

import math
from typing import Any, TypeVar

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.nn import init
from tinyattn.nn.functional import linear
from tinyattn.nn.module import Module, OverloadedForward
from tinyattn.nn.parameter import Parameter, unset

Anything = TypeVar("Anything")


class Linear(Module):
    """y = x W^T + b: input (..., in_features) -> (..., out_features).

    weight (out_features, in_features) and bias (out_features,) start uniform in [-k, k] with
    k = 1 / sqrt(in_features). bias False: no b.

    >>> layer = nn.Linear(3, 2)
    >>> layer(ta.ones(5, 3)).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = unset(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter(
            "bias", unset(out_features, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(Linear):
    """A Linear whose in_features is the last size of the first input it gets. Then it draws weight
    and bias and is a Linear; before, weight has no elements.

    >>> layer = nn.LazyLinear(2)
    >>> layer(ta.ones(5, 3)).shape, layer
    ((5, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(0, out_features, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        self.in_features = input.shape[-1]
        self.weight.data = unset(self.out_features, self.in_features, dtype=self.weight.dtype).data
        self.__class__ = Linear  # type: ignore[assignment]
        self.reset_parameters()
        return self.forward(input)


class Flatten(Module):
    """Make the dimensions from start_dim to end_dim, both included, one.

    >>> nn.Flatten()(ta.ones(2, 3, 4)).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Make several dimensions of the dimension dim, of the sizes unflattened_size; one of them may
    be -1.

    >>> nn.Unflatten(1, (3, 4))(ta.ones(2, 12)).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size: expected a tuple of ints, got {type(unflattened_size).__name__}"
            )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(OverloadedForward):
    """Return the input as it is. All arguments are ignored, so that Identity can replace any other
    module.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Anything) -> Anything:
        return input
