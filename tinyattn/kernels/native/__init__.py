"""The C core through CFFI: `lib` and `ffi` of the compiled module. Wrappers are the other files.

Importing it raises ImportError where the core isn't compiled, and ValueError where TINYATTN_ISA or
TINYATTN_NUM_THREADS asks for what isn't there. A wrapper's `check(status)` raises MemoryError.
"""

import os

from tinyattn.kernels.native._core import ffi, lib


def isa() -> str:
    """The instruction set in use: avx512, avx2 or baseline."""
    return ffi.string(lib.ta_isa()).decode()


def supported_isas() -> list[str]:
    """The instruction sets this processor runs, the best first."""
    names: list[str] = []
    while (name := lib.ta_isa_supported(len(names))) != ffi.NULL:
        names.append(ffi.string(name).decode())
    return names


def set_isa(name: str) -> None:
    """Use the kernels compiled for `name`; results agree within rounding."""
    if lib.ta_set_isa(name.encode()):
        raise ValueError(f"instruction set: expected one of {supported_isas()}, got {name!r}")


def set_num_threads(count: int) -> None:
    """Use up to `count` threads, from 1 to 256. The results do not depend on the number."""
    if not isinstance(count, int) or not 1 <= count <= 256:
        raise ValueError(f"number of threads: expected an integer from 1 to 256, got {count!r}")
    lib.ta_set_num_threads(count)


def get_num_threads() -> int:
    """The number that was set, or else the number of processors this process may run on."""
    return lib.ta_get_num_threads()


def check(status: int) -> None:
    """Turn a kernel's status into an exception."""
    if status:
        raise MemoryError("the C core could not allocate its work space")


def _read_environment() -> None:
    name = os.environ.get("TINYATTN_ISA")
    if name:
        if name not in supported_isas():
            raise ValueError(
                f"TINYATTN_ISA: expected one of {supported_isas()} on this processor, got {name!r}"
            )
        set_isa(name)
    threads = os.environ.get("TINYATTN_NUM_THREADS")
    if threads:
        if not threads.strip().isdecimal() or not 1 <= int(threads) <= 256:
            raise ValueError(
                f"TINYATTN_NUM_THREADS: expected an integer from 1 to 256, got {threads!r}"
            )
        set_num_threads(int(threads))


_read_environment()
