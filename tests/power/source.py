"""A Python file taken apart by `ast`, and what a fault is: a text patch with a name."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A gradient is an array, a tuple of them, or one that is not computed yet.
TIMES = """

def _times(factor, grad):
    from tinyattn.autograd.gradients import as_array
    if isinstance(grad, (tuple, list)):
        return tuple(_times(factor, g) for g in grad)
    return grad if grad is None else factor * as_array(grad)
"""
# Any result, changed.
WRONG = """

def _wrong(value):
    import numpy as np
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, int | np.integer):
        return value + 1
    if isinstance(value, str):
        return value + "?"
    if isinstance(value, list | tuple):
        named = hasattr(value, "_fields")
        return type(value)(*map(_wrong, value)) if named else type(value)(map(_wrong, value or [0]))
    kind = np.dtype(getattr(value, "dtype", type(value))).kind
    if kind == "f":
        return value * 1.01 + 0.01
    return value + 1 if kind == "i" else ~value if kind == "b" else None
"""
HELPERS = {"_times(": TIMES, "_wrong(": WRONG}

ATTRIBUTE = "another attribute"  # a fault of this kind changes no function, but a class


@dataclass(frozen=True)
class Mutant:
    """`old`, at the bytes [start, end) of a file, becomes `new`."""

    path: str
    where: str  # the function, after its class
    line: int
    fault: str
    old: str
    new: str
    start: int
    end: int
    entries: tuple[str, ...] = ()  # the kernels that run this code

    @property
    def name(self) -> str:
        """The full name of the function; "C.name" for one in C."""
        if self.path.endswith(".py"):
            return f"{self.path.removesuffix('.py').replace('/', '.')}.{self.where}"
        return f"C.{self.where}"

    @property
    def text(self) -> str:
        """What is wrong, without line numbers: changes elsewhere in the file keep it."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.fault}: {old} -> {new}"

    def __str__(self) -> str:
        return f"{self.path} {self.where}: {self.text}"

    def apply(self, source: bytes) -> bytes:
        patched = source[: self.start] + self.new.encode() + source[self.end :]
        return patched + self.helper.encode()

    @property
    def helper(self) -> str:
        """The function that the new code calls."""
        return "".join(text for call, text in HELPERS.items() if call in self.new)


class Python:
    """One Python file: its text, its functions, and which of them call which."""

    def __init__(self, root: Path, path: str) -> None:
        self.path, self.source = path, (root / path).read_bytes()
        self.tree = ast.parse(self.source)
        lines = self.source.split(b"\n")
        self.starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
        self.parents = {c: n for n in ast.walk(self.tree) for c in ast.iter_child_nodes(n)}
        self.functions = {n.name: n for n in self.tree.body if isinstance(n, ast.FunctionDef)}
        self.classes = {n.name: n for n in self.tree.body if isinstance(n, ast.ClassDef)}

    def span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end].decode()

    def mutant(
        self, where: str, node: ast.AST, fault: str, new: str, entries: tuple = ()
    ) -> Mutant:
        start, end = self.span(node)
        if isinstance(node, ast.Constant | ast.UnaryOp):  # which alone says little
            parent = self.parents[node]
            while isinstance(parent, ast.keyword | ast.Slice | ast.UnaryOp | ast.Tuple):
                node, parent = parent, self.parents[parent]
            if isinstance(parent, ast.expr | ast.Assign | ast.AugAssign | ast.Return):
                whole = self.span(parent)
                left, right = self.source[whole[0] : start], self.source[end : whole[1]]
                new, node = left.decode() + new + right.decode(), parent
                start, end = whole
        line = self.source[:start].count(b"\n") + 1
        old = self.source[start:end].decode()
        return Mutant(self.path, where, line, fault, old, new, start, end, entries)

    def attribute(self, owner: str, row: ast.Assign, new: str) -> Mutant:
        """Another value of the attributes of a class that `row` sets."""
        (start, end), line = self.span(row), row.lineno
        old = self.text(row)
        new = f"{' = '.join(map(self.text, row.targets))} = {new}"
        return Mutant(self.path, f"{owner}.forward", line, ATTRIBUTE, old, new, start, end)

    def outermost(self) -> Iterator[tuple[str, ast.FunctionDef | ast.Lambda]]:
        """The functions that stand in no other, with their full names."""

        def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, Any]]:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.FunctionDef):
                    yield prefix + child.name, child
                elif isinstance(child, ast.Lambda):
                    yield prefix + "<lambda>", child
                else:
                    name = f"{child.name}." if isinstance(child, ast.ClassDef) else ""
                    yield from below(child, prefix + name)

        return below(self.tree, "")

    def named(self, name: str) -> dict[str, ast.FunctionDef]:
        """The function of this name, or the methods of the class of this name."""
        found = {f"{c}.{m.name}": m for c, node in self.classes.items() for m in methods(node)}
        found |= self.functions
        return {k: f for k, f in found.items() if k == name or k.startswith(f"{name}.")}

    def used(self) -> set[str]:
        """The attributes that methods other than forward use."""
        methods = [m for node in self.classes.values() for m in node.body]
        backward = [m for m in methods if isinstance(m, ast.FunctionDef) and m.name != "forward"]
        return {n.attr for m in backward for n in ast.walk(m) if isinstance(n, ast.Attribute)}

    def reached(self, entry: ast.FunctionDef) -> dict[str, ast.FunctionDef]:
        """The functions of this file that `entry` runs, itself among them."""
        found, waiting = {}, [entry]
        while waiting:
            function = waiting.pop()
            if function.name not in found:
                found[function.name] = function
                names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
                waiting += [self.functions[name] for name in names & self.functions.keys()]
        return found


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [m for m in node.body if isinstance(m, ast.FunctionDef)]
