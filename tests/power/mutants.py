"""What can be wrong with a gradient: text patches, made from the source itself.

Python is taken apart by `ast`, C by the layout of the kernel files. A new operation or kernel gets
its faults without a line here. Look first at `expression_faults`, then at `mutants`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.power.operations import operations

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

# A gradient is an array, a tuple of them, or one that is not computed yet.
TIMES = """

def _times(factor, grad):
    from tinyattn.autograd.gradients import as_array
    if isinstance(grad, (tuple, list)):
        return tuple(_times(factor, g) for g in grad)
    return grad if grad is None else factor * as_array(grad)
"""


@dataclass(frozen=True)
class Mutant:
    """`old`, at the bytes [start, end) of a file, becomes `new`."""

    path: str
    where: str  # the function, after its class
    line: int
    fault: str
    old: str
    new: str
    start: int
    end: int
    entries: tuple[str, ...] = ()  # the kernels that run this code

    @property
    def name(self) -> str:
        """The full name of the function; "C.name" for one in C."""
        if self.path.endswith(".py"):
            return f"{self.path.removesuffix('.py').replace('/', '.')}.{self.where}"
        return f"C.{self.where}"

    @property
    def text(self) -> str:
        """What is wrong, without line numbers: changes elsewhere in the file keep it."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.fault}: {old} -> {new}"

    def __str__(self) -> str:
        return f"{self.path} {self.where}: {self.text}"

    def apply(self, source: bytes) -> bytes:
        patched = source[: self.start] + self.new.encode() + source[self.end :]
        return patched + TIMES.encode() if "_times(" in self.new else patched


class Python:
    """One Python file: its text, its functions, and which of them call which."""

    def __init__(self, root: Path, path: str) -> None:
        self.path, self.source = path, (root / path).read_bytes()
        self.tree = ast.parse(self.source)
        lines = self.source.split(b"\n")
        self.starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
        self.functions = {n.name: n for n in self.tree.body if isinstance(n, ast.FunctionDef)}
        self.classes = {n.name: n for n in self.tree.body if isinstance(n, ast.ClassDef)}

    def span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end].decode()

    def mutant(
        self, where: str, node: ast.AST, fault: str, new: str, entries: tuple = ()
    ) -> Mutant:
        start, end = self.span(node)
        line = self.source[:start].count(b"\n") + 1
        return Mutant(self.path, where, line, fault, self.text(node), new, start, end, entries)

    def named(self, name: str) -> dict[str, ast.FunctionDef]:
        """The function of this name, or the methods of the class of this name."""
        found = {f"{c}.{m.name}": m for c, node in self.classes.items() for m in methods(node)}
        found |= self.functions
        return {k: f for k, f in found.items() if k == name or k.startswith(f"{name}.")}

    def used(self) -> set[str]:
        """The attributes that methods other than forward use."""
        methods = [m for node in self.classes.values() for m in node.body]
        backward = [m for m in methods if isinstance(m, ast.FunctionDef) and m.name != "forward"]
        return {n.attr for m in backward for n in ast.walk(m) if isinstance(n, ast.Attribute)}

    def reached(self, entry: ast.FunctionDef) -> dict[str, ast.FunctionDef]:
        """The functions of this file that `entry` runs, itself among them."""
        found, waiting = {}, [entry]
        while waiting:
            function = waiting.pop()
            if function.name not in found:
                found[function.name] = function
                names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
                waiting += [self.functions[name] for name in names & self.functions.keys()]
        return found


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [m for m in node.body if isinstance(m, ast.FunctionDef)]


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
        if not file.text(statement).startswith("alone ="):  # on how many threads
            yield from node_faults(file, statement, where, entries)


def node_faults(
    file: Python, whole: ast.AST, where: str, entries: tuple[str, ...] = ()
) -> Iterator[Mutant]:
    for node in ast.walk(whole):
        for target, fault, new in expression_faults(file, node):
            yield file.mutant(where, target, fault, new, entries)


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


# What an operation, or a base of several, says of itself beside what it computes.
SAID = {"promotes", "fresh", "spends", "view", "keeps", "caching", "defers", "makes_masks"}
SAID |= {"states", "unit_axis", "switches_off", "keeps_weights", "attends"}


def concrete(node: ast.ClassDef) -> bool:
    """Whether a class is an operation, and no base of some: it says what forward computes."""
    names = {t.id for n in node.body if isinstance(n, ast.Assign) for t in n.targets}
    methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    return bool(methods & {"forward"} or names - SAID)


