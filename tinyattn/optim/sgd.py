"""Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983).

Look first at the formula in the docstring of SGD, then at `_update`.
"""

from typing import ClassVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.kernels import SGDOptions, backend
from tinyattn.optim.optimizer import Group, Optimizer, Params, flag, number


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if momentum > 0.

    With g the gradient plus weight_decay p, a step is

        b = momentum b + (1 - dampening) g,   at the first step b = g
        p = p - lr b

    nesterov: p = p - lr (g + momentum b) instead (Sutskever et al. 2013).
    maximize: -g takes the place of g, so that the loss grows.

    >>> import tinyattn as ta
    >>> w = ta.nn.Parameter(ta.tensor([1.0, 2.0]))
    >>> optimizer = ta.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist() == ta.tensor([0.8, 1.6]).tolist()
    True
    """

    checks: ClassVar = {
        "lr": number(0),
        "momentum": number(0),
        "dampening": number(float("-inf")),
        "weight_decay": number(0),
        "nesterov": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_options(self, options: Group) -> None:
        super()._check_options(options)
        every = {**self.defaults, **options}
        if every["nesterov"] and (every["momentum"] <= 0 or every["dampening"] != 0):
            raise ValueError(
                "nesterov: Nesterov momentum requires a momentum and zero dampening, got "
                f"momentum {every['momentum']} and dampening {every['dampening']}"
            )

    def _update(self, group: Group, params: list[Tensor]) -> None:
        buffers, first = None, [False] * len(params)
        if group["momentum"]:
            states = [self.state[param] for param in params]
            first = ["momentum_buffer" not in state for state in states]
            for state, param, new in zip(states, params, first, strict=True):
                if new:
                    state["momentum_buffer"] = results.wrap(np.zeros_like(param._array))
            buffers = [state["momentum_buffer"]._array for state in states]
        backend().sgd(
            [param._array for param in params],
            [param.grad._array for param in params if param.grad is not None],
            buffers,
            first,
            SGDOptions(
                group["lr"],
                group["momentum"],
                group["dampening"],
                group["weight_decay"],
                group["nesterov"],
                group["maximize"],
            ),
        )
