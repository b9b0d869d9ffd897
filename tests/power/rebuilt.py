"""Faults of C: for each, a fork builds the core again and puts it in the place of the old one.

The core is built for float64 and one instruction set, without optimising. Look first at
`Core.patch`.
"""

import gc
import importlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.power.patching import Place, Process
from tests.power.source import Mutant

FLAGS = ["-std=gnu11", "-O0", "-fPIC", "-shared", "-pthread", "-w"]
FLAGS += ["-fno-math-errno", "-fvisibility=hidden"]
WRAPPERS = "tinyattn.kernels.native"


class Refused(Exception):
    """The compiler takes no such code."""


class Core(Process):
    """The kernels in C that this process holds."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        from tinyattn.kernels import Backend

        backends = [found for found in gc.get_objects() if type(found) is Backend]
        self.backends = [backend for backend in backends if backend.name == "native"]

    def places(self, mutant: Mutant) -> list[Place]:
        """The wrappers of the kernels that run the code."""
        folder = WRAPPERS.replace(".", "/")
        return [p for p in self.live if p[0].startswith(folder) and p[1] in mutant.entries]

    def patch(self, mutant: Mutant) -> None:
        """Build the core with the fault, and make all backends of this process call it."""
        place = self.root / f"run-{os.getpid()}"
        beside(self.root, place, mutant)
        core = place / "_core.abi3.so"
        if not compiled(self.root, place, core):
            raise Refused
        for name in [name for name in sys.modules if name.startswith(WRAPPERS)]:
            del sys.modules[name]
        spec = importlib.util.spec_from_file_location(f"{WRAPPERS}._core", core)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        from tinyattn.kernels import Backend

        new = Backend("native")
        for backend in self.backends:
            backend.__dict__.update(new.__dict__)


def beside(tree: Path, place: Path, mutant: Mutant) -> None:
    """A folder with the C files of the tree, one of which has the fault."""
    (place / "native").mkdir(parents=True)
    for file in (tree / "native").iterdir():
        (place / "native" / file.name).symlink_to(file)
    path = place / mutant.path
    source = path.read_bytes()
    path.unlink()
    path.write_bytes(mutant.apply(source))


def compiled(tree: Path, place: Path, core: Path) -> bool:
    """Build a core from the C files below `place`; whether that is possible."""
    command = ["cc", *FLAGS, "-Inative", str(tree / "core.o"), "-x", "c", str(tree / "core_f64.c")]
    return not subprocess.run([*command, "-o", str(core), "-lm"], cwd=place, check=False).returncode


def prepare_core(tree: Path) -> None:
    """core_f64.c, the core without float32 and without levels, core.o, the module around it, and
    the core without a fault."""

    def edit(name: str, old: str, new: str) -> None:
        path = tree / "native" / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise RuntimeError(f"native/{name}: expected {old!r} to leave out what isn't tested")
        path.write_text(text.replace(old, new), encoding="utf-8")

    edit("core.c", "#define TA_X86 1", "#define TA_X86 0")
    levels = (tree / "native/level.inc").read_text(encoding="utf-8")
    edit("level.inc", levels[: levels.index("#define REAL_BITS 64")], "")
    edit("dispatch.c", "ENTRY(name, f32, parameters, arguments)",
         "int ta_##name##_f32 parameters { return 1; }")  # fmt: skip
    from cffi import FFI

    from native import build

    core = f'#include "core.c"\n{build.entry_points()}{build.word_entry_points()}'
    core += '#include "replay.c"\n'
    (tree / "core_f64.c").write_text(core, encoding="utf-8")
    ffi = FFI()
    ffi.cdef(build.interface())
    source = f"#include <stdint.h>\n{build.interface()}"
    ffi.set_source(f"{WRAPPERS}._core", source, py_limited_api=True)
    ffi.emit_c_code(str(tree / "core_module.c"))
    command = ["cc", *[flag for flag in FLAGS if flag != "-shared"], "-c", "core_module.c"]
    command += ["-Inative", f"-I{sysconfig.get_paths()['include']}", "-o", "core.o"]
    subprocess.run(command, cwd=tree, check=True)
    if not compiled(tree, tree, tree / "tinyattn/kernels/native/_core.abi3.so"):
        raise RuntimeError("the C core can't be built for float64 alone")
