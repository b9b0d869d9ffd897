"""RMSprop (Hinton 2012; centred as in Graves 2013): each step over the root of the mean of g^2."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.optim.optimizer import Group, Optimizer, descent, flag, number


class RMSprop(Optimizer):
    """p -= lr g / (sqrt(v) + eps), v = alpha v + (1 - alpha) g^2; g includes weight_decay p.

    centered: v - m^2 for v, m the running mean of g. momentum: p -= lr b, b = momentum b + g / ...
    """

    checks: ClassVar = {
        "lr": number(0),
        "momentum": number(0),
        "alpha": number(0),
        "eps": number(0),
        "centered": flag,
        "weight_decay": number(0),
        "maximize": flag,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _update(self, group: Group, params: list[Tensor]) -> None:
        alpha, momentum = group["alpha"], group["momentum"]
        names = ["square_avg"] + ["momentum_buffer"] * (momentum > 0)
        names += ["grad_avg"] * group["centered"]
        for param in params:
            state = self._state(param, *names)
            g, v = descent(group, param), state["square_avg"]._array
            v[...] = alpha * v + (1 - alpha) * g * g
            mean_square = v
            if group["centered"]:
                mean = state["grad_avg"]._array
                mean[...] += (1 - alpha) * (g - mean)
                mean_square = v - mean * mean
            change = g / (np.sqrt(mean_square) + group["eps"])
            if momentum > 0:
                buffer = state["momentum_buffer"]._array
                change = buffer[...] = momentum * buffer + change
            param._array[...] -= group["lr"] * change
