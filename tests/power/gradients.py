"""What can be wrong with a gradient in Python: in backwards, in kernels, in the engine.

A new operation or kernel gets its faults without a line here. Look first at `expression_faults`.
"""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.power.source import Mutant, Python

FACTORS = ("37", "1.001", "-1")
# Calls that keep the elements where they are: without them nothing, or only the shape, changes.
LAYOUT = {
    "reshape",
    "astype",
    "as_rows",
    "array",
    "asarray",
    "ascontiguousarray",
    "copy",
    "atleast_1d",
    "broadcast_to",
}
MADE = {"zeros", "zeros_like", "empty", "empty_like", "ones", "ones_like", "full", "arange"}
# How work is cut; and random numbers, which forward and backward draw alike, whatever they are.
SPARED = {"_blocks", "cut_of", "parts_of", "rows_below", "load_some", "store_some", "rows_per_task"}
SPARED |= {"philox", "kept", "drop", "drop_row", "_signed"}
OPPOSITE = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.GtE: "<", ast.Gt: "<=", ast.LtE: ">"
}  # fmt: skip


def spared(test: ast.expr) -> bool:
    """Conditions that save work or tell None from an array: not what a gradient is made of."""
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Attribute) and test.func.attr == "needs"
    if isinstance(test, ast.BoolOp):
        return any(spared(value) for value in test.values)
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is | ast.IsNot)


def expression_faults(file: Python, n: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """(what is replaced, the kind of fault, the replacement) at one node of a function."""

    def text(node: ast.AST) -> str:
        return f"({file.text(node)})"

    match n:
        case ast.BinOp(left=a, op=ast.Add() | ast.Sub(), right=b):
            minus = isinstance(n.op, ast.Sub)
            yield n, "dropped term", text(a)
            yield n, "dropped term", f"(-{text(b)})" if minus else text(b)
            yield n, "flipped sign", f"({text(a)} {'+' if minus else '-'} {text(b)})"
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            yield n, "dropped factor", text(a)
            yield n, "dropped factor", text(b)
        case ast.BinOp(left=a, op=ast.Div() | ast.Pow(), right=b):
            yield n, "dropped factor", text(a)
        case ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=a) if type(a) is not ast.Constant:
            yield n, "flipped sign", text(a)
        case ast.Compare(left=a, ops=[op], comparators=[b]) if type(op) in OPPOSITE:
            yield n, "wrong condition", f"({text(a)} {OPPOSITE[type(op)]} {text(b)})"
        case ast.IfExp(test=test, body=a, orelse=b) if not spared(test):
            yield n, "wrong branch", text(a)
            yield n, "wrong branch", text(b)
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, a, b]):
            for branch in (a, b):
                if not isinstance(branch, ast.Constant):
                    yield n, "mask ignored", text(branch)
        case ast.Call(args=[a, *_], keywords=options) if any(k.arg == "out" for k in options):
            for factor in FACTORS:
                yield a, f"factor {factor}", f"{factor} * {text(a)}"
        case ast.Call(func=ast.Attribute(value=ast.Name("np"), attr=name), args=[a, *_]):
            if name not in LAYOUT | MADE and not isinstance(a, ast.Starred):
                yield n, f"without {name}", text(a)
        case ast.Call(func=ast.Attribute(value=a, attr="swapaxes" | "transpose")):
            yield n, "without transposition", text(a)
        case ast.Call(func=ast.Attribute(value=a, attr="sum") as method):
            yield method, "mean for sum", f"{text(a)}.mean"
        case ast.Attribute(value=ast.Name("np"), attr="zeros_like"):
            yield n, "not zero", "np.ones_like"
        case ast.Subscript(value=a, slice=ast.Slice(step=ast.UnaryOp(op=ast.USub()))):
            yield n, "without reversal", text(a)
        case ast.List(elts=parts) | ast.Assign(targets=[ast.Tuple(elts=parts)]) if len(parts) > 1:
            if all(isinstance(part, ast.Name) for part in parts):
                names = [file.text(part) for part in parts]
                rest = f" = {file.text(n.value)}" if isinstance(n, ast.Assign) else ""
                for i in range(len(names) - 1):
                    new = ", ".join([*names[:i], names[i + 1], names[i], *names[i + 2 :]])
                    yield n, "swapped", f"[{new}]{rest}"
        case ast.Assign(targets=[ast.Subscript()], value=a) if not isinstance(a, ast.Constant):
            for factor in FACTORS:
                yield a, f"factor {factor}", f"{factor} * {text(a)}"
        case ast.AugAssign(target=a, op=ast.Add() | ast.Sub(), value=b):
            other = "-" if isinstance(n.op, ast.Add) else "+"
            yield n, "flipped sign", f"{file.text(a)} {other}= {text(b)}"
            yield n, "overwrites", f"{file.text(a)} = {text(b)}"
        case ast.AugAssign():
            yield n, "dropped", "pass"
        case ast.If(test=test) if not spared(test):
            yield test, "never", "False"
            yield test, "always", "True"
        case ast.For(iter=a):
            yield a, "first step lost", f"list({file.text(a)})[1:]"
            yield a, "last step lost", f"list({file.text(a)})[:-1]"


