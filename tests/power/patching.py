"""A fault put into a running process: functions get the code that the changed file has for them.

Nothing is imported again, so a fork of a process that has collected the tests can try a fault at
once. Look first at `Process.patch`.
"""

import ast
import gc
import re
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.power.source import ATTRIBUTE, Mutant

Place = tuple[str, str, int]  # a file, the full name of a function, its first line
Key = tuple[str, int]  # a function's full name and first line; lambdas may share both
Codes = dict[Key, list[CodeType]]


class Process:
    """The functions of the package that this process holds, by where they stand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources: dict[str, tuple[bytes, Codes]] = {}
        self.live: dict[Place, list[FunctionType]] = {}
        for function in gc.get_objects():
            if type(function) is FunctionType and (place := self.place(function.__code__)):
                self.live.setdefault(place, []).append(function)

    def place(self, code: CodeType) -> Place | None:
        """Where the code stands; None outside the package."""
        name = code.co_filename
        if not name.startswith(f"{self.root}/tinyattn/"):
            return None
        return name.removeprefix(f"{self.root}/"), code.co_qualname, code.co_firstlineno

    def module(self, path: str) -> ModuleType:
        return sys.modules[module_name(path)]

    @cache  # noqa: B019 - a process has one, and the forks use what it has found
    def changes(self, mutant: Mutant) -> list[tuple[Place, CodeType, CodeType]]:
        """The functions whose code changes: where they stand, the old code and the new."""
        if mutant.path not in self.sources:
            source = (self.root / mutant.path).read_bytes()
            self.sources[mutant.path] = source, codes(source)
        source, before = self.sources[mutant.path]
        after = codes(mutant.apply(source), before)
        return [
            ((mutant.path, *key), old, new)
            for key, olds in before.items()
            for old, new in zip(olds, after.get(key, ()), strict=False)
            if (mutant.path, *key) in self.live and old != new
        ]

    def places(self, mutant: Mutant) -> list[Place]:
        """The functions that a test must run to see the fault; none, if no test can."""
        if not mutant.old:
            place = self.place(self.inherited(mutant).__code__)
            return [place] if place else []
        if mutant.fault == "another default":
            return [p for p in self.live if p[:2] == (mutant.path, mutant.where)]
        if mutant.fault == ATTRIBUTE:
            owner, names, _ = self.attribute(mutant)
            where = "forward" if "gradient" not in names else "backward"
            place = self.place(getattr(owner, where).__code__)
            return [place] if place else []
        return [place for place, _, _ in self.changes(mutant)]

    def attribute(self, mutant: Mutant) -> tuple[type, list[str], object]:
        """A class, names of attributes, and the value that they get."""
        *names, value = mutant.new.split(" = ")
        owner = getattr(self.module(mutant.path), mutant.where.partition(".")[0])
        return owner, names, ast.literal_eval(value)

    def inherited(self, mutant: Mutant) -> FunctionType:
        """The method that a fault overrides by another one."""
        owner, _, name = mutant.where.rpartition(".")
        found = getattr(getattr(self.module(mutant.path), owner), name)
        assert isinstance(found, FunctionType)
        return found

    def patch(self, mutant: Mutant) -> None:
        """Put the fault into this process."""
        names = vars(self.module(mutant.path))
        exec(mutant.helper, names)
        if not mutant.old:
            owner, _, name = mutant.where.rpartition(".")
            inherited, cls = self.inherited(mutant), names[owner]
            (call,) = re.findall(r"return (.*)", mutant.new)
            code = f"lambda self, *grads: {call}".replace("super().backward(", "_inherited(self, ")
            setattr(cls, name, eval(code, names | {"_inherited": inherited}))
            return
        if mutant.fault == ATTRIBUTE:
            cls, attributes, value = self.attribute(mutant)
            for name in attributes:
                setattr(cls, name, value)
            return
        if mutant.fault == "another default":
            (name,) = re.findall(r"^\w+", mutant.new)
            value = ast.literal_eval(mutant.new.rpartition("=")[2].strip())
            for place in self.places(mutant):
                for function in self.live[place]:
                    set_default(function, name, value)
            return
        for place, old, new in self.changes(mutant):
            for function in self.live[place]:
                if function.__code__ == old:
                    function.__code__ = new


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def codes(source: bytes, before: Codes | None = None) -> Codes:
    """All code of a file.

    A function takes only code with as many outer variables as it has. Where the code `before` a
    fault has some that the new code has lost, a statement that never runs names them again.
    """
    tree = ast.parse(source)
    found = compiled(tree)
    lost = {
        (name.rpartition(".")[2], line): names
        for (name, line), olds in (before or {}).items()
        for old, new in zip(olds, found.get((name, line), ()), strict=False)
        if (names := {*old.co_freevars} - {*new.co_freevars})
    }
    for node in ast.walk(tree) if lost else ():
        if isinstance(node, ast.FunctionDef):
            line = min(part.lineno for part in [node, *node.decorator_list])
            if names := lost.get((node.name, line)):
                node.body += ast.parse(f"if 0: {', '.join(names)}").body
    return compiled(tree) if lost else found


def compiled(tree: ast.Module) -> Codes:
    """The code of all functions of a file."""
    found: Codes = {}

    def add_below(code: CodeType) -> None:
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                key = inner.co_qualname, inner.co_firstlineno
                found.setdefault(key, []).append(inner)
                add_below(inner)

    add_below(compile(tree, "", "exec", dont_inherit=True))
    return found


def set_default(function: FunctionType, name: str, value: object) -> None:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    if name in names:
        defaults = list(function.__defaults__ or ())
        defaults[names.index(name) - len(names)] = value
        function.__defaults__ = tuple(defaults)
    else:
        function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), name: value}
