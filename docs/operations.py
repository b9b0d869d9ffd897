"""A page for each file of tinyattn/ops: every operation with its derivation, typeset, its code, and
the kernels that it calls in NumPy, Numba and C. Look first at `operation_pages`.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import tinyattn.ops
from docs.typeset import typeset
from tinyattn.autograd.function import Function
from tinyattn.kernels.reference import elementwise as reference
from tinyattn.kernels.table import STATEMENTS

FOLDERS = {"NumPy": "reference", "Numba": "jit", "C": "native"}
BACKENDS = {name: f"tinyattn/kernels/{folder}" for name, folder in FOLDERS.items()}
THROUGH = {  # functions of tinyattn/kernels that fold the axes for a kernel
    "sum_over": "sum",
    "moments_over": "moments",
    "magnitudes_over": "magnitudes",
    "cumsum_along": "cumsum",
}
SAME_IN_C = {"rms_norm": "layer_norm", "rms_norm_backward": "layer_norm_backward"}
FILES = {name: stem for stem, names in STATEMENTS.items() for name in names}  # of the kernels
INTRODUCTION = """# Operations

Every operation of tinyattn with the derivation of its gradient, its code, and the kernels that it
calls, three times over: in NumPy, which is the definition, in Numba and in C. In a derivation
$dx$ is the gradient $\\partial L/\\partial x$ that arrives at $x$ or leaves it.

```{toctree}
:maxdepth: 1

"""


def operation_pages(root: Path) -> dict[str, str]:
    """The pages by their names, for the sources of the site."""
    pages = {}
    for module in pkgutil.iter_modules(tinyattn.ops.__path__):
        name = module.name
        found = _operations(importlib.import_module(f"tinyattn.ops.{name}"))
        if found and not name.startswith("_"):
            title = f"# {name.replace('_', ' ').capitalize()}\n"
            parts = [title, f"The file is `tinyattn/ops/{name}.py`.\n"]
            pages[f"operations/{name}.md"] = "\n".join(parts + [_section(c, root) for c in found])
    listed = "\n".join(page.removesuffix(".md") for page in pages)
    return {"operations.md": f"{INTRODUCTION}{listed}\n```\n", **pages}


def _operations(module: ModuleType) -> list[type[Function]]:
    """The operations of a file that have a gradient of their own, in its order."""
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Function)]
    return [c for c in classes if c.__module__ == module.__name__ and c.__doc__]


def _section(operation: type[Function], root: Path) -> str:
    source = inspect.getsource(operation)
    body = re.sub(r'\n    """.*?"""\n+', "\n", source, count=1, flags=re.S)  # stands above it
    parts = [f"## {operation.__name__}\n", typeset(inspect.cleandoc(operation.__doc__ or ""))]
    if body.strip().count("\n"):
        parts.append(f"\n```python\n{body.strip()}\n```\n")
    parts += [_kernel(name, root) for name in _kernels(operation, source)]
    return "\n".join(parts) + "\n"


def _kernels(operation: type[Function], source: str) -> list[str]:
    """The kernels that an operation calls, in order; an elementwise one as "elementwise.NAME"."""
    named = [getattr(operation, attribute, None) for attribute in ("kernel", "gradient")]
    named += re.findall(r'\belementwise\(\s*"(\w+)"', source)
    table = _of_python(Path(reference.__file__))
    found = [f"elementwise.{name}" for name in named if isinstance(name, str) and name in table]
    calls = re.findall(r"\b(?:backend\(\)|kernels)\.(\w+)|\b(\w+_(?:over|along))\(", source)
    called = [name or THROUGH.get(through, "") for name, through in calls]
    found += [name for name in called if name in FILES and name != "elementwise"]
    return [*dict.fromkeys(found)]


