"""Which steps the windows of pooling have: `borders`, which all twins share."""

import functools
from typing import NamedTuple

import numpy as np

from tinyattn.kernels._types import Array


class Windows(NamedTuple):
    """`n` windows of T steps. Window t has the steps b, b + r, b + 2r, ... below e that are in
    [0, T), with r = dilation:

        b = stride t - padding,  e = b + r (size - 1) + 1    for windows of `size` steps
        b = floor(t T / n),  e = ceil((t + 1) T / n)  for size 0: they cover all steps
    """

    T: int
    n: int
    size: int = 0
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    divisor: int = 0  # of a mean; 0: the number of steps that the window has


@functools.lru_cache(64)
def borders(windows: Windows) -> tuple[Array, Array]:
    """Of each window its first step in [0, T), and the number behind its last one; a window
    without a step ends where it begins, or before."""
    T, n, size, stride, padding, r, _ = windows
    t = np.arange(n)
    if not size:
        return t * T // n, -(-(t + 1) * T // n)
    begin = t * stride - padding
    return np.where(begin < 0, begin % r, begin), np.minimum(begin + r * (size - 1) + 1, T)


@functools.lru_cache(256)
def check_windows(kernel: str, windows: Windows) -> None:
    """ValueError for windows that a twin could not compute with."""
    least = Windows(T=0, n=1, size=0, stride=1, padding=0, dilation=1, divisor=0)
    for name, value, low in zip(Windows._fields, windows, least, strict=True):
        if not low <= value < 2**31:
            raise ValueError(f"{kernel}: windows: {name} must be in [{low}, 2**31), got {value}")
    if "mean" in kernel and windows.dilation != 1:
        raise ValueError(f"{kernel}: windows: dilation must be 1, got {windows.dilation}")
