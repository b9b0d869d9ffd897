"""`explain(loss)`: the backward pass of a model, told step by step, as text and as a picture.

`read` turns the graph into steps, in the order in which the engine runs them; `explain` runs the
pass and notes what arrives at each step and what it hands on; `fold` joins the steps of a module.
Look first at `Step`, then at `explain`.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import cleandoc
from itertools import takewhile
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np

from tinyattn.autograd import engine
from tinyattn.autograd.frontend import roots_of
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import as_array
from tinyattn.autograd.modes import source_line, state, watching
from tinyattn.autograd.paths import nodes_below
from tinyattn.autograd.saved import FREED
from tinyattn.autograd.storage import Leaf, Node, Tensor, TensorBase, edge_of
from tinyattn.kernels.recording import refuse
from tinyattn.nn.module import Module

EARLIER = "earlier steps"
MANY = 4  # uses, up to which each has a line of its own
SHOWN = 12  # elements of an array that are told one by one
MOST, FEWEST = 300, 8  # steps that are told and drawn one by one; more of them are folded by module


class Quantity:
    """What is told of an array: its shape, its norm (the root of the sum of its squares), its range
    and, of a small one, every element."""

    @np.errstate(over="ignore")
    def __init__(self, array: Any) -> None:
        array = np.asarray(array)
        self.shape = array.shape
        self.elements = array.tolist() if array.size <= SHOWN else None
        numbers = array.astype(np.float64).reshape(-1)
        finite = numbers[np.isfinite(numbers)]
        self.bad = numbers.size - finite.size
        self.norm = float(np.sqrt(np.sum(numbers * numbers)))
        self.low = float(finite.min()) if finite.size else 0.0  # of the finite ones
        self.high = float(finite.max()) if finite.size else 0.0

    def __str__(self) -> str:
        if self.elements is not None:
            return _listed(self.elements)
        bad = f", {self.bad} not finite" if self.bad else ""
        return f"norm {_number(self.norm)}, from {_number(self.low)} to {_number(self.high)}{bad}"

    def short(self) -> str:
        """At most about twenty characters, for a picture."""
        told = str(self)
        return told if len(told) <= 22 and self.elements is not None else f"|{_number(self.norm)}|"


@dataclass
class Input:
    """An input of a step that has a gradient: `step` made it, as its output `output`. `handed` is
    the gradient that the step hands on to it, as its backward gives it; `summed` are the axes over
    which the engine then adds it up, because the input was broadcast along them. A folded step may
    hand on to it several `times`; then `handed` is the largest of these gradients."""

    step: int
    output: int
    shape: tuple[int, ...]
    handed: Quantity | None = None
    summed: tuple[int, ...] = ()
    times: int = 1


@dataclass
class Step:
    """A step of the backward pass.

    operation: the class of the operation; "leaf" where the gradient stays, in `.grad`; of a folded
        step, the module.
    names: the variables of the program that hold the results, or the name of the parameter, by the
        number of the result.
    formula: the docstring of the operation; of a folded step, what is in it.
    outputs: the shape of each result; values: what it was, where that is known.
    arrived: the gradient of each result, None where none arrived.
    inputs: what it hands its gradients on to; constants: its inputs that have no gradient, by name,
        where a variable of the program holds them.
    module, line: where the operation ran, if that was watched.
    holds: of a folded step, how often each operation is in it.
    """

    number: int
    operation: str
    names: dict[int, str]
    formula: str
    outputs: list[tuple[int, ...]]
    values: dict[int, Quantity]
    inputs: list[Input]
    constants: dict[str, Quantity]
    module: str = ""
    line: str = ""
    arrived: list[Quantity | None] = field(default_factory=list)
    holds: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return ", ".join(self.names.values())

    @property
    def title(self) -> str:
        if self.operation == "leaf":
            return self.name or "a leaf"
        return f"{self.name} = {self.operation}" if self.names else self.operation


class Explanation:
    """A backward pass, told. `print` gives the text, a notebook shows the graph and steps through
    it, and `save(path)` writes it to a file whose name ends in .txt, .svg or .html.

    `steps` are all of them; `told` are those that are printed and drawn, in which large graphs are
    folded. `note` says what is left out.
    """

    def __init__(self, steps: list[Step], title: str) -> None:
        self.steps = steps
        self.told, self.note = fold(steps)
        self.title = title

    def __str__(self) -> str:
        seen: dict[str, int] = {}
        parts = [_text(step, self.told, seen) for step in self.told]
        note = [self.note] if self.note else []
        return "\n\n".join([self.title, *parts, *note])

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        from tinyattn.viz.boxes import draw

        return draw(boxes(self.told, backward=True), self.title, backward=True)

    def _repr_html_(self) -> str:
        from tinyattn.viz.stepping import Section, fragment

        sections = []
        for step in self.told:
            parts = [f"in {step.module}" if step.module else "", step.line]
            facts = list(facts_of(step, self.told))
            title = f"Step {step.number}. {step.title}"
            sections.append(Section(title, ", at ".join(filter(None, parts)), step.formula, facts))
        about = "Each step gets the gradient of its result and hands on a gradient to each input."
        return fragment(self._repr_svg_(), Section(self.title, self.note or about), sections)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the text (.txt), the picture (.svg) or the picture that steps (.html)."""
        from tinyattn.viz.picture import write
        from tinyattn.viz.stepping import page

        told = page(self.title, self._repr_html_())
        write(path, {".svg": self._repr_svg_(), ".txt": f"{self}\n", ".html": told})


