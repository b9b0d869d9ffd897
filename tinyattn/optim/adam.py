"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019): look first at Adam.step."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.kernels import backend
from tinyattn.optim.optimizer import Optimizer, flag, number


def _betas(value: Any) -> str:
    fraction = number(0, 1)
    good = isinstance(value, tuple) and len(value) == 2 and not any(map(fraction, value))
    return "" if good else "two numbers in [0, 1)"


class Adam(Optimizer):
    """p -= lr m / (sqrt(v) + eps), m and v the running means of g and g^2, freed of their start 0.

    weight_decay p is added to g or, decoupled, lr weight_decay p taken from p. maximize: -g for g.
    """

    checks: ClassVar = {
        "lr": number(0),
        "betas": _betas,
        "eps": number(0),
        "weight_decay": number(0),
        "maximize": flag,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; returns what the closure gives."""
        loss = self._loss(closure)
        for group, params in self._work():
            states = [self.state[param] or self._start(param) for param in params]
            for state in states:
                state["step"]._array += 1
            beta1, beta2 = group["betas"]
            backend().adam(
                [param._array for param in params],
                [param.grad._array for param in params],
                [state["exp_avg"]._array for state in states],
                [state["exp_avg_sq"]._array for state in states],
                [int(state["step"]._array) for state in states],
                group["lr"],
                beta1,
                beta2,
                group["eps"],
                group["weight_decay"],
                group["decoupled_weight_decay"],
                group["maximize"],
            )
            for param in params:
                param._storage.changed("Adam.step")
        return loss

    def _start(self, param: Tensor) -> dict[str, Any]:
        self.state[param] = {
            "step": results.wrap(np.zeros((), np.float32)),
            "exp_avg": results.wrap(np.zeros_like(param._array)),
            "exp_avg_sq": results.wrap(np.zeros_like(param._array)),
        }
        return self.state[param]


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 unless told."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, maximize=maximize, decoupled_weight_decay=True
        )
