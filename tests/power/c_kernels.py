"""What can be wrong with a gradient in C: patches of the kernel files, by their layout.

The files are written in one way: a function begins at the margin, ends with "}" there, and is
named by FN(name) or, for an entry point, KERNEL(name); one that is the same for both types of
numbers is named by ta_name. Look first at `c_faults`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.power.gradients import FACTORS, SPARED, has_gradient, kernels, of_twin
from tests.power.source import Mutant, Python

HEAD = re.compile(
    r"^(?:(?:static |TA_INLINE )[\w ()]*?\*?FN|KERNEL)\((\w+)\)\(([^;{]*?)\)\n\{\n(.*?)^\}",
    re.M | re.S,
)
ONCE = re.compile(r"^static (?:inline )?[\w ]+?\*?(ta_\w+)\(([^;{]*?)\)\n\{\n(.*?)^\}", re.M | re.S)
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
# What all kernels are made of.
NOT_C_KERNELS = {"vector.h", "vmath.h", "pool.c", "parts.h"}


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
            for m in (*HEAD.finditer(source), *ONCE.finditer(source)):
                path = str(p.relative_to(root))
                functions[m[1]] = CFunction(path, source, m[1], m[2], m[3], m.start(3))
                uses[m[1]] = {*re.findall(r"FN\((\w+)\)", m[3]), *re.findall(r"\bta_\w+", m[3])}
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
    for m in re.finditer(r"\(real\)([a-z]\w*)(?=[,;)}])", f.body):
        yield mutant("factor 1.001", m.span(), f"(real)(1.001 * {m[1]})")
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
    """The faults of all kernels in C; RuntimeError for one that has none."""
    functions, uses = c_functions(root)
    backward: dict[str, list[str]] = {}
    forward: dict[str, list[str]] = {}
    loops = [name for name in functions if name.startswith("loop_")]  # named by a macro
    own: list[str] = []  # others are a definition's
    for stem, names in kernels(root).items():
        wrappers = Python(root, f"tinyattn/kernels/native/{stem}.py")
        for kernel in [name for name in names if name in wrappers.functions]:
            own.append(kernel)
            waiting = [n for n in wrappers.reached(wrappers.functions[kernel]) if n in functions]
            parameters = " ".join(functions[name].parameters for name in waiting)
            gradient = has_gradient(kernel, re.findall(r"\*(grad)\b", parameters))
            runs, seen = backward if gradient else forward, set()
            waiting += loops if kernel == "elementwise" else ()
            while waiting:
                name = waiting.pop()
                if name not in seen:
                    seen.add(name)
                    runs.setdefault(name, []).append(kernel)
                    waiting += uses.get(name, ())
    with_faults: set[str] = set()
    for name in ({*backward, *forward} & functions.keys()) - SPARED:
        # What a gradient uses of another kernel's file is seen by the tests of that kernel, too;
        # what it uses of a header, by those of all kernels that use it.
        path = Path(functions[name].path)
        near = {*kernels(root).get(path.stem, ())}
        others = [k for k in forward.get(name, ()) if k in near or path.suffix == ".h"]
        runs_it = (*backward[name], *others) if name in backward else tuple(forward[name])
        faults = list(c_faults(functions[name], runs_it))
        if name not in backward:
            faults = of_twin(faults)
        with_faults |= {*runs_it} if faults else set()
        yield from faults
    for kernel in own:
        if kernel not in with_faults:
            raise RuntimeError(f"native: no fault is known for the kernel {kernel}")
