"""Pooling over time: the largest number of every window of steps (kernels/windows.py), or its mean.

    max_pool    y_t = max_u x_u           dx_u = sum of dy_t over all t whose first largest is x_u
    mean_pool   y_t = sum_u x_u / n_t     dx_u = sum of dy_t / n_t over all t that have step u

A NaN is the largest. A window without a step gives -inf, and no gradient.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import total
from tinyattn.kernels.windows import Windows, borders


def steps(windows: Windows) -> list[slice]:
    """The steps of every window."""
    begin, end = borders(windows)
    pairs = zip(begin.tolist(), end.tolist(), strict=True)
    return [slice(b, max(b, e), windows.dilation) for b, e in pairs]


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    for t, window in enumerate(steps(windows)):
        out[:, t] = x[:, window].max(1, initial=-np.inf)


@np.errstate(all="ignore")
def max_pool_backward(grad: Array, x: Array, windows: Windows, out: Array) -> None:
    """grad (N, n), x (N, T) -> out (N, T)."""
    out[...] = 0
    for t, window in enumerate(steps(windows)):
        if x[:, window].size:
            at = window.start + window.step * x[:, window].argmax(1)
            out[np.arange(len(x)), at] += grad[:, t]


@np.errstate(all="ignore")
def mean_pool(x: Array, windows: Windows, out: Array) -> None:
    """x (N, T) -> out (N, n)."""
    for t, window in enumerate(steps(windows)):
        count = windows.divisor or window.stop - window.start
        s, lost = total(x[:, window, None])
        out[:, t] = ((s + lost) / count)[:, 0]


@np.errstate(all="ignore")
def mean_pool_backward(grad: Array, windows: Windows, out: Array) -> None:
    """grad (N, n) -> out (N, T)."""
    sums = np.zeros(out.shape)
    for t, window in enumerate(steps(windows)):
        count = windows.divisor or window.stop - window.start
        sums[:, window] += grad[:, t, None].astype(np.float64) / count
    out[...] = sums
