"""Losses that compare each element with its target: squared and absolute error, Huber, binary
cross-entropy, KL divergence.

Each operation computes one loss for each element and sums or averages them, which saves the
gradients of the single losses. Look at PerElement and Difference first. size_average and reduce are
older names of the reductions.
"""

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from tinyattn.autograd.dtypes import result_type
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor
from tinyattn.compat.deprecated import reduction_of
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.contract import common_shape
from tinyattn.kernels.recording import check
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import as_floats, as_tensor
from tinyattn.ops.elementwise import clamp, exact, where
from tinyattn.ops.losses import REDUCTIONS
from tinyattn.ops.normalising import cosine_similarity


class PerElement(Function):
    """One loss l_i for each element; y = l, y = sum_i l_i or y = (1/n) sum_i l_i.   dl_i = dy_i, dy
    or dy / n, which is one number for all of them."""

    promotes = True
    fresh = True
    terms = 1

    def of(self, kernel: str, x: Array, target: Array, reduction: str, p: float = 0.0) -> Array:
        """The losses that an elementwise kernel gives, reduced."""
        self.kernels = backend()
        self.shape = common_shape(x.shape, target.shape)
        if reduction == "none":
            return self.kernels.elementwise(kernel, (x, target), p)
        self.terms = self.divisor(x, reduction)
        return self.kernels.elementwise_sum(kernel, (x, target), p, self.terms)

    def reduced(self, losses: Array, x: Array, reduction: str) -> Array:
        """The same of losses that are known."""
        self.shape = losses.shape
        if reduction == "none":
            return losses
        self.terms = self.divisor(x, reduction)
        return sum_over(losses, tuple(range(losses.ndim)), False, self.terms)

    def divisor(self, x: Array, reduction: str) -> int:
        """What the sum is divided by."""
        if reduction == "mean":
            return math.prod(self.shape)
        return len(x) if reduction == "batchmean" and x.ndim else 1

    def of_each(self, grad: Array) -> Array:
        """dl, or the one number for all."""
        if self.terms == 1:
            return np.asarray(grad)
        return np.asarray(exact(np.true_divide, grad, float(self.terms)))

    def whole(self, dx: Array) -> Array:
        """dx in the shape of the losses, where it does not depend on x."""
        return dx if dx.shape == self.shape else np.broadcast_to(dx, self.shape).copy()


class Difference(PerElement):
    """l = f(d)  with  d = x - t;   dx = dl f'(d),  dt = -dx."""

    kernels_only = True
    kernel: ClassVar[str]  # elementwise, on x and t; p is a number that f depends on

    def forward(self, x: Array, target: Array, p: float = 0.0, reduction: str = "none") -> Array:
        self.p = p
        self.save(x=x, t=target)
        if x.dtype.kind != "f":
            return self.of_integers(x - target)
        return self.of(self.kernel, x, target, reduction, p)

    def backward(self, grad: Array) -> tuple[Array, Array | None]:
        inputs = self.of_each(grad), self.saved["x"], self.saved["t"]
        dx = self.kernels.elementwise(f"{self.kernel}_backward", inputs, self.p)
        return dx, self.kernels.elementwise("neg", (dx,)) if self.needs(1) else None

    def of_integers(self, difference: Array) -> Array:
        """f of integers, for the operation that has it."""
        raise TypeError(f"{type(self).__name__}: expected floats, got {difference.dtype}")


class SquaredError(Difference):
    """f = d^2;   f' = 2 d."""

    kernel = "squared_error"


class AbsoluteError(Difference):
    """f = |d|;   f' = sign d, 0 at 0."""

    kernel = "absolute_error"

    def of_integers(self, difference: Array) -> Array:
        return np.abs(difference)


class Huber(Difference):
    """f = d^2 / 2 where |d| <= p, else p (|d| - p / 2).  With b = d brought into [-p, p],
    f = b (d - b / 2)  and  f' = b.   (Huber 1964)"""

    kernel = "huber"


class SmoothL1(Difference):
    """Huber's f / p:  d^2 / (2 p) where |d| <= p, else |d| - p / 2.
    (Girshick 2015, arXiv:1504.08083)"""

    kernel = "smooth_l1"


