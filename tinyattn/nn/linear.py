"""Linear: y = x W^T + b. Identity: y = x."""

import math
from typing import Any

from tinyattn._tensor import Tensor
from tinyattn.nn import init
from tinyattn.nn.functional import linear
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import unset


class Linear(Module):
    """(..., in_features) -> (..., out_features); weight (out_features, in_features)."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = unset(out_features, in_features, dtype=dtype)
        self.register_parameter("bias", unset(out_features, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
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


class Identity(Module):
    """What comes in goes out. Arguments are accepted, so that it can stand in for any module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
