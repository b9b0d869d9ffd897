"""The floors of docs/design.md: a file imports from its own floor and those below, and no two files
import each other. Imports for type checkers only (`if TYPE_CHECKING:`) do not count."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A name stands for itself and all that it contains; the longest one that fits counts.
FLOORS = {
    "tinyattn.kernels": 1,
    "tinyattn.autograd": 2,
    "tinyattn.ops": 3,
    "tinyattn.compat": 3,
    "tinyattn._tensor": 4,
    "tinyattn.nn": 5,
    "tinyattn.nn.parallel": 6,
    "tinyattn.learn": 7,
    "tinyattn": 6,
    "examples": 8,
    "benchmarks": 8,
    "lessons": 8,
}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("tinyattn", "examples", "benchmarks", "lessons")
    for path in (ROOT / folder).rglob("*.py")
}
# The front door has no floor: it imports all of the package, and programs import it.
FRONT = "tinyattn"
# Names that old programs use, and hints for those that are missing: imported when first asked for.
LATE = {
    ("tinyattn.autograd", "tinyattn.compat.legacy"),
    ("tinyattn.autograd", "tinyattn.compat.missing"),
}


def floor(module: str) -> int:
    names = [name for name in FLOORS if f"{module}.".startswith(f"{name}.")]
    return FLOORS[max(names, key=len)]


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imports(node)
        else:
            for other in node.orelse:
                yield from imports(ast.Module([other], []))


def imported(module: str) -> set[str]:
    """The files of the project that the file of this module imports."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        source = node.module or ""
        if node.level:
            above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            source = f"{above}.{source}".rstrip(".")
        inside = {f"{source}.{alias.name}" for alias in node.names}
        found |= (inside & FILES.keys()) or {source}
    return (found & FILES.keys()) - {module}


IMPORTS = {module: imported(module) for module in FILES}


@pytest.mark.parametrize("module", sorted(FILES.keys() - {FRONT}))
def test_no_file_imports_from_a_floor_above_its_own(module: str) -> None:
    above = {other for other in IMPORTS[module] - {FRONT} if floor(other) > floor(module)}
    assert not {other for other in above if (module, other) not in LATE}


def test_no_two_files_import_each_other() -> None:
    pairs = {(a, b) for a in IMPORTS for b in IMPORTS[a] if a < b and a in IMPORTS[b]}
    assert not pairs


def test_only_programs_import_the_front_door() -> None:
    inside = {module for module in FILES if FRONT in IMPORTS[module] and floor(module) < 8}
    assert inside <= {"tinyattn.__main__"}