class BCEWithLogits(PerElement):
    """l = -p t log s - (1 - t) log(1 - s)  with  s = 1 / (1 + e^-x), p the weight of positives.

    -log s = log(1 + e^-x) =: m  and  -log(1 - s) = x + m, so with  w = 1 + (p - 1) t
    l = (1 - t) x + w m,   dx = dl (w s - p t),   dt = dl ((p - 1) m - x).
    """

    def forward(
        self,
        x: Array,
        target: Array,
        pos_weight: Array | None = None,
        reduction: str = "none",
    ) -> Array:
        self.save(x=x, t=target, p=pos_weight)
        if pos_weight is None:
            return self.of("binary_cross_entropy", x, target, reduction)
        self.kernels = backend()
        m = -self.kernels.elementwise("logsigmoid", (x,))
        losses = (1 - target) * x + (1 + (pos_weight - 1) * target) * m
        return self.reduced(losses, x, reduction)

    def backward(self, grad: Array) -> tuple[Array | None, Array | None]:
        x, t, p = self.saved["x"], self.saved["t"], self.saved["p"]
        elementwise, grad = self.kernels.elementwise, self.of_each(grad)
        dx = dt = None
        if self.needs(0):
            dx = (
                elementwise("binary_cross_entropy_backward", (grad, x, t))
                if p is None
                else grad * ((1 + (p - 1) * t) * elementwise("sigmoid", (x,)) - p * t)
            )
        if self.needs(1):
            log_s = elementwise("logsigmoid", (x,)) if p is not None else None
            dt = grad * (-x if log_s is None else (1 - p) * log_s - x)
        return dx, dt


class BinaryCrossEntropy(PerElement):
    """l = -t log p - (1 - t) log(1 - p), with logarithms below -100 counted as -100.

    dp = dl (p - t) / (p (1 - p)),   dt = dl (log(1 - p) - log p);   the divisor is at least 1e-12,
    as in PyTorch.
    """

    def forward(self, p: Array, target: Array, reduction: str = "none") -> Array:
        self.save(p=p, t=target)
        return self.of("probability_cross_entropy", p, target, reduction)

    def backward(self, grad: Array) -> tuple[Array, Array | None]:
        p, t, grad = self.saved["p"], self.saved["t"], self.of_each(grad)
        dp = self.kernels.elementwise("probability_cross_entropy_backward", (grad, p, t))
        return dp, grad * (np.log1p(-p) - np.log(p)) if self.needs(1) else None


class KLDiv(PerElement):
    """l = t (log t - x), 0 where t = 0;   dx = -dl t,  dt = dl (log t + 1 - x)."""

    def forward(self, x: Array, target: Array, reduction: str = "none") -> Array:
        self.save(x=x, t=target)
        return self.of("kl_div", x, target, reduction)

    def backward(self, grad: Array) -> tuple[Array | None, Array | None]:
        x, t, grad = self.saved["x"], self.saved["t"], self.of_each(grad)
        dt = grad * (np.log(t) + 1 - x) if self.needs(1) else None
        if not self.needs(0):
            return None, dt
        dx = self.kernels.elementwise("kl_div_backward", (grad, t))
        return self.whole(dx), dt


