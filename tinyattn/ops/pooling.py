"""Pooling over time: the largest number of every window, or its mean. Read MaxPool1d first: its
gradient goes to the places of the largest numbers."""

from collections.abc import Sequence

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_floats, as_int, as_size
from tinyattn.ops.convolution import pad
from tinyattn.ops.shape import narrow, stack


class MaxPool1d(Function):
    """y[..., t] = max_k x[..., s t + r k]   with stride s and dilation r;   dx[..., u] = the sum of
    dy[..., t] over all t whose first largest element is at u. Padding counts as -inf."""

    fresh = True

    def forward(self, x: Array, size: int, stride: int, padding: int, dilation: int) -> Array:
        self.shape, self.padding = x.shape, padding
        widths = [(0, 0)] * (x.ndim - 1) + [(padding, padding)]
        padded = np.pad(x, widths, constant_values=-np.inf)
        reach = dilation * (size - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=-1)
        windows = windows[..., ::stride, ::dilation]
        best = windows.argmax(-1)
        starts = stride * np.arange(best.shape[-1])
        self.save(place=starts + dilation * best)
        return np.take_along_axis(windows, best[..., None], -1)[..., 0]

    def backward(self, grad: Array) -> Array:
        place = self.saved["place"]
        T = self.shape[-1]
        rows = np.zeros((int(np.prod(self.shape[:-1])), T + 2 * self.padding), grad.dtype)
        at = np.arange(len(rows))[:, None], place.reshape(len(rows), -1)
        np.add.at(rows, at, grad.reshape(len(rows), -1))
        return rows[:, self.padding : self.padding + T].reshape(self.shape)


def _window(
    function: str,
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
) -> tuple[int, int, int, int]:
    """Size, stride, padding and dilation of the windows, when they are found to fit the input."""
    shape = as_floats(input, "input", function)._array.shape
    size, step, pad, gap = (
        as_int(as_size((value,), name)[0], name)
        for name, value in (
            ("kernel_size", kernel_size),
            ("stride", kernel_size if stride is None else stride),
            ("padding", padding),
            ("dilation", dilation),
        )
    )
    if len(shape) not in (2, 3):
        raise RuntimeError(f"{function}: input: expected (B, D, T) or (D, T), got {list(shape)}")
    if min(size, step, gap) < 1 or not 0 <= pad <= size // 2:
        raise RuntimeError(
            f"{function}: expected positive kernel_size, stride and dilation, and a padding of at "
            f"most half of kernel_size, got {size}, {step}, {gap} and {pad}"
        )
    reach = gap * (size - 1) + 1
    if shape[-1] + 2 * pad < reach:
        raise RuntimeError(
            f"{function}: a window of {reach} steps does not fit in T = {shape[-1]} with padding "
            f"{pad}"
        )
    return size, step, pad, gap


def max_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The largest number of every window of kernel_size time steps: (B, D, T) -> (B, D, T'), or
    both without B.

    stride: from one window to the next, by default kernel_size. padding: steps of -inf at both
    ends, at most half of kernel_size. dilation: from one step of a window to the next.

    >>> F.max_pool1d(ta.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    size, step, pad, gap = _window("max_pool1d", input, kernel_size, stride, padding, dilation)
    return MaxPool1d.apply(input, size, step, pad, gap)


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
    most half of kernel_size; count_include_pad False: they are not counted in the mean. ceil_mode
    must be False.

    >>> F.avg_pool1d(ta.tensor([[1.0, 5.0, 2.0, 4.0]]), 2)
    tensor([[3., 3.]])
    """
    if ceil_mode:
        raise NotImplementedError("ceil_mode: expected False, got True")
    size, step, margin, _ = _window("avg_pool1d", input, kernel_size, stride, padding, 1)
    T = input._array.shape[-1]
    x = pad(input, (margin, margin))
    count = (x._array.shape[-1] - size) // step + 1
    place = np.arange(count)[:, None] * step + np.arange(size)
    total = x[..., results.wrap(place)].sum(-1)
    there = (place >= margin) & (place < T + margin)
    divisor = size if count_include_pad else results.wrap(there.sum(-1).astype(x._array.dtype))
    return total / divisor


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The largest numbers of output_size windows that together cover all time steps, the windows of
    `adaptive_avg_pool1d`: (B, D, T) -> (B, D, output_size), or both without B.

    >>> F.adaptive_max_pool1d(ta.tensor([[1.0, 5.0, 2.0]]), 1)
    tensor([[5.]])
    """
    ends = _windows("adaptive_max_pool1d", input, output_size)
    return stack([narrow(input, -1, a, b - a).max(-1).values for a, b in ends], -1)


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The means of output_size windows that together cover all time steps: (B, D, T) -> (B, D,
    output_size), or both without B. Window i goes from floor(i T / output_size) to
    ceil((i + 1) T / output_size) - 1."""
    ends = _windows("adaptive_avg_pool1d", input, output_size)
    return stack([narrow(input, -1, a, b - a).mean(-1) for a, b in ends], -1)


def _windows(
    function: str, input: Tensor, output_size: int | Sequence[int]
) -> list[tuple[int, int]]:
    """Where each of output_size windows begins, and the step behind its end."""
    shape = as_floats(input, "input", function)._array.shape
    n = as_size((output_size,), "output_size")[0]
    if len(shape) not in (2, 3) or not shape[-1] or n < 1:
        raise RuntimeError(
            f"{function}: expected input (B, D, T) or (D, T) and a positive output_size, "
            f"got {list(shape)} and {n}"
        )
    T = shape[-1]
    return [(i * T // n, -(-(i + 1) * T // n)) for i in range(n)]
