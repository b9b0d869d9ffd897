"""Softmax, log-softmax, layer and RMS normalisation: kernels on rows, which are the last axis. And
functions made of norms: normalize, cosine_similarity, pairwise_distance. Look at Softmax first.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.dtypes import result_type
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor
from tinyattn.compat.deprecated import implicit_dim
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.contract import common_shape
from tinyattn.kernels.copies import copied
from tinyattn.kernels.recording import step
from tinyattn.kernels.sums import moments_over
from tinyattn.ops._arguments import as_axis, as_floats, as_size, as_tensor
from tinyattn.ops.elementwise import to
from tinyattn.ops.products import as_rows
from tinyattn.ops.reductions import norm
from tinyattn.ops.shape import expand, reshape, transpose


class Softmax(Function):
    """y_i = e^x_i / sum_j e^x_j  along an axis.

    dy_i/dx_j = y_i (1[i=j] - y_j), so  dx_j = sum_i dL/dy_i y_i (1[i=j] - y_j)
                                            = y_j (g_j - sum_i g_i y_i)   with g = dL/dy.
    """

    kernels_only = True
    fresh = True

    def forward(self, x: Array, axis: int = -1) -> Array:
        self.kernels = backend()
        self.axis = axis
        y = self.kernels.softmax(x, axis=axis)
        self.save(y=y)
        return y

    def backward(self, grad: Array) -> Array:
        return self.kernels.softmax_backward(self.saved["y"], grad, self.axis)

    def attention_weights(self, inputs: tuple[Any, ...], output: Array) -> tuple[Array, Array]:
        return np.moveaxis(output, self.axis, -1), np.moveaxis(inputs[0], self.axis, -1)


def softmax(input: Tensor, dim: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) along dim: positive numbers whose sum is 1. The same shape.

    dim None: the first or second dimension, as PyTorch chooses, with a warning.
    dtype: the dtype input is converted to first.

    >>> ta.tensor([1.0, 2.0, 3.0]).softmax(-1)
    tensor([0.09  , 0.2447, 0.6652])
    """
    x = as_floats(input if dtype is None else to(input, dtype), "input", "softmax")
    dim = implicit_dim("softmax", x._array.ndim) if dim is None else dim
    return Softmax.apply(x, as_axis(dim, x._array.ndim)) if x._array.ndim else _of_one(x, dim, 1)


class LogSoftmax(Function):
    """y_i = x_i - log sum_j e^x_j  along an axis.

    dy_i/dx_j = 1[i=j] - e^y_j, so  dx_j = g_j - e^y_j sum_i g_i   with g = dL/dy.
    """

    kernels_only = True
    fresh = True

    def forward(self, x: Array, axis: int = -1) -> Array:
        self.kernels = backend()
        self.axis = axis
        y = self.kernels.log_softmax(x, axis)
        self.save(y=y)
        return y

    def backward(self, grad: Array) -> Array:
        return self.kernels.log_softmax_backward(self.saved["y"], grad, self.axis)


