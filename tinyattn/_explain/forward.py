"""What a node notes of its forward, under `with explain():`: values, source line, module."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyattn._explain.step import Quantity
from tinyattn.autograd.modes import source_line, watching
from tinyattn.nn.module import Module


class Watch(watching):
    """Inside a `with` block, every operation notes its results, its source line and its module, for
    `explain`."""

    def __init__(self) -> None:
        super().__init__(note)


@dataclass
class Noted:
    """What a node notes of its forward, under `with explain():`."""

    values: list[Quantity]
    line: str
    module: str


def note(node: Any, inputs: Any, options: Any, outputs: tuple[Any, ...]) -> None:
    if any(node.edges):
        node.noted = Noted([Quantity(out) for out in outputs], _place(source_line()), _module())


def _place(line: str) -> str:
    """The source line, with the file's name instead of its whole path. In a notebook, a cell is a
    file whose name says nothing."""
    path, colon, rest = line.partition(".py:")
    if "ipykernel_" in path:
        return f"line {rest}"
    return f"{Path(path).name}.py:{rest}" if colon else line


def _module() -> str:
    """The module that runs, named from the outermost one: the class of that, then attributes."""
    frame: Any = sys._getframe()
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
