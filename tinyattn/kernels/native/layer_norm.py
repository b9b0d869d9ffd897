"""Calls layer and RMS normalisation and their gradients in C, native/layer_norm.c. RMS
normalisation is the same C function without a mean."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import NULL, address, by_size

_VERSIONS = by_size("layer_norm", "layer_norm_backward")


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    out: Array,
    mean: Array | None,
    rstd: Array,
) -> None:
    """x (N, D), weight, bias (D,) -> out (N, D), mean (N,), rstd (N,)."""
    real, kernel, _ = _VERSIONS[x.itemsize]
    check(
        kernel(
            address(real, x),
            NULL if weight is None else address(real, weight),
            NULL if bias is None else address(real, bias),
            eps,
            address(real, out),
            NULL if mean is None else address(real, mean),
            address(real, rstd),
            *x.shape,
        )
    )


def layer_norm_backward(
    grad: Array,
    x: Array,
    mean: Array | None,
    rstd: Array,
    weight: Array | None,
    dx: Array,
    dweight: Array,
    dbias: Array | None,
) -> None:
    """grad, x (N, D), mean, rstd (N,), weight (D,) -> dx (N, D), dweight (D,), dbias (D,)."""
    real, _, kernel = _VERSIONS[x.itemsize]
    check(
        kernel(
            address(real, grad),
            address(real, x),
            NULL if mean is None else address(real, mean),
            address(real, rstd),
            NULL if weight is None else address(real, weight),
            address(real, dx),
            address(real, dweight),
            NULL if dbias is None else address(real, dbias),
            *x.shape,
        )
    )


def rms_norm(x: Array, weight: Array | None, eps: float, out: Array, rstd: Array) -> None:
    """x (N, D), weight (D,) -> out (N, D), rstd (N,)."""
    layer_norm(x, weight, None, eps, out, None, rstd)


def rms_norm_backward(
    grad: Array, x: Array, rstd: Array, weight: Array | None, dx: Array, dweight: Array
) -> None:
    """grad, x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
    layer_norm_backward(grad, x, None, rstd, weight, dx, dweight, None)
