"""Losses of classes: cross-entropy (fused with its gradient) and negative log-likelihood.

Letters: N rows, V classes. Look at CrossEntropy first.
"""

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.compat.deprecated import reduction_of
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.normalising import log_softmax

REDUCTIONS = ("none", "mean", "sum")


class CrossEntropy(Function):
    """l_n = -w_t log p_nt  with  p = softmax(x_n), t the target of row n;  mean: sum l / sum w_t.

    dlog p_t/dx_j = 1[j=t] - p_j, so  dl_n/dx_nj = w_t (p_nj - 1[j=t]): the kernel writes it
    together with the loss, while the row is in the processor's cache. With label smoothing e the
    target is (1-e) 1[j=t] + e/V.   (Szegedy et al. 2015, arXiv:1512.00567)
    """

    spends = True

    def forward(
        self,
        x: Array,
        target: Array,
        weight: Array | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Array:
        self.kernels, self.reduction = backend(), reduction
        options = ignore_index, label_smoothing, reduction == "mean", self.needs(0)
        losses, loss, dx = self.kernels.cross_entropy(x, target, weight, *options)
        self.save(dx=dx)
        return losses if reduction == "none" else loss

    def backward(self, grad: Array) -> Array:
        dx = self.saved["dx"]
        if self.reduction == "none":
            return self.kernels.elementwise("mul", (dx, grad[:, None]))
        return dx if grad == 1 else self.kernels.elementwise("mul", (dx, grad))


class NLLLoss(Function):
    """l_n = -w_t x_nt, t the target of row n;   dx_nt = -w_t dl_n, 0 elsewhere;   mean: sum l /
    sum w_t, and dl_n = dy / sum w_t."""

    kernels_only = True
    fresh = True

    def forward(
        self,
        x: Array,
        target: Array,
        weight: Array | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> Array:
        self.kernels, self.options = backend(), (ignore_index, x.shape[1])
        losses, weights, loss, total = self.kernels.nll_loss(
            x, target, weight, ignore_index, reduction == "mean"
        )
        self.save(target=target, weights=weights, total=total)
        return losses if reduction == "none" else loss

    def backward(self, grad: Array) -> Array:
        inputs = self.saved["target"], self.saved["weights"], self.saved["total"]
        return self.kernels.nll_loss_backward(grad.reshape(-1), *inputs, *self.options)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input)[target]): how improbable the right class is for the model.

    input: (V,), (N, V) or (N, V, d1, ...), the scores (logits) of V classes.
    target: the indices of the right classes, (), (N,) or (N, d1, ...); or probabilities of the
        shape of input.
    weight: (V,), a factor for each class.
    ignore_index: targets of this index give no loss and don't count in the mean.
    reduction: "mean" (weighted by weight), "sum" or "none" (one loss for each target).
    size_average, reduce: older names of the reductions, with a warning.
    label_smoothing: this share of the target's probability is spread equally over all classes.

    Raises IndexError if an index is not in [0, V), and RuntimeError or ValueError if shapes or
    dtypes don't fit.

    >>> logits = ta.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> F.cross_entropy(logits, ta.tensor([0, 1]))
    tensor(0.3955)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x = _check("cross_entropy", input, weight, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing: expected a number in [0, 1], got {label_smoothing}")
    if as_tensor(target, "target")._array.dtype.kind == "f":
        if ignore_index >= 0:
            raise RuntimeError("ignore_index: has no meaning for targets that are probabilities")
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    index = _check_target("cross_entropy", x, target)
    options = weight, ignore_index, reduction, float(label_smoothing)
    out = CrossEntropy.apply(_rows(input), index, *options)
    return out.reshape(target._array.shape) if reduction == "none" else out


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """Targets that are probabilities: -sum_j w_j t_j log p_j."""
    x = input._array
    if target._array.shape != x.shape:
        raise _shape_error(x, target._array)(
            f"target: expected probabilities of shape {list(x.shape)} as input, "
            f"got {list(target._array.shape)}"
        )
    dim = min(x.ndim - 1, 1)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / max(x.shape[dim], 1)
    terms = -(target * log_softmax(input, dim))
    if weight is not None:
        terms = terms * weight.reshape(*([-1] + [1] * (x.ndim - 1 - dim)))
    losses = terms.sum(dim)
    if reduction == "none":
        return losses
    total = losses.sum()
    return total / (x.size // x.shape[dim] if x.size else 0) if reduction == "mean" else total


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target]: the negative log-likelihood of the right class.

    input: log-probabilities, (V,), (N, V) or (N, V, d1, ...), for example from log_softmax.
    The other arguments are those of `cross_entropy`; target can't be probabilities.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x = _check("nll_loss", input, weight, reduction)
    index = _check_target("nll_loss", x, target)
    out = NLLLoss.apply(_rows(input), index, weight, ignore_index, reduction)
    return out.reshape(target._array.shape) if reduction == "none" else out


def _check(name: str, input: Tensor, weight: Tensor | None, reduction: str) -> Array:
    """The array of input, when input, weight and reduction are found to be right."""
    x = as_tensor(input, "input")._array
    if x.dtype.kind != "f" or x.ndim == 0:
        raise RuntimeError(
            f"{name}: input: expected float32 or float64 of at least 1 dimension, got {x.dtype} "
            f"{list(x.shape)}"
        )
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: expected one of {REDUCTIONS}, got {reduction!r}")
    classes = x.shape[min(x.ndim - 1, 1)]
    if weight is not None:
        w = as_tensor(weight, "weight")._array
        if w.shape != (classes,) or w.dtype != x.dtype:
            raise RuntimeError(
                f"weight: expected {x.dtype} of shape (V,) = [{classes}], got {w.dtype} "
                f"{list(w.shape)}"
            )
    return x


def _check_target(name: str, x: Array, target: Tensor) -> Array:
    """The targets as int64 in one row."""
    index = as_tensor(target, "target")._array
    if index.dtype.kind != "i":
        raise RuntimeError(f"{name}: target: expected int64 class indices, got {index.dtype}")
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if index.shape != expected:
        raise _shape_error(x, index)(
            f"{name}: target: expected shape {list(expected)} for input {list(x.shape)}, "
            f"got {list(index.shape)}"
        )
    return index.reshape(-1).astype(np.int64, copy=False)


def _shape_error(x: Array, target: Array) -> type[Exception]:
    """As in PyTorch: a ValueError if N differs, a RuntimeError if another size does."""
    return ValueError if x.ndim > 1 and target.shape[:1] != x.shape[:1] else RuntimeError


def _rows(input: Tensor) -> Tensor:
    """(V,), (N, V) or (N, V, d1, ...) as rows of V."""
    ndim = input._array.ndim
    if ndim == 1:
        return input.unsqueeze(0)
    if ndim == 2:
        return input
    return input.permute(0, *range(2, ndim), 1).reshape(-1, input._array.shape[1])