def kernel_entries(file: Python) -> list[ast.FunctionDef]:
    """The twins that compute a gradient."""
    public = [f for name, f in file.functions.items() if name[0] != "_"]
    return [
        f
        for f in public
        if ("reference" in file.path or not f.decorator_list)  # in jit/, those are inner loops
        and (f.name.endswith("_backward") or any(a.arg == "grad" for a in f.args.args))
    ]


def python_kernel_faults(file: Python) -> Iterator[Mutant]:
    runs: dict[str, list[str]] = {}
    stem = Path(file.path).stem
    for entry in kernel_entries(file):
        own = entry.name == stem or entry.name.endswith("_backward")
        kernel = entry.name if own else f"{stem}_{entry.name}"
        for name in file.reached(entry):
            runs.setdefault(name, []).append(kernel)
    for name in runs.keys() - SPARED:
        yield from body_faults(file, file.functions[name], name, tuple(runs[name]))


# C, whose kernel files are written in one way: a function begins at the margin, ends with "}"
# there, and is named by FN(name) or, for an entry point, KERNEL(name).

HEAD = re.compile(
    r"^(?:(?:static |TA_INLINE )[\w ()]*?\*?FN|KERNEL)\((\w+)\)\(([^;{]*?)\)\n\{\n(.*?)^\}",
    re.M | re.S,
)
TABLE = re.compile(r"^static const struct FN\(\w+\) FN\((\w+)\) = \{(.*?)\};", re.M | re.S)
STORE = re.compile(r"\bstore(?:_first|_some)?\(")
ACCESS = re.compile(r"\b(?:load|store)(?:_first|_some)?\(")
ADDRESSES = [
    re.compile(pattern, re.S | re.M)
    for pattern in (
        r"/\*.*?\*/",
        r"for \([^;]*;[^;]*;[^)]*\)",
        r"\[[^\]]*\]",
        r"^\s*(?:const )?(?:long|int|size_t|struct)\b[^;]*;",
        r"^\s*(?:const )?(?:real|long) \*[^;]*;",
        r"^.*\b(?:memset|memcpy|ta_parallel|ta_scratch)\([^;]*;",
    )
]
# Which of two ways to the same result is taken; and how the work is cut.
CHOICE = re.compile(r"packed|space|ROW_IN_CACHE")
# What products are made of has no gradient of its own.
NOT_C_KERNELS = {"vector.h", "vmath.h", "tiles.h", "matmul.c", "pool.c", "parts.h", "optim.c"}


@dataclass(frozen=True)
class CFunction:
    path: str
    source: str
    name: str
    parameters: str
    body: str
    at: int  # where the body begins

    def mutant(self, fault: str, start: int, end: int, new: str, entries: tuple) -> Mutant:
        """The patch of a span of the body; its name holds the whole lines."""
        left, right = self.body.rfind("\n", 0, start) + 1, self.body.find("\n", end)
        became = self.body[left:start] + new + self.body[end:right]
        begin, stop = (len(self.source[: self.at + i].encode()) for i in (left, right))
        line = self.source.count("\n", 0, self.at + start) + 1
        old = self.body[left:right]
        return Mutant(self.path, self.name, line, fault, old, became, begin, stop, entries)


def c_functions(root: Path) -> tuple[dict[str, CFunction], dict[str, set[str]]]:
    """The functions of the kernel files, and the names that each of them uses."""
    functions: dict[str, CFunction] = {}
    uses: dict[str, set[str]] = {}
    for p in sorted(root.glob("native/*.[ch]")):
        if p.name not in NOT_C_KERNELS:
            source = p.read_text(encoding="utf-8")
            for m in HEAD.finditer(source):
                path = str(p.relative_to(root))
                functions[m[1]] = CFunction(path, source, m[1], m[2], m[3], m.start(3))
                uses[m[1]] = set(re.findall(r"FN\((\w+)\)", m[3]))
            for m in TABLE.finditer(source):  # of functions: only those for gradients are meant
                uses[m[1]] = set(re.findall(r"\.\w*grad\w* = FN\((\w+)\)", m[2]))
    return functions, uses


def arguments(text: str, at: int) -> list[tuple[int, int]]:
    """The spans of the arguments of the call whose "(" ends at `at`."""
    spans, depth, begin = [], 0, at
    for i in range(at, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}" and depth:
            depth -= 1
        elif text[i] in ",)" and not depth:
            spans.append((begin, i))
            begin = i + 1
            if text[i] == ")":
                break
    return spans


