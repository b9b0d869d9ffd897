"""The six element types, what each can hold, and PyTorch's rule for mixing them.

A dtype is NumPy's own (`tinyattn.float32 is numpy.dtype("float32")`). Look at `result_type` first.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.kernels._types import Array

DType = np.dtype[Any]
Scalar = bool | int | float  # Python's numbers
Number = (
    Scalar | np.integer[Any] | np.floating[Any] | np.bool_
)  # and NumPy's, which count as Python's

float32 = np.dtype("float32")
float64 = np.dtype("float64")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
bool_ = np.dtype("bool")

SUPPORTED: tuple[DType, ...] = (float32, float64, int64, int32, uint8, bool_)
RANK: dict[DType, int] = {bool_: 0, uint8: 1, int32: 2, int64: 3, float32: 4, float64: 5}
PYTHON: dict[type, DType] = {bool: bool_, int: int64, float: float32}
_CATEGORY: dict[DType, int] = {bool_: 0, uint8: 1, int32: 1, int64: 1, float32: 2, float64: 2}
_RANGE: dict[DType, tuple[Scalar, Scalar]] = {
    uint8: (0, 255),
    int32: (-(2**31), 2**31 - 1),
    int64: (-(2**63), 2**63 - 1),
    float32: (float(np.finfo(float32).min), float(np.finfo(float32).max)),
    float64: (float(np.finfo(float64).min), float(np.finfo(float64).max)),
}


def as_dtype(dtype: DTypeLike | None) -> DType:
    """The supported dtype that `dtype` names; TypeError for any other."""
    for known in SUPPORTED:
        if dtype is known:
            return known
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = None
    if found not in RANK:
        raise TypeError(
            "dtype: expected float32, float64, int64, int32, uint8 or bool, got "
            f"{dtype if found is None else found}"
        )
    return SUPPORTED[SUPPORTED.index(found)]  # an equal one may be another object


class finfo:
    """The limits of a float dtype: min, max, eps (the distance from 1 to the next number), tiny
    (the smallest positive number that is not denormal), bits. TypeError for other dtypes.

    >>> ta.finfo(ta.float32).max
    3.4028234663852886e+38
    """

    def __init__(self, type: DTypeLike | None = None) -> None:
        self.dtype = as_dtype(type or float32)
        if self.dtype.kind != "f":
            raise TypeError(f"finfo: expected float32 or float64, got {self.dtype}; use iinfo")
        limits = np.finfo(self.dtype)
        self.min, self.max, self.eps = float(limits.min), float(limits.max), float(limits.eps)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.bits = limits.bits


class iinfo:
    """The limits of an integer dtype: min, max, bits. TypeError for other dtypes."""

    def __init__(self, type: DTypeLike) -> None:
        self.dtype = as_dtype(type)
        if self.dtype.kind not in "iu":
            raise TypeError(f"iinfo: expected int64, int32 or uint8, got {self.dtype}; use finfo")
        limits = np.iinfo(self.dtype)
        self.min, self.max, self.bits = int(limits.min), int(limits.max), limits.bits


def is_floating_point(dtype: DType) -> bool:
    """Whether the dtype is float32 or float64."""
    return dtype.kind == "f"


def check_range(value: Number, dtype: DType, name: str) -> None:
    """RuntimeError where the dtype can't hold the number: an integer that would wrap around, a
    finite number that would become infinite, NaN and infinity as integers."""
    if dtype.kind == "b":
        return
    number = value.item() if isinstance(value, np.generic) else value
    low, high = _RANGE[dtype]
    if dtype.kind in "iu":
        fits = low - 1 < number < high + 1  # a fraction is cut off
    else:
        fits = low <= number <= high or (type(number) is float and not math.isfinite(number))
    if not fits:
        raise RuntimeError(
            f"{name}: expected a number from {low} to {high}, the range of {dtype}, got {number}"
        )


def scalar_dtype(value: object) -> DType:
    """The dtype PyTorch gives a bare number; NumPy's scalars count as Python's numbers."""
    value = value.item() if isinstance(value, np.generic) else value
    for kind, dtype in PYTHON.items():
        if type(value) is kind:
            return dtype
    raise TypeError(f"operand: expected a Tensor or a number, got {type(value).__name__}")


def result_type(*operands: Array | Number) -> DType:
    """PyTorch's promotion of arrays and Python numbers.

    The highest category present (bool < int < float) decides. Among the operands of that category
    arrays with axes come before arrays without, and those before bare numbers.
    """
    found = [x.dtype for x in operands if type(x) is np.ndarray]
    if found and found[0].kind == "f" and found[0].isnative:
        numbers = [x for x in operands if type(x) is not np.ndarray]
        if found.count(found[0]) == len(found) and all(type(x) in PYTHON for x in numbers):
            return found[0]  # as for nearly all operands, in a tenth of the time
    ranked = []
    for operand in operands:
        if type(operand) is np.ndarray:
            dtype = operand.dtype if operand.dtype in _CATEGORY else as_dtype(operand.dtype)
            ranked.append((_CATEGORY[dtype], 2 if operand.ndim else 1, dtype))
        else:
            dtype = scalar_dtype(operand)
            ranked.append((_CATEGORY[dtype], 0, dtype))
    category = max(entry[0] for entry in ranked)
    weight = max(entry[1] for entry in ranked if entry[0] == category)
    return max(
        (entry[2] for entry in ranked if entry[:2] == (category, weight)), key=RANK.__getitem__
    )


def may_become(dtype: DType, other: DType) -> bool:
    """Whether numbers of one dtype may be written into a tensor of another: no floats among
    integers, and nothing but bools among bools."""
    return _CATEGORY[dtype] <= _CATEGORY[other]


def promote(x: Array | Number, y: Array | Number) -> tuple[Any, Any]:
    """The two operands such that NumPy's own operation on them gives PyTorch's dtype."""
    if type(x) is np.ndarray:
        if type(y) is np.ndarray:
            if x.dtype is y.dtype or x.dtype == y.dtype:
                return x, y
        elif type(y) in PYTHON and x.dtype.kind == "f":
            return x, y
    elif type(y) is np.ndarray and type(x) in PYTHON and y.dtype.kind == "f":
        return x, y
    dtype = result_type(x, y)
    return _converted(x, dtype), _converted(y, dtype)


def _converted(operand: Array | Number, dtype: DType) -> Array:
    if dtype.kind in "iu" and not isinstance(operand, np.ndarray):
        check_range(operand, dtype, "operand")
    return np.asarray(operand, dtype)
