"""The five element types and PyTorch's rule for mixing them.

A dtype is NumPy's own (`tinyattn.float32 is numpy.dtype("float32")`). Look at `result_type` first.
"""

from typing import Any

import numpy as np

float32 = np.dtype("float32")
float64 = np.dtype("float64")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
bool_ = np.dtype("bool")

SUPPORTED = (float32, float64, int64, int32, bool_)
_RANK = {bool_: 0, int32: 1, int64: 2, float32: 3, float64: 4}
_CATEGORY = {bool_: 0, int32: 1, int64: 1, float32: 2, float64: 2}
_PYTHON = {bool: bool_, int: int64, float: float32}


def as_dtype(dtype: Any) -> np.dtype:
    """The supported dtype that `dtype` names; TypeError for any other."""
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = None
    if found not in _RANK:
        raise TypeError(
            "dtype: expected float32, float64, int64, int32 or bool, got "
            f"{dtype if found is None else found}"
        )
    return SUPPORTED[SUPPORTED.index(found)]  # an equal one may be another object


def is_floating_point(dtype: np.dtype) -> bool:
    return dtype.kind == "f"


def scalar_dtype(value: Any) -> np.dtype:
    """The dtype PyTorch gives a bare number; NumPy's scalars count as Python's numbers."""
    value = value.item() if isinstance(value, np.generic) else value
    for kind, dtype in _PYTHON.items():
        if type(value) is kind:
            return dtype
    raise TypeError(f"operand: expected a Tensor or a number, got {type(value).__name__}")


def result_type(*operands: Any) -> np.dtype:
    """PyTorch's promotion of arrays and Python numbers.

    The highest category present (bool < int < float) decides. Among the operands of that category
    arrays with axes come before arrays without, and those before bare numbers.
    """
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
        (entry[2] for entry in ranked if entry[:2] == (category, weight)), key=_RANK.__getitem__
    )


def promote(x: Any, y: Any) -> tuple[Any, Any]:
    """The two operands such that NumPy's own operation on them gives PyTorch's dtype."""
    if type(x) is np.ndarray:
        if type(y) is np.ndarray:
            if x.dtype is y.dtype or x.dtype == y.dtype:
                return x, y
        elif type(y) in _PYTHON and x.dtype.kind == "f":
            return x, y
    dtype = result_type(x, y)
    return np.asarray(x, dtype), np.asarray(y, dtype)