def body_faults(
    file: Python, function: ast.FunctionDef, where: str, entries: tuple[str, ...] = ()
) -> Iterator[Mutant]:
    for statement in function.body:
        yield from node_faults(file, statement, where, entries)


def node_faults(
    file: Python, whole: ast.AST, where: str, entries: tuple[str, ...] = ()
) -> Iterator[Mutant]:
    threads = {below for node in ast.walk(whole) if says_alone(node) for below in ast.walk(node)}
    for node in ast.walk(whole):
        for target, fault, new in () if node in threads else expression_faults(file, node):
            yield file.mutant(where, target, fault, new, entries)


def says_alone(node: ast.AST) -> bool:
    """`alone`, of a kernel: whether it runs on the thread of the caller. Results are the same."""
    match node:
        case ast.keyword(arg="alone") | ast.Assign(targets=[ast.Name("alone")]):
            return True
    return False


def return_faults(file: Python, function: ast.FunctionDef, where: str) -> Iterator[Mutant]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            value = node.value
            for part in value.elts if isinstance(value, ast.Tuple) else [value]:
                if not isinstance(part, ast.Constant) and "np.zeros" not in file.text(part):
                    for factor in FACTORS:
                        new = f"_times({factor}, {file.text(part)})"
                        yield file.mutant(where, part, f"factor {factor}", new)


def operation_faults(file: Python, name: str) -> list[Mutant]:
    """The faults of one subclass of Function; RuntimeError for an operation that has none."""
    node = file.classes[name]
    found = list(gradient_faults(file, name, node))
    if concrete(node) and not any(m.where.startswith(f"{name}.") for m in found):
        raise RuntimeError(f"{file.path}: no fault is known for the backward of {name}")
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "forward":
            found += value_faults(file, method, f"{name}.forward")
    return found


def gradient_faults(file: Python, name: str, node: ast.ClassDef) -> Iterator[Mutant]:
    """In backward, in what of this file backward calls, in what forward makes for it alone."""
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    where = f"{name}.backward"
    for call in ast.walk(methods.get("forward", ast.Pass())):
        if isinstance(call, ast.Call) and file.text(call.func) == "self.save":
            for made in [a for a in call.args if not isinstance(a, ast.Name | ast.IfExp)]:
                yield from node_faults(file, made, f"{name}.forward")
    for row in node.body:  # of the classes that are rows of a table
        if isinstance(row, ast.Assign) and "gradient" in map(file.text, row.targets):
            yield from node_faults(file, row.value, where)
    backward = methods.get("backward")
    if backward is None:
        if concrete(node) and "zeros_like" not in file.text(node):
            end, line = file.span(node)[1], node.end_lineno or 0
            for factor in FACTORS:
                new = "\n\n    def backward(self, *grads):\n"
                new += f"        return _times({factor}, super().backward(*grads))"
                yield Mutant(file.path, where, line, f"factor {factor}", "", new, end, end)
        elif not concrete(node):  # what the classes that are built on it share
            for method in sorted(methods.keys() & file.used()):
                yield from return_faults(file, methods[method], f"{name}.{method}")
                yield from body_faults(file, methods[method], f"{name}.{method}")
        return
    yield from return_faults(file, backward, where)
    called = {n.attr for n in ast.walk(backward) if isinstance(n, ast.Attribute)}
    for method in methods.keys() & called - {"forward"} | {"backward"}:
        yield from body_faults(file, methods[method], f"{name}.{method}")
    for helper, function in file.reached(backward).items():
        if helper in file.functions:
            yield from body_faults(file, function, helper)


