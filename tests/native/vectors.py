"""Writes what tests/native/driver.c replays: every call that the package makes of the C core for
the kernel tests' cases, with the results of the NumPy reference.

    python -m tests.native.vectors DIRECTORY     (calls.h, entries.h, vectors.bin)

tests/native/run does this and what follows.

The package runs with a `lib` and `ffi` that note calls and memory before they pass them on, so a
new kernel needs nothing here. Look first at `Recorder`; the file's format is what `write` does.
"""

import ctypes
import inspect
import itertools
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tinyattn.kernels.native as package
from native import build
from tests.kernels import calls
from tests.kernels.cases import cast
from tinyattn.kernels import Backend

DECLARATION = re.compile(r"^int (ta_\w+_f(?:32|64))\(([^;]*)\);", re.MULTILINE)
LARGE = 200_000  # bytes of arguments of a case that is left out
INTEGER, REAL, POINTER, MADE = range(4)


def pointers(struct: Any, start: int = 0) -> list[int]:
    """Where in a struct its pointers stand."""
    out = []
    for _, field in struct.fields:
        at = start + field.offset
        if field.type.kind == "struct":
            out += pointers(field.type, at)
        elif field.type.kind == "pointer":
            out.append(at)
    return out


class Recorder:
    """Stands where the wrappers look for `lib` and `ffi`. Memory is kept as whole arrays, as they
    were before the first call that saw them; a pointer is an array's number and an offset."""

    def __init__(self) -> None:
        self._ffi, self._lib = package.ffi, package.lib
        self.start()

    def start(self) -> None:
        self.memory: list[tuple[int, bytes, Any]] = []  # address, content, what keeps it alive
        self.calls: list[tuple[str, list[tuple[int, Any]]]] = []

    def from_buffer(self, *arguments: Any) -> Any:
        whole = arguments[-1]
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        if not any(kept is whole for _, _, kept in self.memory):
            address = np.lib.array_utils.byte_bounds(whole)[0]
            self.memory.append((address, ctypes.string_at(address, whole.nbytes), whole))
        return self._ffi.from_buffer(*arguments)

    def place(self, address: int) -> tuple[int, ...]:
        """The number of an array and the offset in it; nothing where it is no known array."""
        for i, (start, content, _) in reversed(list(enumerate(self.memory))):
            if start <= address < start + max(len(content), 1):
                return i, address - start
        return ()

    def argument(self, value: Any, ctype: Any) -> tuple[int, Any]:
        ffi = self._ffi
        if ctype.kind == "primitive":
            return (REAL, float(value)) if ctype.cname == "double" else (INTEGER, int(value))
        if value == ffi.NULL:
            return INTEGER, 0
        if ctype.item.kind in ("pointer", "struct"):
            content = bytes(ffi.buffer(value))
            offsets = pointers(ctype.item) if ctype.item.kind == "struct" else []
            if ctype.item.kind == "pointer":
                offsets = list(range(0, len(content), ffi.sizeof("void *")))
            found = [(at, int.from_bytes(content[at:][:8], "little")) for at in offsets]
            return MADE, (content, [(at, *self.place(where)) for at, where in found if where])
        address = int(ffi.cast("intptr_t", value))
        if not (place := self.place(address)):  # made by ffi.new: numbers of the call itself
            self.memory.append((address, bytes(ffi.buffer(value)), value))
            place = len(self.memory) - 1, 0
        return POINTER, place

    def __getattr__(self, name: str) -> Any:
        if not re.fullmatch(r"ta_\w+_f(32|64)", name):
            return getattr(self._lib if name.startswith("ta_") else self._ffi, name)
        function = getattr(self._lib, name)
        types = self._ffi.typeof(function).args

        def call(*arguments: Any) -> Any:
            noted = [self.argument(a, t) for a, t in zip(arguments, types, strict=True)]
            self.calls.append((name, noted))
            return function(*arguments)

        return call