class Watch(watching):
    """Inside a `with` block, every operation notes its results, its source line and its module, for
    `explain`."""

    def __init__(self) -> None:
        super().__init__(_note)


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


# What is known of the forward


@dataclass
class _Noted:
    """What a node notes of its forward, under `with explain():`."""

    values: list[Quantity]
    line: str
    module: str


def _note(node: Any, inputs: Any, options: Any, outputs: tuple[Any, ...]) -> None:
    if any(node.edges):
        node.noted = _Noted([Quantity(out) for out in outputs], _place(source_line()), _module())


def _place(line: str) -> str:
    """The source line, with the file's name instead of its whole path. In a notebook, a cell is a
    file whose name says nothing."""
    path, colon, rest = line.partition(".py:")
    if "ipykernel_" in path:
        return f"line {rest}"
    return f"{Path(path).name}.py:{rest}" if colon else line


def _module() -> str:
    """The module that runs, named from the outermost one: the class of that, then attributes."""
    frame: Any = sys._getframe(1)
    outer = inner = None
    while frame is not None:
        code = frame.f_code
        if code.co_name == "forward" and code.co_argcount:
            owner = frame.f_locals.get(code.co_varnames[0])
            if isinstance(owner, Module):
                outer, inner = owner, inner or owner
        frame = frame.f_back
    if outer is None:
        return ""
    path = next((name for name, module in outer.named_modules() if module is inner), "")
    return ".".join([type(outer).__name__, *path.split(".")] if path else [type(outer).__name__])


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
    found: list[Any] = sorted(nodes_below([root]), key=attrgetter("number"), reverse=True)
    nodes = [n for n in found if type(n) is not Leaf] + [n for n in found if type(n) is Leaf]
    numbers = {node: i for i, node in enumerate(nodes, start=1)}
    shapes: dict[Any, tuple[int, ...]] = {tensor._edge[:2]: tensor._array.shape}  # type: ignore[index]
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


# Folding


def fold(steps: list[Step]) -> tuple[list[Step], str]:
    """The steps that are told, about MOST of them, and what is folded. The modules that are folded
    are as small as they can be; where hardly anything would be left, as of one long loop, the
    earlier steps are folded instead: those that the backward pass reaches last."""
    if len(steps) <= MOST:
        return steps, ""
    modules = [step.module.split(".") if step.module else [] for step in steps]
    for depth in range(max(map(len, modules)), 0, -1):
        folded = _joined(steps, _groups(steps, [".".join(path[:depth]) for path in modules]))
        if FEWEST <= len(folded) <= MOST:
            return folded, f"{len(steps)} steps are folded by module into {len(folded)}."
    shown = max(MOST - 1 - sum(step.operation == "leaf" for step in steps), FEWEST)
    folded = _joined(steps, _groups(steps, [""] * shown + [EARLIER] * (len(steps) - shown)))
    hint = "" if any(modules) else " Under `with ta.explain():` they may be folded by module."
    return folded, f"{len(steps)} steps; the earlier ones are folded into one.{hint}"


def _groups(steps: list[Step], names: list[str]) -> list[int]:
    """For each step the number of its group: operations in a row that have the same name, and the
    leaves that only they use. An operation without a name is a group of its own."""
    groups: list[int] = []
    users: dict[int, set[int]] = {}
    named = [""]  # the name of each group
    for step, name in zip(steps, names, strict=True):
        using = users.get(step.number, set())
        if step.operation == "leaf":
            inside = len(using) == 1 and named[min(using)]
            named += [] if inside else [""]
            groups.append(min(using) if inside else len(named) - 1)
            continue
        if not name or name != named[-1]:
            named.append(name)
        groups.append(len(named) - 1)
        for to in step.inputs:
            users.setdefault(to.step, set()).add(groups[-1])
    return groups


