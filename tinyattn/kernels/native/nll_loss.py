"""Negative log-likelihood and its gradient, native/nll_loss.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size, in_range

_VERSIONS = by_size("nll_loss", "nll_loss_backward")


def nll_loss(
    x: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    mean: bool,
    losses: Array,
    weights: Array,
    loss: Array,
    total: Array,
) -> bool:
    """x (N, V), target (N,), weight (V,) -> losses (N,), weights (N,), loss (), total (); whether
    all targets that count are in range."""
    real, kernel, _ = _VERSIONS[x.itemsize]
    w = NULL if weight is None else address(real, weight)
    inputs = address(real, x), address(INT64, target), w, ignore_index, mean
    outputs = address(real, losses), address(real, weights), address(real, loss)
    return in_range(kernel(*inputs, *outputs, address(real, total), *x.shape))


def nll_loss_backward(
    grad: Array, target: Array, weights: Array, total: Array, ignore_index: int, dx: Array
) -> bool:
    """grad (N,) or (1,), target (N,), weights (N,) and total () of nll_loss -> dx (N, V); whether
    all targets that count are in range."""
    real, _, kernel = _VERSIONS[grad.itemsize]
    inputs = address(real, grad), address(INT64, target), address(real, weights)
    rest = address(real, total), ignore_index, address(real, dx), grad.size
    return in_range(kernel(*inputs, *rest, *dx.shape))
