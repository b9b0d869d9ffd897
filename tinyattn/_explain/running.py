"""`explain`: runs the backward pass, and notes what arrives at each step and what it hands on."""

import sys
from collections.abc import Callable
from typing import Any, overload

from tinyattn._explain.explanation import Explanation
from tinyattn._explain.forward import Watch
from tinyattn._explain.reading import Names, read
from tinyattn._explain.step import Quantity, Step
from tinyattn.autograd import engine
from tinyattn.autograd.frontend import roots_of
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import as_array
from tinyattn.autograd.modes import state
from tinyattn.autograd.saved import FREED
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels.recording import refuse


@overload
def explain() -> Watch: ...
@overload
def explain(loss: Tensor, gradient: Tensor | None = None) -> Explanation: ...
def explain(loss: Any = None, gradient: Any = None) -> Any:
    """The backward pass from `loss`, told: for each step the operation and its formula, shapes,
    the gradient that arrives and what the step hands on.

    gradient: the gradient at `loss`, in its shape; a loss of one element gets 1.

    The pass is run for this, before `loss.backward()`: no `.grad` changes, and no hook is called.
    Variables of the calling function give the steps their names. Under `with ta.explain():` the
    forward also notes all values, source lines and modules:

    >>> w = ta.tensor(3.0, requires_grad=True)
    >>> with ta.explain():
    ...     y = w * w
    >>> print(ta.explain(y))  # doctest: +ELLIPSIS
    The backward pass from y
    <BLANKLINE>
    Step 1. y = Mul, at ...
        z = x y;   dx = dz y,  dy = dz x. Each is kept only for the gradient of the other.
        value    9
        arrives  1
        to w     3
        to w     3
    <BLANKLINE>
    Step 2. w, a leaf
        value    3
        arrives  6 = 3 + 3

    Raises RuntimeError if the tensor has no graph, or if an earlier backward has freed it.
    """
    if loss is None:
        return Watch()
    refuse("explain: the backward pass that it tells is not a part of the step")
    names = Names(sys._getframe(1))
    nodes, steps = read(loss, names)
    roots = roots_of((loss,), (gradient,))
    if any(node.saved is FREED for node in nodes):
        raise RuntimeError(
            "explain: an earlier backward has freed the graph; call explain(loss) before "
            "loss.backward(), or call loss.backward(retain_graph=True)"
        )
    hooks = [(node, node.hooks) for node in nodes if node.hooks]
    for node, _ in hooks:
        node.hooks = None
    before = state.careful
    state.careful = _Noting(nodes, steps, before or (lambda node, grads: node.backward(*grads)))
    leaves = {(node, 0): step for node, step in zip(nodes, steps, strict=True) if not node.edges}
    try:
        found = engine.run(roots, retain_graph=True, wanted=leaves)
    finally:
        state.careful = before
        for node, kept in hooks:
            node.hooks = kept
    for place, step in leaves.items():
        step.arrived = [Quantity(found[place]) if place in found else None]
    return Explanation(steps, f"The backward pass from {steps[0].name or steps[0].operation}")


class _Noting:
    """Runs the backward of a node in the engine's place, and notes what arrives and what leaves."""

    def __init__(self, nodes: list[Any], steps: list[Step], run: Callable[..., Any]) -> None:
        self.steps = dict(zip(nodes, steps, strict=True))
        self.run = run

    def __call__(self, node: Function, grads: list[Any]) -> Any:
        step = self.steps[node]
        step.arrived = [None if g is None else Quantity(as_array(g)) for g in grads]
        out = self.run(node, grads)
        parts = out if type(out) is tuple else (out,)
        handed = [dx for edge, dx in zip(node.edges, parts, strict=False) if edge is not None]
        for to, dx in zip(step.inputs, handed, strict=False):
            if dx is not None:
                array = as_array(dx)
                to.handed, to.summed = Quantity(array), _summed(array.shape, to.shape)
        return out


def _summed(shape: tuple[int, ...], own: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `shape` that an input of shape `own` was broadcast along."""
    added = len(shape) - len(own)
    return tuple(i for i, n in enumerate(shape) if i < added or own[i - added] != n)
