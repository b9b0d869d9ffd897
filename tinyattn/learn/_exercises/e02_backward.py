"""The backward pass over a tape of numbers. The mistakes are = in place of +=, and an order in
which a node runs before all its users have."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


class Node:
    """A number that remembers what it was computed from."""

    def __init__(
        self, value: float, parents: tuple["Node", ...] = (), slopes: tuple[float, ...] = ()
    ) -> None:
        self.value = value
        self.parents = parents  # the nodes that it was computed from
        self.slopes = slopes  # its derivative by each of these parents
        self.grad = 0.0  # the derivative of the last node by this one; backward() writes it

    def __add__(self, other: "Node") -> "Node":
        return Node(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other: "Node") -> "Node":
        return Node(self.value * other.value, (self, other), (other.value, self.value))


def backward(last: Node) -> None:
    """Write the gradient of `last` by each node that it depends on into the .grad of that node.

    last: the node that was computed last. All .grad are 0 before.
    Returns nothing.

    The gradient of `last` by itself is 1. By any other node it is the sum, over all nodes that use
    this one, of (gradient of the user) * (slope of the user by this node).

    A node may hand on its gradient only when all its users have handed on theirs. So go through the
    nodes in an order in which every node comes after its users.
    """
    raise NotImplementedError("backward is not written yet")


def solution(last):
    order, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(last)
    last.grad = 1.0
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def _order(last: Node) -> list[Node]:
    """All nodes, each after its parents."""
    order: list[Node] = []

    def visit(node: Node) -> None:
        if not any(node is other for other in order):
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(last)
    return order


def overwrites(last):
    """You write = where += is needed. A node that is used twice gets two gradients; you keep only
    the last one."""
    last.grad = 1.0
    for node in reversed(_order(last)):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad = node.grad * slope


def too_early(last):
    """A node hands on its gradient before all its users have handed on theirs. You go from a node
    to its parents at once, each node once. What arrives later is not handed on."""
    last.grad, waiting, seen = 1.0, [last], [last]
    while waiting:
        node = waiting.pop(0)
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope
            if not any(parent is other for other in seen):
                seen.append(parent)
                waiting.append(parent)


def depth_first(last):
    """A node hands on its gradient before all its users have handed on theirs. You go down to the
    parents, depth first, each node once. What arrives later is not handed on."""
    seen: list[Node] = []
    last.grad = 1.0

    def visit(node):
        seen.append(node)
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope
        for parent in node.parents:
            if not any(parent is other for other in seen):
                visit(parent)

    visit(last)


def counted_again(last):
    """A node that is used twice hands on too much. You go down from a node once for each of its
    users, and each time you hand on the whole of .grad, not only what is new."""
    last.grad = 1.0

    def visit(node):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope
            visit(parent)

    visit(last)


def not_started(last):
    """All gradients are 0 after yours. Write 1 to last.grad first, and leave every gradient in the
    .grad of its node: nothing is returned, and none is set to 0 again."""
    for node in reversed(_order(last)):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def forward_order(last):
    """Only the parents of the last node have a gradient. Either you stop there, or you go through
    the nodes from the first to the last. Gradients travel from the last node to the first."""
    last.grad = 1.0
    for node in _order(last):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def only_slopes(last):
    """You add the slopes without the gradient of the user. The chain rule multiplies the two:
    node.grad * slope."""
    last.grad = 1.0
    for node in reversed(_order(last)):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += slope


def own_value(last):
    """You multiply the gradient by the value of the parent. What counts is the slope of the user by
    that parent: in a product it is the value of the other factor."""
    last.grad = 1.0
    for node in reversed(_order(last)):
        for parent in node.parents:
            parent.grad += node.grad * parent.value


def only_first(last):
    """Only the first parent of each node gets a gradient. An operation has two inputs here."""
    last.grad = 1.0
    for node in reversed(_order(last)):
        for parent, slope in list(zip(node.parents, node.slopes, strict=True))[:1]:
            parent.grad += node.grad * slope


def starts_with_the_value(last):
    """You start with the value of `last`. The gradient of `last` by itself is 1."""
    last.grad = last.value
    for node in reversed(_order(last)):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def listed_twice(last):
    """A node that is used twice hands on too much: it stands in your order once for each of its
    users. Before you go on to its parents, ask whether you have seen the node."""
    order: list[Node] = []

    def visit(node):
        for parent in node.parents:
            visit(parent)
        order.append(node)

    visit(last)
    last.grad = 1.0
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def visited_for_each_use(last):
    """A node that is used twice hands on too much. Each time you come to it you hand on the whole
    of .grad, not only what is new. Put the nodes in an order first, each of them once."""
    last.grad = 1.0

    def visit(node):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope
        for parent in node.parents:
            visit(parent)

    visit(last)


def one_use_of_each(last):
    """In x * x the node x is used twice by one operation, and gets two gradients. Yours counts
    one of them: a set or a dictionary of the parents keeps each node once."""
    last.grad = 1.0
    for node in reversed(_order(last)):
        for parent, slope in {
            id(parent): (parent, slope)
            for parent, slope in zip(node.parents, node.slopes, strict=True)
        }.values():
            parent.grad += node.grad * slope


def seen_by_value(last):
    """Two nodes with the same value are one node for you. Remember the nodes that you have seen,
    not their values: seen.add(id(node))."""
    order, seen = [], set()

    def visit(node):
        if node.value not in seen:
            seen.add(node.value)
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(last)
    last.grad = 1.0
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += node.grad * slope


def twice_used() -> list[Node]:
    """x = 3;  y = x * x;  z = y + x"""
    x = Node(3.0)
    y = x * x
    return [x, y, y + x]


def late_user() -> list[Node]:
    """x = 2, w = 5;  a = x * w;  b = a * a;  c = b + x;  d = c * a"""
    x, w = Node(2.0), Node(5.0)
    a = x * w
    b = a * a
    c = b + x
    return [x, w, a, b, c, c * a]


def late_user_first() -> list[Node]:
    """x = 2, w = 5;  a = x * w;  b = a * a;  c = x + b;  d = a * c"""
    x, w = Node(2.0), Node(5.0)
    a = x * w
    b = a * a
    c = x + b
    return [x, w, a, b, c, a * c]


def three_factors() -> list[Node]:
    """x = 2, y = -3, z = 4;  p = x * y;  q = p * z"""
    x, y, z = Node(2.0), Node(-3.0), Node(4.0)
    p = x * y
    return [x, y, z, p, p * z]


def equal_values() -> list[Node]:
    """x = 2;  a = x + x;  b = x * x;  c = a * b, where a and b are both 4"""
    x = Node(2.0)
    a, b = x + x, x * x
    return [x, a, b, a * b]


def alone() -> list[Node]:
    """x = 7, and nothing else"""
    return [Node(7.0)]


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    yield (three_factors,)
    yield (late_user,)
    yield (late_user_first,)
    yield (equal_values,)
    for size in (3, 6, 10):
        yield (_random(rng, size),)


def _random(rng: np.random.Generator, size: int) -> Callable[[], list[Node]]:
    """A graph in which every node is used by a later one."""
    values = rng.uniform(0.5, 1.5, 3)
    steps = [(int(rng.integers(3 + i)), bool(rng.integers(2))) for i in range(size)]

    def build() -> list[Node]:
        nodes = [Node(float(value)) for value in values]
        for other, product in steps:
            nodes.append(nodes[-1] * nodes[other] if product else nodes[-1] + nodes[other])
        return nodes

    build.__doc__ = f"a graph of {size + 3} nodes"
    return build


def run(answer: Answer, build: Callable[[], list[Node]]) -> np.ndarray:
    """The gradients of all nodes, in the order in which they were computed."""
    nodes = build()
    answer(nodes[-1])
    return np.array([float(node.grad) for node in nodes])


def measured(answer: Answer, rng: np.random.Generator) -> str | None:
    """For z = x * x + x the gradient is what a small change of x shows."""
    x, h = 3.0, 1e-4
    slope = (((x + h) ** 2 + x + h) - ((x - h) ** 2 + x - h)) / (2 * h)
    got = answer(twice_used)[0]
    return None if abs(got - slope) < 1e-3 else f"Yours is {got:.6g}, measured {slope:.6g}."


EXERCISE = Exercise(
    ask=backward,
    solution=solution,
    returns=["gradients"],
    hand=(twice_used,),
    cases=cases,
    wrong=[
        overwrites, too_early, depth_first, counted_again, not_started, forward_order, only_slopes,
        own_value, only_first, starts_with_the_value, listed_twice, visited_for_each_use,
        one_use_of_each, seen_by_value,
    ],
    properties=[measured],
    extremes={"a node that was not computed from others": (alone,)},
    hints=(
        "There are two parts: first put all nodes in an order in which each stands after its "
        "parents, then go through this order from its end.",
        "For the order, write a function visit(node) that calls itself for the parents first, and "
        "then appends the node. It leaves out nodes that it has seen.",
        "Then write 1 to last.grad, and for each node, from the last to the first, add node.grad * "
        "slope to the .grad of each parent. Use +=, because a node may have several users.",
    ),
    run=run,
    given=[Node],
)  # fmt: skip
