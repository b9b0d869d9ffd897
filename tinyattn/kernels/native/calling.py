"""What every wrapper needs to call C: pointers to arrays, and the two versions of a function, for
float and for double. Look first at `by_size`.
"""

from typing import Any

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

NULL = ffi.NULL
INT64 = ffi.typeof("int64_t[]")
DOUBLE = ffi.typeof("double[]")
BOOL = ffi.typeof("uint8_t[]")
OUTSIDE = 2  # the status of a call that met an index outside of an array
_VERSIONS = {4: ("float", "f32"), 8: ("double", "f64")}
_POINTERS = {ffi.typeof(f"{c}[]"): ffi.typeof(f"{c} *[]") for c, _ in _VERSIONS.values()}

# A pointer of some type to the first element of a contiguous array.
address = ffi.from_buffer


# All that by_size has given: a recording puts other functions there while it is made.
TABLES: list[dict[int, tuple[Any, ...]]] = []


def by_size(*names: str) -> dict[int, tuple[Any, ...]]:
    """By the bytes of a number, 4 or 8: the type of a pointer to such numbers, then the functions
    ta_NAME_f32 or ta_NAME_f64. They are looked up here at every call.
    """
    table = {
        size: (ffi.typeof(f"{c}[]"), *(getattr(lib, f"ta_{name}_{suffix}") for name in names))
        for size, (c, suffix) in _VERSIONS.items()
    }
    TABLES.append(table)
    return table


def addresses(ctype: Any, arrays: list[Array]) -> Any:
    """A C array of pointers, one for each array; it does not keep the arrays alive."""
    return ffi.new(_POINTERS[ctype], [address(ctype, x) for x in arrays])


def sizes(arrays: list[Array]) -> Any:
    """A C array of the number of elements of each array."""
    return ffi.new(INT64, [x.size for x in arrays])


def in_range(status: int) -> bool:
    """Whether a call that ended so has met no index outside of an array."""
    if status == OUTSIDE:
        return False
    check(status)
    return True
