"""Elementwise operations, native/elementwise.c; the list is native/elementwise_operations.inc."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib
from tinyattn.kernels.native.calling import BOOL, INT64, NULL, address, by_size


def _codes() -> dict[str, int]:
    names: list[str] = []
    while (name := lib.ta_operation(len(names))) != NULL:
        names.append(ffi.string(name).decode())
    return {name: code for code, name in enumerate(names)}


CODES = _codes()
_KERNEL = by_size("elementwise", "elementwise_sum")


def elementwise(
    operation: str,
    inputs: Sequence[Any],
    out: Array,
    p: float = 0.0,
    q: float = 0.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to out's shape -> out, C-contiguous. `alike`: the
    arrays are in its shape and C-contiguous, too."""
    real, kernel, _ = _KERNEL[out.itemsize]
    code, to = CODES[operation], address(real, out)
    first, last = inputs[0], inputs[-1]
    if alike and len(inputs) < 3 and type(first) is not float:
        second = NULL
        if type(last) is float:
            p, q = last, 0.0
        elif len(inputs) == 2:
            second = address(real, last)
        status = kernel(code, to, out.size, address(real, first), second, NULL, 0, NULL, p, q)
        if status:
            check(status)
        return
    status = kernel(code, to, out.size, *_arguments(real, inputs, out.shape, p, q, alike))
    if status:
        check(status)


def elementwise_sum(
    operation: str,
    inputs: Sequence[Any],
    shape: tuple[int, ...],
    out: Array,
    p: float = 0.0,
    divisor: float = 1.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to shape -> out (), the sum of the results divided
    by divisor."""
    real, _, kernel = _KERNEL[out.itemsize]
    arguments = _arguments(real, inputs, shape, p, 0.0, alike)
    check(kernel(CODES[operation], divisor, address(real, out), math.prod(shape), *arguments))


def _arguments(
    real: Any, inputs: Sequence[Any], shape: tuple[int, ...], p: float, q: float, alike: bool
) -> tuple[Any, ...]:
    """What C takes for the inputs: three pointers, the number of axes, the layout, p and q."""
    pointers: list[Any] = [NULL, NULL, NULL]
    numbers = []
    for i, x in enumerate(inputs):
        if type(x) is float:
            numbers.append(x)
            continue
        ctype = BOOL if x.itemsize == 1 else real
        if alike or x.flags.c_contiguous:
            pointers[i] = address(ctype, x)
        else:
            pointers[i] = address(ctype, x[(slice(1),) * x.ndim])  # takes contiguous arrays only
    if numbers:  # C reads the inputs that are missing from p and q
        p, q = (*numbers, 0.0)[:2]
    if alike:
        return (*pointers, 0, NULL, p, q)
    layouts = [None if type(x) is float else (x.shape, x.strides) for x in inputs]
    return (*pointers, len(shape), _layout(shape, *layouts), p, q)


@functools.lru_cache(4096)
def _layout(shape: tuple[int, ...], *inputs: tuple[tuple[int, ...], tuple[int, ...]] | None) -> Any:
    """What C reads: the shape, then the strides of each input broadcast to it. An input is its
    shape and strides, or None if it is a number."""
    numbers = [*shape]
    for sizes, strides in (x or ((), ()) for x in inputs):
        numbers += [0] * (len(shape) - len(sizes))
        numbers += [0 if n == 1 else step for n, step in zip(sizes, strides, strict=True)]
    return ffi.new(INT64, numbers)
