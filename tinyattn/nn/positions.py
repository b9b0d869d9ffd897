"""Positions: attention treats its input as a set, so the order of the steps must be added to it.

Sinusoids and learnt vectors are added to the input. Rotary positions rotate queries and keys, so
that their product depends on the distance between two steps. `start` is the position of the first
step of x: in decoding step by step, the number of steps before it.
"""

import numpy as np
from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.nn import init
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.shape import stack


def angles(start: int, T: int, D: int, base: float) -> Array:
    """Angles a_ti = (start + t) base^(-2i / D) for t < T and i < D / 2: (T, D / 2), float64."""
    if D % 2:
        raise ValueError(f"D: expected an even number of features, got D = {D}")
    return np.outer(np.arange(start, start + T), base ** (-np.arange(0, D, 2) / D))


def apply_rotary(
    x: Tensor, start: int = 0, base: float = 10000.0, interleaved: bool = True
) -> Tensor:
    """Rotate the i-th pair of features of step t by the angle a_ti = (start + t) base^(-2i / D):
    (a, b) becomes (a cos - b sin, a sin + b cos). x (..., T, D), D even; the result has its shape.

    interleaved: the i-th pair is (2i, 2i + 1); otherwise (i, i + D / 2). If q is rotated at step s
    and k at step t, their product depends on s - t only. The gradient is rotated back.
    (Su et al. 2021, arXiv:2104.09864)
    """
    if as_tensor(x, "x").ndim < 2 or not x.is_floating_point():
        raise ValueError(f"x: expected floats (..., T, D), got {x.dtype} of {list(x.shape)}")
    *batch, T, D = x.shape
    turn = angles(start, T, D, base)
    cos, sin = (results.wrap(f(turn).astype(x.dtype)) for f in (np.cos, np.sin))
    split, axis = ((D // 2, 2), -1) if interleaved else ((2, D // 2), -2)
    a, b = x.reshape(*batch, T, *split).unbind(axis)
    return stack([a * cos - b * sin, a * sin + b * cos], axis).reshape(x.shape)


class RotaryPositions(Module):
    """`apply_rotary` as a module, for the queries and the keys (..., T, D) of each head."""

    def __init__(self, base: float = 10000.0, interleaved: bool = True) -> None:
        super().__init__()
        self.base, self.interleaved = base, interleaved

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        return apply_rotary(x, start, self.base, self.interleaved)

    def extra_repr(self) -> str:
        return f"base={self.base}, interleaved={self.interleaved}"


class SinusoidalPositions(Module):
    """x + p with p[t, 2i] = sin(a_ti), p[t, 2i + 1] = cos(a_ti), a_ti = (start + t) base^(-2i / D):
    x (T, B, D), with batch_first (B, T, D), or (T, D), D = d_model. Other shapes: RuntimeError.
    (Vaswani et al. 2017, arXiv:1706.03762)

    >>> nn.SinusoidalPositions(4)(ta.zeros(2, 4))
    tensor([[0.    , 1.    , 0.    , 1.    ],
            [0.8415, 0.5403, 0.01  , 0.9999]])
    """

    def __init__(self, d_model: int, batch_first: bool = False, base: float = 10000.0) -> None:
        super().__init__()
        self.d_model, self.batch_first, self.base = d_model, batch_first, base

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        T = _steps(x, self.d_model, self.batch_first)
        turn = angles(start, T, self.d_model, self.base)
        table = np.stack([np.sin(turn), np.cos(turn)], -1).reshape(T, self.d_model)
        return x + _along(results.wrap(table.astype(x.dtype)), x, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.d_model}, batch_first={self.batch_first}, base={self.base}"


class LearnedPositions(Module):
    """x + weight[start + t] with a learnt weight (max_len, d_model); x as in SinusoidalPositions.

    weight starts normal with mean 0 and standard deviation 0.02. A position past max_len raises
    IndexError. (Gehring et al. 2017, arXiv:1705.03122)
    """

    weight: Parameter

    def __init__(
        self,
        max_len: int,
        d_model: int,
        batch_first: bool = False,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.max_len, self.d_model, self.batch_first = max_len, d_model, batch_first
        self.weight = unset(max_len, d_model, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight anew."""
        init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        end = start + _steps(x, self.d_model, self.batch_first)
        if start < 0 or end > self.max_len:
            raise IndexError(
                f"x: expected steps from 0 to max_len = {self.max_len}, got {start} to {end}"
            )
        return x + _along(self.weight[start:end], x, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.max_len}, {self.d_model}, batch_first={self.batch_first}"


def _steps(x: Tensor, D: int, batch_first: bool) -> int:
    """T of x; RuntimeError unless x is of two or three axes with D features."""
    if x.ndim not in (2, 3) or x.shape[-1] != D:
        letters = "(B, T, D)" if batch_first else "(T, B, D)"
        raise RuntimeError(f"x: expected {letters} or (T, D) with D = {D}, got {list(x.shape)}")
    return x.shape[-2 if batch_first else 0]


def _along(table: Tensor, x: Tensor, batch_first: bool) -> Tensor:
    """A table (T, D), viewed so that it broadcasts over the batch of x."""
    return table if batch_first or x.ndim == 2 else table.unsqueeze(1)
