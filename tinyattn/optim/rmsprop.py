"""RMSprop (Hinton 2012; centred: Graves 2013): steps are divided by the root mean square of g."""

from typing import ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.optim.optimizer import Group, Optimizer, Params, descent, flag, number


class RMSprop(Optimizer):
    """RMSprop. With g the gradient plus weight_decay p, a step is

        v = alpha v + (1 - alpha) g^2
        p = p - lr g / (sqrt(v) + eps)

    centered: v - m^2 takes the place of v in the second line, with m the running mean of g.
    momentum: b = momentum b + g / (sqrt(v) + eps) and p = p - lr b.
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
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        foreach: bool | None = None,
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
