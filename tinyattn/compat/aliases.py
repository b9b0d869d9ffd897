"""PyTorch's second names of functions: `multiply` is `mul`, `greater` is `gt`."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from tinyattn.ops import comparisons, elementwise, shape

Function = TypeVar("Function", bound=Callable[..., Any])


def alias(name: str, function: Function) -> Function:
    """The function under another name."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    call.__name__ = call.__qualname__ = name
    call.__module__ = __name__
    call.__doc__ = f"Another name of `{function.__name__}`."
    return call  # type: ignore[return-value]


absolute = alias("absolute", elementwise.abs)
concatenate = alias("concatenate", shape.cat)
divide = alias("divide", elementwise.div)
greater = alias("greater", comparisons.gt)
greater_equal = alias("greater_equal", comparisons.ge)
less = alias("less", comparisons.lt)
less_equal = alias("less_equal", comparisons.le)
multiply = alias("multiply", elementwise.mul)
negative = alias("negative", elementwise.neg)
not_equal = alias("not_equal", comparisons.ne)
subtract = alias("subtract", elementwise.sub)
true_divide = alias("true_divide", elementwise.div)
