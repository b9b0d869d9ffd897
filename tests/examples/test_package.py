"""The package around the translator: what its files may import from each other."""

import ast
import re

import translator

from .program import PROGRAM

FOLDER = PROGRAM.parent / "translator"


def imported(name: str) -> set[str]:
    """The files of the package that a file imports from."""
    nodes = ast.walk(ast.parse((FOLDER / name).read_text(encoding="utf-8")))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {f"{m.removeprefix('translator.')}.py" for m in modules if m.startswith("translator.")}


def test_files_import_only_from_those_listed_above_them() -> None:
    listed = re.findall(r"^    (\w+\.py) ", translator.__doc__ or "", re.M)
    assert set(listed) == {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}
    for place, name in enumerate(listed):
        assert imported(name) <= set(listed[:place]), name


def test_the_program_is_the_command_line_and_nothing_else() -> None:
    text = PROGRAM.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert names == {"main"}
