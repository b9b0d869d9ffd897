"""Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), AMSGrad (Reddi et al. 2018).

Look first at Adam._update.
"""

from typing import Any, ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.kernels import AdamOptions, backend
from tinyattn.optim.optimizer import Group, Optimizer, Params, descent, flag, number


def _betas(value: Any) -> str:
    fraction = number(0, 1)
    good = isinstance(value, tuple) and len(value) == 2 and not any(map(fraction, value))
    return "" if good else "two numbers in [0, 1)"


class Adam(Optimizer):
    """Adam. With g the gradient plus weight_decay p, step t is

        m = beta1 m + (1 - beta1) g,     v = beta2 v + (1 - beta2) g^2
        p = p - lr m' / (sqrt(v') + eps)

    where m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t) are the bias-corrected means.

    decoupled_weight_decay: weight_decay is not added to g; p is first multiplied by
        1 - lr weight_decay (AdamW).
    amsgrad: the largest v so far takes the place of v.
    maximize: -g takes the place of g, so that the loss grows.

    >>> import tinyattn as ta
    >>> w = ta.nn.Parameter(ta.tensor([1.0, -2.0]))
    >>> optimizer = ta.optim.Adam([w], lr=0.1)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> float(w.abs().max()) < 0.01
    True
    """

    checks: ClassVar = {
        "lr": number(0),
        "betas": _betas,
        "eps": number(0),
        "weight_decay": number(0),
        "amsgrad": flag,
        "maximize": flag,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _update(self, group: Group, params: list[Tensor]) -> None:
        if group["amsgrad"]:
            for param in params:
                self._amsgrad(group, param)
            return
        states = [self._state(param, "exp_avg", "exp_avg_sq") for param in params]
        beta1, beta2 = group["betas"]
        backend().adam(
            [param._array for param in params],
            [param.grad._array for param in params if param.grad is not None],
            [state["exp_avg"]._array for state in states],
            [state["exp_avg_sq"]._array for state in states],
            [int(state["step"]._array) for state in states],
            AdamOptions(
                group["lr"],
                beta1,
                beta2,
                group["eps"],
                group["weight_decay"],
                group["decoupled_weight_decay"],
                group["maximize"],
            ),
        )

    def _amsgrad(self, group: Group, param: Tensor) -> None:
        state = self._state(param, "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        m, v, largest = (value._array for name, value in state.items() if name != "step")
        t, (beta1, beta2), lr = int(state["step"]._array), group["betas"], group["lr"]
        if group["decoupled_weight_decay"]:
            param._array[...] *= 1 - lr * group["weight_decay"]
            g = descent({**group, "weight_decay": 0.0}, param)
        else:
            g = descent(group, param)
        m[...] += (1 - beta1) * (g - m)
        v[...] = beta2 * v + (1 - beta2) * g * g
        np.maximum(largest, v, out=largest)
        denominator = np.sqrt(largest) / (1 - beta2**t) ** 0.5 + group["eps"]
        param._array[...] -= lr / (1 - beta1**t) * m / denominator


class AdamW(Adam):
    """Adam with decoupled weight decay; the default weight_decay is 0.01."""

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )
