"""Negative log-likelihood of log-probabilities x (N, V) with target classes t, and its gradient:

loss_n = -w_n x_nt;   w_n is the weight of the class t, 1 without weights, 0 for ignore_index
loss = sum_n loss_n / total;   total = 1, or for a mean sum_n w_n
dx_nt = -w_n dloss_n / total, 0 elsewhere

Rows whose target is ignore_index give 0, and w_n is 0 there.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.reference.indexing import in_range
from tinyattn.kernels.reference.reductions import of_columns


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
    kept = target != ignore_index
    t = target[kept]
    if not in_range(t, x.shape[1]):
        return False
    losses[:] = weights[:] = 0
    weights[kept] = 1 if weight is None else weight[t]
    losses[kept] = -weights[kept] * x[kept, t]
    total[...] = of_columns(weights[:, None])[0] if mean else 1
    loss[...] = of_columns(losses[:, None]).astype(x.dtype)[0] / total
    return True


@np.errstate(all="ignore")
def nll_loss_backward(
    grad: Array, target: Array, weights: Array, total: Array, ignore_index: int, dx: Array
) -> bool:
    """grad (N,) or (1,), target (N,), weights (N,) and total () of nll_loss -> dx (N, V); whether
    all targets that count are in range."""
    kept = target != ignore_index
    t = target[kept]
    if not in_range(t, dx.shape[1]):
        return False
    of_row = np.broadcast_to(grad / total, target.shape)
    dx[...] = 0
    dx[kept, t] = -weights[kept] * of_row[kept]
    return True