def _joined(steps: list[Step], groups: list[int]) -> list[Step]:
    """A step for each group. What stays inside a group is not told."""
    members: dict[int, list[Step]] = {}
    for step, group in zip(steps, groups, strict=True):
        members.setdefault(group, []).append(step)
    numbers = {group: i for i, group in enumerate(members, start=1)}
    seen_outside = {groups[0]: [(steps[0].number, 0)]}
    for step, group in zip(steps, groups, strict=True):
        for to in step.inputs:
            places = seen_outside.setdefault(groups[to.step - 1], [])
            if groups[to.step - 1] != group and (to.step, to.output) not in places:
                places.append((to.step, to.output))
    folded = []
    for group, inside in members.items():
        inputs = []
        for to in (to for step in inside for to in step.inputs):
            at = groups[to.step - 1]
            if at != group:
                place = seen_outside[at].index((to.step, to.output))
                output = place if len(members[at]) > 1 else to.output
                inputs.append(replace(to, step=numbers[at], output=output))
        if len(inside) == 1:
            folded.append(replace(inside[0], number=numbers[group], inputs=inputs))
            continue
        holds = Counter(step.operation for step in inside)
        outputs = [(steps[n - 1], i) for n, i in seen_outside.get(group, ())]
        values = {k: s.values[i] for k, (s, i) in enumerate(outputs) if i in s.values}
        constants = {name: q for step in inside for name, q in step.constants.items()}
        paths = sorted(step.module.split(".") for step in inside if step.operation != "leaf")
        both = zip(paths[0], paths[-1], strict=False)
        common = [a for a, _ in takewhile(lambda names: names[0] == names[1], both)]
        folded.append(
            Step(
                number=numbers[group],
                operation=".".join(common) or EARLIER,
                names={},
                formula=", ".join(f"{n} {operation}" for operation, n in holds.items()),
                outputs=[step.outputs[i] for step, i in outputs],
                values=values,
                inputs=_merged(inputs),
                constants=constants,
                arrived=[step.arrived[i] if step.arrived else None for step, i in outputs],
                holds=holds,
            )
        )
    return folded


def _merged(inputs: list[Input]) -> list[Input]:
    """One input for each place. The largest gradient stands for those that are handed on there."""
    places: dict[tuple[int, int], list[Input]] = {}
    for to in inputs:
        places.setdefault((to.step, to.output), []).append(to)
    return [
        replace(max(same, key=lambda to: to.handed.norm if to.handed else -1.0), times=len(same))
        for same in places.values()
    ]


# Text


def _text(step: Step, steps: list[Step], seen: dict[str, int]) -> str:
    """The lines of one step. `seen` holds the step that has told a formula."""
    where = f", at {step.line}" if step.line else ""
    inside = f", in {step.module}" if step.module else ""
    leaf = ", a leaf" if step.operation == "leaf" and step.names else ""
    lines = [f"Step {step.number}. {step.title}{leaf}{inside}{where}"]
    first = seen.setdefault(step.formula, step.number)
    formula = step.formula if first == step.number else f"as in step {first}" * bool(step.formula)
    lines += [f"    {line}".rstrip() for line in formula.splitlines()]
    facts = list(facts_of(step, steps))
    wide = max((len(name) for name, _ in facts), default=0)
    return "\n".join([*lines, *(f"    {name:{wide}}  {told}" for name, told in facts)])


