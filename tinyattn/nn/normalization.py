"""LayerNorm: mean 0 and variance 1 over the last axes, then a learnt scale and shift.
RMSNorm: root mean square 1, then a learnt scale.
"""

from collections.abc import Sequence

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.nn import init
from tinyattn.nn.functional import layer_norm, rms_norm
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset


class LayerNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias; mean and variance (biased: the sum
    divided by n) over the last axes, of shape normalized_shape. Input and output (...,
    *normalized_shape).

    weight starts as ones and bias as zeros; both have the shape normalized_shape.
    elementwise_affine False: neither of them. bias False: no bias. (Ba et al. 2016,
    arXiv:1607.06450)

    >>> nn.LayerNorm(2, elementwise_affine=False)(ta.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        affine = {"weight": elementwise_affine, "bias": elementwise_affine and bias}
        for name, present in affine.items():
            made = unset(*self.normalized_shape, device=device, dtype=dtype) if present else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to ones and bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """y = x / sqrt(mean of x^2 + eps) * weight, the mean over the last axes, of shape
    normalized_shape. Input and output (..., *normalized_shape).

    eps None: the machine epsilon of the input's dtype. weight starts as ones; elementwise_affine
    False: no weight. (Zhang and Sennrich 2019, arXiv:1910.07467)
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = (
            unset(*self.normalized_shape, device=device, dtype=dtype)
            if elementwise_affine
            else None
        )
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to ones."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
