"""What can be wrong in forwards and tools: modules, optimisers, schedules, text, files, exercises.

A flag inverted, a comparison flipped, an order exchanged, an index off by one, a factor, an
argument that is not passed on, a statement left out, a result changed. Messages of errors and type
hints get no faults. Look first at `node_faults`.
"""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.power.source import Mutant, Python

# Whose functions get these faults, and which functions do not.
WHERE = ["nn/**/*.py", "optim/*.py", "text/*.py", "utils/**/*.py", "compat/*.py"]
WHERE += ["_checkpoint.py", "_serialization.py", "_torch_files.py", "_explain/*.py"]
WHERE += ["_doctor.py", "_gradcheck.py", "_replay.py", "distributions.py", "quantization.py"]
WHERE += ["learn/*.py", "datasets/**/*.py", "parallel/*.py", "viz/*.py"]
# Operations have faults of their own (gradients.py); these are functions made of operations.
OPS = [
    "comparisons",
    "composed",
    "in_place",
    "_in_place",
    "packing",
    "parts",
    "pooling",
    "rearranging",
]
WHERE += [f"ops/{name}.py" for name in [*OPS, "composed", "rounding", "scatter", "searching"]]
SPARED = {"__repr__", "extra_repr", "__dir__"}

OTHER = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
# As a whole condition these are the same as its inversion.
NEGATIONS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Div: "*", ast.Mult: "/"}


def forward_faults(root: Path) -> Iterator[Mutant]:
    for pattern in WHERE:
        for path in sorted((root / "tinyattn").glob(pattern)):
            file = Python(root, str(path.relative_to(root)))
            for name, function in file.outermost():
                if isinstance(function, ast.Lambda) or function.name in SPARED:
                    continue
                if path.parent.name == "ops" and "." in name:  # see operation_faults
                    continue
                if "overload" not in map(file.text, function.decorator_list):
                    yield from function_faults(file, name, function)


def function_faults(file: Python, where: str, function: ast.FunctionDef) -> Iterator[Mutant]:
    for arg, default in defaults(function):
        for _, _, new in constant_faults(default):
            name = file.source[file.span(arg)[0] : file.span(default)[0]].decode()
            yield file.mutant(where, Between(arg, default), "another default", name + new)
    drawn = {*drawn_numbers(file, function)}
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    for statement in body:
        for node in visited(statement):
            for target, fault, new in node_faults(file, node):
                if not (fault == "boundary" and file.text(target.left) in drawn):  # type: ignore[attr-defined]
                    yield file.mutant(where, target, fault, new)


def drawn_numbers(file: Python, function: ast.FunctionDef) -> Iterator[str]:
    """Real numbers drawn at random: none is ever just the one that it is compared to."""
    yield "r.random()"
    for n in ast.walk(function):
        if isinstance(n, ast.Assign):
            pairs = [(n.targets[0], n.value)]
            if isinstance(n.targets[0], ast.Tuple) and isinstance(n.value, ast.Tuple):
                pairs = [*zip(n.targets[0].elts, n.value.elts, strict=True)]
            yield from (file.text(a) for a, b in pairs if file.text(b) == "r.random()")


def defaults(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.Constant]]:
    """The arguments whose defaults are constants."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    pairs = [*zip(positional[::-1], args.defaults[::-1], strict=False)]
    for arg, default in [*pairs[::-1], *zip(args.kwonlyargs, args.kw_defaults, strict=True)]:
        if isinstance(default, ast.Constant):
            yield arg, default


def visited(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below a statement, without errors, messages and type hints."""
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    yield node
    children: list[ast.AST]
    if closed(node):
        children = []
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
        children = [*node.args[:1]]  # the order of classes means nothing
    elif isinstance(node, ast.AnnAssign):
        children = [child for child in (node.target, node.value) if child]
    else:
        inner = isinstance(node, ast.FunctionDef | ast.ExceptHandler)
        children = list(node.body if inner else ast.iter_child_nodes(node))
    for child in children:
        yield from visited(child)


def closed(node: ast.AST) -> bool:
    """What gets its faults as a whole (-1), or none: zip's `strict` is a check of our own code."""
    match node:
        case ast.UnaryOp(operand=ast.Constant()) | ast.keyword(arg="strict"):
            return True
    return False