def log_softmax(input: Tensor, dim: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """log(softmax(input, dim)), without overflow in between. The same shape.

    dtype: the dtype input is converted to first.

    >>> ta.tensor([1.0, 2.0, 3.0]).log_softmax(-1)
    tensor([-2.4076, -1.4076, -0.4076])
    """
    x = as_floats(input if dtype is None else to(input, dtype), "input", "log_softmax")
    dim = implicit_dim("log_softmax", x._array.ndim) if dim is None else dim
    return LogSoftmax.apply(x, as_axis(dim, x._array.ndim)) if x._array.ndim else _of_one(x, dim, 0)


def _of_one(x: Tensor, dim: int, value: int) -> Tensor:
    """Softmax (1) or log-softmax (0) of a tensor without axes; NaN stays NaN."""
    as_axis(dim, 0)
    return x * 0 + value


def _line(weight: Array | None) -> Array | None:
    """A weight with all its axes as one."""
    return None if weight is None else weight.reshape(-1)


class LayerNorm(Function):
    """y = w x^ + b  with  x^ = (x - m) s,  s = 1 / sqrt(v + eps), over rows of D features: the
    last `axes` of x, which w and b have too.

    dw = sum over rows of g x^,  db = sum over rows of g;  with h = g w, since m and v depend on x,
    dx = s (h - mean(h) - x^ mean(h x^)).   (Ba, Kiros, Hinton 2016, arXiv:1607.06450)
    """

    kernels_only = True
    fresh = True

    def forward(
        self,
        x: Array,
        weight: Array | None = None,
        bias: Array | None = None,
        eps: float = 1e-5,
        axes: int = 1,
    ) -> Array:
        self.kernels, self.axes = backend(), axes
        y, mean, rstd = self.kernels.layer_norm(as_rows(x, axes), _line(weight), _line(bias), eps)
        self.save(x=x, weight=weight, mean=mean, rstd=rstd)
        return y.reshape(x.shape)

    def backward(self, grad: Array) -> tuple[Array, ...]:
        x, weight = self.saved["x"], self.saved["weight"]
        mean, rstd = self.saved["mean"], self.saved["rstd"]
        rows, shape = as_rows(grad, self.axes), x.shape[-self.axes :]
        dx, dw, db = self.kernels.layer_norm_backward(
            rows, as_rows(x, self.axes), mean, rstd, _line(weight)
        )
        return dx.reshape(x.shape), dw.reshape(shape), db.reshape(shape)


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """input brought to mean 0 and variance 1 over its last axes, times weight, plus bias.

    normalized_shape: the sizes of those axes, and the shape of weight and bias.
    eps: is added to the variance, so that nothing is divided by 0.

    >>> F.layer_norm(ta.tensor([[1.0, 2.0, 3.0]]), (3,))
    tensor([[-1.2247,  0.    ,  1.2247]])
    """
    affine = {"weight": weight, "bias": bias}
    return _normalised(LayerNorm, "layer_norm", input, normalized_shape, affine, eps)


class RMSNorm(Function):
    """y = w x^  with  x^ = x s,  s = 1 / sqrt(mean(x^2) + eps), over the rows of LayerNorm.

    dw = sum over rows of g x^;  with h = g w, since s depends on x (ds/dx_j = -s^3 x_j / D),
    dx = s (h - x^ mean(h x^)).   (Zhang, Sennrich 2019, arXiv:1910.07467)
    """

    kernels_only = True
    fresh = True

    def forward(
        self, x: Array, weight: Array | None = None, eps: float = 1e-5, axes: int = 1
    ) -> Array:
        self.kernels, self.axes = backend(), axes
        y, rstd = self.kernels.rms_norm(as_rows(x, axes), _line(weight), eps)
        self.save(x=x, weight=weight, rstd=rstd)
        return y.reshape(x.shape)

    def backward(self, grad: Array) -> tuple[Array, ...]:
        x, weight, rstd = self.saved["x"], self.saved["weight"], self.saved["rstd"]
        rows, shape = as_rows(grad, self.axes), x.shape[-self.axes :]
        dx, dw = self.kernels.rms_norm_backward(rows, as_rows(x, self.axes), rstd, _line(weight))
        return dx.reshape(x.shape), dw.reshape(shape)


def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """input divided by its root mean square over its last axes, times weight.

    normalized_shape: the sizes of those axes, and the shape of weight.
    eps: is added to the mean square; by default the machine epsilon of input's dtype.
    """
    if eps is None:
        eps = float(np.finfo(as_floats(input, "input", "rms_norm")._array.dtype).eps)
    return _normalised(RMSNorm, "rms_norm", input, normalized_shape, {"weight": weight}, eps)


def _normalised(
    operation: type[Function],
    function: str,
    input: Tensor,
    normalized_shape: int | Sequence[int],
    affine: Mapping[str, Tensor | None],
    eps: float,
) -> Tensor:
    """The operation, when the shapes are found to fit."""
    shape = as_size((normalized_shape,), "normalized_shape")
    x = as_floats(input, "input", function)
    whole = x._array.shape
    if not shape or whole[-len(shape) :] != shape:
        raise RuntimeError(
            f"normalized_shape: expected the last sizes of input {list(whole)}, got {list(shape)}"
        )
    for name, value in affine.items():
        if value is not None and as_tensor(value, name)._array.shape != shape:
            raise RuntimeError(
                f"{name}: expected shape {list(shape)}, got {list(value._array.shape)}"
            )
    return operation.apply(x, *affine.values(), eps=eps, axes=len(shape))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each of the D features brought to mean 0 and variance 1 over the batch, and over time where
    there is time, times weight, plus bias: (B, D) or (B, D, T) to the same shape.

    It is layer normalisation of the transposed input: a row holds all values of one feature.
    training: use the mean and the variance of this batch, and move running_mean and running_var
    (D,) towards them by the factor momentum, in place; else use running_mean and running_var.
    weight, bias: (D,). (Ioffe and Szegedy 2015, arXiv:1502.03167)

    An empty batch gives an empty result, and moves nothing. Raises ValueError for a batch of one
    value for each feature, in training, and for an eps that is not positive.
    """
    x = as_floats(input, "input", "batch_norm")
    shape = x._array.shape
    if len(shape) not in (2, 3):
        raise ValueError(f"batch_norm: input: expected (B, D) or (B, D, T), got {list(shape)}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps: expected a positive number, got {eps}")
    D = shape[1]
    given = {"running_mean": running_mean, "running_var": running_var}
    for name, value in {**given, "weight": weight, "bias": bias}.items():
        if value is not None and as_tensor(value, name)._array.shape != (D,):
            raise RuntimeError(f"{name}: expected shape [{D}], got {list(value._array.shape)}")
    column = (D,) + (1,) * (len(shape) - 2)
    n = math.prod((shape[0], *shape[2:]))
    if training and n == 1:
        raise ValueError(
            "batch_norm: input: expected more than 1 value per channel when training, got "
            f"input size {list(shape)}"
        )
    if training and not x._array.size:
        y = x
    elif training:
        rows = reshape(transpose(x, 0, 1), (D, n))
        mean, _, squares = (part.reshape(D) for part in moments_over(rows._array, (1,)))
        for running, now, divisor in ((running_mean, mean, 1), (running_var, squares, n - 1)):
            if running is not None:
                step("batch_norm", _moved, running._array, now, divisor, momentum)
                running._storage.changed("batch_norm", noted=True)
        y = LayerNorm.apply(rows, None, None, eps=eps, axes=1)
        y = transpose(reshape(y, (D, shape[0], *shape[2:])), 0, 1)
    elif running_mean is None or running_var is None:
        raise RuntimeError("batch_norm: expected running_mean and running_var, or training=True")
    else:
        mean_, scale = reshape(running_mean, column), reshape((running_var + eps) ** -0.5, column)
        y = (x - mean_) * scale
    y = y if weight is None else y * reshape(weight, column)
    return y if bias is None else y + reshape(bias, column)


def _moved(running: Array, now: Array, divisor: int, momentum: float) -> Array:
    running[...] += momentum * (now / divisor - running)
    return running


# Functions made of norms


def _rows(x: Array, axis: int) -> Array:
    """x as rows (N, D), which lie along an axis."""
    return as_rows(np.moveaxis(x, axis, -1) if axis < x.ndim - 1 else x)


def _from_rows(y: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The rows of an array of this shape, as it was."""
    if axis >= len(shape) - 1:
        return y.reshape(shape)
    moved = y.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis])
    return copied(np.moveaxis(moved, -1, axis))