def value_faults(file: Python, forward: ast.FunctionDef, where: str) -> Iterator[Mutant]:
    """What a forward gives, and how it gets there; what it saves has faults of its own."""
    for statement in forward.body:
        for node in () if "self.save" in file.text(statement) else ast.walk(statement):
            if isinstance(node, ast.Return) and node.value is not None:
                yield file.mutant(
                    where, node.value, "wrong result", f"_wrong({file.text(node.value)})"
                )
            if isinstance(node, ast.BinOp | ast.Compare):
                for target, fault, new in expression_faults(file, node):
                    yield file.mutant(where, target, fault, new)


# What an operation, or a base of several, says of itself beside what it computes.
SAID = {"keeps", "states", "unit_axis", "switches_off", "keeps_weights", "attends"}


@functools.cache
def settings() -> set[str]:
    """The class variables that Function declares."""
    function = Python(Path(__file__).parents[2], "tinyattn/autograd/function.py")
    rows = function.classes["Function"].body
    return {function.text(row.target) for row in rows if isinstance(row, ast.AnnAssign)}


def concrete(node: ast.ClassDef) -> bool:
    """Whether a class is an operation, and no base of some: it says what forward computes."""
    names = {t.id for n in node.body if isinstance(n, ast.Assign) for t in n.targets}
    methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    return bool(methods & {"forward"} or names - SAID - settings())


# The faults of a twin that computes no gradient. The tests of agreement compare all it gives.
OF_TWINS = {"factor 1.001", "flipped sign", "overwrites"}


def of_twin(faults: list[Mutant]) -> list[Mutant]:
    """Those of OF_TWINS; all where there are none, as in a function that moves numbers."""
    return [fault for fault in faults if fault.fault in OF_TWINS] or faults


@functools.cache
def kernels(root: Path) -> dict[str, list[str]]:
    """The names of all kernels, by the file of their twins, as table.py states them."""
    file = Python(root, "tinyattn/kernels/table.py")
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and file.text(node.targets[0]) == "STATEMENTS":
            return {stem: [*names] for stem, names in ast.literal_eval(node.value).items()}
    raise RuntimeError(f"{file.path}: STATEMENTS is not there any more")


def has_gradient(name: str, arguments: Iterable[str]) -> bool:
    """Whether a kernel computes a gradient; the elementwise one has formulas of both kinds."""
    return name.endswith("_backward") or name == "elementwise" or "grad" in arguments


def python_kernel_faults(file: Python, names: list[str]) -> Iterator[Mutant]:
    """The faults of the kernels `names`; RuntimeError for one that has none."""
    backward: dict[str, list[str]] = {}
    forward: dict[str, list[str]] = {}
    own = [name for name in names if name in file.functions]  # others are a definition's
    for kernel in own:
        entry = file.functions[kernel]
        gradient = has_gradient(kernel, [a.arg for a in entry.args.args])
        for name in file.reached(entry).keys() - SPARED:
            (backward if gradient else forward).setdefault(name, []).append(kernel)
    with_faults: set[str] = set()
    for name in {*backward, *forward}:
        runs = tuple(backward.get(name) or forward[name])
        faults = list(body_faults(file, file.functions[name], name, runs))
        if name not in backward and "reference" not in file.path:
            faults = of_twin(faults)
        with_faults |= {name} if faults else set()
        yield from faults
    for kernel in own:  # it may be made of other kernels
        if not with_faults & file.reached(file.functions[kernel]).keys():
            raise RuntimeError(f"{file.path}: no fault is known for the kernel {kernel}")


# What the engine does to gradients, and not to the order of its work: functions and whole classes.
ENGINE = {
    "tinyattn/autograd/gradients.py": ["RowSum", "Deferred", "Placed", "combine", "unbroadcast"],
    "tinyattn/autograd/waiting.py": ["Waiting.add", "Waiting.complete"],
    "tinyattn/autograd/function.py": ["Function.over_rows", "Function.placed"],
    "tinyattn/autograd/storage.py": ["accumulate"],
}


def engine_faults(file: Python) -> Iterator[Mutant]:
    for where in ENGINE[file.path]:
        functions = file.named(where)
        if not functions:
            raise RuntimeError(f"{file.path}: {where} is not there any more; see ENGINE")
        for name, function in functions.items():
            yield from body_faults(file, function, name)
            if not name.endswith(".joins"):  # which returns no gradient
                yield from return_faults(file, function, name)
