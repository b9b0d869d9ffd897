"""Hooks: functions that see the gradient of one tensor, and may put another in its place. Look
first at `run_hooks`, which the backward pass calls.

A hook of the second kind, `after_accumulate`, is called once `.grad` of a leaf is complete, while
the rest of the backward pass is still to come.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np

from tinyattn.autograd.storage import Edge, Leaf, Node, Tensor, TensorBase, edge_of, results
from tinyattn.kernels.recording import refuse

Hook: TypeAlias = Callable[[Tensor], Tensor | None]


class Handle:
    """A hook at one output of a node, called in its turn or behind all others. `remove()` takes it
    away."""

    def __init__(self, edge: Edge, hook: Hook, last: bool = False) -> None:
        node, index = edge[:2]
        if node.hooks is None:
            node.hooks = {}
        self.hooks, self.key = node.hooks.setdefault(index, {}), (last, object())
        self.hooks[self.key] = hook

    def remove(self) -> None:
        self.hooks.pop(self.key, None)


def run_hooks(node: Node, arrived: list[Any]) -> None:
    """Call the hooks of a node on its gradients, and put what they return in their place. `arrived`
    is what waiting.Waiting holds: a gradient, whether it may be changed, the next gradient, ..."""
    for index, hooks in (node.hooks or {}).items():
        grad = arrived[2 * index]
        in_turn = sorted(hooks.items(), key=lambda item: item[0][0])
        for _, hook in in_turn if grad is not None else ():
            refuse("a replay would not call the hook of a tensor")
            new = hook(results.wrap(np.array(grad)))
            if new is None:
                continue
            if not isinstance(new, TensorBase):
                raise TypeError(f"hook: expected a Tensor or None, got {type(new).__name__}")
            if (new._array.shape, new._array.dtype) != (grad.shape, grad.dtype):
                raise RuntimeError(
                    f"hook: expected a gradient of shape {list(grad.shape)} and dtype "
                    f"{grad.dtype}, got {list(new._array.shape)} and {new._array.dtype}"
                )
            grad = new._array
            arrived[2 * index], arrived[2 * index + 1] = grad, False


AfterHook: TypeAlias = Callable[[Tensor], None]


class _AfterAccumulate(weakref.WeakKeyDictionary[Leaf, dict[object, AfterHook]]):
    """The hooks of each leaf. `used`: whether there has ever been one, since every pass asks, and
    to ask a WeakKeyDictionary for its length takes long."""

    used = False


after_accumulate = _AfterAccumulate()


class AfterHandle:
    """A hook that is called after the gradient of a leaf is accumulated. `remove()` takes it
    away."""

    def __init__(self, leaf: Leaf, hook: AfterHook) -> None:
        self.leaf, self.key = weakref.ref(leaf), object()
        after_accumulate.setdefault(leaf, {})[self.key] = hook
        after_accumulate.used = True

    def remove(self) -> None:
        leaf = self.leaf()
        hooks = after_accumulate.get(leaf, {}) if leaf is not None else {}
        hooks.pop(self.key, None)
        if leaf is not None and not hooks:
            after_accumulate.pop(leaf, None)


def run_after_accumulate(leaf: Leaf) -> None:
    """Call the hooks of a leaf whose `.grad` is complete."""
    tensor = leaf.tensor()
    for hook in list(after_accumulate.get(leaf, {}).values()) if tensor is not None else ():
        refuse("a replay would not call the hook of a tensor")
        hook(cast(Tensor, tensor))


class _AfterPass(threading.local):
    """What hooks of `after_accumulate` want to be called when the pass of this thread ends."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def begin(self) -> list[Callable[[], None]]:
        """A pass begins. Returns what the pass around it, if it is inside one, has to call."""
        outer, self.callbacks = self.callbacks, []
        return outer

    def run(self, outer: list[Callable[[], None]]) -> None:
        """The pass has ended."""
        callbacks, self.callbacks = self.callbacks, outer
        for callback in callbacks:
            callback()


after_pass = _AfterPass()


def retain_grad(tensor: Tensor) -> None:
    """Keep `.grad` of a tensor that is not a leaf, too: what its hooks have made of it."""
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

    Handle(edge, keep, last=True)
