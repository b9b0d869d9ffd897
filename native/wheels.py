"""Wheels for Linux, macOS and Windows from one machine, by zig's C compiler.

    pip install ziglang build
    python -m native.wheels [--out dist] [NAME ...]      names of TARGETS; without them all

The extension keeps to Python's limited API, so that one wheel serves every version from 3.11 on.
Look first at `TARGETS`, then at `compiled`. tests/native/run runs of this what can be run here: the
core as arm64 code under qemu, and as a Windows program under wine. macOS wheels are built only.
"""

import argparse
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CORE = "tinyattn/kernels/native/_core"


class Target(NamedTuple):
    """A machine that a wheel is for."""

    zig: str  # as zig names it, with the oldest system that it runs on
    tag: str  # as pip names it
    suffix: str = ".abi3.so"
    link: tuple[str, ...] = ()


TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    "linux-arm64": Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64"),
    "macos-x86_64": Target(
        "x86_64-macos.11.0", "macosx_11_0_x86_64", link=("-undefined", "dynamic_lookup")
    ),
    "macos-arm64": Target(
        "aarch64-macos.11.0", "macosx_11_0_arm64", link=("-undefined", "dynamic_lookup")
    ),
    "windows-x86_64": Target("x86_64-windows-gnu", "win_amd64", ".pyd"),
}

# The only one of Python's headers that differs on Windows: the parts that the limited API uses.
WINDOWS_PYCONFIG = """
#define MS_WINDOWS
#define MS_WIN64
#define HAVE_DECLSPEC_DLL 1
#define Py_ENABLE_SHARED 1
#define WITH_THREAD 1
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_TIME_T 8
#define ALIGNOF_MAX_ALIGN_T 16
#define HAVE_STDDEF_H 1
#define HAVE_STDINT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
"""

# What macros of Python.h stand for.
BEHIND_MACROS = ("_Py_Dealloc", "_Py_NoneStruct", "PyEval_RestoreThread", "PyEval_SaveThread")


def main() -> None:
    """Build the wheels that the command line asks for."""
    parser = argparse.ArgumentParser(description="wheels for other machines", prog="native.wheels")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--out", default="dist", help="where the wheels go (default: %(default)s)")
    args = parser.parse_args()
    for name in args.names:
        if name not in TARGETS:
            parser.error(f"NAME: expected one of {', '.join(TARGETS)}, got {name}")
    for package in ("ziglang", "build"):
        spec = find_spec(package)
        if spec is None or spec.origin is None:  # a folder build/ is a package without an origin
            message = f"{package} is not installed: pip install ziglang build"
            parser.exit(2, f"native.wheels: {message}\n")
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        base = without_core(work)
        for name in args.names or TARGETS:
            target = TARGETS[name]
            print(f"{name}: {wheel(base, compiled(target, work), target, out)}", flush=True)


def without_core(work: Path) -> Path:
    """A wheel of the package as it is where no C compiler is found."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(ROOT)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "CC": "false"}
    )
    (found,) = work.glob("*.whl")
    return found


def compiled(target: Target, work: Path) -> Path:
    """The extension module, compiled for a target."""
    from native.build import ffibuilder

    folder = work / target.zig
    folder.mkdir()
    source, module = folder / "_core.c", folder / f"_core{target.suffix}"
    ffibuilder.emit_c_code(str(source))
    headers, link = Path(sysconfig.get_path("include")), [*target.link]
    if "windows" in target.zig:
        headers = Path(shutil.copytree(headers, folder / "python"))
        (headers / "pyconfig.h").write_text(WINDOWS_PYCONFIG)
        link.append(str(import_library(source, folder)))
    _, _, _, options = ffibuilder._assigned_source
    zig(
        "cc",
        *("-target", target.zig, "-shared", "-fPIC", "-s", "-DPy_LIMITED_API=0x030B0000"),
        *options["extra_compile_args"],
        *(f"-I{ROOT / 'native'}", f"-I{headers}"),
        *("-o", str(module), str(source), *link),
    )
    return module


def import_library(source: Path, folder: Path) -> Path:
    """What Windows needs to link with python3.dll, made of the names that the source mentions."""
    named = re.findall(r"\b_?Py\w+", source.read_text(encoding="utf-8"))
    names = sorted({*named, *BEHIND_MACROS})
    definition, library = folder / "python3.def", folder / "libpython3.a"
    definition.write_text("LIBRARY python3.dll\nEXPORTS\n" + "\n".join(names) + "\n")
    zig("dlltool", "-m", "i386:x86-64", "-d", str(definition), "-l", str(library))
    return library


def zig(*arguments: str) -> None:
    """Run zig of the package ziglang."""
    subprocess.run([sys.executable, "-m", "ziglang", *arguments], check=True)


def wheel(base: Path, module: Path, target: Target, out: Path) -> Path:
    """The base wheel with the module in it, for the target; its list of files made anew."""
    name, version = base.name.split("-")[:2]
    path = out / f"{name}-{version}-cp311-abi3-{target.tag}.whl"
    info = f"{name}-{version}.dist-info"
    record = []
    with zipfile.ZipFile(base) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        contents = {entry: old.read(entry) for entry in old.namelist() if not entry.endswith("/")}
        contents[f"{CORE}{target.suffix}"] = module.read_bytes()
        tags = "".join(f"Tag: cp311-abi3-{tag}\n" for tag in target.tag.split("."))
        stated = re.sub(r"(Tag: .*\n)+", tags, contents[f"{info}/WHEEL"].decode())
        contents[f"{info}/WHEEL"] = stated.encode()
        del contents[f"{info}/RECORD"]
        for entry, content in sorted(contents.items()):
            new.writestr(
                zipfile.ZipInfo(entry, (2020, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED
            )
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{entry},sha256={digest.decode()},{len(content)}\n")
        record.append(f"{info}/RECORD,,\n")
        new.writestr(f"{info}/RECORD", "".join(record))
    return path


if __name__ == "__main__":
    main()
