"""Hooks on the gradients of a module: `Boundary` stands before and after its forward.

Look at `forward_between` first.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array

Grads = tuple[Array | None, ...]


class Boundary(Function):
    """y_i = x_i for all i;   dx_i = dy_i, or what `tell` makes of them."""

    def forward(self, *arrays: Array, tell: Callable[[Grads], Grads]) -> tuple[Array, ...]:
        self.tell = tell
        return tuple(np.array(x) for x in arrays)

    def backward(self, *grads: Array | None) -> Grads:
        return self.tell(grads)


def _passed(values: tuple[Any, ...], tell: Callable[[tuple[Any, ...]], Any]) -> tuple[Any, ...]:
    """The values, the tensors among them behind a Boundary. `tell` gets the gradients, None for
    what is no tensor, and may return others."""
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]

    def arrived(grads: Grads) -> Grads:
        whole: list[Any] = [None] * len(values)
        for i, grad in zip(places, grads, strict=True):
            whole[i] = None if grad is None else results.wrap(np.array(grad))
        whole = list(tell(tuple(whole)))
        return tuple(None if whole[i] is None else whole[i]._array for i in places)

    passed = list(values)
    behind = Boundary.apply(*(values[i] for i in places), tell=arrived)
    for i, tensor in zip(places, behind, strict=True):
        passed[i] = tensor
    return tuple(passed)


def forward_between(
    module: Any, hooks: list[Callable[..., Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """module.forward, and in the backward pass hook(module, grad_input, grad_output) for each of
    the hooks: the gradients of the positional arguments and of the results. What a hook returns,
    unless None, replaces grad_input."""
    seen: dict[str, tuple[Any, ...]] = {}
    needed = any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)

    def called(grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in hooks:
            new = hook(module, grad_input, seen["output"])
            if new is not None:
                grad_input = new if isinstance(new, tuple) else (new,)
        return grad_input

    def left(grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
        seen["output"] = grad_output
        if not needed:
            called((None,) * len(args))
        return grad_output

    result = module.forward(*(_passed(args, called) if needed else args), **kwargs)
    several = isinstance(result, tuple)
    out = _passed(result if several else (result,), left)
    return out if several else out[0]
