"""CFFI's builder of the C core: `python setup.py build_ext --inplace` puts it beside the package.

A kernel's signature stands once, where the kernel is defined:

    KERNEL(scale)(real *const *arrays, const int64_t *lengths, int64_t count, double factor)

From it this file makes what CFFI reads (the declarations of ta_scale_f32 and ta_scale_f64) and the
entry points, which call the version for the processor's instruction set (dispatch.c). Look first at
`kernels`. The extension is optional: where it can't be compiled, the package works without it.
"""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
SOURCES = sorted(path for path in HERE.iterdir() if path.suffix in {".c", ".h", ".inc"})
TYPES = {"f32": "float", "f64": "double"}
DEFINITION = re.compile(r"^KERNEL\((\w+)\)\(([^)]*)\)$", re.MULTILINE)


def kernels() -> dict[str, str]:
    """The parameters of every kernel by its name, as they are written in C."""
    found: dict[str, str] = {}
    for path in SOURCES:
        for name, parameters in DEFINITION.findall(path.read_text(encoding="utf-8")):
            if name in found:
                raise ValueError(f"native/{path.name}: a second KERNEL({name})")
            found[name] = " ".join(parameters.split())
    return found


def typed(parameters: str, suffix: str) -> str:
    """The parameters with float or double for `real`."""
    return re.sub(r"\breal\b", TYPES[suffix], parameters)


def interface() -> str:
    """Everything that Python can call: tinyattn.h and two declarations for every kernel."""
    lines = [
        f"int ta_{name}_{suffix}({typed(parameters, suffix)});"
        for name, parameters in kernels().items()
        for suffix in TYPES
    ]
    return (HERE / "tinyattn.h").read_text(encoding="utf-8") + "\n".join(lines) + "\n"


def entry_points() -> str:
    """One line of C for every kernel and type; dispatch.c says what it does."""
    lines = []
    for name, parameters in kernels().items():
        arguments = ", ".join(re.findall(r"(\w+)(?:,|$)", parameters))
        for suffix in TYPES:
            lines.append(
                f"ENTRY_{suffix.upper()}({name}, ({typed(parameters, suffix)}), ({arguments}))"
            )
    return "\n".join(lines) + "\n"


def word_entry_points() -> str:
    """For replay.c: every kernel as a function of an array of words, and the table of them."""
    functions, rows = [], []
    for name, parameters in kernels().items():
        kinds = "".join(map(kind, parameters.split(", ")))
        words = ", ".join(f"w[{i}].{FIELDS[letter]}" for i, letter in enumerate(kinds))
        for suffix in TYPES:
            functions.append(
                f"static int words_{name}_{suffix}(const union ta_word *w) "
                f"{{ return ta_{name}_{suffix}({words}); }}"
            )
            rows.append(f'{{"ta_{name}_{suffix}", "{kinds}", words_{name}_{suffix}}},')
    table = ["static const struct ta_entry ta_entries[] = {", *rows, "};"]
    return "\n".join([*functions, *table]) + "\n"


FIELDS = {"i": "i", "d": "d", "r": "p", "w": "p", "s": "p", "l": "p"}  # of union ta_word


def kind(parameter: str) -> str:
    """The letter of struct ta_entry for a parameter, as it is written in C."""
    if parameter.count("*") > 1:
        return "l"
    if "*" in parameter:
        return "s" if "struct" in parameter else "r" if parameter.startswith("const ") else "w"
    return "d" if parameter.startswith(("double ", "real ")) else "i"


ffibuilder = FFI()
ffibuilder.cdef(interface())
ffibuilder.set_source(
    "tinyattn.kernels.native._core",
    f'#include "core.c"\n{entry_points()}{word_entry_points()}#include "replay.c"\n',
    include_dirs=["native"],
    depends=[f"native/{path.name}" for path in (*SOURCES, HERE / "build.py")],
    extra_compile_args=[
        "-std=gnu11",
        "-O3",
        "-ffp-contract=fast",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-pthread",
    ],
    extra_link_args=["-pthread"],
    libraries=["m"],
    py_limited_api=True,
    optional=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
