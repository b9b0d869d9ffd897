"""Negative log-likelihood and its gradient, in Numba; a task is one row."""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel
from tinyattn.kernels.jit.reductions import sum


@kernel("r2 i1 r1 int w1 w1")
def run(x, target, weight, ignore_index, losses, weights):
    """The losses and w_n of all rows, 0 where a row does not count; whether the targets of those
    that do are in range."""
    bad = 0
    for n in numba.prange(len(target)):
        t = target[n]
        losses[n] = weights[n] = 0
        if t == ignore_index:
            continue
        if t < 0 or t >= x.shape[1]:
            bad += 1
        else:
            weights[n] = weight[t] if weight.size else 1
            losses[n] = -weights[n] * x[n, t]
    return bad == 0


@np.errstate(all="ignore")
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
    weight = np.empty(0, x.dtype) if weight is None else weight
    if not run(x, target, weight, ignore_index, losses, weights, alone=len(target) < SMALL):
        return False
    total[...] = 1
    if mean:
        sum(weights.reshape(1, -1, 1), 1.0, total.reshape(1, 1))
    sum(losses.reshape(1, -1, 1), 1.0, loss.reshape(1, 1))
    loss /= total
    return True


@kernel("r1 i1 r1 int w2")
def run_backward(of_row, target, weights, ignore_index, dx):
    bad = 0
    for n in numba.prange(len(target)):
        dx[n] = 0
        t = target[n]
        if t == ignore_index:
            continue
        if t < 0 or t >= dx.shape[1]:
            bad += 1
        else:
            dx[n, t] = -weights[n] * of_row[n]
    return bad == 0


@np.errstate(all="ignore")
def nll_loss_backward(
    grad: Array, target: Array, weights: Array, total: Array, ignore_index: int, dx: Array
) -> bool:
    """grad (N,) or (1,), target (N,), weights (N,) and total () of nll_loss -> dx (N, V); whether
    all targets that count are in range."""
    of_row = np.empty_like(weights)
    of_row[...] = grad / total
    alone = dx.size < SMALL
    return bool(run_backward(of_row, target, weights, ignore_index, dx, alone=alone))
