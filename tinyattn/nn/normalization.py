"""LayerNorm: mean 0 and variance 1 over the last axes, then a learnt scale and shift.
RMSNorm: root mean square 1, then a learnt scale. BatchNorm1d: every feature over the batch.
"""

from collections.abc import Sequence

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.autograd.dtypes import float32
from tinyattn.nn import init
from tinyattn.nn.functional import batch_norm, layer_norm, rms_norm
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.ops.creation import ones, tensor, zeros


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


class BatchNorm1d(Module):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias; mean and variance (biased) of every
    feature over the batch, and over time where there is time. (B, D) or (B, D, T) to the same
    shape, with D = num_features.

    In train mode the mean and variance of the batch are used, and the buffers running_mean and
    running_var (of the unbiased variance) move towards them by the factor momentum; in eval mode
    the buffers are used. momentum None: the buffers are the averages over all batches so far.
    track_running_stats False: no buffers, the batch's own numbers in both modes. affine False: no
    weight and no bias; bias False: no bias. (Ioffe and Szegedy 2015, arXiv:1502.03167)

    >>> nn.BatchNorm1d(2)(ta.tensor([[1.0, 10.0], [3.0, 30.0]]))
    tensor([[-1., -1.],
            [ 1.,  1.]], grad_fn=<AddBackward>)
    """

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, present in (("weight", affine), ("bias", affine and bias)):
            made = unset(num_features, device=device, dtype=dtype) if present else None
            self.register_parameter(name, made)
        tracked = track_running_stats
        kind = dtype or float32
        self.register_buffer("running_mean", zeros(num_features, dtype=kind) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=kind) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set running_mean to zeros, running_var to ones and num_batches_tracked to 0."""
        if self.running_mean is not None:
            self.running_mean.zero_()
        if self.running_var is not None:
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weight to ones, bias to zeros, and the buffers to their start."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (2, 3) or input.shape[1] != self.num_features:
            raise (RuntimeError if input.dim() in (2, 3) else ValueError)(
                f"input: expected (B, D) or (B, D, T) with D = {self.num_features}, got "
                f"{list(input.shape)}"
            )
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if self.momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
