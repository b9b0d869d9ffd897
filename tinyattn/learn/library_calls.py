"""Which lines of a student's file use a library that knows the answer.

It reads the text of the file: what is hidden on purpose is not found.
"""

import ast
from pathlib import Path

KNOWING = {"tinyattn", "torch", "jax", "tensorflow", "scipy", "autograd", "sklearn"}
HIDING = {"__import__", "eval", "exec", "importlib"}


def library_calls(path: Path) -> list[str]:
    """ "line 12: F.softmax", for each use; [] for a file that is not Python."""
    if path.suffix != ".py":
        return []
    tree = ast.parse(path.read_bytes())  # the file says its encoding
    names: set[str] = set(HIDING)
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in KNOWING:
                    names.add(alias.asname or alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in KNOWING:
            names |= {alias.asname or alias.name for alias in node.names}
            whole = node.names[0].name == "*"  # what it brings is not known
            if whole or (node.module or "").startswith("tinyattn.learn"):
                found.append((node.lineno, ast.unparse(node)))
    inside = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }  # F in F.softmax
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inside:
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in names:
                found.append((node.lineno, ast.unparse(node)))
    return [f"line {line}: {text}" for line, text in sorted(set(found))]
