"""The backward pass: one loop over the nodes of the graph, newest first.

An operation can only use what already exists, so the order of creation, reversed, is a topological
order: of the nodes that a gradient has reached, the newest has all of it. `run` is the pass.
"""

import weakref
from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from tinyattn.autograd import anomaly
from tinyattn.autograd.function import Part, RowSum
from tinyattn.autograd.modes import state
from tinyattn.autograd.storage import Edge, Leaf, Storage, TensorBase, accumulate, results

Node = Any  # a Function or a Leaf
Place = tuple[Node, int]  # a node and which of its outputs


@np.errstate(all="ignore")
def run(
    roots: Sequence[tuple[Edge, np.ndarray]],
    retain_graph: bool = False,
    wanted: Collection[Place] | None = None,
    capture: bool = False,
) -> dict[Place, np.ndarray]:
    """Carry the gradients of `roots` back; `.grad` of leaves grows, and nothing else changes.

    `wanted` keeps the pass to the way to those places; with `capture` the gradients there are
    returned and no `.grad` changes.
    """
    keep: Collection[Place] = wanted if capture and wanted is not None else ()
    captured: dict[Place, np.ndarray] = {}
    pending = _Pending(*_way([edge[0] for edge, _ in roots], wanted))
    for edge, grad in roots:
        pending.add(edge, grad, False)
    heap, table, sums, add = pending.heap, pending.table, pending.sums, pending.add
    careful = state.anomaly
    while heap:
        node = heappop(heap)[1]
        grads = table.pop(node)
        if node in sums:
            value = RowSum.value if node.hooks or keep else node.arriving
            grads = [value(grad) if type(grad) is RowSum else grad for grad in grads]
        if node.hooks or keep:
            _arrived(node, grads, pending.owned, captured, keep)
        if node.saved is None or Storage.last_change > node.number:
            node.check()
        out = anomaly.backward(node, grads) if careful else node.backward(*grads)
        if type(out) is not tuple:
            out = (out,)
        edges, fresh = node.edges, node.fresh or (node.spends and not retain_graph)
        if len(out) != len(edges) and (len(out) > len(edges) or any(edges[len(out) :])):
            raise _wrong_number(node, out)
        for edge, grad in zip(edges, out):  # noqa: B905
            if edge is not None and grad is not None:
                add(edge, grad, fresh)
        if node.saved and not retain_graph:
            node.saved = None
    for node in pending.ends:
        grads = table.pop(node)
        if node in sums:
            grads = [grad.value() if type(grad) is RowSum else grad for grad in grads]
        if node.hooks or keep:
            _arrived(node, grads, pending.owned, captured, keep)
        if not capture and type(node) is Leaf:
            node.accumulate(grads[0], (node, 0) in pending.owned)
    return captured


class _Pending:
    """The gradients that have arrived at nodes whose turn has not come.

    `table` has one slot an output; `owned` names the arrays that are nobody else's: only they are
    added to in place; `sums` names nodes with sums not computed yet; `heap` gives the newest node
    first; at `ends`, leaves above all, a pass ends.
    """

    def __init__(self, way: Collection[Node] | None, last: Collection[Node]) -> None:
        self.way, self.last = way, last
        self.table: dict[Node, list] = {}
        self.owned: set[Place] = set()
        self.sums: set[Node] = set()
        self.heap: list[tuple[int, Node]] = []
        self.ends: list[Node] = []

    def add(self, edge: Edge, grad: Any, fresh: bool) -> None:
        node, index, shape, dtype = edge
        slots = self.table.get(node)
        if slots is None:
            if self.way is not None and node not in self.way:
                return
            slots = self.table[node] = [None] * node.outputs
            if type(node) is Leaf or (self.last and node in self.last):
                self.ends.append(node)
            else:
                heappush(self.heap, (-node.number, node))
        have = slots[index]
        if type(grad) is not np.ndarray or type(have) is RowSum:
            grad, fresh = self._special(slots, edge, grad, fresh)
            if grad is None:
                return
            have = slots[index]
        if grad.shape != shape or grad.dtype is not dtype:
            grad, fresh = unbroadcast(grad, shape).astype(dtype, copy=False), False
        if have is None:
            slots[index] = grad
            if fresh:
                self.owned.add((node, index))
        elif (node, index) in self.owned:
            slots[index] = np.add(have, grad, out=have if type(have) is np.ndarray else None)
        else:
            slots[index] = have + grad
            self.owned.add((node, index))

    def _special(self, slots: list, edge: Edge, grad: Any, fresh: bool) -> tuple[Any, bool]:
        """A gradient that is not an array, or meets a sum of rows: what of it is left to add."""
        node, index, shape, dtype = edge
        have = slots[index]
        if type(grad) is RowSum:
            if have is None:
                slots[index] = grad
                self.sums.add(node)
                self.owned.add((node, index))
                return None, False
            if type(have) is RowSum and have.joins(grad):
                return None, False
            grad, fresh = grad.value(), True
        if type(have) is RowSum:
            have = slots[index] = have.value()
        if type(grad) is Part:
            if have is None:
                have = slots[index] = np.zeros(shape, dtype)
            elif (node, index) not in self.owned:
                have = slots[index] = np.array(have)
            have[grad.index] += grad.grad
            self.owned.add((node, index))
            return None, False
        return grad, fresh


