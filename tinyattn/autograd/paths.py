"""Ways through the graph, from the end of a forward to its inputs: which nodes lie on them."""

from collections.abc import Collection, Iterable
from operator import attrgetter

from tinyattn.autograd.storage import Leaf, Node, Place


def nodes_below(roots: Iterable[Node]) -> set[Node]:
    """The nodes of the graph that ends at `roots`, themselves included."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return seen


def paths_to(roots: list[Node], wanted: Collection[Place]) -> tuple[set[Node], set[Node]]:
    """The nodes on paths from the roots to the wanted places, and those at which a path ends."""
    paths = {node for node, _ in wanted}
    last = paths.copy()
    for node in sorted(nodes_below(roots), key=attrgetter("number")):
        if any(edge is not None and edge[0] in paths for edge in node.edges):
            paths.add(node)
            last.discard(node)
    return paths, last


def last_users(roots: list[Node], leaves: Collection[Leaf]) -> dict[Node, list[Leaf]]:
    """For operations, the leaves of which they are the last users in a backward pass: the oldest
    ones, since the newest run first."""
    oldest: dict[Leaf, Node] = {}
    for node in nodes_below(roots):
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], Leaf) and edge[0] in leaves:
                leaf = edge[0]
                if leaf not in oldest or node.number < oldest[leaf].number:
                    oldest[leaf] = node
    users: dict[Node, list[Leaf]] = {}
    for leaf, node in oldest.items():
        users.setdefault(node, []).append(leaf)
    return users
