"""Losses of each element beside its target: mse, l1, smooth_l1, huber, binary cross-entropy, KL.

The operations give one loss an element; `_reduced` sums or averages them. Look at Difference first.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import result_type
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.elementwise import sign_of
from tinyattn.ops.losses import REDUCTIONS


class Difference(Function):
    """l = f(d)  with  d = x - t;   dx = dl f'(d),  dt = -dx."""

    promotes = True
    fresh = True
    loss_and_slope: Callable[..., tuple[Any, Any]]

    def forward(self, x: Any, target: Any, **options: Any) -> Any:
        loss, slope = self.loss_and_slope(x - target, **options)
        self.save(slope=slope)
        return loss

    def backward(self, grad: Any) -> Any:
        slope = self.saved["slope"]
        dx = grad * slope
        return dx, -dx if self.needs(1) else None


class SquaredError(Difference):
    """f = d^2;   f' = 2 d."""

    loss_and_slope = staticmethod(lambda d: (d * d, 2 * d))


class AbsoluteError(Difference):
    """f = |d|;   f' = sign d, 0 at 0."""

    loss_and_slope = staticmethod(lambda d: (np.abs(d), sign_of(d)))


class Huber(Difference):
    """f = d^2 / 2 where |d| <= c, else c (|d| - c / 2):  f = b (d - b / 2) with b = d brought into
    [-c, c];   f' = b.   (Huber 1964)"""

    @staticmethod
    def loss_and_slope(d: Any, delta: float) -> tuple[Any, Any]:
        bounded = np.clip(d, -delta, delta)
        return bounded * (d - bounded / 2), bounded


class SmoothL1(Difference):
    """Huber's f / c:  d^2 / (2 c) where |d| <= c, else |d| - c / 2.   (Girshick 2015)"""

    @staticmethod
    def loss_and_slope(d: Any, beta: float) -> tuple[Any, Any]:
        slope = np.clip(d, -beta, beta) / beta
        return slope * (d - slope * (beta / 2)), slope


class BCEWithLogits(Function):
    """l = -p t log s - (1 - t) log(1 - s)  with  s = 1 / (1 + e^-x), p the weight of positives.

    -log s = log(1 + e^-x) =: m  and  -log(1 - s) = x + m, so with  w = 1 + (p - 1) t
    l = (1 - t) x + w m,   dx = dl (w s - p t),   dt = dl ((p - 1) m - x).
    """

    promotes = True
    fresh = True

    def forward(self, x: Any, target: Any, pos_weight: Any = None) -> Any:
        m = np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))
        w = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
        self.save(x=x, t=target, p=pos_weight, m=m, w=w)
        return (1 - target) * x + w * m

    def backward(self, grad: Any) -> Any:
        x, t, p, m, w = (
            self.saved["x"],
            self.saved["t"],
            self.saved["p"],
            self.saved["m"],
            self.saved["w"],
        )
        dx = dt = None
        if self.needs(0):
            dx = grad * (w / (1 + np.exp(-x)) - (t if p is None else p * t))
        if self.needs(1):
            dt = grad * (-x if p is None else (p - 1) * m - x)
        return dx, dt


class KLDiv(Function):
    """l = t (log t - x), 0 where t = 0;   dx = -dl t,  dt = dl (log t + 1 - x)."""

    promotes = True
    fresh = True

    def forward(self, x: Any, target: Any) -> Any:
        self.save(x=x, t=target)
        return np.where(target == 0, 0, target * np.log(target)) - target * x

    def backward(self, grad: Any) -> Any:
        x, t = self.saved["x"], self.saved["t"]
        dt = grad * (np.log(t) + 1 - x) if self.needs(1) else None
        return -grad * t if self.needs(0) else None, dt


class KLDivLog(Function):
    """l = e^t (t - x), the target a logarithm;   dx = -dl e^t,  dt = dl (l + e^t)."""

    promotes = True
    fresh = True

    def forward(self, x: Any, target: Any) -> Any:
        p = np.exp(target)
        loss = p * (target - x)
        self.save(p=p, loss=loss)
        return loss

    def backward(self, grad: Any) -> Any:
        p, loss = self.saved["p"], self.saved["loss"]
        return -grad * p, grad * (loss + p) if self.needs(1) else None