class KLDivLog(PerElement):
    """l = e^t (t - x), the target a logarithm;   dx = -dl e^t,  dt = dl (l + e^t)."""

    def forward(self, x: Array, target: Array, reduction: str = "none") -> Array:
        p = np.exp(target)
        loss = p * (target - x)
        self.save(p=p, loss=loss)
        return self.reduced(loss, x, reduction)

    def backward(self, grad: Array) -> tuple[Array | None, Array | None]:
        p, loss, grad = self.saved["p"], self.saved["loss"], self.of_each(grad)
        dx = self.whole(-grad * p)
        return dx, grad * (loss + p) if self.needs(1) else None


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared error (input - target)^2 of each element, times weight.

    reduction: "mean" (weighted by weight), "sum" or "none" (one loss for each element).

    >>> F.mse_loss(ta.tensor([1.0, 2.0]), ta.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _difference("mse_loss", SquaredError, input, target, reduction, weight)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute error |input - target| of each element, times weight.

    reduction: "mean" (weighted by weight), "sum" or "none" (one loss for each element).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _difference("l1_loss", AbsoluteError, input, target, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """(input - target)^2 / (2 beta) where |input - target| < beta, else |input - target| - beta/2.

    reduction: "mean", "sum" or "none" (one loss for each element).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"beta: expected a number that is not negative, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return _difference("smooth_l1_loss", SmoothL1, input, target, reduction, p=beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2 / 2 where |input - target| < delta, else delta (|input - target| -
    delta/2); times weight.

    reduction: "mean", "sum" or "none" (one loss for each element).
    """
    if delta <= 0:
        raise RuntimeError(f"delta: expected a positive number, got {delta}")
    if weight is None:
        return _difference("huber_loss", Huber, input, target, reduction, p=delta)
    losses = _difference("huber_loss", Huber, input, target, "none", p=delta)
    return _reduced(losses * _same_size(weight, input), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-pos_weight target log(s) - (1 - target) log(1 - s), times weight, with s = sigmoid(input).

    input: the score (logit) of each element; target: the probability of each element, in the same
    shape. weight and pos_weight broadcast to that shape and get no gradients.
    reduction: "mean", "sum" or "none" (one loss for each element).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    name = "binary_cross_entropy_with_logits"
    shape = as_floats(input, "input", name)._array.shape
    as_floats(target, "target", name)
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
    return _weighted(BCEWithLogits, input, target, reduction, weight, pos_weight=positive)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-target log(input) - (1 - target) log(1 - input), times weight, of probabilities.

    input, target: in one shape, input between 0 and 1. Of logits,
    `binary_cross_entropy_with_logits` is more exact. weight broadcasts to that shape.
    reduction: "mean", "sum" or "none" (one loss for each element).

    RuntimeError for an input outside [0, 1], ValueError for shapes that differ.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    name = "binary_cross_entropy"
    array = as_floats(input, "input", name)._array
    as_floats(target, "target", name)
    if target._array.shape != array.shape:
        raise ValueError(
            f"{name}: target: expected the shape of input {list(array.shape)}, "
            f"got {list(target._array.shape)}"
        )
    check(_probabilities, array)
    return _weighted(BinaryCrossEntropy, input, target, reduction, weight)


def _probabilities(array: Array) -> None:
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError("binary_cross_entropy: input: expected probabilities between 0 and 1")


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence: target (log target - input), element by element.

    input: log-probabilities; target: probabilities, or log-probabilities if log_target is True.
    reduction: "batchmean" (the sum divided by B, the divergence of distributions (B, ...)), "mean",
    "sum" or "none" (one loss for each element).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. "
            "'batchmean' divides only by the batch size, and aligns with the KL divergence.",
            stacklevel=2,
        )
    as_floats(input, "input", "kl_div")
    as_floats(target, "target", "kl_div")
    operation = KLDivLog if log_target else KLDiv
    if reduction != "batchmean":
        _check_reduction(reduction)
    return operation.apply(input, target, reduction=reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1: cos is the cosine similarity
    of a row of input1 and one of input2, (B, D) or (D,).

    target (B,) or (): 1 for rows that should point the same way, -1 for others. reduction: "mean",
    "sum" or "none" (one loss for each row).

    RuntimeError for other shapes.

    >>> x, y = ta.tensor([[1.0, 0.0], [1.0, 0.0]]), ta.tensor([[3.0, 4.0], [3.0, 4.0]])
    >>> F.cosine_embedding_loss(x, y, ta.tensor([1, -1]), reduction="none")
    tensor([0.4, 0.6])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _check_reduction(reduction)
    x, y = as_floats(input1, "input1", "cosine_embedding_loss"), as_tensor(input2, "input2")
    shapes = [list(t._array.shape) for t in (x, y, as_tensor(target, "target"))]
    if len(shapes[0]) not in (1, 2) or not shapes[0][:-1] == shapes[1][:-1] == shapes[2]:
        raise RuntimeError(
            "cosine_embedding_loss: expected input1 and input2 (B, D) and target (B,), or (D,) and "
            f"(), got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    cosine = cosine_similarity(x, y, dim=-1)
    apart = where(target == -1, clamp(cosine - margin, min=0.0), 0.0)
    loss = where(target == 1, 1 - cosine, apart)
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()


def _difference(
    name: str,
    operation: type[Difference],
    input: Tensor,
    target: Tensor,
    reduction: str,
    weight: Tensor | None = None,
    p: float = 0.0,
) -> Tensor:
    x, t = as_tensor(input, "input")._array, as_tensor(target, "target")._array
    kinds = "fi" if operation is AbsoluteError else "f"
    if (x.dtype if x.dtype is t.dtype else result_type(x, t)).kind not in kinds:
        raise RuntimeError(f"{name}: expected float32 or float64, got {x.dtype} and {t.dtype}")
    if x.shape != t.shape:
        warnings.warn(
            f"{name}: Using a target size ({list(t.shape)}) that is different to the input size "
            f"({list(x.shape)}): they are broadcast, which is rarely what is meant",
            stacklevel=3,
        )
    if weight is None and (x.dtype.kind == "f" or t.dtype.kind == "f"):
        return _weighted(operation, input, target, reduction, p=p)
    losses = operation.apply(input, target, p=p)
    if weight is None:
        return _reduced(losses, reduction)
    losses = losses * _same_size(weight, input)
    return losses.sum() / weight.sum() if reduction == "mean" else _reduced(losses, reduction)


def _weighted(
    operation: type[PerElement],
    input: Tensor,
    target: Tensor,
    reduction: str,
    weight: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """The losses, times weight, reduced."""
    if weight is not None:
        return _reduced(operation.apply(input, target, **options) * weight, reduction)
    _check_reduction(reduction)
    return operation.apply(input, target, **options, reduction=reduction)


def _same_size(weight: Tensor, input: Tensor) -> Tensor:
    if as_tensor(weight, "weight")._array.shape != input._array.shape:
        raise ValueError(
            f"weight: expected the shape of input {list(input._array.shape)}, "
            f"got {list(weight._array.shape)}"
        )
    return weight


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: {reduction!r} is not a valid value, expected {REDUCTIONS}")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    _check_reduction(reduction)
    return losses if reduction == "none" else getattr(losses, reduction)()
