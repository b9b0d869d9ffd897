"""The 2-norm of many arrays and their scaling, native/norm.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import addresses, by_size, sizes

_VERSIONS = by_size("global_norm", "scale")
_DOUBLE = ffi.typeof("double *")


def global_norm(arrays: list[Array]) -> float:
    """Flat arrays -> their common norm."""
    if not arrays:
        return 0.0
    real, kernel, _ = _VERSIONS[arrays[0].itemsize]
    norm = ffi.new(_DOUBLE)
    check(kernel(addresses(real, arrays), sizes(arrays), len(arrays), norm))
    return float(norm[0])


def scale(arrays: list[Array], factor: float) -> None:
    """Multiply flat arrays by factor, in place."""
    if not arrays:
        return
    real, _, kernel = _VERSIONS[arrays[0].itemsize]
    check(kernel(addresses(real, arrays), sizes(arrays), len(arrays), factor))
