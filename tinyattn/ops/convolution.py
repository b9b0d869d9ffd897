"""Convolution over time and what stands around a sequence: conv1d and pad.

A convolution is a matrix product over windows of the sequence. Look at Conv1d first.
"""

import math
from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels import backend
from tinyattn.ops._arguments import as_size, as_tensor
from tinyattn.ops.indexing import IndexSelect


class Pad(Function):
    """y = x with v around it, or without its ends where a width is negative;   dx = the part of dy
    where x stands, 0 where x was cut."""

    fresh = True

    def forward(self, x: Any, widths: list[tuple[int, int]], value: float = 0) -> Any:
        self.shape = x.shape
        sized = list(zip(x.shape, widths, strict=True))
        self.kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in sized)
        self.place = tuple(slice(max(a, 0), n + a - max(b, 0) + b) for n, (a, b) in sized)
        y = np.full([a + n + b for n, (a, b) in sized], value, x.dtype)
        y[self.place] = x[self.kept]
        return y

    def backward(self, grad: Any) -> Any:
        return self.placed(self.shape, self.kept, grad[self.place])


class Conv1d(Function):
    """y[b, f, t] = c[f] + sum_(d, k) w[f, d, k] x[b, d, s t + r k]   with stride s, dilation r.

    With X[(d, k), (b, t)] = x[b, d, s t + r k], the windows, y = W X + c is a product, so
    dW = dy X^T,  dX = W^T dy,  dx[b, d, u] = the sum of dX[(d, k), (b, t)] over s t + r k = u,
    and dc = dy summed over b and t. Of several groups each has its own d and f.

    x (B, D, T), w (F, D / groups, K), c (F,), y (B, F, T').
    """

    fresh = True

    def forward(
        self, x: Any, weight: Any, bias: Any, stride: int, dilation: int, groups: int
    ) -> Any:
        self.matmul = backend().matmul if x.dtype.kind == "f" else np.matmul
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.save(x=x, weight=weight)
        windows, steps = self.windows(x, weight.shape[2])
        y = self.matmul(self.by_group(weight), windows)
        y = y.reshape(len(weight), len(x), steps).swapaxes(0, 1)
        return np.array(y, order="C") if bias is None else y + bias[:, None]

    def backward(self, grad: Any) -> Any:
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
            db = grad.sum(axis=(0, 2))
        return dx, dw, db

    def by_group(self, weight: Any) -> Any:
        """(groups, F / groups, D / groups * K)."""
        F, D, K = weight.shape
        return weight.reshape(self.groups, F // self.groups, D * K)

    def windows(self, x: Any, K: int) -> tuple[Any, int]:
        """(groups, D / groups * K, B * T'), and T'."""
        B, D, T = x.shape
        steps = (T - self.dilation * (K - 1) - 1) // self.stride + 1
        out = np.empty((D, K, B, steps), x.dtype)
        for k in range(K):
            out[:, k] = x[:, :, self.seen(k, steps)].swapaxes(0, 1)
        return out.reshape(self.groups, D // self.groups * K, B * steps), steps

    def seen(self, k: int, steps: int) -> slice:
        """The times that element k of the windows sees."""
        start = k * self.dilation
        return slice(start, start + (steps - 1) * self.stride + 1, self.stride)


# Where the elements around a sequence of n come from, for positions i < 0 and i >= n.
_SOURCES = {
    "reflect": lambda i, n: (n - 1) - np.abs((n - 1) - np.abs(i)),
    "replicate": lambda i, n: i.clip(0, n - 1),
    "circular": lambda i, n: i % n,
}


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """input with (before, after) elements added to its last dimension, then to the one before it,
    ...; negative widths cut. mode: constant (`value`, 0), or the last one, two or three dimensions
    of a (B, D, ...) or (D, ...) tensor by reflect, replicate or circular."""
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
            raise RuntimeError(f"pad: {pad} leaves a dimension of input {shape} a negative size")
    if mode == "constant":
        return Pad.apply(input, widths, value or 0)
    if mode not in _SOURCES or not 1 <= len(pairs) <= 3 or len(shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            f"pad: expected mode constant, or reflect, replicate or circular with 1 to 3 pairs and "
            f"1 or 2 dimensions more, got {mode!r} with {pad} for input {shape}"
        )
    if value:
        raise RuntimeError(f"pad: mode {mode!r} takes no value, got {value}")
    left = [n + a + b for n, (a, b) in zip(shape, widths, strict=True)][-len(pairs) :]
    if mode != "circular" and (0 in shape[-len(pairs) - 1 :] or not any(left)):
        raise RuntimeError(f"pad: {mode}: no elements in input {shape}, or left of it by {pad}")
    if mode == "circular" and min(pad) < 0:  # what is cut doesn't come round
        input = Pad.apply(input, [(min(a, 0), min(b, 0)) for a, b in widths])
        widths, shape = [(max(a, 0), max(b, 0)) for a, b in widths], list(input._array.shape)
    for axis, (n, (a, b)) in enumerate(zip(shape, widths, strict=True)):
        most = {"reflect": n - 1, "replicate": math.inf, "circular": n}[mode]
        if max(a, b) > most and (a, b) != (0, 0):
            raise RuntimeError(
                f"pad: {mode}: widths {(a, b)} of dimension {axis} are more than the {most} that "
                f"its size {n} allows"
            )
        if (a, b) != (0, 0):
            source = _SOURCES[mode](np.arange(-a, n + b), n)
            input = IndexSelect.apply(input, results.wrap(source), axis)
    return input


def _one(value: Any, name: str, least: int) -> int:
    """An int, or a tuple of one."""
    number = as_size((value,), name)
    if len(number) != 1 or number[0] < least:
        raise RuntimeError(f"conv1d: {name}: expected an int of at least {least}, got {value!r}")
    return number[0]


def same_padding(size: int, dilation: int) -> tuple[int, int]:
    """The widths before and after with which a convolution of that size keeps T."""
    total = dilation * (size - 1)
    return total // 2, total - total // 2


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """input (B, D, T) or (D, T), weight (F, D / groups, K), bias (F,) -> (B, F, T') or (F, T') with
    T' = (T + 2 padding - dilation (K - 1) - 1) // stride + 1. padding: zeros on both sides, "valid"
    (0) or "same" (T' = T)."""
    x, w = as_tensor(input, "input")._array, as_tensor(weight, "weight")._array
    stride, dilation = _one(stride, "stride", 1), _one(dilation, "dilation", 1)
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
        widths = (_one(padding, "padding", 0),) * 2
    span, padded = dilation * (w.shape[2] - 1) + 1, x.shape[-1] + sum(widths)
    if not 0 < span <= padded:
        raise RuntimeError(
            f"conv1d: the kernel of size {w.shape[2]} spans {span} with dilation {dilation}, the "
            f"padded input {padded}: kernel size can't be 0 or greater than the input"
        )
    if any(widths):
        input = pad(input, widths)
    batch = input if x.ndim == 3 else input.unsqueeze(0)
    y = Conv1d.apply(batch, weight, bias, stride, dilation, groups)
    return y if x.ndim == 3 else y.squeeze(0)
