"""Cross-entropy of logits against class indices, and its gradient.

With l = log softmax(x), target t, class weights w (1 where none are given) and label smoothing e:

    loss = -(1 - e) w_t l_t  -  (e / V) sum_c w_c l_c

With W = sum_c w_c and dl_c/dx_j = [c = j] - p_j, where p = softmax(x):

    dloss/dx_j = (1 - e) w_t (p_j - [j = t]) + (e / V) (W p_j - w_j)

Rows whose target is ignore_index lose nothing and get no gradient. A mean divides by the sum of
the w_t of the others.
"""

import numpy as np

from tinyattn.kernels._types import Array, CrossEntropyOptions
from tinyattn.kernels.reference.indexing import in_range
from tinyattn.kernels.reference.reductions import of_columns
from tinyattn.kernels.reference.softmax import log_softmax


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
    ignore_index, label_smoothing, mean = options
    kept = np.flatnonzero(target != ignore_index)
    t = target[kept]
    V = logits.shape[1]
    if not in_range(t, V):
        return False
    w = np.ones(V, logits.dtype) if weight is None else weight
    smooth = label_smoothing / V if V else 0.0
    scale = 1 / of_columns(w[t][:, None])[0] if mean else 1.0

    logp = np.empty((len(kept), V), logits.dtype)
    log_softmax(logits[kept], logp)
    rows = np.arange(len(kept))

    losses[:] = 0
    losses[kept] = -(1 - label_smoothing) * w[t] * logp[rows, t]
    if label_smoothing:
        losses[kept] -= smooth * (w * logp).sum(axis=1)
    loss[...] = of_columns(losses[:, None])[0] * scale

    if grad is not None:
        of_target = (1 - label_smoothing) * w[t]
        dx = np.exp(logp) * (of_target + smooth * w.sum())[:, None]
        dx[rows, t] -= of_target
        if label_smoothing:
            dx -= smooth * w
        grad[:] = 0
        grad[kept] = dx * logits.dtype.type(scale)
    return True
