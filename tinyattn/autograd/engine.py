"""The backward pass: one loop over the operations of the graph, the newest first.

An operation can only use tensors that already exist, so the order of creation, reversed, is a
topological order: when the newest waiting operation runs, its gradient is complete. Read `run`,
then waiting.py: what has arrived where. `backward` and `grad`, which people call, stand in
frontend.py.
"""

from collections.abc import Collection, Sequence
from heapq import heappop

from tinyattn.autograd.hooks import after_pass
from tinyattn.autograd.modes import state, without_warnings
from tinyattn.autograd.saved import FREED
from tinyattn.autograd.storage import Edge, Place, changes
from tinyattn.autograd.waiting import Waiting
from tinyattn.kernels._types import Array


@without_warnings
def run(
    roots: Sequence[tuple[Edge, Array]],
    retain_graph: bool = False,
    wanted: Collection[Place] | None = None,
) -> dict[Place, Array]:
    """Carry the gradients of `roots` back to the leaves, and add them to `.grad` there.

    With `wanted` the pass takes only the paths that lead to those places of the graph. Their
    gradients are returned, and no `.grad` changes.
    """
    waiting = Waiting(roots, wanted)
    heap, table, deferred, add = waiting.heap, waiting.table, waiting.deferred, waiting.add
    careful, early = state.careful, waiting.early
    for edge, grad in roots:
        add(edge, grad, False)
    while heap:
        number, node = heappop(heap)
        arrived = table.pop(node)
        if wanted or node.hooks or (deferred and node in deferred):
            waiting.complete(node, arrived)
        if node.inherits:  # a recording runs a step twice, to see whether it does the same again
            node.owned = arrived[1] and not waiting.recorded
        saved = node.saved
        if saved is FREED or changes.last > -number:
            node.check()
        if careful:
            out = careful(node, arrived[::2])
        elif len(arrived) == 2:
            out = node.backward(arrived[0])
        else:
            out = node.backward(*arrived[::2])
        if type(out) is not tuple:
            out = (out,)
        edges = node.edges
        if len(out) != len(edges):
            node.check_number(len(out))
        owned = node.fresh or (node.spends and not retain_graph)
        for i, dx in enumerate(out):
            to = edges[i]
            if to is not None and dx is not None:
                add(to, dx, owned and dx is not arrived[0])
        if saved and not retain_graph:
            node.saved = FREED
        if early and node in early:
            waiting.finish(early[node])
    waiting.finish(waiting.ends)
    if waiting.outer is not None:
        after_pass.run(waiting.outer)
    return waiting.found
