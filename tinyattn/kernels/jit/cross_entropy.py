"""Cross-entropy and its gradient, in Numba. Both are computed while the row of logits is in the
processor's cache, so memory is read once. Look first at `row`, which does all of it for one row."""

import numba
import numpy as np

from tinyattn.kernels._types import Array, CrossEntropyOptions
from tinyattn.kernels.jit.compiling import SMALL, kernel, sums
from tinyattn.kernels.jit.reductions import sum
from tinyattn.kernels.jit.softmax import largest
from tinyattn.kernels.jit.vmath import exp
from tinyattn.kernels.reference.indexing import in_range


@sums
def weighted_sums(x, i, top, weight):
    """sum w_c and sum w_c (x_c - top)."""
    total = dot = x.dtype.type(0)
    for j in range(x.shape[1]):
        w = weight[j] if weight.size else x.dtype.type(1)
        total += w
        dot += w * (x[i, j] - top)
    return total, dot


@sums
def row(logits, i, t, weight, smoothing, scale, losses, grad):
    """Row i with target t: its loss, and its gradient if grad is not empty."""
    V = logits.shape[1]
    real = logits.dtype.type
    top, total = largest(logits, i), real(0)
    if grad.size:
        for j in range(V):
            e = exp(logits[i, j] - top)
            grad[i, j] = e
            total += e
    else:
        for j in range(V):
            total += exp(logits[i, j] - top)
    log_total = np.log(total)
    of_target = real(1 - smoothing) * (weight[t] if weight.size else real(1))
    smooth = real(smoothing / V)
    shifted = logits[i, t] - top
    loss = -of_target * (shifted - log_total)
    of_all = of_target
    if smoothing:
        w, dot = weighted_sums(logits, i, top, weight)
        loss -= smooth * (dot - w * log_total)
        of_all += smooth * w
    losses[i] = loss
    if not grad.size:
        return
    factor = real(scale) * of_all / total
    of_each = real(scale) * smooth
    if not smoothing:
        for j in range(V):
            grad[i, j] *= factor
    elif weight.size:
        for j in range(V):
            grad[i, j] = grad[i, j] * factor - of_each * weight[j]
    else:
        for j in range(V):
            grad[i, j] = grad[i, j] * factor - of_each
    grad[i, t] -= real(scale) * of_target


@kernel("r2 i1 r1 int float float w1 w2")
def run(logits, target, weight, ignore_index, smoothing, scale, losses, grad):
    """logits (N, V), target (N,) -> losses (N,), grad (N, V) or empty; a task is one row."""
    for i in numba.prange(len(logits)):
        if target[i] == ignore_index:
            losses[i] = 0
            if grad.size:
                grad[i] = 0
        else:
            row(logits, np.int64(i), target[i], weight, smoothing, scale, losses, grad)


@np.errstate(all="ignore")
def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    options: CrossEntropyOptions,
    losses: Array,
    loss: Array,
    grad: Array | None,
) -> bool:
    """logits (N, V), target (N,), weight (V,) -> losses (N,), loss () and its grad (N, V); whether
    all targets that count are in range."""
    ignore_index, smoothing, mean = options
    dtype, t = logits.dtype, target[target != ignore_index]
    if not in_range(t, logits.shape[1]):
        return False
    total = np.array(float(len(t)))
    if weight is not None:
        sum(weight[t].reshape(1, -1, 1), 1.0, total.reshape(1, 1))
    scale = 1 / total if mean else 1.0
    run(
        logits,
        target,
        np.empty(0, dtype) if weight is None else weight,
        ignore_index,
        smoothing,
        scale,
        losses,
        np.empty((0, 0), dtype) if grad is None else grad,
        alone=logits.size < SMALL,
    )
    sum(losses.reshape(1, -1, 1), 1.0, total.reshape(1, 1))
    loss[...] = total * scale
    return True
