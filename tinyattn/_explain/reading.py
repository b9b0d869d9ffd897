"""The steps of a graph, in the order in which the engine runs them, and the names that the program
gives to tensors. Look first at `read`."""

from inspect import cleandoc
from operator import attrgetter
from typing import Any

from tinyattn._explain.step import Input, Quantity, Step
from tinyattn.autograd.function import Function
from tinyattn.autograd.paths import nodes_below
from tinyattn.autograd.storage import Leaf, Node, Tensor, TensorBase, edge_of
from tinyattn.nn.module import Module


class Names:
    """The tensors that a function's variables hold: their names, and the tensors themselves."""

    def __init__(self, frame: Any) -> None:
        self.places: dict[Any, str] = {}  # by node and output
        self.tensors: dict[Any, TensorBase] = {}
        self.arrays: dict[int, tuple[str, TensorBase]] = {}  # without a gradient, by id
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if name.startswith("_"):
                continue
            if isinstance(value, Module):
                for path, parameter in value.named_parameters():
                    self._add(f"{name}.{path}", parameter)
            elif isinstance(value, TensorBase):
                self._add(name, value)

    def _add(self, name: str, tensor: TensorBase) -> None:
        if tensor._edge is None:
            self.arrays.setdefault(id(tensor._array), (name, tensor))
        else:
            self.places.setdefault(tensor._edge[:2], name)
            self.tensors.setdefault(tensor._edge[:2], tensor)

    def constants(self, node: Any) -> dict[str, Quantity]:
        """The inputs of an operation that have no gradient."""
        found = {}
        for key, storage in getattr(node, "watched", {}).items():
            name, tensor = self.arrays.get(key, ("", None))
            if tensor is not None and tensor._storage is storage:
                found[name] = Quantity(tensor._array)
        return found


def read(tensor: Tensor, names: Names) -> tuple[list[Node], list[Step]]:
    """The nodes of the tensor's graph in the order of the backward pass, leaves last, and the steps
    that tell of them."""
    root = edge_of(tensor, "explain")[0]
    names.tensors.setdefault(tensor._edge[:2], tensor)  # type: ignore[index]
    latest: list[Any] = sorted(nodes_below([root]), key=attrgetter("number"), reverse=True)
    nodes = sorted(latest, key=lambda node: type(node) is Leaf)
    numbers = {node: i for i, node in enumerate(nodes, start=1)}
    shapes: dict[Any, tuple[int, ...]] = {}
    steps = []
    for node in nodes:
        inputs = []
        for edge in node.edges:
            if edge is not None:
                shapes[edge[:2]] = edge[2]
                inputs.append(Input(numbers[edge[0]], edge[1], edge[2]))
        noted = getattr(node, "noted", None)
        values = dict(enumerate(noted.values)) if noted else {}
        named = {}
        for i in range(node.outputs):
            place = node, i
            held = node.tensor() if type(node) is Leaf else names.tensors.get(place)
            if i not in values and held is not None:
                values[i] = Quantity(held._array)
            if place in names.places:
                named[i] = names.places[place]
        steps.append(
            Step(
                number=numbers[node],
                operation="leaf" if type(node) is Leaf else type(node).__name__,
                names=named,
                formula=_formula(type(node)),
                outputs=[
                    values[i].shape if i in values else shapes.get((node, i), ())
                    for i in range(node.outputs)
                ],
                values=values,
                inputs=inputs,
                constants=names.constants(node),
                module=noted.module if noted else "",
                line=noted.line if noted else "",
            )
        )
    return nodes, steps


def _formula(kind: type) -> str:
    """The docstring of an operation, its own or the one that it inherits."""
    for base in kind.__mro__[: kind.__mro__.index(Function)] if kind is not Leaf else ():
        if base.__doc__:
            return cleandoc(base.__doc__)
    return ""
