"""Layer normalisation over the last axis (Ba, Kiros, Hinton 2016).

    mean = sum(x) / D,  var = sum((x - mean)^2) / D,  rstd = 1 / sqrt(var + eps)
    xhat = (x - mean) rstd,  y = xhat weight + bias

Backward, for a gradient g at y, with g' = g weight. x_j moves xhat_i in three ways, itself, through
the mean and through the variance: dxhat_i/dx_j = rstd ([i = j] - 1/D - xhat_i xhat_j / D), hence

    dx = rstd (g' - mean(g') - xhat mean(g' xhat))
    dweight = sum over rows of g xhat,  dbias = sum over rows of g

RMS normalisation (Zhang, Sennrich 2019) takes no mean away, which leaves xhat = x rstd with
rstd = 1 / sqrt(sum(x^2) / D + eps),  y = xhat weight,  dx = rstd (g' - xhat mean(g' xhat)).
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.reductions import of_columns


@np.errstate(all="ignore")
def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    out: Array,
    mean: Array,
    rstd: Array,
) -> None:
    """x (N, D), weight, bias (D,) -> out (N, D), mean (N,), rstd (N,)."""
    D = x.shape[1]
    mean[:] = x.sum(axis=1) / D
    centred = x - mean[:, None]
    rstd[:] = 1 / np.sqrt((centred * centred).sum(axis=1) / D + eps)
    np.multiply(centred, rstd[:, None], out=out)
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias


@np.errstate(all="ignore")
def layer_norm_backward(
    grad: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None,
    dx: Array,
    dweight: Array,
    dbias: Array,
) -> None:
    """grad, x (N, D), mean, rstd (N,), weight (D,) -> dx (N, D), dweight (D,), dbias (D,)."""
    D = x.shape[1]
    xhat = (x - mean[:, None]) * rstd[:, None]
    dweight[:], dbias[:] = of_columns(grad * xhat), of_columns(grad)
    g = grad if weight is None else grad * weight
    mean_g = g.sum(axis=1, keepdims=True) / D
    mean_gx = (g * xhat).sum(axis=1, keepdims=True) / D
    dx[:] = rstd[:, None] * (g - mean_g - xhat * mean_gx)


@np.errstate(all="ignore")
def rms_norm(x: Array, weight: Array | None, eps: float, out: Array, rstd: Array) -> None:
    """x (N, D), weight (D,) -> out (N, D), rstd (N,)."""
    rstd[:] = 1 / np.sqrt((x * x).sum(axis=1) / x.shape[1] + eps)
    np.multiply(x, rstd[:, None], out=out)
    if weight is not None:
        out *= weight


@np.errstate(all="ignore")
def rms_norm_backward(
    grad: Array, x: Array, rstd: Array, weight: Array | None, dx: Array, dweight: Array
) -> None:
    """grad, x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
    xhat = x * rstd[:, None]
    dweight[:] = of_columns(grad * xhat)
    g = grad if weight is None else grad * weight
    dx[:] = rstd[:, None] * (g - xhat * ((g * xhat).sum(axis=1, keepdims=True) / x.shape[1]))