def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(input - target)^2; with weight the mean is weighted by it."""
    return _difference("mse_loss", SquaredError, input, target, reduction, weight)


def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|input - target|; with weight the mean is weighted by it."""
    return _difference("l1_loss", AbsoluteError, input, target, reduction, weight)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """(input - target)^2 / (2 beta) where |input - target| < beta, else its absolute value minus
    beta/2."""
    if beta < 0:
        raise RuntimeError(f"beta: expected a number that is not negative, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return _difference("smooth_l1_loss", SmoothL1, input, target, reduction, beta=beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2 / 2 where |input - target| < delta, else delta (|input - target| -
    delta/2); times weight."""
    if delta <= 0:
        raise RuntimeError(f"delta: expected a positive number, got {delta}")
    if weight is None:
        return _difference("huber_loss", Huber, input, target, reduction, delta=delta)
    losses = _difference("huber_loss", Huber, input, target, "none", delta=delta)
    return _reduced(losses * _same_size(weight, input), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-pos_weight target log(s) - (1 - target) log(1 - s), times weight, with s = sigmoid(input).

    weight and pos_weight broadcast to the shape of input; they get no gradients.
    """
    name = "binary_cross_entropy_with_logits"
    shape = _floats(name, input, target)
    if target._array.shape != shape:
        raise ValueError(
            f"{name}: target: expected the shape of input {list(shape)}, "
            f"got {list(target._array.shape)}"
        )
    for argument, value in (("weight", weight), ("pos_weight", pos_weight)):
        if value is None:
            continue
        given = as_tensor(value, argument)._array.shape
        check_broadcast(shape, given)
        if np.broadcast_shapes(shape, given) != shape:
            raise RuntimeError(
                f"{argument}: expected a shape that broadcasts to that of input {list(shape)}, "
                f"got {list(given)}"
            )
        if value._edge is not None:
            raise RuntimeError(f"{argument}: {name} has no gradient for it; use detach()")
    positive = None if pos_weight is None else pos_weight._array
    losses = BCEWithLogits.apply(input, target, pos_weight=positive)
    return _reduced(losses if weight is None else losses * weight, reduction)


def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """target (log target - input), input log-probabilities; target probabilities or, with
    log_target, log-probabilities. The divergence of (B, ...) is the reduction "batchmean"."""
    _floats("kl_div", input, target)
    losses = (KLDivLog if log_target else KLDiv).apply(input, target)
    if reduction != "batchmean":
        return _reduced(losses, reduction)
    total, shape = losses.sum(), input._array.shape
    return total / shape[0] if shape else total


def _difference(
    name: str,
    operation: type[Difference],
    input: Any,
    target: Any,
    reduction: str,
    weight: Any = None,
    **options: float,
) -> Any:
    x, t = as_tensor(input, "input")._array, as_tensor(target, "target")._array
    kinds = "fi" if operation is AbsoluteError else "f"
    if result_type(x, t).kind not in kinds:
        raise RuntimeError(f"{name}: expected float32 or float64, got {x.dtype} and {t.dtype}")
    if x.shape != t.shape:
        warnings.warn(
            f"{name}: Using a target size ({list(t.shape)}) that is different to the input size "
            f"({list(x.shape)}): they are broadcast, which is hardly ever what is meant",
            stacklevel=3,
        )
    losses = operation.apply(input, target, **options)
    if weight is None:
        return _reduced(losses, reduction)
    losses = losses * _same_size(weight, input)
    return losses.sum() / weight.sum() if reduction == "mean" else _reduced(losses, reduction)


def _same_size(weight: Any, input: Any) -> Any:
    if as_tensor(weight, "weight")._array.shape != input._array.shape:
        raise ValueError(
            f"weight: expected the shape of input {list(input._array.shape)}, "
            f"got {list(weight._array.shape)}"
        )
    return weight


def _floats(name: str, input: Any, target: Any) -> tuple[int, ...]:
    for argument, value in (("input", input), ("target", target)):
        dtype = as_tensor(value, argument)._array.dtype
        if dtype.kind != "f":
            raise RuntimeError(f"{name}: {argument}: expected float32 or float64, got {dtype}")
    return input._array.shape


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: {reduction!r} is not a valid value, expected {REDUCTIONS}")
    return losses if reduction == "none" else getattr(losses, reduction)()
