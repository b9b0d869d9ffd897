"""Pooling over time as modules; the functions are in ops/pooling.py."""

from tinyattn._tensor import Tensor
from tinyattn.nn import functional as F
from tinyattn.nn.module import Module
from tinyattn.ops._arguments import as_size


class MaxPool1d(Module):
    """The largest number of every window of kernel_size time steps: (B, D, T) -> (B, D, T').

    stride is kernel_size unless given; padding adds -inf at both ends; dilation is the distance of
    the steps in a window. ceil_mode: the steps that are left at the end make a shorter window.
    ValueError for return_indices=True.

    >>> nn.MaxPool1d(2)(ta.ones(2, 3, 10)).shape
    (2, 3, 5)
    """

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
        dilation: int | tuple[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise ValueError("return_indices: expected False; unfold and max give the indices")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        options = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        return F.max_pool1d(input, *options)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AdaptiveAvgPool1d(Module):
    """The means of output_size windows that cover all time steps: (B, D, T) -> (B, D,
    output_size)."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AvgPool1d(Module):
    """The mean of every window of kernel_size time steps: (B, D, T) -> (B, D, T').

    stride is kernel_size unless given; padding adds zeros at both ends, which are counted unless
    count_include_pad is False. ceil_mode: the steps left at the end make a shorter window.

    >>> nn.AvgPool1d(2)(ta.ones(2, 3, 10)).shape
    (2, 3, 5)
    """

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = as_size((kernel_size,), "kernel_size")
        self.stride = self.kernel_size if stride is None else as_size((stride,), "stride")
        self.padding, self.ceil_mode = as_size((padding,), "padding"), ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        how = self.padding, self.ceil_mode, self.count_include_pad
        return F.avg_pool1d(input, self.kernel_size, self.stride, *how)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveMaxPool1d(Module):
    """The largest numbers of output_size windows that cover all time steps: (B, D, T) -> (B, D,
    output_size)."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_max_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