def _of_rows(y: Array, shape: tuple[int, ...], axis: int, keepdim: bool = False) -> Array:
    """One number for each row of an array of this shape."""
    return y.reshape((*shape[:axis], *([1] if keepdim else []), *shape[axis + 1 :]))


class Normalize(Function):
    """y = x / a  with  a = max(|x|, e), |x| the 2-norm of a row along an axis.

    As d|x| = (x / |x|) . dx and dy = dx / a - y da / a,
    dx = (g - (g . y) x / |x|) / a,  without the second term where |x| < e.
    """

    kernels_only = True
    fresh = True

    def forward(self, x: Array, axis: int, eps: float) -> Array:
        self.kernels, self.axis, self.eps = backend(), axis, eps
        y, size = self.kernels.normalize(_rows(x, axis), eps)
        self.save(x=x, size=size)
        return _from_rows(y, x.shape, axis)

    def backward(self, grad: Array) -> Array:
        x, size, axis = self.saved["x"], self.saved["size"], self.axis
        rows = _rows(grad, axis), _rows(x, axis)
        dx = self.kernels.normalize_backward(*rows, size, self.eps)
        return _from_rows(dx, x.shape, axis)


def normalize(
    input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12
) -> Tensor:
    """input / max(|input|_p, eps), with the p-norm over dim (one dimension or several).

    >>> F.normalize(ta.tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    x = as_floats(input, "input", "normalize")
    if p == 2 and isinstance(dim, int):
        return Normalize.apply(x, as_axis(dim, x._array.ndim), eps)
    return x / norm(x, p, dim, keepdim=True).clamp(min=eps)


class CosineSimilarity(Function):
    """c = sum_i u_i v_i along an axis, u = x / a with a = max(|x|, e), v = y / b likewise; x and y
    were broadcast to one shape before, as in PyTorch, so that they are promoted in that shape.

    As da = x / |x| dx (0 at 0; where e is the larger, too, as in PyTorch),
    dx = (v - c x / |x|) dc / a  and  dy = (u - c y / |y|) dc / b.
    """

    kernels_only = True
    promotes = True
    fresh = True

    def forward(self, x: Array, y: Array, axis: int, eps: float) -> Array:
        self.kernels, self.axis, self.eps = backend(), axis, eps
        self.save(x=x, y=y)
        return _of_rows(self.kernels.cosine(_rows(x, axis), _rows(y, axis), eps), x.shape, axis)

    def backward(self, grad: Array) -> tuple[Array, Array]:
        x, y, axis = self.saved["x"], self.saved["y"], self.axis
        rows = _rows(x, axis), _rows(y, axis)
        dx, dy = self.kernels.cosine_backward(grad.reshape(-1), *rows, self.eps)
        return _from_rows(dx, x.shape, axis), _from_rows(dy, x.shape, axis)


def _alike(name: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of floats, broadcast to one shape."""
    x, y = as_tensor(x1, "x1")._array, as_tensor(x2, "x2")._array
    dtype = x.dtype if x.dtype is y.dtype else result_type(x, y)
    if dtype.kind != "f":
        raise RuntimeError(f"{name}: x1: expected float32 or float64 together with x2, got {dtype}")
    if x.shape == y.shape:
        return x1, x2
    check_broadcast(x.shape, y.shape)
    shape = common_shape(x.shape, y.shape)
    return expand(x1, shape), expand(x2, shape)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim, between -1 and 1; the two broadcast,
    and dim is a dimension of their common shape.

    >>> F.cosine_similarity(ta.tensor([[1.0, 0.0]]), ta.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x1, x2 = _alike("cosine_similarity", x1, x2)
    return CosineSimilarity.apply(x1, x2, axis=as_axis(dim, x1._array.ndim), eps=eps)


class PairwiseDistance(Function):
    """d = |w|  with  w = x - y + e, the 2-norm of the last axis;   dx = g w / d, 0 where w or d
    is 0,  dy = -dx."""

    kernels_only = True
    promotes = True
    fresh = True

    def forward(self, x: Array, y: Array, eps: float, keepdim: bool) -> Array:
        self.kernels, self.eps, axis = backend(), eps, x.ndim - 1
        d, size = self.kernels.pairwise(_rows(x, axis), _rows(y, axis), eps)
        self.save(x=x, y=y, size=size)
        return _of_rows(d, x.shape, axis, keepdim)

    def backward(self, grad: Array) -> tuple[Array, Array | None]:
        x, y, size = self.saved["x"], self.saved["y"], self.saved["size"]
        rows = _rows(x, x.ndim - 1), _rows(y, x.ndim - 1)
        dx = self.kernels.pairwise_backward(grad.reshape(-1), *rows, size, self.eps)
        dx = dx.reshape(x.shape)
        return dx, self.kernels.elementwise("neg", (dx,)) if self.needs(1) else None


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """|x1 - x2 + eps|_p: the distance of rows, which are the last dimension; the two broadcast."""
    x, y = as_tensor(x1, "x1")._array, as_tensor(x2, "x2")._array
    if p == 2 and x.ndim and y.ndim and x.dtype.kind == y.dtype.kind == "f":
        x1, x2 = _alike("pairwise_distance", x1, x2)
        return PairwiseDistance.apply(x1, x2, eps=eps, keepdim=keepdim)
    return norm(x1 - x2 + eps, p, -1, keepdim)
