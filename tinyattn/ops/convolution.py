"""Convolution over time, and padding: conv1d and pad.

A convolution is a matrix product with windows of the sequence. Read Conv1d first.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Gradient
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.copies import write
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import as_one, as_tensor
from tinyattn.ops.indexing import IndexSelect


class Pad(Function):
    """y = x with v before and after it; where a width is negative, x without that end.

    dx = dy where x stands in y, and 0 where x was cut off.
    """

    def forward(self, x: Array, widths: list[tuple[int, int]], value: float = 0) -> Array:
        self.shape = x.shape
        sized = list(zip(x.shape, widths, strict=True))
        self.kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in sized)
        self.place = tuple(slice(max(a, 0), n + a - max(b, 0) + b) for n, (a, b) in sized)
        y = empty(tuple([a + n + b for n, (a, b) in sized]), x.dtype)
        write(y, x[self.kept], self.place)
        for axis, (n, part) in enumerate(zip(y.shape, self.place, strict=True)):
            if part.start > 0:
                write(y, value, (*self.place[:axis], slice(part.start)))
            if part.stop < n:
                write(y, value, (*self.place[:axis], slice(part.stop, n)))
        return y

    def backward(self, grad: Array) -> Gradient:
        dx = grad[self.place]
        return dx if dx.shape == self.shape else self.placed(self.shape, self.kept, dx)


class Conv1d(Function):
    """y[b, f, t] = c[f] + sum_(d, k) w[f, d, k] x[b, d, s t + r k]   with stride s and dilation r.

    With the windows X[(d, k), (b, t)] = x[b, d, s t + r k], this is the product y = W X + c. So
        dW = dy X^T,  dX = W^T dy,  dc = the sum of dy over b and t,
        dx[b, d, u] = the sum of dX[(d, k), (b, t)] over all k and t with s t + r k = u.
    With several groups, each group has its own d and f, and is such a product.

    x (B, D, T), w (F, D / groups, K), c (F,), y (B, F, T').
    """

    fresh = True
    unit_axis = 1

    def forward(
        self,
        x: Array,
        weight: Array,
        bias: Array | None,
        stride: int,
        dilation: int,
        groups: int,
    ) -> Array:
        self.matmul = backend().matmul if x.dtype.kind == "f" else np.matmul
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.save(x=x, weight=weight)
        windows, steps = self.windows(x, weight.shape[2])
        y = self.matmul(self.by_group(weight), windows)
        y = y.reshape(len(weight), len(x), steps).swapaxes(0, 1)
        return np.array(y, order="C") if bias is None else y + bias[:, None]

    def backward(self, grad: Array) -> tuple[Array | None, Array | None, Array | None]:
        x, weight = self.saved["x"], self.saved["weight"]
        (B, F, steps), K = grad.shape, weight.shape[2]
        g = grad.swapaxes(0, 1).reshape(self.groups, F // self.groups, B * steps)
        dx = dw = db = None
        if self.needs(0):
            dwindows = self.matmul(self.by_group(weight).swapaxes(1, 2), g)
            dwindows = dwindows.reshape(x.shape[1], K, B, steps)
            dx = np.zeros(x.shape, x.dtype)
            for k in range(K):
                dx[:, :, self.seen(k, steps)] += dwindows[:, k].swapaxes(0, 1)
        if self.needs(1):
            windows, _ = self.windows(x, K)
            dw = self.matmul(g, windows.swapaxes(1, 2)).reshape(weight.shape)
        if self.needs(2):
            db = sum_over(grad, (0, 2))
        return dx, dw, db

    def by_group(self, weight: Array) -> Array:
        """The matrix W of each group: (groups, F / groups, D / groups * K)."""
        F, D, K = weight.shape
        return weight.reshape(self.groups, F // self.groups, D * K)

    def windows(self, x: Array, K: int) -> tuple[Array, int]:
        """The windows X of each group, (groups, D / groups * K, B * T'), and T'."""
        B, D, T = x.shape
        steps = (T - self.dilation * (K - 1) - 1) // self.stride + 1
        out = np.empty((D, K, B, steps), x.dtype)
        for k in range(K):
            out[:, k] = x[:, :, self.seen(k, steps)].swapaxes(0, 1)
        return out.reshape(self.groups, D // self.groups * K, B * steps), steps

    def seen(self, k: int, steps: int) -> slice:
        """The steps of the sequence at which element k of the windows stands."""
        start = k * self.dilation
        return slice(start, start + (steps - 1) * self.stride + 1, self.stride)


# Which of the n elements stands at each position i, where i < 0 or i >= n.
_SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda i, n: (n - 1) - np.abs((n - 1) - np.abs(i)),
    "replicate": lambda i, n: i.clip(0, n - 1),
    "circular": lambda i, n: i % n,
}


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """input with elements added before and after, or cut off where a width is negative.

    pad: (before, after) of the last dimension, then of the dimension before it, and so on.
    mode: "constant" fills with value (0). "reflect", "replicate" and "circular" take the elements
    from input, for the last one, two or three dimensions of a tensor (B, D, ...) or (D, ...).

    Raises RuntimeError for widths that do not fit, NotImplementedError for another mode.

    >>> F.pad(ta.tensor([1, 2, 3]), (1, 2))
    tensor([0, 1, 2, 3, 0, 0])
    >>> F.pad(ta.tensor([[1, 2, 3]]), (2, 0), "reflect")
    tensor([[3, 2, 1, 2, 3]])
    """
    array = as_tensor(input, "input")._array
    shape, pad = list(array.shape), list(pad)
    pairs = list(zip(pad[::2], pad[1::2], strict=False))
    if len(pad) % 2 or len(pairs) > len(shape):
        raise RuntimeError(
            f"pad: expected pairs of widths for at most {len(shape)} dimensions of input {shape}, "
            f"got {pad}"
        )
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    for n, (a, b) in zip(shape, widths, strict=True):
        if n + a + b < 0 or n + min(a, 0) + min(b, 0) < 0:
            raise RuntimeError(f"pad: {pad} gives a dimension of input {shape} a negative size")
    if mode == "constant":
        return Pad.apply(input, widths, value or 0)
    if mode not in _SOURCES or not 1 <= len(pairs) <= 3 or len(shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            "pad: expected mode constant, or reflect, replicate or circular with 1 to 3 pairs of "
            "widths and an input of 1 or 2 more dimensions than pairs, got "
            f"{mode!r} with {pad} for input {shape}"
        )
    if value:
        raise RuntimeError(f"pad: mode {mode!r} takes no value, got {value}")
    left = [n + a + b for n, (a, b) in zip(shape, widths, strict=True)][-len(pairs) :]
    if mode != "circular" and (0 in shape[-len(pairs) - 1 :] or not any(left)):
        raise RuntimeError(f"pad: {mode}: no elements in input {shape}, or in the result of {pad}")
    if mode == "circular" and min(pad) < 0:  # what is cut off is not added on the other side
        input = Pad.apply(input, [(min(a, 0), min(b, 0)) for a, b in widths])
        widths, shape = [(max(a, 0), max(b, 0)) for a, b in widths], list(input._array.shape)
    for axis, (n, (a, b)) in enumerate(zip(shape, widths, strict=True)):
        most = {"reflect": n - 1, "replicate": math.inf, "circular": n}[mode]
        if max(a, b) > most and (a, b) != (0, 0):
            raise RuntimeError(
                f"pad: {mode}: expected widths of at most {most} for dimension {axis} of size {n}, "
                f"got {(a, b)}"
            )
        if (a, b) != (0, 0):
            source = _SOURCES[mode](np.arange(-a, n + b), n)
            input = IndexSelect.apply(input, results.wrap(source), axis)
    return input


def same_padding(size: int, dilation: int) -> tuple[int, int]:
    """The padding before and after with which a convolution of K = size keeps the length T."""
    total = dilation * (size - 1)
    return total // 2, total - total // 2


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution over time: the product of weight with every window of K steps of input.

    input (B, D, T) or (D, T), weight (F, D / groups, K), bias (F,) -> (B, F, T') or (F, T'), with
    T' = (T + 2 padding - dilation (K - 1) - 1) // stride + 1.

    stride: how far the window moves from one step of the result to the next.
    padding: so many zeros before and after the sequence, or "valid" (0), or "same" (T' = T).
    dilation: the distance of the elements of a window.
    groups: D and F are split into so many parts, each a convolution of its own.

    Raises RuntimeError where shapes, dtypes or sizes do not fit together.

    >>> F.conv1d(ta.tensor([[1.0, 2.0, 4.0]]), ta.tensor([[[1.0, -1.0]]]))
    tensor([[-1., -2.]])
    """
    x, w = as_tensor(input, "input")._array, as_tensor(weight, "weight")._array
    stride, dilation = as_one(stride, "conv1d: stride", 1), as_one(dilation, "conv1d: dilation", 1)
    if x.ndim not in (2, 3) or w.ndim != 3:
        raise RuntimeError(
            "conv1d: expected input (B, D, T) or (D, T) and weight (F, D / groups, K), got "
            f"{list(x.shape)} and {list(w.shape)}"
        )
    if groups < 1 or len(w) % groups or x.shape[-2] != w.shape[1] * groups:
        raise RuntimeError(
            f"conv1d: weight {list(w.shape)} with groups {groups} expects input of "
            f"{w.shape[1] * groups} channels and F a multiple of groups, got {list(x.shape)}"
        )
    for name, other in (("weight", weight), ("bias", bias)):
        dtype = x.dtype if other is None else as_tensor(other, name)._array.dtype
        if dtype != x.dtype or dtype.kind == "b":
            raise RuntimeError(
                f"conv1d: {name}: expected the dtype of input, {x.dtype}, and numbers, got {dtype}"
            )
    if bias is not None and bias._array.shape != w.shape[:1]:
        raise RuntimeError(
            f"conv1d: bias: expected (F,) = {list(w.shape[:1])}, got {list(bias._array.shape)}"
        )
    if isinstance(padding, str):
        if padding not in ("same", "valid") or (padding == "same" and stride != 1):
            raise RuntimeError(
                f"conv1d: padding: expected an int, 'valid' or, with stride 1, 'same', got "
                f"{padding!r} with stride {stride}"
            )
        widths = same_padding(w.shape[2], dilation) if padding == "same" else (0, 0)
    else:
        widths = (as_one(padding, "conv1d: padding", 0),) * 2
    span, padded = dilation * (w.shape[2] - 1) + 1, x.shape[-1] + sum(widths)
    if not 0 < span <= padded:
        raise RuntimeError(
            f"conv1d: a kernel of size {w.shape[2]} with dilation {dilation} covers {span} steps, "
            f"and the padded input has {padded}: kernel size can't be 0 or greater than the input"
        )
    if any(widths):
        input = pad(input, widths)
    batch = input if x.ndim == 3 else input.unsqueeze(0)
    y = Conv1d.apply(batch, weight, bias, stride, dilation, groups)
    return y if x.ndim == 3 else y.squeeze(0)
