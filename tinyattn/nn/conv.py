"""Conv1d: one linear map, applied to every window of K time steps. The operation and its gradient
stand in ops/convolution.py; here are its parameters and the kinds of padding."""

import math

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.nn import init
from tinyattn.nn.functional import conv1d, pad
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.ops._arguments import as_size
from tinyattn.ops.convolution import same_padding

_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv1d(Module):
    """y[b, o, t] = bias[o] + sum_{c, k} weight[o, c, k] x[b, c, stride t + dilation k]: input
    (B, in_channels, T) -> (B, out_channels, T'), or both without B.

    padding: how many steps to add at both ends, "valid" for none, or "same" for T' = T (stride 1
    only). padding_mode: what stands there, "zeros", "reflect", "replicate" or "circular". groups:
    channels are cut into so many groups that do not see each other. weight has shape
    (out_channels, in_channels / groups, kernel_size); weight and bias start uniform in [-k, k]
    with k = 1 / sqrt(kernel_size in_channels / groups). Arguments that do not fit together raise
    ValueError.

    >>> nn.Conv1d(3, 8, kernel_size=5, padding="same")(ta.ones(2, 3, 10)).shape
    (2, 8, 10)
    """

    weight: Parameter
    bias: Parameter | None
    padding: str | tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: str | int | tuple[int] = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups: expected a positive divisor of in_channels {in_channels} and "
                f"out_channels {out_channels}, got {groups}"
            )
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode: expected one of {_MODES}, got {padding_mode!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = as_size((kernel_size,), "kernel_size")
        self.stride, self.dilation = as_size((stride,), "stride"), as_size((dilation,), "dilation")
        self.groups, self.padding_mode = groups, padding_mode
        strided = padding == "same" and self.stride != (1,)
        if isinstance(padding, str) and (padding not in ("valid", "same") or strided):
            raise ValueError(
                "padding: expected an int, 'valid' or, with stride 1, 'same', got "
                f"{padding!r} with stride {self.stride}"
            )
        self.padding = padding if isinstance(padding, str) else as_size((padding,), "padding")
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = unset(*shape, device=device, dtype=dtype)
        self.register_parameter(
            "bias", unset(out_channels, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros" and padding != "valid":
            if isinstance(padding, str):
                widths = same_padding(self.kernel_size[0], self.dilation[0])
            else:
                widths = (padding[0], padding[0])
            input, padding = pad(input, widths, self.padding_mode), (0,)
        return conv1d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0,) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1,) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        text += f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else ""
        return text


class LazyConv1d(Conv1d):
    """A Conv1d whose in_channels is that of the first input it gets, (B, in_channels, T) or without
    B. Then it draws weight and bias and is a Conv1d; before, weight has no elements.

    >>> layer = nn.LazyConv1d(8, kernel_size=5)
    >>> layer(ta.ones(2, 3, 10)).shape, layer
    ((2, 8, 6), Conv1d(3, 8, kernel_size=(5,), stride=(1,)))
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: str | int | tuple[int] = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        more = stride, padding, dilation, groups, bias, padding_mode, device, dtype
        super().__init__(0, out_channels, kernel_size, *more)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (2, 3) or input.shape[-2] % self.groups:
            raise ValueError(
                "input: expected (B, C, T) or (C, T), where groups divides C, got "
                f"{list(input.shape)} and groups {self.groups}"
            )
        self.in_channels = input.shape[-2]
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight.data = unset(*shape, dtype=self.weight.dtype).data
        self.__class__ = Conv1d  # type: ignore[assignment]
        self.reset_parameters()
        return self.forward(input)
