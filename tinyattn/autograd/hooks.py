"""Hooks: functions that see the gradient of one tensor, and may put another in its place. Look
first at `run_hooks`, which the backward pass calls."""

import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinyattn.autograd.storage import Edge, Leaf, Node, Tensor, TensorBase, edge_of, results
from tinyattn.kernels.recording import refuse

Hook: TypeAlias = Callable[[Tensor], Tensor | None]


class Handle:
    """A hook at one output of a node. `remove()` takes it away."""

    def __init__(self, edge: Edge, hook: Hook) -> None:
        node, index = edge[:2]
        if node.hooks is None:
            node.hooks = {}
        self.hooks, self.key = node.hooks.setdefault(index, {}), object()
        self.hooks[self.key] = hook

    def remove(self) -> None:
        self.hooks.pop(self.key, None)


def run_hooks(node: Node, arrived: list[Any]) -> None:
    """Call the hooks of a node on its gradients, and put what they return in their place. `arrived`
    is what engine.Waiting holds: a gradient, whether it may be changed, the next gradient, ..."""
    for index, hooks in (node.hooks or {}).items():
        grad = arrived[2 * index]
        for hook in list(hooks.values()) if grad is not None else ():
            refuse("a replay would not call the hook of a tensor")
            new = hook(results.wrap(np.array(grad)))
            if new is None:
                continue
            if not isinstance(new, TensorBase):
                raise TypeError(f"hook: expected a Tensor or None, got {type(new).__name__}")
            if new._array.shape != grad.shape:
                raise RuntimeError(
                    f"hook: expected a gradient of shape {list(grad.shape)}, got "
                    f"{list(new._array.shape)}"
                )
            grad = new._array.astype(grad.dtype, copy=False)
            arrived[2 * index], arrived[2 * index + 1] = grad, False


def retain_grad(tensor: Tensor) -> None:
    """Keep `.grad` of a tensor that is not a leaf, too."""
    edge = edge_of(tensor, "retain_grad")
    node = edge[0]
    if type(node) is Leaf or tensor._retained is node:
        return
    tensor._retained = node
    reference = weakref.ref(tensor)

    def keep(gradient: Tensor) -> None:
        kept = reference()
        if kept is not None:
            kept.grad = gradient if kept.grad is None else kept.grad + gradient

    Handle(edge, keep)