def facts_of(step: Step, steps: list[Step]) -> Iterator[tuple[str, str]]:
    """What is known of a step, in pairs of a short name and what is told under it."""
    for i, shape in enumerate(step.outputs):
        of = f" {i}" if len(step.outputs) > 1 else ""
        if i in step.values:
            yield f"value{of}", _shaped(shape, step.values[i])
        elif shape:
            yield f"shape{of}", _shape(shape)
    for i, grad in enumerate(step.arrived):
        of = f" {i}" if len(step.outputs) > 1 else ""
        terms = [
            to
            for user in steps
            for to in user.inputs
            if (to.step, to.output) == (step.number, i) and to.handed is not None
        ]
        told = "nothing" if grad is None else _shaped(step.outputs[i], grad)
        count = sum(term.times for term in terms)
        if 1 < count == len(terms) and all(term.shape == () for term in terms):
            told += " = " + " + ".join(str(term.handed) for term in terms)
        elif count > 1:
            told += f", the sum of {count}"
        yield f"arrives{of}", told
    for to in step.inputs:
        told = "nothing" if to.handed is None else _shaped(to.handed.shape, to.handed)
        if to.summed:
            axes = ", ".join(map(str, to.summed))
            told += f", then summed over axis {axes} to {_shape(to.shape)}"
        if to.times > 1:
            told += f", the largest of {to.times}"
        yield f"to {_called(steps[to.step - 1], to.output)}", told
    for name, constant in step.constants.items():
        yield f"constant {name}", _shaped(constant.shape, constant)


def _called(step: Step, output: int) -> str:
    return step.names.get(output) or f"{step.operation}, step {step.number}"


def _shaped(shape: tuple[int, ...], quantity: Quantity) -> str:
    return f"{_shape(shape)} {quantity}" if shape else str(quantity)


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_listed, value))}]"
    return str(value) if isinstance(value, bool) else _number(value)


def _number(x: float) -> str:
    return f"{x:.4g}"


# The picture


def boxes(steps: list[Step], backward: bool) -> list[Any]:
    """A box for each step, and one for each constant that has a name. What more than MANY steps use
    has a line from the last of them in this order only; the others have a box that names it."""
    from tinyattn.viz.boxes import Box, Line

    left = Counter(to.step for step in steps for to in step.inputs)  # uses that are still to come
    many = {number for number, uses in left.items() if uses > MANY}
    norms = [to.handed.norm for step in steps for to in step.inputs if to.handed is not None]
    largest = max((n for n in norms if np.isfinite(n)), default=0.0)
    drawn: list[Box] = []
    ends: list[Box] = []

    def end(kind: str, text: list[str], step: int) -> int:
        ends.append(Box(len(steps) + len(ends) + 1, kind, text, step=step))
        return ends[-1].key

    for step in steps:
        leaf = step.operation == "leaf"
        kind = "leaf" if leaf else "result" if step.number == 1 else "module" if step.holds else ""
        box = Box(step.number, kind or "operation", _labels(step, backward), step=step.number)
        (ends if leaf else drawn).append(box)
        for to in step.inputs:
            key, source = to.step, steps[to.step - 1]
            left[key] -= 1
            if key in many and left[key] and source.operation == "leaf":
                key = end("leaf", _labels(source, backward), to.step)
            elif key in many and left[key]:
                key = end("reference", [_cut(source.title), f"step {to.step}"], to.step)
            strength = _strength(to.handed.norm, largest) if to.handed is not None else None
            box.lines_in.append(Line(key, _label(to, backward), strength))
        for name, constant in step.constants.items():
            text = [name, _shape(constant.shape) if constant.shape else str(constant)]
            box.lines_in.append(Line(end("constant", text, 0)))
    return drawn + ends


def _label(to: Input, backward: bool) -> str:
    if not backward:
        return _shape(to.shape) if to.shape else ""
    if to.handed is None:
        return "nothing"
    summed = f" {_shape(to.handed.shape)} → {_shape(to.shape)}" if to.summed else ""
    return (f"{to.times} up to " if to.times > 1 else "") + to.handed.short() + summed


def _strength(norm: float, largest: float) -> float:
    """How thick a line is: 1 for the largest gradient, 0 for one that is 10^-4 of it or less."""
    if not norm or not largest or not np.isfinite(norm):
        return 0.0
    return float(min(1.0, max(0.0, 1 + np.log10(norm / largest) / 4)))


def _labels(step: Step, backward: bool) -> list[str]:
    lines = [_cut(step.title)]
    if step.holds:
        lines.append(f"{sum(step.holds.values())} steps")
    told = backward or step.operation == "leaf" or step.number == 1  # else the lines have the shape
    for i, shape in enumerate(step.outputs[:3]):
        small = step.values[i].short() if i in step.values else ""
        shown = _shape(shape) if shape and told else ""
        lines.append(f"{shown} {'' if small.startswith('|') else small}".strip())
        if backward and i < len(step.arrived):
            grad = step.arrived[i]
            lines.append("no gradient" if grad is None else f"grad {grad.short()}")
    return [line for line in lines if line]


def _cut(name: str) -> str:
    """A long name of a parameter or a module without its beginning."""
    return name if len(name) <= 28 else f"…{name[-27:]}"
