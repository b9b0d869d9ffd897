"""What the arguments of the data sets have to be."""

import operator
from typing import Any


def whole(name: str, value: Any, least: int = 0) -> int:
    """The value as an int. TypeError for what is no whole number, ValueError for one below
    `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}: expected a whole number from {least}, got {number}")
    return number
