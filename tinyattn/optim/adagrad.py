"""Adagrad (Duchi, Hazan and Singer 2011): steps shrink as squared gradients add up."""

from typing import ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.optim.optimizer import Group, Optimizer, Params, descent, flag, number


class Adagrad(Optimizer):
    """Adagrad. With g the gradient plus weight_decay p, step t is

    s = s + g^2,   s starts at initial_accumulator_value
    p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
    """

    checks: ClassVar = {
        "lr": number(0),
        "lr_decay": number(0),
        "eps": number(0),
        "weight_decay": number(0),
        "initial_accumulator_value": number(0),
        "maximize": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: Group) -> None:
        """Optimise these parameters, too. Their sums start here, as in PyTorch."""
        super().add_param_group(param_group)
        start = self.defaults["initial_accumulator_value"]
        for param in self.param_groups[-1]["params"]:
            self.state[param] = {
                "step": results.wrap(np.zeros((), np.float32)),
                "sum": results.wrap(np.full_like(param._array, start)),
            }

    def _update(self, group: Group, params: list[Tensor]) -> None:
        for param in params:
            state = self._state(param)
            g, s = descent(group, param), state["sum"]._array
            s[...] += g * g
            lr = group["lr"] / (1 + (float(state["step"]._array) - 1) * group["lr_decay"])
            param._array[...] -= lr * g / (np.sqrt(s) + group["eps"])
