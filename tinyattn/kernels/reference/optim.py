"""The steps of Adam, AdamW and SGD with momentum, in PyTorch's formulas, in place.

Adam (Kingma, Ba 2015), for a gradient g at step t:

    m = b1 m + (1 - b1) g            a running mean of the gradient
    v = b2 v + (1 - b2) g^2          and of its square
    p = p - lr mhat / (sqrt(vhat) + eps),   mhat = m / (1 - b1^t),  vhat = v / (1 - b2^t)

where the hats correct the bias of averages that start from zero. Weight decay adds weight_decay * p
to g, or, decoupled (AdamW: Loshchilov, Hutter 2019), it first shrinks p by lr * weight_decay.

SGD: buf = momentum buf + (1 - dampening) g, at first buf = g; then p = p - lr buf, or with
Nesterov's look-ahead p = p - lr (g + momentum buf).
"""

import math

import numpy as np

from tinyattn.kernels._types import AdamOptions, Array, SGDOptions


@np.errstate(all="ignore")
def adam(
    params: list[Array],
    grads: list[Array],
    exp_avgs: list[Array],
    exp_avg_sqs: list[Array],
    steps: list[int],
    options: AdamOptions,
) -> None:
    """Flat arrays, one of each kind and one step for each parameter."""
    lr, beta1, beta2, eps, weight_decay, decoupled, maximize = options
    for p, g, m, v, t in zip(params, grads, exp_avgs, exp_avg_sqs, steps, strict=True):
        if maximize:
            g = -g
        if decoupled:
            p *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * p
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        root = np.sqrt(v) / math.sqrt(1 - beta2**t) + eps
        p -= lr / (1 - beta1**t) * m / root


@np.errstate(all="ignore")
def sgd(
    params: list[Array],
    grads: list[Array],
    buffers: list[Array] | None,
    first: list[bool],
    options: SGDOptions,
) -> None:
    """Flat arrays; buffers is None without momentum."""
    lr, momentum, dampening, weight_decay, nesterov, maximize = options
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * p
        if momentum and buffers is not None:
            buffer = buffers[i]
            if first[i]:
                buffer[:] = g
            else:
                buffer *= momentum
                buffer += (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        p -= lr * g
