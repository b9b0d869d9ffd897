"""The steps of Adam and SGD, in Numba: one pass over a parameter, its gradient and its averages,
cut into chunks for the threads. Look first at `adam_chunk`."""

import math

import numba
import numpy as np

from tinyattn.kernels._types import AdamOptions, Array, SGDOptions
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel

CHUNK = 8192


@exact
def adam_chunk(p, g, m, v, shrink, decay, sign, b1, b2, eps, size, root):
    """A step of Adam on a chunk of a parameter: p, m and v change in place."""
    real = p.dtype.type
    keep, take = real(b2), real(1 - b2)
    toward = real(1 - b1)
    for i in range(len(p)):
        w = p[i] * shrink
        grad = sign * g[i] + decay * w
        first = m[i] + toward * (grad - m[i])
        second = v[i] * keep + take * grad * grad
        m[i] = first
        v[i] = second
        p[i] = w - size * first / (np.sqrt(second) * root + eps)


@kernel("w1 r1 w1 w1 float float float float float float float float")
def adam_step(p, g, m, v, shrink, decay, sign, b1, b2, eps, size, root):
    """A step of Adam on a whole parameter; a task is one chunk."""
    real = p.dtype.type
    chunks = (len(p) + CHUNK - 1) // CHUNK
    for task in numba.prange(chunks):
        chunk = slice(task * CHUNK, task * CHUNK + CHUNK)
        adam_chunk(
            p[chunk],
            g[chunk],
            m[chunk],
            v[chunk],
            real(shrink),
            real(decay),
            real(sign),
            b1,
            b2,
            real(eps),
            real(size),
            real(root),
        )


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
    shrink, decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    sign = -1.0 if maximize else 1.0
    for p, g, m, v, t in zip(params, grads, exp_avgs, exp_avg_sqs, steps, strict=True):
        size, root = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
        adam_step(
            p, g, m, v, shrink, decay, sign, beta1, beta2, eps, size, root, alone=p.size < SMALL
        )


@exact
def sgd_chunk(p, g, buffer, lr, momentum, add, nesterov, decay, first, sign):
    """A step of SGD on a chunk of a parameter: p and buffer change in place. An empty buffer means
    no momentum."""
    for i in range(len(p)):
        grad = sign * g[i] + decay * p[i]
        if buffer.size:
            new = grad if first else momentum * buffer[i] + add * grad
            buffer[i] = new
            grad = grad + momentum * new if nesterov else new
        p[i] -= lr * grad


@kernel("w1 r1 w1 float float float bool float bool float")
def sgd_step(p, g, buffer, lr, momentum, add, nesterov, decay, first, sign):
    """A step of SGD on a whole parameter; a task is one chunk."""
    real = p.dtype.type
    chunks = (len(p) + CHUNK - 1) // CHUNK
    for task in numba.prange(chunks):
        chunk = slice(task * CHUNK, task * CHUNK + CHUNK)
        sgd_chunk(
            p[chunk], g[chunk], buffer[chunk], real(lr), real(momentum), real(add), nesterov,
            real(decay), first, real(sign),
        )  # fmt: skip


def sgd(
    params: list[Array],
    grads: list[Array],
    buffers: list[Array] | None,
    first: list[bool],
    options: SGDOptions,
) -> None:
    """Flat arrays; buffers is None without momentum."""
    lr, momentum, dampening, weight_decay, nesterov, maximize = options
    sign = -1.0 if maximize else 1.0
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        buffer = buffers[i] if momentum and buffers is not None else np.empty(0, p.dtype)
        sgd_step(
            p,
            g,
            buffer,
            lr,
            momentum,
            1 - dampening,
            nesterov,
            weight_decay,
            first[i],
            sign,
            alone=p.size < SMALL,
        )