def node_faults(file: Python, n: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """(what is replaced, the kind of fault, the replacement) at one node of a function."""
    text = file.text
    match n:
        case ast.If(test=test, body=[ast.Raise()]):
            yield test, "check lost", "False"
            yield from boundary_faults(file, test)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield from inverted(file, test)
        case ast.comprehension(iter=items, ifs=tests):
            yield items, "last one lost", f"list({text(items)})[:-1]"
            for test in tests:
                yield from inverted(file, test)
        case ast.For(iter=items):
            yield items, "last one lost", f"list({text(items)})[:-1]"
            if any(map(continues, n.body)):
                yield items, "order reversed", f"list({text(items)})[::-1]"
        case ast.BoolOp(values=parts):
            other = " or " if isinstance(n.op, ast.And) else " and "
            yield n, "condition flipped", f"({other.join(f'({text(part)})' for part in parts)})"
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=a):
            if isinstance(a, ast.Constant):
                new = f"({text(n)} - 1)" if type(a.value) is int else f"({text(n)} * 1.1)"
                yield n, "another number", new
            else:
                yield n, "flipped sign", f"({text(a)})"
        case ast.Compare(ops=[op]) if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            yield from boundary_faults(file, n)
        case ast.Compare(left=a, ops=[op], comparators=[b]):
            yield n, "comparison flipped", f"(({text(a)}) {OTHER[type(op)]} ({text(b)}))"
        case ast.BinOp(left=a, op=op, right=b):
            if type(op) in OPERATORS and not sequence(a) and not sequence(b):
                yield n, "wrong operator", f"(({text(a)}) {OPERATORS[type(op)]} ({text(b)}))"
            elif not isinstance(op, ast.MatMult):
                yield n, "dropped term", f"({text(a)})"
        case ast.Constant():
            yield from constant_faults(n)
        case ast.Call():
            yield from call_faults(file, n)
        case ast.List(elts=parts, ctx=ast.Load()) | ast.Tuple(elts=parts, ctx=ast.Load()):
            yield from exchanged(file, parts)
        case ast.Assign(targets=[ast.Tuple(elts=parts)]):
            yield from exchanged(file, parts)
        case ast.Slice(lower=a, upper=b):
            for bound in (a, b):
                if bound and not isinstance(bound, ast.Constant | ast.UnaryOp):
                    yield bound, "off by one", f"({text(bound)}) + 1"
        case ast.Expr(value=ast.Call()):
            yield n, "left out", "pass"
        case ast.AugAssign(target=a, op=op, value=b):
            if type(op) in OPERATORS:
                yield n, "wrong operator", f"{text(a)} {OPERATORS[type(op)]}= ({text(b)})"
            else:
                yield n, "left out", "pass"
        case ast.Return(value=value) if value and not isinstance(value, ast.Constant):
            if text(value) not in ("self", "NotImplemented"):
                yield value, "wrong result", f"_wrong({text(value)})"


def continues(statement: ast.stmt) -> bool:
    """Whether a statement goes on from its last result, like x = layer(x): the order matters."""
    if not isinstance(statement, ast.Assign):
        return False
    made = {n.id for n in statement.targets if isinstance(n, ast.Name)}
    return any(isinstance(n, ast.Name) and n.id in made for n in ast.walk(statement.value))


def inverted(file: Python, test: ast.expr) -> Iterator[tuple[ast.AST, str, str]]:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return  # the fault of `not` itself
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], NEGATIONS):
        return  # the fault of the comparison itself
    yield test, "inverted", f"(not ({file.text(test)}))"


def boundary_faults(file: Python, test: ast.expr) -> Iterator[tuple[ast.AST, str, str]]:
    """a < b and a <= b differ in one case only, which a test must have."""
    match test:
        case ast.Compare(left=a, ops=[op], comparators=[b]) if not isinstance(op, NEGATIONS):
            new = f"(({file.text(a)}) {OTHER[type(op)]} ({file.text(b)}))"
            yield test, "boundary", new


def constant_faults(n: ast.Constant) -> Iterator[tuple[ast.AST, str, str]]:
    if isinstance(n.value, bool):
        yield n, "flag inverted", str(not n.value)
    elif isinstance(n.value, int):
        yield n, "off by one", str(n.value + 1)
    elif isinstance(n.value, float):
        yield n, "another number", repr(n.value * 1.1 or 0.1)


def call_faults(file: Python, call: ast.Call) -> Iterator[tuple[ast.AST, str, str]]:
    if file.text(call.func) != "isinstance":
        yield from exchanged(file, call.args)
    for keyword in call.keywords:
        if keyword.arg not in (None, "strict"):
            rest = [file.text(a) for a in call.args]
            rest += [file.text(k) for k in call.keywords if k is not keyword]
            yield call, "argument dropped", f"{file.text(call.func)}({', '.join(rest)})"


def exchanged(file: Python, parts: list[ast.expr]) -> Iterator[tuple[ast.AST, str, str]]:
    """Neighbours change places, where both are names or attributes."""
    for a, b in pairwise(parts):
        names = all(isinstance(part, ast.Name | ast.Attribute) for part in (a, b))
        if names and file.text(a) != file.text(b):
            yield Between(a, b), "order exchanged", f"{file.text(b)}, {file.text(a)}"


class Between(ast.expr):
    """From the beginning of one expression to the end of another."""

    def __init__(self, first: ast.expr | ast.arg, last: ast.expr) -> None:
        super().__init__()
        self.lineno, self.col_offset = first.lineno, first.col_offset
        self.end_lineno, self.end_col_offset = last.end_lineno, last.end_col_offset


def sequence(n: ast.expr) -> bool:
    """Whether this is certainly no number."""
    made = ast.List | ast.Tuple | ast.ListComp | ast.JoinedStr
    return isinstance(n, made) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
