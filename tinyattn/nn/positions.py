"""Where a step stands: attention sees a set of steps, so their order must be put into the numbers.

Sinusoids and learnt vectors are added to the input; rotary positions turn queries and keys, so that
their product depends on the distance between two steps. `start` is the number of steps before x.
"""

from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.nn import init
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import unset
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.shape import stack


def angles(start: int, T: int, D: int, base: float = 10000.0) -> np.ndarray:
    """a_ti = (start + t) base^(-2i / D) for t < T, i < D / 2: (T, D / 2) in float64."""
    if D % 2:
        raise ValueError(f"D: positions come in pairs of features, got D = {D}")
    return np.outer(np.arange(start, start + T), base ** (-np.arange(0, D, 2) / D))


def apply_rotary(
    x: Tensor, start: int = 0, base: float = 10000.0, interleaved: bool = True
) -> Tensor:
    """x (..., T, D) with each pair of features turned by angle a_ti: (a, b) -> (a cos - b sin,
    a sin + b cos). The pairs are (2i, 2i + 1), or (i, i + D / 2) if not interleaved.

    Rotations by s and t leave q_s . k_t a function of s - t; they keep lengths, and their gradient
    is turned back. (Su et al. 2021, arXiv:2104.09864)"""
    if as_tensor(x, "x").ndim < 2 or not x.is_floating_point():
        raise ValueError(f"x: expected floats (..., T, D), got {x.dtype} of {list(x.shape)}")
    *batch, T, D = x.shape
    turn = angles(start, T, D, base)
    cos, sin = (results.wrap(f(turn).astype(x.dtype)) for f in (np.cos, np.sin))
    split, axis = ((D // 2, 2), -1) if interleaved else ((2, D // 2), -2)
    a, b = x.reshape(*batch, T, *split).unbind(axis)
    return stack([a * cos - b * sin, a * sin + b * cos], axis).reshape(x.shape)


class RotaryPositions(Module):
    """`apply_rotary` as a module, for queries and keys (..., T, D) by heads."""

    def __init__(self, base: float = 10000.0, interleaved: bool = True) -> None:
        super().__init__()
        self.base, self.interleaved = base, interleaved

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        return apply_rotary(x, start, self.base, self.interleaved)

    def extra_repr(self) -> str:
        return f"base={self.base}, interleaved={self.interleaved}"


class SinusoidalPositions(Module):
    """x + p with p_t,2i = sin a_ti, p_t,2i+1 = cos a_ti: x (T, B, D), with batch_first (B, T, D),
    or (T, D). (Vaswani et al. 2017, arXiv:1706.03762)"""

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
    """x + weight[t], weight (max_len, d_model) learnt, at first normal of standard deviation 0.02;
    x as in SinusoidalPositions. (Gehring et al. 2017, arXiv:1705.03122)"""

    def __init__(
        self, max_len: int, d_model: int, batch_first: bool = False, dtype: Any = None
    ) -> None:
        super().__init__()
        self.max_len, self.d_model, self.batch_first = max_len, d_model, batch_first
        self.weight = unset(max_len, d_model, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        end = start + _steps(x, self.d_model, self.batch_first)
        if start < 0 or end > self.max_len:
            raise IndexError(
                f"x: steps {start} to {end} are not all among the max_len = {self.max_len} learnt"
            )
        return x + _along(self.weight[start:end], x, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.max_len}, {self.d_model}, batch_first={self.batch_first}"


def _steps(x: Tensor, D: int, batch_first: bool) -> int:
    """T of x, once its features are found to be D."""
    if x.ndim not in (2, 3) or x.shape[-1] != D:
        letters = "(B, T, D)" if batch_first else "(T, B, D)"
        raise RuntimeError(f"x: expected {letters} or (T, D) with D = {D}, got {list(x.shape)}")
    return x.shape[-2 if batch_first else 0]


def _along(table: Tensor, x: Tensor, batch_first: bool) -> Tensor:
    """A table (T, D) where it broadcasts over the batch of x."""
    return table if batch_first or x.ndim == 2 else table.unsqueeze(1)
