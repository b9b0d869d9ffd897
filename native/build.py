"""CFFI's builder of the C core: `python setup.py build_ext --inplace` puts it beside the package.

tinyattn.h is the whole interface; core.c, included by the generated module, is the whole program.
The extension is optional: where it can't be compiled, the package installs and runs without it.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
_SUFFIXES = {".c", ".h", ".inc"}

ffibuilder = FFI()
ffibuilder.cdef((HERE / "tinyattn.h").read_text(encoding="utf-8"))
ffibuilder.set_source(
    "tinyattn.kernels.native._core",
    '#include "core.c"',
    include_dirs=["native"],
    depends=sorted(f"native/{path.name}" for path in HERE.iterdir() if path.suffix in _SUFFIXES),
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
