"""Calls of C functions, noted and made again: native/replay.c. Look first at `Plan.run`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.calling import NULL, OUTSIDE, TABLES


def _entries() -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    while (entry := lib.ta_entry(len(found))) != NULL:
        found[ffi.string(entry.name).decode()] = ffi.string(entry.kinds).decode(), entry.kernel
    return found


# By the name of a function: the kinds of its arguments, and the function that takes words.
ENTRIES = _entries()


@contextlib.contextmanager
def captured(local: Any) -> Iterator[None]:
    """Inside, wrappers get functions that tell local.recorder of their calls."""
    plain = [dict(table) for table in TABLES]
    for table in TABLES:
        for size, (real, *functions) in table.items():
            table[size] = real, *(_telling(function, local) for function in functions)
    try:
        yield
    finally:
        for table, before in zip(TABLES, plain, strict=True):
            table.update(before)


def _telling(function: Any, local: Any) -> Callable[..., int]:
    kinds, with_words = ENTRIES[function.__name__]

    def call(*args: Any) -> int:
        recorder = local.recorder
        if recorder is None:
            return function(*args)
        return _noted(recorder, function, kinds, with_words, args)

    return call


def _noted(recorder: Any, function: Any, kinds: str, with_words: Any, args: tuple[Any, ...]) -> int:
    """Call the function, and note the call."""
    words = ffi.new("union ta_word[]", len(args))
    what: list[Any] = [function.__name__]
    held: list[Any] = [words]
    written = []
    inside = True  # whether all that it writes is memory of the recording
    for i, (kind, arg) in enumerate(zip(kinds, args, strict=True)):
        if kind == "i":
            words[i].i = _signed(int(arg))
            what.append(int(arg))
            continue
        if kind == "d":
            words[i].d = arg
            what.append(repr(float(arg)))
            continue
        words[i].p = ffi.cast("void *", arg)
        if kind == "l":
            raise RuntimeError(f"replay: {function.__name__} can't be recorded by itself")
        for at in _addresses(arg) if kind == "s" else [_number(arg)]:
            region = recorder.region(at)
            what.append(recorder.place(at))
            if region is None:
                held.append(arg)
                inside = inside and (kind == "r" or not at)
                continue
            if kind == "r" and not region.known:
                raise RuntimeError(
                    f"replay: {recorder.by} reads memory that no recorded step has written"
                )
            if kind != "r":
                written.append(region)
        if kind == "s":
            held.append(arg)
            what += _numbers(arg)
    status = function(*args)
    recorder.held += held
    recorder.kernel(
        tuple(what), (with_words, words), lambda: check(with_words(words)), written, inside
    )
    return status


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _number(pointer: Any) -> int:
    return int(ffi.cast("intptr_t", pointer))


def _fields(structure: Any) -> Iterator[tuple[Any, Any]]:
    """The fields of a structure and of those in it, with their types."""
    kind = ffi.typeof(structure)
    for name, field in (kind.item if kind.kind == "pointer" else kind).fields:
        value = getattr(structure, name)
        if field.type.kind == "struct":
            yield from _fields(value)
        else:
            yield field.type, value


def _addresses(structure: Any) -> list[int]:
    return [_number(value) for kind, value in _fields(structure) if kind.kind == "pointer"]


def _numbers(structure: Any) -> list[str]:
    return [
        repr(list(value) if kind.kind == "array" else value)
        for kind, value in _fields(structure)
        if kind.kind != "pointer"
    ]


class Plan:
    """A recording, ready to run: calls of C functions in as few calls of `ta_replay` as there can
    be, and Python between them."""

    def __init__(self, recorder: Any) -> None:
        entries = recorder.entries
        kernels = [entry.call for entry in entries if entry.call is not None]
        self.calls = ffi.new("struct ta_call[]", [(f, words) for f, words in kernels])
        self.status = ffi.new("int *")
        self.recorder = recorder  # it keeps the memory
        self.parts: list[tuple[Any, int] | Callable[[], Any]] = []
        done = 0
        for entry in entries:
            if entry.call is None:
                self.parts.append(entry.run)
                continue
            if self.parts and isinstance(self.parts[-1], tuple):
                at, count = self.parts[-1]
                self.parts[-1] = at, count + 1
            else:
                self.parts.append((self.calls + done, 1))
            done += 1

    def fail(self, call: Any) -> None:
        """Raise what the status of this call means."""
        if self.status[0] == OUTSIDE:
            kernels = [entry for entry in self.recorder.entries if entry.call is not None]
            raise IndexError(f"{kernels[call - self.calls].by}: an index is out of range")
        check(self.status[0])

    def run(self) -> None:
        for part in self.parts:
            if isinstance(part, tuple):
                done = lib.ta_replay(*part, self.status)
                if self.status[0]:
                    self.fail(part[0] + done)
            else:
                part()