def without_addresses(body: str) -> str:
    """The body, with comments and what computes addresses, bounds and counts blanked out."""
    for pattern in ADDRESSES:
        body = pattern.sub(lambda match: " " * len(match[0]), body)
    chars = list(body)
    for call in ACCESS.finditer(body):
        for i, (a, b) in enumerate(arguments(body, call.end())):
            if "tore" not in call[0].lower() or i != 1:
                chars[a:b] = " " * (b - a)
    return "".join(chars)


def c_faults(f: CFunction, entries: tuple[str, ...]) -> Iterator[Mutant]:
    live = without_addresses(f.body)

    def mutant(fault: str, span: tuple[int, int], new: str) -> Mutant:
        return f.mutant(fault, *span, new, entries)

    for m in re.finditer(r" ([-+])= ", live):
        yield mutant("overwrites", m.span(), " = ")
        yield mutant("flipped sign", m.span(), " -= " if m[1] == "+" else " += ")
    for m in re.finditer(r"(?<=[\w)\]]) ([-+*/]) (?=[\w(])", live):
        yield mutant(
            "wrong operator", m.span(), f" {dict(zip('+-*/', '-++*', strict=True))[m[1]]} "
        )
    values = [arguments(f.body, m.end())[1] for m in STORE.finditer(live)]
    stored = re.finditer(r"^\s+[\w>.()*-]+\[[^;=]*\] [-+*]?= ([^;]+);", f.body, re.M)
    stores = values + [m.span(1) for m in stored]
    for a, b in [(a, b) for a, b in stores if f.body[a:b].strip() not in ("0", "splat(0)")]:
        for factor in FACTORS:
            yield mutant(f"factor {factor}", (a, b), f" {factor} * ({f.body[a:b].strip()})")
    for m in re.finditer(r"\+ (2 \* )?H(?=[,)])", f.body):
        yield mutant("wrong gate", m.span(), "+ H" if m[1] else "+ 2 * H")
    for m in re.finditer(r"\? ([^?:;()]+) : ([^?:;,(){}]+)", f.body):
        yield mutant("wrong branch", m.span(), f"? {m[2]} : {m[1]}")
    for m in re.finditer(r"\bif \(([^()]+)\)(?! return)", f.body):
        if not CHOICE.search(m[1]):
            yield mutant("never", m.span(), "if (0)")
    for m in re.finditer(r"\bfor \(long \w+ = [^;]+", f.body):
        yield mutant("first step lost", (m.end(), m.end()), " + 1")
    for m in re.finditer(r"vselect\(", f.body):
        (_, (a, b), (_, end)) = arguments(f.body, m.end())
        yield mutant("mask ignored", (m.start(), end + 1), f"({f.body[a:b].strip()})")


def c_kernel_faults(root: Path) -> Iterator[Mutant]:
    functions, uses = c_functions(root)
    runs: dict[str, list[str]] = {}
    for entry, f in functions.items():
        if entry.endswith("_backward") or re.search(r"\*grad\b", f.parameters):
            waiting, seen = [entry], set()
            while waiting:
                name = waiting.pop()
                if name not in seen:
                    seen.add(name)
                    runs.setdefault(name, []).append(entry)
                    waiting += uses.get(name, ())
    for name in (runs.keys() & functions.keys()) - SPARED:
        yield from c_faults(functions[name], tuple(runs[name]))


# What the engine does to gradients, and not to the order of its work: functions and whole classes.
ENGINE = {
    "tinyattn/autograd/gradients.py": ["RowSum", "Deferred", "Placed", "combine", "unbroadcast"],
    "tinyattn/autograd/engine.py": ["Waiting.add", "Waiting.take"],
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
            if not name.endswith((".take", ".joins")):  # which return no gradient
                yield from return_faults(file, function, name)


def mutants(root: Path) -> list[Mutant]:
    """All faults of the tree at `root`, each once; RuntimeError for an operation that has none."""
    found: list[Mutant] = []
    for path, names in operations(root).items():
        file = Python(root, path)
        found += [m for name in names for m in operation_faults(file, name)]
    for folder in ("reference", "jit"):
        for p in sorted(root.glob(f"tinyattn/kernels/{folder}/*.py")):
            found += python_kernel_faults(Python(root, str(p.relative_to(root))))
    found += c_kernel_faults(root)
    for path in ENGINE:
        found += engine_faults(Python(root, path))
    once = {(m.path, m.start, m.end, m.new): m for m in found if m.new != m.old}
    return sorted(once.values(), key=lambda m: (m.path, m.start, m.end, m.new))
