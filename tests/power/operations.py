"""Every operation of the package, found by importing all modules: `operations()`.

It is a program of its own, because the process that tries faults must not have imported tinyattn.
"""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path


def subclasses(cls: type) -> set[type]:
    """The classes that are built on `cls`, directly or not."""
    direct = set(cls.__subclasses__())
    return direct.union(*map(subclasses, direct))


def operations(root: Path) -> dict[str, list[str]]:
    """The names of all subclasses of Function, by file. RuntimeError for a class in a function."""
    program = [sys.executable, "-m", "tests.power.operations"]
    found: dict[str, list[str]] = json.loads(subprocess.check_output(program, cwd=root))
    for path, names in found.items():
        for name in names:
            if "<locals>" in name:
                raise RuntimeError(f"{path}: {name} must stand at the margin, to be given faults")
    return found


def main() -> None:
    import tinyattn
    from tinyattn.autograd.function import Function

    for module in pkgutil.walk_packages(tinyattn.__path__, "tinyattn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    root = Path(tinyattn.__file__).parent.parent
    found: dict[str, list[str]] = {}
    for cls in subclasses(Function):
        if cls.__module__.startswith("tinyattn."):
            path = Path(inspect.getfile(cls)).relative_to(root)
            found.setdefault(str(path), []).append(cls.__qualname__)
    print(json.dumps({path: sorted(names) for path, names in sorted(found.items())}))


if __name__ == "__main__":
    main()