def nodes_below(roots: list[Node]) -> set[Node]:
    """The nodes of the graph that ends at `roots`, themselves included."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return seen


def _way(
    roots: list[Node], wanted: Collection[Place] | None
) -> tuple[Collection[Node] | None, Collection[Node]]:
    """The nodes that lead to the wanted ones, themselves included, and those of these at which a
    pass can end. None stands for every node."""
    if wanted is None:
        return None, ()
    way = {node for node, _ in wanted}
    last = way.copy()
    for node in sorted(nodes_below(roots), key=attrgetter("number")):
        if any(edge is not None and edge[0] in way for edge in node.edges):
            way.add(node)
            last.discard(node)
    return way, last


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the axes that broadcasting added or stretched.

    y[i, j] = x[j] for every i, so dL/dx[j] is the sum of dL/dy[i, j] over i.
    """
    added = grad.ndim - len(shape)
    stretched = [i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1]
    return grad.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)


def _arrived(
    node: Node, grads: list, owned: set[Place], captured: dict, wanted: Collection[Place]
) -> None:
    """Run the hooks on a node's gradients, now complete, and capture those that are wanted."""
    _run_hooks(node, grads, owned)
    for index, grad in enumerate(grads):
        if (node, index) in wanted:
            captured[node, index] = grad


def _run_hooks(node: Node, grads: list, owned: set[Place]) -> None:
    for index, hooks in (node.hooks or {}).items():
        grad = grads[index]
        for hook in list(hooks.values()) if grad is not None else ():
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
            grad = grads[index] = new._array.astype(grad.dtype, copy=False)
            owned.discard((node, index))


def _wrong_number(node: Node, out: tuple) -> RuntimeError:
    """At the end of what backward gives, only gradients that nobody needs may be left out."""
    return RuntimeError(
        f"{type(node).__name__}.backward: expected a gradient for each input, got {len(out)} for "
        f"{len(node.edges)}"
    )


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Any = None,
) -> None:
    """Add the gradient of the tensors, weighted by grad_tensors, to `.grad` of the leaves below."""
    _first_order(create_graph)
    if isinstance(tensors, TensorBase):
        tensors, grad_tensors = (tensors,), (grad_tensors,)
    elif grad_tensors is None:
        grad_tensors = (None,) * len(tensors)
    elif isinstance(grad_tensors, TensorBase):
        grad_tensors = (grad_tensors,)
    if len(grad_tensors) != len(tensors):
        raise RuntimeError(
            f"grad_tensors: expected one for each of {len(tensors)} tensors, got "
            f"{len(grad_tensors)}"
        )
    if isinstance(inputs, TensorBase):
        inputs = (inputs,)
    roots = _roots(tensors, grad_tensors)
    if inputs is None:
        run(roots, bool(retain_graph))
    else:
        wanted = {_edge_of(t, "inputs")[:2]: t for t in inputs}
        for place, found in run(roots, bool(retain_graph), wanted, capture=True).items():
            if wanted[place]._retained is not place[0]:
                accumulate(wanted[place], found)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple:
    """The gradients of the outputs' sum, weighted by grad_outputs, with respect to the inputs.

    No `.grad` changes. An input that the outputs don't depend on raises, or gives None.
    """
    _first_order(create_graph)
    outputs, inputs, weights = (
        tuple(v) if isinstance(v, (tuple, list)) else (v,) for v in (outputs, inputs, grad_outputs)
    )
    if grad_outputs is None:
        weights = (None,) * len(outputs)
    places = [_edge_of(t, "inputs")[:2] for t in inputs]
    found = run(_roots(outputs, weights), bool(retain_graph), set(places), capture=True)
    missing = [i for i, place in enumerate(places) if place not in found]
    if missing and not allow_unused:
        raise RuntimeError(
            f"inputs: tensor {missing[0]} appears to not have been used in the graph; pass "
            "allow_unused=True if None is wanted there"
        )
    return tuple(results.wrap(np.array(found[p])) if p in found else None for p in places)


def _first_order(create_graph: bool) -> None:
    if create_graph:
        raise NotImplementedError(
            "create_graph: gradients of gradients are not supported; tinyattn is first order only"
        )


def _edge_of(tensor: Any, name: str) -> Edge:
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"{name}: expected tensors, got {type(tensor).__name__}")
    if tensor._edge is None:
        raise RuntimeError(f"{name}: a tensor does not require grad and does not have a grad_fn")
    return tensor._edge


def _roots(tensors: Sequence[Any], gradients: Sequence[Any]) -> list[tuple[Edge, np.ndarray]]:
    roots = []
    for tensor, gradient in zip(tensors, gradients, strict=True):
        edge = _edge_of(tensor, "backward")
        shape = tensor._array.shape
        if gradient is None:
            if tensor._array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(shape)}: pass gradient="
                )
            weight = np.ones(shape, tensor._array.dtype)
        else:
            if not isinstance(gradient, TensorBase):
                raise TypeError(f"gradient: expected a Tensor, got {type(gradient).__name__}")
            weight = gradient._array
            if weight.shape != shape:
                raise RuntimeError(
                    f"gradient: expected the shape of the tensor {list(shape)}, got "
                    f"{list(weight.shape)}"
                )
        roots.append((edge, weight))
    return roots


class Handle:
    """A hook at an edge; `remove()` takes it away."""

    def __init__(self, edge: Edge, hook: Callable) -> None:
        node, index = edge[:2]
        if node.hooks is None:
            node.hooks = {}
        self.hooks, self.key = node.hooks.setdefault(index, {}), object()
        self.hooks[self.key] = hook

    def remove(self) -> None:
        self.hooks.pop(self.key, None)


def retain_grad(tensor: Any) -> None:
    """Keep `.grad` of a tensor in the middle of the graph, too."""
    node = _edge_of(tensor, "retain_grad")[0]
    if type(node) is not Leaf and tensor._retained is not node:
        tensor._retained = node
        reference = weakref.ref(tensor)

        def keep(gradient: Any) -> None:
            kept = reference()
            if kept is not None:
                kept.grad = gradient if kept.grad is None else kept.grad + gradient

        Handle(tensor._edge, keep)
