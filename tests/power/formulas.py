"""What can be wrong in the table of elementwise operations, and in the operations that name a
kernel of it.

A formula gets the faults of a gradient (gradients.py), another number, exchanged operands, a
boundary moved, a factor and a flipped sign. Look first at `formula_faults`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.power.c_kernels import CFunction, c_faults, c_functions
from tests.power.forwards import Between, constant_faults
from tests.power.gradients import expression_faults
from tests.power.source import Mutant, Python

ENTRIES = ("elementwise",)
TABLES = ["tinyattn/kernels/reference/elementwise.py", "tinyattn/kernels/jit/elementwise.py"]
LINES = "native/elementwise_operations.inc"
HELPERS = "native/elementwise.c"
SIGNS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="
}  # fmt: skip
TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}


def formulas(file: Python) -> dict[str, ast.Lambda]:
    """The table OPERATIONS: a formula for each name."""
    for node in file.tree.body:
        if isinstance(node, ast.AnnAssign) and file.text(node.target) == "OPERATIONS":
            assert isinstance(node.value, ast.Dict)
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {k.value: v for k, v in pairs}  # type: ignore[union-attr, misc]
    raise RuntimeError(f"{file.path}: OPERATIONS is not there any more")


def formula_faults(root: Path) -> Iterator[Mutant]:
    for path in TABLES:
        file = Python(root, path)
        for name, formula in formulas(file).items():
            text = file.text(formula.body)
            for factor in ("1.001", "-1"):
                new = f"{factor} * ({text})"
                yield file.mutant(name, formula.body, f"factor {factor}", new, ENTRIES)
            yield from faults_below(file, name, formula.body)
        for name, function in file.functions.items():
            if name.startswith("_") and name != "_erf":
                for statement in function.body:
                    yield from faults_below(file, name, statement)
    yield from line_faults(root)


def faults_below(file: Python, where: str, whole: ast.AST) -> Iterator[Mutant]:
    for node in ast.walk(whole):
        for target, fault, new in [*expression_faults(file, node), *other_faults(file, node)]:
            yield file.mutant(where, target, fault, new, ENTRIES)


def other_faults(file: Python, n: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    text = file.text
    match n:
        case ast.BinOp(left=a, op=ast.Sub() | ast.Div() | ast.Pow() as op, right=b):
            sign = {ast.Sub: "-", ast.Div: "/", ast.Pow: "**"}[type(op)]
            yield n, "order exchanged", f"({text(b)}) {sign} ({text(a)})"
        case ast.Compare(left=a, ops=ops, comparators=others):
            for turned in range(len(ops)):
                signs = [TURNED[SIGNS[type(op)]] if i == turned else SIGNS[type(op)]
                         for i, op in enumerate(ops)]  # fmt: skip
                parts = [f" {sign} {text(b)}" for sign, b in zip(signs, others, strict=True)]
                yield n, "boundary", f"({text(a)}{''.join(parts)})"
        case ast.Constant(value=int() | float()):
            yield from constant_faults(n)
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, a, b]):
            yield Between(a, b), "order exchanged", f"{text(b)}, {text(a)}"


LINE = re.compile(r"^OPERATION\((?:\d|MASKED\(\d\)), (\w+), (.*)\)$", re.M)


def line_faults(root: Path) -> Iterator[Mutant]:
    """The same table in C, and the functions that its lines use."""
    source = (root / LINES).read_text(encoding="utf-8")
    functions, uses = c_functions(root)
    waiting, seen = [], set()
    for m in LINE.finditer(source):
        line = CFunction(LINES, source, m[1], "", m[2], m.start(2))
        yield from value_faults(line)
        waiting += re.findall(r"FN\((\w+)\)", m[2])
    while waiting:
        name = waiting.pop()
        if name not in seen and name in functions and functions[name].path == HELPERS:
            seen.add(name)
            waiting += uses[name]
            yield from c_faults(functions[name], ENTRIES)


def value_faults(line: CFunction) -> Iterator[Mutant]:
    """The patches of one line; its name holds the value."""
    value = line.body

    def mutant(fault: str, start: int, end: int, new: str) -> Mutant:
        number = line.source.count("\n", 0, line.at) + 1
        begin, stop = (len(line.source[: line.at + i].encode()) for i in (0, len(value)))
        became = value[:start] + new + value[end:]
        return Mutant(LINES, line.name, number, fault, value, became, begin, stop, ENTRIES)

    if line.name != "where":
        for factor in ("splat((real)1.001)", "splat(-1)"):
            yield mutant("factor", 0, len(value), f"{factor} * ({value})")
    for m in re.finditer(r"(?<=[\w)]) ([-+*/]) (?=[\w(-])", value):
        other = dict(zip("+-*/", "-+/*", strict=True))[m[1]]
        yield mutant("wrong operator", *m.span(), f" {other} ")
    for m in re.finditer(r" (<=|>=|<|>|==) ", value):
        yield mutant("boundary", *m.span(), f" {TURNED[m[1]]} ")
    for m in re.finditer(r"(?<![\w)] )-(?=[a-zA-Z])", value):
        yield mutant("flipped sign", *m.span(), "")
    for m in re.finditer(r"\b([abcpq]), ([abcpq])\b", value):
        if "larger" not in value and "smaller" not in value:
            yield mutant("order exchanged", *m.span(), f"{m[2]}, {m[1]}")
    for m in re.finditer(r"FN\((\w+)\)(?=\()", value):
        yield (
            mutant(f"without {m[1]}", *m.span(), "")
            if value.count(", ") == 0
            else mutant("factor", *m.span(), f"splat((real)1.001) * {m[0]}")
        )


# Operations that name a kernel


def kernels(root: Path) -> dict[str, str]:
    """For each elementwise kernel another one that takes as many inputs: the one before it."""
    table = formulas(Python(root, TABLES[0]))
    by_inputs: dict[int, list[str]] = {}
    for name, formula in table.items():
        by_inputs.setdefault(len(formula.args.args), []).append(name)
    return {
        name: names[i - 1] for names in by_inputs.values() for i, name in enumerate(names)
    }  # fmt: skip


def kernel_faults(root: Path) -> Iterator[Mutant]:
    """Every operation that names a kernel names another one, or keeps x in the place of y."""
    other = kernels(root)
    for path in sorted(root.glob("tinyattn/ops/*.py")):
        file = Python(root, str(path.relative_to(root)))
        for name, node in file.classes.items():
            for row in node.body:
                match row:
                    case ast.Assign(
                        targets=[ast.Name(id="kernel" | "gradient"), *_],
                        value=ast.Constant(value=str() as named),
                    ) if named:
                        yield file.attribute(name, row, repr(other[named]))
                    case ast.Assign(targets=[ast.Name(id="keeps")], value=ast.Constant(value="y")):
                        yield file.attribute(name, row, repr("x"))
        for where, function in file.outermost():
            for n in ast.walk(function):
                match n:
                    case ast.Call(func=ast.Name(id="elementwise"), args=[ast.Constant() as a, *_]):
                        new = repr(other[a.value])
                        yield file.mutant(where, a, "another kernel", new)
