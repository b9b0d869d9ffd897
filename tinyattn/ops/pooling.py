"""Pooling over time: the largest number of every window, or its mean. Read MaxPool1d first: its
gradient goes to the places of the largest numbers."""

import math
from collections.abc import Sequence

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import reshaped
from tinyattn.kernels.windows import Windows
from tinyattn.ops._arguments import as_floats, as_one


def _rows(x: Array) -> Array:
    """x (..., T) as (N, T)."""
    return reshaped(x, (math.prod(x.shape[:-1]), x.shape[-1]))


class MaxPool1d(Function):
    """y[..., t] = the largest x[..., u] of all steps u of window t;   dx[..., u] = the sum of
    dy[..., t] over all t whose first largest element is at u. Padding counts as -inf."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, windows: Windows) -> Array:
        self.kernels, self.windows = backend(), windows
        self.save(x=x)
        return self.kernels.max_pool(_rows(x), windows).reshape(*x.shape[:-1], windows.n)

    def backward(self, grad: Array) -> Array:
        x = self.saved["x"]
        dx = self.kernels.max_pool_backward(_rows(grad), _rows(x), self.windows)
        return dx.reshape(x.shape)


class MeanPool1d(Function):
    """y[..., t] = (1 / n_t) the sum of x[..., u] over all steps u of window t;   dx[..., u] = the
    sum of dy[..., t] / n_t over all t that have the step u.

    n_t is how many steps the window has, or the same number for all windows."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, windows: Windows) -> Array:
        self.kernels, self.windows, self.shape = backend(), windows, x.shape
        return self.kernels.mean_pool(_rows(x), windows).reshape(*x.shape[:-1], windows.n)

    def backward(self, grad: Array) -> Array:
        return self.kernels.mean_pool_backward(_rows(grad), self.windows).reshape(self.shape)


def _window(
    function: str,
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
) -> Windows:
    """The windows, when they are found to fit the input. ceil_mode: the last one may end behind the
    last step, if it begins before."""
    shape = as_floats(input, "input", function)._array.shape
    size = as_one(kernel_size, f"{function}: kernel_size", 1)
    step = size if stride is None else as_one(stride, f"{function}: stride", 1)
    gap, pad = (
        as_one(dilation, f"{function}: dilation", 1),
        as_one(padding, f"{function}: padding", 0),
    )
    if len(shape) not in (2, 3):
        raise RuntimeError(f"{function}: input: expected (B, D, T) or (D, T), got {list(shape)}")
    if pad > size // 2:
        raise RuntimeError(
            f"{function}: padding: expected at most half of kernel_size {size}, got {pad}"
        )
    reach = gap * (size - 1) + 1
    T = shape[-1]
    n = (T + 2 * pad - reach + (step - 1 if ceil_mode else 0)) // step + 1
    if ceil_mode and (n - 1) * step >= T + pad:
        n -= 1
    if n < 1:
        raise RuntimeError(
            f"{function}: a window of {reach} steps does not fit in T = {T} with padding {pad}"
        )
    return Windows(T, n, size, step, pad, gap)


def max_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest number of every window of kernel_size time steps: (B, D, T) -> (B, D, T'), or
    both without B.

    stride: from one window to the next, by default kernel_size. padding: steps of -inf at both
    ends, at most half of kernel_size. dilation: from one step of a window to the next. ceil_mode:
    the steps that are left at the end make a shorter window.

    >>> F.max_pool1d(ta.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    windows = _window("max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode)
    return MaxPool1d.apply(input, windows)


def avg_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of every window of kernel_size time steps: (B, D, T) -> (B, D, T'), or both without
    B.

    stride: from one window to the next, by default kernel_size. padding: zeros at both ends, at
    most half of kernel_size; count_include_pad False: they are not counted in the mean. ceil_mode:
    the steps that are left at the end make a shorter window, of which the mean is that of its own
    steps. NotImplementedError for padding that counts together with ceil_mode.

    >>> F.avg_pool1d(ta.tensor([[1.0, 5.0, 2.0, 4.0]]), 2)
    tensor([[3., 3.]])
    """
    windows = _window("avg_pool1d", input, kernel_size, stride, padding, 1, ceil_mode)
    if ceil_mode and windows.padding and count_include_pad:
        raise NotImplementedError(
            "ceil_mode: expected False with padding, got True; pad the input yourself, or pass "
            "count_include_pad=False"
        )
    divisor = windows.size if count_include_pad and not ceil_mode else 0
    return MeanPool1d.apply(input, windows._replace(divisor=divisor))


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The largest numbers of output_size windows that together cover all time steps, the windows of
    `adaptive_avg_pool1d`: (B, D, T) -> (B, D, output_size), or both without B.

    >>> F.adaptive_max_pool1d(ta.tensor([[1.0, 5.0, 2.0]]), 1)
    tensor([[5.]])
    """
    return MaxPool1d.apply(input, _windows("adaptive_max_pool1d", input, output_size))


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The means of output_size windows that together cover all time steps: (B, D, T) -> (B, D,
    output_size), or both without B. Window i goes from floor(i T / output_size) to
    ceil((i + 1) T / output_size) - 1."""
    return MeanPool1d.apply(input, _windows("adaptive_avg_pool1d", input, output_size))


def _windows(function: str, input: Tensor, output_size: int | Sequence[int]) -> Windows:
    """As many windows as output_size says, which cover all steps."""
    shape = as_floats(input, "input", function)._array.shape
    n = as_one(output_size, f"{function}: output_size", 1)
    if len(shape) not in (2, 3) or not shape[-1]:
        raise RuntimeError(
            f"{function}: input: expected (B, D, T) or (D, T) with T > 0, got {list(shape)}"
        )
    return Windows(shape[-1], n)