def expected(call: calls.Call, dtype: Any) -> list[tuple[np.ndarray, float]]:
    """The reference's results in float64 and how far from them is still right: some times as far as
    the reference itself is in `dtype`."""
    reference = Backend("numpy")
    args = cast(call.args, dtype)
    rough = calls.outputs(reference, call.kernel, cast(args, dtype))
    exact = calls.outputs(reference, call.kernel, cast(args, np.float64))
    inputs = [np.abs(x[np.isfinite(x)]).max(initial=1) for x in calls.arrays(call.args)]
    largest = max(inputs, default=1.0)
    out = []
    for near, want in zip(rough, exact, strict=True):
        finite = np.isfinite(want)
        with np.errstate(all="ignore"):
            error = np.abs(near - want)[finite].max(initial=0)
            size = np.abs(want)[finite].max(initial=0)
        out.append((want, float(16 * error + 64 * np.finfo(dtype).eps * max(size, 1) * largest)))
    return out


def write(file: Any, names: list[str], name: str, record: Recorder, results: list[Any]) -> None:
    def put(form: str, *values: Any) -> None:
        file.write(struct.pack("<" + form, *values))

    put("64sqqq", name.encode()[:63], len(record.memory), len(record.calls), len(results))
    for _, content, _ in record.memory:
        put("q", len(content))
        file.write(content)
    for function, arguments in record.calls:
        put("qq", names.index(function), len(arguments))
        for kind, value in arguments:
            if kind == MADE:
                content, places = value
                put("qqq", kind, len(content), len(places))
                file.write(content)
                put(f"{3 * len(places)}q", *(n for place in places for n in place))
            elif kind == POINTER:
                put("qqq", kind, *value)
            else:
                put("qd" if kind == REAL else "qq", kind, value)
    for (where, offset), size, want, tolerance in results:
        put("qqqqd", where, offset, size, want.size, tolerance)
        file.write(np.ascontiguousarray(want, np.float64).tobytes())


def call_table(names: list[str], text: str) -> str:
    """C that calls the function of a number with arguments from an array."""
    lines = ["/* Made by tests/native/vectors.py. */"]
    parameters = dict(DECLARATION.findall(text))
    for i, name in enumerate(names):
        values = []
        for k, parameter in enumerate(parameters[name].split(",")):
            field = "p" if "*" in parameter else "d" if parameter.split()[0] == "double" else "i"
            values.append(f"a[{k}].{field}")
        lines.append(f"case {i}: return {name}({', '.join(values)});")
    return "\n".join(lines) + "\n"


def main(directory: Path) -> None:
    text = build.interface()
    names = [name for name, _ in DECLARATION.findall(text)]
    (directory / "calls.h").write_text(call_table(names, text), encoding="utf-8")
    (directory / "entries.h").write_text(build.entry_points(), encoding="utf-8")
    record = Recorder()
    package.lib = package.ffi = record
    native = Backend("native")
    with (directory / "vectors.bin").open("wb") as file:
        for call, dtype in itertools.product(calls.calls(), (np.float32, np.float64)):
            if sum(x.nbytes for x in calls.arrays(call.args)) > LARGE:
                continue
            args = cast(call.args, dtype)
            if "packings" in inspect.signature(getattr(Backend, call.kernel)).parameters:
                args["packings"] = {}
            wanted = expected(call, dtype)
            record.start()
            got = calls.outputs(native, call.kernel, args)
            results = []
            for x, (want, tolerance) in zip(got, wanted, strict=True):
                place = record.place(x.ctypes.data)
                if call.kernel == "global_norm":  # written to a number of the call's own
                    place = len(record.memory) - 1, 0
                if record.calls and x.size and place:
                    size = x.itemsize if x.dtype.kind == "f" else -x.itemsize  # < 0: integers
                    results.append((place, size, want, tolerance))
            name = f"{call.kernel}: {call.case}, {np.dtype(dtype).name}"
            write(file, names, name, record, results)
        print(f"{file.name}: {file.tell() >> 20} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
