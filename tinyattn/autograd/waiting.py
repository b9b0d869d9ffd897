"""What has arrived where, while a backward pass runs. Read `Waiting.add` first, then the loop that
uses it: engine.run.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappush
from types import MappingProxyType
from typing import Any

from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Deferred, Gradient, as_array, combine, fitted, plus
from tinyattn.autograd.hooks import after_accumulate, after_pass, run_after_accumulate, run_hooks
from tinyattn.autograd.paths import last_users, paths_to
from tinyattn.autograd.storage import Edge, Leaf, Node, Place
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import kernels, local, working


class Waiting:
    """The nodes that a gradient has reached and that have not run, with what has arrived.

    `table` holds for each node, one output after the other, the gradient there and whether it may
    be changed in place, because no one else holds it. `heap` gives the newest operation first. The
    pass stops at `ends`: leaves or, if places are wanted, the last nodes on the paths to them.
    `early` holds leaves whose gradients are awaited, each under the last operation to run that adds
    to it: they are finished after it, the others when the pass ends.
    """

    early: Mapping[Node, list[Leaf]] = MappingProxyType({})
    outer: list[Callable[[], None]] | None = None

    def __init__(
        self, roots: Sequence[tuple[Edge, Array]], wanted: Collection[Place] | None
    ) -> None:
        self.table: dict[Node, list[Any]] = {}
        self.heap: list[tuple[int, Function]] = []
        self.ends: list[Node] = []
        self.deferred: set[Node] = set()  # nodes with gradients that are not computed yet
        self.wanted = wanted
        self.recorded = bool(working and local.recorder)
        self.found: dict[Place, Array] = {}
        self.paths: Collection[Node] | None = None  # None: all nodes
        self.last: Collection[Node] = ()
        if wanted is not None:
            self.paths, self.last = paths_to([edge[0] for edge, _ in roots], wanted)
        if after_accumulate.used and after_accumulate:
            self.outer = after_pass.begin()
            if wanted is None:
                self.early = last_users([edge[0] for edge, _ in roots], after_accumulate)

    def add(self, edge: Edge, grad: Gradient, owned: bool) -> None:
        """Add a gradient that has arrived at an output of a node."""
        node, index, shape, dtype = edge
        arrived = self.table.get(node)
        if arrived is None:
            if self.paths is not None and node not in self.paths:
                return
            arrived = [None, False] if node.outputs == 1 else [None, False] * node.outputs
            self.table[node] = arrived
            if type(node) is Leaf or (self.last and node in self.last):
                self.ends.append(node)
            else:
                heappush(self.heap, (-node.number, node))  # type: ignore[misc]
        at = 2 * index
        have = arrived[at]
        if isinstance(grad, Deferred):
            arrived[at], arrived[at + 1] = combine(have, grad, arrived[at + 1]), True
            self.deferred.add(node)
            return
        if grad.shape != shape or grad.dtype is not dtype:
            grad, owned = kernels("unbroadcast", fitted, grad, shape, dtype), False
        if have is None:
            arrived[at], arrived[at + 1] = grad, owned
        elif isinstance(have, Deferred):
            arrived[at] = combine(have, grad, True)
        elif self.recorded:
            total = kernels("sum of gradients", plus, have, grad, arrived[at + 1])
            arrived[at], arrived[at + 1] = total, True
        elif arrived[at + 1]:
            have += grad
            arrived[at] = have
        else:
            arrived[at], arrived[at + 1] = have + grad, True

    def complete(self, node: Node, arrived: list[Any]) -> None:
        """All gradients of a node have arrived: compute those that are deferred, unless the
        operation takes them so, call its hooks, and keep those that are wanted."""
        if node in self.deferred and (node.hooks or self.wanted or not node.defers):
            arrived[::2] = [as_array(grad) for grad in arrived[::2]]
        if node.hooks:
            run_hooks(node, arrived)
        if self.wanted:
            for index, grad in enumerate(arrived[::2]):
                if (node, index) in self.wanted:
                    self.found[node, index], arrived[2 * index + 1] = grad, False

    def finish(self, ends: Sequence[Node]) -> None:
        """Add the gradients of leaves to `.grad`, or keep those that are wanted."""
        table, wanted, deferred = self.table, self.wanted, self.deferred
        hooked = after_accumulate.used and bool(after_accumulate)
        for end in ends:
            arrived = table.pop(end, None)
            if arrived is None:  # it was finished early, or no gradient has reached it
                continue
            if wanted or end.hooks or deferred:
                self.complete(end, arrived)
            if wanted is None and type(end) is Leaf:
                end.accumulate(*arrived)
                if hooked:
                    run_after_accumulate(end)
