"""Numbers in another type, native/convert.c: floats to and from the others. NumPy casts the others
to each other.
"""

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size
from tinyattn.kernels.reference.convert import convert as plain

_CONVERT = by_size("convert")

_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
_INT64, _INT32, _BOOL, _UINT8 = map(np.dtype, (np.int64, np.int32, np.bool_, np.uint8))
# By both types: the bytes of the float that the loop is made for, and the loop's number in C.
_LOOPS = {
    pair: (real.itemsize, number)
    for real, other in (_FLOATS, _FLOATS[::-1])
    for number, pair in [
        *enumerate((real, to) for to in (other, _INT64, _INT32, _BOOL)),
        *enumerate(((x, real) for x in (_INT64, _INT32, _BOOL)), 4),
        (6, (_UINT8, real)),
    ]
}


def convert(x: Array, out: Array) -> None:
    """x -> out, of the same shape and another type."""
    if (x.dtype, out.dtype) not in _LOOPS:
        plain(x, out)
        return
    size, number = _LOOPS[x.dtype, out.dtype]
    _, kernel = _CONVERT[size]
    check(kernel(address(x), address(out), number, x.size))