def _kernel(name: str, root: Path) -> str:
    """A kernel in three languages, each behind a line that opens it."""
    own = name.rpartition(".")[2]
    stem = "elementwise" if "." in name else FILES[name]
    parts = [f"### The kernel {own}\n"]
    for backend, folder in BACKENDS.items():
        path = root / folder / f"{stem}.py"
        if f"{own} as {own}" in path.read_text(encoding="utf-8"):
            parts.append(f"{backend}: the NumPy function.\n")
            continue
        language = "python"
        if backend == "C":
            path, language = _file_of_c(root, stem, own), "c"
        code = _code(path, SAME_IN_C.get(own, own) if backend == "C" else own)
        parts.append(f"<details><summary>{backend}: {path.relative_to(root)}</summary>\n")
        parts.append(f"```{language}\n{code}\n```\n\n</details>\n")
    return "\n".join(parts)


def _file_of_c(root: Path, stem: str, name: str) -> Path:
    """The file of native/ that defines a kernel: mostly that of the same name."""
    if stem == "elementwise":
        return root / "native/elementwise.c"
    start = f"\nKERNEL({SAME_IN_C.get(name, name)})("
    for path in sorted((root / "native").glob("*.c")):
        if start in path.read_text(encoding="utf-8"):
            return path
    raise LookupError(f"native/: expected a definition of the kernel {name}, got none")


def _code(path: Path, name: str) -> str:
    """The definition of a kernel in a file, behind the helpers of the file that it uses."""
    definitions = _of_c(path) if path.suffix == ".c" else _of_python(path)
    reached: dict[str, None] = {}

    def reach(name: str) -> None:
        if name in definitions and name not in reached:
            reached[name] = None
            for word in re.findall(r"\w+", definitions[name]):
                if not definitions.get(word, '"').startswith(('"', "OPERATION")):  # an entry
                    reach(word)

    reach(name)
    return "\n\n".join(code for name, code in definitions.items() if name in reached)


@cache
def _of_python(path: Path) -> dict[str, str]:
    """The functions of a file by name, and the entries of its table OPERATIONS."""
    text = path.read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            first = min(part.lineno for part in [node, *node.decorator_list])
            found[node.name] = "\n".join(text.split("\n")[first - 1 : node.end_lineno])
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant):
                    found[str(key.value)] = f'"{key.value}": {ast.get_source_segment(text, value)}'
    return found


@cache
def _of_c(path: Path) -> dict[str, str]:
    """The definitions of a file by name; of elementwise.c also the lines of its operations."""
    found = _definitions(path.read_text(encoding="utf-8"))
    if path.stem == "elementwise":
        powers = path.with_name("elementwise_pow.h").read_text(encoding="utf-8")
        found |= _definitions(powers)
        for name in list(found):
            if name.startswith("loop_"):
                found[name.removeprefix("loop_")] = found.pop(name)
        operations = path.with_name("elementwise_operations.inc").read_text(encoding="utf-8")
        for line in operations.split("\n"):
            if match := re.match(r"OPERATION\(\d, (\w+),", line):
                found[match.group(1)] = line
    return found


def _definitions(text: str) -> dict[str, str]:
    """Functions, structures and constants of C, each with the comment above it. A definition ends
    with the line in which its last bracket is closed."""
    found: dict[str, str] = {}
    part: list[str] = []
    for line in re.sub(r"^#.*(?:\\\n.*)*\n", "\n", text, flags=re.M).split("\n"):
        if not part and not line.strip():
            continue
        part.append(line)
        code = re.sub(r"/\*.*?(\*/|\Z)", "", "\n".join(part), flags=re.S).strip()
        if not line.strip() and not code:
            part.clear()  # a comment that stands by itself
        if code.endswith((";", "}")) and code.count("{") == code.count("}"):
            found[_name(code)] = "\n".join(part)
            part.clear()
        elif re.fullmatch(r"[A-Z]+\([\w, ]+\)", code) and not code.startswith("KERNEL"):
            found[_name(code)] = "\n".join(part)  # ROUNDING(floor, floorf, floor)
            part.clear()
    return found


def _name(code: str) -> str:
    """What a definition of C defines."""
    before = re.split(r"\s=\s|\{", code)[0]
    named = re.findall(
        r"(?:FN2?|[A-Z]{6,})\((\w+)[^()]*\)(?=\(|\[|\s*$)|(\w+)\s*(?:\(|\[|;|$)", before
    )
    names = [a or b for a, b in named if (a or b) not in ("FN", "KERNEL")]
    return names[0] if names else before
